//! Personal data that has a shape: addresses, numbers, identifiers. Names and places need a model and are not here.
//!
//! A new identifier is one row in `numbers.rs` and its check; only shapes with a grammar of their own have a file.

mod check;
mod email;
mod finance;
mod network;
mod numbers;
mod phone;
mod shape;
mod top_level;

use std::cmp::Reverse;

use crate::{
    candidate::{Candidate, PII, Proof},
    window::{LABEL_LEFT, Labels, Window, is_digit},
};
use numbers::{ROWS, Trust};
use shape::{Class, Shape, starts_at};

/// The longest run of digits or letters that an identifier begins with.
const LEAD_MAX: usize = 22;

/// The longest run of letters before the first digit of a value: addresses of cryptocurrencies have 44 symbols.
const WORD_MAX: usize = 44;

/// So many letters may stand apart before the digits of an identifier.
const LETTERS_MAX: usize = 4;

/// Words that say a number is something else; they stand close to the left of it.
static OTHER_NUMBERS: Labels = Labels::new(&[
    "order",
    "invoice",
    "inv",
    "isbn",
    "tracking",
    "version",
    "ticket",
    "ref",
    "timestamp",
    "build",
    "issue",
    "commit",
    "port",
    "rows",
    "serial",
    "sku",
    "part",
    "batch",
    "lot",
    "epoch",
    "bytes",
    "pid",
    "request",
]);

/// How far back such a word counts, in bytes: nearer than a label does.
const OTHER_NUMBERS_LEFT: usize = 20;

pub(crate) struct Detectors {
    shapes: Vec<(usize, Shape)>,
    /// Which shapes begin with so many digits and go on with such a class.
    by_digits: Vec<ByClass>,
    /// Which shapes begin with so many letters and go on with such a class.
    by_letters: Vec<ByClass>,
}

type ByClass = [Vec<u16>; Class::ALL.len()];

impl Detectors {
    pub(crate) fn new() -> Detectors {
        let mut shapes: Vec<(usize, Shape)> = Vec::new();
        for (row, entry) in ROWS.iter().enumerate() {
            shapes.extend(
                entry.shapes.iter().flat_map(|pattern| Shape::expand(pattern)).map(|shape| (row, shape)),
            );
        }
        let mut by_digits: Vec<ByClass> = vec![ByClass::default(); LEAD_MAX + 1];
        let mut by_letters: Vec<ByClass> = vec![ByClass::default(); LEAD_MAX + 1];
        for (i, (_, shape)) in shapes.iter().enumerate() {
            // A shape that starts with `X` may start with either, in any number.
            let digits_first = !shape.starts_with_letter;
            let letters_first = shape.starts_with_letter || shape.lead == 0;
            for lead in 1..=LEAD_MAX {
                if lead != shape.lead && !(shape.lead_is_open && lead >= shape.lead) {
                    continue;
                }
                for class in Class::ALL.into_iter().filter(|class| shape.goes_on(lead, *class)) {
                    if digits_first {
                        by_digits[lead][class as usize].push(i as u16);
                    }
                    if letters_first {
                        by_letters[lead][class as usize].push(i as u16);
                    }
                }
            }
        }
        Detectors { shapes, by_digits, by_letters }
    }

    /// The digit at `i` follows no digit.
    pub(crate) fn at_digit(&self, window: &Window, i: usize, out: &mut Vec<Candidate>) {
        let start = window.run_back(i, WORD_MAX + 1, u8_is_letter);
        if i - start > WORD_MAX || window.before(start).is_ascii_digit() {
            return;
        }
        if start == i {
            phone::at(window, i, out);
        }
        if !starts_at(window, start) {
            // "HH-LD2107"
            self.plate(window, start, out);
            return;
        }
        if start == i {
            let digits = window.run(i, LEAD_MAX + 1, is_digit) - i;
            network::ipv4(window, i, digits, out);
            finance::crypto(window, i, out);
            self.identifiers(window, i, digits, &self.by_digits, out);
            // Spaced identifiers may begin with letters of their own: "JS 70 40 71 B", "APP 456CV".
            if window.before(i) == b' ' && i >= 2 {
                self.lettered(window, i - 1, out);
            }
        } else {
            finance::iban(window, start, out);
            finance::crypto(window, start, out);
            self.identifiers(window, start, i - start, &self.by_letters, out);
        }
    }

    /// A letter and a dash before digits: "Z-0032796-A". Such an identifier starts before the dash.
    pub(crate) fn at_dash(&self, window: &Window, i: usize, out: &mut Vec<Candidate>) {
        if i >= 1 && window.at(i + 1).is_ascii_digit() {
            self.lettered(window, i, out);
        }
        network::mac(window, i, out);
    }

    /// Identifiers whose first letters end before the separator at `gap`.
    fn lettered(&self, window: &Window, gap: usize, out: &mut Vec<Candidate>) {
        let start = window.run_back(gap, LETTERS_MAX + 1, u8_is_letter);
        if (1..=LETTERS_MAX).contains(&(gap - start)) && starts_at(window, start) {
            self.identifiers(window, start, gap - start, &self.by_letters, out);
        } else if gap - start <= LETTERS_MAX {
            self.plate(window, start, out);
        }
    }

