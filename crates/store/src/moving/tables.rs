//! What is copied as it stands: tables, their columns, and how each store writes them.
//!
//! A row is told in values that both stores have: whole numbers, fractions and texts. Days are counted from 1970, and
//! instants are microseconds since then, so that a checksum of rows is the same on both sides.

/// A value of a row.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

/// What a column holds, and so what stands for it in each store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    Int,
    /// `int` in Postgres.
    Small,
    /// A number of 0 or 1 in SQLite.
    Flag,
    Real,
    /// `real` in Postgres, where half of the digits are lost.
    Rough,
    /// Dollars: `real` in SQLite, numeric in Postgres.
    Usd,
    Day,
    /// The start of an hour or of a minute, which SQLite writes without seconds.
    Minute,
    Instant,
    /// A uuid; a text in SQLite.
    Id,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub sqlite: &'static str,
    pub postgres: &'static str,
    pub kind: Kind,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { sqlite: name, postgres: name, kind }
}

/// Who a row belongs to where a store is several gateways'.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// All of them, as one.
    Store,
    /// One of them, and Postgres has a column `replica` for it, which leads. SQLite adds rows of several up.
    Replica,
    /// One of them; only the rows of the gateway that moves are looked at.
    ThisReplica,
}

/// A table that is copied.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// In which order rows are read; that of the key, so that neighbours are written together.
    pub order: &'static str,
    pub owner: Owner,
    /// Rows that are the place's own and stay where they are.
    pub without: Option<&'static str>,
    /// The column that counts rows as they come.
    pub counter: Option<&'static str>,
    /// A column that SQLite works out of others, for people, and how.
    pub shown: Option<(&'static str, &'static str)>,
    /// Rows are only ever added, and what is there already is a beginning of it: the column to go on by.
    pub grows_by: Option<&'static str>,
}

const PLAIN: Table = Table {
    name: "",
    columns: &[],
    order: "1",
    owner: Owner::Store,
    without: None,
    counter: None,
    shown: None,
    grows_by: None,
};

macro_rules! columns {
    ($($kind:ident: $($name:literal)+;)+) => { &[$($(column($name, Kind::$kind),)+)+] };
}

