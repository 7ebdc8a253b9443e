//! Not written yet.

use crate::{
    ask::{Ask, Written},
    json::Malformed,
};

pub(crate) fn read(_: &[u8]) -> Result<Ask, Malformed> {
    Err(Malformed::new("not spoken yet"))
}

pub(crate) fn write(_: Ask, _: &str) -> Written {
    Written::default()
}
