select minute, tenant, route, model, bucket, calls
from latency_minute
where minute >= ?1 and minute < ?2
