//! One JSON line a call for logs, with the field names of the founding document first. Holds no text of the call.
//!
//! Written out by hand: names and order are an interface, and a line costs about a microsecond.

use std::io::Write;

use gauntlet_types::{CallRecord, NanoUsd, TokenCount};

/// Appends the line of a record, with its line feed.
pub fn line(record: &CallRecord, out: &mut Vec<u8>) {
    let mut object = Object { out };
    let caller = &record.caller;
    let prompt = record.prompt.as_ref();
    let target = record.target.as_ref();
    object.out.push(b'{');
    object.shown("ts", record.started);
    object.shown("request_id", record.id);
    object.text("tenant_id", Some(&caller.tenant));
    object.text("model", Some(target.map_or(&*record.model_asked, |target| &target.model)));
    object.text("prompt_name", prompt.map(|prompt| &*prompt.name));
    object.text("prompt_version", prompt.map(|prompt| &*prompt.version));
    object.number("input_tokens", tokens(record.usage.input_total()));
    object.number("cached_tokens", tokens(record.usage.cache_read_total()));
    object.number("output_tokens", tokens(record.usage.output_total()));
    object.usd("cost_usd", record.cost);
    object.millis("latency_ms_total", Some(record.latency_us));
    object.text("guardrail_decision", Some(record.decision.as_str()));
    object.score("judge_score", record.judge_score);
    object.shown("trace_id", record.trace_id);
    object.text("route", Some(&record.route));
    object.text("user_id", caller.user.as_deref());
    object.text("session_id", caller.session.as_deref());
    object.text("environment", Some(caller.environment.as_str()));
    object.text("outcome", Some(record.outcome.as_str()));
    object.number("status", record.status.into());
    object.text("error", record.error.map(|code| code.as_str()));
    object.text("provider", target.map(|target| &*target.provider));
    object.text("finish_reason", record.finish.map(|finish| finish.as_str()));
    object.text("cache", Some(record.cache.as_str()));
    object.text("app_sha", caller.app_sha.as_deref());
    object.text("eval_id", caller.eval_id.as_deref());
    object.millis("first_token_ms", record.first_token_us);
    object.raw("usage_estimated", if record.usage.estimated { "true" } else { "false" });
    object.text("key", caller.key.as_deref());
    object.text("prompt_hash", prompt.map(|prompt| &*prompt.hash));
    object.number("attempts", record.attempts.len() as u64);
    object.text("prompt_label", prompt.and_then(|prompt| prompt.label.as_deref()));
    object.out.extend_from_slice(b"}\n");
}

fn tokens(count: TokenCount) -> u64 {
    u64::from(count.0)
}

struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        self.name(name);
        match value {
            Some(text) => quote(text, self.out),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// For values whose shown form needs no escaping.
    fn shown(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        self.show(format_args!("\"{value}\""));
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        push_number(value, self.out);
    }

    /// Milliseconds to three places, without trailing zeros: `2340`, `0.087`.
    fn millis(&mut self, name: &str, micros: Option<u64>) {
        self.name(name);
        match micros {
            Some(micros) => push_decimal(micros / 1000, micros % 1000, 3, self.out),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// Exact decimal dollars: `0.0084`.
    fn usd(&mut self, name: &str, amount: NanoUsd) {
        const NANO: u64 = 1_000_000_000;
        self.name(name);
        if amount.0 < 0 {
            self.out.push(b'-');
        }
        let nanos = amount.0.unsigned_abs();
        push_decimal(nanos / NANO, nanos % NANO, 9, self.out);
    }

    fn score(&mut self, name: &str, score: Option<f32>) {
        self.name(name);
        match score.filter(|score| score.is_finite()) {
            Some(score) => self.show(format_args!("{score}")),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    fn show(&mut self, value: std::fmt::Arguments<'_>) {
        // A Vec takes everything.
        let _ = self.out.write_fmt(value);
    }
}

fn push_number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `whole.part`, where `part` has `places` digits; trailing zeros are left out, and the point with them.
fn push_decimal(whole: u64, part: u64, places: usize, out: &mut Vec<u8>) {
    push_number(whole, out);
    if part == 0 {
        return;
    }
    out.push(b'.');
    let start = out.len();
    let mut rest = part;
    out.resize(start + places, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// A JSON string. Names are short and plain nearly always, so runs are copied whole.
fn quote(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut copied = 0;
    out.push(b'"');
    for (at, byte) in bytes.iter().enumerate() {
        // DEL is legal in JSON, but a terminal that shows the log need not see it.
        if *byte >= 0x20 && !matches!(byte, b'"' | b'\\' | 0x7f) {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_short() {
        let check = |nanos: i64, expected: &str| {
            let mut out = vec![b'{'];
            Object { out: &mut out }.usd("c", NanoUsd(nanos));
            assert_eq!(std::str::from_utf8(&out).unwrap(), format!("{{\"c\":{expected}"));
        };
        check(8_400_000, "0.0084");
        check(0, "0");
        check(75, "0.000000075");
        check(-2_500_000_000, "-2.5");
        check(i64::MIN, "-9223372036.854775808");
    }

    #[test]
    fn any_text_reads_back() {
        for text in ["", "plain", "a\"b\\c\nd\re\tf\u{1}\u{7f}", "ünïcode 🦀", "\u{2028}"] {
            let mut out = Vec::new();
            quote(text, &mut out);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            assert!(out.iter().all(|byte| *byte >= 0x20));
        }
    }
}
