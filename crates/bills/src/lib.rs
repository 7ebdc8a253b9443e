//! What is made of spend after the fact: bills, calls priced anew, a tenant's usual spend, comparisons with a provider's
//! figures, advice on what would be saved.
//!
//! Functions of plain values, as in `policy`: no clock, no store, no network. The store adds up, the server asks it and
//! calls these. Nothing here decides about a call under way; budgets never read it.

pub mod advice;
pub mod baseline;
pub mod csv;
pub mod reconcile;
pub mod reprice;
pub mod sheet;
