//! One pass over a request: validates the JSON, reads what the gateway must know, notes where texts stand.
//!
//! **Duplicate keys.** Two of a key that we read are refused, the two spellings of one counting as two: Google may take
//! one and we the other, and a guard would then look at words that the model never sees.

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::Dialect;

use super::{Layout, List, Object, content};
use crate::{
    ask::Effort,
    conversation::{self, CHOICES_MAX, Conversation, MESSAGES_MAX, PathAsk, Spanned},
    extension::{self, Form, GauntletField},
    gemini::names::known,
    json::{Cursor, Fail, Malformed, Scan, ValueKind},
    openai::chat::ask::effort_word,
    reading::{Seen, kept_string, metadata},
    text::{Found, Kind, Place, Role, all_strings, other, others, strings_named},
};

/// Reads a request whose model and way of answering stand in the path.
pub(crate) fn parse(body: &Bytes, path: &PathAsk) -> Result<Conversation, Malformed> {
    read(body, path).map_err(|fail| fail.locate(body))
}

const KEYS: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "generationConfig",
    "cachedContent",
    "continuationToken",
    "labels",
    "serviceTier",
    "model",
    "gauntlet",
];

const CONFIG_KEYS: &[&str] = &[
    "maxOutputTokens",
    "temperature",
    "topP",
    "candidateCount",
    "seed",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "thinkingConfig",
];

#[derive(Default)]
struct Draft {
    members: u32,
    max_tokens: Option<Spanned<u32>>,
    n: Option<u32>,
    metadata: Vec<(String, String)>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    seed: Option<i64>,
    service_tier: Option<String>,
    reasoning_effort: Option<String>,
    has_tools: bool,
    tools: Vec<String>,
    response_format: Option<Range<usize>>,
    media: content::Media,
    gauntlet: Option<GauntletField>,
    state: Option<String>,
    layout: Layout,
    texts: Vec<Found>,
}

fn read(body: &[u8], path: &PathAsk) -> Scan<Conversation> {
    let mut cursor = Cursor::new(body)?;
    let cursor = &mut cursor;
    if cursor.kind()? != ValueKind::Object {
        return Err(Fail::new(cursor.at(), "the body must be a JSON object"));
    }
    let mut object = cursor.enter()?;
    let mut draft = Draft::default();
    draft.layout.first_member = cursor.at();
    let mut seen = Seen::default();
    while let Some(key) = cursor.member(&mut object)? {
        draft.members += 1;
        let Some(bit) = known(&key, KEYS, object.key)? else {
            others(cursor, &mut draft.texts)?;
            continue;
        };
        seen.once(bit as u32, object.key, KEYS[bit])?;
        if KEYS[bit] == "gauntlet" {
            if cursor.kind()? != ValueKind::Object {
                return Err(Fail::field(cursor.at(), "gauntlet", "must be an object"));
            }
            draft.gauntlet = Some(extension::read(cursor, &object, Form::Gauntlet)?);
            continue;
        }
        draft.member(cursor, KEYS[bit], path)?;
    }
    cursor.finish()?;
    draft.finish(body.len(), path)
}

impl Draft {
    fn member(&mut self, cursor: &mut Cursor<'_>, key: &str, path: &PathAsk) -> Scan<()> {
        match key {
            "contents" => {
                self.layout.contents = content::contents(cursor, &mut self.texts, &mut self.media)?;
                let count = self.layout.contents.count();
                if count > MESSAGES_MAX {
                    let message = format_args!("has more than {MESSAGES_MAX} items");
                    return Err(Fail::field(self.layout.contents.span().start, "contents", message));
                }
                return Ok(());
            }
            "systemInstruction" => return self.system(cursor),
            "generationConfig" => return self.config(cursor),
            _ if cursor.null()? => return Ok(()),
            _ => {}
        }
        match key {
            "tools" => self.tools(cursor)?,
            // Both are Google's own, and only Google can go on with them.
            "cachedContent" | "continuationToken" => {
                self.state = Some(kept_string(cursor, key, &mut self.texts)?)
            }
            "labels" => self.metadata = metadata(cursor, &mut self.texts)?,
            "serviceTier" => self.service_tier = Some(kept_string(cursor, key, &mut self.texts)?),
            // Google's clients repeat the path here in some calls; it must not be a way around the model that is allowed.
            _ => {
                let start = cursor.at();
                let model = kept_string(cursor, "model", &mut self.texts)?;
                if model.rsplit('/').next() != path.model.rsplit('/').next() {
                    let message = "is not the model of the path: leave it out";
                    return Err(Fail::field(start, "model", message));
                }
            }
        }
        Ok(())
    }

