insert into llm_traces (
    id, ts, route, model, app_sha, user_id, prompt_name, tokens_in, tokens_out,
    latency_ms, input_redacted, output, eval_id, rid, tenant, team, session_id, key_name,
    environment, provider, model_asked, prompt_version, outcome, error, decision, cache, is_streaming,
    status, trace_id, tokens_cached, usage_estimated, cost_nano, latency_us, first_token_us
)
select
    d.id, d.ts, d.route, d.model, d.app_sha, d.user_id, d.prompt_name, d.tokens_in, d.tokens_out,
    d.latency_ms, d.input_redacted::jsonb, d.output::jsonb, d.eval_id, d.rid, d.tenant, d.team, d.session_id, d.key_name,
    d.environment, d.provider, d.model_asked, d.prompt_version, d.outcome, d.error, d.decision, d.cache, d.is_streaming,
    d.status, d.trace_id, d.tokens_cached, d.usage_estimated, d.cost_nano, d.latency_us, d.first_token_us
from unnest(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
    $25, $26, $27, $28, $29, $30, $31, $32, $33, $34
) as d (
    id, ts, route, model, app_sha, user_id, prompt_name, tokens_in, tokens_out,
    latency_ms, input_redacted, output, eval_id, rid, tenant, team, session_id, key_name,
    environment, provider, model_asked, prompt_version, outcome, error, decision, cache, is_streaming,
    status, trace_id, tokens_cached, usage_estimated, cost_nano, latency_us, first_token_us
)
