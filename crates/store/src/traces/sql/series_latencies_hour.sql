select hour, bucket, sum(calls)
from latency_hour
where hour >= ?1 and hour < ?2
group by hour, bucket
