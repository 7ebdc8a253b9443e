-- A day keeps $11 names of a kind; what comes after stands under $12. Nobody else adds names meanwhile, by the lock of
-- appends.
with delta as (
    select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        as d (day, kind, tenant, name, calls, errors, tokens_in, tokens_cached, tokens_out, cost_nano)
), judged as (
    select d.*, s.name is not null as is_known,
        row_number() over (
            partition by d.day, d.kind, s.name is not null order by d.tenant, d.name
        ) as place
    from delta d left join spend_name s using (day, kind, tenant, name)
), room as (
    select k.day, k.kind,
        $11 - (select count(*) from spend_name s where s.day = k.day and s.kind = k.kind) as names
    from (select distinct day, kind from judged where not is_known) k
)
insert into spend_name as s (
    day, kind, tenant, name, calls, errors, tokens_in, tokens_cached, tokens_out, cost_nano
)
select j.day, j.kind, j.tenant, n.name,
    sum(calls)::bigint, sum(errors)::bigint, sum(tokens_in)::bigint, sum(tokens_cached)::bigint,
    sum(tokens_out)::bigint, least(sum(cost_nano), 9223372036854775807)::bigint
from judged j
left join room r on r.day = j.day and r.kind = j.kind
cross join lateral (
    select case when j.is_known or j.place <= r.names then j.name else $12 end
) as n (name)
group by 1, 2, 3, 4
order by 1, 2, 3, 4
on conflict (day, kind, tenant, name) do update set
    calls = s.calls + excluded.calls,
    errors = s.errors + excluded.errors,
    tokens_in = s.tokens_in + excluded.tokens_in,
    tokens_cached = s.tokens_cached + excluded.tokens_cached,
    tokens_out = s.tokens_out + excluded.tokens_out,
    cost_nano = plus(s.cost_nano, excluded.cost_nano)
