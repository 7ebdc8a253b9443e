//! One pass over a request: validates the JSON, reads what the gateway must know, notes where texts stand. Duplicate keys
//! are treated as in chat.

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::Dialect;

use super::{
    Layout,
    item::{self, Items},
};
use crate::{
    conversation::{self, Conversation, Spanned},
    extension::{self, Form, GauntletField},
    json::{Cursor, Fail, Literal, Malformed, Scan, ValueKind},
    openai::chat::message::definitions,
    reading::{Seen, fields, kept_string, metadata, refuse_case_variant},
    text::{Found, Kind, Place, Role, all_strings, other, others, strings_named},
};

fields! {
    Model = "model", Input = "input", Instructions = "instructions", Stream = "stream",
    MaxOutputTokens = "max_output_tokens", User = "user", SafetyIdentifier = "safety_identifier", Metadata = "metadata",
    Temperature = "temperature", TopP = "top_p", ServiceTier = "service_tier", Reasoning = "reasoning", Tools = "tools",
    Text = "text", PreviousResponseId = "previous_response_id", Conversation = "conversation", Gauntlet = "gauntlet",
    Prompt = "prompt",
}

/// Begins the ids of prompts that OpenAI keeps, so that nobody here may have a prompt of such a name.
pub(super) const NATIVE_PROMPT: &str = "pmpt_";

/// Reads a request. Errors name the field at fault and its line and column.
pub fn parse(body: &Bytes) -> Result<Conversation, Malformed> {
    read(body).map_err(|fail| fail.locate(body))
}

#[derive(Default)]
struct Draft {
    model: Option<Spanned<String>>,
    stream: bool,
    max_tokens: Option<Spanned<u32>>,
    user: Option<String>,
    safety_identifier: Option<String>,
    metadata: Vec<(String, String)>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    service_tier: Option<String>,
    reasoning_effort: Option<String>,
    has_tools: bool,
    tools: Vec<String>,
    response_format: Option<Range<usize>>,
    input: Option<Items>,
    has_instructions: bool,
    has_native_prompt: bool,
    state: Option<String>,
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
        let form = match field {
            Field::Gauntlet => Some(Form::Gauntlet),
            Field::Prompt if is_ours(&cursor)? => Some(Form::Prompt),
            _ => None,
        };
        let Some(form) = form else {
            draft.field(&mut cursor, field)?;
            continue;
        };
        if cursor.kind()? != ValueKind::Object {
            return Err(Fail::field(cursor.at(), "gauntlet", "must be an object"));
        }
        if draft.gauntlet.is_some() {
            let why = "is a second prompt beside `gauntlet` or `prompt`: one is enough";
            return Err(Fail::field(object.key, key, why));
        }
        draft.gauntlet = Some(extension::read(&mut cursor, &object, form)?);
    }
    cursor.finish()?;
    draft.finish(body.len())
}

/// Whether the `prompt` that follows names one of ours.
fn is_ours(cursor: &Cursor<'_>) -> Scan<bool> {
    let mut ahead = cursor.clone();
    if ahead.kind()? != ValueKind::Object {
        return Ok(false);
    }
    let mut object = ahead.enter()?;
    let mut is_native = false;
    while let Some(key) = ahead.member(&mut object)? {
        if key == "id" && ahead.kind()? == ValueKind::String {
            let literal = ahead.literal()?;
            is_native |= ahead.text(literal).starts_with(NATIVE_PROMPT);
        } else {
            ahead.skip()?;
        }
    }
    Ok(!is_native)
}

