insert into latency_hour as l (hour, tenant, route, model, bucket, calls)
select * from unnest($1, $2, $3, $4, $5, $6)
on conflict (hour, tenant, route, model, bucket) do update set calls = l.calls + excluded.calls
