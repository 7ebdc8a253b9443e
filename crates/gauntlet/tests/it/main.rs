//! Journeys: one file for each thing a user does, against the real binary over HTTP.

mod app;

mod first_call;