/// Sums, and what was found out about calls later. All of them are what the source says at one moment: what the target
/// added up while calls were appended is replaced.
pub(crate) static SUMS: [Table; 17] = [
    Table {
        name: "rollup_minute",
        columns: columns! {
            Minute: "minute";
            Text: "tenant" "route" "model";
            Int: "calls" "errors" "refused" "cache_hits" "tokens_in" "tokens_out" "cost_nano" "cut_short";
        },
        order: "1, 2, 3, 4",
        ..PLAIN
    },
    Table {
        name: "rollup_hour",
        columns: columns! {
            Minute: "hour";
            Text: "tenant" "route" "model" "provider" "environment" "team" "prompt_name" "prompt_version";
            Int: "calls" "errors" "refused" "cache_hits" "tokens_in" "tokens_cached" "tokens_out" "cost_nano"
                "cut_short" "estimated" "tokens_written" "tokens_reasoning" "spared_in" "spared_cached" "spared_out"
                "wasted_nano";
        },
        order: "1, 2, 3, 4, 5, 6, 7, 8, 9",
        ..PLAIN
    },
    Table {
        name: "rollup_day",
        columns: columns! {
            Day: "day";
            Text: "tenant" "route" "model" "provider" "environment" "team" "prompt_name" "prompt_version";
            Int: "calls" "errors" "refused" "cache_hits" "tokens_in" "tokens_cached" "tokens_out" "cost_nano"
                "cut_short" "estimated" "tokens_written" "tokens_reasoning" "spared_in" "spared_cached" "spared_out"
                "wasted_nano" "correction_nano";
        },
        order: "1, 2, 3, 4, 5, 6, 7, 8, 9",
        ..PLAIN
    },
    Table {
        name: "latency_minute",
        columns: columns! { Minute: "minute"; Text: "tenant" "route" "model"; Small: "bucket"; Int: "calls"; },
        order: "1, 2, 3, 4, 5",
        ..PLAIN
    },
    Table {
        name: "latency_hour",
        columns: columns! { Minute: "hour"; Text: "tenant" "route" "model"; Small: "bucket"; Int: "calls"; },
        order: "1, 2, 3, 4, 5",
        ..PLAIN
    },
    Table {
        name: "latency_day",
        columns: columns! { Day: "day"; Text: "tenant" "route" "model"; Small: "bucket"; Int: "calls"; },
        order: "1, 2, 3, 4, 5",
        ..PLAIN
    },
    Table {
        name: "spend_name",
        columns: columns! {
            Day: "day";
            Text: "kind" "tenant" "name";
            Int: "calls" "errors" "tokens_in" "tokens_cached" "tokens_out" "cost_nano" "correction_nano";
        },
        order: "1, 2, 3, 4",
        ..PLAIN
    },
    Table {
        name: "budgets",
        columns: columns! {
            Text: "scope" "key";
            Day: "period";
            Small: "part";
            Text: "measure";
            Int: "spent_nano" "spent_count";
        },
        order: "1, 2, 3, 4, 5",
        owner: Owner::Replica,
        shown: Some(("spent_usd", "spent_nano / 1e9")),
        ..PLAIN
    },
    Table {
        name: "spool_position",
        columns: &[
            column("worker", Kind::Text),
            column("segment", Kind::Int),
            Column { sqlite: "offset", postgres: "byte_offset", kind: Kind::Int },
        ],
        owner: Owner::ThisReplica,
        ..PLAIN
    },
    Table {
        name: "repriced",
        columns: columns! { Id: "id"; Text: "price_version"; Int: "cost_nano" "at"; },
        ..PLAIN
    },
    Table {
        name: "repricings",
        columns: columns! {
            Int: "at"; Text: "price_version"; Day: "day_from" "day_to"; Text: "model";
            Int: "calls" "before_nano" "after_nano";
        },
        ..PLAIN
    },
    Table {
        name: "reconciliations",
        columns: columns! {
            Int: "seq" "at"; Text: "provider"; Day: "day_from" "day_to"; Real: "threshold"; Flag: "is_drift";
            Text: "report";
        },
        counter: Some("seq"),
        ..PLAIN
    },
    Table {
        name: "eval_results",
        columns: columns! {
            Id: "id"; Text: "eval_id" "app_sha" "route" "case_id"; Rough: "faith" "relevance" "exact"; Usd: "cost_usd";
            Flag: "passed"; Instant: "ts"; Small: "repeat"; Text: "cluster"; Id: "call_id";
            Text: "model" "input" "expected" "output" "output_hash" "error" "decision";
            Int: "cost_nano" "judge_cost_nano" "latency_us" "tokens_in" "tokens_out"; Id: "source_call";
        },
        ..PLAIN
    },
    Table {
        name: "eval_scores",
        columns: columns! {
            Id: "result_id"; Text: "metric" "eval_id" "case_id"; Small: "repeat" "place"; Text: "implementation";
            Real: "value"; Flag: "passed"; Text: "reason" "evidence";
        },
        order: "1, 2",
        ..PLAIN
    },
    Table {
        name: "eval_runs",
        columns: columns! {
            Text: "id" "suite" "suite_hash" "dataset_hash" "app_sha" "route" "candidate" "model" "prompt_name"
                "prompt_version" "prompt_label" "prompt_hash";
            Flag: "is_fast"; Int: "cases" "repeats"; Text: "state" "why"; Instant: "started" "ended";
            Int: "cost_nano" "judge_cost_nano" "judge_calls" "judge_cached" "passed" "failed" "errors";
            Text: "metrics";
        },
        ..PLAIN
    },
    Table {
        name: "judge_cache",
        columns: columns! {
            Int: "seq"; Text: "judge_model" "judge_prompt_hash" "output_hash"; Int: "sample"; Text: "answer";
            Int: "cost_nano"; Id: "call_id"; Instant: "ts";
        },
        counter: Some("seq"),
        ..PLAIN
    },
    Table {
        name: "eval_gates",
        columns: columns! {
            Text: "id" "suite" "eval_id" "baseline" "app_sha" "prompt_name" "prompt_version" "prompt_label"
                "prompt_hash" "verdict" "summary" "report";
            Instant: "ts"; Flag: "quotes"; Text: "metrics";
        },
        ..PLAIN
    },
];

