//! Reading exports. Unknown fields are left alone, figures that are no figures are refused: a bill is not guessed at.

use std::collections::BTreeMap;

use gauntlet_types::{Day, NanoUsd, Timestamp};
use serde_json::Value;
use thiserror::Error;

use super::compare::Figures;
use crate::csv;

/// Lines and buckets of one export; a year of 300 models by the hour is 2.6 million.
const ROWS_MAX: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Format {
    /// By the look of it.
    #[default]
    Auto,
    OpenAi,
    Anthropic,
    Csv,
}

impl Format {
    pub fn parse(text: &str) -> Option<Format> {
        match text {
            "auto" => Some(Format::Auto),
            "openai" => Some(Format::OpenAi),
            "anthropic" => Some(Format::Anthropic),
            "csv" => Some(Format::Csv),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    #[error("the export is not JSON: {0}")]
    NotJson(String),
    #[error(
        "the export has no `data` of buckets; give a page as the provider's usage or costs API answers it"
    )]
    NoBuckets,
    #[error("bucket {place} of the export {what}")]
    Bucket { place: usize, what: String },
    #[error("line {line} of the export {what}")]
    Line { line: usize, what: String },
    #[error(
        "the export has no column `{0}`; it needs day, model and one of input_tokens, output_tokens, requests, cost_usd"
    )]
    Column(&'static str),
    #[error("the export says nothing of any day")]
    Empty,
    #[error("the export has more than {ROWS_MAX} lines; give a shorter span")]
    TooLong,
}

/// A provider's figures by day and model.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Export {
    /// First and last day that the export speaks of, both included; days without calls among them.
    pub from: Day,
    pub to: Day,
    pub rows: BTreeMap<(Day, String), Figures>,
    /// What makes the comparison less than whole, in sentences.
    pub notes: Vec<String>,
}

/// How a model is called where the export does not say which.
pub const ALL_MODELS: &str = "(all models)";

pub fn read(bytes: &[u8], format: Format) -> Result<Export, ReadError> {
    let text = String::from_utf8_lossy(bytes);
    let looks_like_json = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
    let mut reader = Reader::default();
    match format {
        Format::Csv => reader.csv(&text)?,
        Format::Auto if !looks_like_json => reader.csv(&text)?,
        Format::Auto | Format::OpenAi | Format::Anthropic => reader.pages(&text, format)?,
    }
    let (Some(from), Some(to)) = (reader.from, reader.to) else { return Err(ReadError::Empty) };
    Ok(Export { from, to, rows: reader.rows, notes: reader.notes })
}

#[derive(Default)]
struct Reader {
    from: Option<Day>,
    to: Option<Day>,
    rows: BTreeMap<(Day, String), Figures>,
    notes: Vec<String>,
    seen: usize,
}

impl Reader {
    fn cover(&mut self, day: Day) {
        self.from = Some(self.from.map_or(day, |from| from.min(day)));
        self.to = Some(self.to.map_or(day, |to| to.max(day)));
    }

    fn add(&mut self, day: Day, model: &str, figures: &Figures) -> Result<(), ReadError> {
        self.seen += 1;
        if self.seen > ROWS_MAX {
            return Err(ReadError::TooLong);
        }
        let model = if model.is_empty() { ALL_MODELS } else { model };
        self.rows.entry((day, model.to_owned())).or_default().add(figures);
        Ok(())
    }

    fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }

    fn pages(&mut self, text: &str, format: Format) -> Result<(), ReadError> {
        let text = text.trim_start_matches('\u{feff}');
        let mut pages = Vec::new();
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value.map_err(|error| ReadError::NotJson(error.to_string()))? {
                Value::Array(list) => pages.extend(list),
                other => pages.push(other),
            }
        }
        let mut place = 0;
        let mut has_buckets = false;
        for page in &pages {
            let Some(buckets) = page["data"].as_array() else { continue };
            has_buckets = true;
            for bucket in buckets {
                place += 1;
                let failed = |what: String| ReadError::Bucket { place, what };
                let days = span(bucket).map_err(failed)?;
                self.cover(days.0);
                self.cover(days.1);
                for result in bucket["results"].as_array().into_iter().flatten() {
                    let (model, figures) = match format {
                        Format::OpenAi => openai(result),
                        Format::Anthropic => anthropic(result),
                        Format::Auto | Format::Csv if bucket["starting_at"].is_string() => anthropic(result),
                        Format::Auto | Format::Csv => openai(result),
                    }
                    .map_err(failed)?;
                    self.add(days.0, &model, &figures)?;
                }
            }
        }
        if !has_buckets {
            return Err(ReadError::NoBuckets);
        }
        if pages.last().is_some_and(|page| page["has_more"] == true) {
            self.note("the export says that there are more pages: its sums are not whole");
        }
        if self.rows.keys().any(|(_, model)| model == ALL_MODELS) {
            self.note("the export does not say which model: ask the provider for it grouped by model (line_item for costs)");
        }
        Ok(())
    }

    fn csv(&mut self, text: &str) -> Result<(), ReadError> {
        let records = csv::read(text).map_err(|line| ReadError::Line {
            line,
            what: "opens a quote that is never closed".to_owned(),
        })?;
        let Some(((_, heads), records)) = records.split_first() else { return Err(ReadError::Empty) };
        let place = |names: &[&str]| {
            heads
                .iter()
                .position(|head| names.contains(&head.to_ascii_lowercase().replace([' ', '-'], "_").as_str()))
        };
        let day_at = place(&["day", "date", "usage_date"]).ok_or(ReadError::Column("day"))?;
        let model_at = place(&["model", "model_name"]).ok_or(ReadError::Column("model"))?;
        let input = place(&["input_tokens", "tokens_in", "prompt_tokens"]);
        let cached = place(&["cached_tokens", "input_cached_tokens", "tokens_cached"]);
        let output = place(&["output_tokens", "tokens_out", "completion_tokens"]);
        let requests = place(&["requests", "num_model_requests", "calls"]);
        let cost = place(&["cost_usd", "cost", "amount_usd"]);
        if [input, output, requests, cost].iter().all(Option::is_none) {
            return Err(ReadError::Column("cost_usd"));
        }
        for (line, cells) in records {
            let line = *line;
            let failed = |what: String| ReadError::Line { line, what };
            let cell = |at: usize| cells.get(at).map_or("", String::as_str);
            let day = cell(day_at);
            let day = day_of(day)
                .ok_or_else(|| failed(format!("has `{day}` for a day; write it as 2026-11-21")))?;
            let number = |at: Option<usize>| match at.map(cell) {
                None | Some("") => Ok(None),
                Some(text) => text
                    .replace('_', "")
                    .parse::<u64>()
                    .map(Some)
                    .map_err(|_| failed(format!("has `{text}` where a number belongs"))),
            };
            let amount = match cost.map(cell) {
                None | Some("") => None,
                Some(text) => Some(
                    usd(text)
                        .ok_or_else(|| failed(format!("has `{text}` where an amount in USD belongs")))?,
                ),
            };
            let figures = Figures {
                tokens_in: number(input)?,
                tokens_cached: number(cached)?,
                tokens_out: number(output)?,
                requests: number(requests)?,
                cost: amount,
            };
            self.cover(day);
            self.add(day, cell(model_at), &figures)?;
        }
        Ok(())
    }
}

/// First and last day of a bucket.
fn span(bucket: &Value) -> Result<(Day, Day), String> {
    let at = |names: [&str; 2]| {
        names.iter().find_map(|name| match &bucket[*name] {
            Value::Number(seconds) => seconds.as_i64()?.checked_mul(1_000_000).map(Timestamp),
            Value::String(text) => day_of(text).map(|day| {
                // The clock only matters to tell midnight, which begins a day and ends the one before.
                let is_midnight =
                    text.get(10..).is_none_or(|clock| clock.get(1..9).is_none_or(|at| at == "00:00:00"));
                Timestamp(day.start().0 + i64::from(!is_midnight))
            }),
            _ => None,
        })
    };
    let start = at(["start_time", "starting_at"]).ok_or("has no start (`start_time` or `starting_at`)")?;
    let end = at(["end_time", "ending_at"]).unwrap_or(Timestamp(start.0 + 1));
    if end <= start {
        return Err("ends before it begins".to_owned());
    }
    let days = (start.day(), Timestamp(end.0 - 1).day());
    // Sums of a longer bucket cannot be told apart by day.
    if days.0 == days.1 { Ok(days) } else { Err("spans several days; ask for buckets of a day".to_owned()) }
}

/// `2026-11-21`, or a time that begins with it.
fn day_of(text: &str) -> Option<Day> {
    let day = Day::parse(text.get(..10)?)?;
    text.get(10..).is_none_or(|rest| rest.is_empty() || rest.starts_with(['T', ' '])).then_some(day)
}

