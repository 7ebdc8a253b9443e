-- What calls are found by: their words with the places where they stand, and their terms (finding/terms.rs), which begin
-- with `#`. Filled in the background in the order of arrival.
create table find_terms (
    rid   bigint primary key,
    terms tsvector not null
);
-- A short list of what is not yet in the index: every question reads it through.
create index find_terms_terms on find_terms using gin (terms) with (gin_pending_list_limit = 1024);

-- What `find_terms` holds; calls beyond the last row are not yet indexed.
create table find_span (
    rid_first bigint primary key,
    rid_last  bigint not null,
    ts_min    bigint not null,                          -- microseconds since 1970: when the first and the last of them began
    ts_max    bigint not null
);
