insert or ignore into llm_traces (
    id, ts, route, model, app_sha, user_id, prompt_name, tokens_in, tokens_out, latency_ms, cost_usd,
    input_redacted, output, eval_id, tenant, team, session_id, key_name, environment, provider, model_asked,
    prompt_version, outcome, error, decision, cache, is_streaming, status, trace_id, tokens_cached, usage_estimated,
    cost_nano, latency_us, first_token_us
) values (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
    ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
    ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31,
    ?32, ?33, ?34
)
