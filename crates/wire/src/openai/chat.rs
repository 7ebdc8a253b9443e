//! A chat completions request: what the gateway must know of it, and the changes that it makes to it.

mod message;
mod prompt;
mod read;

use std::ops::Range;

use bytes::Bytes;
use serde_json::Value;

pub use prompt::GauntletField;
pub use read::parse;
pub(crate) use read::{Seen, kept_string, metadata, refuse_case_variant, string};

use crate::{
    json::quote,
    splice::Edit,
    text::{Found, Kind, Segment},
};

/// Messages a request may have. Each costs some hundred bytes of ours beside its own; the longest agent sessions seen
/// have a few thousand.
pub const MESSAGES_MAX: usize = 20_000;

/// Answers that may be asked for at once: OpenAI's own limit.
pub const CHOICES_MAX: u32 = 128;

/// Pairs of `metadata` that are read; OpenAI allows 16. Further ones pass through unread.
pub const METADATA_MAX: usize = 64;

/// A value and where it stands in the body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// The two names of the output limit. OpenAI's reasoning models know only the new one, many servers only the old.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LimitField {
    MaxTokens,
    MaxCompletionTokens,
}

impl LimitField {
    pub const fn as_str(self) -> &'static str {
        match self {
            LimitField::MaxTokens => "max_tokens",
            LimitField::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// What the gateway must know of a request; everything else stays in the bytes untouched.
///
/// Fields that are `null` count as absent.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    /// The span includes the quotes.
    pub model: Spanned<String>,
    pub stream: bool,
    /// The caller asks for a usage chunk itself.
    pub include_usage: bool,
    /// `max_completion_tokens` or `max_tokens`; a request with both is refused, as OpenAI does, since providers differ
    /// in which one counts.
    pub max_tokens: Option<Spanned<u32>>,
    pub n: u32,
    pub user: Option<String>,
    /// Strings as they are, other scalars as they are written; objects and arrays are passed over.
    pub metadata: Vec<(String, String)>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub seed: Option<i64>,
    /// `flex`, `priority` …: changes the price.
    pub service_tier: Option<String>,
    pub reasoning_effort: Option<String>,
    pub has_tools: bool,
    /// Names of the tools offered, in order.
    pub tools: Vec<String>,
    pub response_format: Option<Range<usize>>,
    pub message_count: usize,
    /// The array with its brackets; an empty range if absent.
    pub messages: Range<usize>,
    /// Images, sounds and files among the content parts: tokens that no text shows.
    pub media_count: u32,
    /// The images among them.
    pub image_count: u32,
    /// The value of `stream_options`, `null` included.
    pub stream_options: Option<Range<usize>>,
    pub gauntlet: Option<GauntletField>,

    pub(crate) layout: Layout,
    pub(crate) texts: Vec<Found>,
}

/// Places that only edits need.
#[derive(Clone, Default, Debug)]
pub(crate) struct Layout {
    /// Just behind the object's opening brace: new members go here, each with its comma, since `model` follows.
    pub first_member: usize,
    /// The limit's value, `null` included.
    pub limit: Option<Range<usize>>,
    pub stream_options: StreamOptions,
}

#[derive(Clone, Default, Debug)]
pub(crate) enum StreamOptions {
    #[default]
    Absent,
    Null(Range<usize>),
    /// An object without `include_usage`: just behind its brace, and whether it is empty.
    Without {
        at: usize,
        is_empty: bool,
    },
    /// The value of `include_usage`.
    With(Range<usize>),
}

/// All texts that reach the model, in the order of the body: contents, text parts, tool results, arguments of tool
/// calls; also descriptions of tools and answer schemas (`Kind::Definition`). Message `name`s are not among them.
pub fn segments(request: &ChatRequest, body: &Bytes) -> Vec<Segment> {
    let read = request.texts.iter().filter(|found| found.kind != Kind::Other);
    read.map(|found| found.segment(body)).collect()
}

/// The strings that no model reads, for whoever keeps the body: `user`, `metadata`, names, unknown fields. Bytes of
/// media are not among them.
pub fn other_segments(request: &ChatRequest, body: &Bytes) -> Vec<Segment> {
    let others = request.texts.iter().filter(|found| found.kind == Kind::Other);
    others.map(|found| found.segment(body)).collect()
}

impl ChatRequest {
    /// Edit: another model.
    pub fn with_model(&self, model: &str) -> Edit {
        Edit::new(self.model.span.clone(), quote(model))
    }

