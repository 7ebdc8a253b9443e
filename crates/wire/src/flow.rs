//! One streamed answer on its way to a caller, in the caller's dialect: reads each frame, and writes those that are ours.

use bytes::Bytes;
use gauntlet_types::{Dialect, Fault, Finish};

use crate::{
    answer::{Chunk, Key},
    anthropic, bedrock, gemini,
    json::Malformed,
    openai::{self, completions, responses},
    splice::Edit,
    sse::Frame,
};

/// What is remembered of a stream, so that frames of ours fit between the provider's.
#[derive(Debug)]
pub struct Flow(Inner);

#[derive(Debug)]
enum Inner {
    Chat(openai::answer::Flow),
    Completions(Box<completions::Flow>),
    Responses(Box<responses::answer::Flow>),
    Messages(Box<anthropic::answer::Flow>),
    Gemini(Box<gemini::answer::Flow>),
    Converse(Box<bedrock::Flow>),
}

macro_rules! each {
    ($self:expr, $flow:ident => $made:expr) => {
        match $self {
            Inner::Chat($flow) => $made,
            Inner::Completions($flow) => $made,
            Inner::Responses($flow) => $made,
            Inner::Messages($flow) => $made,
            Inner::Gemini($flow) => $made,
            Inner::Converse($flow) => $made,
        }
    };
}

impl Flow {
    /// Converse can only be read: no caller speaks it, and no frame of ours is ever in it.
    pub fn new(dialect: Dialect) -> Flow {
        Flow(match dialect {
            Dialect::Chat => Inner::Chat(openai::answer::Flow::default()),
            Dialect::Completions => Inner::Completions(Box::default()),
            Dialect::Responses => Inner::Responses(Box::default()),
            Dialect::Messages => Inner::Messages(Box::default()),
            Dialect::Gemini => Inner::Gemini(Box::default()),
            Dialect::Converse => Inner::Converse(Box::default()),
        })
    }

    /// Reads a frame; none where it has no data (a comment, a blank line). Frames must come in their order.
    pub fn read(&mut self, frame: &Frame) -> Result<Option<Chunk>, Malformed> {
        let Some(data) = frame.data() else { return Ok(None) };
        each!(&mut self.0, flow => flow.read(frame, data)).map(Some)
    }

    /// Notes that a frame which was read goes out to the caller; `frame` may have been edited.
    pub fn sent(&mut self, frame: &Frame, chunk: &Chunk) {
        each!(&mut self.0, flow => flow.sent(frame, chunk));
    }

    /// A frame with a further piece of a text, to go out before the frame that ends it.
    pub fn piece(&mut self, key: Key, text: &str) -> Bytes {
        each!(&mut self.0, flow => flow.piece(key, text))
    }

    /// Edit: the frame's number, where the dialect counts its frames and pieces of ours went out before it. To be asked
    /// for after those pieces were made.
    pub fn renumbered(&self, chunk: &Chunk) -> Option<Edit> {
        match &self.0 {
            Inner::Responses(flow) => flow.renumbered(chunk),
            _ => None,
        }
    }

    /// The frames that end the stream here, with words of ours in the place of the rest, its end mark among them.
    pub fn close(&mut self, text: &str, finish: Finish) -> Vec<Bytes> {
        each!(&mut self.0, flow => flow.close(text, finish))
    }

    /// The frames that end a stream which broke off, as the dialect tells of an error in its midst.
    pub fn error(&mut self, fault: &Fault, request_id: &str) -> Vec<Bytes> {
        each!(&mut self.0, flow => flow.error(fault, request_id))
    }
}
