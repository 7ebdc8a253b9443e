//! `gauntlet guard allow`: a person says that findings of a recorded call are none. They are let pass for a time
//! (`exceptions.yml`), and kept as cases to test guards by (`evals/guard-exceptions.jsonl`).

mod file;

use anyhow::{Context, Result, anyhow, bail, ensure};
use gauntlet_types::{Day, ExceptedValue, Exception, Name};
use serde_json::{Value, json};

use super::cases::Cases;
use crate::{
    cli::{Allow, Place},
    config_dir,
    reach::Reach,
    show, wiring,
};

/// What lasts longer is no exception but a rule, and belongs into a policy.
const DAYS_MAX: u32 = 366;

pub fn run(place: &Place, asked: &Allow) -> Result<()> {
    let Some(folder) = config_dir::find(place.config.as_deref())? else {
        bail!("there is no configuration folder that exceptions.yml could be in; name it by --config");
    };
    ensure!(!asked.why.trim().is_empty(), "say why: whoever finds the exception later wants to know");
    let today = wiring::now().day();
    let until = until(asked, today)?;
    let reach = Reach::new(place)?;
    let question = json!({"call": asked.call, "value": asked.value, "tenant": asked.tenant});
    let call = reach.post("/api/v1/guard/findings", &question)?;
    let marked = marked(&call, asked)?;
    let entries = marked.iter().map(|finding| entry(finding, &call, asked, until));
    let entries = entries.collect::<Result<Vec<Exception>>>()?;
    // Held from here on, so that two who allow at once do not write over each other.
    let mut cases = Cases::open(&folder)?;
    let added = file::add(&folder, &entries, &asked.call, today)?;
    for (finding, entry) in marked.iter().zip(&entries) {
        cases.add(&case(finding, &call, asked, entry, today))?;
    }
    // A gateway under way takes the folder over by itself as well, a moment later.
    let reloaded = reach.post("/api/v1/reload", &json!({}));
    tell(place, &entries, &marked, &call, &added, &cases);
    reloaded.context("exceptions.yml is written, and the gateway could not take it over").map(drop)
}

fn until(asked: &Allow, today: Day) -> Result<Day> {
    let day = match &asked.until {
        Some(text) => {
            Day::parse(text).with_context(|| format!("`{text}` is not a day; write it as 2027-01-31"))?
        }
        None => {
            let span = &asked.span;
            let days = span.split_at_checked(span.len().saturating_sub(1)).and_then(|(number, unit)| {
                let number: u32 = number.parse().ok()?;
                match unit {
                    "d" => Some(number),
                    "w" => number.checked_mul(7),
                    _ => None,
                }
            });
            let days = days.with_context(|| format!("`{span}` is not a span; write it as 30d or 4w"))?;
            Day(today.0.saturating_add_unsigned(days))
        }
    };
    ensure!(day > today, "{day} is not in the future");
    let most = Day(today.0.saturating_add_unsigned(DAYS_MAX));
    ensure!(day <= most, "an exception holds for {DAYS_MAX} days at most; for longer change the policy");
    Ok(day)
}