impl Draft {
    fn field(&mut self, cursor: &mut Cursor<'_>, field: Field) -> Scan<()> {
        match field {
            Field::MaxOutputTokens => return self.limit(cursor),
            Field::Model => {}
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
            Field::Input => self.input(cursor)?,
            Field::Instructions => {
                let literal = cursor.expect_string("instructions")?;
                self.has_instructions = !literal.is_empty();
                self.see(Place::Field("instructions"), Role::System, literal);
            }
            Field::Stream => self.stream = cursor.expect_bool("stream")?,
            Field::User => self.user = Some(kept_string(cursor, "user", &mut self.texts)?),
            Field::SafetyIdentifier => {
                self.safety_identifier = Some(kept_string(cursor, "safety_identifier", &mut self.texts)?);
            }
            Field::Metadata => self.metadata = metadata(cursor, &mut self.texts)?,
            Field::Temperature => self.temperature = Some(cursor.expect_float("temperature")?),
            Field::TopP => self.top_p = Some(cursor.expect_float("top_p")?),
            Field::ServiceTier => {
                self.service_tier = Some(kept_string(cursor, "service_tier", &mut self.texts)?);
            }
            Field::Reasoning => self.reasoning(cursor)?,
            Field::Tools => self.tools(cursor)?,
            Field::Text => self.text(cursor)?,
            Field::PreviousResponseId => {
                self.state = Some(kept_string(cursor, "previous_response_id", &mut self.texts)?);
            }
            Field::Conversation => self.conversation(cursor)?,
            Field::Prompt => self.native_prompt(cursor)?,
            Field::MaxOutputTokens | Field::Gauntlet => others(cursor, &mut self.texts)?,
        }
        Ok(())
    }

    fn see(&mut self, place: Place, role: Role, literal: Literal) {
        if !literal.is_empty() {
            self.texts.push(Found { place, role, kind: Kind::Words, literal });
        }
    }

    fn limit(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        cursor.kind()?;
        let start = cursor.at();
        if !cursor.null()? {
            let value = cursor.expect_whole("max_output_tokens", "from 0 to 4294967295")?;
            self.max_tokens = Some(Spanned { value, span: start..cursor.at() });
        }
        self.layout.limit = Some(start..cursor.at());
        Ok(())
    }

    fn input(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        if cursor.kind()? != ValueKind::String {
            let items = item::read(cursor, &mut self.texts)?;
            self.state = self.state.take().or_else(|| items.reference.clone());
            self.input = Some(items);
            return Ok(());
        }
        let literal = cursor.literal()?;
        self.see(Place::Input { item: None }, Role::User, literal);
        self.layout.words = Some(literal.quoted());
        self.input = Some(Items { count: 1, ..Items::default() });
        Ok(())
    }

    fn reasoning(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let mut object = cursor.expect_object("reasoning")?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            if key == "effort" {
                seen.once(0, object.key, "reasoning.effort")?;
                if !cursor.null()? {
                    let effort = kept_string(cursor, "reasoning.effort", &mut self.texts)?;
                    self.reasoning_effort = Some(effort);
                }
            } else {
                refuse_case_variant(&key, &["effort"], object.key)?;
                others(cursor, &mut self.texts)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let mut object = cursor.expect_object("text")?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            if key != "format" {
                refuse_case_variant(&key, &["format"], object.key)?;
                others(cursor, &mut self.texts)?;
                continue;
            }
            seen.once(0, object.key, "text.format")?;
            if !cursor.null()? {
                let start = cursor.at();
                definitions(cursor, Place::ResponseFormat, &mut self.texts)?;
                self.response_format = Some(start..cursor.at());
            }
        }
        Ok(())
    }

    /// A tool that the provider has itself has no name but its type.
    fn tools(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let mut array = cursor.expect_array("tools")?;
        let mut index = 0;
        while cursor.item(&mut array)? {
            self.has_tools = true;
            let named = self.tools.len();
            let kind = item::type_of(cursor)?;
            self.tool(cursor, Place::Tool { tool: index })?;
            if let (Some(kind), true) = (kind, self.tools.len() == named) {
                self.tools.push(kind);
            }
            index += 1;
        }
        Ok(())
    }

