insert into budgets (scope, key, period, spent_usd, spent_nano) values (?1, ?2, ?3, ?4 / 1e9, ?4)
on conflict do update set
    spent_nano = spent_nano + excluded.spent_nano,
    spent_usd = (spent_nano + excluded.spent_nano) / 1e9
