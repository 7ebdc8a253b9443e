-- What calls are found by: tables `find_0`, `find_1` … of 65,536 calls each (traces/index.rs makes them), and here what they hold.
-- Calls beyond the last row are not yet indexed.
create table find_span (
    rid_first integer primary key,
    rid_last  integer not null,
    ts_min    integer not null,                 -- microseconds since 1970: when the first and the last of them began
    ts_max    integer not null
);

-- Which of those tables there are.
create table find_table (
    shard integer primary key,
    cuts  integer not null default 0            -- calls whose words were taken out since it was last written anew
);

-- Users, sessions and traces are found by the index, and of calls that are not in it by the rows themselves.
drop table trace_marks;
