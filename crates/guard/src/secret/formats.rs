//! Credentials known by the file or the address that they stand in: `.netrc`, htpasswd, signed and secret URLs.

use super::is_placeholder;
use crate::{
    candidate::{Candidate, Proof, SECRETS},
    window::{LOOKBACK, Window, is_alnum, is_hex, is_value_byte},
};

/// `login NAME password WORD` is as long as this before the word.
const NETRC_LEFT: usize = 80;
/// Of a webhook's host and path; Power Automate's are the longest.
const WEBHOOK_MAX: usize = 400;

fn push(start: usize, end: usize, label: &'static str, proof: Proof, out: &mut Vec<Candidate>) {
    out.push(Candidate { start, end, kind: SECRETS, label, score: 0.95, proof });
}

/// `i` is a trigger inside the word after `password` in `machine HOST login NAME password WORD`.
pub(super) fn netrc(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let start = window.run_back(i, LOOKBACK, is_value_byte);
    let gap = window.run_back(start, 4, |byte| byte.is_ascii_whitespace());
    if gap == start || !window.slice(0, gap).ends_with(b"password") {
        return;
    }
    let left = window.slice(gap.saturating_sub(NETRC_LEFT), gap - b"password".len());
    let mut words = left.rsplit(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let has_login = words.next().is_some() && words.next() == Some(b"login");
    let end = window.run(start, LOOKBACK, is_value_byte);
    let word = window.slice(start, end);
    if has_login && (4..LOOKBACK).contains(&word.len()) && !is_placeholder(word) {
        push(start, end, "netrc", Proof::Labelled, out);
    }
}

/// `i` is the first digit or `A` of a hash as htpasswd and crypt(3) write them: `$2y$10$…`, `$apr1$…`, `$6$…`, `{SHA}…`.
pub(super) fn password_hash(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    // What marks the kind, where the trigger stands in it, and how long the hash is without it.
    const KINDS: [(&[u8], usize, usize, usize); 9] = [
        (b"$2y$", 1, 56, 56),
        (b"$2a$", 1, 56, 56),
        (b"$2b$", 1, 56, 56),
        (b"$apr1$", 4, 24, 31),
        (b"$1$", 1, 24, 31),
        (b"$5$", 1, 45, 80),
        (b"$6$", 1, 88, 125),
        (b"$argon2id$", 6, 60, 160),
        (b"{SHA}", 3, 28, 28),
    ];
    let kind = KINDS.iter().find(|(mark, at, ..)| i >= *at && window.starts_with(i - at, mark));
    let Some((mark, at, min, max)) = kind else { return };
    let start = i - at;
    let body = start + mark.len();
    let set = |byte: u8| byte.is_ascii_alphanumeric() || b"./$+=,".contains(&byte);
    let mut end = window.run(body, max + 1, set);
    if end - body > *max && window.at(body + max) != b'.' && window.at(body + max) != b',' {
        return;
    }
    end = end.min(body + max);
    if end - body >= *min && !is_alnum(window.before(start)) {
        push(start, end, "password_hash", Proof::Checked, out);
    }
}

/// `i` is the equals sign of `sig=` in a URL that Azure has signed: 32 bytes in base64, percent signs for its marks.
pub(super) fn signature(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    if i < 4 || window.slice(i - 3, i) != b"sig" || !matches!(window.before(i - 3), b'&' | b'?' | b';' | b'"')
    {
        return;
    }
    let start = i + 1;
    let end = window.run(start, 140, |byte| byte.is_ascii_alphanumeric() || b"%+/=-_".contains(&byte));
    let text = window.slice(start, end);
    let escapes = text.iter().filter(|byte| **byte == b'%').count();
    // 43 symbols, and one of padding or none; made-up ones are about as long.
    if (40..=48).contains(&(text.len() - 2 * escapes.min(text.len() / 3))) {
        push(start, end, "azure_sas", Proof::Checked, out);
    }
}

/// `i` is the colon of `://`. Addresses to which whoever knows them may post: Teams, in their old and new form.
pub(super) fn webhook(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    if window.slice(i.saturating_sub(5), i) != b"https" {
        return;
    }
    let host = i + 3;
    let host_end = window.run(host, 100, |byte| is_alnum(byte) || matches!(byte, b'-' | b'.'));
    let name = window.slice(host, host_end);
    let is_teams = name.ends_with(b".webhook.office.com") && window.starts_with(host_end, b"/webhookb2/");
    let is_flow = name.ends_with(b".logic.azure.com") && window.starts_with(host_end, b":443/workflows/")
        || name.ends_with(b".logic.azure.com") && window.starts_with(host_end, b"/workflows/");
    if !is_teams && !is_flow {
        return;
    }
    let end = window.run(host_end, WEBHOOK_MAX, |byte| is_alnum(byte) || b"-_/.@?=&%:".contains(&byte));
    let has_identifier = window.slice(host_end, end).iter().filter(|byte| is_hex(**byte)).count() >= 32;
    if has_identifier {
        push(i - 5, end, "teams_webhook", Proof::CheckedAndLabelled, out);
    }
}

/// `i` is the first digit of a word of letters and digits that starts at `start`: keys with their mark at the end.
pub(super) fn marked_at_end(window: &Window, start: usize, out: &mut Vec<Candidate>) {
    let end = window.run(start, 85, is_alnum);
    let word = window.slice(start, end);
    let label = match word.len() {
        // Azure DevOps, since 2024: `AZDO` and four symbols of a checksum.
        84 if &word[76..80] == b"AZDO" => "azure_devops",
        // New Relic's licence keys.
        40 if word.ends_with(b"NRAL") && word[..36].iter().all(u8::is_ascii_hexdigit) => "newrelic",
        _ => return,
    };
    push(start, end, label, Proof::CheckedAndLabelled, out);
}
