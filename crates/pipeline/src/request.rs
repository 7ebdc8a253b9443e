//! A request as its door's dialect reads it.

use bytes::Bytes;
use gauntlet_wire::{
    Conversation, Segment,
    gemini::embed::EmbedRequest,
    openai::embeddings::{self, EmbeddingsRequest},
    pass::Pass,
};

/// The request as its door's dialect reads it.
pub(crate) enum Request {
    /// Not read yet, or not readable.
    None,
    Conversation(Box<Conversation>),
    Embeddings(Box<EmbeddingsRequest>),
    /// The same as Gemini writes it.
    Embed(Box<EmbedRequest>),
    /// Passed through as it is.
    Pass(Box<Pass>),
}

impl Request {
    pub(crate) fn conversation(&self) -> Option<&Conversation> {
        match self {
            Request::Conversation(chat) => Some(chat),
            _ => None,
        }
    }

    pub(crate) fn pass(&self) -> Option<&Pass> {
        match self {
            Request::Pass(asked) => Some(asked),
            _ => None,
        }
    }

    /// Every text of it that a model reads.
    pub(crate) fn segments(&self, body: &Bytes) -> Vec<Segment> {
        match self {
            Request::Conversation(asked) => asked.segments(body),
            Request::Embeddings(asked) => embeddings::segments(asked, body),
            Request::Embed(asked) => asked.segments(body),
            Request::Pass(asked) => asked.segments(),
            Request::None => Vec::new(),
        }
    }

    /// Its other texts, for whoever keeps the body.
    pub(crate) fn other_segments(&self, body: &Bytes) -> Vec<Segment> {
        match self {
            Request::Conversation(asked) => asked.other_segments(body),
            Request::Embeddings(asked) => embeddings::other_segments(asked, body),
            Request::Embed(asked) => asked.other_segments(body),
            Request::Pass(asked) => asked.other_segments(),
            Request::None => Vec::new(),
        }
    }

    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Request::Conversation(asked) => asked.user.as_deref(),
            Request::Embeddings(asked) => asked.user.as_deref(),
            Request::Pass(asked) => asked.user.as_deref(),
            Request::Embed(_) | Request::None => None,
        }
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.conversation().is_some_and(|chat| chat.stream)
    }
}
