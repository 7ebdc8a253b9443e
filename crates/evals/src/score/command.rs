//! A scorer of one's own: a program that reads a line of JSON for each answer and writes one.
//!
//! It is started once and kept; a program that hangs or answers nonsense leaves that answer unscored and is started anew, a
//! few times; one that has ended between two answers is started anew for the second. Nothing of our environment reaches it but `PATH` and the variables that the suite names, for keys and
//! passwords stand there. It runs in the suite's folder, without a shell unless one is asked for; what it writes to its
//! standard error is shown as it comes.

mod child;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use gauntlet_ports::Direction::{self, HigherIsBetter, LowerIsBetter};
use gauntlet_types::Name;
use serde_json::{Map, Value, json};

use self::child::{Pool, Program};
use super::{Measured, Sheet, options::Options, sheet::Range};
use crate::{Asker, Case, Mistake, Scored, Scorer, Seen};

const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
const TIMEOUT_MAX_SECONDS: f64 = 600.0;
/// Programs side by side.
const PROCESSES_MAX: f64 = 16.0;
/// Of a reason; longer ones are cut.
const REASON_MAX: usize = 1_000;
/// Of evidence as JSON; larger is left out, and said.
const EVIDENCE_MAX: usize = 64 << 10;

struct Own {
    sheet: Sheet,
    range: Range,
    pool: Pool,
    /// It has said which case an answer is of, so an answer that does not is none.
    names_cases: AtomicBool,
}

pub(super) fn command(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let is_shell = options.flag("shell")?;
    let words = options.texts("run")?.unwrap_or_default();
    let Some(program) = words.first().filter(|word| !word.trim().is_empty()).cloned() else {
        return Err(options.mistake("`run` is missing", "write `run: [python3, score.py]`"));
    };
    let argv = match (is_shell, words.as_slice()) {
        (true, [line]) => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        (true, _) => {
            return Err(options.mistake(
                "`run` is a list, and a shell takes one line",
                "write one text, or leave `shell` out",
            ));
        }
        (false, [one]) if one.contains(char::is_whitespace) => {
            let list: Vec<&str> = one.split_whitespace().collect();
            let cure = format!("write `run: [{}]`, or `shell: true` if a shell is wanted", list.join(", "));
            return Err(options.mistake("`run` is one text with spaces, and no shell splits it", cure));
        }
        (false, _) => words,
    };
    let timeout = timeout(options)?;
    let processes = match options.amount("processes")? {
        None => 1,
        Some(count) if count.fract() == 0.0 && (1.0..=PROCESSES_MAX).contains(&count) => count as usize,
        Some(_) => {
            return Err(options.mistake("`processes` is out of range", format!("write 1 to {PROCESSES_MAX}")));
        }
    };
    let environment = options.texts("env")?.unwrap_or_default();
    if let Some(bad) = environment.iter().find(|name| name.is_empty() || name.contains(['=', '\0', '$'])) {
        let message = format!(
            "`env` names `{}`, which is no name of a variable",
            bad.split('=').next().unwrap_or_default().escape_debug()
        );
        return Err(options.mistake(
            message,
            "name variables only, such as `env: [SCORER_KEY]`; their values are taken from the environment",
        ));
    }
    let direction = options.word("direction", &[("higher", HigherIsBetter), ("lower", LowerIsBetter)])?;
    let range = options.word("range", &[("share", Range::Share), ("any", Range::Amount)])?;
    let version = options.text("version")?.unwrap_or_else(|| "1".to_owned());
    let short = program.rsplit('/').next().unwrap_or(&program);
    let short = if is_shell { "sh" } else { short };
    let sheet = Sheet::new(options, format!("command/{version}:{short}"), direction, range)?;
    options.finish()?;
    let folder = std::path::Path::new(&options.suite.file).parent().map(std::path::Path::to_owned);
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    let pool = Pool::new(Program { argv, environment, folder, timeout }, processes);
    Ok(Box::new(Own { sheet, range, pool, names_cases: AtomicBool::new(false) }))
}

/// Seconds, or a text such as `500ms` or `10s`.
fn timeout(options: &mut Options<'_>) -> Result<Duration, Mistake> {
    let seconds = match options.take("timeout") {
        None => return Ok(TIMEOUT_DEFAULT),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => match (text.strip_suffix("ms"), text.strip_suffix('s')) {
            (Some(millis), _) => millis.trim().parse::<f64>().ok().map(|millis| millis / 1_000.0),
            (None, Some(seconds)) => seconds.trim().parse().ok(),
            (None, None) => text.trim().parse().ok(),
        },
        Some(_) => None,
    };
    match seconds {
        Some(seconds) if seconds > 0.0 && seconds <= TIMEOUT_MAX_SECONDS => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(options.mistake(
            "`timeout` is not a time",
            format!("write such as `timeout: 10s`, at most {TIMEOUT_MAX_SECONDS}s"),
        )),
    }
}

