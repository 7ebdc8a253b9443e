//! What the provider does with one request, built up by name: `Step::stream(&["he", "llo"]).cut_after_frames(2)`.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::say::{Fault, Said, Say, Tokens, UsageChunk};

/// What is sent as the body.
#[derive(Clone, Debug)]
pub(super) enum Make {
    Bytes {
        content_type: &'static str,
        body: Bytes,
    },
    /// In the words of whoever was asked, as the path tells.
    Say {
        say: Say,
        form: Form,
    },
    /// An error, likewise.
    Fault(Fault),
    /// A count of tokens, likewise.
    Count(u64),
    Embeddings {
        dimensions: usize,
    },
    Frames(Vec<Bytes>),
    Endless {
        piece: String,
        every: Duration,
    },
    /// Answers nothing and keeps the connection until the client leaves.
    Hang,
    /// Resets the connection instead of answering.
    Drop,
    /// Bytes on the socket in place of an HTTP answer, then closes.
    Raw(Bytes),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Streamed if the request asks for it.
    AsAsked,
    Plain,
    Stream,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum After {
    Bytes(usize),
    Frames(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CutBy {
    /// RST: as a killed process or a broken network.
    Reset,
    /// FIN before the answer's end: as a server that closed in good order too early.
    Close,
}

/// One answer of a scripted provider.
#[derive(Clone, Debug)]
pub struct Step {
    pub(super) make: Make,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) model: Option<String>,
    pub(super) before_headers: Duration,
    pub(super) before_first: Duration,
    pub(super) between: Duration,
    pub(super) cut: Option<(After, CutBy)>,
    pub(super) half_frame_after: Option<usize>,
    pub(super) error_after: Option<(usize, Fault)>,
    pub(super) splits: Vec<usize>,
    pub(super) split_every: Option<usize>,
    pub(super) is_gzip: bool,
}

/// What to answer.
impl Step {
    fn new(make: Make) -> Step {
        Step {
            make,
            status: 200,
            headers: Vec::new(),
            model: None,
            before_headers: Duration::ZERO,
            before_first: Duration::ZERO,
            between: Duration::ZERO,
            cut: None,
            half_frame_after: None,
            error_after: None,
            splits: Vec::new(),
            split_every: None,
            is_gzip: false,
        }
    }

    fn say(parts: Vec<Said>, form: Form) -> Step {
        Step::new(Make::Say { say: Say::new(parts), form })
    }

    /// A JSON body, status 200, whatever was asked.
    pub fn plain(body: Value) -> Step {
        Step::new(Make::Bytes { content_type: "application/json", body: body.to_string().into() })
    }

    /// An answer that says `pieces`, streamed (a frame each) if the request asks for a stream, in the format that the path
    /// asks for: chat completions, Responses, Messages, generateContent, Converse.
    pub fn answer(pieces: &[&str]) -> Step {
        Step::say(vec![Said::Text(owned(pieces))], Form::AsAsked)
    }

    /// A plain answer, also when a stream was asked for.
    pub fn text(text: &str) -> Step {
        Step::say(vec![Said::Text(owned(&[text]))], Form::Plain)
    }

    /// A streamed answer, also when none was asked for. In chat: a frame with the role, one for each piece, one with the
    /// reason of the end, one with usage if asked for, `[DONE]`.
    pub fn stream(pieces: &[&str]) -> Step {
        Step::say(vec![Said::Text(owned(pieces))], Form::Stream)
    }

    /// A tool call, streamed if asked for; `arguments` are the pieces in which the model writes them.
    pub fn tool_call(name: &str, arguments: &[&str]) -> Step {
        Step::tool_calls(&[(name, arguments)])
    }

    /// Several tool calls in one answer.
    pub fn tool_calls(tools: &[(&str, &[&str])]) -> Step {
        let call =
            |(name, pieces): &(&str, &[&str])| Said::Call { name: (*name).to_owned(), pieces: owned(pieces) };
        Step::say(tools.iter().map(call).collect(), Form::AsAsked)
    }

    /// The model's own refusal, streamed if asked for.
    pub fn refusal(pieces: &[&str]) -> Step {
        Step::say(vec![Said::Refusal(owned(pieces))], Form::AsAsked)
    }

    /// Thinks first, and seals its thoughts as the vendor does: `seal` is the signature, or the cipher, that it wants back.
    pub fn thought(pieces: &[&str], seal: &str) -> Step {
        Step::say(vec![Said::Thought { pieces: owned(pieces), seal: seal.to_owned() }], Form::AsAsked)
    }

    /// How many tokens a request has, for the doors that count.
    pub fn count(tokens: u64) -> Step {
        Step::new(Make::Count(tokens))
    }

    /// A vector for each input, the same for the same text; in base64 if asked for, as the Python SDK does.
    pub fn embeddings(dimensions: usize) -> Step {
        Step::new(Make::Embeddings { dimensions })
    }

    /// Frames of a stream, byte for byte as given.
    pub fn frames(frames: &[&str]) -> Step {
        Step::new(Make::Frames(frames.iter().map(|frame| Bytes::from((*frame).to_owned())).collect()))
    }

    /// An error with this status, in the shape of whoever was asked; `body`, `json` and `header` change it.
    pub fn status(status: u16) -> Step {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        Step::error(status, kind, kind, "scripted failure")
    }

    pub fn error(status: u16, kind: &str, code: &str, message: &str) -> Step {
        Step { status, ..Step::new(Make::Fault(Fault::new(kind, code, message))) }
    }

    /// A page of HTML, as a proxy in between gives.
    pub fn html(status: u16) -> Step {
        let body = format!(
            "<html><head><title>{status}</title></head><body><h1>{status} from a proxy</h1></body></html>\n"
        );
        Step { status, ..Step::new(Make::Bytes { content_type: "text/html", body: body.into() }) }
    }

    /// Status 200 and no body.
    pub fn empty() -> Step {
        Step::new(Make::Bytes { content_type: "application/json", body: Bytes::new() })
    }

    /// Never answers; keeps the connection until the client leaves.
    pub fn hang() -> Step {
        Step::new(Make::Hang)
    }

    /// Streams `piece` for ever, until the client leaves; `Provider::played` counts.
    pub fn endless(piece: &str, every: Duration) -> Step {
        Step::new(Make::Endless { piece: piece.to_owned(), every })
    }

    /// Resets the connection instead of answering.
    pub fn drop_connection() -> Step {
        Step::new(Make::Drop)
    }

    /// Writes bytes that need not be HTTP, then closes.
    pub fn raw(bytes: impl Into<Bytes>) -> Step {
        Step::new(Make::Raw(bytes.into()))
    }
}

/// How the answer differs from an ordinary one.
impl Step {
    pub fn header(mut self, name: &str, value: &str) -> Step {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body and keeps status and headers.
    pub fn body(mut self, body: impl Into<Bytes>) -> Step {
        self.make = Make::Bytes { content_type: "application/json", body: body.into() };
        self
    }

    pub fn json(self, body: &Value) -> Step {
        self.body(body.to_string())
    }

    pub fn with_status(mut self, status: u16) -> Step {
        self.status = status;
        self
    }

    /// The model that the answer names; that of the request unless set.
    pub fn model(mut self, model: &str) -> Step {
        self.model = Some(model.to_owned());
        self
    }

    /// Waits before the head.
    pub fn delay(mut self, wait: Duration) -> Step {
        self.before_headers = wait;
        self
    }

    /// Waits between the head and the first frame.
    pub fn delay_first(mut self, wait: Duration) -> Step {
        self.before_first = wait;
        self
    }

    /// Waits between frames.
    pub fn delay_between(mut self, wait: Duration) -> Step {
        self.between = wait;
        self
    }

    /// Resets the connection after so many bytes of the body.
    pub fn cut_after_bytes(mut self, count: usize) -> Step {
        self.cut = Some((After::Bytes(count), CutBy::Reset));
        self
    }

    /// Resets the connection after so many frames.
    pub fn cut_after_frames(mut self, count: usize) -> Step {
        self.cut = Some((After::Frames(count), CutBy::Reset));
        self
    }

    /// Closes the connection in good order after so many frames, before HTTP's end of the body.
    pub fn close_after_frames(mut self, count: usize) -> Step {
        self.cut = Some((After::Frames(count), CutBy::Close));
        self
    }

    /// Ends the body, properly as HTTP sees it, in the middle of the frame after `count` whole ones.
    pub fn half_frame_after(mut self, count: usize) -> Step {
        self.half_frame_after = Some(count);
        self
    }

    /// Puts an error frame after `count` frames, in the shape of whoever was asked, and ends there, without `[DONE]`.
    pub fn error_in_stream(mut self, count: usize, message: &str) -> Step {
        self.error_after = Some((count, Fault::new("server_error", "server_error", message)));
        self
    }

    /// Sends the body in pieces cut at these byte positions, each on its own, whatever the frames.
    pub fn split_at(mut self, positions: &[usize]) -> Step {
        self.splits = positions.to_vec();
        self
    }

    /// Sends the body in pieces of so many bytes.
    pub fn split_every(mut self, bytes: usize) -> Step {
        self.split_every = Some(bytes.max(1));
        self
    }

    /// Sends the body with `content-encoding: gzip`.
    pub fn gzip(mut self) -> Step {
        self.is_gzip = true;
        self
    }

    fn change(mut self, change: impl FnOnce(&mut Say)) -> Step {
        match &mut self.make {
            Make::Say { say, .. } => change(say),
            other => panic!(
                "only an answer of a model has parts, usage, finish reason and end mark, not {other:?}"
            ),
        }
        self
    }

    /// And then says this.
    pub fn then_text(self, pieces: &[&str]) -> Step {
        self.change(|say| say.parts.push(Said::Text(owned(pieces))))
    }

    /// And then calls a tool.
    pub fn then_call(self, name: &str, arguments: &[&str]) -> Step {
        self.change(|say| say.parts.push(Said::Call { name: name.to_owned(), pieces: owned(arguments) }))
    }

    /// Prompt and completion tokens; 9 and 12 unless set.
    pub fn usage(self, prompt: u64, completion: u64) -> Step {
        self.change(|say| say.tokens = Tokens { prompt, completion, ..say.tokens })
    }

    /// Of the prompt tokens.
    pub fn cached(self, cached: u64) -> Step {
        self.change(|say| say.tokens.cached = cached)
    }

    /// Of the prompt tokens, those that the provider has put into its cache.
    pub fn written(self, written: u64) -> Step {
        self.change(|say| say.tokens.written = written)
    }

    /// Of the completion tokens.
    pub fn reasoning(self, reasoning: u64) -> Step {
        self.change(|say| say.tokens.reasoning = reasoning)
    }

    pub fn finish(self, finish: &str) -> Step {
        self.change(|say| say.finish = Some(finish.to_owned()))
    }

    /// A usage chunk also when nobody asked for one.
    pub fn with_usage_chunk(self) -> Step {
        self.change(|say| say.usage_chunk = UsageChunk::Always)
    }

    /// No usage chunk even when asked for, as some self-hosted servers do.
    pub fn without_usage_chunk(self) -> Step {
        self.change(|say| say.usage_chunk = UsageChunk::Never)
    }

    /// No `[DONE]`.
    pub fn without_done(self) -> Step {
        self.change(|say| say.has_done = false)
    }
}

fn owned(pieces: &[&str]) -> Vec<String> {
    pieces.iter().map(|piece| (*piece).to_owned()).collect()
}