    fn system(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        cursor.kind()?;
        let start = cursor.at();
        if cursor.null()? {
            self.layout.system = Object::Null(start..cursor.at());
            return Ok(());
        }
        let read = content::system(cursor, &mut self.texts, &mut self.media)?;
        (self.layout.system, self.layout.system_parts) = read;
        Ok(())
    }

    fn config(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        cursor.kind()?;
        let start = cursor.at();
        if cursor.null()? {
            self.layout.config = Object::Null(start..cursor.at());
            return Ok(());
        }
        let mut object = cursor.expect_object("generationConfig")?;
        let at = cursor.at();
        let mut is_empty = true;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            is_empty = false;
            let Some(bit) = known(&key, CONFIG_KEYS, object.key)? else {
                others(cursor, &mut self.texts)?;
                continue;
            };
            let param = format!("generationConfig.{}", CONFIG_KEYS[bit]);
            seen.once(bit as u32, object.key, &param)?;
            cursor.kind()?;
            let start = cursor.at();
            if cursor.null()? {
                if CONFIG_KEYS[bit] == "maxOutputTokens" {
                    self.layout.limit = Some(start..cursor.at());
                }
                continue;
            }
            self.setting(cursor, CONFIG_KEYS[bit], &param)?;
        }
        self.layout.config = Object::Open { at, is_empty };
        Ok(())
    }

    fn setting(&mut self, cursor: &mut Cursor<'_>, key: &str, param: &str) -> Scan<()> {
        let start = cursor.at();
        match key {
            "maxOutputTokens" => {
                let value = whole(cursor, param, "from 0 to 4294967295")?;
                self.max_tokens = Some(Spanned { value, span: start..cursor.at() });
                self.layout.limit = Some(start..cursor.at());
            }
            "temperature" => self.temperature = Some(cursor.expect_float(param)?),
            "topP" => self.top_p = Some(cursor.expect_float(param)?),
            "candidateCount" => {
                let n: u32 = whole(cursor, param, "from 1 to 128")?;
                if !(1..=CHOICES_MAX).contains(&n) {
                    return Err(Fail::field(start, param, "must be a whole number from 1 to 128"));
                }
                self.n = Some(n);
            }
            "seed" => self.seed = Some(whole(cursor, param, "of 64 bits")?),
            "responseMimeType" => {
                let literal = cursor.expect_string(param)?;
                other(literal, &mut self.texts);
                // A schema says more, wherever it stands.
                if cursor.text(literal) == "application/json" {
                    self.response_format.get_or_insert(literal.quoted());
                }
            }
            "responseSchema" | "responseJsonSchema" => {
                definitions(cursor, Place::ResponseFormat, &mut self.texts)?;
                self.response_format = Some(start..cursor.at());
            }
            _ => self.thinking(cursor)?,
        }
        Ok(())
    }

    fn thinking(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        const KEYS: &[&str] = &["thinkingLevel", "thinkingBudget"];
        let mut object = cursor.expect_object("generationConfig.thinkingConfig")?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            let Some(bit) = known(&key, KEYS, object.key)? else {
                others(cursor, &mut self.texts)?;
                continue;
            };
            seen.once(bit as u32, object.key, KEYS[bit])?;
            if cursor.null()? {
                continue;
            }
            if KEYS[bit] == "thinkingLevel" {
                let level = kept_string(cursor, "thinkingLevel", &mut self.texts)?;
                self.reasoning_effort = Some(level.to_ascii_lowercase());
                continue;
            }
            let budget: i64 = whole(cursor, "thinkingBudget", "from -1 on")?;
            // -1 leaves it to the model.
            if let Ok(budget) = u32::try_from(budget) {
                let word = effort_word(Effort::of_budget(budget));
                self.reasoning_effort.get_or_insert_with(|| word.to_owned());
            }
        }
        Ok(())
    }

    /// Each member of a tool is a tool: `functionDeclarations` are the caller's, all others Google's own.
    fn tools(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let (names, texts) = (&mut self.tools, &mut self.texts);
        let list = List::walk(cursor, "tools", |cursor, tool| {
            let mut object = cursor.expect_object(format_args!("tools[{tool}]"))?;
            let mut seen = Seen::default();
            while let Some(key) = cursor.member(&mut object)? {
                let declared = known(&key, &["functionDeclarations"], object.key)?;
                if declared.is_none() {
                    let place = Place::Path { list: "tools", item: tool, inner: None, leaf: "" };
                    names.push(crate::gemini::names::camel(&key).into_owned());
                    definitions(cursor, place, texts)?;
                    continue;
                }
                let param = format!("tools[{tool}].functionDeclarations");
                seen.once(0, object.key, &param)?;
                List::walk(cursor, &param, |cursor, function| {
                    let inner = Some(("functionDeclarations", function));
                    let place = Place::Path { list: "tools", item: tool, inner, leaf: "" };
                    declaration(cursor, place, names, texts)
                })?;
            }
            Ok(())
        })?;
        self.has_tools |= list.count() > 0;
        Ok(())
    }

    fn finish(self, end: usize, path: &PathAsk) -> Scan<Conversation> {
        // The prompt may be named elsewhere too (a header, the route); `render` refuses what stays empty.
        let names_prompt = self.gauntlet.is_some();
        let contents = &self.layout.contents;
        if names_prompt && self.members == 1 {
            // New members are put before one that stays.
            return Err(Fail::field(
                end,
                "contents",
                "is missing: write `\"contents\": []` beside `gauntlet`",
            ));
        }
        match contents {
            List::Absent | List::Null(_) if !names_prompt => {
                return Err(Fail::field(end, "contents", "is missing"));
            }
            List::Many { span, count: 0 } if !names_prompt => {
                return Err(Fail::field(span.start, "contents", "is empty"));
            }
            _ => {}
        }
        Ok(Conversation {
            dialect: Dialect::Gemini,
            model: Spanned { value: path.model.clone(), span: 0..0 },
            stream: path.stream,
            include_usage: true,
            max_tokens: self.max_tokens,
            n: self.n.unwrap_or(1),
            user: None,
            metadata: self.metadata,
            temperature: self.temperature,
            top_p: self.top_p,
            seed: self.seed,
            service_tier: self.service_tier,
            reasoning_effort: self.reasoning_effort,
            has_tools: self.has_tools,
            tools: self.tools,
            response_format: self.response_format,
            message_count: contents.count(),
            messages: contents.span(),
            media_count: self.media.count,
            image_count: self.media.images,
            gauntlet: self.gauntlet,
            state: self.state,
            layout: conversation::Layout::Gemini(self.layout),
            texts: self.texts,
        })
    }
}

