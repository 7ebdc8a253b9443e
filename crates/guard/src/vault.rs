//! Tokens that stand for values on the way to a model, and the values they stand for on the way back.
//!
//! A token is `<EMAIL_ADDRESS_1.k7qx>`: the type says what it was, the number which of several, and the end, random for
//! each call, keeps text from outside (a web page, another call) from naming a value of this one. Values are held in
//! memory and for the length of their call.

use std::collections::HashMap;

/// Letters and digits that no reader takes for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of a token's random end.
const MARK_LEN: usize = 6;
/// The longest token: a type of at most 40 characters, a number, the marks.
const TOKEN_MAX: usize = 64;

/// The values of one call.
pub struct Vault {
    mark: String,
    tokens: HashMap<String, String>,
    values: HashMap<String, String>,
    by_label: HashMap<&'static str, usize>,
}

impl Vault {
    /// `random` must not be guessable by whoever writes the texts of the call.
    pub fn new(random: u64) -> Vault {
        let letter = |i: usize| char::from(ALPHABET[(random >> (5 * i) & 31) as usize]);
        Vault {
            mark: (0..MARK_LEN).map(letter).collect(),
            tokens: HashMap::new(),
            values: HashMap::new(),
            by_label: HashMap::new(),
        }
    }

    /// The token of a value; equal values have the same.
    pub fn token(&mut self, label: &'static str, value: &str) -> String {
        if let Some(token) = self.tokens.get(value) {
            return token.clone();
        }
        let number = self.by_label.entry(label).or_default();
        *number += 1;
        let short = label.get(..40).unwrap_or(label);
        let token = format!("<{short}_{number}.{}>", self.mark);
        self.tokens.insert(value.to_owned(), token.clone());
        self.values.insert(token.clone(), value.to_owned());
        token
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The text with its tokens replaced by `as_written` of their values.
    pub fn restore(&self, text: &str, as_written: fn(&str) -> String) -> String {
        let mut restorer = Restorer::new();
        let mut shown = restorer.push(text, self, as_written);
        shown.push_str(&restorer.finish());
        shown
    }
}

/// Puts values back into text that arrives in pieces; a token may be cut anywhere.
#[derive(Default)]
pub struct Restorer {
    held: String,
}

impl Restorer {
    pub fn new() -> Restorer {
        Restorer::default()
    }

    /// Takes a piece and returns the text that may be shown now.
    pub fn push(&mut self, piece: &str, vault: &Vault, as_written: fn(&str) -> String) -> String {
        if vault.is_empty() {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        let mut shown = String::with_capacity(self.held.len());
        let mut rest = self.held.as_str();
        while let Some(start) = rest.find('<') {
            let (before, from) = rest.split_at(start);
            shown.push_str(before);
            rest = from;
            let end = from.as_bytes().iter().skip(1).take(TOKEN_MAX).position(|byte| !is_token_byte(*byte));
            match end {
                // `<` and what follows it up to here.
                Some(len) if from.as_bytes().get(len + 1) == Some(&b'>') => {
                    let token = &from[..len + 2];
                    match vault.values.get(token) {
                        Some(value) => shown.push_str(&as_written(value)),
                        None => shown.push_str(token),
                    }
                    rest = &from[len + 2..];
                }
                // It may go on with the next piece.
                None if from.len() <= TOKEN_MAX => break,
                _ => {
                    shown.push('<');
                    rest = &from[1..];
                }
            }
        }
        if !rest.starts_with('<') {
            shown.push_str(rest);
            rest = "";
        }
        self.held = rest.to_owned();
        shown
    }

    /// Ends the text and returns the rest of it.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(value: &str) -> String {
        value.to_owned()
    }

    #[test]
    fn equal_values_have_one_token_and_come_back() {
        let mut vault = Vault::new(0x1234_5678_9abc);
        let (ann, bob) =
            (vault.token("EMAIL_ADDRESS", "ann@a.org"), vault.token("EMAIL_ADDRESS", "bob@a.org"));
        assert_ne!(ann, bob);
        assert_eq!(vault.token("EMAIL_ADDRESS", "ann@a.org"), ann);
        let text = format!("Write to {ann}, not to {bob}; <b>{ann}</b> 1 < 2");
        assert_eq!(
            vault.restore(&text, plain),
            "Write to ann@a.org, not to bob@a.org; <b>ann@a.org</b> 1 < 2"
        );
    }

    #[test]
    fn a_token_of_another_call_names_nothing() {
        let mut vault = Vault::new(1);
        let token = vault.token("EMAIL_ADDRESS", "ann@a.org");
        let other = Vault::new(2);
        assert_eq!(other.restore(&token, plain), token);
        assert_eq!(vault.restore("<EMAIL_ADDRESS_1>", plain), "<EMAIL_ADDRESS_1>");
    }

    proptest! {
        #[test]
        fn pieces_say_what_the_whole_says(cuts in prop::collection::vec(0usize..200, 0..12)) {
            let mut vault = Vault::new(77);
            let (a, b) = (vault.token("PHONE_NUMBER", "+1 555 0100"), vault.token("IBAN_CODE", "DE00"));
            let text = format!("<<{a}{b}<a.b> {a} <{} x < {b}", "y".repeat(90));
            let whole = vault.restore(&text, plain);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut restorer = Restorer::new();
            let mut shown = String::new();
            for pair in cuts.windows(2) {
                shown.push_str(&restorer.push(&text[pair[0]..pair[1]], &vault, plain));
                prop_assert!(restorer.held.len() <= TOKEN_MAX);
            }
            shown.push_str(&restorer.finish());
            prop_assert_eq!(shown, whole);
        }
    }
}