    /// Edit: asks for a usage chunk, keeping the caller's other stream options. None if the caller asks for one or the
    /// answer is not streamed: some servers refuse `stream_options` without `stream`.
    pub fn with_usage(&self) -> Option<Edit> {
        if !self.stream || self.include_usage {
            return None;
        }
        const OPTIONS: &[u8] = br#"{"include_usage":true}"#;
        Some(match &self.layout.stream_options {
            StreamOptions::Absent => {
                Edit::insert(self.layout.first_member, &br#""stream_options":{"include_usage":true},"#[..])
            }
            StreamOptions::Null(span) => Edit::new(span.clone(), OPTIONS),
            StreamOptions::Without { at, is_empty: true } => {
                Edit::insert(*at, &br#""include_usage":true"#[..])
            }
            StreamOptions::Without { at, is_empty: false } => {
                Edit::insert(*at, &br#""include_usage":true,"#[..])
            }
            StreamOptions::With(span) => Edit::new(span.clone(), &b"true"[..]),
        })
    }

    /// Edits: cuts our own extension out. Empty when there is none.
    pub fn without_gauntlet(&self) -> Vec<Edit> {
        self.gauntlet.iter().map(|field| Edit::new(field.member.clone(), Bytes::new())).collect()
    }

    /// Edit: our own extension as the record shall hold it, in place of the caller's.
    pub fn with_noted(&self, noted: &Value) -> Edit {
        Edit::insert(self.layout.first_member, format!(r#""gauntlet":{noted},"#))
    }

    /// Edit: puts a system message first. Without messages the text becomes the one user message, since providers
    /// refuse a request that has none from the user.
    pub fn with_system(&self, body: &Bytes, text: &str) -> Edit {
        self.with_prompt(body, &[("system", text)])
    }

    /// Edit: puts these messages (role, text) first. Without messages of the caller's, a lone system message becomes
    /// the one user message, since providers refuse a request that has none from the user.
    pub fn with_prompt(&self, body: &Bytes, messages: &[(&str, &str)]) -> Edit {
        let is_only = self.message_count == 0;
        let mut all = Vec::new();
        for (index, (role, text)) in messages.iter().enumerate() {
            let role = if is_only && messages.len() == 1 && *role == "system" { "user" } else { role };
            if index > 0 {
                all.push(b',');
            }
            all.extend_from_slice(b"{\"role\":");
            all.extend_from_slice(&quote(role));
            all.extend_from_slice(b",\"content\":");
            all.extend_from_slice(&quote(text));
            all.push(b'}');
        }
        if self.messages.is_empty() {
            let member = [b"\"messages\":[", &all[..], b"],"].concat();
            return Edit::insert(self.layout.first_member, member);
        }
        debug_assert_eq!(body.get(self.messages.start), Some(&b'['), "the body that was parsed");
        if !is_only && !all.is_empty() {
            all.push(b',');
        }
        Edit::insert(self.messages.start + 1, all)
    }

    /// Edit: puts these messages (role, text) behind the caller's; none where there are none.
    pub fn with_more(&self, body: &Bytes, messages: &[(&str, &str)]) -> Option<Edit> {
        if self.message_count == 0 || self.messages.len() < 2 {
            return None;
        }
        let end = self.messages.end - 1;
        debug_assert_eq!(body.get(end), Some(&b']'), "the body that was parsed");
        let mut all = Vec::new();
        for (role, text) in messages {
            all.extend_from_slice(b",{\"role\":");
            all.extend_from_slice(&quote(role));
            all.extend_from_slice(b",\"content\":");
            all.extend_from_slice(&quote(text));
            all.push(b'}');
        }
        Some(Edit::insert(end, all))
    }

    /// Edit: another output limit, under the caller's own name for it, or else under `absent`.
    pub fn with_max_tokens(&self, limit: u32, absent: LimitField) -> Edit {
        match &self.layout.limit {
            Some(span) => Edit::new(span.clone(), limit.to_string()),
            None => Edit::insert(self.layout.first_member, format!(r#""{}":{limit},"#, absent.as_str())),
        }
    }
}

#[cfg(test)]
mod tests;
