-- Everything of a gateway in one schema: traces, roll-ups, spend, keys, prompts. Names and meanings of llm_traces,
-- eval_results and budgets are those of the founding data model; columns beyond it come after its own. The schema is the
-- session's search_path.
--
-- Texts are compared byte by byte ("C"), so that no database's own collation changes what is equal or first. Postgres
-- takes no NUL in a text; see postgres/text.rs for what stands in its place.

-- A sum beyond the range stays at its end, above every cap: an error would stop its whole batch for good.
create function plus(a bigint, b bigint) returns bigint language sql immutable parallel safe as
$$ select greatest(least(a::numeric + b, 9223372036854775807), -9223372036854775808)::bigint $$;

-- Order of arrival. Given out under the lock of appends, so that it is also the order in which batches are seen.
create sequence trace_rid;

create table llm_traces (
    id              uuid primary key,
    ts              timestamptz not null,               -- when the call began
    route           text collate "C" not null,
    model           text collate "C" not null,          -- of the target that answered, else as the caller asked
    app_sha         text collate "C",
    user_id         text collate "C",
    prompt_name     text collate "C",
    tokens_in       int not null,                       -- cached ones included
    tokens_out      int not null,                       -- reasoning included
    latency_ms      int not null,
    cost_usd        numeric(20, 9) generated always as (cost_nano * 0.000000001) stored,
    input_redacted  jsonb,                              -- {"role":"user","content":"first 200 characters of the last message"}
    output          jsonb,                              -- "first 200 characters of the answer"
    eval_id         text collate "C",
    rid             bigint not null unique,             -- order of arrival; the payload is found by it
    tenant          text collate "C" not null,
    team            text collate "C",
    session_id      text collate "C",
    key_name        text collate "C",
    environment     text collate "C" not null,
    provider        text collate "C",
    model_asked     text collate "C",                   -- only where it differs from model
    prompt_version  text collate "C",
    outcome         text collate "C" not null,
    error           text collate "C",                   -- stable code
    decision        text collate "C" not null,          -- of the guards
    cache           text collate "C" not null,
    is_streaming    boolean not null,
    status          int not null,
    trace_id        text collate "C" not null,
    tokens_cached   int not null,
    usage_estimated boolean not null,
    cost_nano       bigint not null,                    -- nano-dollars
    latency_us      bigint not null,
    first_token_us  bigint
);
create index llm_traces_ts on llm_traces (ts, rid);
create index llm_traces_user on llm_traces (user_id, ts, rid) where user_id is not null;
create index llm_traces_session on llm_traces (session_id, ts, rid) where session_id is not null;
create index llm_traces_trace on llm_traces (trace_id);
-- Few rows in healthy traffic, and the ones that are looked for.
create index llm_traces_not_ok on llm_traces (ts, rid) where outcome <> 'ok';
create index llm_traces_eval on llm_traces (eval_id, ts) where eval_id is not null;

-- Records and texts of up to 32 calls in a row, compressed together. Call `rid` is number `rid - rid_first` of its block.
create table payload (
    rid_first bigint primary key,
    enc       text not null,                            -- 'zstd msgpack', see traces/block.rs
    body      bytea not null
);
-- Compressed already.
alter table payload alter column body set storage external;

create table eval_results (
    id        uuid primary key,
    eval_id   text collate "C",
    app_sha   text collate "C",
    route     text collate "C",
    case_id   text collate "C",
    faith     real,
    relevance real,
    exact     real,
    cost_usd  numeric(20, 9),
    passed    boolean,
    ts        timestamptz
);
create index eval_results_eval on eval_results (eval_id, ts);

-- What each gateway has spent against a budget; the sum over gateways is what was spent. See ADR 8.
create table budgets (
    scope       text collate "C" not null,
    key         text collate "C" not null,
    period      date not null,                          -- last day of the window; 0001-01-01 for a budget that never turns
    spent_usd   numeric(20, 9) generated always as (spent_nano * 0.000000001) stored,
    part        int not null default 0,                 -- of a rolling budget, which part of the day
    replica     text collate "C" not null,
    measure     text collate "C" not null default 'usd', -- usd, tokens or requests
    spent_nano  bigint not null default 0,
    spent_count bigint not null default 0,              -- of budgets in tokens or requests
    primary key (scope, key, period, part, replica)
);
create index budgets_period on budgets (period);

-- Sums by hour and day, kept in the transaction that adds the calls. No value is written as ''.
create table rollup_hour (
    hour             timestamptz not null,
    tenant           text collate "C" not null,
    route            text collate "C" not null,
    model            text collate "C" not null,
    provider         text collate "C" not null,
    environment      text collate "C" not null,
    team             text collate "C" not null,
    prompt_name      text collate "C" not null,
    prompt_version   text collate "C" not null,
    calls            bigint not null,
    errors           bigint not null,
    refused          bigint not null,
    cache_hits       bigint not null,
    tokens_in        bigint not null,
    tokens_cached    bigint not null,
    tokens_out       bigint not null,
    cost_nano        bigint not null,
    cut_short        bigint not null,                   -- finish_reason: length
    estimated        bigint not null,                   -- usage counted here
    tokens_written   bigint not null,                   -- to the provider's cache
    tokens_reasoning bigint not null,
    spared_in        bigint not null,                   -- tokens of exact hits of our cache
    spared_cached    bigint not null,
    spared_out       bigint not null,
    wasted_nano      bigint not null,
    primary key (hour, tenant, route, model, provider, environment, team, prompt_name, prompt_version)
);

