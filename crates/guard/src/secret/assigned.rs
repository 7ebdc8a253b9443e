//! Credentials that only their name gives away: `api_key = "…"`, `"db_password": "…"`, `Authorization: Bearer …`.

use super::is_placeholder;
use crate::{
    candidate::{Candidate, Proof, SECRETS},
    window::Window,
};

const NAME_MAX: usize = 48;
/// Longer values are data (certificates, images), or have a structure by which they are found.
const VALUE_MAX: usize = 512;

/// Of HTTP's `Authorization` header.
const SCHEMES: &[&[u8]] = &[b"Bearer", b"bearer", b"Basic", b"basic", b"token", b"Token"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Password,
    Token,
    Authorization,
}

/// `i` is a colon or an equals sign.
pub(super) fn at(window: &Window, i: usize, out: &mut Vec<Candidate>) {
    let before = window.before(i);
    if matches!(before, b'=' | b'!' | b'<' | b'>' | b':') || window.at(i + 1) == b':' {
        return;
    }
    // `"name": `, `name = `, `env['name'] = `
    let name_end = window.run_back(i, 4, |byte| matches!(byte, b' ' | b'"' | b'\'' | b']' | b'`'));
    let name_start = window.run_back(name_end, NAME_MAX, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
    });
    let name = window.slice(name_start, name_end);
    // `<add key="API_KEY" value="…">`, `name: API_KEY`, then `value: …`: the name stands before.
    let outer = if name.eq_ignore_ascii_case(b"value") { name_before(window, name_start) } else { None };
    let name = outer.unwrap_or(name);
    let Some(named) = kind_of(name) else { return };

    let mut at = window.run(i + 1, 3, |byte| matches!(byte, b'=' | b'>' | b' ' | b'\t'));
    if named == Named::Authorization {
        at += usize::from(matches!(window.at(at), b'"' | b'\''));
        let Some(skip) = SCHEMES.iter().find(|scheme| window.starts_with(at, scheme)) else { return };
        at += skip.len();
        if window.at(at) != b' ' {
            return;
        }
        at += 1;
    }
    let quote = window.at(at);
    let is_quoted = matches!(quote, b'"' | b'\'' | b'`');
    let start = at + usize::from(is_quoted);
    let stop = if is_quoted {
        let mut stop = start;
        while stop < start + VALUE_MAX
            && !matches!(window.at(stop), 0 | b'\n' | b' ')
            && window.at(stop) != quote
        {
            stop += 1;
        }
        stop
    } else {
        // In a file of settings nothing but a space ends a value; in a URL the next parameter does.
        let is_setting = matches!(window.before(name_start), 0 | b'\n' | b' ') && window.at(i) == b'=';
        let set: fn(u8) -> bool =
            if is_setting { is_setting_byte } else { |byte| byte != b'&' && is_setting_byte(byte) };
        window.run(start, VALUE_MAX, set)
    };
    let value = window.slice(start, stop);
    if value.len() >= VALUE_MAX {
        return;
    }
    if let Some((label, score)) = judge(named, name, value, is_quoted) {
        // The generic rule yields to any that knows the credential.
        out.push(Candidate { start, end: stop, kind: SECRETS, label, score, proof: Proof::Shape });
    }
}

fn is_setting_byte(byte: u8) -> bool {
    byte > b' ' && byte < 0x7F && !b"\"'`,;)}]<>\\".contains(&byte)
}

/// How far before `value` the name may begin that it belongs to.
const OUTER_LEFT: usize = 72;

/// The word assigned to `key` or `name` shortly before `end`.
fn name_before<'w>(window: &'w Window, end: usize) -> Option<&'w [u8]> {
    let left = window.slice(end.saturating_sub(OUTER_LEFT), end);
    let assigns = |at: usize| {
        let before = at.checked_sub(1).map_or(b' ', |before| left[before]);
        let word = [&b"key"[..], b"name"]
            .into_iter()
            .find(|word| left[at..].get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word)))?;
        let after = at + word.len();
        let is_whole = !before.is_ascii_alphanumeric() && !matches!(before, b'_' | b'-' | b'.');
        (is_whole && matches!(left.get(after), Some(b'=' | b':' | b'"'))).then_some(after)
    };
    let rest = &left[(0..left.len()).rev().find_map(assigns)?..];
    // Nothing but marks between the two.
    let start = rest.iter().position(|byte| byte.is_ascii_alphanumeric()).filter(|start| *start <= 4)?;
    let word = &rest[start..];
    let len = word.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"_-.".contains(byte)))?;
    Some(&word[..len.min(NAME_MAX)])
}

