//! Asking a judge: what was answered before is looked up, equal questions under way are asked once, nonsense is asked again once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{future::BoxFuture, lock::Mutex as Slot};
use gauntlet_ports::{Ask, AskKind, JudgeKey, Judged, Told};
use gauntlet_types::{CallId, Name, NanoUsd, Timestamp};
use serde_json::{Map, Value, json};

use super::{form::Form, json, prompt::Text, tokens};
use crate::{Asker, JudgeCache, hash::sha256};

/// Tokens of an answer where nobody says otherwise: verdicts on a long list fit, and a small model that repeats itself ends.
const TOKENS_MAX: u32 = 2_048;
/// Temperature of one draw, and of several: draws that are all the same would add nothing. As RAGAS 0.4 has it.
const TEMPERATURE_ONE: f64 = 0.0;
const TEMPERATURE_MANY: f64 = 0.3;
/// As much of an answer that could not be read as is shown to the judge again.
const WRONG_BYTES_MAX: usize = 4_000;
/// As much of it as is told to people.
const SHOWN_BYTES_MAX: usize = 120;
/// As much of one that was cut off as is shown to the judge again: it ran on, and the rest of its room is for a shorter one.
const CUT_BYTES_MAX: usize = 400;
/// Codes of the gateway's own by which another form of the question helps nothing.
const FINAL: [&str; 12] = [
    "unauthorized",
    "forbidden",
    "killed",
    "unknown_route",
    "unknown_model",
    "unpriced_model",
    "prompt_invalid",
    "budget_exceeded",
    "rate_limited",
    "guardrail_blocked",
    "request_too_large",
    "overloaded",
];

/// Codes of providers of which the same is true.
const FINAL_UPSTREAM: [&str; 5] = [
    "context_length_exceeded",
    "string_above_max_length",
    "request_too_large",
    "content_filter",
    "content_policy_violation",
];

/// What the candidate's output is replaced by where the hash of a judge's prompt is taken.
const HOLE: &str = "\u{0}output\u{0}";

/// A shape of JSON that is asked for, by name.
pub(super) struct Schema {
    pub(super) name: &'static str,
    /// Made at each question: a judge takes seconds, this a microsecond.
    pub(super) of: fn() -> Value,
}

/// One question to a judge.
pub(super) struct Question<'a> {
    pub(super) text: Text<'a>,
    /// Fenced already.
    pub(super) variables: Vec<(&'static str, String)>,
    /// The candidate's output as it stands in them, fences included, and its hash; none where the question is about something else.
    pub(super) output: Option<(String, &'a str)>,
    pub(super) schema: &'static Schema,
    /// Which draw of several.
    pub(super) sample: u32,
    /// Whether probabilities of the tokens of a score are wanted.
    pub(super) with_tokens: bool,
}

/// What a judge said, and where it was wanted and given how sure it was of each number.
#[derive(Clone, Default, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) tokens: Vec<tokens::Token>,
    /// Tokens after which the answer was cut off, where it was.
    pub(super) cut_at: Option<u64>,
    pub(super) call: Option<CallId>,
}

/// A model that judges.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) model: Name,
    /// Fields of every body; a null takes a default away.
    pub(super) params: Map<String, Value>,
    flights: Flights,
}

/// What finding one score took.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Bill {
    pub(super) cost: NanoUsd,
    pub(super) calls: u32,
    pub(super) cached: u32,
}

