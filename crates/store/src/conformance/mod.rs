//! What every adapter must keep to, whatever database is behind it.
//!
//! Each suite is given a way to make an empty store and panics with the claim that does not hold. Records are made by
//! [`sample`], so that the suites say only what matters to them.

// A claim that does not hold ends the suite: that is what it is for.
#![allow(clippy::unwrap_used)]

mod bills;
mod control;
mod paging;
pub mod sample;
mod sums;
mod traces;

use std::sync::Arc;

use gauntlet_ports::{ControlStore, TraceStore};

/// Checks a trace store. `make` gives an empty one at each call.
pub fn trace_store(make: &dyn Fn() -> Arc<dyn TraceStore>) {
    traces::an_empty_store_answers_everything_with_nothing(&*make());
    traces::a_call_is_read_back_as_it_was_written(&*make());
    traces::appending_again_changes_nothing(&*make());
    traces::positions_stand_with_their_batch(&*make());
    traces::hostile_text_survives(&*make());
    paging::filters_find_what_fits_and_nothing_else(&*make());
    paging::text_is_found_in_what_is_shown(&*make());
    paging::pages_cover_every_call_once(&*make());
    paging::following_misses_no_late_call(&*make());
    sums::roll_ups_add_up_to_the_records(&*make());
    sums::spend_by_any_key_adds_up(&*make());
    sums::budgets_add_up_to_the_charges(&*make());
    sums::percentiles_are_within_five_percent(&*make());
    sums::spans_take_whole_hours(&*make());
    bills::every_figure_of_a_bill_adds_up(&*make());
    bills::users_keys_and_tags_have_their_sums(&*make());
    bills::what_is_not_kept_together_is_refused(&*make());
    bills::pages_of_records_cover_each_once(&*make());
    bills::a_correction_stands_beside_the_cost(&*make());
    bills::passes_are_kept_and_repeats_change_nothing(&*make());
    bills::reconciliations_are_kept_newest_first(&*make());
}

/// Checks a control store. `make` gives an empty one at each call.
pub fn control_store(make: &dyn Fn() -> Arc<dyn ControlStore>) {
    control::keys_are_unique_and_stay_when_revoked(&*make());
    control::kill_switches_are_thrown_and_undone(&*make());
    control::a_prompt_version_never_changes(&*make());
    control::labels_point_at_known_versions(&*make());
    control::a_setting_is_made_once(&*make());
    control::an_event_is_noted_once(&*make());
}
