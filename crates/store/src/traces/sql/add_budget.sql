-- A sum beyond the range stays at its end, above every cap; SQLite would make it a float.
insert into budgets (scope, key, period, spent_usd, spent_nano) values (?1, ?2, ?3, ?4 / 1e9, ?4)
on conflict do update set
    spent_nano = iif(
        spent_nano > 9223372036854775807 - excluded.spent_nano,
        9223372036854775807,
        spent_nano + excluded.spent_nano
    ),
    spent_usd = (spent_nano + excluded.spent_nano) / 1e9
