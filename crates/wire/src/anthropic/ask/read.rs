//! One pass over a request: validates the JSON, reads what the gateway must know, notes where texts stand.
//!
//! Keys that we read are refused twice and in other case, for the reasons that `openai/chat/read.rs` gives.

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::Dialect;

use super::{
    Layout, System,
    message::{self, Messages},
};
use crate::{
    conversation::{self, Conversation, Spanned},
    extension::{self, Form, GauntletField},
    json::{Cursor, Fail, Malformed, Scan, ValueKind},
    reading::{Seen, fields, kept_string, metadata, refuse_case_variant},
    text::{Found, Kind, Place, Role, other, others, strings_named},
};

fields! {
    Model = "model", Messages = "messages", System = "system", Stream = "stream", MaxTokens = "max_tokens",
    Metadata = "metadata", Temperature = "temperature", TopP = "top_p", ServiceTier = "service_tier", Tools = "tools",
    OutputConfig = "output_config", OutputFormat = "output_format", Container = "container",
    ContextManagement = "context_management", McpServers = "mcp_servers", Thinking = "thinking", Gauntlet = "gauntlet",
}

/// Reads a request of either door. Errors name the field at fault and its line and column.
pub(crate) fn parse(body: &Bytes) -> Result<Conversation, Malformed> {
    read(body).map_err(|fail| fail.locate(body))
}

