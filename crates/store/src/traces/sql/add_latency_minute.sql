insert into latency_minute values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict do update set calls = calls + excluded.calls
