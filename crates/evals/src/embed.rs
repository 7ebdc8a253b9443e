//! Embeddings of texts, asked through the gateway and kept with judges' answers: a text is asked for once per model.

use std::collections::HashMap;

use gauntlet_ports::{Ask, AskKind, JudgeKey, Judged};
use gauntlet_types::{Name, NanoUsd, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::Asker;

/// Texts of one call; every provider takes as many.
const BATCH_MAX: usize = 64;
/// Stands in the key where a judge has the hash of its prompt. Another number if what is kept ever changes its form.
const FORM: &str = "gauntlet/1:embedding";

/// Vectors in the order of the texts, or why there are none; with what it took either way.
#[derive(Debug)]
pub struct Embedded {
    pub vectors: Result<Vec<Vec<f64>>, String>,
    pub cost: NanoUsd,
    pub calls: u32,
    pub cached: u32,
}

/// The vectors of some texts by `model`. Equal texts are asked for once.
pub async fn embed(asker: &Asker<'_>, model: &Name, texts: &[&str]) -> Embedded {
    let mut made = Embedded { vectors: Ok(Vec::new()), cost: NanoUsd::default(), calls: 0, cached: 0 };
    let mut known: HashMap<&str, Vec<f64>> = HashMap::new();
    let mut missing: Vec<&str> = Vec::new();
    for text in texts {
        if known.contains_key(text) || missing.contains(text) {
            continue;
        }
        let kept = asker.cache.get(&key(model, text)).await;
        match kept.and_then(|kept| serde_json::from_str(&kept.answer).ok()) {
            Some(vector) => {
                made.cached += 1;
                known.insert(text, vector);
            }
            None => missing.push(text),
        }
    }
    for batch in missing.chunks(BATCH_MAX) {
        if let Err(why) = ask(asker, model, batch, &mut made, &mut known).await {
            made.vectors = Err(why);
            return made;
        }
    }
    made.vectors = Ok(texts.iter().filter_map(|text| known.get(text).cloned()).collect());
    made
}

async fn ask<'t>(
    asker: &Asker<'_>,
    model: &Name,
    texts: &[&'t str],
    made: &mut Embedded,
    known: &mut HashMap<&'t str, Vec<f64>>,
) -> Result<(), String> {
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::String(model.to_string()));
    body.insert("input".to_owned(), json!(texts));
    let asked = Ask {
        kind: AskKind::Embeddings,
        body,
        route: None,
        eval_id: asker.eval_id.clone(),
        app_sha: asker.app_sha.clone(),
        prompt: None,
        is_judge: true,
    };
    made.calls += 1;
    let told = asker.runner.ask(asked).await.map_err(|error| error.to_string())?;
    made.cost = made.cost.plus(told.cost);
    if !told.is_ok() {
        let code = told.error_code().unwrap_or("no code");
        return Err(format!("`{model}` gave no embedding: status {}, {code}", told.status));
    }
    let data = told.body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (at, text) in texts.iter().enumerate() {
        // By its index, for the order is not promised.
        let entry =
            data.iter().find(|entry| entry["index"].as_u64() == Some(at as u64)).or_else(|| data.get(at));
        let numbers = entry.and_then(|entry| entry["embedding"].as_array());
        let vector: Option<Vec<f64>> = numbers
            .and_then(|numbers| numbers.iter().map(Value::as_f64).collect())
            .filter(|vector: &Vec<f64>| !vector.is_empty());
        let Some(vector) = vector else {
            return Err(format!("`{model}` answered without an embedding for each text"));
        };
        let judged = Judged {
            key: key(model, text),
            answer: json!(vector).to_string(),
            // The whole of the batch would be counted for each of its texts.
            cost: if at == 0 { told.cost } else { NanoUsd::default() },
            call: told.call,
            // The cache has a clock, this has none.
            at: Timestamp::default(),
        };
        asker.cache.put(judged).await;
        known.insert(text, vector);
    }
    Ok(())
}

fn key(model: &Name, text: &str) -> JudgeKey {
    JudgeKey {
        judge_model: model.clone(),
        judge_prompt_hash: hash(FORM).into(),
        output_hash: hash(text).into(),
        sample: 0,
    }
}

/// SHA-256, hexadecimal.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