#[derive(Default)]
struct Draft {
    model: Option<Spanned<String>>,
    stream: bool,
    max_tokens: Option<Spanned<u32>>,
    user: Option<String>,
    metadata: Vec<(String, String)>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    service_tier: Option<String>,
    effort: Option<String>,
    has_tools: bool,
    tools: Vec<String>,
    format: Option<Range<usize>>,
    container: Option<String>,
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
        if field == Field::Gauntlet {
            if cursor.kind()? != ValueKind::Object {
                return Err(Fail::field(cursor.at(), "gauntlet", "must be an object"));
            }
            draft.gauntlet = Some(extension::read(&mut cursor, &object, Form::Gauntlet)?);
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
            Field::MaxTokens => return self.limit(cursor),
            Field::System => return self.system(cursor),
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
            Field::Metadata => self.who(cursor)?,
            Field::Temperature => self.temperature = Some(cursor.expect_float("temperature")?),
            Field::TopP => self.top_p = Some(cursor.expect_float("top_p")?),
            Field::ServiceTier => {
                self.service_tier = Some(kept_string(cursor, "service_tier", &mut self.texts)?)
            }
            Field::Tools => {
                let mut array = cursor.expect_array("tools")?;
                let mut index = 0;
                while cursor.item(&mut array)? {
                    self.has_tools = true;
                    message::tool(cursor, index, &mut self.tools, &mut self.texts)?;
                    index += 1;
                }
            }
            Field::Thinking => self.thinking(cursor)?,
            Field::OutputConfig => self.output_config(cursor)?,
            Field::OutputFormat => self.format(cursor, "output_format")?,
            Field::Container => self.container(cursor)?,
            // What the model is told when it sums up a conversation that has become too long.
            Field::ContextManagement => {
                let texts = &mut self.texts;
                strings_named(cursor, "instructions", &mut |literal, is_named| match is_named {
                    true if literal.is_empty() => {}
                    true => texts.push(Found {
                        place: Place::Elsewhere,
                        role: Role::System,
                        kind: Kind::Words,
                        literal,
                    }),
                    false => other(literal, texts),
                })?;
            }
            // The tools behind these servers are the model's like those of the request; their names are not known here.
            Field::McpServers => {
                let start = cursor.at();
                others(cursor, &mut self.texts)?;
                self.has_tools |= cursor.slice(start..cursor.at()).contains('{');
            }
            Field::MaxTokens | Field::System | Field::Gauntlet => others(cursor, &mut self.texts)?,
        }
        Ok(())
    }

    fn limit(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        cursor.kind()?;
        let start = cursor.at();
        if !cursor.null()? {
            let value = cursor.expect_whole("max_tokens", "from 0 to 4294967295")?;
            self.max_tokens = Some(Spanned { value, span: start..cursor.at() });
        }
        self.layout.limit = Some(start..cursor.at());
        Ok(())
    }

    fn system(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let kind = cursor.kind()?;
        let start = cursor.at();
        self.layout.system = match kind {
            ValueKind::Null => {
                cursor.word("null")?;
                System::Null(start..cursor.at())
            }
            ValueKind::String => {
                let literal = cursor.literal()?;
                message::system_text(literal, &mut self.texts);
                System::Text(literal.range())
            }
            ValueKind::Array => {
                let count = message::system_blocks(cursor, &mut self.texts)?;
                System::Blocks { at: start + 1, is_empty: count == 0 }
            }
            kind => {
                let wanted = format_args!("must be a string or an array, not {}", kind.name());
                return Err(Fail::field(start, "system", wanted));
            }
        };
        Ok(())
    }

    /// `metadata.user_id` is who asks; Claude Code puts JSON in it, which stays as it is.
    fn who(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        cursor.kind()?;
        let start = cursor.at();
        let mut pairs = metadata(cursor, &mut self.texts)?;
        for (key, value) in pairs.extract_if(.., |(key, _)| key.eq_ignore_ascii_case("user_id")) {
            if key != "user_id" {
                refuse_case_variant(&key, &["user_id"], start)?;
            }
            if self.user.replace(value).is_some() {
                return Err(Fail::field(start, "metadata.user_id", "is given twice"));
            }
        }
        self.metadata = pairs;
        Ok(())
    }

    fn output_config(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        const KEYS: &[&str] = &["effort", "format"];
        let mut object = cursor.expect_object("output_config")?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            let Some(bit) = KEYS.iter().position(|known| *known == key) else {
                refuse_case_variant(&key, KEYS, object.key)?;
                others(cursor, &mut self.texts)?;
                continue;
            };
            seen.once(bit as u32, object.key, format_args!("output_config.{key}"))?;
            match &*key {
                _ if cursor.null()? => {}
                "effort" => self.effort = Some(kept_string(cursor, "output_config.effort", &mut self.texts)?),
                _ => self.format(cursor, "output_config.format")?,
            }
        }
        Ok(())
    }

    fn thinking(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        cursor.kind()?;
        let start = cursor.at();
        let mut object = cursor.expect_object("thinking")?;
        while let Some(key) = cursor.member(&mut object)? {
            if key != "budget_tokens" {
                refuse_case_variant(&key, &["budget_tokens"], object.key)?;
                others(cursor, &mut self.texts)?;
                continue;
            }
            if cursor.null()? {
                continue;
            }
            cursor.kind()?;
            let at = cursor.at();
            let value = cursor.expect_whole("thinking.budget_tokens", "from 0 to 4294967295")?;
            if self.layout.budget.replace(Spanned { value, span: at..cursor.at() }).is_some() {
                return Err(Fail::field(at, "thinking.budget_tokens", "is given twice"));
            }
        }
        self.layout.thinking = Some(start..cursor.at());
        Ok(())
    }

    fn format(&mut self, cursor: &mut Cursor<'_>, param: &str) -> Scan<()> {
        cursor.kind()?;
        let start = cursor.at();
        if self.format.is_some() {
            return Err(Fail::field(start, param, "is a second format of the output: one is enough"));
        }
        message::definitions(cursor, Place::ResponseFormat, &mut self.texts)?;
        self.format = Some(start..cursor.at());
        Ok(())
    }

    /// The container that the provider keeps of an earlier call: its id, or an object with it.
    fn container(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        if cursor.kind()? != ValueKind::Object {
            self.container = Some(kept_string(cursor, "container", &mut self.texts)?);
            return Ok(());
        }
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            if key == "id" && cursor.kind()? == ValueKind::String {
                self.container = Some(kept_string(cursor, "container.id", &mut self.texts)?);
            } else {
                others(cursor, &mut self.texts)?;
            }
        }
        Ok(())
    }

    fn finish(self, end: usize) -> Scan<Conversation> {
        let Some(model) = self.model else { return Err(Fail::field(end, "model", "is missing")) };
        let names_prompt = self.gauntlet.is_some();
        let messages = match self.messages {
            Some(messages) if messages.count > 0 || names_prompt => messages,
            Some(messages) => return Err(Fail::field(messages.span.start, "messages", "is empty")),
            None if names_prompt => Messages::default(),
            None => return Err(Fail::field(end, "messages", "is missing")),
        };
        Ok(Conversation {
            dialect: Dialect::Messages,
            model,
            stream: self.stream,
            include_usage: true,
            max_tokens: self.max_tokens,
            n: 1,
            user: self.user,
            metadata: self.metadata,
            temperature: self.temperature,
            top_p: self.top_p,
            seed: None,
            service_tier: self.service_tier,
            reasoning_effort: self.effort,
            has_tools: self.has_tools,
            tools: self.tools,
            response_format: self.format,
            message_count: messages.count,
            messages: messages.span,
            media_count: messages.media_count,
            image_count: messages.image_count,
            state: self.container,
            gauntlet: self.gauntlet,
            layout: conversation::Layout::Messages(self.layout),
            texts: self.texts,
        })
    }
}

// `Seen` keeps one bit a field.
const _: () = assert!(Field::KEYS.len() <= 32);
