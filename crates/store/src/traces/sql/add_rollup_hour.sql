insert into rollup_hour (
    hour, tenant, route, model, provider, environment, team, prompt_name, prompt_version,
    calls, errors, refused, cache_hits, tokens_in, tokens_cached, tokens_out, cost_nano,
    cut_short, estimated, tokens_written, tokens_reasoning, spared_in, spared_cached, spared_out, wasted_nano
) values (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,
    ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
    ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25
)
on conflict do update set
    calls = calls + excluded.calls,
    errors = errors + excluded.errors,
    refused = refused + excluded.refused,
    cache_hits = cache_hits + excluded.cache_hits,
    tokens_in = tokens_in + excluded.tokens_in,
    tokens_cached = tokens_cached + excluded.tokens_cached,
    tokens_out = tokens_out + excluded.tokens_out,
    cost_nano = cost_nano + excluded.cost_nano,
    cut_short = cut_short + excluded.cut_short,
    estimated = estimated + excluded.estimated,
    tokens_written = tokens_written + excluded.tokens_written,
    tokens_reasoning = tokens_reasoning + excluded.tokens_reasoning,
    spared_in = spared_in + excluded.spared_in,
    spared_cached = spared_cached + excluded.spared_cached,
    spared_out = spared_out + excluded.spared_out,
    wasted_nano = wasted_nano + excluded.wasted_nano