/// The findings that are meant, each value once.
fn marked(call: &Value, asked: &Allow) -> Result<Vec<Value>> {
    let id = show::text(&call["id"]);
    let is = |wanted: &Option<String>, have: &Value| {
        wanted.as_deref().is_none_or(|wanted| have.as_str() == Some(wanted))
    };
    let all = call["findings"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(!all.is_empty(), "no guard noted anything on {id}");
    let mut fitting: Vec<Value> = Vec::new();
    for finding in all.iter().filter(|one| is(&asked.kind, &one["kind"]) && is(&asked.label, &one["type"])) {
        let same = ["kind", "type", "value_hash"];
        if !fitting.iter().any(|other| same.iter().all(|field| other[field] == finding[field])) {
            fitting.push(finding.clone());
        }
    }
    if fitting.is_empty() {
        bail!("{id} has no such finding; it has: {}", listed(all));
    }
    if asked.value.is_some() {
        fitting.retain(|finding| finding["is_value"] == true);
        if fitting.is_empty() {
            bail!(
                "the value given has the hash {}, which none of the findings has: {}",
                show::text(&call["value_hash"]),
                listed(all)
            );
        }
    }
    // Several phrases of one text are one matter.
    let is_one = |field: &str| fitting.iter().all(|finding| finding[field] == fitting[0][field]);
    let is_one_text = is_one("kind") && is_one("value_hash") && !fitting[0]["value_hash"].is_null();
    if fitting.len() > 1 && !is_one_text && asked.kind.is_none() && asked.label.is_none() {
        bail!("{id} has several findings; say by --kind and --type which are none: {}", listed(all));
    }
    if let Some(without) = fitting.iter().find(|finding| finding["value_hash"].is_null()) {
        bail!(
            "{} of {id} was noted without the hash of its value, so nothing can name it",
            show::text(&without["type"])
        );
    }
    Ok(fitting)
}

fn listed(findings: &[Value]) -> String {
    let one = |finding: &Value| {
        let words = ["kind", "type", "action", "value_hash"].map(|field| show::text(&finding[field]));
        words.join(" ")
    };
    findings.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// What lets a finding pass: for the call's tenant and route, unless said otherwise.
fn entry(finding: &Value, call: &Value, asked: &Allow, until: Day) -> Result<Exception> {
    let name = |value: &Value| value.as_str().map(Name::from);
    let own_tenant = name(&call["tenant"]);
    let kind = name(&finding["kind"]).context("a finding has a kind")?;
    let is_elsewhere = asked.everywhere || asked.route.is_some();
    let (tenant, route) = match (&asked.tenant, &asked.route) {
        (tenant, route) if tenant.is_some() || route.is_some() || asked.everywhere => {
            (tenant.as_deref().map(Name::from), route.as_deref().map(Name::from))
        }
        _ => (own_tenant.clone(), name(&call["route"])),
    };
    let is_other = tenant.is_some() && tenant != own_tenant;
    let value = match &asked.value {
        // Whoever reads the folder may not read what is secret.
        Some(text) if is_elsewhere && tenant.is_none() && kind != "secrets" => {
            ExceptedValue::Text(text.as_str().into())
        }
        Some(_) if is_other => ExceptedValue::Hash(
            name(&call["value_hash_of_tenant"])
                .ok_or_else(|| anyhow!("the gateway gave no hash of the value"))?,
        ),
        None if is_other => bail!(
            "hashes are each tenant's own, so that of this call names nothing of tenant `{}`; give the value by --value",
            tenant.unwrap_or_default()
        ),
        _ => ExceptedValue::Hash(name(&finding["value_hash"]).context("a finding has a hash")?),
    };
    Ok(Exception {
        kind,
        label: name(&finding["type"]),
        value,
        tenant,
        route,
        scope: None,
        until: until.start(),
        why: Some(asked.why.trim().into()),
    })
}

fn case(finding: &Value, call: &Value, asked: &Allow, entry: &Exception, today: Day) -> Value {
    let word = |field: &str| show::text(&finding[field]);
    let mut case = json!({
        "id": format!("{}:{}:{}:{}", show::text(&call["id"]), word("kind"), word("type"), word("value_hash")),
        "call": call["id"], "tenant": call["tenant"], "route": call["route"],
        "direction": finding["direction"], "kind": finding["kind"], "type": finding["type"],
        "scope": finding["scope"], "value_hash": finding["value_hash"], "why": entry.why, "marked": today.to_string(),
    });
    if finding["text"].is_string() {
        case["text"] = finding["text"].clone();
    }
    if let Some(value) = &asked.value {
        case["value"] = value.as_str().into();
    }
    case
}

fn tell(
    place: &Place,
    entries: &[Exception],
    marked: &[Value],
    call: &Value,
    added: &file::Added,
    cases: &Cases,
) {
    if place.json {
        let shown: Vec<_> = entries
            .iter()
            .map(|entry| gauntlet_policy::guard::explain::ExceptionShown::of(entry, wiring::now()))
            .collect();
        show::json(&json!({
            "call": call["id"], "exceptions": shown, "file": added.path.display().to_string(),
            "cases": cases.path().display().to_string(), "cases_added": cases.added(),
        }));
        return;
    }
    for (entry, finding) in entries.iter().zip(marked) {
        let bound = |name: &Option<Name>, what: &str| match name {
            Some(name) => format!("{what} {name}"),
            None => format!("every {what}"),
        };
        println!(
            "{} {} of {} passes until {} for {}, {}",
            entry.kind,
            show::text(&finding["type"]),
            show::text(&call["id"]),
            entry.until.day(),
            bound(&entry.tenant, "tenant"),
            bound(&entry.route, "route")
        );
        if matches!(entry.value, ExceptedValue::Hash(_)) && entry.tenant.is_none() {
            println!(
                "  hashes are each tenant's own: this one holds for tenant {}; for all of them give --value",
                show::text(&call["tenant"])
            );
        }
        if finding["count"].as_u64().unwrap_or(1) > 1 {
            println!(
                "  it was found {} times and the hash of the first is noted: other values are found again",
                finding["count"]
            );
        }
    }
    println!("written to {}", added.path.display());
    println!(
        "{} of {} to test guards by (`gauntlet guard test`)",
        cases.added_words(),
        cases.path().display()
    );
    if marked.iter().any(|finding| matches!(finding["action"].as_str(), Some("review" | "block"))) {
        println!("The call was stopped: send it again.");
    }
}
