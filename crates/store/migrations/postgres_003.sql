-- How far jobs in the background have come, by the order of arrival.
create table progress (
    job text collate "C" primary key,
    at  bigint not null
);
