//! Erasing what is kept of somebody, with a proof that holds no word of it.

mod of_evals;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use gauntlet_ports::{Cut, Event, EventKind, Severity, SpanFilter, TraceFilter};
use gauntlet_types::{Code, Fault};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    admin::{Admin, control_fault, store_fault},
    api::{answer, fault, flush, parse},
};
use of_evals::OfEvals;

/// Calls or spans of one transaction.
const AT_ONCE: u32 = 1000;
/// Rounds of that until somebody must ask again: a hundred million calls, and a store that keeps giving what was cut would
/// not hold a thread for ever.
const ROUNDS_MAX: u32 = 100_000;
/// What an erasure cannot reach, said with every proof.
const NOT_COVERED: [&str; 5] = [
    "sums by minute, hour and day (they name tenant, route, model, key and tag, and no person)",
    "log files, and spans that receivers have been sent or that wait for one that is down",
    "budgets of users and sessions until their window is over",
    "datasets of evals: files of yours (`cases` names those lines that were run; remove them by hand)",
    "backups",
];

pub(crate) fn router() -> Router<Admin> {
    Router::new().route("/api/v1/erase", post(erase)).route("/api/v1/retention", get(retention).post(pass))
}

/// Whose traces: every field that is given must hold.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Erasure {
    pub tenant: Option<String>,
    pub user: Option<String>,
    pub session: Option<String>,
    /// Counts alone.
    pub dry_run: bool,
    /// Why, for whoever reads the proof. Name no person here.
    pub reason: String,
}

/// What was found, and gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Erased {
    pub dry_run: bool,
    pub calls: u64,
    pub spans: u64,
    /// Results of evals, judges' answers and gates' reports that lost words of these calls.
    #[serde(default)]
    pub evals: u64,
    /// Calls of runs that asked or judged a case made from these calls, whose texts went; their figures stay.
    #[serde(default)]
    pub eval_calls: u64,
    /// Such cases, as `suite/case`: their lines still stand in datasets, which are files. At most a hundred are named.
    #[serde(default)]
    pub cases: Vec<String>,
    /// Found by the same question afterwards; 0 unless something came in meanwhile.
    pub left: u64,
    /// Keyed hashes of what was asked for: the proof of a subject is found by it, and names nobody.
    pub subject: Vec<String>,
    pub not_covered: Vec<String>,
}

async fn erase(State(admin): State<Admin>, body: String) -> Response {
    match parse::<Erasure>(&body) {
        Ok(wanted) => answer(admin, move |admin| admin.erase(&wanted)).await,
        Err(why) => fault(&why),
    }
}

async fn retention(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| {
        let Some(snapshot) = admin.snapshot() else {
            return Err(Fault::us(Code::Unavailable, "the configuration cannot be read: `gauntlet check`"));
        };
        let server = &snapshot.policy.config().server;
        let ages: Vec<_> = gauntlet_types::Environment::ALL
            .iter()
            .zip(server.retention.ages)
            .map(|(environment, ages)| {
                json!({
                    "environment": environment.as_str(),
                    "messages_s": ages.messages.map(|age| age.as_secs()),
                    "records_s": ages.records.map(|age| age.as_secs()),
                })
            })
            .collect();
        let sampling = server.sampling.map(|sampling| {
            json!({
                "keep_percent": sampling.keep_percent, "slow_ms": sampling.slow.map(|slow| slow.as_millis() as u64),
                "wait_s": sampling.wait.as_secs(),
            })
        });
        Ok(json!({"retention": ages, "sampling": sampling}))
    })
    .await
}

/// Does now what is done every few seconds anyway.
async fn pass(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| {
        flush(admin);
        let Some(runtime) = &admin.runtime else {
            let message = "no gateway runs on this data folder; retention is its work";
            return Err(Fault::us(Code::Unavailable, message));
        };
        let done = runtime.keep().map_err(|why| Fault::us(Code::Unavailable, why))?;
        Ok(json!({"cut": done.cut, "removed": done.removed, "is_more": done.is_more}))
    })
    .await
}

/// What a pass of sampling and retention did.
#[derive(Clone, Copy, Default, Debug)]
pub struct Passed {
    pub cut: u64,
    pub removed: u64,
    pub is_more: bool,
}

