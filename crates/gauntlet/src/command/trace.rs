//! `gauntlet trace list|show|spans|replay|tail`; `export` and `import` are in `carry`, `promote` in its own.

mod tree;

use std::{
    io::{BufRead, BufReader, Write},
    process::ExitCode,
};

use anyhow::Result;
use gauntlet_types::{CallId, CallRecord, Target};
use serde_json::Value;

use super::{carry, promote};
use crate::{
    cli::{Filter, Place, Trace},
    reach::{Reach, escape},
    show::{self, Column, duration_us, nano_usd, text},
};

pub fn run(place: &Place, command: Trace) -> Result<ExitCode> {
    let reach = Reach::new(place)?;
    match command {
        Trace::Export { filter, format, out, spans } => {
            let wanted = carry::Export { filter: &filter, format, out: &out, with_spans: spans };
            carry::export(place, &reach, &wanted)?;
        }
        Trace::Import { files, skip_bad, charge } => {
            return carry::import(place, &reach, &files, carry::Wanted { skip_bad, charge });
        }
        Trace::List { filter, limit } => {
            let rows = rows(&reach, &filter, limit)?;
            if place.json { show::json(&rows.into()) } else { list(&rows) }
        }
        Trace::Show { id } if tree::is_trace_id(&id) => {
            if let Err(error) = tree::run(&reach, place, &id) {
                // A request id may be given bare as well, and then looks the same.
                let call = reach.get(&format!("/api/v1/traces/{}", escape(&id))).map_err(|_| error)?;
                if place.json { show::json(&call) } else { one(&call) }
            }
        }
        Trace::Spans { filter, limit } => tree::spans(&reach, place, &filter, limit)?,
        Trace::Sessions { filter, limit } => groups(&reach, place, "sessions", &query(&filter, limit))?,
        Trace::Users { filter, limit } => groups(&reach, place, "users", &query(&filter, limit))?,
        Trace::Show { id } => {
            let call = reach.get(&format!("/api/v1/traces/{}", escape(&id)))?;
            if place.json { show::json(&call) } else { one(&call) }
        }
        Trace::Replay { id, model, prompt } => {
            let changes = serde_json::json!({"model": model, "prompt": prompt});
            let answer = reach.post(&format!("/api/v1/traces/{}/replay", escape(&id)), &changes)?;
            if place.json { show::json(&answer) } else { replayed(&answer) }
        }
        Trace::Promote(wanted) => promote::run(place, &reach, &wanted)?,
        Trace::Tail { filter, follow, lines } => {
            for row in rows(&reach, &filter, lines)?.iter().rev() {
                if place.json { println!("{row}") } else { line(row) }
            }
            if follow {
                tail(&reach, &filter, place.json)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn groups(reach: &Reach, place: &Place, kind: &str, query: &str) -> Result<()> {
    use Column::{Left, Right, Whole};
    let answer = reach.get(&format!("/api/v1/{kind}?{query}"))?;
    if place.json {
        show::json(&answer);
        return Ok(());
    }
    let of_users = kind == "users";
    let columns = [
        Whole("last call (UTC)"),
        Left(if of_users { "user" } else { "session" }),
        Left("tenant"),
        if of_users { Right("sessions") } else { Left("user") },
        Right("calls"),
        Right("errors"),
        Right("tokens"),
        Right("cost"),
    ];
    let line = |row: &Value| {
        vec![
            short_time(&row["last"]),
            text(&row["name"]),
            text(&row["tenant"]),
            text(&row[if of_users { "sessions" } else { "user" }]),
            text(&row["calls"]),
            text(&row["errors"]),
            format!("{}→{}", row["tokens_in"], row["tokens_out"]),
            nano_usd(&row["cost"]),
        ]
    };
    let rows = answer[kind].as_array().map_or(&[][..], Vec::as_slice);
    show::table(&columns, rows.iter().map(line).collect(), "None among the calls found.");
    if !answer["looked_back_to"].is_null() {
        println!(
            "Figures are of calls back to {}; older ones: --until",
            show::time(&answer["looked_back_to"])
        );
    }
    Ok(())
}

/// Asks until enough is found: what is rare takes the store several looks.
fn rows(reach: &Reach, filter: &Filter, limit: u32) -> Result<Vec<Value>> {
    let mut rows: Vec<Value> = Vec::new();
    let mut before = String::new();
    for _ in 0..PAGES_MAX {
        let left = limit.saturating_sub(rows.len() as u32);
        let mut answer = reach.get(&format!("/api/v1/traces?{}{before}", query(filter, left)))?;
        if let Some(Value::Array(found)) = answer.get_mut("traces").map(Value::take) {
            rows.extend(found);
        }
        // A page that is not full and goes on ended for its time.
        if rows.len() as u32 >= limit || answer["looked_back_to"].is_null() || answer["next"].is_null() {
            break;
        }
        before = format!("&before={}", answer["next"]);
    }
    Ok(rows)
}

fn replayed(answer: &Value) {
    let (was, is) = (&answer["original"], &answer["replay"]);
    let columns = [Column::Left(""), Column::Left("original"), Column::Left("replay")];
    let duration = |side: &Value| duration_us(&side["latency_us"]);
    type Shown<'a> = (&'a str, Box<dyn Fn(&Value) -> String>);
    let plain = |field: &'static str| -> Shown<'static> { (field, Box::new(move |side| text(&side[field]))) };
    let lines: [Shown<'_>; 11] = [
        plain("id"),
        plain("model"),
        plain("model_answered"),
        plain("prompt"),
        plain("outcome"),
        plain("decision"),
        plain("finish"),
        plain("tokens_in"),
        plain("tokens_out"),
        ("cost", Box::new(|side| nano_usd(&side["cost"]))),
        ("took", Box::new(duration)),
    ];
    let rows = lines.iter().map(|(name, show)| vec![(*name).to_owned(), show(was), show(is)]);
    show::table(&columns, rows.collect(), "");
    for why in answer["not_the_same"].as_array().into_iter().flatten() {
        println!("not the same: {}", text(why));
    }
    if let Some(error) = is["error"].as_str() {
        println!("error: {}", show::printable(error));
    }
    let (before, after) = (text(&was["text"]), text(&is["text"]));
    if before == after {
        println!("\nThe answer's text is the same.");
        return;
    }
    println!();
    for change in similar::TextDiff::from_lines(&before, &after).iter_all_changes() {
        let mark = match change.tag() {
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
            similar::ChangeTag::Equal => ' ',
        };
        println!("{mark} {}", show::printable(change.value().trim_end_matches('\n')));
    }
}

/// Looks at the store for one list; each takes it some 50 ms.
const PAGES_MAX: usize = 10_000;

/// The console's query names, so that a list here and a page there are the same view.
pub fn query(filter: &Filter, limit: u32) -> String {
    let pairs = [
        ("tenant", &filter.tenant),
        ("team", &filter.team),
        ("user", &filter.user),
        ("session", &filter.session),
        ("route", &filter.route),
        ("model", &filter.model),
        ("provider", &filter.provider),
        ("key", &filter.key),
        ("tag", &filter.tag),
        ("environment", &filter.env),
        ("outcome", &filter.outcome),
        ("id", &filter.id),
        ("status", &filter.status.map(|status| status.to_string())),
        ("cache", &filter.cache),
        ("error", &filter.error),
        ("decision", &filter.decision),
        ("prompt_name", &filter.prompt),
        ("prompt_version", &filter.prompt_version),
        ("eval_id", &filter.eval_id),
        ("app_sha", &filter.app_sha),
        ("trace_id", &filter.trace_id),
        ("since", &filter.since.as_deref().map(instant)),
        ("until", &filter.until.as_deref().map(instant)),
        ("cost_min", &filter.min_cost),
        ("cost_max", &filter.max_cost),
        ("latency_ms_min", &filter.min_latency.map(|ms| ms.to_string())),
        ("latency_ms_max", &filter.max_latency.map(|ms| ms.to_string())),
        ("text", &filter.text),
        ("limit", &Some(limit.to_string())),
    ]
    .map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", escape(value))));
    pairs.into_iter().flatten().collect::<Vec<_>>().join("&")
}

/// `15m` ago as an instant; anything else is the API's to read.
fn instant(text: &str) -> String {
    let units = [("s", 1u64), ("m", 60), ("h", 3600), ("d", 86_400)];
    let ago = units.iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(*seconds)
    });
    match ago {
        Some(seconds) => crate::wiring::now().minus(std::time::Duration::from_secs(seconds)).to_string(),
        None => text.to_owned(),
    }
}

/// A column of the list: its title, what it shows of a row, and from which width of the terminal on there is room for it.
type Shown = (Column, usize, fn(&Value) -> String);

fn list(rows: &[Value]) {
    use Column::{Left, Right, Whole};
    let width = show::width();
    let all: [Shown; 11] = [
        (Whole("time (UTC)"), 0, if width < 90 { minute } else { |row| short_time(&row["started"]) }),
        (Whole("request"), 0, id),
        (Left("outcome"), 0, outcome),
        (Left("route"), 105, |row| text(&row["route"])),
        (Left("model"), 120, model),
        (Left("tenant"), 140, |row| text(&row["tenant"])),
        (Right("tokens"), 150, tokens),
        (Right("cost"), 0, |row| nano_usd(&row["cost"])),
        (Right("latency"), 90, |row| duration_us(&row["latency_us"])),
        (Left("guard"), 160, |row| text(&row["decision"])),
        (Left("input"), 180, |row| text(&row["input_preview"]).chars().take(40).collect()),
    ];
    let (mut columns, mut cells) = (Vec::new(), Vec::new());
    for (column, least, cell) in all {
        if width >= least {
            columns.push(column);
            cells.push(cell);
        }
    }
    let rows = rows.iter().map(|row| cells.iter().map(|cell| cell(row)).collect());
    show::table(&columns, rows.collect(), "No traces yet. Make a call, or loosen the filter.");
}

/// As the header of the answer says it.
fn id(row: &Value) -> String {
    let id = serde_json::from_value::<CallId>(row["id"].clone());
    id.map_or_else(|_| text(&row["id"]), |id| id.to_string())
}

/// With its provider, as it is asked for: of a call that came to no target there is nothing but what was asked.
fn model(row: &Value) -> String {
    match row["provider"].as_str() {
        Some(provider) => format!("{provider}/{}", text(&row["model"])),
        None => text(&row["model"]),
    }
}

fn tokens(row: &Value) -> String {
    let estimated = if row["usage_estimated"] == true { "~" } else { "" };
    format!("{}→{}{estimated}", row["tokens_in"], row["tokens_out"])
}

/// The error where there is one: it says more than `refused` does.
fn outcome(row: &Value) -> String {
    match row["error"].as_str() {
        Some(code) => code.to_owned(),
        None => text(&row["outcome"]),
    }
}

/// The time without its seconds, which the id holds too.
fn minute(row: &Value) -> String {
    short_time(&row["started"]).chars().take("11-21 06:49".len()).collect()
}

fn short_time(value: &Value) -> String {
    let whole = show::time(value);
    whole.get(5..19).map_or(whole.clone(), |cut| cut.replace('T', " "))
}

fn line(row: &Value) {
    println!(
        "{} {:<9} {:<14} {:<24} {:>6}→{:<6} {:>10} {:>9}  {}",
        short_time(&row["started"]),
        text(&row["outcome"]),
        show::printable(&text(&row["route"])),
        show::printable(&model(row)),
        row["tokens_in"],
        row["tokens_out"],
        nano_usd(&row["cost"]),
        duration_us(&row["latency_us"]),
        show::printable(&text(&row["input_preview"])).chars().take(60).collect::<String>(),
    );
}

fn tail(reach: &Reach, filter: &Filter, json: bool) -> Result<()> {
    let reader = BufReader::new(reach.follow(&format!("/api/v1/traces/tail?{}", query(filter, 0)))?);
    for read in reader.lines() {
        let read = read?;
        let Some(data) = read.strip_prefix("data:") else { continue };
        if json {
            println!("{}", data.trim());
        } else {
            let record: CallRecord = serde_json::from_str(data)?;
            let model = record.target.as_ref().map_or(record.model_asked.to_string(), Target::to_string);
            println!(
                "{} {:<9} {:<14} {:<24} {:>6}→{:<6} {:>10} {:>9}  {}",
                record.started.to_string().get(5..19).unwrap_or("").replace('T', " "),
                record.outcome.as_str(),
                show::printable(&record.route),
                show::printable(&model),
                record.usage.input_total(),
                record.usage.output_total(),
                show::usd(record.cost.as_usd()),
                duration_us(&record.latency_us.into()),
                record.id,
            );
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// What guards found and did, and which of them looked at all.
fn guards(record: &Value) {
    let list = |name: &str| record[name].as_array().cloned().unwrap_or_default();
    for note in list("guard") {
        let trial = if note["shadow"] == true { "on trial: " } else { "" };
        let by = note["rule"].as_str().map(|rule| format!(" (by {rule})")).unwrap_or_default();
        let what = format!(
            "{} {trial}{} {}×{}: {}{by}",
            text(&note["direction"]),
            text(&note["action"]),
            text(&note["label"]),
            note["count"],
            text(&note["reason"])
        );
        println!("{:<14} {}", "", show::printable(&what));
    }
    for direction in ["input", "output"] {
        let mut looked: Vec<String> = Vec::new();
        for run in list("guard_runs").iter().filter(|run| run["direction"] == direction) {
            match run["outcome"].as_str() {
                Some("passed" | "found") => looked.push(text(&run["kind"])),
                outcome => {
                    let what = format!(
                        "{direction} {} {}: {}",
                        text(&run["kind"]),
                        outcome.unwrap_or("not_run").replace('_', " "),
                        text(&run["reason"])
                    );
                    println!("{:<14} {}", "", show::printable(&what));
                }
            }
        }
        if !looked.is_empty() {
            println!("{:<14} {direction} looked for: {}", "", looked.join(", "));
        }
    }
}

fn one(call: &Value) {
    let record = &call["record"];
    let caller = &record["caller"];
    let title = |name: &str, value: String| {
        if value != "–" && !value.is_empty() && value != "[]" {
            println!("{name:<14} {}", show::printable(&value));
        }
    };
    title("request", text(&record["id"]));
    title("trace", text(&record["trace_id"]));
    title("time", show::time(&record["started"]));
    let status = format!("{} {}", text(&record["outcome"]), record["status"]);
    title(
        "outcome",
        match record["error"].as_str() {
            Some(code) => format!("{status} {code}: {}", text(&record["error_message"])),
            None => status,
        },
    );
    title("route", text(&record["route"]));
    title(
        "model",
        match record["target"].as_object() {
            Some(target) => format!(
                "{} → {}/{}",
                text(&record["model_asked"]),
                text(&target["provider"]),
                text(&target["model"])
            ),
            None => text(&record["model_asked"]),
        },
    );
    for field in ["tenant", "team", "user", "session", "key", "environment", "app_sha", "eval_id"] {
        title(field, text(&caller[field]));
    }
    if let Some(prompt) = record["prompt"].as_object() {
        let hash = text(&prompt["hash"]);
        let label = prompt.get("label").and_then(Value::as_str);
        let label = label.map(|label| format!(", by label {label}")).unwrap_or_default();
        title(
            "prompt",
            format!(
                "{}@{} ({}{label})",
                text(&prompt["name"]),
                text(&prompt["version"]),
                hash.get(..12).unwrap_or(&hash)
            ),
        );
    }
    for field in ["injected", "dropped"] {
        let names: Vec<String> = record[field].as_array().into_iter().flatten().map(text).collect();
        title(field, names.join(", "));
    }
    let usage = &record["usage"];
    let estimated = if usage["estimated"] == true { ", counted here" } else { "" };
    title(
        "tokens",
        format!(
            "{} in ({} cached), {} out ({} reasoning){estimated}",
            sum(
                usage,
                &[
                    "input_fresh",
                    "cache_read",
                    "cache_write_5m",
                    "cache_write_1h",
                    "audio_input",
                    "audio_cache_read",
                    "image_input",
                    "image_cache_read",
                ]
            ),
            sum(usage, &["cache_read", "audio_cache_read", "image_cache_read"]),
            sum(usage, &["output", "reasoning", "audio_output", "image_output"]),
            usage["reasoning"],
        ),
    );
    title(
        "cost",
        format!(
            "{} (held {}; prices {})",
            nano_usd(&record["cost"]),
            nano_usd(&record["held"]),
            text(&record["price_version"])
        ),
    );
    title(
        "latency",
        format!(
            "{} (first token {})",
            duration_us(&record["latency_us"]),
            duration_us(&record["first_token_us"])
        ),
    );
    if let Some(gap) = call["chunk_gap_us"].as_u64() {
        let longest = duration_us(&record["stream"]["gap_max_us"]);
        title("between chunks", format!("{} on average, {longest} at most", duration_us(&gap.into())));
    }
    for document in record["documents"].as_array().into_iter().flatten() {
        title("document", format!("{} {}", text(&document["id"]), text(&document["score"])));
    }
    title("routing", text(&record["routing"]));
    title("cache", text(&record["cache"]));
    title("guard", text(&record["decision"]));
    guards(record);
    println!("\nstages");
    for stage in record["stages"].as_array().into_iter().flatten() {
        println!(
            "  {:<13} {:>10}  at {}",
            text(&stage["stage"]),
            duration_us(&stage["took_us"]),
            duration_us(&stage["start_us"])
        );
    }
    let billed = call["attempts"].as_array().into_iter().flatten();
    for (attempt, billed) in record["attempts"].as_array().into_iter().flatten().zip(billed) {
        let cost = if billed["cost"].is_null() { String::new() } else { nano_usd(&billed["cost"]) };
        let what = format!(
            "{} {} {} {cost} {}",
            text(&billed["target"]),
            text(&attempt["end"]),
            text(&attempt["status"]),
            text(&attempt["error"])
        );
        println!(
            "  {:<13} {:>10}  {}",
            "· attempt",
            duration_us(&attempt["took_us"]),
            show::printable(&what)
        );
    }
    for (name, body) in [("input", &call["input"]), ("output", &call["output"])] {
        if !body.is_null() {
            println!("\n{name}");
            for row in format!("{body:#}").lines() {
                println!("  {}", show::printable(row));
            }
        }
    }
}

fn sum(usage: &Value, fields: &[&str]) -> u64 {
    fields.iter().filter_map(|field| usage[*field].as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_ago_becomes_an_instant() {
        assert!(instant("15m").ends_with('Z'));
        assert_eq!(instant("2026-11-21"), "2026-11-21");
    }

    #[test]
    fn a_filter_is_a_query() {
        let filter = Filter { route: Some("a b".into()), min_latency: Some(3), ..Filter::default() };
        assert_eq!(query(&filter, 5), "route=a%20b&latency_ms_min=3&limit=5");
    }

    #[test]
    fn a_refused_call_and_an_answered_one_name_their_model_alike() {
        let check = |row: Value, expected: &str| assert_eq!(model(&row), expected, "{row}");
        check(serde_json::json!({"model": "hello", "provider": "sim"}), "sim/hello");
        // It came to no target, and asked so.
        check(serde_json::json!({"model": "sim/hello", "provider": null}), "sim/hello");
        check(serde_json::json!({"model": "support"}), "support");
    }
}
