-- Budgets of tokens and requests beside those of dollars, and rolling ones, whose day has parts.
create table budgets_new (
    scope       text not null,
    key         text not null,
    period      text not null,                  -- last day of the window; 0001-01-01 for a budget that never turns
    part        integer not null default 0,     -- of a rolling budget, which part of the day
    measure     text not null default 'usd',    -- usd, tokens or requests
    spent_usd   real not null default 0,        -- for people; spent_nano is exact
    spent_nano  integer not null default 0,
    spent_count integer not null default 0,     -- of budgets in tokens or requests
    primary key (scope, key, period, part)
) without rowid;
insert into budgets_new (scope, key, period, spent_usd, spent_nano)
select scope, key, period, spent_usd, spent_nano from budgets;
drop table budgets;
alter table budgets_new rename to budgets;
create index budgets_period on budgets (period);