    /// Identifiers of letters, a dash, and more letters that start at `middle`: "HH-LD 2107".
    fn plate(&self, window: &Window, middle: usize, out: &mut Vec<Candidate>) {
        if window.before(middle) != b'-' {
            return;
        }
        let start = window.run_back(middle - 1, LETTERS_MAX + 1, u8_is_letter);
        let letters = middle - 1 - start;
        if (1..=LETTERS_MAX).contains(&letters) && starts_at(window, start) {
            self.identifiers(window, start, letters, &self.by_letters, out);
        }
    }

    pub(crate) fn at_colon(&self, window: &Window, i: usize, out: &mut Vec<Candidate>) {
        network::mac(window, i, out);
        network::ipv6(window, i, out);
    }

    pub(crate) fn at_dot(&self, window: &Window, i: usize, out: &mut Vec<Candidate>) {
        network::mac_dotted(window, i, out);
    }

    pub(crate) fn at_sign(&self, window: &Window, i: usize, out: &mut Vec<Candidate>) {
        email::at(window, i, out);
    }

    fn identifiers(
        &self,
        window: &Window,
        start: usize,
        lead: usize,
        by_lead: &[ByClass],
        out: &mut Vec<Candidate>,
    ) {
        let Some(by_class) = by_lead.get(lead) else { return };
        let shapes = &by_class[Class::of(window.at(start + lead)) as usize];
        let first = out.len();
        // How near the label of each proposal from `first` on stands.
        let mut distances: Vec<usize> = Vec::new();
        if shapes.is_empty() {
            return;
        }
        let second = window.run(start + lead + 1, LEAD_MAX, is_digit) - (start + lead + 1);
        for &index in shapes {
            let (row, shape) = &self.shapes[usize::from(index)];
            if !shape.has_second(lead, second) {
                continue;
            }
            let row = &ROWS[*row];
            let Some((end, compact)) = shape.matches(window, start) else { continue };
            let symbols = compact.as_bytes();
            if !(row.is_valid)(symbols) || symbols.iter().all(|symbol| *symbol == symbols[0]) {
                continue;
            }
            let is_sure = match row.trust {
                Trust::Alone => !compact.has_lower && (row.is_checked || !is_other_number(window, start)),
                Trust::Separated => compact.has_separator && !is_other_number(window, start),
                Trust::Labelled | Trust::Beside => false,
            };
            let distance = match row.trust {
                Trust::Beside => window
                    .label_left(start, LABEL_LEFT, &row.labels)
                    .filter(|far| !window.slice(start - far, start).iter().any(u8::is_ascii_digit)),
                _ => window.label_distance(start, end, &row.labels),
            };
            // Nine or ten digits pass the check of some country or other more often than not.
            let is_telling = compact.has_separator || compact.as_bytes().len() > 10 || shape.has_letter;
            // Letters, digits and gaps as a register prints them are no other field.
            let is_printed = compact.has_separator && shape.has_letter;
            let is_field = (row.is_checked && is_telling || is_printed) && window.is_lone(start, end);
            if !is_sure && distance.is_none() && !is_field {
                continue;
            }
            let (proof, score) = match (row.is_checked, distance.is_some()) {
                (true, true) => (Proof::CheckedAndLabelled, 1.0),
                (true, false) => (Proof::Checked, 0.9),
                (false, true) => (Proof::Labelled, labelled_score(distance.unwrap_or(LABEL_LEFT))),
                (false, false) => (Proof::Shape, 0.6),
            };
            let distance = distance.unwrap_or(usize::MAX);
            // Several rows may claim the same text: the better proof, then the nearer label, then the earlier row.
            let same = out[first..].iter().position(|other| other.start == start && other.end == end);
            match same {
                Some(n) if (out[first + n].proof, Reverse(distances[n])) >= (proof, Reverse(distance)) => {}
                Some(n) => {
                    let other = &mut out[first + n];
                    (other.label, other.proof, other.score) = (row.label, proof, score);
                    distances[n] = distance;
                }
                None => {
                    out.push(Candidate { start, end, kind: PII, label: row.label, score, proof });
                    distances.push(distance);
                }
            }
        }
    }
}

/// Whether the number at `start` is said, in its line, to be one of the kinds that are nobody's.
fn is_other_number(window: &Window, start: usize) -> bool {
    window
        .label_left(start, OTHER_NUMBERS_LEFT, &OTHER_NUMBERS)
        .is_some_and(|far| !window.slice(start - far, start).contains(&b'\n'))
}

/// How sure a label makes that a form is what it seems: the nearer the surer, which also settles which of two is meant.
fn labelled_score(distance: usize) -> f32 {
    0.88 - 0.001 * distance.min(LABEL_LEFT) as f32
}

fn u8_is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}
