//! Checks of what a model says.

pub(crate) mod contract;
