//! What makes an identifier valid, beyond its shape: dates, areas, check digits.
//!
//! Each takes the symbols of its row's shapes, in upper case and without separators.

pub(super) mod register;

use crate::checksum::{luhn, mod_11_10, remainder, weighted};

pub(super) fn n(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(b'0'))
}

pub(super) fn two(digits: &[u8]) -> u32 {
    n(digits[0]) * 10 + n(digits[1])
}

/// Whether the month has the day, in some year.
fn is_date(month: u32, day: u32) -> bool {
    const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    month
        .checked_sub(1)
        .and_then(|month| DAYS.get(month as usize))
        .is_some_and(|days| (1..=*days).contains(&day))
}

pub(super) fn is_month_day(d: &[u8]) -> bool {
    is_date(two(d), two(&d[2..]))
}

pub(super) fn is_day_month(d: &[u8]) -> bool {
    is_date(two(&d[2..]), two(d))
}

/// Issuer ranges with their lengths (ISO/IEC 7812 registry, by network), then Luhn.
pub(super) fn is_card(d: &[u8]) -> bool {
    let first = |count: usize| d[..count].iter().fold(0, |sum, digit| sum * 10 + n(*digit));
    let lengths: &[usize] = match (first(1), first(2), first(3), first(4), first(6)) {
        (4, ..) => &[13, 16, 19],
        (_, 51..=55, ..) | (_, _, _, 2221..=2720, _) => &[16],
        (_, 34 | 37, ..) => &[15],
        (_, _, 300..=305 | 309, ..) | (_, 36 | 38 | 39, ..) => &[14, 16, 19],
        (_, _, _, 3528..=3589, _) => &[16, 19],
        (_, _, _, 1800 | 2131, _) => &[15],
        (_, _, _, 6011, _) | (_, 65, ..) | (_, _, 644..=649, ..) => &[16, 19],
        (_, 62 | 81, ..) => &[16, 17, 18, 19],
        (_, 50 | 56..=58 | 60 | 63 | 67, ..) => &[13, 15, 16, 19],
        _ => &[],
    };
    lengths.contains(&d.len()) && luhn(d) && d.iter().any(|digit| *digit != d[0])
}

/// Maestro has cards of twelve digits, too short for the rule above.
pub(super) fn is_short_card(d: &[u8]) -> bool {
    matches!(two(d), 50 | 56..=58 | 60 | 63 | 67) && luhn(d)
}

/// SSA: no area 000, 666 or 9xx, no group 00, no serial 0000; not one of the numbers printed in advertisements.
pub(super) fn is_ssn(d: &[u8]) -> bool {
    let area = &d[..3];
    !(area == b"000" || area == b"666" || area[0] == b'9' || &d[3..5] == b"00" || &d[5..] == b"0000")
        && d != b"078051120"
        && d != b"219099999"
        && d.iter().any(|digit| *digit != d[0])
}

