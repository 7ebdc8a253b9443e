//! Other people's text, made safe to read: nothing invisible, nothing that reorders its surroundings, nothing endless.
//!
//! Escaping is maud's work. This is about what escaping leaves: an override that shows `exe.gpj` as `jpg.exe`, letters
//! hidden in tag characters that a model reads and a person does not, a megabyte in a table cell.

use std::fmt::Write;

use maud::{Markup, Render, html};

/// Characters of a name or a preview that are shown.
const LINE_MAX: usize = 200;
/// Characters of one message that are shown.
const BLOCK_MAX: usize = 6_000;

/// A text on one line: a name, a preview, a message. Cut after 200 characters.
pub struct Line<'a>(pub &'a str);

impl Render for Line<'_> {
    fn render_to(&self, page: &mut String) {
        let mut room = Room::of(usize::MAX);
        let (shown, cut) = room.take(self.0, LINE_MAX);
        shown.as_str().render_to(page);
        if cut {
            page.push('…');
        }
    }
}

/// How many bytes of other people's text a page still takes, counted as they are sent (`"` is six bytes there).
pub struct Room {
    left: usize,
}

impl Room {
    pub fn of(bytes: usize) -> Room {
        Room { left: bytes }
    }

    pub fn is_full(&self) -> bool {
        self.left == 0
    }

    /// Takes from `text` what fits, at most `max` characters, and says whether something was left out.
    pub fn take(&mut self, text: &str, max: usize) -> (String, bool) {
        let mut shown = String::with_capacity(text.len().min(max).min(self.left));
        for (count, character) in text.chars().enumerate() {
            let cost = cost(character);
            if count == max || cost > self.left {
                // A room that turned a text away is full, or later short texts would show as if nothing was missing.
                if cost > self.left {
                    self.left = 0;
                }
                return (shown, true);
            }
            self.left -= cost;
            push_visible(&mut shown, character);
        }
        (shown, false)
    }

    /// A text of many lines, with a note where it was cut.
    pub fn block(&mut self, text: &str) -> Markup {
        let (shown, cut) = self.take(text, BLOCK_MAX);
        html! {
            div.text dir="auto" { (shown) }
            @if cut { (note(text)) }
        }
    }

    /// Program text: JSON, tool arguments.
    pub fn code(&mut self, text: &str) -> Markup {
        let (shown, cut) = self.take(text, BLOCK_MAX);
        html! {
            pre { code { (shown) } }
            @if cut { (note(text)) }
        }
    }
}

fn note(text: &str) -> Markup {
    let total = crate::figures::count(text.chars().count() as u64);
    html! { p.cut { "Cut here: " (total) " characters in all. " code { "gauntlet trace show" } " prints everything." } }
}

fn cost(character: char) -> usize {
    match character {
        '<' | '>' => 4,
        '&' => 5,
        '"' => 6,
        _ if is_hidden(character) => 9,
        _ => character.len_utf8(),
    }
}

/// Acts on the text around it, or carries letters that nobody sees. Joiners (U+200C, U+200D) and the marks for mixed
/// scripts (U+200E, U+200F) stay: emoji, Persian and Hebrew need them, and they override nothing.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
            | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    ) && character != '\r'
}

fn push_visible(shown: &mut String, character: char) {
    if is_hidden(character) {
        let _ = write!(shown, "[U+{:04X}]", u32::from(character));
    } else {
        shown.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_shown_as_text() {
        let shown =
            html! { p title=(Line("\"><img src=x onerror=1>")) { (Line("<script>alert('1')</script>")) } };
        assert!(!shown.0.contains("<script") && !shown.0.contains("<img"), "{}", shown.0);
        assert!(shown.0.contains("&lt;script&gt;") && shown.0.contains("title=\"&quot;&gt;"), "{}", shown.0);
    }

    #[test]
    fn invisible_characters_are_named() {
        let check = |text: &str, expected: &str| assert_eq!(Line(text).render().0, expected);
        check("gpj.\u{202e}exe", "gpj.[U+202E]exe");
        check("a\u{2066}b", "a[U+2066]b");
        check("hi\u{e0041}", "hi[U+E0041]");
        check("nul\u{0}esc\u{1b}[31m", "nul[U+0000]esc[U+001B][31m");
        check("שלום عليكم 👩\u{200d}🚀 line\nline", "שלום عليكم 👩\u{200d}🚀 line\nline");
    }

    #[test]
    fn a_megabyte_is_cut_with_a_note() {
        let mut room = Room::of(30_000);
        let shown = room.block(&"é<".repeat(500_000)).0;
        assert!(shown.len() < 25_000, "{}", shown.len());
        assert!(shown.contains("1,000,000 characters in all"));
        assert!(!room.is_full());
        assert_eq!(Line(&"x".repeat(5_000)).render().0.chars().count(), LINE_MAX + 1);
    }

    #[test]
    fn a_room_counts_the_bytes_that_are_sent() {
        let mut room = Room::of(600);
        let shown = room.code(&"\"".repeat(5_000)).0;
        assert!(room.is_full());
        assert_eq!(shown.matches("&quot;").count(), 100);
        assert!(room.block("later").0.contains("Cut here"));
    }
}
