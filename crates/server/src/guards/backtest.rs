//! `POST /api/v1/guard/backtest`: recorded calls decided twice on the same evidence, by the levels of today's configuration
//! and with another policy. A page at a time: whoever asks goes on from `next` until there is none, so that no answer takes
//! long, and adds the pages up by [`Backtested::add`].
//!
//! Evidence is what the record keeps: placeholders are findings of their type, and the kept texts are scanned again. So a
//! policy is judged by what was there, not by what can still be read. What cannot be known is counted and not decided: calls
//! without texts, and the rules about shapes and sizes, which need the answer as it was.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, extract::rejection::JsonRejection, response::Response};
use gauntlet_guard::{Kinds, Rulebook, Scanner, tenant_key};
use gauntlet_policy::{
    Policy, Route,
    config::{self, LoadOptions, Source, Sources},
    guard::{Chain, GuardPolicy, Level, LevelKind, explain},
};
use gauntlet_ports::{RecordCursor, RecordQuery, StoredCall};
use gauntlet_types::{
    Action, CallRecord, Day, Decision, Direction, ExceptedValue, Exception, Fault, Finding, Name, Scope,
    Timestamp, Voice,
};
use serde::{Deserialize, Serialize};

use super::{
    bad,
    evidence::{self, Text},
    no_configuration,
};
use crate::{
    admin::{Admin, store_fault},
    api::{answer, fault, flush},
};

/// Calls of one answer: some tenths of a second.
const PAGE_CALLS: u32 = 1_000;
/// Calls that one answer lists at the most.
const LISTED_MAX: usize = 1_000;
/// Rules and types by which differences are counted; there are hundreds of types, and few that differ.
const BY_MAX: usize = 1_000;

#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// `strict@1.3.0`, or `strict` for its newest version; or else `text`.
    #[serde(default)]
    pub policy: Option<String>,
    /// A policy that stands in no folder yet.
    #[serde(default)]
    pub text: Option<String>,
    /// The schemas that it may name: path and text.
    #[serde(default)]
    pub schemas: Vec<(String, String)>,
    /// `7d`, `12h`, or a day.
    pub since: String,
    #[serde(default)]
    pub until: Option<String>,
    #[serde(default)]
    pub route: Option<String>,
    #[serde(default)]
    pub tenant: Option<String>,
    /// Calls to list that are decided otherwise.
    #[serde(default)]
    pub limit: usize,
    /// Of the answer before.
    #[serde(default)]
    pub next: Option<RecordCursor>,
    /// Of the first answer, so that the pages are of one span.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// How many calls were decided so before, and so after.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Moved {
    pub before: Decision,
    pub after: Decision,
    pub calls: u64,
}

/// What made a difference: the rule that decided, of the two times the one that asked for more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Because {
    pub direction: Direction,
    pub kind: String,
    #[serde(rename = "type")]
    pub label: String,
    pub rule: String,
    pub action_before: String,
    pub action_after: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Count {
    #[serde(flatten)]
    pub because: Because,
    pub calls: u64,
}

/// A call that would be decided otherwise.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Differs {
    pub id: String,
    pub started: Timestamp,
    pub tenant: Name,
    pub route: Name,
    pub before: Decision,
    pub after: Decision,
    #[serde(flatten)]
    pub because: Because,
    /// Of the console.
    pub link: String,
}

/// A page of the answer, or all of them.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct Backtested {
    pub policy: String,
    /// The levels in whose place it was put; none where it was one level more.
    pub replaced: Vec<String>,
    pub at: Timestamp,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Calls that were decided twice.
    pub calls: u64,
    /// Calls whose texts are not there: nobody knows what they would have been.
    pub without_texts: u64,
    /// Findings without a noted score, taken to be certain.
    pub without_score: u64,
    /// Calls of routes that the configuration does not have any more, decided as calls that name none.
    pub unknown_route: u64,
    pub blocked_before: u64,
    pub blocked_after: u64,
    /// Blocked after and not before, and the other way round.
    pub blocked_more: u64,
    pub blocked_fewer: u64,
    /// Calls that are decided otherwise in any way.
    pub differing: u64,
    pub decisions: Vec<Moved>,
    pub by: Vec<Count>,
    /// The first of them.
    pub differ: Vec<Differs>,
    pub next: Option<RecordCursor>,
    /// Calls that may still be looked at.
    pub left: i64,
}

