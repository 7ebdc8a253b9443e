insert into budgets as b (scope, key, period, part, measure, spent_nano, spent_count, replica)
select d.*, $8 from unnest($1, $2, $3, $4, $5, $6, $7) as d
on conflict (scope, key, period, part, replica) do update set
    spent_nano = plus(b.spent_nano, excluded.spent_nano),
    spent_count = plus(b.spent_count, excluded.spent_count)
