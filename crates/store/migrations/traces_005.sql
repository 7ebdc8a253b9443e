-- How far jobs in the background have come, by the order of arrival.
create table progress (
    job text primary key,
    at  integer not null
) without rowid;
