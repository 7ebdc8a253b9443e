-- Sums by the minute, for seeing how the last hour goes. They are kept for two days only (traces/minutes.rs), and their key is
-- narrower than that of the hours on purpose: no bill is made of them, and what a page shows of a minute is told apart by
-- tenant, route and model. Sixty times the rows of an hour with eight names each would be larger than all hours of a year
-- for nobody to read. Calls from before this migration are in none of them.
create table rollup_minute (
    minute     text not null,                   -- 2026-04-25T18:42Z
    tenant     text not null,
    route      text not null,
    model      text not null,
    calls      integer not null,
    errors     integer not null,
    refused    integer not null,
    cache_hits integer not null,
    tokens_in  integer not null,
    tokens_out integer not null,
    cost_nano  integer not null,
    cut_short  integer not null,
    primary key (minute, tenant, route, model)
) without rowid;

-- As latency_hour.
create table latency_minute (
    minute text not null,
    tenant text not null,
    route  text not null,
    model  text not null,
    bucket integer not null,
    calls  integer not null,
    primary key (minute, tenant, route, model, bucket)
) without rowid;
