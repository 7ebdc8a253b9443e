//! Bank accounts in international form, and addresses of cryptocurrencies.

use super::shape::{Compact, ends_at};
use crate::{
    candidate::{Candidate, PII, Proof},
    checksum,
    window::{Labels, Window, is_alnum, is_hex},
};

/// Country and total length (SWIFT IBAN registry, release 99).
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HN", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// `start` is the first letter of a word whose first digit is its third symbol.
pub(super) fn iban(window: &Window, start: usize, out: &mut Vec<Candidate>) {
    let country = [window.at(start).to_ascii_uppercase(), window.at(start + 1).to_ascii_uppercase()];
    let Some((_, length)) = IBAN_LENGTHS.iter().find(|(code, _)| **code == country) else { return };
    let mut compact = Compact::new();
    let mut i = start;
    while compact.as_bytes().len() < *length {
        let byte = window.at(i);
        if byte.is_ascii_alphanumeric() {
            compact.push(byte);
            i += 1;
            continue;
        }
        if !window.is_separator(i) || byte == b'.' && !window.at(i + 1).is_ascii_alphanumeric() {
            return;
        }
        i += 1;
    }
    if checksum::iban(compact.as_bytes()) && !window.at(i).is_ascii_alphanumeric() {
        out.push(Candidate {
            start,
            end: i,
            kind: PII,
            label: "IBAN_CODE",
            score: 1.0,
            proof: Proof::CheckedAndLabelled,
        });
    }
}

/// Words beside which 32 bytes in base 58 are an address, and not any other key or hash.
static SOLANA: Labels = Labels::new(&["sol", "solana", "phantom", "spl", "wallet"]);

/// Human-readable parts of Bech32 addresses (SLIP-173): Bitcoin and its test network, Litecoin, and Cosmos.
const BECH32_PARTS: [&[u8]; 4] = [b"bc1", b"tb1", b"ltc1", b"cosmos1"];

/// Monero's addresses are 95 symbols, 106 with a payment number in them.
const MONERO: [usize; 2] = [95, 106];

/// `start` is the first symbol of a word.
pub(super) fn crypto(window: &Window, start: usize, out: &mut Vec<Candidate>) {
    if window.at(start) == b'0' && matches!(window.at(start + 1), b'x' | b'X') {
        let end = window.run(start + 2, 41, is_hex);
        if end - start == 42 {
            push_address(window, start, end, Proof::Checked, out);
        }
        return;
    }
    // Most words end long before the shortest address does.
    let head = window.run(start, ADDRESS_MIN, is_alnum);
    if head - start < ADDRESS_MIN {
        return;
    }
    let end = window.run(head, MONERO[1] + 1 - ADDRESS_MIN, is_alnum);
    let word = window.slice(start, end);
    // Base58Check tells by its checksum of 32 bits whatever network the address is of (Bitcoin, Litecoin, Dogecoin,
    // Dash, Tron …).
    let is_checked = (26..=35).contains(&word.len()) && checksum::base58check(word)
        || BECH32_PARTS
            .iter()
            .any(|part| word.get(..part.len()).is_some_and(|w| w.eq_ignore_ascii_case(part)))
            && word.len() <= 63
            && checksum::bech32(word);
    let is_monero = MONERO.contains(&word.len())
        && matches!(word[0], b'4' | b'8')
        && word.iter().all(|symbol| checksum::is_base58(*symbol));
    let is_solana = (32..=44).contains(&word.len())
        && checksum::is_base58_of_32_bytes(word)
        && word.iter().any(u8::is_ascii_uppercase)
        && word.iter().any(u8::is_ascii_lowercase)
        && window.label_distance(start, end, &SOLANA).is_some();
    if is_checked || is_monero || is_solana {
        let proof = if is_solana { Proof::Labelled } else { Proof::Checked };
        push_address(window, start, end, proof, out);
    }
}

/// The shortest addresses have 26 symbols (Base58Check).
const ADDRESS_MIN: usize = 26;

fn push_address(window: &Window, start: usize, end: usize, proof: Proof, out: &mut Vec<Candidate>) {
    if ends_at(window, end) {
        let score = if proof == Proof::Checked { 1.0 } else { 0.85 };
        out.push(Candidate { start, end, kind: PII, label: "CRYPTO", score, proof });
    }
}
