select day, tenant, route, model,
    sum(calls), sum(errors), sum(refused), sum(cache_hits), sum(tokens_in), sum(tokens_out), sum(cost_nano),
    sum(cut_short)
from rollup_day
where day >= ?1 and day < ?2
group by day, tenant, route, model
