//! Text inside text: what a run of symbols says once it is decoded or read aloud.
//!
//! [`forms`] has the codecs as functions of plain bytes; this module finds runs at the bytes that wake detectors, and
//! `spelled.rs` those without such a byte. The scanner looks at what comes out with the text to the left before it, and
//! what it finds there stands for the run: for all of it where symbols mix the bytes of several characters (base64,
//! hex), else for the part that says it. Runs are followed for [`ENCODED_MAX`] bytes; of a longer one the first so many
//! are decoded. A stream holds an encoded run back until it ends, as it does an open-ended secret, and no longer than
//! that bound.

pub(crate) mod forms;
pub(crate) mod spelled;

use std::ops::Range;

use crate::{
    trigger::is_trigger,
    window::{LOOKBACK, Window, is_alnum, is_hex},
};

/// The longest run that is decoded, in bytes: three thousand bytes of base64, of which a stream has to hold all.
pub(crate) const ENCODED_MAX: usize = 4096;

/// How often what was decoded is decoded again.
pub(crate) const DEPTH_MAX: u8 = 2;

/// Shorter runs hide nothing: nine bytes in base64, eight in hex.
const BASE64_MIN: usize = 12;
const HEX_MIN: usize = 16;
/// So many symbols show whether a run is encoded text.
const HEAD: usize = 16;
/// Single characters with a gap after each, as few as the shortest number has digits.
const SPACED_MIN: usize = 7;
const SPACED_MAX: usize = 80;
/// A printed number has no more groups than an IBAN.
const GROUPS_MAX: usize = 10;

/// A run and what it says.
pub(crate) struct Decoded {
    pub(crate) span: Range<usize>,
    pub(crate) text: String,
    /// For each byte of `text`, where what says it starts, and at last the end; empty where the whole run says all.
    starts: Vec<usize>,
    /// Nobody writes it so by chance. Other runs are tables and lists more often than numbers in disguise.
    pub(crate) is_sure: bool,
}

impl Decoded {
    /// The part of the run that says the bytes `part` of the text.
    pub(crate) fn said_by(&self, part: Range<usize>) -> Range<usize> {
        match (self.starts.get(part.start), self.starts.get(part.end)) {
            (Some(start), Some(end)) => *start..*end,
            _ => self.span.clone(),
        }
    }
}

/// Text under way, with what says each byte.
#[derive(Default)]
struct Spelling {
    text: String,
    starts: Vec<usize>,
}

impl Spelling {
    fn push(&mut self, c: char, start: usize) {
        self.text.push(c);
        self.starts.resize(self.text.len(), start);
    }

    fn end(mut self, span: Range<usize>, is_sure: bool) -> Decoded {
        self.starts.push(span.end);
        Decoded { span, text: self.text, starts: self.starts, is_sure }
    }
}

