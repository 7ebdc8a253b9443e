select hour, tenant, route, model,
    sum(calls), sum(errors), sum(refused), sum(cache_hits), sum(tokens_in), sum(tokens_out), sum(cost_nano),
    sum(cut_short)
from rollup_hour
where hour >= ?1 and hour < ?2
group by hour, tenant, route, model
