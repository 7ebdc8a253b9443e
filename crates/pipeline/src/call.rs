//! One call under way: what is known of it so far, and its record in the making.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use gauntlet_guard::{Rulebook, Vault};
use gauntlet_policy::{
    budget::{Draw, Hold},
    config::{Policy, Route},
    guard::Chain,
    keys::KeyGrant,
    limit::Permit,
    plan::choose::Chosen,
    price::Price,
};
use gauntlet_ports::{Clock, Endpoint, Texts};
use gauntlet_types::{
    CacheUse, CallRecord, Caller, Charge, Decision, Dialect, Door, Drawn, Event, Fault, Mono, Name, NanoUsd,
    Outcome, SpanId, Stage, StageTime, Target, Timestamp, TokenCount, TraceId, Usage,
};
use gauntlet_wire::{Edit, answer::Assembler, conversation::PathAsk, translate::Head};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

pub(crate) use crate::request::Request;
use crate::{
    answer::{Answer, AnswerBody, EvalModel, Incoming, Operator, PassPath, Purpose},
    detach::{Gone, Running},
    gate::{Gate, Shared},
    judge::Asked,
    live::Live,
    prompted,
    routing::Flight,
    snapshot::Snapshot,
    stage,
    text::Scanned,
};

/// One target of the plan, with all that an attempt at it needs.
pub(crate) struct Planned {
    pub(crate) target: Target,
    pub(crate) endpoint: Arc<Endpoint>,
    /// None: nobody knows, and the route lets it through.
    pub(crate) price: Option<Arc<Price>>,
    /// After so long without a first token the next one is asked as well.
    pub(crate) hedge: Option<Duration>,
}

/// What the stages hand to the end of the way.
pub(crate) enum Passed {
    Whole(Whole),
    Live(Box<Live>),
}

/// An answer that is complete.
#[derive(Clone)]
pub(crate) struct Whole {
    pub(crate) body: Bytes,
    pub(crate) content_type: HeaderValue,
}

impl Whole {
    pub(crate) fn json(body: Bytes) -> Whole {
        Whole { body, content_type: HeaderValue::from_static("application/json") }
    }

    pub(crate) fn events(body: Bytes) -> Whole {
        Whole { body, content_type: HeaderValue::from_static("text/event-stream") }
    }
}

/// Members named in the header; the record has more of them.
const DROPPED_TOLD: usize = 20;

