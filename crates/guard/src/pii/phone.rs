//! Telephone numbers: international with `+`, North American, and the usual national forms of Europe.

use super::{is_other_number, shape::starts_at};
use crate::{
    candidate::{Candidate, PII, Proof},
    window::{Labels, Window},
};

/// E.164 allows 15 digits.
const DIGITS_MAX: usize = 15;
const GROUPS_MAX: usize = 7;

static LABELS: Labels = Labels::new(&[
    "phone",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "cellphone",
    "fax",
    "call",
    "whatsapp",
    "sms",
    "contact",
    "ring",
    "dial",
    "hotline",
    "telefon",
    "handy",
    "mobil",
    "téléphone",
    "portable",
    "teléfono",
    "móvil",
    "telefono",
    "cellulare",
    "phones",
    "text",
    "handynummer",
    "rufnummer",
    "numéro",
    "celular",
    "telefone",
    "telemóvel",
    "telefoon",
    "telepono",
    "telefonnummer",
    "mobilnummer",
    "mobiltelefon",
    "puhelin",
    "cep",
    "gsm",
    "viber",
    "телефон",
    "тел",
    "моб",
    "电话",
    "手机",
    "電話",
    "携帯",
    "전화",
    "휴대폰",
    "هاتف",
    "फ़ोन",
    "reach",
]);

