//! What small models do when they judge: run on until they are cut, wrap, say nothing, and refuse forms.

use super::*;

fn cut(text: &str, tokens: u64) -> Told {
    let choice = json!({"message": {"content": text}, "finish_reason": "length"});
    let body = json!({"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": tokens}});
    Told { status: 200, body, ..Told::default() }
}

#[test]
fn an_answer_that_was_cut_off_says_so_with_the_limit_to_raise() {
    let check = |tokens: u64, wanted: &str| {
        let model = Model::new(move |_: &Ask| cut(r#"{"reason": "It is polite, and it is pol"#, tokens));
        let memory = Memory::default();
        let scorer = scorer("rubric", json!({"rubric": "polite", "params": {"max_tokens": 200}}));
        let run = Run { scorer: &*scorer, runner: &model, cache: &memory, case: case(), text: "x" };
        let first = block(run.scored());
        assert_eq!((first.score.value, first.calls), (None, 2));
        let reason = first.score.reason.clone().unwrap_or_default();
        assert!(reason.contains(wanted) && reason.contains("cut off before its end, twice"), "{reason}");
        // A rerun knows as much.
        let second = block(run.scored());
        assert_eq!((second.score, second.calls, second.cached), (first.score, 0, 2));
    };
    check(200, "its limit is 200 tokens; give it more by `params: {max_tokens: 400}`");
    check(150, "after 150 tokens there was no room left");
}

#[test]
fn a_judge_that_ran_on_is_asked_for_less_and_shown_little_of_it() {
    let model = Model::new(|ask: &Ask| {
        if words(ask).contains("much shorter") {
            return says(r#"{"reason": "", "pass": true, "score": 1}"#);
        }
        cut(&format!(r#"{{"reason": "{}"#, "polite ".repeat(2_000)), 2_048)
    });
    let scorer = scorer("rubric", json!({"rubric": "polite"}));
    let run = Run { scorer: &*scorer, runner: &model, cache: &NoCache, case: case(), text: "x" };
    let scored = block(run.scored());
    assert_eq!((scored.score.value, scored.calls), (Some(1.0), 2));
    let asked = model.asked.lock().unwrap();
    let shown = asked[1].body["messages"][2]["content"].as_str().unwrap();
    assert!(shown.len() <= 400, "{}", shown.len());
}

#[test]
fn what_cannot_be_read_is_shown_with_its_trace() {
    let check = |message: Value, wanted: &str| {
        let call = gauntlet_types::CallId(Default::default());
        let body = json!({"choices": [{"message": message, "finish_reason": "stop"}]});
        let told = Told { status: 200, body, call: Some(call), ..Told::default() };
        let model = Model::new(move |_: &Ask| told.clone());
        let scorer = scorer("rubric", json!({"rubric": "polite"}));
        let run = Run { scorer: &*scorer, runner: &model, cache: &NoCache, case: case(), text: "x" };
        let reason = block(run.scored()).score.reason.unwrap_or_default();
        assert!(reason.contains(wanted) && reason.ends_with(&format!("(trace {call})")), "{reason}");
    };
    check(json!({"content": ""}), "it said nothing");
    check(json!({"content": null, "refusal": "I cannot judge that."}), "it said \"I cannot judge that.\"");
    check(json!({"content": "Very polite!"}), "there is no JSON object in it; it said \"Very polite!\"");
}

#[test]
fn a_verdict_that_contradicts_itself_is_none() {
    let check = |answer: &str, wanted: Option<f64>| {
        let score = one("rubric", json!({"rubric": "polite"}), answer, "x").score;
        assert_eq!(score.value, wanted, "{answer}");
        let says_why = score.reason.unwrap_or_default().contains("contradict each other");
        assert_eq!((score.passed.is_some(), says_why), (wanted.is_some(), wanted.is_none()), "{answer}");
    };
    check(r#"{"reason": "true or false", "pass": true, "score": 0.0}"#, None);
    check(r#"{"reason": "", "pass": false, "score": 1}"#, None);
    check(r#"{"reason": "", "pass": true, "score": 0.1}"#, Some(0.1));
    check(r#"{"reason": "", "pass": false, "score": 0.9}"#, Some(0.9));
}

#[test]
fn claims_and_steps_are_read_where_they_are_wrapped() {
    let model = Model::new(|ask: &Ask| match by(ask) {
        "judge-g-eval-steps" => {
            says(r#"{"steps": [{"name": "first", "description": "Read both."}, {"step": "Compare."}]}"#)
        }
        "judge-faithfulness-statements" => says(r#"{"statements": [{"text": "It opened in 1889."}, ""]}"#),
        "judge-faithfulness-verdicts" => says(r#"{"verdicts": [{"number": 1, "verdict": 1}]}"#),
        _ => says(r#"{"reason": "", "score": 5}"#),
    });
    let score = |kind: &str, options: Value| {
        let scorer = scorer(kind, options);
        block(
            Run { scorer: &*scorer, runner: &model, cache: &NoCache, case: case(), text: "In 1889." }
                .scored(),
        )
        .score
    };
    let g_eval = score("g_eval", json!({"criteria": "Is it right?"}));
    assert_eq!((g_eval.value, &g_eval.evidence["steps"]), (Some(0.5), &json!(["Read both.", "Compare."])));
    assert_eq!(score("faithfulness", json!({})).evidence["claims"][0]["statement"], "It opened in 1889.");
}

#[test]
fn the_first_question_finds_the_form_for_all_metrics() {
    let model = Model::new(|ask: &Ask| {
        if ask.body["response_format"]["type"] == "json_schema" {
            let body = json!({"error": {"code": "upstream_refused", "message": "response_format.type: json_schema"}});
            return Told { status: 400, body, ..Told::default() };
        }
        assert_eq!(ask.body["response_format"]["schema"]["type"], "object");
        says(r#"{"reason": "", "pass": true, "score": 1, "verdict": 1}"#)
    });
    let (polite, useful) =
        (scorer("rubric", json!({"rubric": "polite"})), scorer("context_precision", json!({})));
    let forms = Arc::default();
    let run = |scorer: &dyn Scorer, text: &'static str| {
        let run = Run { scorer, runner: &model, cache: &NoCache, case: case(), text };
        // Together they would each find out for themselves, if none of them went first.
        block(async { run.scored_by(&forms).await.score.value })
    };
    let both = block(async {
        let of = |scorer, text| Run { scorer, runner: &model, cache: &NoCache, case: case(), text };
        let (a, b, c) = (of(&*polite, "x"), of(&*polite, "y"), of(&*useful, "x"));
        futures_util::future::join3(a.scored_by(&forms), b.scored_by(&forms), c.scored_by(&forms)).await
    });
    assert_eq!([both.0.calls, both.1.calls, both.2.calls].iter().sum::<u32>(), 5);
    assert_eq!(run(&*polite, "z"), Some(1.0));
    let refused = model
        .asked
        .lock()
        .unwrap()
        .iter()
        .filter(|ask| ask.body["response_format"]["type"] == "json_schema")
        .count();
    assert_eq!(refused, 1);
}

#[test]
fn a_question_that_is_too_long_is_not_asked_in_other_forms() {
    let model = Model::new(|_: &Ask| {
        let error = json!({"code": "upstream_refused", "message": "too long", "provider_code": "context_length_exceeded"});
        Told { status: 400, body: json!({"error": error}), ..Told::default() }
    });
    let scorer = scorer("rubric", json!({"rubric": "polite"}));
    let run = Run { scorer: &*scorer, runner: &model, cache: &NoCache, case: case(), text: "x" };
    let scored = block(run.scored());
    assert_eq!((scored.score.value, scored.calls), (None, 1));
}

#[test]
fn a_form_that_the_model_refuses_is_left_out_from_then_on() {
    let model = Model::new(|ask: &Ask| {
        if ask.body.contains_key("logprobs") || ask.body["response_format"]["type"] == "json_schema" {
            return refuses(400, "upstream_refused");
        }
        says(r#"{"reason": "", "score": 5}"#)
    });
    let scorer = scorer("g_eval", json!({"steps": ["a"]}));
    let forms = Arc::default();
    let run = |text: &'static str| {
        block(Run { scorer: &*scorer, runner: &model, cache: &NoCache, case: case(), text }.scored_by(&forms))
    };
    let first = run("x");
    assert_eq!((first.score.value, first.calls), (Some(0.5), 4));
    let second = run("y");
    assert_eq!((second.score.value, second.calls), (Some(0.5), 1));
}