/// What a name promises. Counts (`max_tokens`), names (`secret_name`) and paths of secrets are not secrets.
fn kind_of(name: &[u8]) -> Option<Named> {
    let mut folded = [0u8; NAME_MAX];
    let mut len = 0;
    for byte in name {
        if byte.is_ascii_alphanumeric() {
            folded[len] = byte.to_ascii_lowercase();
            len += 1;
        }
    }
    let name = &folded[..len];
    let has = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    let ends = |parts: &[&[u8]]| parts.iter().any(|part| name.ends_with(part));
    if ends(&[
        b"tokens",
        b"name",
        b"path",
        b"file",
        b"count",
        b"length",
        b"type",
        b"url",
        b"uri",
        b"policy",
        b"hash",
        b"limit",
        b"keyid",
        b"pagetoken",
        b"nexttoken",
        b"synctoken",
        b"continuationtoken",
        b"endpoint",
    ]) || has(b"idempotency")
        || has(b"pagination")
        || has(b"csrf")
        || has(b"fingerprint")
    {
        return None;
    }
    if ends(&[b"authorization"]) {
        return Some(Named::Authorization);
    }
    if has(b"password")
        || has(b"passwd")
        || has(b"passphrase")
        || ends(&[b"pwd", b"pass", b"dbpass", b"passwort"])
    {
        return Some(Named::Password);
    }
    if ends(&[b"pat"]) && !ends(&[b"compat"]) {
        return Some(Named::Token);
    }
    let is_token = [
        &b"apikey"[..],
        b"accesskey",
        b"secret",
        b"privatekey",
        b"authkey",
        b"accountkey",
        b"bearer",
        b"credential",
        b"signingkey",
        b"encryptionkey",
        b"masterkey",
        b"subscriptionkey",
        b"accesstoken",
        b"servicekey",
    ]
    .iter()
    .any(|part| has(part))
        || ends(&[b"token", b"auth", b"apitoken", b"key"])
            && name != b"key"
            && !ends(&[
                b"publickey",
                b"primarykey",
                b"foreignkey",
                b"cachekey",
                b"monkey",
                b"turkey",
                b"sortkey",
                b"partitionkey",
            ]);
    is_token.then_some(Named::Token)
}

fn judge(named: Named, name: &[u8], value: &[u8], is_quoted: bool) -> Option<(&'static str, f32)> {
    if is_placeholder(value) || is_code(value) {
        return None;
    }
    let count = |test: fn(&u8) -> bool| value.iter().filter(|byte| test(byte)).count();
    let digits = count(u8::is_ascii_digit);
    let upper = count(u8::is_ascii_uppercase);
    let lower = count(u8::is_ascii_lowercase);
    let marks = value.len() - digits - upper - lower;
    if named == Named::Password {
        let classes = [digits, upper, lower, marks].iter().filter(|count| **count > 0).count();
        let is_likely = match value.len() {
            0..8 => false,
            8..12 => {
                let has_sign = value.iter().any(|byte| b"$!@#%^&*".contains(byte));
                classes >= 3 || (classes == 2 && (digits >= 2 || has_sign) && is_quoted)
            }
            12..=96 => classes >= 2 && (digits > 0 || marks > 0 && upper > 0) && !is_slug(value),
            _ => false,
        };
        return is_likely.then_some(("password", 0.8));
    }
    let is_plain =
        value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+=~:!@#$%^*|".contains(byte));
    if !is_plain
        || value.len() < 16
        || digits == 0 && !is_scrambled(value) && !(value.starts_with(b"key") && value.len() == 17)
        || upper + lower == 0
        || entropy(value) < 3.0
        || is_slug(value)
    {
        return None;
    }
    // Prose and paths have few digits; random text has one symbol in six or so, or both cases.
    if digits * 12 < value.len() && upper.min(lower) * 6 < value.len() {
        return None;
    }
    // No alphabet has both pairs of marks; an expression may.
    let has_any = |marks: &[u8]| value.iter().any(|byte| marks.contains(byte));
    if !is_quoted && has_any(b"_-") && has_any(b"/+") {
        return None;
    }
    let has = |part: &[u8]| name.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    let label = match value.len() {
        17 if has(b"airtable") && value.starts_with(b"key") => "airtable",
        88 if value.ends_with(b"==") => "azure_storage_key",
        40 if has(b"aws") || has(b"secret_access") || has(b"SecretAccess") => "aws_secret_key",
        _ if named == Named::Authorization || has(b"bearer") => "bearer_opaque",
        _ => "generic_api_key",
    };
    Some((label, 0.8))
}

/// Whether a word that is said to be a password may be one.
pub(super) fn is_password(word: &[u8]) -> bool {
    judge(Named::Password, b"password", word, false).is_some()
}

/// Whether letters change case so often that they are no words: every other place in random text, every sixth in
/// `camelCase`.
pub(super) fn is_scrambled(value: &[u8]) -> bool {
    let turns =
        value.windows(2).filter(|pair| pair[0].is_ascii_uppercase() != pair[1].is_ascii_uppercase()).count();
    turns * 3 >= value.len()
}

/// An expression that fetches the value from elsewhere.
fn is_code(value: &[u8]) -> bool {
    let has = |part: &[u8]| value.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    matches!(value.first(), Some(b'$' | b'{' | b'<' | b'(' | b'[' | b'%' | b'*' | b'/'))
        && !value.iter().any(u8::is_ascii_digit)
        || value.starts_with(b"$")
        || value.contains(&b'(') && value.contains(&b'.')
        || is_call(value)
        || value.contains(&b'[')
        || has(b"environ") || has(b"process.env") || has(b"getenv") || has(b"secrets.") || has(b"://")
        // Digests of lock files and images.
        || value.starts_with(b"sha256") || value.starts_with(b"sha512") || value.starts_with(b"sha1-")
}

/// A name and an opening bracket.
fn is_call(value: &[u8]) -> bool {
    value.iter().position(|byte| *byte == b'(').is_some_and(|at| {
        at >= 3
            && value[..at].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && value[..at].contains(&b'_')
    })
}

/// Words joined by dashes, dots or underscores, as identifiers and paths are.
fn is_slug(value: &[u8]) -> bool {
    let mut parts = 0;
    let is_words = value.split(|byte| matches!(byte, b'-' | b'_' | b'.' | b'/' | b':')).all(|part| {
        parts += 1;
        part.iter().all(u8::is_ascii_alphabetic) || part.iter().all(u8::is_ascii_digit) && part.len() <= 4
    });
    is_words && parts > 1
}

/// Shannon entropy in bits a byte.
pub(super) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    value.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let total = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|p| -p * p.log2())
        .sum()
}
