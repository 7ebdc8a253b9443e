//! A whole trace as indented lines with bars, and the list of spans.

use anyhow::Result;
use gauntlet_types::NanoUsd;
use serde_json::{Value, json};

use super::{instant, short_time};
use crate::{
    cli::{Place, SpanFilter},
    reach::{Reach, escape},
    show::{self, Column, duration_us, nano_usd, printable, text},
};

/// Steps asked for at once, and printed unless all are wanted as JSON: more than anyone reads in a terminal.
const STEPS_AT_ONCE: usize = 10_000;
const STEPS_SHOWN: usize = 2_000;
/// As many answers at most make a whole tree; the gateway looks at no more spans than that.
const ANSWERS_MAX: usize = 20;
/// Columns of a bar, where the terminal has room for one.
const BAR_MIN: usize = 10;
const BAR_MAX: usize = 40;
/// A deep step is indented no further.
const DEPTH_SHOWN: usize = 20;
const NAME_MIN: usize = 12;
const DURATION_WIDTH: usize = 9;

pub(super) fn is_trace_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn run(reach: &Reach, place: &Place, id: &str) -> Result<()> {
    let path = |from: usize| format!("/api/v1/trace-tree/{}?from={from}&limit={STEPS_AT_ONCE}", escape(id));
    let mut tree = reach.get(&path(0))?;
    if !place.json {
        print(&tree);
        return Ok(());
    }
    let mut next = tree["next"].as_u64();
    for _ in 1..ANSWERS_MAX {
        let Some(from) = next else { break };
        let more = reach.get(&path(from as usize))?;
        next = more["next"].as_u64();
        if let (Some(steps), Some(more)) = (tree["steps"].as_array_mut(), more["steps"].as_array()) {
            steps.extend(more.iter().cloned());
        }
    }
    tree["next"] = json!(next);
    show::json(&tree);
    Ok(())
}

fn print(tree: &Value) {
    let errors = match tree["errors"].as_u64() {
        Some(0) | None => "no errors".to_owned(),
        Some(1) => "1 error".to_owned(),
        Some(count) => format!("{count} errors"),
    };
    println!("{}  {}", printable(&text(&tree["name"])), printable(&text(&tree["service"])));
    println!(
        "{}, {}, {} spans, {} calls, {errors}",
        show::time(&tree["started"]),
        duration_us(&tree["took_us"]),
        tree["spans"],
        tree["calls"],
    );
    println!("calls: {}, {}→{} tokens", nano_usd(&tree["cost"]), tree["tokens_in"], tree["tokens_out"]);
    let said = &tree["said_by_spans"];
    if said["cost"] != 0 || said["tokens_in"] != 0 || said["tokens_out"] != 0 {
        println!(
            "said by spans: {}, {}→{} tokens",
            nano_usd(&said["cost"]),
            said["tokens_in"],
            said["tokens_out"]
        );
    }
    if tree["is_whole"] == false {
        println!("this trace has more spans or calls than are looked at; the oldest are left out");
    }
    println!();
    let steps = tree["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = tree["took_us"].as_u64().unwrap_or(0);
    for row in lines(steps.get(..STEPS_SHOWN).unwrap_or(steps), whole, show::width()) {
        println!("{}", row.trim_end());
    }
    let all = tree["spans"].as_u64().unwrap_or(0) + tree["calls"].as_u64().unwrap_or(0);
    if steps.len() > STEPS_SHOWN {
        println!("… {} spans and calls in all; --json prints every step", all);
    }
}

/// Name, bar, duration and what else fits, a line a step.
fn lines(steps: &[Value], whole_us: u64, width: usize) -> Vec<String> {
    let named: Vec<String> = steps.iter().map(name).collect();
    let longest = named.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    // Half of the line for names, a third for bars, the rest for figures.
    let name_width = longest.min((width / 2).max(NAME_MIN));
    let bar_width = (width.saturating_sub(name_width + DURATION_WIDTH + 4)).min(width / 3).min(BAR_MAX);
    let bar_width = if bar_width < BAR_MIN { 0 } else { bar_width };
    let line = |(step, name): (&Value, &String)| {
        let mut shown = cut(name, name_width);
        shown.push_str(&" ".repeat(name_width - shown.chars().count()));
        shown.push_str("  ");
        if bar_width > 0 {
            shown.push_str(&bar(step, whole_us, bar_width));
            shown.push_str("  ");
        }
        shown.push_str(&format!("{:>DURATION_WIDTH$}", duration_us(&step["took_us"])));
        let rest = format!("  {}", facts(step));
        let left = width.saturating_sub(shown.chars().count());
        shown.push_str(&cut(&rest, left));
        cut(&shown, width)
    };
    steps.iter().zip(&named).map(line).collect()
}

fn name(step: &Value) -> String {
    let depth = step["depth"].as_u64().map_or(0, |depth| depth as usize);
    let mark = if step["is_error"] == true { "✗ " } else { "" };
    format!(
        "{}{mark}{} [{}]",
        "  ".repeat(depth.min(DEPTH_SHOWN)),
        printable(&text(&step["name"])),
        text(&step["kind"])
    )
}

fn facts(step: &Value) -> String {
    let mut facts = Vec::new();
    if let (Some(tokens_in), Some(tokens_out)) = (step["tokens_in"].as_u64(), step["tokens_out"].as_u64()) {
        facts.push(format!("{tokens_in}→{tokens_out}"));
    }
    if let Some(cost) = step["cost"].as_i64().filter(|cost| *cost != 0) {
        facts.push(show::usd(NanoUsd(cost).as_usd()));
    }
    if step["sort"] == "tool" {
        let output = step["output"].as_str().unwrap_or("no result seen");
        facts.push(printable(&format!("{} → {output}", text(&step["arguments"]))));
    }
    for note in step["notes"].as_array().into_iter().flatten() {
        facts.push(format!("({})", text(note)));
    }
    facts.join(" ")
}

/// Where in the trace a step lies; never nothing, so that a short one is seen.
fn bar(step: &Value, whole_us: u64, width: usize) -> String {
    let whole = u128::from(whole_us.max(1));
    let place = |us: u64| (u128::from(us) * width as u128 / whole) as usize;
    let (start, took) = (step["start_us"].as_u64().unwrap_or(0), step["took_us"].as_u64().unwrap_or(0));
    let from = place(start).min(width - 1);
    let length = place(took).clamp(1, width - from);
    let full = if step["is_error"] == true { "▒" } else { "█" };
    format!("{}{}{}", "·".repeat(from), full.repeat(length), "·".repeat(width - from - length))
}

fn cut(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) if width == 0 => String::new(),
        Some(_) => text.chars().take(width - 1).chain(['…']).collect(),
    }
}

