insert into spool_position (worker, segment, byte_offset, replica)
select p.*, $4 from unnest($1, $2, $3) as p
on conflict (replica, worker) do update set segment = excluded.segment, byte_offset = excluded.byte_offset
