//! A request in the neutral form, and out of it; and the parts of one that another provider has sealed.

mod foreign;
mod read;
mod write;

pub use foreign::without_foreign;
pub(crate) use read::read;
pub(crate) use write::write;