pub(super) fn spans(reach: &Reach, place: &Place, filter: &SpanFilter, limit: u32) -> Result<()> {
    let answer = reach.get(&format!("/api/v1/spans?{}", query(filter, limit)))?;
    if place.json {
        show::json(&answer);
        return Ok(());
    }
    let rows = answer["spans"].as_array().map_or(&[][..], Vec::as_slice);
    let columns = [
        Column::Whole("time (UTC)"),
        Column::Whole("trace"),
        Column::Left("name"),
        Column::Left("kind"),
        Column::Left("service"),
        Column::Right("took"),
        Column::Left("error"),
    ];
    let row = |row: &Value| {
        let record = &row["record"];
        let error = match (record["is_error"] == true, record["error_message"].as_str()) {
            (true, Some(message)) => cut(&printable(message), 60),
            (true, None) => "error".to_owned(),
            (false, _) => String::new(),
        };
        vec![
            short_time(&record["started"]),
            text(&record["trace_id"]),
            text(&record["name"]),
            text(&record["kind"]),
            text(&record["service"]),
            duration_us(&record["took_us"]),
            error,
        ]
    };
    show::table(&columns, rows.iter().map(row).collect(), "No spans. Send some, or loosen the filter.");
    Ok(())
}

fn query(filter: &SpanFilter, limit: u32) -> String {
    let is = |set: bool| set.then(|| "true".to_owned());
    let pairs = [
        ("trace_id", filter.trace_id.clone()),
        ("tenant", filter.tenant.clone()),
        ("user", filter.user.clone()),
        ("session", filter.session.clone()),
        ("service", filter.service.clone()),
        ("kind", filter.kind.clone()),
        ("name", filter.name.clone()),
        ("roots", is(filter.roots)),
        ("errors", is(filter.errors)),
        ("since", filter.since.as_deref().map(instant)),
        ("until", filter.until.as_deref().map(instant)),
        ("limit", Some(limit.to_string())),
    ];
    let pairs = pairs.map(|(name, value)| value.map(|value| format!("{name}={}", escape(&value))));
    pairs.into_iter().flatten().collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_fits_any_terminal() {
        let step = |depth: u64, name: &str, start: u64, took: u64| {
            json!({
                "depth": depth, "name": name, "kind": "chain", "start_us": start, "took_us": took,
                "is_error": depth == 2, "tokens_in": 7, "tokens_out": 5, "cost": 1_500_000,
                "notes": ["ends after its parent"],
            })
        };
        let steps = [
            step(0, "answer", 0, 1_000_000),
            step(1, "retrieve", 250_000, 500_000),
            step(2, &"long name \u{1b}[31m".repeat(30), 999_999, u64::MAX),
            step(90_000, "deep", u64::MAX, 0),
        ];
        for width in [1, 20, 40, 80, 200] {
            for line in lines(&steps, 1_000_000, width) {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(!line.contains('\u{1b}'));
            }
        }
        let wide = lines(&steps[..2], 1_000_000, 120);
        assert_eq!(
            wide[1].trim_end(),
            format!(
                "  retrieve [chain]  {}{}{}     500 ms  7→5 $0.001500 (ends after its parent)",
                "·".repeat(10),
                "█".repeat(20),
                "·".repeat(10)
            )
        );
    }

    #[test]
    fn a_filter_is_a_query() {
        let filter = SpanFilter { name: Some("a b".into()), errors: true, ..SpanFilter::default() };
        assert_eq!(query(&filter, 5), "name=a%20b&errors=true&limit=5");
        assert!(is_trace_id("0af7651916cd43dd8448eb211c80319c") && !is_trace_id("r_0af7"));
    }
}
