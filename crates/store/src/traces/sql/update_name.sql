update spend_name set
    calls = calls + ?1,
    errors = errors + ?2,
    tokens_in = tokens_in + ?3,
    tokens_cached = tokens_cached + ?4,
    tokens_out = tokens_out + ?5,
    cost_nano = cost_nano + ?6,
    correction_nano = correction_nano + ?7
where day = ?8 and kind = ?9 and tenant = ?10 and name = ?11