/// An asker, and the bill of one score.
pub(super) struct Bench<'a> {
    pub(super) asker: &'a Asker<'a>,
    bill: Mutex<Bill>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(asker: &'a Asker<'a>) -> Bench<'a> {
        Bench { asker, bill: Mutex::default() }
    }

    pub(super) fn add(&self, more: Bill) {
        let mut bill = self.bill.lock().unwrap_or_else(PoisonError::into_inner);
        bill.cost = bill.cost.plus(more.cost);
        bill.calls = bill.calls.saturating_add(more.calls);
        bill.cached = bill.cached.saturating_add(more.cached);
    }

    pub(super) fn bill(&self) -> Bill {
        *self.bill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Judge {
    /// `draws`: how many answers to equal questions are wanted; `params` go before every default.
    pub(super) fn new(model: Name, params: &Map<String, Value>, draws: u32) -> Judge {
        let temperature = if draws > 1 { TEMPERATURE_MANY } else { TEMPERATURE_ONE };
        let mut all = Map::new();
        all.insert("temperature".to_owned(), json!(temperature));
        all.insert("max_tokens".to_owned(), json!(TOKENS_MAX));
        all.extend(params.clone());
        all.retain(|_, value| !value.is_null());
        Judge { model, params: all, flights: Flights::default() }
    }

    /// Asks until an answer can be read: once, and once more with what was wrong.
    ///
    /// Errors: why there is no verdict. It is never taken for a bad one.
    pub(super) async fn ask<T>(
        &self,
        bench: &Bench<'_>,
        question: &Question<'_>,
        read: &(dyn Fn(&Value) -> Result<T, String> + Sync),
    ) -> Result<(T, Said), String> {
        let first = self.answer(bench, question, None).await?;
        let wrong = match json::find(&first.text, read) {
            Ok(found) => return Ok((found, first)),
            Err(wrong) => wrong,
        };
        let again = Again::of(&first, &wrong);
        let second = self.answer(bench, question, Some(&again)).await?;
        match json::find(&second.text, read) {
            Ok(found) => Ok((found, second)),
            Err(wrong) => Err(self.not_understood(&second, &wrong)),
        }
    }

    /// Why the case stays unscored, with the cure where there is one, and the call to look at.
    fn not_understood(&self, said: &Said, wrong: &str) -> String {
        let text = said.text.trim();
        let shown = match json::cut(text, SHOWN_BYTES_MAX) {
            "" => "it said nothing".to_owned(),
            shown => format!("it said {shown:?}"),
        };
        let trace = said.call.map(|call| format!(" (trace {call})")).unwrap_or_default();
        let Some(cut_at) = said.cut_at else {
            return format!(
                "the judge answered no JSON of the kind asked for, twice: {wrong}; {shown}{trace}"
            );
        };
        let limit =
            ["max_tokens", "max_completion_tokens"].iter().find_map(|name| self.params.get(*name)?.as_u64());
        let cure = match limit {
            // Some servers do not count.
            Some(limit) if cut_at == 0 || cut_at >= limit => {
                format!(
                    "its limit is {limit} tokens; give it more by `params: {{max_tokens: {}}}`, or take a judge that says less",
                    2 * limit
                )
            }
            _ => format!(
                "after {cut_at} tokens there was no room left; take a model with a longer context, or give fewer passages"
            ),
        };
        format!("the judge's answer was cut off before its end, twice: {cure}; {shown}{trace}")
    }

    async fn answer(
        &self,
        bench: &Bench<'_>,
        question: &Question<'_>,
        again: Option<&Again<'_>>,
    ) -> Result<Said, String> {
        let key = self.key(question, again)?;
        let flight = self.flights.join(&key);
        let mut held = bench.asker.waits.during(flight.slot.lock()).await;
        let known = match &*held {
            Some(said) => Some(said.clone()),
            None => bench.asker.cache.get(&key).await.map(tokens::unpack),
        };
        if let Some(said) = known {
            bench.add(Bill { cached: 1, ..Bill::default() });
            *held = Some(said.clone());
            return Ok(said);
        }
        let told = self.call(bench, question, again).await?;
        let said = said(&told);
        let judged = Judged {
            key: key.clone(),
            answer: tokens::pack(&said),
            cost: told.cost,
            call: told.call,
            // Nothing here reads a clock; whoever keeps it knows when.
            at: Timestamp::default(),
        };
        bench.asker.cache.put(judged).await;
        *held = Some(said.clone());
        Ok(said)
    }

    /// Everything that changes what a judge may answer, but for the candidate's output, which is told by its own hash.
    fn key(&self, question: &Question<'_>, again: Option<&Again<'_>>) -> Result<JudgeKey, String> {
        let variable = |(name, text): &(&str, String)| {
            let text = match &question.output {
                Some((output, _)) => text.replace(output.as_str(), HOLE),
                None => text.clone(),
            };
            ((*name).to_owned(), Value::from(text))
        };
        let fields = question.text.fields(question.variables.iter().map(variable).collect())?;
        let whole = json!([
            question.text.identity(),
            fields,
            self.params,
            (question.schema.of)(),
            question.with_tokens,
            again.map(Again::messages),
        ]);
        Ok(JudgeKey {
            judge_model: self.model.clone(),
            judge_prompt_hash: sha256(&whole.to_string()),
            output_hash: question.output.as_ref().map_or_else(|| sha256(""), |(_, hash)| (*hash).into()),
            sample: question.sample,
        })
    }

    /// Makes the call, in a simpler form where the model refuses the one before.
    async fn call(
        &self,
        bench: &Bench<'_>,
        question: &Question<'_>,
        again: Option<&Again<'_>>,
    ) -> Result<Told, String> {
        let taken = bench.asker.forms.of(&self.model);
        let _turn = bench.asker.waits.during(taken.turn()).await;
        let mut ways = taken.ways(question.with_tokens, self.params.contains_key("response_format"));
        let mut refused = String::new();
        while let Some(form) = ways.next() {
            let body = self.body(question, again, form)?;
            let ask = Ask {
                kind: AskKind::Chat,
                body,
                route: None,
                eval_id: bench.asker.eval_id.clone(),
                app_sha: bench.asker.app_sha.clone(),
                prompt: question.text.reference(),
                is_judge: true,
            };
            let told = bench.asker.runner.ask(ask).await.map_err(|error| error.to_string())?;
            bench.add(Bill { cost: told.cost, calls: 1, cached: 0 });
            if told.is_ok() {
                taken.learn(form, &ways);
                return Ok(told);
            }
            let upstream = told.body["error"]["provider_code"].as_str();
            let is_final = told.error_code().is_some_and(|code| FINAL.contains(&code))
                || upstream.is_some_and(|code| FINAL_UPSTREAM.contains(&code));
            let may_be_form = matches!(told.status, 400 | 422 | 501) && !is_final;
            refused = refusal(&told);
            if !may_be_form {
                break;
            }
            ways.refused(form, &told);
        }
        Err(refused)
    }

    fn body(
        &self,
        question: &Question<'_>,
        again: Option<&Again<'_>>,
        form: Form,
    ) -> Result<Map<String, Value>, String> {
        let mut body = Map::new();
        body.insert("model".to_owned(), self.model.as_str().into());
        let variables =
            question.variables.iter().map(|(name, text)| ((*name).to_owned(), text.as_str().into()));
        body.extend(question.text.fields(variables.collect())?);
        if let (Some(again), Some(Value::Array(messages))) = (again, body.get_mut("messages")) {
            messages.extend(again.messages());
        }
        body.extend(self.params.clone());
        form.write(&mut body, question.schema);
        Ok(body)
    }
}

/// What was wrong with the answer before.
struct Again<'a> {
    answer: &'a str,
    wrong: String,
}

