select t.rid - p.rid_first, p.enc, p.body
from llm_traces t
join payload p on p.rid_first = (select max(rid_first) from payload where rid_first <= t.rid)
where t.id = ?1
