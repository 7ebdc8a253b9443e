-- The trace store. Names and meanings of llm_traces, eval_results and budgets are those of the founding data model;
-- columns beyond it come after its own. Times are RFC 3339 in UTC with six places, so that they sort as text.

create table llm_traces (
    rid             integer primary key,        -- order of arrival; the payload is found by it
    id              text not null,              -- uuid, lower case with hyphens
    ts              text not null,              -- when the call began
    route           text not null,
    model           text not null,              -- of the target that answered, else as the caller asked
    app_sha         text,
    user_id         text,
    prompt_name     text,
    tokens_in       integer not null,           -- cached ones included
    tokens_out      integer not null,           -- reasoning included
    latency_ms      integer not null,
    cost_usd        real not null,              -- for people; cost_nano is exact
    input_redacted  text,                       -- {"role":"user","content":"first 200 characters of the last message"}
    output          text,                       -- "first 200 characters of the answer"
    eval_id         text,
    tenant          text not null,
    team            text,
    session_id      text,
    key_name        text,
    environment     text not null,
    provider        text,
    model_asked     text,                       -- only where it differs from model
    prompt_version  text,
    outcome         text not null,
    error           text,                       -- stable code
    decision        text not null,              -- of the guards
    cache           text not null,
    is_streaming    integer not null,
    status          integer not null,
    trace_id        text not null,
    tokens_cached   integer not null,
    usage_estimated integer not null,
    cost_nano       integer not null,           -- nano-dollars
    latency_us      integer not null,
    first_token_us  integer
);
create unique index llm_traces_id on llm_traces (id);
create index llm_traces_ts on llm_traces (ts);
-- Few rows in healthy traffic, and the ones that are looked for.
create index llm_traces_not_ok on llm_traces (ts) where outcome <> 'ok';
create index llm_traces_eval on llm_traces (eval_id, ts) where eval_id is not null;

-- Records and texts of up to 32 calls in a row, compressed together: neighbours resemble each other, and one frame
-- costs less than 32. Call `rid` is number `rid - rid_first` of its block.
create table payload (
    rid_first integer primary key,
    enc       text not null,                    -- 'zstd msgpack', see traces/block.rs
    body      blob not null
);

-- What users, sessions and trace ids are found by. Indexes on them would touch a random page for every call; this is
-- written front to back and read through in milliseconds. See traces/marks.rs.
create table trace_marks (
    rid_first integer primary key,
    marks     blob not null
);

create table eval_results (
    id        text primary key,
    eval_id   text,
    app_sha   text,
    route     text,
    case_id   text,
    faith     real,
    relevance real,
    exact     real,
    cost_usd  real,
    passed    integer,                          -- 0 or 1
    ts        text
);
create index eval_results_eval on eval_results (eval_id, ts);

create table budgets (
    scope      text not null,
    key        text not null,
    period     text not null,                   -- the day; 0001-01-01 for a budget that never turns
    spent_usd  real not null,                   -- for people; spent_nano is exact
    spent_nano integer not null,
    primary key (scope, key, period)
) without rowid;
create index budgets_period on budgets (period);

-- Sums by hour and day, kept in the transaction that adds the calls. No value is written as ''.
create table rollup_hour (
    hour           text not null,               -- 2026-04-25T18:00Z
    tenant         text not null,
    route          text not null,
    model          text not null,
    provider       text not null,
    environment    text not null,
    team           text not null,
    prompt_name    text not null,
    prompt_version text not null,
    calls          integer not null,
    errors         integer not null,
    refused        integer not null,
    cache_hits     integer not null,
    tokens_in      integer not null,
    tokens_cached  integer not null,
    tokens_out     integer not null,
    cost_nano      integer not null,
    primary key (hour, tenant, route, model, provider, environment, team, prompt_name, prompt_version)
) without rowid;

create table rollup_day (
    day            text not null,               -- 2026-04-25
    tenant         text not null,
    route          text not null,
    model          text not null,
    provider       text not null,
    environment    text not null,
    team           text not null,
    prompt_name    text not null,
    prompt_version text not null,
    calls          integer not null,
    errors         integer not null,
    refused        integer not null,
    cache_hits     integer not null,
    tokens_in      integer not null,
    tokens_cached  integer not null,
    tokens_out     integer not null,
    cost_nano      integer not null,
    primary key (day, tenant, route, model, provider, environment, team, prompt_name, prompt_version)
) without rowid;

-- Latency by log-spaced bucket: bucket b ends at 1.1^b microseconds. Calls that were let through, see traces/rollup.rs.
create table latency_hour (
    hour   text not null,
    tenant text not null,
    route  text not null,
    model  text not null,
    bucket integer not null,
    calls  integer not null,
    primary key (hour, tenant, route, model, bucket)
) without rowid;

create table latency_day (
    day    text not null,
    tenant text not null,
    route  text not null,
    model  text not null,
    bucket integer not null,
    calls  integer not null,
    primary key (day, tenant, route, model, bucket)
) without rowid;

-- How far each worker's spool has been taken over.
create table spool_position (
    worker  text primary key,
    segment integer not null,
    offset  integer not null
) without rowid;
