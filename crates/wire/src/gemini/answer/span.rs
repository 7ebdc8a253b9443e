//! Places in a text that Google counts in bytes and we in characters.

/// Characters of more than one byte that are remembered: beyond, spans are not told. A text of the longest output sold
/// has fewer.
const WIDE_MAX: usize = 1 << 19;

/// The lengths of a text, whose plain letters cost no memory.
#[derive(Default, Debug)]
pub(super) struct Widths {
    bytes: usize,
    chars: usize,
    /// Where each wide character ends in bytes, and how many bytes there are up to there beyond one a character.
    wide: Vec<(usize, usize)>,
    is_full: bool,
}

impl Widths {
    pub(super) fn add(&mut self, text: &str) {
        let base = self.bytes;
        if !text.is_ascii() {
            for (at, letter) in text.char_indices().filter(|(_, letter)| letter.len_utf8() > 1) {
                if self.wide.len() == WIDE_MAX {
                    self.is_full = true;
                    break;
                }
                let before = self.wide.last().map_or(0, |(_, extra)| *extra);
                let width = letter.len_utf8();
                self.wide.push((base + at + width, before + width - 1));
            }
        }
        self.bytes += text.len();
        self.chars += text.chars().count();
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The characters before this byte.
    pub(super) fn chars_at(&self, byte: usize) -> Option<u32> {
        if self.is_full || byte > self.bytes {
            return None;
        }
        let wide = self.wide.partition_point(|(end, _)| *end <= byte);
        let extra = wide.checked_sub(1).map_or(0, |last| self.wide[last].1);
        u32::try_from(byte.checked_sub(extra)?).ok()
    }

    /// The bytes before this character.
    pub(super) fn bytes_at(&self, char: u32) -> Option<usize> {
        let char = char as usize;
        if self.is_full || char > self.chars {
            return None;
        }
        // A wide character ends in characters at its end in bytes less all extra bytes up to there.
        let wide = self.wide.partition_point(|(end, extra)| end - extra <= char);
        Some(char + wide.checked_sub(1).map_or(0, |last| self.wide[last].1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_and_characters_are_counted_alike_both_ways(pieces in prop::collection::vec(".{0,8}", 0..6)) {
            let mut widths = Widths::default();
            pieces.iter().for_each(|piece| widths.add(piece));
            let text = pieces.concat();
            for (chars, (bytes, _)) in text.char_indices().chain([(text.len(), ' ')]).enumerate() {
                prop_assert_eq!(widths.chars_at(bytes), Some(chars as u32));
                prop_assert_eq!(widths.bytes_at(chars as u32), Some(bytes));
            }
            prop_assert_eq!(widths.chars_at(text.len() + 1), None);
        }
    }
}
