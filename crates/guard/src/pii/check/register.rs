//! Further registers of persons, businesses, vehicles and documents.

use super::{is_day_month, is_month_day, n, two};
use crate::checksum::{remainder, weighted};

/// Prefixes that the IRS gives out to its campuses (Internal Revenue Manual 21.7.13).
pub(in crate::pii) fn is_ein(d: &[u8]) -> bool {
    !matches!(two(d), 0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97)
}

/// Five of the surname filled up with nines, the decade, month (women + 50), day, year, initials, and three more.
pub(in crate::pii) fn is_uk_licence(id: &[u8]) -> bool {
    let letters = id[..5].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let month = two(&id[6..]) % 50;
    let is_initial = |byte: u8| byte.is_ascii_alphabetic() || byte == b'9';
    letters > 0
        && id[letters..5].iter().all(|byte| *byte == b'9')
        && (1..=12).contains(&month)
        && two(&id[6..]) < 63
        && (1..=31).contains(&two(&id[8..]))
        && is_initial(id[11])
        && is_initial(id[12])
}

/// The inward part ends with two letters that are none of C, I, K, M, O, V (Royal Mail, PAF programmers' guide).
pub(in crate::pii) fn is_postcode(id: &[u8]) -> bool {
    id[id.len() - 2..].iter().all(|byte| !b"CIKMOV".contains(byte)) && !b"QVX".contains(&id[0])
}

/// DVLA, INF104: two letters, the half-year (02–29, 51–79) and three letters; or the styles before 2001 with one letter
/// for the year. None has I or Q among its letters, nor I, O, Q, U, Z for the year.
pub(in crate::pii) fn is_uk_plate(id: &[u8]) -> bool {
    let is_year = |letter: u8| !b"IOQUZ".contains(&letter);
    let has_letters = id.iter().all(|byte| !matches!(byte, b'I' | b'Q'));
    has_letters
        && match id {
            [_, b'A'..=b'Z', tens @ b'0'..=b'9', ones, ..] => {
                matches!(two(&[*tens, *ones]), 2..=29 | 51..=79)
            }
            [year, b'0'..=b'9', ..] => is_year(*year),
            _ => id.last().is_some_and(|year| is_year(*year)),
        }
}

