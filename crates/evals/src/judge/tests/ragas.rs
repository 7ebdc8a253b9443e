//! Our scores beside those of RAGAS's own code on the same answers of a judge (`ragas.json`: 24 made-up sets of verdicts, claims,
//! questions and vectors, put through `ragas` 0.4.3 by `ragas_scores.py`, its
//! prompts replaced by what they would have answered).

use super::*;

/// One after the other, for the passages of a case are asked about one by one.
struct Queue(Mutex<Vec<Value>>);

impl Queue {
    fn next(&self) -> Told {
        says(&self.0.lock().unwrap().remove(0).to_string())
    }
}

fn bits(row: &Value, metric: &str) -> Vec<u64> {
    row[metric].as_array().unwrap().iter().map(|bit| bit.as_u64().unwrap()).collect()
}

/// What the judge answers for this metric, in its order.
fn answers(metric: &str, row: &Value) -> Vec<Value> {
    let numbered = |name: &str| -> Vec<Value> {
        let one = |(at, bit): (usize, u64)| json!({"number": at + 1, "sentence": format!("s{at}"), "reason": "", name: bit});
        bits(row, metric).into_iter().enumerate().map(one).collect()
    };
    match metric {
        "faithfulness" => {
            let claims: Vec<String> = (0..bits(row, metric).len()).map(|at| format!("claim {at}")).collect();
            vec![json!({"statements": claims}), json!({"verdicts": numbered("verdict")})]
        }
        "context_precision" => numbered("verdict"),
        "context_recall" => vec![json!({"sentences": numbered("attributed")})],
        _ => {
            let of = &row["answer_relevancy"];
            (0..3)
                .map(|at| json!({"question": of["questions"][at], "noncommittal": of["noncommittal"][at]}))
                .collect()
        }
    }
}

fn ours(metric: &str, row: &Value) -> Option<f64> {
    let said = Queue(Mutex::new(answers(metric, row)));
    let vector = |text: &Value| {
        let at =
            text.as_str().unwrap().strip_prefix("made ").map_or(0, |at| at.parse::<usize>().unwrap() + 1);
        json!({"embedding": row["answer_relevancy"]["vectors"][at]})
    };
    let model = Model::new(move |ask: &Ask| match ask.kind {
        AskKind::Chat => said.next(),
        AskKind::Embeddings => {
            let data: Vec<Value> = ask.body["input"].as_array().unwrap().iter().map(vector).collect();
            Told { status: 200, body: json!({"data": data}), ..Told::default() }
        }
    });
    let scorer = scorer(metric, json!({}));
    let passages = bits(row, "context_precision").len();
    let case = Case {
        vars: json!({"question": "asked"}).as_object().cloned().unwrap(),
        contexts: (0..passages).map(|at| format!("passage {at}")).collect(),
        ..case()
    };
    let run = Run { scorer: &*scorer, runner: &model, cache: &NoCache, case, text: "given" };
    block(run.scored()).score.value
}

#[test]
fn the_four_metrics_of_ragas_are_its_own_to_the_last_digits() {
    let golden: Value = serde_json::from_str(include_str!("ragas.json")).unwrap();
    let rows = golden["rows"].as_array().unwrap();
    assert_eq!((golden["ragas"].as_str(), rows.len()), (Some("0.4.3"), 24));
    let (mut farthest, mut unscored) = (0.0_f64, 0);
    for (at, row) in rows.iter().enumerate() {
        for metric in ["faithfulness", "context_precision", "context_recall", "answer_relevancy"] {
            match (ours(metric, row), row["ragas"][metric].as_f64()) {
                (Some(ours), Some(theirs)) => farthest = farthest.max((ours - theirs).abs()),
                // Its NaN is our *unscored*.
                (None, None) => unscored += 1,
                (ours, theirs) => panic!("row {at}, {metric}: {ours:?} beside {theirs:?}"),
            }
        }
    }
    assert!(farthest < 1e-12, "{farthest:e}");
    assert_eq!(unscored, 3);
}
