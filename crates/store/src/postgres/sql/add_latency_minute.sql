insert into latency_minute as l (minute, tenant, route, model, bucket, calls)
select * from unnest($1, $2, $3, $4, $5, $6)
on conflict (minute, tenant, route, model, bucket) do update set calls = l.calls + excluded.calls
