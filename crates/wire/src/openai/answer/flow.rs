//! A chat stream on its way to its caller.

use bytes::Bytes;
use gauntlet_types::{Fault, Finish};

use super::{channel_frame, frame, text_frame};
use crate::{
    answer::{Chunk, Key},
    json::Malformed,
    openai::error,
    sse::Frame,
};

/// The data of the last frame, whose head serves as the head of ours.
#[derive(Default, Debug)]
pub(crate) struct Flow {
    pattern: Bytes,
}

impl Flow {
    pub(crate) fn read(&mut self, frame: &Frame, data: &[u8]) -> Result<Chunk, Malformed> {
        let chunk = super::read_chunk(data)?;
        if !chunk.is_done && !chunk.events.is_empty() {
            self.pattern = frame.data_bytes().unwrap_or_default();
        }
        Ok(chunk)
    }

    /// Every frame of this dialect stands for itself.
    pub(crate) fn sent(&mut self, _: &Frame, _: &Chunk) {}

    pub(crate) fn piece(&self, key: Key, text: &str) -> Bytes {
        channel_frame(&self.pattern, key.choice, key.channel, text)
    }

    pub(crate) fn close(&mut self, text: &str, finish: Finish) -> Vec<Bytes> {
        vec![text_frame(&self.pattern, 0, text, Some(finish)), frame(b"[DONE]")]
    }

    /// An error frame and no `[DONE]`: the answer is not whole.
    pub(crate) fn error(&mut self, fault: &Fault, _: &str) -> Vec<Bytes> {
        vec![error::stream_frame(fault)]
    }
}
