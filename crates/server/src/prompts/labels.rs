//! Labels move: by a promotion, if what the label asks for is there, and back by a rollback, which asks for nothing.

use gauntlet_policy::promotion::{Facts, GateFact, Lack, PromotionRule};
use gauntlet_ports::{Approval, EvalGate, GateFilter, LabelMove, MoveKind, Verdict};
use gauntlet_prompts::{LATEST, PRODUCTION, Prompt, Risk, history};
use gauntlet_types::{Code, Fault, Name};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Catalog, OPERATOR, short, words};
use crate::{
    admin::{Admin, control_fault},
    evals::evals_fault,
};

/// Gates of one content that are looked at; each suite's newest is among them unless it has been run this often since.
const GATES_MAX: u32 = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromoteAsk {
    /// `name@1.2.0`, or `name@label` for where another label points.
    pub prompt: String,
    #[serde(default = "production")]
    pub label: String,
    pub by: Option<String>,
    /// For the history.
    pub reason: Option<String>,
    /// Against what the label asks for; needs a reason.
    #[serde(default)]
    pub force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackAsk {
    pub name: String,
    #[serde(default = "production")]
    pub label: String,
    pub by: Option<String>,
    pub reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveAsk {
    pub prompt: String,
    #[serde(default = "production")]
    pub label: String,
    pub by: Option<String>,
    pub note: Option<String>,
}

pub(super) fn production() -> String {
    PRODUCTION.to_owned()
}

/// A label that was moved, or was there already.
#[derive(Serialize)]
pub struct Moved {
    pub name: Name,
    pub label: Name,
    pub from: Option<Name>,
    /// Where it points now.
    pub version: Name,
    pub kind: MoveKind,
    pub by: Name,
    /// False where it pointed there already.
    pub is_moved: bool,
    /// What was missing, where it was forced.
    pub lacked: Vec<String>,
    /// The command that takes it back; none where there is nothing before.
    pub rollback: Option<String>,
}

impl Admin {
    /// Points a label at a version: from the next call on, here at once, and at every other gateway of the store within a
    /// second.
    ///
    /// Errors: `forbidden` where the label asks for more than is there; `lacks` of the error says what.
    pub fn prompt_promote(&self, asked: &PromoteAsk, by: Option<Name>) -> Result<Moved, Fault> {
        check_label(&asked.label)?;
        let reason = words(asked.reason.as_deref(), "reason")?;
        if asked.force && reason.is_none() {
            let message = "whoever forces a label says why: `--force --reason TEXT`";
            return Err(Fault::caller(Code::InvalidRequest, message).param("reason"));
        }
        let catalog = self.prompt_catalog()?;
        let prompt = catalog.find(&asked.prompt)?;
        let from = catalog.registry.label(&prompt.name, &asked.label).cloned();
        let lacks = match self.promotion_rule(&asked.label)? {
            Some(rule) if from.as_deref() != Some(&*prompt.version.to_string()) => {
                self.promotion_lacks(&catalog, &rule, &prompt, &asked.label)?
            }
            Some(_) | None => Vec::new(),
        };
        if !lacks.is_empty() && !asked.force {
            return Err(refused(&prompt, &asked.label, &lacks));
        }
        let lacked: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        let is_forced = !lacked.is_empty();
        let why = match reason {
            Some(reason) if is_forced => Some(format!("{reason} (lacking: {})", lacked.join("; "))),
            reason => reason,
        };
        let wanted = LabelMove {
            seq: 0,
            name: prompt.name.clone(),
            label: asked.label.as_str().into(),
            from,
            to: prompt.version.to_string().into(),
            kind: if is_forced { MoveKind::Force } else { MoveKind::Promote },
            by: by.unwrap_or_else(|| OPERATOR.into()),
            why,
            at: self.now(),
        };
        self.move_label(wanted, lacked)
    }

    /// Points a label at the version that it pointed to before. Never asks for a gate: that version was there already.
    ///
    /// A second rollback goes further back, never forth again; see [`history::before`].
    pub fn prompt_rollback(&self, asked: &RollbackAsk, by: Option<Name>) -> Result<Moved, Fault> {
        check_label(&asked.label)?;
        let why = words(asked.reason.as_deref(), "reason")?;
        let (name, label) = (asked.name.as_str(), asked.label.as_str());
        let catalog = self.prompt_catalog()?;
        let Some(now) = catalog.registry.label(name, label).cloned() else {
            // Says whether the prompt or the label is the unknown one.
            let fault = catalog.resolve(&format!("{name}@{label}")).err();
            let message = || format!("label `{}` of prompt `{}` points nowhere", short(label), short(name));
            return Err(fault.unwrap_or_else(|| Fault::caller(Code::NotFound, message())));
        };
        let Some(before) = self.label_before(name, label, &now)? else {
            let message = format!(
                "label `{label}` of prompt `{name}` points to {now}, and to nothing before it; \
                 `gauntlet prompt promote {name}@VERSION --to {label}` chooses another"
            );
            return Err(Fault::caller(Code::InvalidRequest, message));
        };
        let wanted = LabelMove {
            seq: 0,
            name: name.into(),
            label: label.into(),
            from: Some(now),
            to: before,
            kind: MoveKind::Rollback,
            by: by.unwrap_or_else(|| OPERATOR.into()),
            why,
            at: self.now(),
        };
        self.move_label(wanted, Vec::new())
    }

    /// Notes somebody's word that exactly this content may go under a label.
    ///
    /// Errors: nobody is named; the author is; the version is unknown.
    pub fn prompt_approve(&self, asked: &ApproveAsk, by: Option<Name>) -> Result<Approval, Fault> {
        check_label(&asked.label)?;
        let note = words(asked.note.as_deref(), "note")?;
        let Some(by) = by else {
            let message = "an approval is somebody's: say who, `--by NAME`";
            return Err(Fault::caller(Code::InvalidRequest, message).param("by"));
        };
        let catalog = self.prompt_catalog()?;
        let prompt = catalog.find(&asked.prompt)?;
        let author = catalog.kept(&prompt).and_then(|kept| kept.author.clone());
        if author.as_deref().is_some_and(|author| gauntlet_policy::promotion::is_same_person(author, &by)) {
            let message = format!(
                "`{by}` is the author of `{}@{}`; somebody else must approve it",
                prompt.name, prompt.version
            );
            return Err(Fault::caller(Code::Forbidden, message).param("by"));
        }
        let approval = Approval {
            seq: 0,
            name: prompt.name.clone(),
            version: prompt.version.to_string().into(),
            hash: prompt.hash.clone(),
            label: asked.label.as_str().into(),
            by,
            note,
            at: self.now(),
        };
        self.control.approval_add(&approval).map_err(control_fault)?;
        Ok(approval)
    }

    fn move_label(&self, wanted: LabelMove, lacked: Vec<String>) -> Result<Moved, Fault> {
        let is_moved = self.control.label_set(&wanted).map_err(control_fault)?;
        self.refresh(false)?;
        let before = self.label_before(&wanted.name, &wanted.label, &wanted.to)?;
        Ok(Moved {
            rollback: before.map(|_| rollback_command(&wanted.name, &wanted.label)),
            name: wanted.name,
            label: wanted.label,
            from: wanted.from,
            version: wanted.to,
            kind: wanted.kind,
            by: wanted.by,
            is_moved,
            lacked,
        })
    }

    fn label_before(&self, name: &str, label: &str, now: &str) -> Result<Option<Name>, Fault> {
        let mut moves = self.control.label_history(name).map_err(control_fault)?;
        moves.retain(|step| step.label == label);
        Ok(history::before(&moves, now))
    }

    /// What stands between a version and a label.
    pub(super) fn promotion_lacks(
        &self,
        catalog: &Catalog,
        rule: &PromotionRule,
        prompt: &Prompt,
        label: &str,
    ) -> Result<Vec<Lack>, Fault> {
        let filter = GateFilter {
            prompt_hash: Some(prompt.hash.clone()),
            limit: Some(GATES_MAX),
            ..GateFilter::default()
        };
        let mut gates = self.evals.gate_list(&filter).map_err(evals_fault)?;
        // Of two runs the newer says more of what would be released, whenever somebody judged the older one again.
        gates.sort_by_key(|gate| std::cmp::Reverse((gate.report["run"]["started"].as_i64(), gate.at)));
        let approvals = self.control.approval_list(&prompt.name).map_err(control_fault)?;
        let kept = catalog.kept(prompt);
        let replaced = catalog.registry.resolve(&format!("{}@{label}", prompt.name)).ok();
        let is_high = |prompt: &Prompt| prompt.risk == Risk::High;
        let facts = Facts {
            gates: gates
                .iter()
                .map(|gate| GateFact {
                    unfit: unfit(gate, prompt),
                    suite: gate.suite.clone(),
                    is_pass: gate.verdict == Verdict::Pass,
                    verdict: gate.verdict.as_str(),
                })
                .collect(),
            approved_by: approvals
                .iter()
                .filter(|approval| approval.hash == prompt.hash && approval.label == label)
                .map(|approval| approval.by.as_str())
                .collect(),
            author: kept.and_then(|kept| kept.author.as_deref()),
            is_high_risk: is_high(prompt) || replaced.is_some_and(|(replaced, _)| is_high(&replaced)),
        };
        Ok(rule.lacks(&facts))
    }
}

/// Why no label may rest on a gate. A part of the cases is for a look in between; what is released has passed all of them, as it
/// will be answered.
fn unfit(gate: &EvalGate, prompt: &Prompt) -> Option<&'static str> {
    let run = &gate.report["run"];
    if run["is_fast"] == true {
        return Some("a part of the cases");
    }
    let asked = run["model"].as_str();
    (prompt.model.is_some() && asked.is_some() && asked != prompt.model.as_deref())
        .then_some("the answers of another model than the pinned one")
}

pub(super) fn rollback_command(name: &str, label: &str) -> String {
    if label == PRODUCTION {
        format!("gauntlet prompt rollback {name}")
    } else {
        format!("gauntlet prompt rollback {name} --label {label}")
    }
}

/// How what is missing comes about.
pub(super) fn cure(lack: &Lack, prompt: &Prompt, label: &str) -> String {
    let named = format!("{}@{}", prompt.name, prompt.version);
    match lack {
        Lack::NoGate(_) => format!("`gauntlet eval run SUITE --candidate {named}` and `gauntlet gate`"),
        Lack::NotJudged(suite, _) => {
            format!("`gauntlet eval run {suite} --candidate {named}` and `gauntlet gate`")
        }
        Lack::NotGreen { .. } => "mend the prompt, or run the suite again with more cases".to_owned(),
        Lack::NoAuthor => "push its file: `gauntlet prompt push DIR --by NAME`".to_owned(),
        Lack::NoApproval { .. } => {
            format!("somebody else: `gauntlet prompt approve {named} --to {label} --by NAME`")
        }
    }
}

fn refused(prompt: &Prompt, label: &str, lacks: &[Lack]) -> Fault {
    let whys: Vec<String> =
        lacks.iter().map(|lack| format!("{lack} ({})", cure(lack, prompt, label))).collect();
    let message =
        format!("`{}@{}` may not go under label `{label}`: {}", prompt.name, prompt.version, whys.join("; "));
    let lacks: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    Fault::policy(Code::Forbidden, message).detail(json!({"lacks": lacks, "hash": prompt.hash}))
}

pub(super) fn check_label(label: &str) -> Result<(), Fault> {
    let cure = if label == LATEST {
        "it is always the highest version".to_owned()
    } else {
        match gauntlet_prompts::label_mistake(label) {
            None => return Ok(()),
            Some(cure) => cure,
        }
    };
    let message = format!("`{}` is no label to move: {cure}", short(label));
    Err(Fault::caller(Code::InvalidRequest, message).param("label"))
}