fn openai(result: &Value) -> Result<(String, Figures), String> {
    let mut figures = Figures {
        tokens_in: tokens(result, &["input_tokens"])?,
        tokens_cached: tokens(result, &["input_cached_tokens"])?,
        tokens_out: tokens(result, &["output_tokens"])?,
        requests: tokens(result, &["num_model_requests"])?,
        cost: None,
    };
    let amount = &result["amount"];
    if amount.is_object() {
        let currency = amount["currency"].as_str().unwrap_or("usd");
        if !currency.eq_ignore_ascii_case("usd") {
            return Err(format!("is in `{currency}`, not in USD"));
        }
        let value = amount["value"].as_str().map_or_else(|| amount["value"].to_string(), str::to_owned);
        figures.cost = Some(usd(&value).ok_or_else(|| format!("has `{value}` for an amount"))?);
    }
    // "gpt-4o-2024-08-06, input"
    let model =
        result["model"].as_str().or_else(|| result["line_item"].as_str()?.split(',').next()).unwrap_or("");
    Ok((model.trim().to_owned(), figures))
}

fn anthropic(result: &Value) -> Result<(String, Figures), String> {
    let mut figures = Figures::default();
    if result.get("uncached_input_tokens").is_some() || result.get("output_tokens").is_some() {
        let created =
            tokens(&result["cache_creation"], &["ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens"])?;
        let cached = tokens(result, &["cache_read_input_tokens"])?;
        let fresh = tokens(result, &["uncached_input_tokens"])?;
        figures.tokens_in = Some(fresh.unwrap_or(0) + cached.unwrap_or(0) + created.unwrap_or(0));
        figures.tokens_cached = cached;
        figures.tokens_out = tokens(result, &["output_tokens"])?;
    }
    if let Some(cents) = result.get("amount").filter(|amount| !amount.is_null()) {
        let currency = result["currency"].as_str().unwrap_or("USD");
        if !currency.eq_ignore_ascii_case("usd") {
            return Err(format!("is in `{currency}`, not in USD"));
        }
        // "123.45" are cents: the lowest unit of the currency, as a decimal (Anthropic, "Cost report").
        let text = cents.as_str().map_or_else(|| cents.to_string(), str::to_owned);
        let amount = usd(&text).ok_or_else(|| format!("has `{text}` for an amount"))?;
        figures.cost = Some(NanoUsd(amount.0 / 100));
    }
    Ok((result["model"].as_str().unwrap_or("").to_owned(), figures))
}

/// The sum of fields that are there; none if none is.
fn tokens(result: &Value, names: &[&str]) -> Result<Option<u64>, String> {
    let mut sum = None;
    for name in names {
        let value = &result[*name];
        if value.is_null() {
            continue;
        }
        let number = value.as_u64().ok_or_else(|| format!("has `{value}` for `{name}`"))?;
        sum = Some(sum.unwrap_or(0u64).saturating_add(number));
    }
    Ok(sum)
}

