insert into spend_name (
    calls, errors, tokens_in, tokens_cached, tokens_out, cost_nano, correction_nano, day, kind, tenant, name
) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
on conflict do update set
    calls = calls + excluded.calls,
    errors = errors + excluded.errors,
    tokens_in = tokens_in + excluded.tokens_in,
    tokens_cached = tokens_cached + excluded.tokens_cached,
    tokens_out = tokens_out + excluded.tokens_out,
    cost_nano = cost_nano + excluded.cost_nano,
    correction_nano = correction_nano + excluded.correction_nano
