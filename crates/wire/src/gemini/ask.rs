//! Not written yet.

use bytes::Bytes;

use crate::{
    conversation::{Conversation, PathAsk},
    json::Malformed,
    splice::Edit,
};

pub(crate) fn parse(_: &Bytes, _: &PathAsk) -> Result<Conversation, Malformed> {
    Err(Malformed::new("not spoken yet"))
}

/// Places that only edits need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Layout {
    pub first_member: usize,
}

impl Layout {
    pub(crate) fn with_prompt(&self, _: &Conversation, _: &Bytes, _: &[(&str, &str)]) -> Vec<Edit> {
        Vec::new()
    }

    pub(crate) fn with_more(&self, _: &Conversation, _: &[(&str, &str)]) -> Option<Edit> {
        None
    }

    pub(crate) fn with_max_tokens(&self, limit: u32) -> Edit {
        Edit::insert(self.first_member, limit.to_string())
    }
}

/// Edits that cut out what is not this provider's own.
pub fn without_foreign(_: &Bytes) -> Vec<Edit> {
    Vec::new()
}
