-- Steps that applications traced themselves. They stand beside the calls: nothing here is part of a roll-up, a bill or a
-- budget. Ids and times are the sender's.
create table spans (
    rid            integer primary key,        -- order of arrival; the payload is found by it
    ts             text not null,              -- when the step began, by the sender's clock
    trace_id       text not null,              -- 32 hexadecimal digits, as in llm_traces
    span_id        text not null,              -- 16 hexadecimal digits
    parent_id      text,
    name           text not null,
    kind           text not null,
    service        text not null,
    tenant         text not null,              -- of the key that brought it
    user_id        text,
    session_id     text,
    environment    text not null,
    provider       text,
    model          text,
    tool           text,
    is_error       integer not null,
    took_us        integer not null,
    tokens_in      integer not null,           -- cached ones included
    tokens_out     integer not null,           -- reasoning included
    cost_nano      integer,                    -- nano-dollars, as the sender says, else by our prices
    error          text,                       -- first 200 characters of the message
    input_preview  text,                       -- first 200 characters
    output_preview text
);
-- Makes a batch that comes twice change nothing. Time leads, so that it is written front to back and pages go by it.
create unique index spans_ts on spans (ts, span_id, trace_id);
-- Of many spans few are roots or errors, and those are what a list is opened for.
create index spans_root on spans (ts) where parent_id is null;
create index spans_error on spans (ts) where is_error;

-- As payload and trace_marks are for calls.
create table span_payload (
    rid_first integer primary key,
    enc       text not null,
    body      blob not null
);
create table span_marks (
    rid_first integer primary key,
    seen      integer not null,               -- microseconds since 1970: the latest start of all spans up to these
    marks     blob not null
);
