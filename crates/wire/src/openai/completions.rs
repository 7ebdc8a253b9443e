//! Not written yet.

use bytes::Bytes;
use gauntlet_types::{Event, Fault, Finish};

use crate::{
    answer::{Chunk, Key, PlainAnswer},
    ask::{Ask, Written},
    conversation::Conversation,
    json::Malformed,
    splice::Edit,
    sse::Frame,
    translate::Head,
};

pub fn parse(_: &Bytes) -> Result<Conversation, Malformed> {
    Err(Malformed::new("not spoken yet"))
}

pub(crate) fn read_ask(_: &[u8]) -> Result<Ask, Malformed> {
    Err(Malformed::new("not spoken yet"))
}

pub(crate) fn write_ask(_: Ask, _: &str) -> Written {
    Written::default()
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

pub fn read_plain(_: &Bytes) -> Result<PlainAnswer, Malformed> {
    Err(Malformed::new("not spoken yet"))
}

#[derive(Default, Debug)]
pub(crate) struct Flow;

impl Flow {
    pub(crate) fn read(&mut self, _: &Frame, _: &[u8]) -> Result<Chunk, Malformed> {
        Err(Malformed::new("not spoken yet"))
    }

    pub(crate) fn sent(&mut self, _: &Frame, _: &Chunk) {}

    pub(crate) fn piece(&self, _: Key, _: &str) -> Bytes {
        Bytes::new()
    }

    pub(crate) fn close(&mut self, _: &str, _: Finish) -> Vec<Bytes> {
        Vec::new()
    }

    pub(crate) fn error(&mut self, _: &Fault, _: &str) -> Vec<Bytes> {
        Vec::new()
    }
}

pub(crate) struct Writer;

impl Writer {
    pub(crate) fn new(_: Head) -> Writer {
        Writer
    }

    pub(crate) fn push(&mut self, _: &Event, _: &mut Vec<Bytes>) {}

    pub(crate) fn end(&mut self, _: &mut Vec<Bytes>) {}
}

pub(crate) fn whole(_: &Head, _: &[Event]) -> Bytes {
    Bytes::new()
}
