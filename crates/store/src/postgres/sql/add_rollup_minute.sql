-- Rows come sorted by key, so that whoever locks several locks them in one order.
insert into rollup_minute as r (
    minute, tenant, route, model, calls, errors, refused, cache_hits, tokens_in, tokens_out, cost_nano, cut_short
)
select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (minute, tenant, route, model) do update set
    calls = r.calls + excluded.calls,
    errors = r.errors + excluded.errors,
    refused = r.refused + excluded.refused,
    cache_hits = r.cache_hits + excluded.cache_hits,
    tokens_in = r.tokens_in + excluded.tokens_in,
    tokens_out = r.tokens_out + excluded.tokens_out,
    cost_nano = plus(r.cost_nano, excluded.cost_nano),
    cut_short = r.cut_short + excluded.cut_short