pub(crate) struct Call {
    pub(crate) gate: Arc<Gate>,
    /// The configuration of this call, to its end.
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) route: Arc<Route>,
    /// What its key grants; none while the gateway is open.
    pub(crate) grant: Option<Arc<KeyGrant>>,
    pub(crate) operator: Option<Box<Operator>>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What its path asks for, where a dialect says it there.
    pub(crate) path: PathAsk,
    /// Where it goes if it is passed through.
    pub(crate) pass: Option<PassPath>,
    /// Why the door could not take the body.
    pub(crate) body_fault: Option<Fault>,
    pub(crate) request: Request,
    pub(crate) record: CallRecord,
    pub(crate) gone: Gone,
    begun: Mono,
    stage_begun: Option<(Stage, Mono)>,

    /// The request was searched for what the record may not hold.
    pub(crate) is_scanned: bool,
    pub(crate) input: Scanned,
    /// The levels of policy that hold for it, and their rules for each direction.
    pub(crate) chain: Chain,
    pub(crate) rules: [Rulebook; 2],
    /// The guards had no time to look at all of it, so that the record gets none of its text.
    pub(crate) is_unseen: bool,
    /// What the prompt of the registry told the model.
    pub(crate) prompt_texts: Vec<(&'static str, String)>,
    /// Fields of the body that the prompt brought.
    pub(crate) prompt_fields: Vec<Name>,
    /// A word that stands in the system prompt and nowhere else.
    pub(crate) canary: Option<String>,
    /// What models found in the answer, by the number of the text.
    pub(crate) tagged: Vec<(usize, gauntlet_types::Finding)>,
    /// What tokens stand for.
    pub(crate) vault: Vault,
    /// What guards put in the place of what they found, for the model; the record gets placeholders instead.
    pub(crate) masks: Vec<Edit>,
    /// A guard wants another model asked; the inner none is the next target.
    pub(crate) reroute: Option<Option<Name>>,
    /// Judges that are asked while the model is.
    pub(crate) judging: Vec<Asked>,
    /// Tools that take plain text, where the request was translated.
    pub(crate) custom_tools: Vec<String>,
    /// Answers that were asked for again.
    pub(crate) reasked: u32,
    /// What is changed of the body for every target.
    pub(crate) edits: Vec<Edit>,
    /// How many of them, from the first, change text that the model reads.
    pub(crate) text_edits: usize,
    /// What is changed of it for the record besides.
    pub(crate) record_edits: Vec<Edit>,
    /// A prompt rendered without what the record may not hold, if that differs from the one that is sent.
    pub(crate) record_prompt: Vec<Edit>,
    /// The model by the route's rules and the task; none before `admit` has looked, and for operators.
    pub(crate) chosen: Option<Chosen>,
    /// Counted when something asks.
    pub(crate) tokens_sent: OnceLock<u32>,
    pub(crate) pinned: Option<Name>,
    pub(crate) plan: Vec<Planned>,
    /// The target being tried, or the one that answered.
    pub(crate) current: usize,
    /// A second target was asked beside one that was late.
    pub(crate) has_hedged: bool,
    /// The stream under way.
    pub(crate) flight: Option<Flight>,
    pub(crate) output_max: TokenCount,

    pub(crate) permit: Option<Permit>,
    pub(crate) hold: Option<Hold>,
    /// How its answer may be kept.
    pub(crate) caching: Option<Box<stage::cache::Caching>>,
    pub(crate) assembler: Assembler,
    pub(crate) usage: Option<Usage>,
    /// What the call draws on, as held.
    pub(crate) draws: Vec<Draw>,
    /// Whose windows pay: when it began, or when it found room after waiting for it.
    pub(crate) drawn_at: Timestamp,
    /// The worst case of one attempt.
    pub(crate) bound: Drawn,
    /// What attempts cost that gave the caller nothing.
    pub(crate) billed: NanoUsd,
    pub(crate) billed_usage: Usage,
    /// The whole hold is charged, since nothing says what was used.
    pub(crate) charge_hold: bool,
    /// Characters that arrived after the caller had gone.
    pub(crate) unread_chars: usize,
    pub(crate) output: Bytes,
    finished: bool,
    _running: Running,
}

