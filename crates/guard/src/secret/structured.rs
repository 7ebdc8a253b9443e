//! Credentials known by their structure: JSON web tokens, private keys, passwords in URLs, dotted bot tokens.

use super::{SECRET_MAX, is_placeholder, table::Set};
use crate::{
    candidate::{Candidate, Proof, SECRETS},
    window::{LOOKBACK, Window, is_alnum, is_digit, is_hex},
};

/// The part of a URL before its path; host names end at 253 bytes.
const AUTHORITY_MAX: usize = 320;
/// The name before the password; `scanner::TRIGGER_LEFT` rests on it.
const USER_MAX: usize = 64;
/// `-----BEGIN ENCRYPTED PRIVATE KEY-----` has a name of 21 bytes.
const PEM_NAME_MAX: usize = 40;
/// Headers of JSON web tokens are short; one with a certificate chain may take more and is then not looked into.
const JWT_HEADER_MAX: usize = 2048;

fn push(start: usize, end: usize, label: &'static str, score: f32, out: &mut Vec<Candidate>) {
    out.push(Candidate { start, end, kind: SECRETS, label, score, proof: Proof::CheckedAndLabelled });
}

fn is_url_symbol(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// `i` is the `J` of `eyJ`, the base64 of `{"`.
pub(super) fn jwt(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    if i < 2 || window.slice(i - 2, i) != b"ey" {
        return;
    }
    let start = i - 2;
    let before = window.before(start);
    if is_url_symbol(before) || before == b'.' {
        return;
    }
    let header_end = window.run(start, JWT_HEADER_MAX, is_url_symbol);
    if window.at(header_end) != b'.' || !has_algorithm(window.slice(start, header_end)) {
        return;
    }
    // Three parts when signed, five when encrypted. What is too long is taken up to the bound.
    let mut end = header_end;
    let mut parts = 1;
    while parts < 5 && window.at(end) == b'.' && (parts < 2 || is_url_symbol(window.at(end + 1))) {
        let stop = window.run(end + 1, SECRET_MAX - (end + 1 - start), is_url_symbol);
        parts += 1;
        end = stop;
        if end - start >= SECRET_MAX {
            break;
        }
    }
    if parts >= 2 && end - header_end > 10 {
        push(start, end, "jwt", 1.0, out);
    }
}

/// Whether base64url text decodes to JSON that names an algorithm.
fn has_algorithm(header: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(header.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in header {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
        }
    }
    serde_json::from_slice::<serde_json::Value>(&decoded).is_ok_and(|json| json.get("alg").is_some())
}

/// `i` is a dash. Takes a private key from its first line to its last.
pub(super) fn pem(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    if window.before(i) == b'-' || !window.starts_with(i, b"-----BEGIN ") {
        return;
    }
    let name = i + 11;
    let name_end = window
        .run(name, PEM_NAME_MAX, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let text = window.slice(name, name_end);
    let is_private = text.ends_with(b"PRIVATE KEY") || text.ends_with(b"PRIVATE KEY BLOCK");
    if !is_private || !window.starts_with(name_end, b"-----") {
        return;
    }
    let limit = i + SECRET_MAX;
    let mut at = name_end + 5;
    let mut end = at;
    let mut has_body = false;
    while at < limit {
        let next = skip_breaks(window, at, limit);
        if window.starts_with(next, b"-----END ") {
            let stop = window.run(next + 9, PEM_NAME_MAX, |byte| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
            });
            end = if window.starts_with(stop, b"-----") { stop + 5 } else { stop };
            has_body = true;
            break;
        }
        let stop = window.run(next, limit.saturating_sub(next), Set::Base64.contains());
        let is_header = !has_body && matches!(window.at(stop), b':' | b'-');
        if is_header {
            // `Proc-Type: 4,ENCRYPTED`, `Version: …`: the whole line.
            let line = window.run(stop, 100, |byte| !matches!(byte, b'\n' | b'\\' | 0));
            at = line;
            end = line;
            continue;
        }
        // Without a last line, the key ends where lines are no longer long: prose has no words of 24 letters. A last,
        // shorter line counts when the end mark follows.
        let is_last_line = || window.starts_with(skip_breaks(window, stop, limit), b"-----END ");
        if stop - next < 24 && !(stop > next && is_last_line()) {
            break;
        }
        has_body = true;
        at = stop;
        end = stop;
    }
    if has_body {
        push(i, end.min(limit), "rsa_pem", 1.0, out);
    }
}

/// Skips white space and its escaped forms (`\n`, `\r`), as keys in JSON have them.
fn skip_breaks(window: &Window, i: usize, limit: usize) -> usize {
    let mut at = i;
    while at < limit {
        match window.at(at) {
            b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            b'\\' if matches!(window.at(at + 1), b'n' | b'r' | b'\\') => at += 2,
            _ => break,
        }
    }
    at
}

/// `i` is the colon of `://`. The password is the secret; user and host stay readable.
pub(super) fn url(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let scheme = window.slice(window.run_back(i, 20, |byte| byte.is_ascii_alphanumeric() || byte == b'+'), i);
    if scheme.is_empty() {
        return;
    }
    let start = i + 3;
    let stop =
        window.run(start, AUTHORITY_MAX, |byte| byte > b' ' && byte < 0x7F && !b"/\"'<>`\\".contains(&byte));
    let authority = window.slice(start, stop);
    let Some(at) = authority.iter().rposition(|byte| *byte == b'@') else { return };
    let user = &authority[..at.min(USER_MAX)];
    let Some(colon) = user.iter().position(|byte| *byte == b':') else { return };
    let password = &authority[colon + 1..at];
    if password.len() < 3 || is_placeholder(password) || is_word(password) || authority.len() == at + 1 {
        return;
    }
    let label = match scheme {
        s if s.starts_with(b"postgres") => "postgres_url",
        s if s.starts_with(b"mysql") || s.starts_with(b"mariadb") => "mysql_url",
        s if s.starts_with(b"mongodb") => "mongodb_url",
        s if s.starts_with(b"redis") => "redis_url",
        s if s.starts_with(b"amqp") => "amqp_url",
        _ => "url_credentials",
    };
    push(start + colon + 1, start + at, label, 0.95, out);
}

/// What examples write for a password.
fn is_word(password: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"password",
        b"pass",
        b"passwd",
        b"secret",
        b"pwd",
        b"user",
        b"token",
        b"mypassword",
        b"pw",
        b"host",
    ];
    WORDS.iter().any(|word| password.eq_ignore_ascii_case(word))
        || matches!(password.first(), Some(b'$' | b'{' | b'<' | b'['))
}

