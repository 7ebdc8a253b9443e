insert into keys (
    name, hash, hint, tenant, team, user_id, environment, routes, models, created, expires, revoked
) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
