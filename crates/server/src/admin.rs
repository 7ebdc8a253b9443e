//! What can be managed. The API, the console and the command line all end in these functions.

use std::{ops::Deref, sync::Arc};

use gauntlet_pipeline::{Ledger, Shared, Snapshot};
use gauntlet_policy::{
    budget::Line,
    config::{BudgetRule, rolling_of},
};
use gauntlet_ports::{
    Clock, ControlError, ControlStore, EvalRetention, Kill, KillKind, ReplicaLine, StoreError, StoredKey,
    TraceStore,
};
use gauntlet_types::{CallRecord, Charge, Code, Day, Environment, Fault, Measure, Name, NanoUsd, Timestamp};
use serde::{Deserialize, Serialize};

use crate::auth::{Access, Token};

/// What the running program lends to its management, and the command line working alone does not have.
pub trait Runtime: Send + Sync {
    /// Takes changed keys, switches and labels into the next call's snapshot. `reload` reads the configuration anew too.
    fn refresh(&self, reload: bool) -> Result<(), String>;
    /// Waits (briefly) until records of finished calls can be found in the store.
    fn flush(&self);
    fn metrics(&self) -> String;
    /// Where runs of evals and gates' words are counted as they are kept.
    fn eval_figures(&self) -> &gauntlet_trace::EvalFigures;
    /// What keeps the gateway from doing its work, in sentences; empty when it can serve.
    fn problems(&self) -> Vec<String>;
    /// The gateways that meet at the shared store; none where there is no such store.
    fn replicas(&self) -> Result<Option<Vec<ReplicaLine>>, String>;
    /// Takes it that a replica is gone for good; false when nothing is known of it.
    fn replica_forget(&self, id: &str) -> Result<bool, String>;
    /// One pass of sampling and retention.
    fn keep(&self) -> Result<crate::erase::Passed, String>;
    /// Records as calls finish.
    fn tail(&self) -> Option<tokio::sync::mpsc::Receiver<Arc<CallRecord>>>;
}

pub struct AdminParts {
    pub traces: Arc<dyn TraceStore>,
    pub control: Arc<dyn ControlStore>,
    pub evals: Arc<dyn EvalRetention>,
    pub clock: Arc<dyn Clock>,
    pub access: Access,
    /// The live state; none when the command line works on the data folder alone.
    pub shared: Option<Arc<Shared>>,
    /// The configuration as loaded; in a live program the current snapshot is asked instead.
    pub snapshot: Option<Arc<Snapshot>>,
    pub runtime: Option<Arc<dyn Runtime>>,
    pub version: &'static str,
}

/// Cheap to clone; the state of the router.
#[derive(Clone)]
pub struct Admin(Arc<AdminParts>);

impl Deref for Admin {
    type Target = AdminParts;
    fn deref(&self) -> &AdminParts {
        &self.0
    }
}

/// What a new key shall be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    pub name: String,
    #[serde(default = "default_tenant")]
    pub tenant: String,
    #[serde(default)]
    pub team: Option<String>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub environment: Option<String>,
    #[serde(default)]
    pub routes: Vec<String>,
    #[serde(default)]
    pub models: Vec<String>,
    /// Seconds from now.
    #[serde(default)]
    pub expires_in_s: Option<u64>,
}

fn default_tenant() -> String {
    "default".to_owned()
}

/// A key just made; the only time its secret is seen.
#[derive(Serialize)]
pub struct CreatedKey {
    pub secret: String,
    #[serde(flatten)]
    pub key: StoredKey,
}

/// One budget and its use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BudgetLine {
    pub scope: Name,
    pub key: Name,
    /// The day it counts for; none for one that never turns.
    pub period: Option<String>,
    /// When it turns, if it does.
    pub resets: Option<Timestamp>,
    pub measure: Measure,
    /// Nano-dollars, tokens or requests; none if no rule caps it any more.
    pub cap: Option<i64>,
    pub spent: i64,
    pub held: i64,
    /// By other replicas, as last heard.
    pub elsewhere: i64,
    /// The same in dollars, where it is dollars.
    pub cap_usd: Option<f64>,
    pub spent_usd: Option<f64>,
    pub held_usd: Option<f64>,
}

/// The books: every budget line, open holds, and whether records agree with the ledger.
#[derive(Serialize)]
pub struct Books {
    pub open_holds: usize,
    pub running_calls: usize,
    pub lines: Vec<BudgetLine>,
}

/// Names stay readable in tables, headers and URLs.
const NAME_MAX: usize = 128;

