//! `gauntlet prices import`: another project's list into prices.yml.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result, bail, ensure};
use gauntlet_policy::price::{
    Sheet,
    import::{self, Format, Imported, List, Merged},
};
use serde_json::json;

use crate::{
    cli::{Place, PricesImport},
    show::{self, Column},
};

/// A longer file is not a price list; LiteLLM's has 2 MB.
const FILE_MAX: u64 = 64 << 20;
/// Lines about models that are left out, on a terminal.
const SKIPPED_SHOWN: usize = 20;

pub fn run(place: &Place, asked: &PricesImport) -> Result<ExitCode> {
    let format = if asked.from == "litellm" { Format::Litellm } else { Format::GenaiPrices };
    let shown = asked.file.display();
    let length = fs::metadata(&asked.file).with_context(|| format!("cannot read {shown}"))?.len();
    ensure!(length <= FILE_MAX, "{shown} is {length} bytes long; a price list has at most {FILE_MAX}");
    let text = fs::read_to_string(&asked.file).with_context(|| format!("cannot read {shown}"))?;
    let list = import::read(format, &text).with_context(|| format!("cannot import {shown}"))?;
    let mut chosen = choose(list, asked)?;
    let old = match &asked.output {
        None => String::new(),
        Some(path) => match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        },
    };
    let target = asked.output.as_deref().unwrap_or(Path::new("the import"));
    let merged = import::merge(&old, &chosen.prices, &asked.from, asked.replace)
        .with_context(|| format!("cannot put the prices into {}", target.display()))?;
    if let Some(path) = &asked.output {
        write(path, &merged.text)?;
    }
    chosen.skipped.sort();
    report(place, asked, &merged, &chosen);
    Ok(ExitCode::SUCCESS)
}

struct Chosen {
    prices: Vec<(String, Sheet)>,
    /// Name and reason.
    skipped: Vec<(String, String)>,
    unknown: BTreeMap<String, usize>,
}

fn choose(list: List, asked: &PricesImport) -> Result<Chosen> {
    let known: BTreeSet<&str> = (list.models.iter().map(|one| one.provider.as_str()))
        .chain(list.skipped.iter().map(|one| one.provider.as_str()))
        .collect();
    for wanted in &asked.providers {
        if !known.contains(wanted.as_str()) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            bail!("the list has no provider `{wanted}`; it has: {known}");
        }
    }
    let wants = |provider: &str, model: &str| {
        let is_meant = |wanted: &String| match wanted.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == wanted,
        };
        (asked.providers.is_empty() || asked.providers.iter().any(|wanted| wanted == provider))
            && (asked.models.is_empty() || asked.models.iter().any(is_meant))
    };
    let name = |provider: &str, model: &str| {
        let provider = asked.name.as_deref().unwrap_or(provider);
        if asked.bare { model.to_owned() } else { format!("{provider}/{model}") }
    };
    let skipped = list.skipped.into_iter().filter(|one| wants(&one.provider, &one.model));
    let mut skipped: Vec<_> = skipped.map(|one| (name(&one.provider, &one.model), one.why)).collect();
    let mut prices: BTreeMap<String, Sheet> = BTreeMap::new();
    for Imported { provider, model, sheet } in
        list.models.into_iter().filter(|one| wants(&one.provider, &one.model))
    {
        let name = name(&provider, &model);
        match prices.get(&name) {
            None => {
                prices.insert(name, sheet);
            }
            Some(first) if *first == sheet => {}
            Some(_) => {
                skipped.push((
                    name,
                    format!("the list has two prices of it; that of `{provider}` comes second"),
                ));
            }
        }
    }
    ensure!(
        !prices.is_empty() || !skipped.is_empty(),
        "no model of the list fits; `--model` takes a whole name, or the beginning of one with `*`"
    );
    Ok(Chosen { prices: prices.into_iter().collect(), skipped, unknown: list.unknown })
}

/// In one step, so that a gateway that reloads on change never reads half a file.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text).with_context(|| format!("cannot write {}", Path::new(&beside).display()))?;
    fs::rename(&beside, path).with_context(|| format!("cannot replace {}", path.display()))
}

