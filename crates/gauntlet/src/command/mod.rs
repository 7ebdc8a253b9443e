//! One file a command, or a family of small ones. Each that asks about calls ends in a question to the management API
//! (`reach`), so that the command line, the console and programs see the same.

pub mod advice;
pub mod cache;
pub mod carry;
pub mod check;
pub mod demo;
pub mod doctor;
pub mod eval;
pub mod eval_compare;
pub mod eval_freeze;
pub mod eval_run;
pub mod eval_show;
pub mod events;
pub mod gate;
pub mod guard;
pub mod import;
pub mod keep;
pub mod manage;
pub mod metrics;
pub mod prices;
pub mod promote;
pub mod reconcile;
pub mod replica;
pub mod reprice;
pub mod route;
pub mod spend;
pub mod stats;
pub mod store;
pub mod trace;