    fn tool(&mut self, cursor: &mut Cursor<'_>, place: Place) -> Scan<()> {
        let mut object = cursor.expect_object(place)?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("name", ValueKind::String) => {
                    self.tools.push(kept_string(cursor, "name", &mut self.texts)?);
                }
                ("description" | "server_description", ValueKind::String) => {
                    let literal = cursor.literal()?;
                    self.define(place, literal);
                }
                // The grammar of a custom tool.
                ("format", _) => {
                    let mut found = Vec::new();
                    strings_named(cursor, "definition", &mut |literal, is_named| {
                        found.push((literal, is_named));
                    })?;
                    for (literal, is_named) in found {
                        if is_named { self.define(place, literal) } else { other(literal, &mut self.texts) }
                    }
                }
                _ => definitions(cursor, place, &mut self.texts)?,
            }
        }
        Ok(())
    }

    fn define(&mut self, place: Place, literal: Literal) {
        if !literal.is_empty() {
            let (role, kind) = (Role::Other, Kind::Definition);
            self.texts.push(Found { place, role, kind, literal });
        }
    }

    /// An id, or an object with one.
    fn conversation(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        if cursor.kind()? == ValueKind::String {
            self.state = Some(kept_string(cursor, "conversation", &mut self.texts)?);
            return Ok(());
        }
        let mut object = cursor.expect_object("conversation")?;
        while let Some(key) = cursor.member(&mut object)? {
            if key == "id" {
                self.state = Some(kept_string(cursor, "conversation.id", &mut self.texts)?);
            } else {
                others(cursor, &mut self.texts)?;
            }
        }
        Ok(())
    }

    /// A prompt that OpenAI keeps: its variables reach the model.
    fn native_prompt(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        if cursor.kind()? != ValueKind::Object {
            return others(cursor, &mut self.texts);
        }
        self.has_native_prompt = true;
        let mut object = cursor.enter()?;
        while let Some(key) = cursor.member(&mut object)? {
            if key == "id" && self.state.is_none() {
                self.state = Some(kept_string(cursor, "prompt.id", &mut self.texts)?);
            } else if key == "variables" {
                let mut found = Vec::new();
                all_strings(cursor, &mut |literal| found.push(literal))?;
                found.into_iter().for_each(|literal| self.see(Place::Field("prompt"), Role::User, literal));
            } else {
                others(cursor, &mut self.texts)?;
            }
        }
        Ok(())
    }

    fn finish(self, end: usize) -> Scan<Conversation> {
        let Some(model) = self.model else { return Err(Fail::field(end, "model", "is missing")) };
        // A prompt may be named elsewhere too (a header, the route); `render` refuses what stays empty.
        let is_optional = self.gauntlet.is_some()
            || self.has_native_prompt
            || self.state.is_some()
            || self.has_instructions;
        let input = match self.input {
            Some(input) if input.count > 0 || is_optional => input,
            Some(input) => return Err(Fail::field(input.span.start, "input", "is empty")),
            None if is_optional => Items::default(),
            None => return Err(Fail::field(end, "input", "is missing")),
        };
        Ok(Conversation {
            dialect: Dialect::Responses,
            model,
            stream: self.stream,
            include_usage: true,
            max_tokens: self.max_tokens,
            n: 1,
            user: self.safety_identifier.or(self.user),
            metadata: self.metadata,
            temperature: self.temperature,
            top_p: self.top_p,
            seed: None,
            service_tier: self.service_tier,
            reasoning_effort: self.reasoning_effort,
            has_tools: self.has_tools,
            tools: self.tools,
            response_format: self.response_format,
            message_count: input.count,
            messages: input.span,
            media_count: input.media_count,
            image_count: input.image_count,
            state: self.state,
            gauntlet: self.gauntlet,
            layout: conversation::Layout::Responses(self.layout),
            texts: self.texts,
        })
    }
}

/// One string for the record alone, and what it says.
pub(super) fn noted(cursor: &mut Cursor<'_>, texts: &mut Vec<Found>) -> Scan<Option<String>> {
    if cursor.kind()? != ValueKind::String {
        others(cursor, texts)?;
        return Ok(None);
    }
    let literal = cursor.literal()?;
    other(literal, texts);
    Ok(Some(cursor.text(literal).into_owned()))
}

// `Seen` keeps one bit a field.
const _: () = assert!(Field::KEYS.len() <= 32);