impl Backtested {
    /// Adds the next page; `limit` is how many differing calls are listed.
    pub fn add(&mut self, page: Backtested, limit: usize) {
        if self.policy.is_empty() {
            (self.policy, self.at, self.from, self.to) = (page.policy, page.at, page.from, page.to);
        }
        for level in page.replaced {
            if !self.replaced.contains(&level) {
                self.replaced.push(level);
            }
        }
        self.calls += page.calls;
        self.without_texts += page.without_texts;
        self.without_score += page.without_score;
        self.unknown_route += page.unknown_route;
        self.blocked_before += page.blocked_before;
        self.blocked_after += page.blocked_after;
        self.blocked_more += page.blocked_more;
        self.blocked_fewer += page.blocked_fewer;
        self.differing += page.differing;
        for moved in page.decisions {
            self.moved(moved.before, moved.after, moved.calls);
        }
        for count in page.by {
            self.because(&count.because, count.calls);
        }
        let room = limit.saturating_sub(self.differ.len());
        self.differ.extend(page.differ.into_iter().take(room));
        (self.next, self.left) = (page.next, page.left);
    }

    fn moved(&mut self, before: Decision, after: Decision, calls: u64) {
        match self.decisions.iter_mut().find(|one| (one.before, one.after) == (before, after)) {
            Some(one) => one.calls += calls,
            None => self.decisions.push(Moved { before, after, calls }),
        }
        self.decisions.sort_by_key(|one| (one.before, one.after));
    }

    fn because(&mut self, because: &Because, calls: u64) {
        let room = self.by.len() < BY_MAX;
        match self.by.iter_mut().find(|one| one.because == *because) {
            Some(one) => one.calls += calls,
            None if room => self.by.push(Count { because: because.clone(), calls }),
            None => {}
        }
    }

    fn differs(&mut self, record: &CallRecord, before: &Outcome<'_>, after: &Outcome<'_>, limit: usize) {
        let is_tighter = after.decision > before.decision;
        let Some(because) = Outcome::because(before, after, is_tighter) else { return };
        self.differing += 1;
        self.because(&because, 1);
        if self.differ.len() < limit.min(LISTED_MAX) {
            self.differ.push(Differs {
                id: record.id.to_string(),
                started: record.started,
                tenant: record.caller.tenant.clone(),
                route: record.route.clone(),
                before: before.decision,
                after: after.decision,
                because,
                link: format!("/traces/{}", record.id),
            });
        }
    }
}

pub(super) async fn page(State(admin): State<Admin>, asked: Result<Json<Asked>, JsonRejection>) -> Response {
    match asked {
        Ok(Json(asked)) => answer(admin, move |admin| admin.guard_backtest(&asked)).await,
        Err(error) => fault(&bad(error.body_text())),
    }
}

impl Admin {
    fn guard_backtest(&self, asked: &Asked) -> Result<Backtested, Fault> {
        let snapshot = self.snapshot().ok_or_else(no_configuration)?;
        let policy = &snapshot.policy;
        let tried = tried(policy, asked)?;
        let at = asked.at.unwrap_or_else(|| self.now());
        let (from, to) = (since(&asked.since, at)?, until(asked.until.as_deref(), at)?);
        if from > to {
            return Err(bad("the span ends before it begins"));
        }
        if asked.next.is_none() {
            flush(self);
        }
        let query = RecordQuery { from, to, newest: 0, without_texts: false };
        let page = self.traces.record_page(&query, asked.next, PAGE_CALLS).map_err(store_fault)?;
        let scanner = Scanner::new();
        let trial = Trial {
            policy,
            is_used: policy.config().levels().any(|level| is_of(level, &tried)),
            tried,
            scanner: &scanner,
            key: self.hash_key()?,
            now: at,
        };
        let mut done = Backtested {
            policy: trial.tried.id.to_string(),
            at,
            from,
            to,
            next: page.next,
            left: page.next.map_or(0, |next| next.last - next.next + 1),
            ..Backtested::default()
        };
        let is =
            |wanted: &Option<String>, name: &Name| wanted.as_deref().is_none_or(|wanted| *name == *wanted);
        for call in &page.calls {
            if is(&asked.route, &call.record.route) && is(&asked.tenant, &call.record.caller.tenant) {
                trial.call(call, asked.limit, &mut done);
            }
        }
        Ok(done)
    }
}

