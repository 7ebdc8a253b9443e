//! Faces of the gateway: the doors that SDKs use, the management API, the console's pages, and the listener under them.

pub mod admin;
mod api;
mod auth;
pub mod bills;
mod body;
mod caching;
mod door;
pub mod erase;
pub mod error;
mod evals;
mod groups;
pub mod guards;
mod moving;
mod openapi;
pub mod otlp;
mod pages;
pub mod prompts;
mod replay;
mod routing;
pub mod serve;
mod spans;

pub use admin::{Admin, AdminParts};
pub use api::router;
pub use auth::{Access, Token};
