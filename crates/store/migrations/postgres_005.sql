-- Sums by the minute, for seeing how the last hour goes. They are kept for two days only (traces/minutes.rs), and their key is
-- narrower than that of the hours on purpose: no bill is made of them, and what a page shows of a minute is told apart by
-- tenant, route and model. Sixty times the rows of an hour with eight names each would be larger than all hours of a year
-- for nobody to read. Calls from before this migration are in none of them.
create table rollup_minute (
    minute     timestamptz not null,
    tenant     text collate "C" not null,
    route      text collate "C" not null,
    model      text collate "C" not null,
    calls      bigint not null,
    errors     bigint not null,
    refused    bigint not null,
    cache_hits bigint not null,
    tokens_in  bigint not null,
    tokens_out bigint not null,
    cost_nano  bigint not null,
    cut_short  bigint not null,
    primary key (minute, tenant, route, model)
);

-- As latency_hour.
create table latency_minute (
    minute timestamptz not null,
    tenant text collate "C" not null,
    route  text collate "C" not null,
    model  text collate "C" not null,
    bucket int not null,
    calls  bigint not null,
    primary key (minute, tenant, route, model, bucket)
);
