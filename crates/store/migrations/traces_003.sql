-- What a bill needs beyond calls, tokens and cost. Sums of calls before this migration stay 0 where nothing else is known.
alter table rollup_hour add column cut_short integer not null default 0;        -- finish_reason: length
alter table rollup_hour add column estimated integer not null default 0;        -- usage counted here
alter table rollup_hour add column tokens_written integer not null default 0;   -- to the provider's cache
alter table rollup_hour add column tokens_reasoning integer not null default 0;
alter table rollup_hour add column spared_in integer not null default 0;        -- tokens of exact hits of our cache
alter table rollup_hour add column spared_cached integer not null default 0;
alter table rollup_hour add column spared_out integer not null default 0;
alter table rollup_hour add column wasted_nano integer not null default 0;

alter table rollup_day add column cut_short integer not null default 0;
alter table rollup_day add column estimated integer not null default 0;
alter table rollup_day add column tokens_written integer not null default 0;
alter table rollup_day add column tokens_reasoning integer not null default 0;
alter table rollup_day add column spared_in integer not null default 0;
alter table rollup_day add column spared_cached integer not null default 0;
alter table rollup_day add column spared_out integer not null default 0;
alter table rollup_day add column wasted_nano integer not null default 0;
-- Of calls priced anew: by how much they cost more by the later price table. The cost itself stays.
alter table rollup_day add column correction_nano integer not null default 0;

-- Spend by user is added up from the calls themselves: users are so many that sums of their own would cost each batch
-- more than all other sums together. The index by time, which is written front to back, holds what that takes. Pages of
-- traces go by (ts, rid), so these lead.
drop index llm_traces_ts;
create index llm_traces_ts
    on llm_traces (ts, rid, user_id, tenant, cost_nano, tokens_in, tokens_cached, tokens_out, outcome);

-- Sums by day of keys and tags. So many names a day, the rest is '(other)', see traces/names.rs.
create table spend_name (
    day             text not null,              -- 2026-04-25
    kind            text not null,              -- key or tag
    tenant          text not null,
    name            text not null,
    calls           integer not null,
    errors          integer not null,
    tokens_in       integer not null,
    tokens_cached   integer not null,
    tokens_out      integer not null,
    cost_nano       integer not null,
    correction_nano integer not null default 0,
    primary key (day, kind, tenant, name)
) without rowid;
-- What is there already has its keys; tags stand in the payload alone.
insert into spend_name
    (day, kind, tenant, name, calls, errors, tokens_in, tokens_cached, tokens_out, cost_nano)
select substr(ts, 1, 10), 'key', tenant, key_name, count(*),
    sum(outcome in ('failed', 'interrupted', 'canned')),
    sum(tokens_in), sum(tokens_cached), sum(tokens_out), sum(cost_nano)
from llm_traces where key_name is not null group by 1, 3, 4;

-- Calls that cost something else by a later price table.
create table repriced (
    id            text primary key,
    price_version text not null,
    cost_nano     integer not null,
    at            integer not null              -- the pass that said so
) without rowid;

-- Passes of pricing anew.
create table repricings (
    at            integer primary key,          -- microseconds since 1970
    price_version text not null,
    day_from      text not null,
    day_to        text not null,
    model         text,
    calls         integer not null,             -- whose standing cost changed
    before_nano   integer not null,
    after_nano    integer not null
);

create table reconciliations (
    seq       integer primary key,
    at        integer not null,
    provider  text not null,
    day_from  text not null,
    day_to    text not null,
    threshold real not null,                    -- percent
    is_drift  integer not null,
    report    text not null                     -- JSON
);