/// The policy to try: one of the folder, or one that is sent along.
fn tried(policy: &Policy, asked: &Asked) -> Result<GuardPolicy, Fault> {
    let policies = &policy.config().guards.policies;
    match (&asked.policy, &asked.text) {
        (Some(name), None) => policies.find(name).map(|found| found.as_ref().clone()).ok_or_else(|| {
            let known: Vec<String> =
                policies.iter().map(|known| format!("{}@{}", known.id.name, known.id.version)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            bad(format!("there is no guardrail policy `{name}`; there are: {known}"))
        }),
        (None, Some(text)) => {
            let source = Source { file: "the policy".to_owned(), text: text.clone() };
            let sources =
                Sources { guardrails: vec![source], schemas: asked.schemas.clone(), ..Sources::default() };
            // Of a policy nothing may come from the gateway's environment.
            let options = LoadOptions { loopback: true, find_provider_keys: false };
            let loaded = config::load(&sources, &|_| None, &options).map_err(|mistakes| {
                let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                bad(told.join("; "))
            })?;
            let found =
                loaded.policy.config().guards.policies.iter().next().map(|found| found.as_ref().clone());
            found.ok_or_else(|| bad("the policy is empty"))
        }
        _ => Err(bad("give `policy` or `text`, one of them")),
    }
}

/// `7d`, `4w`, `12h` before now, or a day.
fn since(text: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    const HOUR: u64 = 3_600;
    /// A hundred years.
    const HOURS_MAX: u64 = 24 * 36_600;
    if let Some(day) = Day::parse(text) {
        return Ok(day.start());
    }
    let hours = text.split_at_checked(text.len().saturating_sub(1)).and_then(|(number, unit)| {
        let number: u64 = number.parse().ok()?;
        let hours = match unit {
            "h" => 1,
            "d" => 24,
            "w" => 7 * 24,
            _ => return None,
        };
        number.checked_mul(hours).filter(|hours| (1..=HOURS_MAX).contains(hours))
    });
    let wrong = || bad(format!("`{text}` is not a span; write it as 7d, 12h, or a day as 2026-11-14"));
    hours.map(|hours| now.minus(Duration::from_secs(hours * HOUR))).ok_or_else(wrong)
}

fn until(text: Option<&str>, now: Timestamp) -> Result<Timestamp, Fault> {
    match text {
        None => Ok(now),
        Some(text) => Day::parse(text)
            .map(Day::start)
            .ok_or_else(|| bad(format!("`{text}` is not a day; write it as 2026-11-21"))),
    }
}

fn is_of(level: &Level, tried: &GuardPolicy) -> bool {
    level.policy.as_ref().is_some_and(|id| id.name == tried.id.name)
}

/// What all calls of a page have in common.
struct Trial<'a> {
    policy: &'a Policy,
    tried: GuardPolicy,
    /// Some level names the policy, so that it holds where that level does and nowhere else.
    is_used: bool,
    scanner: &'a Scanner,
    key: [u8; 32],
    now: Timestamp,
}

/// A finding of the record, or of today's detectors.
struct Item<'t> {
    direction: Direction,
    scope: Scope,
    text: &'t str,
    seen: Seen<'t>,
}

enum Seen<'t> {
    /// A placeholder.
    Kept {
        kind: &'static str,
        label: &'t str,
        score: f32,
    },
    Found(Finding),
}

