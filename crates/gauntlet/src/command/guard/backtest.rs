//! `gauntlet guard backtest`: what a policy would have decided about recorded calls, page by page, so that the gateway goes
//! on meanwhile.

use std::{
    fs,
    io::{IsTerminal, Write},
};

use anyhow::{Context, Result};
use gauntlet_server::guards::backtest::{Asked, Backtested};
use serde_json::json;

use super::is_file;
use crate::{
    cli::{self, Place},
    config_dir,
    reach::Reach,
    show::{self, Column},
};

/// Calls looked at, at the most: some minutes. Whoever has more asks about a shorter time or one route.
const CALLS_MAX: u64 = 2_000_000;

pub fn run(place: &Place, wanted: &cli::Backtest) -> Result<()> {
    let mut asked = Asked {
        since: wanted.since.clone(),
        until: wanted.until.clone(),
        route: wanted.route.clone(),
        tenant: wanted.tenant.clone(),
        limit: wanted.limit,
        ..Asked::default()
    };
    if is_file(&wanted.policy) {
        let text = fs::read_to_string(&wanted.policy);
        asked.text = Some(text.with_context(|| format!("cannot read {}", wanted.policy))?);
        let folder = config_dir::find(place.config.as_deref())?;
        asked.schemas = config_dir::read(folder.as_deref())?.sources.schemas;
    } else {
        asked.policy = Some(wanted.policy.clone());
    }
    let reach = Reach::new(place)?;
    let (whole, is_cut) = whole(&reach, asked)?;
    if place.json {
        let mut shown = json!(whole);
        shown["is_cut"] = is_cut.into();
        show::json(&shown);
    } else {
        print(&whole, wanted.limit, is_cut);
    }
    Ok(())
}

/// All pages; and whether there were too many.
fn whole(reach: &Reach, mut asked: Asked) -> Result<(Backtested, bool)> {
    let limit = asked.limit;
    let mut whole = Backtested::default();
    let progress = std::io::stderr().is_terminal();
    loop {
        let page: Backtested = serde_json::from_value(reach.post("/api/v1/guard/backtest", &json!(asked))?)?;
        whole.add(page, limit);
        let looked = whole.calls + whole.without_texts;
        if progress {
            eprint!("\r{looked} calls, {} to go … ", whole.left);
            std::io::stderr().flush()?;
        }
        if whole.next.is_none() || looked >= CALLS_MAX {
            break;
        }
        (asked.next, asked.at) = (whole.next, Some(whole.at));
        asked.limit = limit - whole.differ.len().min(limit);
    }
    if progress {
        eprintln!();
    }
    let is_cut = whole.next.is_some();
    Ok((whole, is_cut))
}

fn print(whole: &Backtested, limit: usize, is_cut: bool) {
    let place = match whole.replaced.as_slice() {
        [] => "as one more level".to_owned(),
        levels => format!("in the place of {}", levels.join("; ")),
    };
    println!("{} {place}, calls of {} to {}", whole.policy, whole.from, whole.to);
    println!(
        "would have blocked {} more of {}, {} fewer ({} were, {} would be)",
        counted(whole.blocked_more),
        counted(whole.calls),
        counted(whole.blocked_fewer),
        counted(whole.blocked_before),
        counted(whole.blocked_after)
    );
    let notes = [
        (whole.without_texts, "have no texts any more, so nobody knows what they would be"),
        (whole.unknown_route, "are of routes that are gone, and were decided as calls that name none"),
    ];
    for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
        println!("{} calls {what}", counted(count));
    }
    if whole.without_score > 0 {
        println!("{} findings have no noted score and are taken to be certain", counted(whole.without_score));
    }
    if is_cut {
        println!("{} calls were not looked at: ask about a shorter time, a route or a tenant", whole.left);
    }
    println!();
    let columns = [Column::Left("decided"), Column::Left("would be"), Column::Right("calls")];
    let rows = whole.decisions.iter().map(|moved| {
        vec![moved.before.as_str().to_owned(), moved.after.as_str().to_owned(), counted(moved.calls)]
    });
    show::table(&columns, rows.collect(), "No calls.");
    if whole.differing == 0 {
        println!("\nNo call would be decided otherwise.");
        return;
    }
    println!();
    let columns = [
        Column::Right("calls"),
        Column::Left("kind"),
        Column::Left("type"),
        Column::Left("in"),
        Column::Left("done"),
        Column::Left("would be"),
        Column::Left("by"),
    ];
    let mut by = whole.by.clone();
    by.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.because.label.cmp(&b.because.label)));
    let rows = by.iter().map(|one| {
        let why = &one.because;
        let words = [
            &why.kind,
            &why.label,
            super::said(why.direction),
            &why.action_before,
            &why.action_after,
            &why.rule,
        ];
        [vec![counted(one.calls)], words.map(str::to_owned).to_vec()].concat()
    });
    show::table(&columns, rows.collect(), "");
    if limit == 0 {
        return;
    }
    println!();
    let columns = [
        Column::Whole("call"),
        Column::Left("time"),
        Column::Left("tenant"),
        Column::Left("route"),
        Column::Left("decided"),
        Column::Left("would be"),
        Column::Left("because of"),
    ];
    let rows = whole.differ.iter().map(|one| {
        vec![
            one.id.clone(),
            one.started.to_string(),
            one.tenant.to_string(),
            one.route.to_string(),
            one.before.as_str().to_owned(),
            one.after.as_str().to_owned(),
            format!("{} {} in {}", one.because.kind, one.because.label, super::said(one.because.direction)),
        ]
    });
    show::table(&columns, rows.collect(), "");
    let more = whole.differing - whole.differ.len() as u64;
    if more > 0 {
        println!("and {} more; --limit shows them", counted(more));
    }
}

/// `52,310`
fn counted(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_commas_by_the_thousand() {
        let check = |number: u64, shown: &str| assert_eq!(counted(number), shown);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(52_310, "52,310");
        check(1_234_567, "1,234,567");
    }
}