pub(in crate::pii) fn is_utr(d: &[u8]) -> bool {
    b"21987654321"[(weighted(&d[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11) as usize] == d[0]
}

pub(in crate::pii) fn is_uk_vat(d: &[u8]) -> bool {
    let sum = weighted(d, &[8, 7, 6, 5, 4, 3, 2]) + two(&d[7..]);
    // HMRC gives numbers out in three ranges, whose sums differ by 42 and 55.
    [0, 42, 55].iter().any(|range| (sum + range).is_multiple_of(97))
}

pub(in crate::pii) fn is_ppsn(id: &[u8]) -> bool {
    let second = id.get(8).map_or(0, |letter| u32::from(letter - b'A') + 1);
    let sum = weighted(id, &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    b"WABCDEFGHIJKLMNOPQRSTUV"[(sum % 23) as usize] == id[7]
}

/// Serial numbers have no vowels and no letters that look like digits; the first tells the kind of document.
pub(in crate::pii) fn is_german_document(id: &[u8], firsts: &[u8]) -> bool {
    firsts.contains(&id[0])
        && id.iter().all(|byte| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte))
}

/// The letter as two digits, weights 1 and 2 by turns, digits of products added up (GKV, Anlage 1).
pub(in crate::pii) fn is_kvnr(id: &[u8]) -> bool {
    let letter = u32::from(id[0] - b'A') + 1;
    let digits = [letter / 10, letter % 10].into_iter().chain(id[1..9].iter().map(|byte| n(*byte)));
    let sum: u32 = digits.zip([1, 2].into_iter().cycle()).map(|(d, w)| d * w).map(|p| p / 10 + p % 10).sum();
    sum % 10 == n(id[9])
}

/// Weights 4 and 9 by turns over six digits; the seventh fills up to ten (KBV).
pub(in crate::pii) fn is_lanr(d: &[u8]) -> bool {
    (10 - weighted(&d[..6], &[4, 9, 4, 9, 4, 9]) % 10) % 10 == n(d[6])
}

pub(in crate::pii) fn is_svnr(d: &[u8]) -> bool {
    let sum = weighted(d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    d[0] != b'0' && sum % 11 == n(d[3]) && (1..=31).contains(&two(&d[4..]))
}

/// Digits in odd places doubled, their digits added up; the control is a digit or a letter by kind of entity.
pub(in crate::pii) fn is_cif(id: &[u8]) -> bool {
    if !b"ABCDEFGHJNPQRSUVW".contains(&id[0]) {
        return false;
    }
    let sum: u32 = id[1..8]
        .iter()
        .enumerate()
        .map(|(i, byte)| if i % 2 == 0 { n(*byte) * 2 / 10 + n(*byte) * 2 % 10 } else { n(*byte) })
        .sum();
    let control = (10 - sum % 10) % 10;
    id[8] == b'0' + control as u8 || id[8] == b"JABCDEFGHI"[control as usize]
}

pub(in crate::pii) fn is_kennitala(d: &[u8]) -> bool {
    is_day_month(d) && weighted(d, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Estonia and Lithuania: two rounds of weights, mod 11.
pub(in crate::pii) fn is_baltic(d: &[u8]) -> bool {
    let check = match weighted(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11 {
        10 => weighted(d, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10,
        check => check,
    };
    is_month_day(&d[3..]) && check == n(d[10])
}

pub(in crate::pii) fn is_latvian(d: &[u8]) -> bool {
    let sum = weighted(d, &[1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    d.starts_with(b"32") || (1101 - sum) % 11 % 10 == n(d[10]) && is_day_month(d)
}

pub(in crate::pii) fn is_polish_card(id: &[u8]) -> bool {
    let letters = id[..3].iter().zip([7, 3, 1]).map(|(byte, weight)| (u32::from(byte - b'A') + 10) * weight);
    let sum: u32 = letters.sum::<u32>() + weighted(&id[4..], &[7, 3, 1, 7, 3]);
    sum % 10 == n(id[3])
}

/// Slovenia's EMŠO and the numbers of the other states that used one register.
pub(in crate::pii) fn is_jmbg(d: &[u8]) -> bool {
    let rest = weighted(d, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    is_day_month(d) && (11 - rest) % 11 % 10 == n(d[12])
}

pub(in crate::pii) fn is_inn(d: &[u8]) -> bool {
    let check = |weights: &[u32]| weighted(&d[..weights.len()], weights) % 11 % 10 == n(d[weights.len()]);
    match d.len() {
        10 => check(&[2, 4, 10, 3, 5, 9, 4, 6, 8]),
        _ => check(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) && check(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]),
    }
}

pub(in crate::pii) fn is_snils(d: &[u8]) -> bool {
    weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100 == two(&d[9..])
}

pub(in crate::pii) fn is_rnokpp(d: &[u8]) -> bool {
    let sum = weighted(&d[1..9], &[5, 7, 9, 4, 6, 10, 5, 7]) + 11 - n(d[0]);
    sum % 11 % 10 == n(d[9])
}

/// Codes of states and union territories on plates and licences.
pub(in crate::pii) fn is_indian_state(id: &[u8]) -> bool {
    const STATES: &[u8] = b"ANAPARASBRCGCHDDDLDNGAGJHPHRJHJKKAKLLALDMHMLMNMPMZNLODORPBPYRJSKTNTRTSUKUPWB";
    STATES.chunks(2).any(|state| id.starts_with(state))
}

pub(in crate::pii) fn is_iranian(d: &[u8]) -> bool {
    let rest = weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    d.iter().any(|digit| *digit != d[0]) && (if rest < 2 { rest } else { 11 - rest }) == n(d[9])
}

/// Businesses, local companies (with the year), and other entities with the year of issue and the kind.
pub(in crate::pii) fn is_uen(id: &[u8]) -> bool {
    let alphabet: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWX0123456789";
    match id.len() {
        9 => b"XMKECAWLJDB"[(weighted(id, &[10, 4, 9, 3, 8, 2, 7, 1]) % 11) as usize] == id[8],
        _ if id[0].is_ascii_digit() => {
            (18..=20).contains(&two(id))
                && b"ZKCMDNERGWH"[(weighted(id, &[10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11) as usize] == id[9]
        }
        _ => {
            let value = |byte: u8| alphabet.iter().position(|known| *known == byte).unwrap_or(0) as u32;
            let sum: u32 = id[..9]
                .iter()
                .zip([4, 3, 5, 3, 10, 2, 2, 5, 7])
                .map(|(byte, weight)| value(*byte) * weight)
                .sum();
            b"TSR".contains(&id[0]) && alphabet.get(((sum + 11 - 5) % 11) as usize) == Some(&id[9])
        }
    }
}

/// Residents and foreigners have one sum with different tops.
pub(in crate::pii) fn is_korean(d: &[u8], top: u32) -> bool {
    let sum = weighted(d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
    (top - sum % 11) % 10 == n(d[12])
}

pub(in crate::pii) fn is_kr_business(d: &[u8]) -> bool {
    let sum = weighted(d, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + n(d[8]) * 5 / 10;
    (10 - sum % 10) % 10 == n(d[9])
}

/// The day of women has forty added.
pub(in crate::pii) fn is_nik_date(d: &[u8]) -> bool {
    matches!(two(d), 1..=31 | 41..=71) && (1..=12).contains(&two(&d[2..]))
}

pub(in crate::pii) fn is_cbu(d: &[u8]) -> bool {
    let check = |d: &[u8], weights: &[u32]| {
        (10 - weighted(&d[..weights.len()], weights) % 10) % 10 == n(d[weights.len()])
    };
    check(d, &[7, 1, 3, 9, 7, 1, 3]) && check(&d[8..], &[3, 9, 7, 1, 3, 9, 7, 1, 3, 9, 7, 1, 3])
}

/// Inland Revenue: two rounds of weights, mod 11; numbers lie between ten and a hundred and fifty million.
pub(in crate::pii) fn is_ird(d: &[u8]) -> bool {
    let mut padded = *b"000000000";
    padded[9 - d.len()..].copy_from_slice(d);
    let check = |weights: &[u32]| match weighted(&padded[..8], weights) % 11 {
        0 => 0,
        rest => 11 - rest,
    };
    let check = match check(&[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => check(&[7, 4, 3, 2, 5, 2, 7, 6]),
        check => check,
    };
    check == n(padded[8]) && padded[0] < b'2' && padded[..2] != *b"00"
}

/// CUIT and CUIL: a check of ten becomes nine (AFIP, with another prefix).
pub(in crate::pii) fn is_cuit(d: &[u8]) -> bool {
    let check = (11 - weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    matches!(two(d), 20 | 23..=27 | 30 | 33 | 34 | 50 | 51 | 55) && check.min(9) == n(d[10])
}

/// Year, month (women + 50, since 2004 also + 20) and day; the whole is a multiple of eleven, or the first nine are ten
/// over one.
pub(in crate::pii) fn is_rodne_cislo(d: &[u8]) -> bool {
    let month = two(&d[2..]) % 50;
    matches!(month, 1..=12 | 21..=32)
        && (1..=31).contains(&two(&d[4..]))
        && (remainder(d, 11) == 0 || remainder(&d[..9], 11) == 10 && d[9] == b'0')
}

pub(in crate::pii) fn is_nit(d: &[u8]) -> bool {
    let rest = weighted(d, &[41, 37, 29, 23, 19, 17, 13, 7, 3]) % 11;
    (if rest < 2 { rest } else { 11 - rest }) == n(d[9])
}

pub(in crate::pii) fn is_ruc(d: &[u8]) -> bool {
    (11 - weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 10 == n(d[10])
}

/// Day, month and year in any of the usual orders.
pub(in crate::pii) fn is_birthday(d: &[u8]) -> bool {
    let is_year = |y: &[u8]| matches!(two(y), 19 | 20);
    match d.len() {
        8 if is_year(d) => is_month_day(&d[4..]),
        8 => is_year(&d[4..]) && (is_month_day(d) || is_day_month(d)),
        6 | 7 if d.len() == 6 && !is_year(&d[2..]) => is_month_day(d) || is_day_month(d),
        len => is_year(&d[len - 4..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass() {
        assert!(is_kvnr(b"A123456780"));
        assert!(is_uk_vat(b"980780684"));
        assert!(is_ppsn(b"6433435F"));
        assert!(is_baltic(b"37605030299"));
        assert!(is_kennitala(b"4504012150") || is_kennitala(b"1201743399"));
        assert!(is_cif(b"A58818501"));
        assert!(is_inn(b"7707083893"));
        assert!(is_snils(b"11223344595"));
        assert!(is_polish_card(b"ABA300000"));
        assert!(is_jmbg(b"0101006500006"));
        assert!(is_kr_business(b"2208162517"));
        assert!(is_iranian(b"0013542419"));
        assert!(is_nit(b"2131234321"));
        assert!(is_ruc(b"20512333797"));
        assert!(is_ird(b"49091850") && is_ird(b"136410132"));
        assert!(is_cuit(b"20055361682"));
        assert!(is_rodne_cislo(b"7103192745"));
        assert!(is_cbu(b"2850590940090418135201"));
    }
}
