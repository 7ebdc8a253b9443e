//! Journeys: one file for each thing a user does, against the real binary over HTTP.

mod app;
mod load;

mod first_call;
mod full_disk;
mod kill_nine;
mod bad_input;
mod budgets;
mod cache;
mod keys_and_kills;
mod limits;
mod prompts_journey;
mod operations;
mod console_in_a_browser;
mod cut_streams;
mod fidelity;
mod output_guards;
mod provider_faults;
