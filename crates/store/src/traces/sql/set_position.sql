insert into spool_position (worker, segment, offset) values (?1, ?2, ?3)
on conflict do update set segment = excluded.segment, offset = excluded.offset