/// Appends the runs whose first trigger is the byte at `i`.
pub(crate) fn at(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    match window.bytes()[i] {
        b'%' => out.extend(percent(window, i)),
        b'&' => out.extend(entities(window, i)),
        b'\\' => out.extend(escapes(window, i)),
        b'0'..=b'9' | b'A' | b'J' | b'-' | b'_' | b'=' => {
            symbols(window, i, out);
            hex_pairs(window, i, out);
            spaced(window, i, out);
            groups(window, i, out);
        }
        b'@' => {
            spaced(window, i, out);
            out.extend(spelled::address(window, i));
        }
        _ => {}
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_~+@".contains(&byte)
}

/// `ann%40example.com`, `%34%31…`
fn percent(window: &Window, i: usize) -> Option<Decoded> {
    let is_escape =
        |at: usize| window.at(at) == b'%' && is_hex(window.at(at + 1)) && is_hex(window.at(at + 2));
    let start = window.run_back(i, LOOKBACK, is_plain);
    // The run began before, at another escape.
    if !is_escape(i) || window.before(start) == b'%' {
        return None;
    }
    let mut bytes = Vec::new();
    let mut starts = Vec::new();
    let mut at = start;
    while at < start + ENCODED_MAX {
        if is_escape(at) {
            bytes.extend(forms::hex(&[window.at(at + 1), window.at(at + 2)]).unwrap_or_default());
        } else if is_plain(window.at(at)) {
            bytes.push(window.at(at));
        } else {
            break;
        }
        starts.push(at);
        at += if window.at(at) == b'%' { 3 } else { 1 };
    }
    starts.push(at);
    Some(Decoded { span: start..at, text: String::from_utf8(bytes).ok()?, starts, is_sure: true })
}

/// `ann&#64;example&period;com`
fn entities(window: &Window, i: usize) -> Option<Decoded> {
    forms::entity(|k| window.at(i + k))?;
    let start = window.run_back(i, LOOKBACK, is_plain);
    if window.before(start) == b';' && window.slice(start.saturating_sub(10), start).contains(&b'&') {
        return None;
    }
    let mut spelling = Spelling::default();
    let mut at = start;
    while at < start + ENCODED_MAX {
        if let Some((c, len)) = forms::entity(|k| window.at(at + k)) {
            spelling.push(c, at);
            at += len;
        } else if is_plain(window.at(at)) {
            spelling.push(char::from(window.at(at)), at);
            at += 1;
        } else {
            break;
        }
    }
    Some(spelling.end(start..at, true))
}

/// `\u0061\u006e\x6e`
fn escapes(window: &Window, i: usize) -> Option<Decoded> {
    forms::escape(|k| window.at(i + k))?;
    let start = window.run_back(i, LOOKBACK, is_plain);
    if window.before(start) == b'\\' && matches!(window.at(start), b'u' | b'x' | b'U') {
        return None;
    }
    // `\n` before an escape is no part of the word.
    let start = if window.before(start) == b'\\' { start + 1 } else { start };
    let mut spelling = Spelling::default();
    let mut at = start;
    while at < start + ENCODED_MAX {
        if let Some((c, len)) = forms::escape(|k| window.at(at + k)) {
            spelling.push(c, at);
            at += len;
        } else if is_plain(window.at(at)) || window.at(at) == b' ' && window.at(at + 1) == b'\\' {
            spelling.push(char::from(window.at(at)), at);
            at += 1;
        } else {
            break;
        }
    }
    Some(spelling.end(start.min(i)..at, true))
}

/// Base64 in both alphabets, base32 and hex: a word that says nothing itself.
fn symbols(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let is_url = matches!(window.at(i), b'-' | b'_');
    let set: fn(u8) -> bool = if is_url { is_url_symbol } else { is_symbol };
    let mut start = window.run_back(i, LOOKBACK, set);
    let head = window.slice(start, i);
    if set(window.before(start)) || head.iter().any(|byte| is_trigger(*byte)) {
        return;
    }
    // `path/symbols`: the last part may be what is encoded.
    for _ in 0..2 {
        // Most words that are not encoded give themselves away at once, and need not be followed.
        let head = window.run(start, HEAD, set);
        if head - start >= BASE64_MIN && is_encoded(window.slice(start, head)) {
            let whole = window.run(start, ENCODED_MAX, set);
            let end = window.run(whole, 6, |byte| byte == b'=');
            let text = decode_symbols(window.slice(start, whole)).and_then(forms::readable);
            out.extend(text.map(|text| Decoded {
                span: start..end,
                text,
                starts: Vec::new(),
                is_sure: true,
            }));
            return;
        }
        let Some(slash) = window.slice(start, i).iter().rposition(|byte| *byte == b'/') else { return };
        start += slash + 1;
    }
}

/// Whether symbols that begin so may be text in one of the encodings.
fn is_encoded(head: &[u8]) -> bool {
    let is_text = |bytes: Option<Vec<u8>>| bytes.is_some_and(|bytes| forms::begins_readable(&bytes));
    let bare = head.strip_prefix(b"0x").unwrap_or(head);
    is_text(forms::base64(&head[..8]))
        || is_text(forms::hex(&bare[..bare.len() / 2 * 2]))
        || is_text(forms::base32(&head[..8]))
}

fn decode_symbols(run: &[u8]) -> Option<Vec<u8>> {
    let bare = run.strip_prefix(b"0x").unwrap_or(run);
    if bare.len() >= HEX_MIN && bare.len().is_multiple_of(2) && bare.iter().all(u8::is_ascii_hexdigit) {
        return forms::hex(bare);
    }
    let run = if run.len() >= ENCODED_MAX { &run[..run.len() / 4 * 4] } else { run };
    let is_base32 = run.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    let text = |bytes: Option<Vec<u8>>| bytes.filter(|bytes| forms::begins_readable(bytes));
    text(forms::base64(run)).or_else(|| if is_base32 { text(forms::base32(run)) } else { None })
}

fn is_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn is_url_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// `61 6e 6e 40`: the code of a readable character begins with a digit, so that each pair wakes this.
fn hex_pairs(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let mark = window.at(i + 2);
    let is_pair = |at: usize| {
        matches!(window.at(at), b'2'..=b'7') && is_hex(window.at(at + 1)) && !is_alnum(window.at(at + 2))
    };
    if !matches!(mark, b' ' | b':' | b'-' | b',') || is_alnum(window.before(i)) || !is_pair(i) {
        return;
    }
    if window.before(i) == mark && i >= 3 && is_hex(window.before(i - 1)) && is_pair(i - 3) {
        return;
    }
    let mut bytes = Vec::new();
    let mut at = i;
    while is_pair(at) && bytes.len() < ENCODED_MAX / 3 {
        bytes.extend(forms::hex(&[window.at(at), window.at(at + 1)]).unwrap_or_default());
        at += 3;
        if window.at(at - 1) != mark {
            break;
        }
    }
    let says_more = bytes.iter().any(|byte| !byte.is_ascii_digit() || *byte < b'4');
    if bytes.len() >= HEX_MIN / 2
        && says_more
        && let Some(text) = forms::readable(bytes)
    {
        out.push(Decoded { span: i..at - 1, text, starts: Vec::new(), is_sure: false });
    }
}

/// `4 1 1 1 …`, `a.n.n.@…`: single characters with the same gap after each.
fn spaced(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let gap = window.at(i + 1);
    if !is_gap(gap) || is_gap(window.at(i)) {
        return;
    }
    let mut start = i;
    // A stream holds single characters between spaces; of a character with something else at it, only digits.
    let is_apart = |at: usize| gap != b' ' || matches!(window.before(at), b' ' | b'\n' | 0);
    while start >= 2
        && i - start < LOOKBACK
        && window.before(start) == gap
        && is_single(window, start - 2, gap)
        && (is_apart(start - 2) || window.at(start - 2).is_ascii_digit())
    {
        start -= 2;
        // The run was found from that character.
        if matches!(window.at(start), b'0'..=b'9' | b'A' | b'J' | b'@') {
            return;
        }
    }
    if start == i && is_alnum(window.before(i)) {
        return;
    }
    let mut spelling = Spelling::default();
    let mut at = start;
    let mut end = start;
    while spelling.text.len() < SPACED_MAX && is_single(window, at, gap) {
        spelling.push(char::from(window.at(at)), at);
        end = at + 1;
        at = window.run(
            end,
            3,
            match gap {
                b' ' => |byte| byte == b' ',
                b'.' => |byte| byte == b'.',
                b'-' => |byte| byte == b'-',
                _ => |byte| byte == b'_',
            },
        );
        if at == end {
            break;
        }
    }
    if spelling.text.len() < SPACED_MIN {
        return;
    }
    // A number may be followed by a word of one letter.
    let digits = spelling.text.bytes().take_while(u8::is_ascii_digit).count();
    if digits >= SPACED_MIN && digits < spelling.text.len() {
        let part =
            Spelling { text: spelling.text[..digits].to_owned(), starts: spelling.starts[..digits].to_vec() };
        let end = part.starts.last().map_or(start, |last| last + 1);
        out.push(part.end(start..end, false));
    }
    out.push(spelling.end(start..end, false));
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'.' | b'-' | b'_')
}