impl Item<'_> {
    fn kind(&self) -> &'static str {
        match &self.seen {
            Seen::Kept { kind, .. } => kind,
            Seen::Found(finding) => finding.kind,
        }
    }

    fn label(&self) -> &str {
        match &self.seen {
            Seen::Kept { label, .. } => label,
            Seen::Found(finding) => finding.label,
        }
    }

    /// What the rules make of it, and by whose word.
    fn ruled<'b>(&'b self, rules: &'b Rulebook) -> (Action, Option<&'b Voice>) {
        match &self.seen {
            Seen::Found(finding) => {
                let ruling = rules.rule(finding, self.text, self.scope);
                (ruling.action, ruling.voice)
            }
            // The value is gone; `Rulebook::rule` would take its placeholder for it.
            Seen::Kept { kind, label, score } => {
                let bound = rules.of(kind).filter(|voice| !voice.rule.shadow);
                bound.fold((Action::Allow, None), |most, voice| {
                    let action = voice.rule.action(label, *score, self.scope, 0.0);
                    if action > most.0 { (action, Some(voice)) } else { most }
                })
            }
        }
    }
}

/// What one set of levels decides, and what decided it.
struct Outcome<'a> {
    decision: Decision,
    worst: Option<(&'a Item<'a>, Action, &'a Voice)>,
    items: &'a [Item<'a>],
    rules: &'a [Rulebook; 2],
}

impl<'a> Outcome<'a> {
    fn of(items: &'a [Item<'a>], rules: &'a [Rulebook; 2]) -> Outcome<'a> {
        let mut worst: Option<(&Item<'_>, Action, &Voice)> = None;
        for item in items {
            let (action, voice) = item.ruled(&rules[item.direction as usize]);
            if let Some(voice) = voice
                && worst.is_none_or(|(_, most, _)| action > most)
            {
                worst = Some((item, action, voice));
            }
        }
        let decision = worst.map_or(Decision::Allow, |(_, action, _)| action.into());
        Outcome { decision, worst, items, rules }
    }

    /// The finding that makes the stricter of the two decisions, and what either time is done about it.
    ///
    /// None where neither found anything, and then the two are the same.
    fn because(before: &Outcome<'_>, after: &Outcome<'_>, is_tighter: bool) -> Option<Because> {
        let (stricter, other) = if is_tighter { (after, before) } else { (before, after) };
        let (item, action, voice) = stricter.worst?;
        debug_assert!(std::ptr::eq(stricter.items, other.items), "both decide on the same evidence");
        let (otherwise, _) = item.ruled(&other.rules[item.direction as usize]);
        let (before, after) = if is_tighter { (otherwise, action) } else { (action, otherwise) };
        Some(Because {
            direction: item.direction,
            kind: item.kind().to_owned(),
            label: item.label().to_owned(),
            rule: voice.level.to_string(),
            action_before: before.as_str().to_owned(),
            action_after: after.as_str().to_owned(),
        })
    }
}

impl Trial<'_> {
    fn call(&self, call: &StoredCall, limit: usize, done: &mut Backtested) {
        let Some(texts) = evidence::texts(call) else {
            done.without_texts += 1;
            return;
        };
        done.calls += 1;
        let record = &call.record;
        let route = self.policy.route(&record.route);
        done.unknown_route += u64::from(route.is_none());
        let route = route.unwrap_or_else(|| self.policy.default_route());
        let (chain, with) = self.chains(record, route, done);
        let exceptions = self.exceptions(record);
        let books = [&chain, &with].map(|chain| self.books(chain, record, &exceptions));
        let items = self.items(record, &texts, &books, &exceptions, done);
        let [before, after] = books.each_ref().map(|rules| Outcome::of(&items, rules));
        done.moved(before.decision, after.decision, 1);
        let blocked = [before.decision, after.decision].map(|decision| decision == Decision::Block);
        done.blocked_before += u64::from(blocked[0]);
        done.blocked_after += u64::from(blocked[1]);
        done.blocked_more += u64::from(blocked[1] && !blocked[0]);
        done.blocked_fewer += u64::from(blocked[0] && !blocked[1]);
        if before.decision != after.decision {
            done.differs(record, &before, &after, limit);
        }
    }