impl Call {
    pub(crate) fn begin(gate: Arc<Gate>, incoming: Incoming, gone: Gone) -> Call {
        let shared = &gate.shared;
        let snapshot = shared.snapshot.load_full();
        let (id, started, begun) = (shared.clock.call_id(), shared.clock.now(), shared.clock.mono());
        let (body, body_fault) = match incoming.body {
            Ok(body) => (body, None),
            Err(fault) => (Bytes::new(), Some(fault)),
        };
        let route = snapshot.policy.default_route().clone();
        let record = CallRecord {
            id,
            trace_id: TraceId(id.0.as_u128()),
            span_id: SpanId(id.0.as_u64_pair().1),
            parent_span_id: None,
            started,
            latency_us: 0,
            first_token_us: None,
            stream: None,
            stages: Vec::with_capacity(11),
            door: incoming.door,
            is_streaming: false,
            caller: Caller::default(),
            route: route.name.clone(),
            model_asked: Name::default(),
            target: None,
            model_answered: None,
            prompt: None,
            sdk: None,
            outcome: Outcome::Ok,
            status: 200,
            error: None,
            error_message: None,
            finish: None,
            decision: Decision::Allow,
            guard: Vec::new(),
            guard_runs: Vec::new(),
            guard_policy: Vec::new(),
            cache: CacheUse::Off,
            cache_hit: None,
            attempts: Vec::new(),
            tool_calls: Vec::new(),
            tool_results: Vec::new(),
            documents: Vec::new(),
            usage: Usage::default(),
            cost: NanoUsd::ZERO,
            held: NanoUsd::ZERO,
            charges: Vec::<Charge>::new(),
            held_tokens: 0,
            budget: None,
            wasted: NanoUsd::ZERO,
            price_version: snapshot.policy.price_version().clone(),
            config_version: snapshot.policy.version().clone(),
            routing: None,
            dropped: Vec::new(),
            injected: Vec::new(),
            texts_gone: None,
            judge_score: None,
        };
        let running = shared.tasks.enter();
        Call {
            snapshot,
            route,
            grant: None,
            operator: incoming.operator,
            headers: incoming.headers,
            body,
            path: incoming.path,
            pass: incoming.pass,
            body_fault,
            request: Request::None,
            record,
            gone,
            begun,
            stage_begun: None,
            is_scanned: false,
            input: Scanned::default(),
            chain: Chain::default(),
            rules: Default::default(),
            is_unseen: false,
            prompt_texts: Vec::new(),
            prompt_fields: Vec::new(),
            canary: None,
            tagged: Vec::new(),
            vault: Vault::new(shared.secret_of(id)),
            masks: Vec::new(),
            reroute: None,
            judging: Vec::new(),
            custom_tools: Vec::new(),
            reasked: 0,
            edits: Vec::new(),
            text_edits: 0,
            record_edits: Vec::new(),
            record_prompt: Vec::new(),
            chosen: None,
            tokens_sent: OnceLock::new(),
            pinned: None,
            plan: Vec::new(),
            current: 0,
            has_hedged: false,
            flight: None,
            output_max: TokenCount(0),
            permit: None,
            hold: None,
            caching: None,
            assembler: Assembler::new(),
            usage: None,
            draws: Vec::new(),
            drawn_at: started,
            bound: Drawn::default(),
            billed: NanoUsd::ZERO,
            billed_usage: Usage::default(),
            charge_hold: false,
            unread_chars: 0,
            output: Bytes::new(),
            finished: false,
            _running: running,
            gate,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.gate.shared
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.snapshot.policy
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.gate.shared.clock
    }

    pub(crate) fn begun(&self) -> Mono {
        self.begun
    }

    /// Microseconds since the call began, as the record counts them.
    pub(crate) fn elapsed_us(&self) -> u32 {
        self.clock().mono().since(self.begun).as_micros().min(u128::from(u32::MAX)) as u32
    }

    /// Begins a stage and ends the one before it.
    pub(crate) fn enter(&mut self, stage: Stage) {
        let now = self.clock().mono();
        self.leave_at(now);
        self.stage_begun = Some((stage, now));
    }

    fn leave_at(&mut self, now: Mono) {
        if let Some((stage, since)) = self.stage_begun.take() {
            let micros = |from: Mono, to: Mono| to.since(from).as_micros().min(u128::from(u32::MAX)) as u32;
            self.record.stages.push(StageTime {
                stage,
                start_us: micros(self.begun, since),
                took_us: micros(since, now),
            });
        }
    }

    /// Takes note of what an answer says, however it comes.
    pub(crate) fn take_note(&mut self, event: &Event) {
        match event {
            Event::Model(model) => {
                if self.record.model_answered.is_none() {
                    self.record.model_answered = Some(model.as_str().into());
                }
            }
            Event::Finish { why, .. } => self.record.finish = Some(*why),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Text { text, .. } | Event::Refusal { text, .. } | Event::Reasoning { text, .. } => {
                if !text.is_empty() {
                    self.note_piece();
                }
                if self.gone.is_set() {
                    self.unread_chars += text.chars().count();
                }
            }
            Event::ToolCall { .. } => {
                self.note_piece();
            }
            Event::Citation { .. } | Event::Media { .. } | Event::Seal { .. } => self.note_piece(),
            Event::Error { .. } | Event::Done => {}
        }
        self.assembler.feed(event);
    }

    fn note_piece(&mut self) {
        if self.record.first_token_us.is_some() && !self.record.is_streaming {
            return;
        }
        let at = self.elapsed_us();
        self.record.first_token_us.get_or_insert(u64::from(at));
        if self.record.is_streaming {
            self.record.stream.get_or_insert_default().note(at);
        }
    }

    /// Notes that the call is refused or failed, and how the caller is told.
    pub(crate) fn refuse(&mut self, fault: &Fault) {
        use gauntlet_types::{Blame, Code};
        self.record.outcome = match (fault.code, fault.blame) {
            (Code::GuardrailBlocked | Code::OutputInvalid, _) => Outcome::Blocked,
            (_, Blame::Provider | Blame::Us) => Outcome::Failed,
            (_, Blame::Caller | Blame::Policy) => Outcome::Refused,
        };
        self.record.error = Some(fault.code);
        self.record.error_message = Some(fault.message.clone());
        self.record.status = (self.shared().status_of)(fault);
    }

    /// The prompt that the call or its route names; none where the operator's body has it already.
    pub(crate) fn prompt_named(&self) -> Option<String> {
        let chat = self.request.conversation()?;
        // One that cannot be read was refused at admission.
        let header = self.headers.get(prompted::HEADER);
        let header = header.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let asked = header.map(str::to_owned);
        let asked = asked.or_else(|| chat.gauntlet.as_ref().and_then(|field| field.prompt.clone()));
        let is_rendered = self.operator.as_ref().is_some_and(|operator| match operator.purpose {
            Purpose::Replay | Purpose::Judge => true,
            Purpose::Eval(_) => operator.prompt.is_some(),
        });
        let of_route = self.route.prompt.as_ref().filter(|_| !is_rendered);
        asked.or_else(|| of_route.map(|pin| format!("{}@{}", pin.name, pin.at)))
    }

    /// Whoever asks for it rather has no answer than one to less than was asked.
    pub(crate) fn is_strict(&self) -> bool {
        self.route.strict
            || self.headers.get("x-gauntlet-strict").is_some_and(|value| value.as_bytes() == b"true")
    }

    /// Whether the body names the model that must be asked, whatever route and prompt say.
    pub(crate) fn is_model_fixed(&self) -> bool {
        self.operator.as_ref().is_some_and(|operator| match operator.purpose {
            Purpose::Replay | Purpose::Judge => true,
            Purpose::Eval(model) => model == EvalModel::AsNamed,
        })
    }

    /// Whether a prompt's own model gives way to the one that the body names: a replay by another prompt takes its model.
    pub(crate) fn is_pin_ignored(&self) -> bool {
        let purpose = self.operator.as_ref().map(|operator| operator.purpose);
        purpose == Some(Purpose::Eval(EvalModel::AsNamed))
    }

    /// Ends the timeline; the last thing before the record is written.
    pub(crate) fn close_timeline(&mut self) {
        let now = self.clock().mono();
        self.leave_at(now);
        self.record.latency_us = now.since(self.begun).as_micros() as u64;
    }

    pub(crate) fn mark_finished(&mut self) {
        self.finished = true;
    }

    pub(crate) fn answer(&mut self, whole: Whole) -> Answer {
        let mut headers = self.answer_headers();
        headers.insert(header::CONTENT_TYPE, whole.content_type);
        insert(&mut headers, "x-gauntlet-cost-usd", &self.record.cost.to_string());
        headers.insert("server-timing", self.server_timing());
        let record = self.record_for_operator();
        Answer { status: StatusCode::OK, headers, body: AnswerBody::Whole(whole.body), record }
    }

    pub(crate) fn error_answer(&mut self, fault: &Fault) -> Answer {
        let mut headers = self.answer_headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(wait) = fault.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_millis().div_ceil(1000) as u64));
        }
        let id = self.record.id.to_string();
        let status = StatusCode::from_u16(self.record.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = gauntlet_wire::error::body(self.door().manners(), fault, self.record.status, Some(&id));
        Answer { status, headers, body: AnswerBody::Whole(body), record: self.record_for_operator() }
    }

    fn record_for_operator(&self) -> Option<Box<CallRecord>> {
        self.operator.as_ref().map(|_| Box::new(self.record.clone()))
    }

    /// What every answer says of itself.
    pub(crate) fn answer_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        let record = &self.record;
        let id = record.id.to_string();
        insert(&mut headers, "x-gauntlet-request-id", &id);
        // Where OpenAI's SDKs look for it.
        insert(&mut headers, "x-request-id", &id);
        if self.door().manners() == Dialect::Messages {
            insert(&mut headers, "request-id", &id);
        }
        if !record.dropped.is_empty() {
            let told: Vec<&str> = record.dropped.iter().take(DROPPED_TOLD).map(Name::as_str).collect();
            insert(&mut headers, "x-gauntlet-dropped", &told.join(","));
        }
        insert(&mut headers, "x-gauntlet-trace-id", &record.trace_id.to_string());
        if let Some(target) = &record.target {
            insert(&mut headers, "x-gauntlet-model", &target.to_string());
        }
        if record.cache != CacheUse::Off {
            insert(&mut headers, "x-gauntlet-cache", record.cache.as_str());
        }
        if let Some(hit) = &record.cache_hit {
            headers.insert(header::AGE, HeaderValue::from(hit.age_s));
            if let Some(similarity) = hit.similarity {
                insert(&mut headers, "x-gauntlet-cache-similarity", &format!("{similarity:.3}"));
            }
        }
        if let Some(prompt) = &record.prompt {
            insert(&mut headers, "x-gauntlet-prompt", &format!("{}@{}", prompt.name, prompt.version));
        }
        if let Some(budget) = &record.budget {
            insert(&mut headers, "x-gauntlet-budget", budget.action.as_str());
        }
        if record.decision != Decision::Allow {
            insert(&mut headers, "x-gauntlet-guardrail", record.decision.as_str());
        }
        headers
    }

    /// Where the time went: the whole, and the part spent waiting for the model.
    fn server_timing(&self) -> HeaderValue {
        let upstream = self.record.attempted_us();
        let own = self.record.latency_us.saturating_sub(upstream);
        // Milliseconds with three places, without floating point: its printing is dear.
        let (own, model) = ((own / 1000, own % 1000), (upstream / 1000, upstream % 1000));
        let text = format!("gauntlet;dur={}.{:03}, model;dur={}.{:03}", own.0, own.1, model.0, model.1);
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// The texts of the record: what was sent and what came back, redacted. Nothing where the route keeps none.
    pub(crate) fn texts(&mut self) -> Texts {
        if !self.route.record_bodies {
            return Texts::default();
        }
        Texts { input: stage::record::input(self), output: self.output.clone() }
    }

    pub(crate) fn door(&self) -> Door {
        self.record.door
    }

    /// What the caller speaks; chat where it is no conversation.
    pub(crate) fn dialect(&self) -> Dialect {
        self.door().dialect().unwrap_or(Dialect::Chat)
    }

    /// The head of an answer that we write ourselves.
    pub(crate) fn head(&self) -> Head {
        Head {
            id: self.record.id.0.simple().to_string(),
            created: self.record.started.0 / 1_000_000,
            model: self.record.model_asked.to_string(),
            include_usage: self.request.conversation().is_some_and(|asked| asked.include_usage),
            custom_tools: self.custom_tools.clone(),
        }
    }
}

