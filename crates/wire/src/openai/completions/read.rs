//! One pass over a request. Duplicate keys are treated as in chat.

use bytes::Bytes;
use gauntlet_types::Dialect;

use super::Layout;
use crate::{
    conversation::{self, Conversation, MESSAGES_MAX, Spanned},
    extension::{self, Form, GauntletField},
    json::{Cursor, Fail, Literal, Malformed, Scan, ValueKind},
    openai::chat::read::{choices, stream_options},
    reading::{Seen, fields, kept_string, metadata, refuse_case_variant},
    text::{Found, Kind, Place, Role, others},
};

fields! {
    Model = "model", Prompt = "prompt", Suffix = "suffix", Stream = "stream", StreamOptions = "stream_options",
    MaxTokens = "max_tokens", N = "n", BestOf = "best_of", User = "user", Metadata = "metadata",
    Temperature = "temperature", TopP = "top_p", Seed = "seed", ServiceTier = "service_tier", Gauntlet = "gauntlet",
}

/// Reads a request. Errors name the field at fault and its line and column.
pub fn parse(body: &Bytes) -> Result<Conversation, Malformed> {
    read(body).map_err(|fail| fail.locate(body))
}

#[derive(Default)]
struct Draft {
    model: Option<Spanned<String>>,
    prompts: usize,
    has_prompt: bool,
    stream: bool,
    include_usage: bool,
    max_tokens: Option<Spanned<u32>>,
    n: Option<u32>,
    best_of: Option<u32>,
    user: Option<String>,
    metadata: Vec<(String, String)>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    service_tier: Option<String>,
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
        let kind = cursor.kind()?;
        let form = match field {
            Field::Gauntlet => Some(Form::Gauntlet),
            Field::Prompt if kind == ValueKind::Object => Some(Form::Prompt),
            _ => None,
        };
        let Some(form) = form else {
            draft.field(&mut cursor, field)?;
            continue;
        };
        if kind != ValueKind::Object {
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

impl Draft {
    fn field(&mut self, cursor: &mut Cursor<'_>, field: Field) -> Scan<()> {
        match field {
            Field::StreamOptions => {
                (self.layout.stream_options, self.include_usage) = stream_options(cursor, &mut self.texts)?;
                return Ok(());
            }
            Field::MaxTokens => return self.limit(cursor),
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
            Field::Prompt => self.prompt(cursor)?,
            Field::Suffix => {
                let literal = cursor.expect_string("suffix")?;
                self.see(Place::Field("suffix"), literal);
            }
            Field::Stream => self.stream = cursor.expect_bool("stream")?,
            Field::N => self.n = Some(choices(cursor)?),
            Field::BestOf => self.best_of = Some(cursor.expect_whole("best_of", "from 0 to 4294967295")?),
            Field::User => self.user = Some(kept_string(cursor, "user", &mut self.texts)?),
            Field::Metadata => self.metadata = metadata(cursor, &mut self.texts)?,
            Field::Temperature => self.temperature = Some(cursor.expect_float("temperature")?),
            Field::TopP => self.top_p = Some(cursor.expect_float("top_p")?),
            Field::Seed => self.seed = Some(cursor.expect_whole("seed", "of 64 bits")?),
            Field::ServiceTier => {
                self.service_tier = Some(kept_string(cursor, "service_tier", &mut self.texts)?);
            }
            Field::StreamOptions | Field::MaxTokens | Field::Gauntlet => others(cursor, &mut self.texts)?,
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

    fn see(&mut self, place: Place, literal: Literal) {
        if !literal.is_empty() {
            self.texts.push(Found { place, role: Role::User, kind: Kind::Words, literal });
        }
    }

    /// A string, strings, tokens, or lists of tokens. Tokens are words that nobody here can read.
    fn prompt(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        self.has_prompt = true;
        if cursor.kind()? == ValueKind::String {
            let literal = cursor.literal()?;
            self.layout.prompts.push(literal.start);
            self.see(Place::Field("prompt"), literal);
            self.prompts = 1;
            return Ok(());
        }
        if cursor.kind()? != ValueKind::Array {
            return Err(Fail::field(cursor.at(), "prompt", "must be a string or an array"));
        }
        let mut array = cursor.enter()?;
        let mut has_token = false;
        while cursor.item(&mut array)? {
            let at = cursor.at();
            match cursor.kind()? {
                ValueKind::Number => {
                    has_token = true;
                    cursor.number()?;
                    continue;
                }
                ValueKind::String => {
                    let literal = cursor.literal()?;
                    self.layout.prompts.push(literal.start);
                    let item = self.prompts as u32;
                    self.see(Place::Path { list: "prompt", item, inner: None, leaf: "" }, literal);
                }
                ValueKind::Array => tokens(cursor)?,
                _ => return Err(Fail::field(at, "prompt", "must hold strings, tokens, or lists of tokens")),
            }
            self.prompts += 1;
            if self.prompts > MESSAGES_MAX {
                return Err(Fail::field(at, "prompt", format_args!("has more than {MESSAGES_MAX} items")));
            }
        }
        if has_token && self.prompts > 0 {
            return Err(Fail::field(cursor.at(), "prompt", "mixes tokens with whole prompts"));
        }
        self.prompts += usize::from(has_token);
        Ok(())
    }

    fn finish(self, end: usize) -> Scan<Conversation> {
        let Some(model) = self.model else { return Err(Fail::field(end, "model", "is missing")) };
        if self.prompts == 0 && self.gauntlet.is_none() {
            let why = if self.has_prompt { "is empty" } else { "is missing" };
            return Err(Fail::field(end, "prompt", why));
        }
        // Every prompt is answered on its own, and `best_of` answers are made and billed where `n` are shown.
        let made = self.n.unwrap_or(1).max(self.best_of.unwrap_or(1));
        Ok(Conversation {
            dialect: Dialect::Completions,
            model,
            stream: self.stream,
            include_usage: self.include_usage,
            max_tokens: self.max_tokens,
            n: made.saturating_mul(self.prompts.max(1) as u32),
            user: self.user,
            metadata: self.metadata,
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            service_tier: self.service_tier,
            reasoning_effort: None,
            has_tools: false,
            tools: Vec::new(),
            response_format: None,
            message_count: self.prompts,
            messages: 0..0,
            media_count: 0,
            image_count: 0,
            state: None,
            gauntlet: self.gauntlet,
            layout: conversation::Layout::Completions(self.layout),
            texts: self.texts,
        })
    }
}

fn tokens(cursor: &mut Cursor<'_>) -> Scan<()> {
    let mut array = cursor.enter()?;
    while cursor.item(&mut array)? {
        let at = cursor.at();
        if cursor.kind()? != ValueKind::Number {
            return Err(Fail::field(at, "prompt", "must hold strings, tokens, or lists of tokens"));
        }
        cursor.number()?;
    }
    Ok(())
}

// `Seen` keeps one bit a field.
const _: () = assert!(Field::KEYS.len() <= 32);
