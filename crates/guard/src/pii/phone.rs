//! Telephone numbers: international with `+`, North American, and the usual national forms of Europe.

use super::{is_other_number, labelled_score, shape::starts_at};
use crate::{
    candidate::{Candidate, PII, Proof},
    window::{LABEL_LEFT, Labels, Window},
};

/// E.164 allows 15 digits; two zeros may stand for the plus sign.
const DIGITS_MAX: usize = 17;
/// How near a label must stand before digits that have no form of their own, in bytes: `telephone number: `.
const CLOSE: usize = 16;
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
    "your number",
    "my number",
    "new number",
    "number on file",
    "office:",
    "office]",
    "home:",
    "home]",
    "work:",
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
    /// The first separator is a dash or slash and the others are spaces: `070-123 45 94`.
    is_area_apart: bool,
    /// Which group stands in brackets.
    bracket: Option<usize>,
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
    let is_length = if d[0] == b'1' { d.len() == 11 } else { (8..=15).contains(&d.len()) };
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
    if d.len() < DIGITS_MIN {
        return;
    }
    let end = written.ends[written.group_count - 1];
    let groups = &written.groups[..written.group_count];
    if is_telling(&written, start < i) && !is_other_number(window, start) {
        // A label does not decide here, but any other reading of the digits that has one is better.
        match window.label_distance(start, end, &LABELS) {
            Some(distance) => push(window, start, end, labelled_score(distance), Proof::Labelled, out),
            None => push(window, start, end, 0.75, Proof::Shape, out),
        }
        return;
    }
    let is_trunk = d[0] == b'0' && d.get(1).is_some_and(|digit| *digit != b'0');
    // A whole field of eleven digits from a trunk zero on is a mobile number; shorter ones are too many other things.
    if is_trunk && matches!(groups, [11]) && window.is_lone(start, end) {
        push(window, start, end, 0.7, Proof::Labelled, out);
        return;
    }
    let is_plausible = match groups {
        [7..=9] => false,
        [10] | [11] => {
            is_trunk
                || is_nanp(d)
                || (d.len() == 11 && d[0] == b'1' && is_nanp(&d[1..]))
                || d[0] >= b'6'
                || is_code(d)
        }
        [12] | [13] => is_code(d) && d[0] != b'1',
        [_] => is_abroad(d),
        _ => {
            (7..=13).contains(&d.len())
                // Decimals and versions.
                && (written.separator != b'.' || groups.len() > 2)
                && (groups.iter().all(|group| *group >= 2) || written.bracket.is_some() || d[0] == b'0')
                && !is_date(groups)
                && !is_national_id(groups)
                && !is_range(&written)
                && !(start < i && groups[0] == 4 && matches!(&d[..2], b"19" | b"20"))
        }
    };
    let distance = if is_plausible { window.label_distance(start, end, &LABELS) } else { None };
    if let Some(distance) = distance.filter(|_| !is_other_number(window, start)) {
        push(window, start, end, labelled_score(distance), Proof::Labelled, out);
    } else if matches!(groups, [7..=11]) && is_called(window, start) {
        // Hardly a form: any other reading of the digits is better.
        push(window, start, end, 0.6, Proof::Shape, out);
    }
}

/// Fewer digits are no number that one could call from elsewhere.
const DIGITS_MIN: usize = 7;

/// Whether a label stands right before the digits, and no other number between.
fn is_called(window: &Window, start: usize) -> bool {
    window
        .label_left(start, LABEL_LEFT, &LABELS)
        .is_some_and(|far| far <= CLOSE && !window.slice(start - far, start).iter().any(u8::is_ascii_digit))
}

/// North American: neither area nor exchange begins with 0 or 1, and no area is a service (N11).
fn is_nanp(d: &[u8]) -> bool {
    d.len() == 10 && d[0] >= b'2' && d[3] >= b'2' && &d[1..3] != b"11"
}

