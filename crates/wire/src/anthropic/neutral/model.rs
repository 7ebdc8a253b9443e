//! What a model of Anthropic's takes, by its name.
//!
//! Parameters changed with the generations, and what a model does not take is refused with status 400 (Anthropic's
//! migration guides). Names that tell no generation, of models that others serve in this dialect among them, get the
//! older form, which is the common one.

/// The generation of a model; none where its name does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Generation(Option<(u32, u32)>);

impl Generation {
    /// Reads `claude-opus-4-7`, `claude-3-7-sonnet-20250219`, `anthropic/claude-sonnet-4.5`, `us.anthropic.claude-…-v1:0`.
    pub(super) fn of(model: &str) -> Generation {
        let Some(at) = model.find("claude") else { return Generation(None) };
        let mut words = model[at..].split(|letter: char| !letter.is_ascii_alphanumeric());
        // Longer numbers are dates.
        let number = |word: &str| word.parse::<u32>().ok().filter(|_| word.len() <= 2);
        let major = words.by_ref().find_map(number);
        Generation(major.map(|major| (major, words.next().and_then(number).unwrap_or(0))))
    }

    fn from(self, generation: (u32, u32)) -> bool {
        self.0.is_some_and(|own| own >= generation)
    }

    /// It decides itself how much it thinks, and is told an effort in the place of a number of tokens.
    pub(super) fn is_adaptive(self) -> bool {
        self.from((4, 6))
    }

    /// It takes no temperature and the like.
    pub(super) fn has_fixed_sampling(self) -> bool {
        self.from((4, 7))
    }

    /// It thinks unless it is told not to.
    pub(super) fn thinks_unasked(self) -> bool {
        self.from((5, 0))
    }

    /// It came before schemas of answers and strict tools.
    pub(super) fn lacks_schemas(self) -> bool {
        self.0.is_some_and(|own| own < (4, 1))
    }

    /// It came before thinking.
    pub(super) fn lacks_thinking(self) -> bool {
        self.0.is_some_and(|own| own < (3, 7))
    }

    /// It takes temperature or `top_p`, not both.
    pub(super) fn takes_one_of_sampling(self) -> bool {
        self.from((4, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_generation() {
        let check = |model: &str, wanted: Option<(u32, u32)>| {
            assert_eq!(Generation::of(model).0, wanted, "{model}");
        };
        check("claude-3-7-sonnet-20250219", Some((3, 7)));
        check("claude-opus-4-20250514", Some((4, 0)));
        check("claude-sonnet-4-5-20250929", Some((4, 5)));
        check("anthropic/claude-opus-4.7", Some((4, 7)));
        check("us.anthropic.claude-opus-4-6-v1:0", Some((4, 6)));
        check("claude-haiku-4-5@20251001", Some((4, 5)));
        check("claude-sonnet-5", Some((5, 0)));
        check("claude-mythos-preview", None);
        check("kimi-k2-thinking", None);
        check("", None);
    }
}
