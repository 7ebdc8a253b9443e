//! Journeys: one file for each thing a user does.
