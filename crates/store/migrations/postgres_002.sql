-- Steps that applications traced themselves. They stand beside the calls: nothing here is part of a roll-up, a bill or a
-- budget. Ids and times are the sender's.

-- Order of arrival, given out under the lock of appends.
create sequence span_rid;

create table spans (
    rid            bigint not null,                     -- the payload is found by it
    ts             timestamptz not null,                -- when the step began, by the sender's clock
    trace_id       text collate "C" not null,           -- 32 hexadecimal digits, as in llm_traces
    span_id        text collate "C" not null,           -- 16 hexadecimal digits
    parent_id      text collate "C",
    name           text collate "C" not null,
    kind           text collate "C" not null,
    service        text collate "C" not null,
    tenant         text collate "C" not null,           -- of the key that brought it
    user_id        text collate "C",
    session_id     text collate "C",
    environment    text collate "C" not null,
    provider       text collate "C",
    model          text collate "C",
    tool           text collate "C",
    is_error       boolean not null,
    took_us        bigint not null,
    tokens_in      int not null,                        -- cached ones included
    tokens_out     int not null,                        -- reasoning included
    cost_nano      bigint,                              -- nano-dollars, as the sender says, else by our prices
    error          text collate "C",                    -- first 200 characters of the message
    input_preview  text collate "C",                    -- first 200 characters
    output_preview text collate "C",
    -- Makes a batch that comes twice change nothing. Time leads, so that it is written front to back and pages go by it.
    primary key (ts, span_id, trace_id)
);
create index spans_trace on spans (trace_id, ts, rid);
create index spans_session on spans (session_id, ts, rid) where session_id is not null;
create index spans_user on spans (user_id, ts, rid) where user_id is not null;
-- Of many spans few are roots or errors, and those are what a list is opened for.
create index spans_root on spans (ts, rid) where parent_id is null;
create index spans_error on spans (ts, rid) where is_error;

-- As payload is for calls.
create table span_payload (
    rid_first bigint primary key,
    enc       text not null,
    body      bytea not null
);
alter table span_payload alter column body set storage external;