/// Keys, switches, prompts and what was done to them. `labels` point at `prompts`, so these come first.
pub(crate) static CONTROL: [Table; 10] = [
    Table {
        name: "keys",
        columns: columns! {
            Text: "name" "hash" "hint" "tenant" "team" "user_id" "environment" "routes" "models";
            Int: "created" "expires" "revoked";
        },
        ..PLAIN
    },
    Table {
        name: "kills",
        columns: columns! { Text: "kind" "name" "reason"; Int: "since"; },
        order: "1, 2",
        ..PLAIN
    },
    Table {
        name: "owned",
        columns: columns! { Text: "provider" "id" "kind" "tenant"; Int: "created"; },
        order: "1, 2",
        ..PLAIN
    },
    Table {
        name: "prompts",
        columns: &[
            Column { sqlite: "rowid", postgres: "seq", kind: Kind::Int },
            column("name", Kind::Text),
            column("version", Kind::Text),
            column("hash", Kind::Text),
            column("source", Kind::Text),
            column("created", Kind::Int),
            column("author", Kind::Text),
            column("app_sha", Kind::Text),
            column("about", Kind::Text),
        ],
        counter: Some("seq"),
        ..PLAIN
    },
    Table { name: "labels", columns: columns! { Text: "name" "label" "version"; }, order: "1, 2", ..PLAIN },
    Table {
        name: "label_history",
        columns: columns! {
            Int: "seq"; Text: "name" "label" "version"; Int: "at"; Text: "from_version" "kind" "actor" "why";
        },
        counter: Some("seq"),
        ..PLAIN
    },
    Table {
        name: "approvals",
        columns: columns! { Int: "seq"; Text: "name" "version" "hash" "label" "actor" "note"; Int: "at"; },
        counter: Some("seq"),
        ..PLAIN
    },
    Table {
        name: "settings",
        columns: columns! { Text: "name" "value"; },
        // Names a data folder.
        without: Some("name = 'replica_id'"),
        ..PLAIN
    },
    Table {
        name: "events",
        columns: columns! {
            Int: "seq" "at"; Text: "kind" "key" "severity" "message" "detail";
        },
        counter: Some("seq"),
        ..PLAIN
    },
    Table {
        name: "audit",
        columns: columns! { Int: "seq"; Instant: "ts"; Text: "actor" "action" "subject" "detail"; },
        counter: Some("seq"),
        grows_by: Some("seq"),
        ..PLAIN
    },
];

/// What is compared of calls, in the order of their arrival. The row follows from the record, which [`super::verify`]
/// compares whole for some.
pub(crate) static CALLS: Table = Table {
    name: "llm_traces",
    columns: columns! {
        Id: "id"; Instant: "ts"; Small: "tokens_in" "tokens_out"; Int: "cost_nano"; Text: "tenant" "user_id" "outcome";
    },
    order: "rid",
    grows_by: Some("rid"),
    ..PLAIN
};

pub(crate) static SPANS: Table = Table {
    name: "spans",
    columns: columns! {
        Text: "span_id"; Instant: "ts"; Small: "tokens_in" "tokens_out"; Int: "cost_nano"; Text: "trace_id" "name";
    },
    order: "rid",
    grows_by: Some("rid"),
    ..PLAIN
};
/// Places in the rows of both.
pub(crate) const AT: usize = 1;
pub(crate) const TOKENS_IN: usize = 2;
pub(crate) const TOKENS_OUT: usize = 3;
pub(crate) const COST: usize = 4;
