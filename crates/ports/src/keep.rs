//! What of a stored call or span goes, before or with the rest of it.

use gauntlet_types::TextsGone;

/// What shall go of one call or span. Sums, spend and budgets stay as they are, whatever goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// The words: bodies, previews, arguments of tools, attributes. Who, when, what it cost and how it ended stay.
    Texts(TextsGone),
    /// All of it.
    Whole,
}
