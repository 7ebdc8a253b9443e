//! Whole directories, opened and used: tiny models made on the spot, and real ones beside their reference.

mod broken;
mod reference;
mod tiny;
mod use_of_models;
