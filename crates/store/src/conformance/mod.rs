//! What every adapter must keep to, whatever database is behind it.
//!
//! Each suite is given a way to make an empty store and panics with the claim that does not hold. Records are made by
//! [`sample`], so that the suites say only what matters to them.

// A claim that does not hold ends the suite: that is what it is for.
#![allow(clippy::unwrap_used)]

mod bills;
mod control;
mod cut;
mod evals;
mod finding;
mod limits;
mod minutes;
mod paging;
pub mod replica;
pub mod sample;
mod shared;
mod spans;
mod sums;
mod traces;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use gauntlet_ports::{ControlStore, EvalRetention, EvalStore, SharedState, TraceStore};

/// Checks a trace store. `make` gives an empty one at each call.
pub fn trace_store(make: &dyn Fn() -> Arc<dyn TraceStore>) {
    traces::an_empty_store_answers_everything_with_nothing(&*make());
    traces::a_call_is_read_back_as_it_was_written(&*make());
    traces::appending_again_changes_nothing(&*make());
    traces::positions_stand_with_their_batch(&*make());
    traces::hostile_text_survives(&*make());
    paging::filters_find_what_fits_and_nothing_else(&*make());
    finding::texts_are_found_by_their_words(&*make());
    finding::what_is_cut_is_not_found(&*make());
    finding::a_long_text_is_found_by_its_near_ends(&*make());
    finding::the_index_finishes_and_repeats_change_nothing(&*make());
    paging::pages_cover_every_call_once(&*make());
    paging::following_misses_no_late_call(&*make());
    sums::roll_ups_add_up_to_the_records(&*make());
    sums::spend_by_any_key_adds_up(&*make());
    sums::budgets_add_up_to_the_charges(&*make());
    sums::percentiles_are_within_five_percent(&*make());
    sums::spans_take_whole_hours(&*make());
    minutes::minutes_add_up_to_the_records(&*make());
    minutes::minutes_agree_with_their_hours(&*make());
    minutes::minutes_are_kept_for_two_days(&*make());
    bills::every_figure_of_a_bill_adds_up(&*make());
    bills::users_keys_and_tags_have_their_sums(&*make());
    bills::what_is_not_kept_together_is_refused(&*make());
    bills::pages_of_records_cover_each_once(&*make());
    bills::a_correction_stands_beside_the_cost(&*make());
    bills::passes_are_kept_and_repeats_change_nothing(&*make());
    bills::reconciliations_are_kept_newest_first(&*make());
    spans::a_span_is_read_back_as_it_was_written(&*make());
    spans::a_span_is_kept_once(&*make());
    spans::spans_count_in_no_sum(&*make());
    spans::span_filters_find_what_fits_and_nothing_else(&*make());
    spans::pages_pass_spans_of_one_instant(&*make());
    spans::a_trace_of_a_hundred_thousand_spans_is_kept(&*make());
    spans::hostile_spans_survive(&*make());
    cut::cuts(&*make());
}

/// Checks what is found against a naive search, by any index and any patience. `make` gives an empty store at each call, which
/// looks no longer than it must; `rounds` is how many.
pub fn finding(make: &dyn Fn() -> Arc<dyn TraceStore>, rounds: u64) {
    for seed in 0..rounds {
        finding::pages_are_what_a_naive_search_finds(&*make(), seed);
    }
}

/// Checks a store of evals. `make` gives an empty one at each call.
pub fn eval_store(make: &dyn Fn() -> Arc<dyn EvalStore>) {
    evals::a_run_is_read_back_as_it_was_written(&*make());
    evals::runs_are_found_newest_first(&*make());
    evals::a_result_is_read_back_and_replaced(&*make());
    evals::a_metric_stands_once_in_a_result(&*make());
    evals::results_belong_to_a_run(&*make());
    evals::a_judges_first_answer_is_kept(&*make());
    evals::gates_are_kept_newest_first(&*make());
    evals::a_trend_is_of_the_suites_that_ran_last(&*make());
    evals::what_failed_is_found_without_the_rest(&*make());
}

/// Checks how words and results of evals go. `make` gives an empty store at each call.
pub fn eval_retention(make: &dyn Fn() -> Arc<dyn EvalRetention>) {
    evals::what_a_call_answered_goes_with_it(&*make());
    evals::cases_made_from_a_call_lose_their_words_with_it(&*make());
    evals::a_gates_quotes_go_by_age(&*make());
    evals::words_go_before_figures(&*make());
}

/// Checks a control store. `make` gives an empty one at each call.
pub fn control_store(make: &dyn Fn() -> Arc<dyn ControlStore>) {
    control::keys_are_unique_and_stay_when_revoked(&*make());
    control::kill_switches_are_thrown_and_undone(&*make());
    control::a_prompt_version_never_changes(&*make());
    control::prompts_are_kept_all_or_none(&*make());
    control::labels_point_at_known_versions(&*make());
    control::an_author_is_noted_once(&*make());
    control::an_approval_is_of_one_content_and_one_person(&*make());
    control::a_setting_is_made_once(&*make());
    control::what_providers_keep_has_one_owner(&*make());
    control::an_event_is_noted_once(&*make());
}

/// A shared state that knows nobody and does not settle, and a way to let its time pass.
pub struct SharedPlace {
    pub store: Arc<dyn SharedState>,
    pub pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()>>,
}

/// Checks a shared state. `make` gives an empty one at each call, and takes it away from those before.
pub async fn shared_state(make: &dyn Fn() -> BoxFuture<'static, SharedPlace>) {
    shared::room_is_dealt_out_by_halves(&*make().await.store).await;
    shared::the_last_of_a_cap_can_be_used_by_anybody(&*make().await.store).await;
    shared::what_a_replica_may_still_use_is_never_granted_to_others(&*make().await.store).await;
    shared::a_repeat_changes_nothing_and_a_late_one_is_refused(&*make().await.store).await;
    shared::a_replica_id_is_one_process_at_a_time(&make().await).await;
    shared::a_dead_replicas_slice_returns_with_it(&make().await).await;
    shared::an_operator_can_forget_a_replica(&make().await).await;
    shared::leaving_gives_everything_back_but_the_spend(&*make().await.store).await;
    shared::a_lowered_cap_and_a_debt_let_nothing_grow(&*make().await.store).await;
    shared::entries_are_dropped_when_their_time_is_over(&make().await).await;
    shared::a_store_that_was_set_back_settles(&make().await).await;
    shared::an_account_that_was_lost_settles_alone(&make().await).await;
    shared::what_others_have_spent_is_not_forgotten_with_them(&*make().await.store).await;
    shared::names_are_only_names(&*make().await.store).await;
    shared::great_and_odd_figures_do_no_harm(&*make().await.store).await;
    limits::replicas_draw_from_one_bucket(&*make().await.store).await;
    limits::a_bucket_fills_by_the_stores_clock(&make().await).await;
    limits::places_are_shared(&make().await).await;
}