/// A whole number as proto's JSON allows it: also with an empty fraction, or in quotes.
fn whole<T: std::str::FromStr + TryFrom<i64>>(cursor: &mut Cursor<'_>, param: &str, range: &str) -> Scan<T> {
    let kind = cursor.kind()?;
    let start = cursor.at();
    let text = match kind {
        ValueKind::Number => {
            let span = cursor.number()?;
            cursor.slice(span).to_owned()
        }
        ValueKind::String => {
            let literal = cursor.literal()?;
            cursor.text(literal).into_owned()
        }
        _ => return cursor.expect_whole(param, range),
    };
    let rounded = || {
        // Beyond 2^53 a float no longer tells whole numbers apart.
        let float: f64 = text.parse().ok()?;
        let is_whole = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
        T::try_from(is_whole.then_some(float as i64)?).ok()
    };
    let value = text.parse().ok().or_else(rounded);
    value.ok_or_else(|| Fail::field(start, param, format_args!("must be a whole number {range}")))
}

/// Descriptions at any depth of the value that follows; its other strings are for the record.
fn definitions(cursor: &mut Cursor<'_>, place: Place, texts: &mut Vec<Found>) -> Scan<()> {
    strings_named(cursor, "description", &mut |literal, is_named| match is_named {
        true if literal.is_empty() => {}
        true => texts.push(Found { place, role: Role::Other, kind: Kind::Definition, literal }),
        false => other(literal, texts),
    })
}

fn declaration(
    cursor: &mut Cursor<'_>,
    place: Place,
    names: &mut Vec<String>,
    texts: &mut Vec<Found>,
) -> Scan<()> {
    let mut object = cursor.expect_object(place)?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("name", ValueKind::String) => {
                let literal = cursor.literal()?;
                other(literal, texts);
                names.push(cursor.text(literal).into_owned());
            }
            ("description", ValueKind::String) => all_strings(cursor, &mut |literal| {
                if !literal.is_empty() {
                    texts.push(Found { place, role: Role::Other, kind: Kind::Definition, literal });
                }
            })?,
            _ => definitions(cursor, place, texts)?,
        }
    }
    Ok(())
}
