//! What the gateway's books say at the end, set beside its records and what the callers know.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use gauntlet_testkit::{Binary, Launch, http};
use rusqlite::Connection;
use serde_json::Value;

use super::{Report, callers::Learnt, whole};

/// Longer than a call may take, and than the drainer needs for what it is behind.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// A budget as the gateway lists it.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) scope: String,
    pub(crate) key: String,
    pub(crate) measure: String,
    cap: i64,
    spent: i64,
    held: i64,
}

impl Line {
    /// The charge's scope for a call of this environment: each but production has budgets of its own.
    pub(crate) fn scope_in(&self, environment: &str) -> String {
        let is_one_for_all = self.scope.starts_with("environment_") || self.scope.starts_with("everything_");
        match environment {
            "prod" => self.scope.clone(),
            _ if is_one_for_all => self.scope.clone(),
            other => format!("{}:{other}", self.scope),
        }
    }
}

fn get(gateway: &Binary, path: &str) -> Value {
    let reply = http::get(&gateway.url(path), &[]).expect("the gateway answers");
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

/// Every budget with a cap.
pub(crate) fn lines(gateway: &Binary) -> Vec<Line> {
    let books = get(gateway, "/api/v1/budgets");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |line: &Value| Line {
        scope: text(&line["scope"]),
        key: text(&line["key"]),
        measure: text(&line["measure"]),
        cap: line["cap"].as_i64().unwrap_or(i64::MAX),
        spent: whole(&line["spent"]),
        held: whole(&line["held"]),
    };
    books["lines"].as_array().expect("a list").iter().map(line).collect()
}

/// Fills in what can be told once all calls have ended. The gateway is killed and started once more.
pub(crate) fn judge(report: &mut Report, learnt: &Learnt, gateway: Binary, launch: &Launch, data: &Path) {
    report.answered = learnt.answered;
    report.refused = learnt.refused;
    report.failed = learnt.failed;
    report.false_blocks = learnt.false_blocks;
    report.overspend = report.overspend.max(learnt.overspend);
    let open = idle(&gateway);
    let lines = lines(&gateway);
    report.budgets =
        lines.iter().filter(|line| !line.scope.contains("conversation") && !line.scope.contains(':')).count();
    report.budgets_run_out = learnt.known.values().filter(|known| known.refusals > 0).count();
    report.leaked_holds = open + lines.iter().map(|line| line.held).sum::<i64>();
    // A page flushes the drainer; what the store has now is everything.
    get(&gateway, "/api/v1/traces?limit=1");
    let ledger: HashMap<(String, String), &Line> =
        lines.iter().map(|line| ((line.scope.clone(), line.key.clone()), line)).collect();
    for ((scope, key), known) in &learnt.known {
        let spent = ledger.get(&(scope.clone(), key.clone())).map_or(0, |line| line.spent);
        // Which provider answered is not known to the callers.
        let least = if scope.starts_with("provider_") { 0 } else { known.spent };
        if spent < least || spent > known.begun - known.freed {
            eprintln!("unexplained: {scope} {key} spent {spent}, known {known:?}");
            report.unexplained += 1;
        }
    }
    let db = Connection::open(data.join("gauntlet.db")).expect("the store opens");
    records_agree(report, &db, &ledger, learnt);
    // Whatever a restart reads from the store must be what the ledger was.
    gateway.kill9();
    let gateway = launch.serve();
    let mut after: HashMap<_, _> = self::lines(&gateway)
        .into_iter()
        .map(|line| ((line.scope, line.key), (line.spent, line.held)))
        .collect();
    for line in &lines {
        let again = after.remove(&(line.scope.clone(), line.key.clone())).unwrap_or_default();
        report.changed_by_restart += u64::from(again != (line.spent, line.held));
    }
    report.changed_by_restart += after.values().filter(|(spent, _)| *spent != 0).count() as u64;
}

/// Waits until no call runs; gives the holds that are open even then.
fn idle(gateway: &Binary) -> i64 {
    let until = Instant::now() + IDLE_MAX;
    loop {
        let books = get(gateway, "/api/v1/budgets");
        if books["open_holds"] == 0 && books["running_calls"] == 0 {
            return 0;
        }
        if Instant::now() > until {
            return whole(&books["open_holds"]);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The ledger, the table of budgets and the records, summed here anew from their rows, say the same.
fn records_agree(
    report: &mut Report,
    db: &Connection,
    ledger: &HashMap<(String, String), &Line>,
    learnt: &Learnt,
) {
    let count = |query: &str| db.query_row(query, [], |row| row.get::<_, i64>(0)).expect("a number");
    report.records = count("select count(*) from llm_traces") as u64;
    report.interrupted = count("select count(*) from llm_traces where outcome = 'interrupted'") as u64;
    let distinct = count("select count(distinct id) from llm_traces") as u64;
    let mut differ = |name: &str, ledger: i64, records: i64| {
        report.double_charges += (ledger - records).max(0);
        report.lost_charges += (records - ledger).max(0);
        if ledger != records {
            eprintln!("{name}: {ledger} in the ledger, {records} in the records");
        }
    };
    differ("calls with two records", report.records as i64, distinct as i64);
    let rolled = count("select sum(calls) from rollup_day");
    differ("calls in the roll-ups", rolled, distinct as i64);
    differ(
        "cost in the roll-ups",
        count("select sum(cost_nano) from rollup_day"),
        count("select sum(cost_nano) from llm_traces"),
    );
    let mut tables: HashMap<(String, String), i64> = HashMap::new();
    let mut query = db
        .prepare("select scope, key, sum(spent_nano + spent_count) from budgets group by 1, 2")
        .expect("the table is there");
    let rows =
        query.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).expect("it can be read");
    tables.extend(rows.map(|row| row.expect("a row")));
    for ((scope, key), line) in ledger {
        let stored = tables.remove(&(scope.clone(), key.clone())).unwrap_or(0);
        differ(&format!("{scope} {key} in the table"), line.spent, stored);
    }
    for ((scope, key), stored) in tables {
        differ(&format!("{scope} {key} is not in the ledger"), 0, stored);
    }
    for (kind, column) in [
        ("tenant", "tenant"),
        ("team", "team"),
        ("user", "user_id"),
        ("key", "key_name"),
        ("route", "route"),
        ("provider", "provider"),
        ("model", "model"),
        ("model", "model_asked"),
        ("environment", "environment"),
    ] {
        let sums = sums(db, column);
        for ((scope, key), line) in ledger {
            let (plain, environment) = scope.split_once(':').unwrap_or((scope, "prod"));
            let is_column = match column {
                "model" => key.starts_with('m'),
                "model_asked" => key.starts_with('s'),
                _ => true,
            };
            // Of interrupted calls the rows have no tokens, so that tokens are held against the table alone.
            let is_kind =
                plain.starts_with(&format!("{kind}_")) && !plain.contains("conversation") && is_column;
            if !is_kind || line.measure == "tokens" {
                continue;
            }
            let environment = if kind == "environment" { key.as_str() } else { environment };
            let (usd, requests) =
                sums.get(&(key.clone(), environment.to_owned())).copied().unwrap_or_default();
            let records = if line.measure == "usd" { usd } else { requests };
            differ(&format!("{scope} {key} in the rows"), line.spent, records);
        }
    }
    let mut query = db.prepare("select id from llm_traces").expect("the table is there");
    let stored = query.query_map([], |row| row.get::<_, String>(0)).expect("it can be read");
    let stored: HashSet<u128> =
        stored.filter_map(|id| u128::from_str_radix(&id.ok()?.replace('-', ""), 16).ok()).collect();
    report.lost_records = learnt.answered_ids.difference(&stored).count() as u64;
    let over = ledger
        .values()
        .filter(|line| line.cap < i64::MAX)
        .map(|line| line.spent + line.held - line.cap)
        .max();
    report.overspend = report.overspend.max(over.unwrap_or(0));
}

/// Nano-dollars and requests by a column's value and the environment. A refused call draws nothing.
fn sums(db: &Connection, column: &str) -> HashMap<(String, String), (i64, i64)> {
    let query = format!(
        "select {column}, environment, sum(cost_nano), count(*) from llm_traces
         where outcome <> 'refused' and {column} is not null group by 1, 2"
    );
    let mut query = db.prepare(&query).expect("the columns are there");
    let rows = query
        .query_map([], |row| Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?))))
        .expect("it can be read");
    rows.map(|row| row.expect("a row")).collect()
}