/// `i` is the colon of a Telegram bot token: 8–10 digits, colon, 35 symbols that begin with `AA`.
pub(super) fn telegram(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    if !window.before(i).is_ascii_digit() || window.at(i + 1) != b'A' {
        return;
    }
    let start = window.run_back(i, 11, is_digit);
    let end = window.run(i + 1, 36, is_url_symbol);
    if (8..=10).contains(&(i - start)) && end - i - 1 == 35 && !window.before(start).is_ascii_alphanumeric() {
        push(start, end, "telegram", 0.95, out);
    }
}

/// `i` is the dash of `…32 hex digits…-us12`, or the first one of `…32…-…8…-…8…`.
pub(super) fn mail_keys(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let is_data_center = window.at(i + 1) == b'u' && window.at(i + 2) == b's';
    if !is_data_center && !is_hex(window.at(i + 1)) {
        return;
    }
    let start = window.run_back(i, 33, is_hex);
    if !is_data_center {
        // Mailgun's newer keys: 32, 8 and 8 digits.
        let middle = window.run(i + 1, 9, is_hex);
        let end = if window.at(middle) == b'-' { window.run(middle + 1, 9, is_hex) } else { middle };
        if i - start == 32
            && middle - i - 1 == 8
            && end - middle == 9
            && !is_alnum(window.before(start))
            && !matches!(window.at(end), b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
        {
            push(start, end, "mailgun", 0.95, out);
        }
        return;
    }
    let end = window.run(i + 3, 3, is_digit);
    if i - start == 32
        && (1..=2).contains(&(end - i - 3))
        && !window.before(start).is_ascii_alphanumeric()
        && !window.at(end).is_ascii_alphanumeric()
    {
        push(start, end, "mailchimp", 1.0, out);
    }
}

/// `i` is the dot of a token in parts: Discord, Airtable, Terraform Cloud.
pub(super) fn dotted(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    if !is_url_symbol(window.before(i)) || !is_url_symbol(window.at(i + 1)) {
        return;
    }
    let start = window.run_back(i, LOOKBACK, is_url_symbol);
    let head = i - start;
    let before = window.before(start);
    if is_url_symbol(before) || before == b'.' {
        return;
    }
    if matches!(window.at(start), b'M' | b'N' | b'O') && (23..=28).contains(&head) {
        let middle = window.run(i + 1, 8, is_url_symbol);
        let end = window.run(middle + 1, 60, is_url_symbol);
        if matches!(middle - i - 1, 6 | 7)
            && window.at(middle) == b'.'
            && (25..=45).contains(&(end - middle - 1))
        {
            push(start, end, "discord", 0.95, out);
        }
    }
    if head == 17 && window.starts_with(start, b"pat") {
        let end = window.run(i + 1, 65, is_hex);
        if end - i - 1 == 64 {
            push(start, end, "airtable", 1.0, out);
        }
    }
    if head == 14 && window.starts_with(i, b".atlasv1.") {
        let end = window.run(i + 9, 90, |byte| is_url_symbol(byte) || byte == b'=');
        if end - i - 9 >= 60 {
            push(start, end, "terraform", 1.0, out);
        }
    }
}

/// `i` is the digit of Azure's `…8Q~…`: three symbols before, 34 or so after.
pub(super) fn azure_client_secret(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let set = |byte| is_url_symbol(byte) || matches!(byte, b'~' | b'.');
    let Some(start) = i.checked_sub(3) else { return };
    let end = window.run(i + 3, 36, set);
    if window.slice(start, i).iter().all(|byte| set(*byte))
        && !is_alnum(window.before(start))
        && (31..=35).contains(&(end - i - 3))
    {
        push(start, end, "azure_client_secret", 0.95, out);
    }
}
