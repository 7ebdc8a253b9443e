//! Shapes of identifiers, written as short patterns and matched at one place.
//!
//! `D` a digit, `L` a letter, `X` either; `~` a separator (space, dash) that stands at all such places
//! or at none, the same everywhere; `_` the same with a dot allowed too; anything else stands for itself.

use crate::window::Window;

/// The letters and digits of a match, in upper case, without separators.
#[derive(Clone, Copy)]
pub(crate) struct Compact {
    bytes: [u8; Compact::MAX],
    len: usize,
    pub(crate) has_lower: bool,
    pub(crate) has_separator: bool,
}

impl Compact {
    /// The longest identifier in the tables has 34 symbols (IBAN).
    pub(crate) const MAX: usize = 40;

    pub(crate) fn new() -> Compact {
        Compact { bytes: [0; Compact::MAX], len: 0, has_lower: false, has_separator: false }
    }

    #[inline]
    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            self.has_lower |= byte.is_ascii_lowercase();
            *slot = byte.to_ascii_uppercase();
            self.len += 1;
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What stands after the first letters or digits of an identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Digit,
    Letter,
    Space,
    Dash,
    Dot,
    Slash,
    Other,
}

impl Class {
    pub(crate) const ALL: [Class; 7] =
        [Class::Digit, Class::Letter, Class::Space, Class::Dash, Class::Dot, Class::Slash, Class::Other];

    pub(crate) fn of(byte: u8) -> Class {
        match byte {
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
            b' ' => Class::Space,
            b'-' => Class::Dash,
            b'.' => Class::Dot,
            b'/' => Class::Slash,
            _ => Class::Other,
        }
    }
}

/// One pattern, with its optional separators decided.
pub(crate) struct Shape {
    steps: Vec<u8>,
    /// How many digits (or letters) it starts with.
    pub(crate) lead: usize,
    pub(crate) starts_with_letter: bool,
    pub(crate) has_letter: bool,
    /// What follows the lead may be more of the same (`X`).
    pub(crate) lead_is_open: bool,
    /// How many digits the second group has, if it is digits alone.
    second: Option<usize>,
}

impl Shape {
    /// The pattern with separators, and without them where they are optional.
    pub(crate) fn expand(pattern: &str) -> Vec<Shape> {
        let with = Shape::new(pattern.bytes().collect());
        let bare: Vec<u8> = pattern.bytes().filter(|step| !matches!(step, b'~' | b'_')).collect();
        if bare.len() == pattern.len() { vec![with] } else { vec![with, Shape::new(bare)] }
    }

    fn new(steps: Vec<u8>) -> Shape {
        let first = steps.first().copied().unwrap_or(b'X');
        let lead = steps.iter().take_while(|step| **step == first).count();
        let lead_is_open = first == b'X' || steps.get(lead) == Some(&b'X');
        let group: Vec<u8> = steps.iter().skip(lead + 1).copied().take_while(|step| *step == b'D').collect();
        let is_apart = steps.get(lead).is_some_and(|step| !step.is_ascii_alphanumeric());
        let is_whole = steps.get(lead + 1 + group.len()) != Some(&b'X');
        Shape {
            second: (is_apart && is_whole && !group.is_empty()).then_some(group.len()),
            lead: if first == b'X' { 0 } else { lead },
            starts_with_letter: first == b'L',
            has_letter: steps.contains(&b'L'),
            lead_is_open,
            steps,
        }
    }

    /// Whether what follows a lead of `lead` symbols may be of this class: this dismisses most shapes.
    pub(crate) fn goes_on(&self, lead: usize, class: Class) -> bool {
        let after = match self.steps.get(lead) {
            // A longer lead than the pattern's own takes steps from the open part.
            _ if lead > self.lead || self.lead == 0 => return true,
            after => after.copied().unwrap_or(0),
        };
        match after {
            0 => !matches!(class, Class::Digit | Class::Letter),
            b'D' => class == Class::Digit,
            b'L' => class == Class::Letter,
            b'X' => matches!(class, Class::Digit | Class::Letter),
            b'~' => matches!(class, Class::Space | Class::Dash),
            b'_' => matches!(class, Class::Space | Class::Dash | Class::Dot),
            literal => class == Class::of(literal),
        }
    }

    /// Whether a second group of `digits` digits fits.
    #[inline]
    pub(crate) fn has_second(&self, lead: usize, digits: usize) -> bool {
        lead != self.lead || self.second.is_none_or(|second| second == digits)
    }

    /// The end of the match at `start`, if there is one that is not part of something longer.
    pub(crate) fn matches(&self, window: &Window, start: usize) -> Option<(usize, Compact)> {
        let mut compact = Compact::new();
        let mut i = start;
        let mut uniform = None;
        for step in &self.steps {
            let byte = window.at(i);
            let taken = match step {
                b'D' => byte.is_ascii_digit(),
                b'L' => byte.is_ascii_alphabetic(),
                b'X' => byte.is_ascii_alphanumeric(),
                b'~' | b'_' => {
                    let is_dot = byte == b'.' && *step == b'~';
                    if is_dot || !window.is_separator(i) || *uniform.get_or_insert(byte) != byte {
                        return None;
                    }
                    compact.has_separator = true;
                    i += 1;
                    continue;
                }
                literal => {
                    if byte != *literal || (byte == b' ' && !window.is_joint(i)) {
                        return None;
                    }
                    compact.has_separator = true;
                    i += 1;
                    continue;
                }
            };
            if !taken {
                return None;
            }
            compact.push(byte);
            i += 1;
        }
        ends_at(window, i).then_some((i, compact))
    }
}

/// Whether an identifier may end before `i`: nothing glued to it goes on.
pub(crate) fn ends_at(window: &Window, i: usize) -> bool {
    match window.at(i) {
        byte if byte.is_ascii_alphanumeric() => false,
        b'_' | b'@' => false,
        b'-' | b'.' | b'/' | b':' | b',' => !window.at(i + 1).is_ascii_digit() || window.at(i) == b',',
        _ => true,
    }
}

/// Whether an identifier may start at `i`: it is not the tail of something longer.
pub(crate) fn starts_at(window: &Window, i: usize) -> bool {
    let before = window.before(i);
    if before.is_ascii_alphanumeric() || before == b'_' {
        return false;
    }
    !(matches!(before, b'-' | b'.' | b'/' | b'@' | b'#')
        && i >= 2
        && window.before(i - 1).is_ascii_alphanumeric())
}