/// IRS: 9xx, group 50–65, 70–88, 90–92, 94–99.
pub(super) fn is_itin(d: &[u8]) -> bool {
    d[0] == b'9' && matches!(two(&d[3..]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

pub(super) fn is_mbi(id: &[u8]) -> bool {
    id[0] != b'0' && id.iter().all(|byte| !b"SLOIBZ".contains(byte))
}

pub(super) fn is_npi(d: &[u8]) -> bool {
    let mut prefixed = *b"80840\0\0\0\0\0\0\0\0\0\0";
    prefixed[5..].copy_from_slice(d);
    matches!(d[0], b'1' | b'2') && luhn(&prefixed)
}

pub(super) fn is_dea(id: &[u8]) -> bool {
    let d = &id[2..];
    (n(d[0]) + n(d[2]) + n(d[4]) + 2 * (n(d[1]) + n(d[3]) + n(d[5]))) % 10 == n(d[6])
        && b"ABCDEFGHJKLMNPRSTUX".contains(&id[0])
        // The second is of the name, or 9 for a business.
        && (id[1].is_ascii_alphabetic() || id[1] == b'9')
}

pub(super) fn is_aba(d: &[u8]) -> bool {
    matches!(two(d), 0..=12 | 21..=32 | 61..=72 | 80)
        && weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && d != b"000000000"
}

pub(super) fn is_nhs(d: &[u8]) -> bool {
    let check = 11 - weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check % 11 == n(d[9]) && check != 10
}

pub(super) fn is_nino(id: &[u8]) -> bool {
    !b"DFIQUV".contains(&id[0])
        && !b"DFIQUVO".contains(&id[1])
        && ![*b"BG", *b"GB", *b"NK", *b"KN", *b"TN", *b"NT", *b"ZZ"].contains(&[id[0], id[1]])
        && (b'A'..=b'D').contains(&id[8])
}

/// One digit of the first ten stands twice or thrice, and the check digit is ISO 7064 MOD 11,10.
pub(super) fn is_de_tax(d: &[u8]) -> bool {
    let mut seen = [0; 10];
    d[..10].iter().for_each(|digit| seen[n(*digit) as usize] += 1);
    d[0] != b'0' && seen.iter().any(|count| matches!(count, 2 | 3)) && mod_11_10(d)
}

pub(super) fn is_rvnr(id: &[u8]) -> bool {
    let letter = u32::from(id[8] - b'A') + 1;
    let mut digits = [0; 12];
    digits[..8].copy_from_slice(&id[..8]);
    digits[8] = b'0' + (letter / 10) as u8;
    digits[9] = b'0' + (letter % 10) as u8;
    digits[10..].copy_from_slice(&id[9..11]);
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 =
        digits.iter().zip(weights).map(|(digit, weight)| n(*digit) * weight).map(|p| p / 10 + p % 10).sum();
    sum % 10 == n(id[11])
}

pub(super) fn is_ahv(d: &[u8]) -> bool {
    d.starts_with(b"756") && weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Sex, year, month (or 20–42, 50+ for oddities), department with Corsica's 2A and 2B, key 97 − n mod 97.
pub(super) fn is_nir(id: &[u8]) -> bool {
    if id.len() != 15 {
        return false;
    }
    let mut d = [0; 15];
    d.copy_from_slice(id);
    match (id[5], id[6]) {
        (_, b'0'..=b'9') => {}
        (b'2', b'A') => d[5..7].copy_from_slice(b"19"),
        (b'2', b'B') => d[5..7].copy_from_slice(b"18"),
        _ => return false,
    }
    matches!(d[0], b'1'..=b'4' | b'7' | b'8')
        && d.iter().all(u8::is_ascii_digit)
        && matches!(two(&d[3..]), 1..=12 | 20..=42 | 50..=99)
        && 97 - remainder(&d[..13], 97) == u64::from(two(&d[13..]))
}

pub(super) fn is_be_nrn(d: &[u8]) -> bool {
    let check = u64::from(two(&d[9..]));
    let old = 97 - remainder(&d[..9], 97);
    let mut since_2000 = *b"2\0\0\0\0\0\0\0\0\0";
    since_2000[1..].copy_from_slice(&d[..9]);
    old == check || 97 - remainder(&since_2000, 97) == check
}

pub(super) fn is_bsn(d: &[u8]) -> bool {
    (weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) + n(d[8]) * 10).is_multiple_of(11) && d != b"000000000"
}

pub(super) fn es_letter(digits: &[u8], letter: u8) -> bool {
    b"TRWAGMYFPDXBNJZSQVHLCKE"[remainder(digits, 23) as usize] == letter
}

pub(super) fn is_nie(id: &[u8]) -> bool {
    let Some(lead) = b"XYZ".iter().position(|letter| *letter == id[0]) else { return false };
    let mut d = [b'0' + lead as u8; 8];
    d[1..].copy_from_slice(&id[1..8]);
    es_letter(&d, id[8])
}

pub(super) fn is_pt_nif(d: &[u8]) -> bool {
    let rest = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == n(d[8])
}

/// Odd places by a table of their own, even places by value, sum mod 26 (Decreto 23.12.1976).
pub(super) fn is_fiscal_code(id: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let index = |byte: u8| if byte.is_ascii_digit() { n(byte) } else { u32::from(byte - b'A') };
    let sum: u32 = id[..15]
        .iter()
        .enumerate()
        .map(|(i, byte)| if i % 2 == 0 { ODD[index(*byte) as usize] } else { index(*byte) })
        .sum();
    b"ABCDEHLMPRST".contains(&id[8]) && sum % 26 == u32::from(id[15] - b'A')
}

pub(super) fn is_pesel(d: &[u8]) -> bool {
    weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10) && (1..=31).contains(&two(&d[4..]))
}

pub(super) fn is_personnummer(d: &[u8]) -> bool {
    let d = if d.len() == 12 { &d[2..] } else { d };
    let day = two(&d[4..]);
    (1..=12).contains(&two(&d[2..])) && matches!(day, 1..=31 | 61..=91) && luhn(d)
}

pub(super) fn is_hetu(id: &[u8]) -> bool {
    const CHECK: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (serial, check, sign) = match id.len() {
        10 => (&id[6..9], id[9], b'-'),
        _ => (&id[7..10], id[10], id[6]),
    };
    if !is_day_month(id) || !b"-ABCDEFUVWXY".contains(&sign) {
        return false;
    }
    let mut d = [0; 9];
    d[..6].copy_from_slice(&id[..6]);
    d[6..].copy_from_slice(serial);
    CHECK[remainder(&d, 31) as usize] == check
}

pub(super) fn is_fnr(d: &[u8]) -> bool {
    weighted(d, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

pub(super) fn is_cnp(d: &[u8]) -> bool {
    let check = weighted(d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    is_month_day(&d[3..7]) && (if check == 10 { 1 } else { check }) == n(d[12])
}

pub(super) fn is_tckn(d: &[u8]) -> bool {
    let odd: u32 = [0, 2, 4, 6, 8].map(|i| n(d[i])).iter().sum();
    let even: u32 = [1, 3, 5, 7].map(|i| n(d[i])).iter().sum();
    let all: u32 = d[..10].iter().map(|digit| n(*digit)).sum();
    d[0] != b'0' && (odd * 7 + 100 - even) % 10 == n(d[9]) && all % 10 == n(d[10])
}

pub(super) fn is_nric(id: &[u8]) -> bool {
    let sum = weighted(&id[1..8], &[2, 7, 6, 5, 4, 3, 2]);
    let expected = match id[0] {
        b'S' => b"JZIHGFEDCBA"[(sum % 11) as usize],
        b'T' => b"JZIHGFEDCBA"[((sum + 4) % 11) as usize],
        b'F' => b"XWUTRQPNMLK"[(sum % 11) as usize],
        b'G' => b"XWUTRQPNMLK"[((sum + 4) % 11) as usize],
        b'M' => b"KLJNPQRTUWX"[(10 - (sum + 3) % 11) as usize],
        _ => return false,
    };
    expected == id[8]
}

pub(super) fn is_cn_id(id: &[u8]) -> bool {
    let sum = weighted(&id[..17], &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    matches!(&id[6..8], b"19" | b"20")
        && is_month_day(&id[10..14])
        && b"10X98765432"[(sum % 11) as usize] == id[17]
}

/// Numbers given out since October 2020 have no check digit, so that dates and sex digit must do.
pub(super) fn is_rrn(d: &[u8]) -> bool {
    is_month_day(&d[2..6]) && matches!(d[6], b'1'..=b'4')
}

pub(super) fn is_thai(d: &[u8]) -> bool {
    let sum = weighted(d, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    matches!(d[0], b'1'..=b'8') && (11 - sum % 11) % 10 == n(d[12])
}

pub(super) fn is_hkid(id: &[u8]) -> bool {
    let sum = 36 * 9 + (u32::from(id[0] - b'A') + 10) * 8 + weighted(&id[1..7], &[7, 6, 5, 4, 3, 2]);
    match (11 - sum % 11) % 11 {
        10 => id[7] == b'A',
        check => check == n(id[7]),
    }
}

pub(super) fn is_tw_id(id: &[u8]) -> bool {
    const LETTERS: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some(index) = LETTERS.iter().position(|letter| *letter == id[0]) else { return false };
    let lead = index as u32 + 10;
    matches!(id[1], b'1' | b'2' | b'8' | b'9')
        && (lead / 10 + lead % 10 * 9 + weighted(&id[1..], &[8, 7, 6, 5, 4, 3, 2, 1, 1])).is_multiple_of(10)
}

pub(super) fn is_my_number(d: &[u8]) -> bool {
    let rest = weighted(d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == n(d[11])
}

pub(super) fn is_abn(d: &[u8]) -> bool {
    d[0] != b'0' && (weighted(d, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10).is_multiple_of(89)
}

pub(super) fn is_au_medicare(d: &[u8]) -> bool {
    matches!(d[0], b'2'..=b'6') && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == n(d[8])
}

pub(super) fn is_cpf(d: &[u8]) -> bool {
    let check = |count: usize| {
        let sum: u32 =
            d[..count].iter().enumerate().map(|(i, digit)| n(*digit) * (count + 1 - i) as u32).sum();
        sum * 10 % 11 % 10 == n(d[count])
    };
    d.iter().any(|digit| *digit != d[0]) && check(9) && check(10)
}

/// The form of 2026 has letters too, each worth its ASCII code less 48 (Receita Federal, IN 2.229/2024).
pub(super) fn is_cnpj(id: &[u8]) -> bool {
    let check = |count: usize| {
        let sum: u32 = (0..count).map(|i| u32::from(id[i] - b'0') * (2 + (count - 1 - i) as u32 % 8)).sum();
        let rest = sum % 11;
        (if rest < 2 { 0 } else { 11 - rest }) == n(id[count])
    };
    id.iter().any(|byte| *byte != id[0]) && check(12) && check(13)
}

pub(super) fn is_curp(id: &[u8]) -> bool {
    // RENAPO's alphabet has Ñ between N and O, so letters after N count one more.
    let index = |byte: u8| match byte {
        b'0'..=b'9' => n(byte),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte - b'A') + 11,
    };
    let sum: u32 = id[..17].iter().enumerate().map(|(i, byte)| index(*byte) * (18 - i as u32)).sum();
    is_month_day(&id[6..10]) && matches!(id[10], b'H' | b'M' | b'X') && (10 - sum % 10) % 10 == n(id[17])
}

pub(super) fn is_clabe(d: &[u8]) -> bool {
    let sum: u32 =
        d[..17].iter().zip([3, 7, 1].iter().cycle()).map(|(digit, weight)| n(*digit) * weight % 10).sum();
    (10 - sum % 10) % 10 == n(d[17])
}

pub(super) fn is_rut(id: &[u8]) -> bool {
    let Some((check, body)) = id.split_last() else { return false };
    if !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = body.iter().rev().enumerate().map(|(i, digit)| n(*digit) * (2 + i as u32 % 6)).sum();
    match 11 - sum % 11 {
        11 => *check == b'0',
        10 => *check == b'K',
        rest => n(*check) == rest,
    }
}

/// Check digit in place nine (49 CFR 565), which also keeps out most other codes of 17 symbols.
pub(super) fn is_vin(id: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let mut sum = 0;
    for (byte, weight) in id.iter().zip(WEIGHTS) {
        let value = match byte {
            b'0'..=b'9' => n(*byte),
            b'I' | b'O' | b'Q' => return false,
            b'A'..=b'H' => u32::from(byte - b'A') + 1,
            b'J'..=b'R' => u32::from(byte - b'J') + 1,
            b'S'..=b'Z' => u32::from(byte - b'S') + 2,
            _ => return false,
        };
        sum += value * weight;
    }
    let letters = id.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    (2..=15).contains(&letters) && (if sum % 11 == 10 { b'X' } else { b'0' + (sum % 11) as u8 }) == id[8]
}