/// Dollars with however many decimals, also as floats write small ones (`1.2e-7`), to the nano-dollar.
fn usd(text: &str) -> Option<NanoUsd> {
    let text = text.trim().trim_start_matches('$').replace(',', "");
    if let Ok(exact) = text.parse::<NanoUsd>() {
        return Some(exact);
    }
    let value: f64 = text.parse().ok()?;
    let nano = (value * 1e9).round();
    (nano.is_finite() && nano.abs() < 9e18).then_some(NanoUsd(nano as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn openais_usage_is_read() {
        let page = r#"{"object": "page", "data": [
            {"object": "bucket", "start_time": 1777075200, "end_time": 1777161600, "results": [
                {"object": "organization.usage.completions.result", "input_tokens": 1000, "output_tokens": 500,
                 "input_cached_tokens": 800, "num_model_requests": 5, "project_id": null, "model": "gpt-4o-2024-08-06"},
                {"input_tokens": 10, "output_tokens": 5, "num_model_requests": 1, "model": "gpt-4o-2024-08-06"}]},
            {"start_time": 1777161600, "end_time": 1777248000, "results": []}],
            "has_more": false, "next_page": null}"#;
        let export = read(page.as_bytes(), Format::Auto).unwrap();
        assert_eq!(
            (export.from, export.to),
            (day("2026-04-25"), day("2026-04-26")),
            "a day without calls counts"
        );
        let figures = &export.rows[&(day("2026-04-25"), "gpt-4o-2024-08-06".to_owned())];
        assert_eq!((figures.tokens_in, figures.tokens_cached), (Some(1010), Some(800)));
        assert_eq!((figures.tokens_out, figures.requests, figures.cost), (Some(505), Some(6), None));
        assert!(export.notes.is_empty());
    }

    #[test]
    fn openais_costs_are_read_and_may_join_its_usage() {
        let costs = r#"{"data": [{"start_time": 1777075200, "end_time": 1777161600, "results": [
            {"amount": {"value": 0.06, "currency": "usd"}, "line_item": "gpt-4o-2024-08-06, input"},
            {"amount": {"value": "1.2e-7", "currency": "usd"}, "line_item": "gpt-4o-2024-08-06, output"},
            {"amount": {"value": 2, "currency": "usd"}, "line_item": null}]}], "has_more": true}"#;
        let usage = r#"{"data": [{"start_time": 1777075200, "end_time": 1777161600, "results": [
            {"input_tokens": 10, "output_tokens": 5, "num_model_requests": 1, "model": "gpt-4o-2024-08-06"}]}]}"#;
        for text in [format!("{usage}\n{costs}"), format!("[{usage},{costs}]")] {
            let export = read(text.as_bytes(), Format::OpenAi).unwrap();
            let figures = &export.rows[&(day("2026-04-25"), "gpt-4o-2024-08-06".to_owned())];
            assert_eq!((figures.cost, figures.tokens_in), (Some(NanoUsd(60_000_120)), Some(10)));
            let rest = &export.rows[&(day("2026-04-25"), ALL_MODELS.to_owned())];
            assert_eq!((rest.cost, rest.tokens_in), (Some(NanoUsd(2_000_000_000)), None));
            assert_eq!(export.notes.len(), 2, "{:?}", export.notes);
        }
    }

    #[test]
    fn anthropics_reports_are_read() {
        let usage = r#"{"data": [{"starting_at": "2026-04-25T00:00:00Z", "ending_at": "2026-04-26T00:00:00Z", "results": [
            {"uncached_input_tokens": 1500, "cache_creation": {"ephemeral_1h_input_tokens": 1000,
             "ephemeral_5m_input_tokens": 500}, "cache_read_input_tokens": 200, "output_tokens": 500,
             "server_tool_use": {"web_search_requests": 10}, "model": "claude-haiku-4-5-20251001"}]}], "has_more": false}"#;
        let costs = r#"{"data": [{"starting_at": "2026-04-25T00:00:00Z", "ending_at": "2026-04-26T00:00:00Z", "results": [
            {"currency": "USD", "amount": "123.78912", "cost_type": "tokens", "model": "claude-haiku-4-5-20251001"}]}]}"#;
        let export = read(format!("{usage}{costs}").as_bytes(), Format::Auto).unwrap();
        assert_eq!((export.from, export.to), (day("2026-04-25"), day("2026-04-25")));
        let figures = &export.rows[&(day("2026-04-25"), "claude-haiku-4-5-20251001".to_owned())];
        assert_eq!((figures.tokens_in, figures.tokens_cached), (Some(3200), Some(200)));
        assert_eq!((figures.tokens_out, figures.requests), (Some(500), None));
        assert_eq!(figures.cost, Some(NanoUsd(1_237_891_200)), "cents, not dollars");
    }

    #[test]
    fn csv_is_read() {
        let text = "Date,Model,Input Tokens,Output Tokens,cost_usd\r\n2026-04-25,gpt-4o,100,40,\"1,200.5\"\r\n\
            2026-04-27T00:00:00Z,gpt-4o,1,,0\r\n";
        let export = read(text.as_bytes(), Format::Auto).unwrap();
        assert_eq!((export.from, export.to), (day("2026-04-25"), day("2026-04-27")));
        let first = &export.rows[&(day("2026-04-25"), "gpt-4o".to_owned())];
        assert_eq!((first.tokens_in, first.cost), (Some(100), Some(NanoUsd(1_200_500_000_000))));
        assert_eq!(export.rows[&(day("2026-04-27"), "gpt-4o".to_owned())].tokens_out, None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let check = |text: &str, part: &str| {
            let error = read(text.as_bytes(), Format::Auto).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("", "nothing of any day");
        check("{", "not JSON");
        check("{}", "no `data`");
        check("{\"data\": []}", "nothing of any day");
        check("{\"data\": [{\"results\": []}]}", "bucket 1");
        check("{\"data\": [{\"start_time\": 0, \"end_time\": 604800, \"results\": []}]}", "buckets of a day");
        check(
            "{\"data\": [{\"start_time\": 0, \"results\": [{\"input_tokens\": -5}]}]}",
            "`-5` for `input_tokens`",
        );
        check(
            "{\"data\": [{\"start_time\": 0, \"results\": [{\"amount\": {\"value\": 1, \"currency\": \"eur\"}}]}]}",
            "`eur`",
        );
        check("day,cost_usd\n2026-04-25,1\n", "column `model`");
        check("day,model\n2026-04-25,x\n", "column `cost_usd`");
        check("day,model,cost_usd\n25.04.2026,x,1\n", "line 2");
        check("day,model,cost_usd\n2026-04-25,x,1\n2026-04-25,x,much\n", "line 3 of the export has `much`");
        check("day,model,cost_usd\n\"2026-04-25,x,1\n", "never closed");
    }
}
