select minute, tenant, route, model,
    calls, errors, refused, cache_hits, tokens_in, tokens_out, cost_nano, cut_short
from rollup_minute
where minute >= ?1 and minute < ?2
