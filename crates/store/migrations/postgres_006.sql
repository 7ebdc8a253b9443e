-- What providers keep for a tenant (files, batches), so that no other tenant gets at it.
create table owned (
    provider text not null,
    id       text not null,
    kind     text not null,
    tenant   text not null,
    created  bigint not null,
    primary key (provider, id)
);
create index owned_by_tenant on owned (provider, tenant, created);
