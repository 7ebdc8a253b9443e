-- What an operator is told once.
create table events (
    seq      integer primary key autoincrement,
    at       integer not null,
    kind     text not null,
    key      text not null unique,
    severity text not null,
    message  text not null,
    detail   text not null                      -- JSON
);
