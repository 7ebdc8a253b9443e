//! Calls as an Apache Parquet file, row group by row group, written front to back.
//!
//! The format is written out here, since the `parquet` crate takes 80 seconds of a processor to build and we need of it flat
//! tables, plain values, one page a column and zstd. `file` is the format (Parquet 2.x, "File format" and
//! "Encodings"), `thrift` the compact protocol of its headers, and here is what a call becomes.

mod file;
mod thrift;

use std::io::Write;

use anyhow::{Context, Result, bail};
use gauntlet_types::CallRecord;
use serde::Deserialize;
use serde_json::value::RawValue;

use file::{Column, Kind, Need, Value, Writer};

/// A row group is closed at so many rows, or so many bytes of texts: it is held in memory whole.
const ROWS_MAX: usize = 20_000;
const BYTES_MAX: usize = 32 << 20;

const fn column(name: &'static str, kind: Kind, need: Need) -> Column {
    Column { name, kind, need }
}

const COLUMNS: [Column; 37] = [
    column("id", Kind::Text, Need::Always),
    column("trace_id", Kind::Text, Need::Always),
    column("span_id", Kind::Text, Need::Always),
    column("parent_span_id", Kind::Text, Need::Maybe),
    column("started", Kind::Micros, Need::Always),
    column("tenant", Kind::Text, Need::Always),
    column("team", Kind::Text, Need::Maybe),
    column("user", Kind::Text, Need::Maybe),
    column("session", Kind::Text, Need::Maybe),
    column("key", Kind::Text, Need::Maybe),
    column("environment", Kind::Text, Need::Always),
    column("app_sha", Kind::Text, Need::Maybe),
    column("eval_id", Kind::Text, Need::Maybe),
    column("route", Kind::Text, Need::Always),
    column("model_asked", Kind::Text, Need::Always),
    column("provider", Kind::Text, Need::Maybe),
    column("model", Kind::Text, Need::Maybe),
    column("prompt_name", Kind::Text, Need::Maybe),
    column("prompt_version", Kind::Text, Need::Maybe),
    column("outcome", Kind::Text, Need::Always),
    column("status", Kind::Whole, Need::Always),
    column("error", Kind::Text, Need::Maybe),
    column("decision", Kind::Text, Need::Always),
    column("cache", Kind::Text, Need::Always),
    column("is_streaming", Kind::Flag, Need::Always),
    column("tokens_in", Kind::Whole, Need::Always),
    column("tokens_cached", Kind::Whole, Need::Always),
    column("tokens_out", Kind::Whole, Need::Always),
    column("tokens_reasoning", Kind::Whole, Need::Always),
    column("usage_estimated", Kind::Flag, Need::Always),
    column("latency_us", Kind::Whole, Need::Always),
    column("first_token_us", Kind::Whole, Need::Maybe),
    column("cost_usd", Kind::NanoUsd, Need::Always),
    column("wasted_usd", Kind::NanoUsd, Need::Always),
    column("record", Kind::Text, Need::Always),
    column("input", Kind::Text, Need::Maybe),
    column("output", Kind::Text, Need::Maybe),
];

/// Takes the lines of an export as they come, and writes the file.
pub struct Parquet<W: Write> {
    writer: Writer<W>,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    record: &'a RawValue,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    input_text: Option<String>,
    input_hex: Option<String>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    output_text: Option<String>,
    output_hex: Option<String>,
}

impl<W: Write> Parquet<W> {
    pub fn new(out: W) -> Result<Parquet<W>> {
        let writer = Writer::new(out, &COLUMNS).context("cannot write")?;
        Ok(Parquet { writer, line: Vec::new() })
    }

    pub fn piece(&mut self, piece: &[u8]) -> Result<()> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            self.row(&line)?;
            line.clear();
            self.line = line;
        }
        self.line.extend_from_slice(rest);
        Ok(())
    }

    pub fn finish(mut self) -> Result<W> {
        if !self.line.is_empty() {
            bail!("the answer broke off in the middle of a line");
        }
        self.writer.close_group().context("cannot write")?;
        self.writer.finish().context("cannot write")
    }

    fn row(&mut self, line: &[u8]) -> Result<()> {
        const WHAT: &str = "the answer has a line that is no call";
        let line: Line<'_> = serde_json::from_slice(line).context(WHAT)?;
        let record: CallRecord = serde_json::from_str(line.record.get()).context(WHAT)?;
        let text = |json: Option<&RawValue>, text: Option<String>, hex: Option<String>| -> Option<String> {
            json.map(|json| json.get().to_owned()).or(text).or(hex)
        };
        let input = text(line.input, line.input_text, line.input_hex);
        let output = text(line.output, line.output_text, line.output_hex);
        for (place, value) in
            values(&record, line.record.get(), input.as_deref(), output.as_deref()).into_iter().enumerate()
        {
            self.writer.push(place, value);
        }
        if self.writer.rows_in_group() >= ROWS_MAX || self.writer.bytes_in_group() >= BYTES_MAX {
            self.writer.close_group().context("cannot write")?;
        }
        Ok(())
    }
}

/// In the order of [`COLUMNS`].
fn values<'a>(
    record: &'a CallRecord,
    json: &'a str,
    input: Option<&'a str>,
    output: Option<&'a str>,
) -> [Value<'a>; COLUMNS.len()] {
    let (caller, usage) = (&record.caller, &record.usage);
    let (target, prompt) = (record.target.as_ref(), record.prompt.as_ref());
    let text = |text: &'a str| Value::Text(text.into());
    let maybe = |text: Option<&'a str>| text.map_or(Value::None, |text| Value::Text(text.into()));
    let shown = |text: String| Value::Text(text.into());
    let whole = |number: u64| Value::Number(i64::try_from(number).unwrap_or(i64::MAX));
    [
        shown(record.id.to_string()),
        shown(record.trace_id.to_string()),
        shown(record.span_id.to_string()),
        record.parent_span_id.map_or(Value::None, |id| shown(id.to_string())),
        Value::Number(record.started.0),
        text(&caller.tenant),
        maybe(caller.team.as_deref()),
        maybe(caller.user.as_deref()),
        maybe(caller.session.as_deref()),
        maybe(caller.key.as_deref()),
        text(caller.environment.as_str()),
        maybe(caller.app_sha.as_deref()),
        maybe(caller.eval_id.as_deref()),
        text(&record.route),
        text(&record.model_asked),
        maybe(target.map(|target| &*target.provider)),
        maybe(target.map(|target| &*target.model)),
        maybe(prompt.map(|prompt| &*prompt.name)),
        maybe(prompt.map(|prompt| &*prompt.version)),
        text(record.outcome.as_str()),
        whole(record.status.into()),
        maybe(record.error.map(|code| code.as_str())),
        text(record.decision.as_str()),
        text(record.cache.as_str()),
        Value::Flag(record.is_streaming),
        whole(usage.input_total().0.into()),
        whole(usage.cache_read_total().0.into()),
        whole(usage.output_total().0.into()),
        whole(usage.reasoning.0.into()),
        Value::Flag(usage.estimated),
        whole(record.latency_us),
        record.first_token_us.map_or(Value::None, whole),
        Value::Number(record.cost.0),
        Value::Number(record.wasted.0),
        text(json),
        maybe(input),
        maybe(output),
    ]
}
