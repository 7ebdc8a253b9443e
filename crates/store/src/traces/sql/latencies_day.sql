select day, tenant, route, model, bucket, calls
from latency_day
where day >= ?1 and day < ?2
