//! Journeys: one file for each thing a user does, against the real binary over HTTP.

#![allow(clippy::unwrap_used)] // helpers of tests may stop a test as the tests themselves do

mod alerts;
mod app;
mod load;

mod bad_input;
mod billed_failures;
mod bills;
mod budgets;
mod cache;
mod coding_agents;
mod console_in_a_browser;
mod crash_points;
mod cut_streams;
mod dashboard;
mod demo;
mod documents;
mod fidelity;
mod finding_calls;
mod first_call;
mod full_budgets;
mod full_disk;
mod guard_actions;
mod guard_allow;
mod guard_backtest;
mod guard_checks;
mod guard_explain;
mod guard_judges;
mod guard_names;
mod guard_quality;
mod keeping;
mod keys_and_kills;
mod kill_nine;
mod limits;
mod move_calls;
mod move_store;
mod operations;
mod otlp_in;
mod otlp_out;
mod otlp_protocols;
mod output_guards;
mod postgres_store;
mod prices;
mod promote;
mod prompts_journey;
mod provider_faults;
mod real_model;
mod replay;
mod replicas;
mod sdks;
mod sdks_errors;
mod sdks_everywhere;
mod soak;
mod whole_record;
mod whole_traces;
