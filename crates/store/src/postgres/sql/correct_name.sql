-- The correction of a call that was counted among the others stands there as well.
insert into spend_name as s (
    day, kind, tenant, name, calls, errors, tokens_in, tokens_cached, tokens_out, cost_nano, correction_nano
)
select d.day, d.kind, d.tenant, coalesce(k.name, $6), 0, 0, 0, 0, 0, 0, sum(d.correction)::bigint
from unnest($1, $2, $3, $4, $5) as d (day, kind, tenant, name, correction)
left join spend_name k using (day, kind, tenant, name)
group by 1, 2, 3, 4
order by 1, 2, 3, 4
on conflict (day, kind, tenant, name) do update set
    correction_nano = plus(s.correction_nano, excluded.correction_nano)
