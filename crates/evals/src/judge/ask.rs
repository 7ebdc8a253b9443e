//! Asking a judge: what was answered before is looked up, equal questions under way are asked once, nonsense is asked again once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

use futures_util::{future::BoxFuture, lock::Mutex as Slot};
use gauntlet_ports::{Ask, AskKind, JudgeKey, Judged, Told};
use gauntlet_types::{Name, NanoUsd, Timestamp};
use serde_json::{Map, Value, json};

use super::{json, prompt::Text, tokens};
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
/// Alternatives of each token that are asked for: what OpenAI gives at most, and what DeepEval asks for.
const TOP_LOGPROBS: u32 = 20;
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

/// What the candidate's output is replaced by where the hash of a judge's prompt is taken.
const HOLE: &str = "\u{0}output\u{0}";

/// A shape of JSON that is asked for, by name.
pub(super) struct Schema {
    pub(super) name: &'static str,
    /// Made at each question: a judge takes seconds, this a microsecond.
    pub(super) of: fn() -> Value,
}

/// How the shape of an answer is asked for. Each is tried where the one before is refused; what is taken is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// `response_format: json_schema`, and for scores `logprobs`.
    SchemaAndTokens,
    Schema,
    /// `response_format: json_object`.
    Object,
    /// The prompt alone says it.
    Words,
}

impl Form {
    const ALL: [Form; 4] = [Form::SchemaAndTokens, Form::Schema, Form::Object, Form::Words];
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
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) tokens: Vec<tokens::Token>,
}

/// A model that judges.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) model: Name,
    /// Fields of every body; a null takes a default away.
    pub(super) params: Map<String, Value>,
    flights: Flights,
    /// Index into [`Form::ALL`].
    form: AtomicU8,
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
        Judge { model, params: all, flights: Flights::default(), form: AtomicU8::new(0) }
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
        let again = Again { answer: json::cut(&first.text, WRONG_BYTES_MAX), wrong: &wrong };
        let second = self.answer(bench, question, Some(&again)).await?;
        match json::find(&second.text, read) {
            Ok(found) => Ok((found, second)),
            Err(wrong) => {
                let shown = json::cut(second.text.trim(), SHOWN_BYTES_MAX);
                Err(format!(
                    "the judge answered no JSON of the kind asked for, twice: {wrong}; it said {shown:?}"
                ))
            }
        }
    }

    async fn answer(
        &self,
        bench: &Bench<'_>,
        question: &Question<'_>,
        again: Option<&Again<'_>>,
    ) -> Result<Said, String> {
        let key = self.key(question, again)?;
        let flight = self.flights.join(&key);
        let mut held = flight.slot.lock().await;
        let known = match &*held {
            Some(kept) => Some(kept.clone()),
            None => bench.asker.cache.get(&key).await.map(|judged| judged.answer),
        };
        if let Some(kept) = known {
            bench.add(Bill { cached: 1, ..Bill::default() });
            let said = tokens::unpack(&kept, question.with_tokens);
            *held = Some(kept);
            return Ok(said);
        }
        let told = self.call(bench, question, again).await?;
        let said = Said { text: told.text().to_owned(), tokens: tokens::of(&told) };
        let kept = tokens::pack(&said, question.with_tokens);
        let judged = Judged {
            key: key.clone(),
            answer: kept.clone(),
            cost: told.cost,
            call: told.call,
            // Nothing here reads a clock; whoever keeps it knows when.
            at: Timestamp::default(),
        };
        bench.asker.cache.put(judged).await;
        *held = Some(kept);
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
        let first = usize::from(self.form.load(Relaxed)).max(usize::from(!question.with_tokens));
        let mut refused = String::new();
        for (at, form) in Form::ALL.into_iter().enumerate().skip(first) {
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
                // Where tokens were not asked for, nothing was learnt of them.
                if at > first {
                    self.form.fetch_max(u8::try_from(at).unwrap_or(0), Relaxed);
                }
                return Ok(told);
            }
            let is_final = told.error_code().is_some_and(|code| FINAL.contains(&code));
            let may_be_form = matches!(told.status, 400 | 422 | 501) && !is_final;
            refused = refusal(&told);
            if !may_be_form {
                break;
            }
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
        let format = match form {
            Form::SchemaAndTokens | Form::Schema => Some(json!({
                "type": "json_schema",
                "json_schema": {"name": question.schema.name, "strict": true, "schema": (question.schema.of)()},
            })),
            Form::Object => Some(json!({"type": "json_object"})),
            Form::Words => None,
        };
        if let Some(format) = format {
            body.entry("response_format").or_insert(format);
        }
        if question.with_tokens && form == Form::SchemaAndTokens {
            body.insert("logprobs".to_owned(), true.into());
            body.insert("top_logprobs".to_owned(), TOP_LOGPROBS.into());
        }
        Ok(body)
    }
}

/// What was wrong with the answer before.
struct Again<'a> {
    answer: &'a str,
    wrong: &'a str,
}

impl Again<'_> {
    fn messages(&self) -> Vec<Value> {
        let asked = format!(
            "That could not be read: {}. Answer again, with the JSON object that was asked for and nothing else.",
            self.wrong
        );
        vec![json!({"role": "assistant", "content": self.answer}), json!({"role": "user", "content": asked})]
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
struct Flights(Mutex<HashMap<JudgeKey, Arc<Slot<Option<String>>>>>);

/// A place among those that wait for the same answer; whoever has the slot asks.
struct Flight<'a> {
    flights: &'a Flights,
    key: JudgeKey,
    slot: Arc<Slot<Option<String>>>,
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