impl Admin {
    pub fn new(parts: AdminParts) -> Admin {
        Admin(Arc::new(parts))
    }

    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        match &self.shared {
            Some(shared) => Some(shared.snapshot.load_full()),
            None => self.snapshot.clone(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn key_create(&self, new: &NewKey) -> Result<CreatedKey, Fault> {
        let names = [Some(&new.name), Some(&new.tenant), new.team.as_ref(), new.user.as_ref()];
        for name in names.into_iter().flatten().chain(&new.routes).chain(&new.models) {
            if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
                let message = format!(
                    "`{}` cannot be a name: 1 to {NAME_MAX} printable characters",
                    name.escape_debug()
                );
                return Err(Fault::caller(Code::InvalidRequest, message));
            }
        }
        let environment = match new.environment.as_deref() {
            None => None,
            Some(text) => Some(Environment::parse(text).ok_or_else(|| {
                let message = format!("`{text}` is not an environment; use prod, staging, dev or eval");
                Fault::caller(Code::InvalidRequest, message)
            })?),
        };
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|_| Fault::us(Code::Internal, "the operating system gives no random numbers"))?;
        let secret = format!("gk_{}", base64url(&random));
        let now = self.now();
        let key = StoredKey {
            name: new.name.as_str().into(),
            hash: Token::hash(&secret),
            hint: secret[secret.len() - 4..].to_owned(),
            tenant: new.tenant.as_str().into(),
            team: new.team.as_deref().map(Name::from),
            user: new.user.as_deref().map(Name::from),
            environment,
            routes: new.routes.iter().map(|name| name.as_str().into()).collect(),
            models: new.models.iter().map(|name| name.as_str().into()).collect(),
            created: now,
            expires: new.expires_in_s.map(|seconds| now.plus(std::time::Duration::from_secs(seconds))),
            revoked: None,
        };
        self.control.key_insert(&key).map_err(control_fault)?;
        self.refresh(false)?;
        Ok(CreatedKey { secret, key })
    }

    pub fn key_list(&self) -> Result<Vec<StoredKey>, Fault> {
        self.control.key_list().map_err(control_fault)
    }

    pub fn key_revoke(&self, name: &str) -> Result<(), Fault> {
        self.control.key_revoke(name, self.now()).map_err(control_fault)?;
        self.refresh(false)
    }

    pub fn kill(&self, kind: KillKind, name: &str, reason: &str) -> Result<Kill, Fault> {
        if name.is_empty() {
            return Err(Fault::caller(Code::InvalidRequest, format!("name the {} to kill", kind.as_str())));
        }
        let kill = Kill { kind, name: name.into(), reason: reason.to_owned(), since: self.now() };
        self.control.kill_set(&kill).map_err(control_fault)?;
        self.refresh(false)?;
        Ok(kill)
    }

    pub fn kill_undo(&self, kind: KillKind, name: &str) -> Result<(), Fault> {
        let was = self.control.kill_undo(kind, name).map_err(control_fault)?;
        self.refresh(false)?;
        if was {
            return Ok(());
        }
        let message =
            format!("{} `{name}` is not killed; `gauntlet kill --list` shows what is", kind.as_str());
        Err(Fault::caller(Code::NotFound, message))
    }

    /// The gateways that share budgets; none where this one is alone.
    pub fn replicas(&self) -> Result<Option<Vec<ReplicaLine>>, Fault> {
        self.running()?.replicas().map_err(|message| Fault::us(Code::Unavailable, message))
    }

    /// What the slices of a replica that is gone for good still hold returns to the budgets.
    pub fn replica_forget(&self, id: &str) -> Result<(), Fault> {
        match self.running()?.replica_forget(id) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::caller(
                Code::NotFound,
                format!("no replica `{id}` holds anything; see `gauntlet replica list`"),
            )),
            Err(message) => Err(Fault::caller(Code::InvalidRequest, message)),
        }
    }

    fn running(&self) -> Result<&Arc<dyn Runtime>, Fault> {
        let message = "no gateway runs on this data folder; ask one that shares the same store";
        self.runtime.as_ref().ok_or_else(|| Fault::caller(Code::InvalidRequest, message))
    }

    pub fn kill_list(&self) -> Result<Vec<Kill>, Fault> {
        self.control.kill_list().map_err(control_fault)
    }

    /// Takes what changed into the snapshot of the next call.
    pub fn refresh(&self, reload: bool) -> Result<(), Fault> {
        match &self.runtime {
            // What is reloaded is what somebody wrote; a refresh that fails is our own trouble.
            Some(runtime) if reload => {
                runtime.refresh(true).map_err(|message| Fault::caller(Code::InvalidRequest, message))
            }
            Some(runtime) => runtime.refresh(false).map_err(|message| Fault::us(Code::Unavailable, message)),
            None => Ok(()),
        }
    }

    /// Spend against budgets: live from the ledger, or from the store when no gateway runs.
    pub fn books(&self) -> Result<Books, Fault> {
        let now = self.now();
        let stored;
        let (ledger, running_calls) = match &self.shared {
            Some(shared) => (&shared.ledger, shared.tasks.running()),
            // The same book, without calls.
            None => {
                stored = spent_so_far(&*self.traces, now).map_err(store_fault)?;
                (&stored, 0)
            }
        };
        let state = ledger.state(now);
        let snapshot = self.snapshot();
        let policy = snapshot.as_ref().map(|snapshot| &snapshot.policy);
        // Somewhere on earth yesterday is still today.
        let oldest = Day(now.day().0 - 1);
        let mut lines: Vec<BudgetLine> = state
            .lines
            .iter()
            .filter(|line| line.charge.period.is_none_or(|period| period >= oldest))
            .filter_map(|known| {
                let rule = policy.and_then(|policy| policy.rule_of(&known.charge));
                let line = line(known, rule, now);
                line.resets.is_none_or(|resets| resets > now).then_some(line)
            })
            .collect();
        // A budget that nothing drew on yet is shown too: whoever set it wants to see that it is there.
        for rule in policy.iter().flat_map(|policy| policy.budget_rules()) {
            let Some(charge) = rule.shared_charge(now) else { continue };
            let is_same = |known: &Charge| {
                let is_rolling = rolling_of(&known.scope).is_some();
                (&known.scope, &known.key) == (&charge.scope, &charge.key)
                    && (is_rolling || known.period == charge.period)
            };
            if !state.lines.iter().any(|line| is_same(&line.charge)) {
                let idle = ledger.line(&charge);
                let fresh = || Line { charge, spent: 0, held: 0, elsewhere: 0, cap: None };
                lines.push(line(&idle.unwrap_or_else(fresh), Some(rule), now));
            }
        }
        lines.sort_by(|a, b| (&a.scope, &a.key, &a.period).cmp(&(&b.scope, &b.key, &b.period)));
        Ok(Books { open_holds: state.open_holds, running_calls, lines })
    }
}

