//! How sure a judge was of its score: probabilities of the tokens it might have written in its place.
//!
//! Formula of DeepEval 4.1 (`deepeval/metrics/g_eval/utils.py`, after Liu et al. 2023, "G-Eval", eq. 1): of the last token that
//! is the score, the mean of all whole numbers among the alternatives with a probability of 1 % or more, each weighted by it.

use gauntlet_ports::{Judged, Told};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::Said;

/// Less likely alternatives say nothing.
const PROBABILITY_MIN: f64 = 0.01;
/// Numbers of an answer that are kept, from its end: the score is among the last.
const TOKENS_KEPT_MAX: usize = 64;

/// A token that is a whole number, with the whole numbers that might have stood there and their probabilities.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Token {
    pub(super) number: u32,
    pub(super) instead: Vec<(u32, f64)>,
}

/// The numbers of an answer, where the provider gives `logprobs`.
pub(super) fn of(told: &Told) -> Vec<Token> {
    let Some(tokens) = told.body["choices"][0]["logprobs"]["content"].as_array() else { return Vec::new() };
    let numbers = tokens.iter().rev().filter_map(|token| {
        let instead = token["top_logprobs"].as_array()?.iter().filter_map(|one| {
            let probability = one["logprob"].as_f64()?.exp();
            (probability >= PROBABILITY_MIN).then_some((whole(&one["token"])?, probability))
        });
        Some(Token { number: whole(&token["token"])?, instead: instead.collect() })
    });
    let mut kept: Vec<Token> = numbers.take(TOKENS_KEPT_MAX).collect();
    kept.reverse();
    kept
}

fn whole(token: &Value) -> Option<u32> {
    let text = token.as_str()?.trim();
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_decimal.then(|| text.parse().ok()).flatten()
}

/// The expected score; none where the score is not one token, or no alternative is likely enough.
pub(super) fn expected(tokens: &[Token], score: f64) -> Option<f64> {
    let token = tokens.iter().rev().find(|token| f64::from(token.number) == score)?;
    let total: f64 = token.instead.iter().map(|(_, probability)| probability).sum();
    let sum: f64 = token.instead.iter().map(|(number, probability)| f64::from(*number) * probability).sum();
    (total > 0.0).then(|| sum / total)
}

/// As the cache keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<Token>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut_at: Option<u64>,
}

pub(super) fn pack(said: &Said) -> String {
    json!(Kept { text: said.text.clone(), tokens: said.tokens.clone(), cut_at: said.cut_at }).to_string()
}

/// What is in no such form is taken for the judge's words.
pub(super) fn unpack(judged: Judged) -> Said {
    let Judged { answer, call, .. } = judged;
    match serde_json::from_str(&answer) {
        Ok(Kept { text, tokens, cut_at }) => Said { text, tokens, cut_at, call },
        Err(_) => Said { text: answer, call, ..Said::default() },
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_ports::JudgeKey;
    use gauntlet_types::{NanoUsd, Timestamp};

    use super::*;

    fn told(tokens: Value) -> Told {
        let body = json!({"choices": [{"message": {"content": "x"}, "logprobs": {"content": tokens}}]});
        Told { status: 200, body, ..Told::default() }
    }

    #[test]
    fn a_score_is_weighted_by_what_might_have_stood_there() {
        let ln = |p: f64| p.ln();
        let of_score = json!({"token": "8", "logprob": ln(0.6), "top_logprobs": [
            {"token": "8", "logprob": ln(0.6)}, {"token": " 7", "logprob": ln(0.3)},
            {"token": "9", "logprob": ln(0.005)}, {"token": "ten", "logprob": ln(0.095)},
        ]});
        let other = json!({"token": "8", "logprob": 0.0, "top_logprobs": [{"token": "8", "logprob": 0.0}]});
        let told =
            told(json!([other, {"token": "{\"score\":", "top_logprobs": []}, of_score, {"token": "}"}]));
        let tokens = of(&told);
        assert_eq!(tokens.len(), 2);
        let wanted = (8.0 * 0.6 + 7.0 * 0.3) / 0.9;
        assert!((expected(&tokens, 8.0).unwrap() - wanted).abs() < 1e-12);
        assert_eq!(expected(&tokens, 3.0), None);
        assert_eq!(expected(&[], 8.0), None);
    }

    #[test]
    fn what_the_cache_keeps_comes_back_whole() {
        let said = Said {
            text: "{\"score\": 8}".to_owned(),
            tokens: vec![Token { number: 8, instead: vec![(8, 0.9)] }],
            cut_at: Some(200),
            call: None,
        };
        let back = |answer: String| {
            let key = JudgeKey {
                judge_model: "m".into(),
                judge_prompt_hash: "p".into(),
                output_hash: "o".into(),
                sample: 0,
            };
            unpack(Judged { key, answer, cost: NanoUsd::ZERO, call: None, at: Timestamp::default() })
        };
        let whole = back(pack(&said));
        assert_eq!((whole.text, whole.tokens, whole.cut_at), (said.text, said.tokens, said.cut_at));
        let plain = Said { text: "{\"text\": 1}".to_owned(), ..Said::default() };
        assert_eq!(back(pack(&plain)).text, plain.text);
        assert_eq!(back("no JSON".to_owned()).text, "no JSON");
    }
}
