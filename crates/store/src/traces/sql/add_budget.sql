-- A sum beyond the range stays at its end, above every cap; SQLite would make it a float.
insert into budgets (scope, key, period, part, measure, spent_usd, spent_nano, spent_count)
values (?1, ?2, ?3, ?4, ?5, ?6 / 1e9, ?6, ?7)
on conflict do update set
    spent_nano = iif(
        spent_nano > 9223372036854775807 - excluded.spent_nano,
        9223372036854775807,
        spent_nano + excluded.spent_nano
    ),
    spent_usd = (spent_nano + excluded.spent_nano) / 1e9,
    spent_count = iif(
        spent_count > 9223372036854775807 - excluded.spent_count,
        9223372036854775807,
        spent_count + excluded.spent_count
    )
