//! What a promotion would do, before anybody does it: the difference, what evals say of both, what it costs, what is still
//! missing, and the way back.

use std::{collections::BTreeMap, sync::Arc};

use gauntlet_evals::gate::{Comparison, compare};
use gauntlet_policy::promotion::{GateNeed, PromotionRule};
use gauntlet_ports::{Approval, EvalGate, EvalRun, GateFilter, RunFilter, RunState, Verdict};
use gauntlet_prompts::{Change, Prompt};
use gauntlet_types::{Fault, Name, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    labels::{check_label, cure, rollback_command},
    shown::{compared, named},
};
use crate::{
    admin::{Admin, control_fault},
    evals::evals_fault,
};

/// Suites that are compared: more than anybody reads.
const SUITES_MAX: usize = 20;
/// Runs of one content that are looked through for the newest of each suite.
const RUNS_MAX: u32 = 200;
const GATES_SHOWN: u32 = 20;

/// A promotion that has not been made.
#[derive(Serialize)]
pub struct Plan {
    pub prompt: Name,
    pub hash: Name,
    pub label: Name,
    /// What the label points to now; none where it points nowhere.
    pub from: Option<Name>,
    pub to: Name,
    /// What the label asks for; null for one that moves freely.
    pub rule: Value,
    /// What is still missing; empty for a promotion that may be made.
    pub lacks: Vec<Missing>,
    pub changes: Vec<Change>,
    pub diff: String,
    /// The newest finished runs of both contents, suite by suite.
    pub evals: Vec<SuiteChange>,
    /// Of exactly this content, newest first.
    pub gates: Vec<GateLine>,
    pub approvals: Vec<Approval>,
    /// What takes the promotion back; none where the label points nowhere now.
    pub rollback: Option<String>,
}

#[derive(Serialize)]
pub struct Missing {
    pub what: String,
    pub cure: String,
}

/// One suite over both contents.
#[derive(Serialize)]
pub struct SuiteChange {
    pub suite: Name,
    /// None where the content under the label was never run.
    pub from_run: Option<Name>,
    pub to_run: Name,
    /// As `eval compare` tells it of the same runs, without its cases: a is what is under the label, b what would be.
    pub compared: Option<Comparison>,
    /// Why two runs cannot be compared.
    pub why: Option<String>,
}

#[derive(Serialize)]
pub struct GateLine {
    pub suite: Name,
    pub run: Name,
    pub verdict: Verdict,
    pub summary: String,
    pub at: Timestamp,
}

impl Admin {
    pub fn prompt_plan(&self, reference: &str, label: &str) -> Result<Plan, Fault> {
        check_label(label)?;
        let catalog = self.prompt_catalog()?;
        let prompt = catalog.find(reference)?;
        let now = catalog.registry.label(&prompt.name, label).cloned();
        let under_label: Option<Arc<Prompt>> =
            now.as_ref().and_then(|now| catalog.find(&format!("{}@{now}", prompt.name)).ok());
        let rule = self.promotion_rule(label)?;
        let is_there = under_label.as_ref().is_some_and(|other| other.hash == prompt.hash);
        let lacks = match &rule {
            Some(rule) if !is_there => self.promotion_lacks(&catalog, rule, &prompt, label)?,
            Some(_) | None => Vec::new(),
        };
        let missing = |lack: &_| Missing { what: format!("{lack}"), cure: cure(lack, &prompt, label) };
        let (changes, diff) = match &under_label {
            Some(other) => {
                let both = compared(other, &prompt);
                (both.changes, both.diff)
            }
            None => (Vec::new(), String::new()),
        };
        let approvals = self.control.approval_list(&prompt.name).map_err(control_fault)?;
        let is_its = |approval: &Approval| approval.hash == prompt.hash && approval.label == label;
        Ok(Plan {
            prompt: named(&prompt),
            hash: prompt.hash.clone(),
            label: label.into(),
            to: prompt.version.to_string().into(),
            rule: rule.as_ref().map_or(Value::Null, told),
            lacks: lacks.iter().map(missing).collect(),
            changes,
            diff,
            evals: self.suite_changes(under_label.as_deref().filter(|_| !is_there), &prompt)?,
            gates: self.gate_lines(&prompt)?,
            approvals: approvals.into_iter().filter(is_its).collect(),
            rollback: now.as_ref().filter(|_| !is_there).map(|_| rollback_command(&prompt.name, label)),
            from: now,
        })
    }

    fn gate_lines(&self, prompt: &Prompt) -> Result<Vec<GateLine>, Fault> {
        let filter = GateFilter {
            prompt_hash: Some(prompt.hash.clone()),
            limit: Some(GATES_SHOWN),
            ..GateFilter::default()
        };
        let gates = self.evals.gate_list(&filter).map_err(evals_fault)?;
        let line = |gate: EvalGate| GateLine {
            suite: gate.suite,
            run: gate.run,
            verdict: gate.verdict,
            summary: gate.summary,
            at: gate.at,
        };
        Ok(gates.into_iter().map(line).collect())
    }

    fn suite_changes(&self, old: Option<&Prompt>, new: &Prompt) -> Result<Vec<SuiteChange>, Fault> {
        let news = self.newest_runs(new)?;
        let olds = old.map(|old| self.newest_runs(old)).transpose()?.unwrap_or_default();
        let mut changes = Vec::new();
        for (suite, to) in news.into_iter().take(SUITES_MAX) {
            let from = olds.get(&suite);
            let made = match from {
                Some(from) => {
                    let was = self.evals.result_list(&from.id).map_err(evals_fault)?;
                    let is = self.evals.result_list(&to.id).map_err(evals_fault)?;
                    compare((from, &was), (&to, &is), 0).map(Some).map_err(|error| error.to_string())
                }
                None => Ok(None),
            };
            let (compared, why) = made.map_or_else(|why| (None, Some(why)), |made| (made, None));
            let from_run = from.map(|from| from.id.clone());
            changes.push(SuiteChange { suite, from_run, to_run: to.id, compared, why });
        }
        Ok(changes)
    }

    /// The newest finished run of exactly this content, of every suite.
    fn newest_runs(&self, prompt: &Prompt) -> Result<BTreeMap<Name, EvalRun>, Fault> {
        let filter = RunFilter {
            prompt_hash: Some(prompt.hash.clone()),
            state: Some(RunState::Done),
            limit: Some(RUNS_MAX),
            ..RunFilter::default()
        };
        let mut newest = BTreeMap::new();
        for run in self.evals.run_list(&filter).map_err(evals_fault)? {
            newest.entry(run.suite.clone()).or_insert(run);
        }
        Ok(newest)
    }
}

/// A rule as it is written.
fn told(rule: &PromotionRule) -> Value {
    let gate = match &rule.gate {
        GateNeed::None => Value::from(false),
        GateNeed::Any => Value::from(true),
        GateNeed::Suites(suites) => json!(suites),
    };
    json!({"gate": gate, "approval": rule.approval.as_str()})
}