impl<'a> Again<'a> {
    fn of(said: &'a Said, wrong: &str) -> Again<'a> {
        let (bytes_max, wrong) = match said.cut_at {
            None => (WRONG_BYTES_MAX, format!("That could not be read: {wrong}. Answer again, with the JSON object that was asked for and nothing else.")),
            Some(_) => (
                CUT_BYTES_MAX,
                "That was too long and was cut off before its end. Answer again, much shorter: the JSON object that was asked for and nothing else, no text in it longer than five words."
                    .to_owned(),
            ),
        };
        Again { answer: json::cut(&said.text, bytes_max), wrong }
    }

    fn messages(&self) -> Vec<Value> {
        // Some servers refuse a message without words.
        let answer = if self.answer.trim().is_empty() { "(nothing)" } else { self.answer };
        vec![json!({"role": "assistant", "content": answer}), json!({"role": "user", "content": self.wrong})]
    }
}

/// A refusal in the model's own words is what it said.
fn said(told: &Told) -> Said {
    let choice = &told.body["choices"][0];
    let text = match told.text() {
        "" => choice["message"]["refusal"].as_str().unwrap_or_default(),
        text => text,
    };
    let is_cut = choice["finish_reason"] == "length";
    Said {
        text: text.to_owned(),
        tokens: tokens::of(told),
        cut_at: is_cut.then(|| told.tokens().1),
        call: told.call,
    }
}

fn refusal(told: &Told) -> String {
    let code = told.error_code().map(|code| format!(", {code}")).unwrap_or_default();
    let message = told.error_message().unwrap_or("no reason was given");
    let message = json::cut(message, 2 * SHOWN_BYTES_MAX);
    format!("the judge was not answered (status {}{code}): {message}", told.status)
}

/// Questions under way, so that equal ones at the same time are asked once.
#[derive(Default, Debug)]
struct Flights(Mutex<HashMap<JudgeKey, Arc<Slot<Option<Said>>>>>);

/// A place among those that wait for the same answer; whoever has the slot asks.
struct Flight<'a> {
    flights: &'a Flights,
    key: JudgeKey,
    slot: Arc<Slot<Option<Said>>>,
}

impl Flights {
    fn join(&self, key: &JudgeKey) -> Flight<'_> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(flights.entry(key.clone()).or_default());
        Flight { flights: self, key: key.clone(), slot }
    }
}

/// The last to leave takes the entry away, also where a run was cut off in the middle.
impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One in the map, one here.
        if Arc::strong_count(&self.slot) <= 2 {
            flights.remove(&self.key);
        }
    }
}

/// Knows nothing and keeps nothing: `--no-judge-cache`.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoCache;

impl JudgeCache for NoCache {
    fn get<'a>(&'a self, _: &'a JudgeKey) -> BoxFuture<'a, Option<Judged>> {
        Box::pin(std::future::ready(None))
    }

    fn put(&self, _: Judged) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
