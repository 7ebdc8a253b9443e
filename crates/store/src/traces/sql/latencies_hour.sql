select hour, tenant, route, model, bucket, calls
from latency_hour
where hour >= ?1 and hour < ?2