create table rollup_day (
    day              date not null,
    tenant           text collate "C" not null,
    route            text collate "C" not null,
    model            text collate "C" not null,
    provider         text collate "C" not null,
    environment      text collate "C" not null,
    team             text collate "C" not null,
    prompt_name      text collate "C" not null,
    prompt_version   text collate "C" not null,
    calls            bigint not null,
    errors           bigint not null,
    refused          bigint not null,
    cache_hits       bigint not null,
    tokens_in        bigint not null,
    tokens_cached    bigint not null,
    tokens_out       bigint not null,
    cost_nano        bigint not null,
    cut_short        bigint not null,
    estimated        bigint not null,
    tokens_written   bigint not null,
    tokens_reasoning bigint not null,
    spared_in        bigint not null,
    spared_cached    bigint not null,
    spared_out       bigint not null,
    wasted_nano      bigint not null,
    correction_nano  bigint not null default 0,         -- by how much calls cost more by a later price table
    primary key (day, tenant, route, model, provider, environment, team, prompt_name, prompt_version)
);

-- Latency by log-spaced bucket: bucket b ends at 1.1^b microseconds. Calls that were let through, see traces/rollup.rs.
create table latency_hour (
    hour   timestamptz not null,
    tenant text collate "C" not null,
    route  text collate "C" not null,
    model  text collate "C" not null,
    bucket int not null,
    calls  bigint not null,
    primary key (hour, tenant, route, model, bucket)
);

create table latency_day (
    day    date not null,
    tenant text collate "C" not null,
    route  text collate "C" not null,
    model  text collate "C" not null,
    bucket int not null,
    calls  bigint not null,
    primary key (day, tenant, route, model, bucket)
);

-- Sums by day of keys and tags. So many names a day, the rest is '(other)', see traces/names.rs.
create table spend_name (
    day             date not null,
    kind            text collate "C" not null,          -- key or tag
    tenant          text collate "C" not null,
    name            text collate "C" not null,
    calls           bigint not null,
    errors          bigint not null,
    tokens_in       bigint not null,
    tokens_cached   bigint not null,
    tokens_out      bigint not null,
    cost_nano       bigint not null,
    correction_nano bigint not null default 0,
    primary key (day, kind, tenant, name)
);

-- How far each worker's spool has been taken over; workers of different gateways bear the same names.
create table spool_position (
    replica      text collate "C" not null,
    worker       text collate "C" not null,
    segment      bigint not null,
    byte_offset  bigint not null,
    primary key (replica, worker)
);

-- Gateways that keep their records here, and when each was last heard of.
create table replicas (
    replica text collate "C" primary key,
    seen    timestamptz not null
);

-- Calls that cost something else by a later price table.
create table repriced (
    id            uuid primary key,
    price_version text collate "C" not null,
    cost_nano     bigint not null,
    at            bigint not null                       -- the pass that said so
);

-- Passes of pricing anew.
create table repricings (
    at            bigint primary key,                   -- microseconds since 1970
    price_version text collate "C" not null,
    day_from      date not null,
    day_to        date not null,
    model         text collate "C",
    calls         bigint not null,                      -- whose standing cost changed
    before_nano   bigint not null,
    after_nano    bigint not null
);

create table reconciliations (
    seq       bigint generated by default as identity primary key,
    at        bigint not null,
    provider  text collate "C" not null,
    day_from  date not null,
    day_to    date not null,
    threshold double precision not null,                -- percent
    is_drift  boolean not null,
    report    text not null                             -- JSON
);

-- Keys, kill switches, prompts and settings. Times are microseconds since 1970; `audit.ts` is for people.

create table keys (
    name        text collate "C" primary key,
    hash        text collate "C" not null unique,
    hint        text collate "C" not null,
    tenant      text collate "C" not null,
    team        text collate "C",
    user_id     text collate "C",
    environment text collate "C",
    routes      text not null,                          -- JSON array; empty for all
    models      text not null,                          -- JSON array; empty for all
    created     bigint not null,
    expires     bigint,
    revoked     bigint
);

create table kills (
    kind   text collate "C" not null,
    name   text collate "C" not null,
    reason text not null,
    since  bigint not null,
    primary key (kind, name)
);

create table prompts (
    name    text collate "C" not null,
    version text collate "C" not null,
    hash    text collate "C" not null,
    source  text not null,
    created bigint not null,
    seq     bigint generated by default as identity,
    primary key (name, version)
);

create table labels (
    name    text collate "C" not null,
    label   text collate "C" not null,
    version text collate "C" not null,
    primary key (name, label),
    foreign key (name, version) references prompts (name, version)
);

create table label_history (
    seq     bigint generated by default as identity primary key,
    name    text collate "C" not null,
    label   text collate "C" not null,
    version text collate "C" not null,
    at      bigint not null
);

create table settings (
    name  text collate "C" primary key,
    value text not null
);

-- Every change made through this store, in the transaction that made it. Its highest `seq` tells gateways that there is
-- something new: changes are made one after the other.
create table audit (
    seq     bigint generated by default as identity primary key,
    ts      timestamptz not null default clock_timestamp(),
    actor   text not null default 'operator',
    action  text not null,
    subject text not null,
    detail  text not null                               -- JSON
);
create function audit_is_append_only() returns trigger language plpgsql as
$$ begin raise exception 'the audit log is append-only'; end $$;
create trigger audit_is_append_only before update or delete on audit
    for each row execute function audit_is_append_only();
create trigger audit_is_not_emptied before truncate on audit
    for each statement execute function audit_is_append_only();

-- What an operator is told once.
create table events (
    seq      bigint generated by default as identity primary key,
    at       bigint not null,
    kind     text collate "C" not null,
    key      text collate "C" not null unique,
    severity text collate "C" not null,
    message  text not null,
    detail   text not null                              -- JSON
);
