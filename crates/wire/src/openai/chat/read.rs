//! One pass over a request: validates the JSON, reads what the gateway must know, notes where texts stand.
//!
//! **Duplicate keys.** Two of a key that we read (in the request, a message or a content part) are refused: a provider
//! may take the first and we the last, and a guard would then look at words that the model never sees. For the same
//! reason a key that differs from one of ours only in case is refused (Go servers match keys in any case). Unknown keys
//! pass through, twice or not.

use std::ops::Range;

use bytes::Bytes;

use gauntlet_types::Dialect;

use super::{
    Layout, StreamOptions,
    message::{self, Messages},
};
use crate::{
    conversation::{self, CHOICES_MAX, Conversation, LimitField, Spanned},
    extension::{self, Form, GauntletField},
    json::{Cursor, Fail, Malformed, Scan, ValueKind},
    reading::{Seen, fields, kept_string, metadata, refuse_case_variant},
    text::{Found, Place, others},
};

fields! {
    Model = "model", Messages = "messages", Stream = "stream", StreamOptions = "stream_options", MaxTokens = "max_tokens",
    MaxCompletionTokens = "max_completion_tokens", N = "n", User = "user", Metadata = "metadata",
    Temperature = "temperature", TopP = "top_p", Seed = "seed", ServiceTier = "service_tier",
    ReasoningEffort = "reasoning_effort", Tools = "tools", Functions = "functions", ResponseFormat = "response_format",
    Prediction = "prediction", Gauntlet = "gauntlet", Prompt = "prompt",
}

/// Reads a request. Errors name the field at fault and its line and column.
pub fn parse(body: &Bytes) -> Result<Conversation, Malformed> {
    read(body).map_err(|fail| fail.locate(body))
}

#[derive(Default)]
struct Draft {
    model: Option<Spanned<String>>,
    stream: bool,
    include_usage: bool,
    max_tokens: Option<Spanned<u32>>,
    limit_field: Option<LimitField>,
    n: Option<u32>,
    user: Option<String>,
    metadata: Vec<(String, String)>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    service_tier: Option<String>,
    reasoning_effort: Option<String>,
    has_tools: bool,
    tools: Vec<String>,
    response_format: Option<Range<usize>>,
    messages: Option<Messages>,
    gauntlet: Option<GauntletField>,
    layout: Layout,
    texts: Vec<Found>,
}

fn read(body: &[u8]) -> Scan<Conversation> {
    let mut cursor = Cursor::new(body)?;
    if cursor.kind()? != ValueKind::Object {
        return Err(Fail::new(cursor.at(), "the body must be a JSON object"));
    }
    let mut object = cursor.enter()?;
    let mut draft = Draft::default();
    draft.layout.first_member = cursor.at();
    let mut seen = Seen::default();
    while let Some(key) = cursor.member(&mut object)? {
        let Some(field) = Field::of(&key) else {
            refuse_case_variant(&key, Field::KEYS, object.key)?;
            others(&mut cursor, &mut draft.texts)?;
            continue;
        };
        seen.once(field as u32, object.key, &key)?;
        // `prompt` is ours only as an object; as anything else it is a field that some server knows.
        let is_ours = match field {
            Field::Prompt => cursor.kind()? == ValueKind::Object,
            Field::Gauntlet => true,
            _ => false,
        };
        if is_ours {
            let form = if field == Field::Prompt { Form::Prompt } else { Form::Gauntlet };
            if cursor.kind()? != ValueKind::Object {
                return Err(Fail::field(cursor.at(), "gauntlet", "must be an object"));
            }
            if draft.gauntlet.is_some() {
                return Err(Fail::field(
                    object.key,
                    key,
                    "is a second prompt beside `gauntlet` or `prompt`: one is enough",
                ));
            }
            draft.gauntlet = Some(extension::read(&mut cursor, &object, form)?);
            continue;
        }
        draft.field(&mut cursor, field)?;
    }
    cursor.finish()?;
    draft.finish(body.len())
}

impl Draft {
    fn field(&mut self, cursor: &mut Cursor<'_>, field: Field) -> Scan<()> {
        match field {
            Field::StreamOptions => {
                (self.layout.stream_options, self.include_usage) = stream_options(cursor, &mut self.texts)?;
                return Ok(());
            }
            Field::MaxTokens => return self.limit(cursor, LimitField::MaxTokens),
            Field::MaxCompletionTokens => return self.limit(cursor, LimitField::MaxCompletionTokens),
            Field::Model | Field::Messages => {}
            _ if cursor.null()? => return Ok(()),
            _ => {}
        }
        match field {
            Field::Model => {
                let literal = cursor.expect_string("model")?;
                if literal.is_empty() {
                    return Err(Fail::field(literal.start, "model", "is empty"));
                }
                self.model =
                    Some(Spanned { value: cursor.text(literal).into_owned(), span: literal.quoted() });
            }
            Field::Messages => self.messages = Some(message::read(cursor, &mut self.texts)?),
            Field::Stream => self.stream = cursor.expect_bool("stream")?,
            Field::N => self.n = Some(choices(cursor)?),
            Field::User => self.user = Some(kept_string(cursor, "user", &mut self.texts)?),
            Field::Metadata => self.metadata = metadata(cursor, &mut self.texts)?,
            Field::Temperature => self.temperature = Some(cursor.expect_float("temperature")?),
            Field::TopP => self.top_p = Some(cursor.expect_float("top_p")?),
            Field::Seed => self.seed = Some(cursor.expect_whole("seed", "of 64 bits")?),
            Field::ServiceTier => {
                self.service_tier = Some(kept_string(cursor, "service_tier", &mut self.texts)?)
            }
            Field::ReasoningEffort => {
                self.reasoning_effort = Some(kept_string(cursor, "reasoning_effort", &mut self.texts)?)
            }
            Field::Tools => self.tools(cursor, "tools")?,
            Field::Functions => self.tools(cursor, "functions")?,
            Field::ResponseFormat => {
                let start = cursor.at();
                message::definitions(cursor, Place::ResponseFormat, &mut self.texts)?;
                self.response_format = Some(start..cursor.at());
            }
            Field::Prediction => message::prediction(cursor, &mut self.texts)?,
            Field::StreamOptions
            | Field::MaxTokens
            | Field::MaxCompletionTokens
            | Field::Gauntlet
            | Field::Prompt => others(cursor, &mut self.texts)?,
        }
        Ok(())
    }

