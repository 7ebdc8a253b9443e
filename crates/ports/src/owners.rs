//! Whose the things are that providers keep.

use futures_util::future::BoxFuture;
use gauntlet_types::Name;

use crate::control::{ControlError, Owned};

/// Asked in the midst of calls, so it must not block their thread.
pub trait Owners: Send + Sync {
    fn keep(&self, owned: Owned) -> BoxFuture<'static, Result<(), ControlError>>;
    fn owner(&self, provider: Name, id: Name) -> BoxFuture<'static, Result<Option<Name>, ControlError>>;
    fn ids(&self, provider: Name, tenant: Name) -> BoxFuture<'static, Result<Vec<Name>, ControlError>>;
}
