update rollup_day set correction_nano = correction_nano + ?1
where day = ?2 and tenant = ?3 and route = ?4 and model = ?5 and provider = ?6 and environment = ?7 and team = ?8
    and prompt_name = ?9 and prompt_version = ?10