    fn limit(&mut self, cursor: &mut Cursor<'_>, field: LimitField) -> Scan<()> {
        let is_null = cursor.null()?;
        if is_null {
            // A null limit is as good as none, but a second key beside it would not be.
            self.layout.limit.get_or_insert(cursor.at() - 4..cursor.at());
            return Ok(());
        }
        let start = cursor.at();
        if let Some(other) = self.limit_field {
            let message = format_args!("cannot be given together with `{}`", other.as_str());
            return Err(Fail::field(start, field.as_str(), message));
        }
        let value = cursor.expect_whole(field.as_str(), "from 0 to 4294967295")?;
        self.limit_field = Some(field);
        self.layout.is_new_limit = field == LimitField::MaxCompletionTokens;
        self.max_tokens = Some(Spanned { value, span: start..cursor.at() });
        self.layout.limit = Some(start..cursor.at());
        Ok(())
    }

    fn tools(&mut self, cursor: &mut Cursor<'_>, param: &str) -> Scan<()> {
        let mut array = cursor.expect_array(param)?;
        let mut index = 0;
        while cursor.item(&mut array)? {
            self.has_tools = true;
            let place = if param == "tools" {
                Place::Tool { tool: index }
            } else {
                Place::Function { function: index }
            };
            message::tool(cursor, place, &mut self.tools, &mut self.texts)?;
            index += 1;
        }
        Ok(())
    }

    fn finish(self, end: usize) -> Scan<Conversation> {
        let Some(model) = self.model else { return Err(Fail::field(end, "model", "is missing")) };
        // The prompt may be named elsewhere too (a header, the route); `render` refuses what stays empty.
        let names_prompt = self.gauntlet.is_some();
        let messages = match self.messages {
            Some(messages) if messages.count > 0 || names_prompt => messages,
            Some(messages) => return Err(Fail::field(messages.span.start, "messages", "is empty")),
            None if names_prompt => Messages::default(),
            None => return Err(Fail::field(end, "messages", "is missing")),
        };
        Ok(Conversation {
            dialect: Dialect::Chat,
            model,
            stream: self.stream,
            include_usage: self.include_usage,
            max_tokens: self.max_tokens,
            n: self.n.unwrap_or(1),
            user: self.user,
            metadata: self.metadata,
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            service_tier: self.service_tier,
            reasoning_effort: self.reasoning_effort,
            has_tools: self.has_tools,
            tools: self.tools,
            response_format: self.response_format,
            message_count: messages.count,
            messages: messages.span,
            media_count: messages.media_count,
            image_count: messages.image_count,
            state: None,
            gauntlet: self.gauntlet,
            layout: conversation::Layout::Chat(self.layout),
            texts: self.texts,
        })
    }
}

/// Reads `stream_options`: where it stands, and whether it asks for the usage.
pub(crate) fn stream_options(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<(StreamOptions, bool)> {
    cursor.kind()?;
    let start = cursor.at();
    if cursor.null()? {
        return Ok((StreamOptions::Null(start..cursor.at()), false));
    }
    let mut object = cursor.expect_object("stream_options")?;
    let inside = cursor.at();
    let (mut is_empty, mut is_asked) = (true, false);
    let mut value = None;
    while let Some(key) = cursor.member(&mut object)? {
        is_empty = false;
        if key != "include_usage" {
            others(cursor, texts)?;
            continue;
        }
        if value.is_some() {
            return Err(Fail::field(object.key, "stream_options.include_usage", "is given twice"));
        }
        if cursor.null()? {
            value = Some(cursor.at() - 4..cursor.at());
            continue;
        }
        let start = cursor.at();
        is_asked = cursor.expect_bool("stream_options.include_usage")?;
        value = Some(start..cursor.at());
    }
    let options = match value {
        Some(span) => StreamOptions::With(span),
        None => StreamOptions::Without { at: inside, is_empty },
    };
    Ok((options, is_asked))
}

/// Reads `n`.
pub(crate) fn choices(cursor: &mut Cursor<'_>) -> Scan<u32> {
    let start = cursor.at();
    let n = cursor.expect_whole("n", "from 1 to 128")?;
    if (1..=CHOICES_MAX).contains(&n) {
        Ok(n)
    } else {
        Err(Fail::field(start, "n", "must be a whole number from 1 to 128"))
    }
}

// `Seen` keeps one bit a field.
const _: () = assert!(Field::KEYS.len() <= 32);