/// A character that stands alone at `at`.
fn is_single(window: &Window, at: usize, gap: u8) -> bool {
    let byte = window.at(at);
    byte.is_ascii_graphic()
        && byte != gap
        && !is_alnum(window.at(at + 1))
        && (at == 0 || !is_alnum(window.before(at)))
}

/// `4111_1111_1111_1111`, `123 . 45 . 6789`: groups of digits with gaps that no identifier is printed with.
fn groups(window: &Window, i: usize, out: &mut Vec<Decoded>) {
    let before = window.before(i);
    // Where a group with a mark of its own stands before, the run began there.
    let goes_on =
        |mark: u8| is_group_mark(mark) && mark != b' ' && i >= 2 && window.before(i - 1).is_ascii_digit();
    if !window.at(i).is_ascii_digit() || is_alnum(before) || goes_on(before) {
        return;
    }
    let mut spelling = Spelling::default();
    let (mut at, mut count, mut is_odd, mut end) = (i, 0, false, i);
    let mut first_gap = None;
    while count < GROUPS_MAX {
        let stop = window.run(at, 20, |byte| byte.is_ascii_digit());
        if stop == at {
            break;
        }
        if count > 0 {
            spelling.push(' ', end);
        }
        (at..stop).for_each(|k| spelling.push(char::from(window.at(k)), k));
        count += 1;
        end = stop;
        let next = window.run(stop, 4, is_group_mark);
        let gap = window.slice(stop, next);
        if gap.is_empty() || !window.at(next).is_ascii_digit() || is_list(gap) {
            break;
        }
        is_odd |= !matches!(gap, b" " | b"-" | b".") || *first_gap.get_or_insert(gap) != gap || gap == b".";
        at = next;
    }
    let digits = spelling.text.len() + 1 - count;
    if count >= 2 && is_odd && (8..=19).contains(&digits) && !is_alnum(window.at(end)) {
        out.push(spelling.end(i..end, false));
    }
}

fn is_group_mark(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'_' | b'/' | b'*' | b'|' | b',')
}

/// Numbers in a list have a comma and a space between them.
fn is_list(gap: &[u8]) -> bool {
    matches!(gap, b", " | b". ")
}