/// How far back a rolling budget looks, and a day for time zones.
const LOOK_BACK_DAYS: i32 = 32;

/// The book as the store knows it: what is spent in periods that are not over anywhere, within rolling windows, and in
/// budgets that never turn.
pub fn spent_so_far(store: &dyn TraceStore, now: Timestamp) -> Result<Ledger, StoreError> {
    let today = now.day();
    let spent = store.budget_spent(Day(today.0 - LOOK_BACK_DAYS))?;
    let counts = |charge: &Charge| {
        charge.period.is_none_or(|period| period.0 >= today.0 - 1) || rolling_of(&charge.scope).is_some()
    };
    Ok(Ledger::new(
        spent.into_iter().filter(|line| counts(&line.charge)).map(|line| (line.charge, line.spent)),
    ))
}

fn line(known: &Line, rule: Option<&BudgetRule>, now: Timestamp) -> BudgetLine {
    let Line { charge, spent, held, elsewhere, .. } = known;
    let cap = rule.map(|rule| rule.cap_of(charge));
    let usd = |amount: i64| charge.measure.is_usd().then(|| NanoUsd(amount).as_usd());
    BudgetLine {
        scope: charge.scope.clone(),
        key: charge.key.clone(),
        period: charge.period.map(|day| day.to_string()),
        resets: match (charge.period, rule) {
            (None, _) => None,
            // Of the period that the charge names, which may not be the one of now.
            (Some(day), Some(rule)) => rule.calendar.resets(rule.calendar.within(day).unwrap_or(now)),
            (Some(day), None) => Some(day.next().start()),
        },
        measure: charge.measure,
        cap,
        spent: *spent,
        held: *held,
        elsewhere: *elsewhere,
        cap_usd: cap.and_then(usd),
        spent_usd: usd(*spent),
        held_usd: usd(*held),
    }
}

/// RFC 4648 §5 without padding: 32 bytes are 43 characters.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

pub(crate) fn control_fault(error: ControlError) -> Fault {
    match &error {
        ControlError::KeyExists(_)
        | ControlError::PromptChanged { .. }
        | ControlError::PromptsCame
        | ControlError::LabelMoved { .. } => Fault::caller(Code::InvalidRequest, error.to_string()),
        ControlError::UnknownKey(_) | ControlError::UnknownPrompt { .. } => {
            Fault::caller(Code::NotFound, error.to_string())
        }
        ControlError::Store { source, .. } => {
            tracing::error!(%error, %source, "control store");
            // Stores name host and path in their errors, never a password; whoever reads this operates the gateway.
            let mut reasons = source.to_string();
            let mut cause = source.source();
            while let Some(deeper) = cause {
                reasons = format!("{reasons}: {deeper}");
                cause = deeper.source();
            }
            let message = format!(
                "{error} ({reasons}); it is control.db of the data folder, or the Postgres that `store` names"
            );
            Fault::us(Code::Unavailable, message)
        }
    }
}

pub(crate) fn store_fault(error: StoreError) -> Fault {
    tracing::error!(error = &error as &dyn std::error::Error, "trace store");
    Fault::us(Code::Unavailable, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_as_in_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE")]
        {
            assert_eq!(base64url(bytes.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
        assert_eq!(base64url(&[7; 32]).len(), 43);
    }
}
