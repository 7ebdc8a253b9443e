//! Not written yet.

use bytes::Bytes;
use gauntlet_types::{Event, Fault, Finish};

use crate::{
    answer::{Chunk, Key, PlainAnswer},
    json::Malformed,
    sse::Frame,
    translate::Head,
};

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