/// A call that ends without having been finished (a panic, a runtime shut down under it) is charged its hold and noted.
impl Drop for Call {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let fault = Fault::us(gauntlet_types::Code::Internal, "the call was dropped before its end");
        self.refuse(&fault);
        // Its tokens are those of its hold, as its cost is.
        self.record.outcome = Outcome::Interrupted;
        stage::settle::at_hold(self);
        stage::record::run(self);
    }
}

/// Values come from callers and providers too: what a header cannot hold is left out.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// What the attempts at a model leave behind.
impl Call {
    /// A caller that went away before its whole answer: what was made for it was made for nobody.
    pub(crate) fn note_gone(&mut self) {
        if self.gone.is_set() && self.record.outcome == Outcome::Ok {
            self.record.outcome = Outcome::Cancelled;
            // nginx's status for a caller that closed the connection.
            self.record.status = 499;
        }
    }

    /// Notes in the last attempt how its stream ended badly.
    pub(crate) fn note_broken(&mut self, stop: &crate::reader::Stop) {
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.end = stop.end();
            attempt.error = Some(stop.to_string());
        }
    }

    /// The last attempt lasts as long as its stream.
    pub(crate) fn end_last_attempt(&mut self) {
        let now = self.elapsed_us();
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.took_us = now.saturating_sub(attempt.start_us);
        }
    }
}