impl Admin {
    /// Takes away every call and span that fits, for good, and notes that it did.
    pub fn erase(&self, wanted: &Erasure) -> Result<Erased, Fault> {
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if ![&wanted.tenant, &wanted.user, &wanted.session].into_iter().any(is_given) {
            let message = "name whose traces shall go: `user`, `session` or `tenant`";
            return Err(Fault::caller(Code::InvalidRequest, message));
        }
        flush(self);
        let calls = TraceFilter {
            tenant: wanted.tenant.clone(),
            user: wanted.user.clone(),
            session: wanted.session.clone(),
            limit: AT_ONCE,
            ..TraceFilter::default()
        };
        let spans = SpanFilter {
            tenant: wanted.tenant.clone(),
            user: wanted.user.clone(),
            session: wanted.session.clone(),
            limit: AT_ONCE,
            ..SpanFilter::default()
        };
        let mut erased = Erased {
            dry_run: wanted.dry_run,
            calls: 0,
            spans: 0,
            evals: 0,
            eval_calls: 0,
            cases: Vec::new(),
            left: 0,
            subject: self.subject(wanted)?,
            not_covered: NOT_COVERED.map(str::to_owned).to_vec(),
        };
        if wanted.dry_run {
            (erased.calls, erased.spans) = (self.count_calls(calls)?, self.count_spans(spans)?);
            return Ok(erased);
        }
        let of_evals;
        (erased.calls, of_evals) = self.erase_calls(calls.clone())?;
        (erased.evals, erased.eval_calls, erased.cases) = of_evals.told();
        erased.spans = self.erase_spans(&spans)?;
        self.traces.shrink(true).map_err(store_fault)?;
        if let Some(shared) = &self.shared {
            shared.forget_answers();
        }
        erased.left = self.count_calls(calls)? + self.count_spans(spans)?;
        self.note_erasure(wanted, &erased)?;
        Ok(erased)
    }

    fn erase_calls(&self, mut filter: TraceFilter) -> Result<(u64, OfEvals), Fault> {
        let (mut count, mut evals) = (0, OfEvals::default());
        for _ in 0..ROUNDS_MAX {
            let page = self.traces.trace_find(&filter).map_err(store_fault)?;
            // First, since they are found by the calls.
            let calls: Vec<_> = page.rows.iter().map(|row| row.id).collect();
            evals.cut(self, &calls)?;
            let cuts: Vec<_> = calls.into_iter().map(|id| (id, Cut::Whole)).collect();
            count += self.traces.cut(&cuts).map_err(store_fault)?;
            filter.before = page.next;
            if filter.before.is_none() {
                break;
            }
        }
        Ok((count, evals))
    }

    fn erase_spans(&self, filter: &SpanFilter) -> Result<u64, Fault> {
        let mut count = 0;
        for _ in 0..ROUNDS_MAX {
            let rows = self.traces.span_find(filter).map_err(store_fault)?;
            if rows.is_empty() {
                break;
            }
            let cuts: Vec<_> = rows.iter().map(|row| (row.seq, Cut::Whole)).collect();
            count += self.traces.span_cut(&cuts).map_err(store_fault)?;
        }
        Ok(count)
    }

    fn count_calls(&self, mut filter: TraceFilter) -> Result<u64, Fault> {
        let mut count = 0;
        for _ in 0..ROUNDS_MAX {
            let page = self.traces.trace_find(&filter).map_err(store_fault)?;
            count += page.rows.len() as u64;
            filter.before = page.next;
            if filter.before.is_none() {
                break;
            }
        }
        Ok(count)
    }

    fn count_spans(&self, mut filter: SpanFilter) -> Result<u64, Fault> {
        let mut count = 0;
        for _ in 0..ROUNDS_MAX {
            let rows = self.traces.span_find(&filter).map_err(store_fault)?;
            count += rows.len() as u64;
            filter.before = rows
                .last()
                .map(|row| gauntlet_ports::SpanCursor { started: row.record.started, seq: row.seq });
            if rows.len() < AT_ONCE as usize {
                break;
            }
        }
        Ok(count)
    }

    /// `user:3f2a…` for each thing that was asked for.
    fn subject(&self, wanted: &Erasure) -> Result<Vec<String>, Fault> {
        let key = self.control.setting("value_hash_key", &mut String::new).map_err(control_fault)?;
        let key = *blake3::hash(key.as_bytes()).as_bytes();
        let parts = [("tenant", &wanted.tenant), ("user", &wanted.user), ("session", &wanted.session)];
        let hashed = parts.into_iter().filter_map(|(name, value)| {
            let value = value.as_deref().filter(|value| !value.is_empty())?;
            Some(format!("{name}:{}", &blake3::keyed_hash(&key, value.as_bytes()).to_hex()[..32]))
        });
        Ok(hashed.collect())
    }

    fn note_erasure(&self, wanted: &Erasure, erased: &Erased) -> Result<(), Fault> {
        let at = self.now();
        let event = Event {
            seq: 0,
            at,
            kind: EventKind::Erased,
            key: format!("erased:{}", at.0),
            severity: Severity::Info,
            message: format!(
                "{} calls and {} spans of {} were erased; {} are left",
                erased.calls,
                erased.spans,
                erased.subject.join(", "),
                erased.left
            ),
            detail: json!({
                "subject": erased.subject, "calls": erased.calls, "spans": erased.spans, "evals": erased.evals,
                "eval_calls": erased.eval_calls, "left": erased.left,
                "reason": wanted.reason, "not_covered": erased.not_covered,
            }),
        };
        self.event_add(&event).map(drop)
    }
}
