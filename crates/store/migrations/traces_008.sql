-- What runs of evals leave. `eval_id` is the id of a run here, in llm_traces and in every table below, so that plain SQL joins
-- them all; `call_id` is the id of a row of llm_traces. Columns of eval_results beyond the founding ones come after these.
alter table eval_results add column repeat integer not null default 0;      -- which answer to the case, from 0
alter table eval_results add column cluster text;                           -- cases that are not independent share one
alter table eval_results add column call_id text;
alter table eval_results add column model text;                             -- that answered
alter table eval_results add column input text;                             -- what was asked, in short
alter table eval_results add column expected text;
alter table eval_results add column output text;                            -- as the caller saw it
alter table eval_results add column output_hash text;                       -- SHA-256
alter table eval_results add column error text;                             -- why there is no answer
alter table eval_results add column decision text;                          -- of the guards
alter table eval_results add column cost_nano integer not null default 0;   -- nano-dollars; cost_usd is for people
alter table eval_results add column judge_cost_nano integer not null default 0;
alter table eval_results add column latency_us integer not null default 0;
alter table eval_results add column tokens_in integer not null default 0;
alter table eval_results add column tokens_out integer not null default 0;
create index eval_results_case on eval_results (eval_id, case_id, repeat);
create index eval_results_call on eval_results (call_id) where call_id is not null;
-- By age, for retention: of those that still hold words, and of all.
create index eval_results_words on eval_results (ts)
    where input is not null or expected is not null or output is not null;
create index eval_results_ts on eval_results (ts);

-- A row for each metric of a result, so that plain SQL averages any.
create table eval_scores (
    result_id      text not null,               -- of eval_results
    metric         text not null,
    eval_id        text not null,
    case_id        text not null,
    repeat         integer not null,
    place          integer not null,            -- among the metrics of the result
    implementation text not null,               -- which formula
    value          real,                        -- none is unscored, never 0
    passed         integer,                     -- 0 or 1; none without a threshold
    reason         text,
    evidence       text,                        -- JSON
    primary key (result_id, metric)
);
create index eval_scores_metric on eval_scores (eval_id, metric);

create table eval_runs (
    id              text primary key,           -- the eval_id
    suite           text not null,
    suite_hash      text not null,
    dataset_hash    text not null,
    app_sha         text,
    route           text,
    candidate       text not null,
    model           text,
    prompt_name     text,
    prompt_version  text,
    prompt_label    text,
    prompt_hash     text,
    is_fast         integer not null,
    cases           integer not null,
    repeats         integer not null,
    state           text not null,              -- running, done or stopped
    why             text,
    started         text not null,
    ended           text,
    cost_nano       integer not null,
    judge_cost_nano integer not null,
    judge_calls     integer not null,
    judge_cached    integer not null,
    passed          integer not null,
    failed          integer not null,
    errors          integer not null,
    metrics         text not null               -- JSON: a summary for each
);
create index eval_runs_started on eval_runs (started);
create index eval_runs_suite on eval_runs (suite, started);

-- Judges' answers that need not be asked for again.
create table judge_cache (
    seq               integer primary key,      -- the oldest go first
    judge_model       text not null,
    judge_prompt_hash text not null,
    output_hash       text not null,
    sample            integer not null,
    answer            text not null,
    cost_nano         integer not null,
    call_id           text,
    ts                text not null
);
create unique index judge_cache_key on judge_cache (judge_prompt_hash, output_hash, judge_model, sample);
create index judge_cache_call on judge_cache (call_id) where call_id is not null;
create index judge_cache_ts on judge_cache (ts);

create table eval_gates (
    id             text primary key,
    suite          text not null,
    eval_id        text not null,               -- the run that was judged
    baseline       text,                        -- the run it was compared with
    app_sha        text,
    prompt_name    text,
    prompt_version text,
    prompt_label   text,
    prompt_hash    text,
    verdict        text not null,               -- pass, fail or inconclusive
    summary        text not null,
    report         text not null,               -- JSON
    ts             text not null
);
create index eval_gates_ts on eval_gates (ts);
create index eval_gates_run on eval_gates (eval_id);
