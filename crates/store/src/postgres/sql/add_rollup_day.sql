-- Rows come sorted by key, so that whoever locks several locks them in one order.
insert into rollup_day as r (
    day, tenant, route, model, provider, environment, team, prompt_name, prompt_version,
    calls, errors, refused, cache_hits, tokens_in, tokens_cached, tokens_out, cost_nano,
    cut_short, estimated, tokens_written, tokens_reasoning, spared_in, spared_cached, spared_out, wasted_nano
)
select * from unnest(
    $1, $2, $3, $4, $5, $6, $7, $8, $9,
    $10, $11, $12, $13, $14, $15, $16, $17,
    $18, $19, $20, $21, $22, $23, $24, $25
)
on conflict (day, tenant, route, model, provider, environment, team, prompt_name, prompt_version) do update set
    calls = r.calls + excluded.calls,
    errors = r.errors + excluded.errors,
    refused = r.refused + excluded.refused,
    cache_hits = r.cache_hits + excluded.cache_hits,
    tokens_in = r.tokens_in + excluded.tokens_in,
    tokens_cached = r.tokens_cached + excluded.tokens_cached,
    tokens_out = r.tokens_out + excluded.tokens_out,
    cost_nano = plus(r.cost_nano, excluded.cost_nano),
    cut_short = r.cut_short + excluded.cut_short,
    estimated = r.estimated + excluded.estimated,
    tokens_written = r.tokens_written + excluded.tokens_written,
    tokens_reasoning = r.tokens_reasoning + excluded.tokens_reasoning,
    spared_in = r.spared_in + excluded.spared_in,
    spared_cached = r.spared_cached + excluded.spared_cached,
    spared_out = r.spared_out + excluded.spared_out,
    wasted_nano = plus(r.wasted_nano, excluded.wasted_nano)
