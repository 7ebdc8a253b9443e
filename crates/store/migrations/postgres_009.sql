-- Which recorded call a case was made from (`gauntlet trace promote`): whoever erases that call finds the answers to it.
alter table eval_results add column source_call uuid;
create index eval_results_source on eval_results (source_call) where source_call is not null;
-- What failed, answers that never came first: a page shows the first few of a run however long it is.
create index eval_results_failed on eval_results (eval_id, (error is null), case_id, repeat)
    where error is not null or not passed;
-- Judges' answers about an output, for erasing them with it.
create index judge_cache_output on judge_cache (output_hash);
-- Whether the report still quotes cases: words go by age and by wish, verdicts and figures stay.
alter table eval_gates add column quotes boolean not null default true;
-- JSON: the metrics that the gate held the run to.
alter table eval_gates add column metrics text collate "C";
create index eval_gates_quotes on eval_gates (ts) where quotes;
create index eval_gates_baseline on eval_gates (baseline) where baseline is not null;
