insert into rollup_minute (
    minute, tenant, route, model, calls, errors, refused, cache_hits, tokens_in, tokens_out, cost_nano, cut_short
) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
on conflict do update set
    calls = calls + excluded.calls,
    errors = errors + excluded.errors,
    refused = refused + excluded.refused,
    cache_hits = cache_hits + excluded.cache_hits,
    tokens_in = tokens_in + excluded.tokens_in,
    tokens_out = tokens_out + excluded.tokens_out,
    cost_nano = cost_nano + excluded.cost_nano,
    cut_short = cut_short + excluded.cut_short
