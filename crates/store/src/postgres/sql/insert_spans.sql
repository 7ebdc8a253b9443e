insert into spans (
    rid, ts, trace_id, span_id, parent_id, name, kind, service, tenant, user_id, session_id, environment,
    provider, model, tool, is_error, took_us, tokens_in, tokens_out, cost_nano, error, input_preview, output_preview
)
select d.* from unnest(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
) as d
