//! How much of a text leaves, and the mark where it is cut.

/// Bytes of one text: of a message, of a tool's arguments.
pub(super) const TEXT_MAX: usize = 8 << 10;
/// Bytes of all texts of one direction. Receivers cut or refuse attributes above 64 KB.
pub(super) const TEXTS_MAX: usize = 48 << 10;
/// Bytes of a name or of an error's words.
const LINE_MAX: usize = 1 << 10;

/// The text, or its beginning with a mark of how long it was.
pub(super) fn text(text: &str) -> String {
    cut(text, TEXT_MAX)
}

pub(super) fn line(text: &str) -> String {
    cut(text, LINE_MAX)
}

fn cut(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{} …[cut: {} bytes in all]", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_ends_on_a_character_and_says_so() {
        assert_eq!(text("short"), "short");
        let long = text(&"ü".repeat(TEXT_MAX));
        assert!(
            long.ends_with(&format!("ü …[cut: {} bytes in all]", 2 * TEXT_MAX)),
            "{}",
            &long[TEXT_MAX - 8..]
        );
        let odd = text(&format!("x{}", "ü".repeat(TEXT_MAX)));
        assert!(odd.len() < TEXT_MAX + 40);
    }
}
