select name, hash, hint, tenant, team, user_id, environment, routes, models, created, expires, revoked
from keys
order by name