/// On standard output, unless the prices themselves go there.
fn report(place: &Place, asked: &PricesImport, merged: &Merged, chosen: &Chosen) {
    if place.json {
        let skipped: Vec<_> =
            chosen.skipped.iter().map(|(name, why)| json!({"model": name, "why": why})).collect();
        show::json(&json!({
            "text": merged.text, "written": asked.output.is_some(), "added": merged.added, "changed": merged.changed,
            "same": merged.same, "kept": merged.kept, "skipped": skipped, "unknown_fields": chosen.unknown,
        }));
        return;
    }
    let say = |line: String| if asked.output.is_some() { println!("{line}") } else { eprintln!("{line}") };
    if asked.output.is_none() {
        print!("{}", merged.text);
    }
    say(format!(
        "{} added, {} changed, {} as before, {} kept as written by hand, {} left out",
        merged.added.len(),
        merged.changed.len(),
        merged.same.len(),
        merged.kept.len(),
        chosen.skipped.len()
    ));
    let changed = merged.changed.iter().map(|name| (name.clone(), "changed".to_owned()));
    let kept = merged.kept.iter().map(|name| {
        (
            name.clone(),
            "kept: written by hand with another price; --replace puts the list's in its place".to_owned(),
        )
    });
    let left_out = chosen.skipped.iter().map(|(name, why)| (name.clone(), format!("left out: {why}")));
    let rows: Vec<(String, String)> = changed.chain(kept).chain(left_out).collect();
    if asked.output.is_some() && !rows.is_empty() {
        let shown = rows.iter().take(SKIPPED_SHOWN).map(|(name, what)| vec![name.clone(), what.clone()]);
        show::table(&[Column::Left("model"), Column::Left("what")], shown.collect(), "");
    } else {
        for (name, what) in rows.iter().take(SKIPPED_SHOWN) {
            say(format!("{}: {what}", show::printable(name)));
        }
    }
    if rows.len() > SKIPPED_SHOWN {
        say(format!("and {} more; --json names them all", rows.len() - SKIPPED_SHOWN));
    }
    let is_price = |field: &&String| {
        ["cost", "pric", "mtok", "count", "hours", "multiplier"].iter().any(|word| field.contains(word))
    };
    let (prices, others): (Vec<_>, Vec<_>) = chosen.unknown.keys().partition(is_price);
    if !prices.is_empty() {
        let fields = prices.iter().map(|field| format!("{field} ({})", chosen.unknown[*field]));
        let fields = fields.collect::<Vec<_>>().join(", ");
        say(format!("prices that are not billed here, and how many models of the list have them: {fields}"));
    }
    if !others.is_empty() {
        say(format!(
            "{} more kinds of fields say nothing that is known here; --json names them",
            others.len()
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn asked(providers: &[&str], models: &[&str]) -> PricesImport {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        PricesImport {
            file: PathBuf::new(),
            from: "litellm".to_owned(),
            providers: owned(providers),
            models: owned(models),
            name: None,
            bare: false,
            output: None,
            replace: false,
        }
    }

    fn list() -> List {
        let model = |provider: &str, price: &str| {
            format!(
                "{{\"litellm_provider\": \"{provider}\", \"input_cost_per_token\": {price}, \"output_cost_per_token\": 1e-6}}"
            )
        };
        let text = format!(
            "{{\"gpt-a\": {}, \"gpt-b\": {}, \"azure/gpt-a\": {}, \"openai/gpt-a\": {}}}",
            model("openai", "1e-6"),
            model("openai", "1e-6"),
            model("azure", "2e-6"),
            model("openai", "3e-6"),
        );
        import::read(Format::Litellm, &text).unwrap()
    }

    fn names(asked: &PricesImport) -> Vec<String> {
        choose(list(), asked).unwrap().prices.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn models_are_chosen_by_provider_and_name() {
        assert_eq!(names(&asked(&[], &[])), ["azure/gpt-a", "openai/gpt-a", "openai/gpt-b"]);
        assert_eq!(names(&asked(&["azure"], &[])), ["azure/gpt-a"]);
        assert_eq!(names(&asked(&[], &["gpt-b"])), ["openai/gpt-b"]);
        assert_eq!(names(&asked(&["openai"], &["gpt-*"])), ["openai/gpt-a", "openai/gpt-b"]);
        let mine = PricesImport { name: Some("mine".to_owned()), ..asked(&["openai"], &["gpt-b"]) };
        assert_eq!(names(&mine), ["mine/gpt-b"]);
        let bare = PricesImport { bare: true, ..asked(&["openai"], &["gpt-b"]) };
        assert_eq!(names(&bare), ["gpt-b"]);
    }

    #[test]
    fn what_is_left_out_has_a_reason() {
        let chosen = choose(list(), &asked(&["openai"], &[])).unwrap();
        assert_eq!(chosen.skipped.len(), 1);
        assert!(chosen.skipped[0].1.contains("two prices"), "{:?}", chosen.skipped);
        let none = choose(list(), &asked(&["opnai"], &[])).err().unwrap().to_string();
        assert_eq!(none, "the list has no provider `opnai`; it has: azure, openai");
        assert!(choose(list(), &asked(&[], &["x"])).is_err());
    }
}