/// Country calling codes of two digits; 1 and 7 have one, all others three (ITU-T E.164 list).
const TWO_DIGIT_CODES: &[u8] = &[
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58,
    60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

/// A number as it is written: its digits and how they are grouped.
struct Written {
    digits: [u8; DIGITS_MAX],
    count: usize,
    groups: [usize; GROUPS_MAX],
    group_count: usize,
    /// End after each group.
    ends: [usize; GROUPS_MAX],
    separator: u8,
    has_mixed_separators: bool,
}

/// The digit at `i` follows no letter or digit.
pub(super) fn at(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let before = window.before(i);
    if before == b'+' {
        if !window.before(i - 1).is_ascii_alphanumeric() {
            international(window, i, out);
        }
        return;
    }
    let start = if before == b'(' { i - 1 } else { i };
    if before == b'(' && i >= 3 && window.before(i - 1) == b' ' && window.before(i - 2).is_ascii_digit() {
        // "+1 (212) …": found from its start.
        return;
    }
    if starts_at(window, start) && window.at(i).is_ascii_digit() {
        national(window, start, i, out);
    }
}

fn international(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let Some(written) = read(window, i) else { return };
    let d = &written.digits[..written.count];
    let is_length = if d[0] == b'1' { d.len() == 11 } else { (8..=DIGITS_MAX).contains(&d.len()) };
    if is_code(d) && is_length {
        push(window, i - 1, written.ends[written.group_count - 1], 0.95, Proof::Checked, out);
    }
}

/// Whether the digits begin with a country calling code.
fn is_code(d: &[u8]) -> bool {
    let two = (d[0] - b'0') * 10 + d.get(1).map_or(0, |digit| digit - b'0');
    d[0] != b'0'
        && (matches!(d[0], b'1' | b'7')
            || TWO_DIGIT_CODES.contains(&two)
            || matches!(
                two,
                21..=29 | 35 | 37 | 38 | 42 | 50 | 59 | 67 | 68 | 69 | 80 | 85 | 87 | 88 | 96 | 97 | 99
            ))
}

fn national(window: &Window, start: usize, i: usize, out: &mut Vec<Candidate>) {
    let Some(written) = read(window, i) else { return };
    let d = &written.digits[..written.count];
    let end = written.ends[written.group_count - 1];
    let groups = &written.groups[..written.group_count];
    let nanp = |d: &[u8]| d.len() == 10 && d[0] >= b'2' && d[3] >= b'2' && &d[1..3] != b"11";
    let is_nanp = match groups {
        [3, 3, 4] => nanp(d),
        [1, 3, 3, 4] => d[0] == b'1' && nanp(&d[1..]),
        _ => false,
    };
    // France 0D DD DD DD DD; Britain and Germany 0 + area + number in two or three groups.
    let is_trunk =
        d[0] == b'0' && d.get(1).is_some_and(|digit| *digit != b'0') && !written.has_mixed_separators;
    let is_european = is_trunk
        && match groups {
            [2, 2, 2, 2, 2] => true,
            [3, 4, 4] | [4, 3, 4] | [4, 3, 3] | [5, 3, 3] => d.len() >= 10,
            // Turkey; Japan and Australia; the same with the trunk digit apart.
            [4, 3, 2, 2] | [1, 3, 3, 2, 2] | [1, 3, 3, 4] | [1, 3, 7] | [2, 4, 4] | [3, 3, 4] => true,
            [5, 6] | [5, 5] | [4, 7] | [5, 7] | [4, 6] => true,
            [3, 6..=8] => matches!(written.separator, b' ' | b'/' | b'-'),
            [2, 7 | 8] => matches!(written.separator, b'-' | b'/' | b')'),
            _ => false,
        };
    // Brackets around an area code: Brazil, Mexico, Argentina.
    let is_bracketed = start < i
        && matches!(groups, [2, 4 | 5, 4] | [2, 8 | 9] | [3, 7] | [2..=5, 3..=4, 3..=4])
        && (10..=11).contains(&d.len());
    if (is_nanp || is_european || is_bracketed) && !is_other_number(window, start) {
        let is_plain = written.separator == b' ' && window.before(start) != b'(' && start == i;
        let proof = if is_plain { Proof::Shape } else { Proof::Labelled };
        push(window, start, end, 0.75, proof, out);
        return;
    }
    let is_plausible = match groups {
        [7] | [8] | [9] => false,
        [10] | [11] => {
            is_trunk
                || nanp(d)
                || (d.len() == 11 && d[0] == b'1' && nanp(&d[1..]))
                || d[0] >= b'6'
                || is_code(d)
        }
        [12] | [13] => is_code(d),
        _ => {
            (7..=13).contains(&d.len())
                && groups.len() >= 2
                && groups.iter().all(|group| *group >= 2)
                && !is_date(groups)
                && !is_national_id(groups)
        }
    };
    // A whole field of eleven digits from a trunk zero on is a mobile number; shorter ones are too many other things.
    let is_field = is_trunk && matches!(groups, [11]) && window.is_lone(start, end);
    if is_field || is_plausible && window.has_label(start, end, &LABELS) && !is_other_number(window, start) {
        push(window, start, end, 0.7, Proof::Labelled, out);
    }
}

fn is_date(groups: &[usize]) -> bool {
    matches!(groups, [4, 2, 2, ..] | [2, 2, 4] | [1, 2, 4])
}

/// The groups of US social security numbers and Korean resident numbers; a telephone may be spoken of close by.
fn is_national_id(groups: &[usize]) -> bool {
    matches!(groups, [3, 2, 4] | [6, 7])
}

/// Reads groups of digits from `i` on, up to what cannot belong to a telephone number.
fn read(window: &Window, i: usize) -> Option<Written> {
    let mut written = Written {
        digits: [0; DIGITS_MAX],
        count: 0,
        groups: [0; GROUPS_MAX],
        group_count: 0,
        ends: [0; GROUPS_MAX],
        separator: 0,
        has_mixed_separators: false,
    };
    let mut at = i;
    loop {
        let from = at;
        while window.at(at).is_ascii_digit() {
            *written.digits.get_mut(written.count)? = window.at(at);
            written.count += 1;
            at += 1;
        }
        if at == from {
            break;
        }
        *written.groups.get_mut(written.group_count)? = at - from;
        written.ends[written.group_count] = at;
        written.group_count += 1;
        let Some((next, separator)) = gap(window, at) else { break };
        if written.separator == 0 {
            written.separator = separator;
        } else if written.separator != separator && !matches!(separator, b'(' | b')') {
            written.has_mixed_separators = true;
        }
        at = next;
    }
    let end = *written.ends.get(written.group_count.checked_sub(1)?)?;
    let is_end = match window.at(end) {
        byte if byte.is_ascii_alphabetic() => byte == b'x' && window.at(end + 1).is_ascii_digit(),
        b'_' | b'@' | b'%' => false,
        b'-' | b'/' | b':' | b'.' | b',' => !window.at(end + 1).is_ascii_digit() || window.at(end) == b',',
        _ => true,
    };
    is_end.then_some(written)
}

/// The separator between two groups, if digits follow it: a space, dash, dot, slash, or brackets around a group.
fn gap(window: &Window, i: usize) -> Option<(usize, u8)> {
    let digit = |k: usize| window.at(k).is_ascii_digit();
    match window.at(i) {
        b' ' if digit(i + 1) => Some((i + 1, b' ')),
        b' ' if window.at(i + 1) == b'(' && digit(i + 2) => Some((i + 2, b'(')),
        byte @ (b'-' | b'.' | b'/') if digit(i + 1) => Some((i + 1, byte)),
        b'(' if digit(i + 1) => Some((i + 1, b'(')),
        b')' if digit(i + 1) => Some((i + 1, b')')),
        b')' if matches!(window.at(i + 1), b' ' | b'-') && digit(i + 2) => Some((i + 2, b')')),
        _ => None,
    }
}

/// Takes an extension (`x123`, ` ext. 45`) along.
fn push(window: &Window, start: usize, end: usize, score: f32, proof: Proof, out: &mut Vec<Candidate>) {
    let mut end = end;
    for mark in [&b"x"[..], b" x", b" ext. ", b" ext "] {
        if window.starts_with(end, mark) {
            let digits = window.run(end + mark.len(), 6, |byte| byte.is_ascii_digit());
            if (1..=5).contains(&(digits - end - mark.len())) {
                end = digits;
                break;
            }
        }
    }
    out.push(Candidate { start, end, kind: PII, label: "PHONE_NUMBER", score, proof });
}
