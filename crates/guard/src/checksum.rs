//! Check digits. All take ASCII digits (or letters where said) without separators, and never fail on other input.

use sha2::{Digest, Sha256};

fn value(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(b'0'))
}

/// The value of a base-36 digit: `0`–`9`, then `A`–`Z` from 10.
fn value36(byte: u8) -> u32 {
    if byte.is_ascii_digit() {
        value(byte)
    } else {
        u32::from(byte.to_ascii_uppercase().wrapping_sub(b'A')) + 10
    }
}

/// Sum of digit × weight. Weights beyond the digits are ignored.
pub(crate) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| value(*digit).wrapping_mul(*weight))
        .fold(0, u32::wrapping_add)
}

/// ISO/IEC 7812-1, annex B: cards, IMEI and many national numbers.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| match (i % 2, value(*digit)) {
            (0, n) => n,
            (_, n) => n * 2 - if n > 4 { 9 } else { 0 },
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 7064 MOD 97-10 over letters and digits, the first four moved to the end: IBAN.
pub(crate) fn iban(compact: &[u8]) -> bool {
    let Some((head, body)) = compact.split_at_checked(4) else { return false };
    body.iter().chain(head).fold(0u32, |rest, byte| {
        let n = value36(*byte);
        (if n > 9 { rest * 100 + n } else { rest * 10 + n }) % 97
    }) == 1
}

/// The remainder of a decimal number.
pub(crate) fn remainder(digits: &[u8], by: u64) -> u64 {
    digits.iter().fold(0, |rest, digit| (rest * 10 + u64::from(value(*digit))) % by)
}

/// ISO 7064 MOD 11,10: German and Croatian tax numbers.
pub(crate) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let mut product = 10;
    for digit in body {
        let sum = (value(*digit) + product) % 10;
        product = (if sum == 0 { 10 } else { sum }) * 2 % 11;
    }
    (11 - product) % 10 == value(*check)
}

/// Verhoeff's dihedral check: Aadhaar.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    // The dihedral group D5 and its permutation (Verhoeff 1969).
    fn multiply(a: u32, b: u32) -> u32 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => (a + b - 5) % 5 + 5,
            (false, true) => (a + 5 - b) % 5 + 5,
            (false, false) => (a + 5 - b) % 5,
        }
    }
    const PERMUTE: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    digits.iter().rev().enumerate().fold(0, |sum, (i, digit)| {
        let permuted = (0..i % 8).fold(value(*digit), |n, _| PERMUTE.get(n as usize).copied().unwrap_or(0));
        multiply(sum, permuted)
    }) == 0
}

/// GSTIN: base 36, factors 1 and 2 by turns, both base-36 digits of each product added up.
pub(crate) fn luhn36(compact: &[u8]) -> bool {
    let Some((check, body)) = compact.split_last() else { return false };
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(i, byte)| {
            let product = value36(*byte) * if i % 2 == 0 { 1 } else { 2 };
            product / 36 + product % 36
        })
        .sum();
    (36 - sum % 36) % 36 == value36(*check)
}

/// The values of Base58's symbols; 0xFF for others.
const BASE58: [u8; 256] = {
    let alphabet = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut values = [0xFF; 256];
    let mut i = 0;
    while i < alphabet.len() {
        values[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    values
};

pub(crate) fn is_base58(symbol: u8) -> bool {
    BASE58[usize::from(symbol)] != 0xFF
}

/// The number in base 58 as `N` bytes; `None` when it has other symbols or needs more.
fn base58<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0u8; N];
    for symbol in text {
        let mut carry = u32::from(BASE58[usize::from(*symbol)]);
        if carry == 0xFF {
            return None;
        }
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xFF) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(bytes)
}

/// Bitcoin's Base58Check, addresses of 25 bytes.
pub(crate) fn base58check(text: &[u8]) -> bool {
    if !text.iter().all(|symbol| is_base58(*symbol)) {
        return false;
    }
    let Some(bytes) = base58::<25>(text) else { return false };
    let (payload, check) = bytes.split_at(21);
    Sha256::digest(Sha256::digest(payload)).starts_with(check)
}

/// Whether the text is 32 bytes in base 58, as the public keys of Solana are: as many zeros lead it as the number needs.
pub(crate) fn is_base58_of_32_bytes(text: &[u8]) -> bool {
    let zeros = text.iter().take_while(|symbol| **symbol == b'1').count();
    base58::<32>(text).is_some_and(|bytes| bytes.iter().take_while(|byte| **byte == 0).count() == zeros)
}

/// Bech32 and Bech32m (BIP 173, BIP 350), with a human-readable part in letters.
pub(crate) fn bech32(text: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    fn step(sum: u32, value: u32) -> u32 {
        const GENERATOR: [u32; 5] = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
        let top = sum >> 25;
        let mut next = ((sum & 0x01ff_ffff) << 5) ^ value;
        for (i, generator) in GENERATOR.iter().enumerate() {
            if top >> i & 1 == 1 {
                next ^= generator;
            }
        }
        next
    }
    let Some(one) = text.iter().position(|byte| *byte == b'1') else { return false };
    // All capitals are allowed, for the sake of QR codes; a mixture is not.
    let lower = text.to_ascii_lowercase();
    if text.iter().any(u8::is_ascii_lowercase) && lower != text {
        return false;
    }
    let (name, data) = (&lower[..one], &lower[one + 1..]);
    let expanded = name.iter().map(|byte| u32::from(byte >> 5));
    let expanded = expanded.chain([0]).chain(name.iter().map(|byte| u32::from(byte & 31)));
    let mut sum = expanded.fold(1, step);
    for symbol in data {
        let Some(value) = ALPHABET.iter().position(|known| known == symbol) else { return false };
        sum = step(sum, value as u32);
    }
    sum == 1 || sum == 0x2bc8_30a3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_keys_in_base_58_are_32_bytes() {
        assert!(is_base58_of_32_bytes(b"11111111111111111111111111111111"));
        assert!(is_base58_of_32_bytes(b"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"));
        assert!(!is_base58_of_32_bytes(b"1TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"));
        assert!(!is_base58_of_32_bytes(b"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9"));
    }

    #[test]
    fn published_examples_pass_and_their_neighbours_do_not() {
        let check = |valid: fn(&[u8]) -> bool, good: &str| {
            assert!(valid(good.as_bytes()), "{good}");
            let mut bad = good.as_bytes().to_vec();
            let last = bad.last_mut().unwrap();
            *last = if *last == b'4' { b'5' } else { b'4' };
            assert!(!valid(&bad), "{good} with a wrong last symbol");
        };
        check(luhn, "4111111111111111");
        check(luhn, "79927398713");
        check(iban, "GB82WEST12345698765432");
        check(mod_11_10, "86095742719");
        check(verhoeff, "2363");
        check(luhn36, "27AAPFU0939F1ZV");
        check(base58check, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa");
        check(bech32, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4");
        check(base58check, "LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9");
        check(base58check, "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L");
        check(bech32, "ltc1qhzjptwpym9afcdjhs7jcz6fd0jma0l0rc0e5yr");
        check(bech32, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0");
    }
}