impl Own {
    /// What the program reads: one object on one line.
    fn question(&self, seen: &Seen<'_>) -> Value {
        let Case { id, expected, contexts, vars, extra, tags, .. } = seen.case;
        let message = &seen.told.body["choices"][0]["message"];
        json!({
            "id": id, "metric": self.sheet.metric, "input": seen.case.question(), "output": seen.text,
            "expected": expected, "contexts": contexts, "vars": vars, "extra": extra, "tags": tags,
            "tool_calls": message.get("tool_calls"), "model": seen.told.model,
            "latency_ms": seen.told.latency_us as f64 / 1_000.0, "cost_usd": seen.told.cost.as_usd(),
        })
    }

    fn read(&self, line: &str, id: &str) -> Result<Answer, String> {
        let mut answer = read(line, id)?;
        if !answer.is_named && self.names_cases.load(Ordering::Relaxed) {
            return Err("it answered without `id`, which it gave before".to_owned());
        }
        self.names_cases.fetch_or(answer.is_named, Ordering::Relaxed);
        if let Some(value) = answer.measured.value
            && self.range == Range::Share
            && !(0.0..=1.0).contains(&value)
        {
            let why = format!("its program gave {value}, which is not from 0 to 1; write `range: any`");
            answer.measured = Measured { reason: Some(why), value: None, ..answer.measured };
        }
        Ok(answer)
    }

    async fn scored(&self, seen: &Seen<'_>) -> Scored {
        let question = self.question(seen).to_string();
        let answered = self.pool.ask(&question, |line| self.read(line, &seen.case.id)).await;
        let score = match answered {
            Err(why) => self.sheet.score(Measured::none(why)),
            Ok(answer) => {
                let mut score = self.sheet.score(answer.measured);
                score.passed = score.value.and(answer.passed.or(score.passed));
                score
            }
        };
        Scored { score, ..Scored::default() }
    }
}

#[derive(Debug)]
struct Answer {
    measured: Measured,
    passed: Option<bool>,
    /// With the id of its case.
    is_named: bool,
}

/// Errors: the line is no answer to the question; says why without quoting it.
fn read(line: &str, id: &str) -> Result<Answer, String> {
    let mut fields: Map<String, Value> = match serde_json::from_str(line.trim()) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err("it answered JSON that is not an object".to_owned()),
        Err(_) => return Err("it answered a line that is not JSON".to_owned()),
    };
    let named = fields.get("id").filter(|other| !other.is_null());
    let is_named = named.is_some();
    if named.is_some_and(|other| other.as_str() != Some(id)) {
        return Err("it answered with the id of another case".to_owned());
    }
    let value = match fields.get("score") {
        Some(Value::Number(number)) => number.as_f64().filter(|number| number.is_finite()),
        Some(Value::Bool(is_good)) => Some(f64::from(u8::from(*is_good))),
        // Unscored by its own word.
        Some(Value::Null) => None,
        Some(_) => return Err("its `score` is neither a number nor null".to_owned()),
        None => return Err("its answer has no `score`".to_owned()),
    };
    let passed = match fields.get("passed") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(passed)) => Some(*passed),
        Some(_) => return Err("its `passed` is neither true nor false".to_owned()),
    };
    let reason = match fields.get("reason") {
        None | Some(Value::Null) => None,
        Some(Value::String(reason)) => Some(reason.chars().take(REASON_MAX).collect::<String>()),
        Some(_) => return Err("its `reason` is not a text".to_owned()),
    };
    let evidence = fields.shift_remove("evidence").unwrap_or_default();
    let length = evidence.to_string().len();
    let evidence = if length > EVIDENCE_MAX { json!({"left_out_bytes": length}) } else { evidence };
    let reason = if value.is_none() {
        reason.or_else(|| Some("its program gave no score".to_owned()))
    } else {
        reason
    };
    Ok(Answer { measured: Measured { value, reason, evidence }, passed, is_named })
}

impl Scorer for Own {
    fn metric(&self) -> &Name {
        &self.sheet.metric
    }

    fn implementation(&self) -> &str {
        &self.sheet.implementation
    }

    fn direction(&self) -> Direction {
        self.sheet.direction
    }

    fn lacks(&self, _case: &Case) -> Option<String> {
        None
    }

    fn score<'a>(&'a self, seen: &'a Seen<'a>, _asker: &'a Asker<'a>) -> BoxFuture<'a, Scored> {
        Box::pin(self.scored(seen))
    }
}