/// Two zeros for the plus sign.
fn is_abroad(d: &[u8]) -> bool {
    d.starts_with(b"00")
        && d.len() > 4
        && is_code(&d[2..])
        && if d[2] == b'1' { d.len() == 13 } else { (11..=DIGITS_MAX).contains(&d.len()) }
}

/// Whether the way the digits are grouped says that they are a telephone number.
fn is_telling(written: &Written, begins_bracketed: bool) -> bool {
    let d = &written.digits[..written.count];
    let groups = &written.groups[..written.group_count];
    if groups.len() < 2 || is_date(groups) || is_national_id(groups) || is_range(written) {
        return false;
    }
    let is_clause = written.separator == b'.' && written.has_mixed_separators;
    let is_north_american = !is_clause
        && match groups {
            [3, 3, 4] => is_nanp(d),
            [1, 3, 3, 4] => d[0] == b'1' && is_nanp(&d[1..]),
            _ => false,
        };
    // A trunk zero and an area, then the number in groups; which, every country has its own way.
    let is_trunk = d[0] == b'0' && d[1] != b'0' && (!written.has_mixed_separators || written.is_area_apart);
    let is_national = is_trunk
        && (9..=12).contains(&d.len())
        && match groups {
            [1, rest @ ..] => rest.len() >= 2 && rest.iter().all(|group| *group >= 2) || rest == [3, 7],
            // Area and number: the area tells which.
            [2, 7 | 8] => matches!(written.separator, b'-' | b'/' | b')'),
            [3, 6..=8] => matches!(written.separator, b' ' | b'/' | b'-' | b')'),
            [2, _] => false,
            _ => groups.iter().all(|group| *group >= 2) && written.separator != b'.' || groups.len() == 5,
        };
    // Brackets around an area code, maybe after the country's or a trunk eight; not around a year.
    let area = if begins_bracketed && written.separator == b')' {
        Some(0)
    } else {
        written.bracket.filter(|group| *group == 1 && groups[0] <= 3)
    };
    let is_bracketed = area.is_some_and(|area| {
        let after: usize = groups[area + 1..].iter().sum();
        let from: usize = groups[..area].iter().sum();
        let is_year = groups[area] == 4 && matches!(&d[from..from + 2], b"19" | b"20");
        (1..=5).contains(&groups[area])
            && (6..=9).contains(&after)
            && (8..=13).contains(&d.len())
            && !is_year
            && groups[area + 1..].iter().all(|group| *group >= 2)
    });
    // Russia's trunk eight; China, Brazil, Korea: the last four after a dash, an area before a space.
    let is_eight = d[0] == b'8' && matches!(groups, [1, 3, 3, 2, 2]);
    let is_split = written.has_mixed_separators
        && written.separator == b' '
        && matches!(groups, [2 | 3, 3..=5, 4])
        && (9..=11).contains(&d.len());
    is_north_american || is_national || is_bracketed || is_eight || is_split || is_abroad(d)
}

fn is_date(groups: &[usize]) -> bool {
    matches!(groups, [4, 2, 2, ..] | [2, 2, 4] | [1, 2, 4])
}

/// `2007-2022`, and the long form of a ZIP code: `02110-1301`.
fn is_range(written: &Written) -> bool {
    let d = &written.digits[..written.count];
    match &written.groups[..written.group_count] {
        [4, 4] => {
            written.separator == b'-' && matches!(&d[..2], b"19" | b"20") && matches!(&d[4..6], b"19" | b"20")
        }
        [5, 4] => written.separator == b'-',
        _ => false,
    }
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
        is_area_apart: false,
        bracket: None,
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
        if separator == b'(' {
            written.bracket = Some(written.group_count);
        }
        if written.separator == 0 {
            written.separator = separator;
            written.is_area_apart = matches!(separator, b'-' | b'/');
        } else if written.separator != separator && !matches!(separator, b'(' | b')') {
            written.has_mixed_separators = true;
        }
        if written.group_count > 1 {
            written.is_area_apart &= separator == b' ';
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
