//! What docs/scorers.md shows is taken, and every kind stands there.

#![allow(clippy::unwrap_used)]

use gauntlet_evals::{MetricSpec, Suite, score};
use serde_json::{Map, Value};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scorers.md");

fn spec(entry: &Value) -> MetricSpec {
    let (kind, mut options) = match entry {
        Value::String(kind) => (kind.as_str(), Map::new()),
        entry => {
            let (kind, options) = entry.as_object().unwrap().iter().next().unwrap();
            (kind.as_str(), options.as_object().unwrap().clone())
        }
    };
    let mut number = |name: &str| options.shift_remove(name).and_then(|value| value.as_f64());
    let (threshold, floor) = (number("threshold"), number("floor"));
    options.shift_remove("name");
    MetricSpec { name: kind.into(), kind: kind.into(), options, threshold, floor, ..MetricSpec::default() }
}

#[test]
fn the_documented_metrics_are_made() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let blocks = document.split("```yaml\n").skip(1).map(|part| part.split("```").next().unwrap());
    let mut made = 0;
    for block in blocks {
        let entries: Vec<Value> =
            serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{error}\n{block}"));
        for entry in &entries {
            let scorer =
                score::make(&spec(entry), &Suite::default()).unwrap_or_else(|mistake| panic!("{mistake}"));
            assert!(scorer.is_some(), "{entry}");
            made += 1;
        }
    }
    assert!(made >= 12, "{made}");
}

#[test]
fn every_kind_is_documented() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let table: String = document.lines().filter(|line| line.starts_with("| `")).collect();
    let missing: Vec<&&str> =
        score::KINDS.iter().filter(|kind| !table.contains(&format!("`{kind}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
