-- Keys, kill switches, prompts and settings: few rows, written with full sync.
-- Times are integers, microseconds since 1970; `audit.ts` is text for people.

create table keys (
    name        text primary key,
    hash        text not null unique,
    hint        text not null,
    tenant      text not null,
    team        text,
    user_id     text,
    environment text,
    routes      text not null,                  -- JSON array; empty for all
    models      text not null,                  -- JSON array; empty for all
    created     integer not null,
    expires     integer,
    revoked     integer
);

create table kills (
    kind   text not null,
    name   text not null,
    reason text not null,
    since  integer not null,
    primary key (kind, name)
) without rowid;

create table prompts (
    name    text not null,
    version text not null,
    hash    text not null,
    source  text not null,
    created integer not null,
    primary key (name, version)
);

create table labels (
    name    text not null,
    label   text not null,
    version text not null,
    primary key (name, label),
    foreign key (name, version) references prompts (name, version)
) without rowid;

create table label_history (
    seq     integer primary key,
    name    text not null,
    label   text not null,
    version text not null,
    at      integer not null
);

create table settings (
    name  text primary key,
    value text not null
) without rowid;

-- Every change made through this store, in the transaction that made it.
create table audit (
    seq     integer primary key autoincrement,
    ts      text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    actor   text not null default 'operator',
    action  text not null,
    subject text not null,
    detail  text not null                       -- JSON
);
create trigger audit_is_append_only_update before update on audit
begin select raise(abort, 'the audit log is append-only'); end;
create trigger audit_is_append_only_delete before delete on audit
begin select raise(abort, 'the audit log is append-only'); end;