    /// The levels that hold by today's configuration, and the same with the policy that is tried.
    fn chains(&self, record: &CallRecord, route: &Route, done: &mut Backtested) -> (Chain, Chain) {
        // What the call itself asked for stands in its record, and may be gone since.
        let asked: Vec<&str> = record
            .guard_policy
            .iter()
            .filter_map(|label| label.strip_prefix("request, ")?.split(' ').next())
            .filter(|name| self.policy.config().guards.policies.find(name).is_some())
            .collect();
        let chain = self.policy.guards(&record.caller, route, asked.into_iter()).unwrap_or_default();
        let mut with = Chain::default();
        let mut was_replaced = false;
        for level in chain.levels() {
            if !is_of(level, &self.tried) {
                with.push(Arc::clone(level));
                continue;
            }
            was_replaced = true;
            if !done.replaced.iter().any(|label| *label == **level.label()) {
                done.replaced.push(level.label().to_string());
            }
            with.push(Arc::new(Level::of_policy(level.kind, level.of.clone(), &self.tried)));
        }
        if !was_replaced && !self.is_used {
            with.push(Arc::new(Level::of_policy(LevelKind::Floor, Name::default(), &self.tried)));
        }
        (chain, with)
    }

    fn exceptions(&self, record: &CallRecord) -> Arc<[Exception]> {
        let all = &self.policy.config().guards.exceptions;
        let holds = |one: &&Exception| explain::holds(one, &record.caller.tenant, &record.route, self.now);
        all.iter().filter(holds).cloned().collect()
    }

    fn books(&self, chain: &Chain, record: &CallRecord, exceptions: &Arc<[Exception]>) -> [Rulebook; 2] {
        let key = tenant_key(&self.key, &record.caller.tenant);
        // As when the call was made: what a sampled rule left out then it leaves out now.
        let draw = f64::from(record.trace_id.0 as u32) / (f64::from(u32::MAX) + 1.0);
        [Direction::Input, Direction::Output].map(|direction| {
            let rules = Rulebook::new(chain.voices(direction), Arc::clone(exceptions), key, draw);
            rules.with_scanner(self.scanner)
        })
    }

    /// All that is known to have been in the texts of a call.
    fn items<'t>(
        &self,
        record: &CallRecord,
        texts: &'t [Text],
        books: &[[Rulebook; 2]; 2],
        exceptions: &[Exception],
        done: &mut Backtested,
    ) -> Vec<Item<'t>> {
        let mut items = Vec::new();
        // Of several equal placeholders the note keeps the hash of the first value alone.
        let mut passed: Vec<(Direction, &str)> = Vec::new();
        for text in texts {
            let (direction, scope) = (text.direction, text.scope);
            for label in evidence::placeholders(&text.text) {
                let kind = evidence::kind_of(label);
                let mut notes = record.guard.iter();
                let note = notes.find(|note| note.direction == direction && *note.label == *label);
                let is_first = !passed.contains(&(direction, label));
                if is_first {
                    passed.push((direction, label));
                }
                let hash = note.and_then(|note| note.value_hash.as_deref()).filter(|_| is_first);
                if exceptions.iter().any(|one| lets_pass(one, kind, label, scope, hash)) {
                    continue;
                }
                done.without_score += u64::from(note.is_none());
                let score = note.map_or(1.0, |note| note.score);
                let seen = Seen::Kept { kind, label, score };
                items.push(Item { direction, scope, text: &text.text, seen });
            }
            let rules = books.each_ref().map(|rules| &rules[direction as usize]);
            let has = |kind: &str| rules.iter().any(|rules| rules.has(kind));
            let kinds = Kinds { pii: has("pii"), secrets: has("secrets"), injection: has("injection") };
            let threshold =
                rules.iter().filter_map(|rules| rules.threshold("injection")).min_by(f32::total_cmp);
            items.extend(text.scan(self.scanner, kinds, threshold).into_iter().map(|finding| Item {
                direction,
                scope,
                text: &text.text,
                seen: Seen::Found(finding),
            }));
        }
        items
    }
}

/// Whether a person lets a finding pass of which only the hash is known.
fn lets_pass(one: &Exception, kind: &str, label: &str, scope: Scope, hash: Option<&str>) -> bool {
    *one.kind == *kind
        && one.label.as_ref().is_none_or(|of| **of == *label)
        && one.scope.is_none_or(|only| only == scope)
        && match &one.value {
            ExceptedValue::Any => true,
            ExceptedValue::Hash(of) => hash.is_some_and(|hash| **of == *hash),
            ExceptedValue::Text(_) => false,
        }
}
