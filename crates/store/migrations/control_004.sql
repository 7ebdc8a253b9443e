-- Who brought a version, who moved a label and why, and who gave a word for it.
alter table prompts add column author text;
alter table prompts add column app_sha text;
alter table prompts add column about text;      -- JSON: what is said about it and is no part of it

-- Moves made before this was kept: nobody knows from where.
alter table label_history add column from_version text;
alter table label_history add column kind text not null default 'promote';
alter table label_history add column actor text not null default 'operator';
alter table label_history add column why text;

create table approvals (
    seq     integer primary key autoincrement,
    name    text not null,
    version text not null,
    hash    text not null,
    label   text not null,
    actor   text not null,
    note    text,
    at      integer not null,
    unique (hash, label, actor)
);
