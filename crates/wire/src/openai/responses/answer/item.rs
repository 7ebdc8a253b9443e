//! One item of an output, taken apart.

use gauntlet_types::{Citation, Dialect, Event, Seal, Sealed};

use super::fields::Fields;
use crate::{
    answer::{Channel, Key},
    json::{Cursor, Literal, ValueKind},
    seal,
    text::all_strings,
};

/// Parts of one item are told apart by the last bits of `Key::part`, items by the first ones.
const PART_BITS: u32 = 12;
/// Beside what the parts of an item are counted with: what a reasoning item says under `content`, not under `summary`.
const BODY: u32 = 1 << (PART_BITS - 1);
/// The arguments of a call that the provider itself answers.
pub(super) const ASIDE: u32 = 1;
/// A stream of pieces that we do not know.
pub(super) const UNKNOWN: u32 = BODY - 1;

/// The number of a text among all of an answer. Places beyond what the bits hold fall together, which costs no more than
/// a joint hold-back.
pub(super) fn part(at: u32, index: u32) -> u32 {
    at.min(u32::MAX >> PART_BITS) << PART_BITS | index.min(BODY - 1)
}

/// The same for the `content` of reasoning.
pub(super) fn body_part(at: u32, index: u32) -> u32 {
    part(at, index) | BODY
}

/// The item and the index that a number was made of, and whether it is of the `content` of reasoning.
pub(super) fn parts(part: u32) -> (u32, u32, bool) {
    (part >> PART_BITS, part & (BODY - 1), part & BODY != 0)
}

pub(super) fn key(part: u32, channel: Channel) -> Key {
    Key { choice: 0, part, channel }
}

/// Something that an item says, in its order.
pub(super) enum Bit {
    Words {
        key: Key,
        literal: Literal,
    },
    /// What a caller sees of a call that the provider itself answers; `key` where a stream has it in pieces.
    Aside {
        at: u32,
        key: Option<Key>,
        literal: Literal,
    },
    /// A call of a tool that the caller must answer.
    Call {
        at: u32,
        id: Option<String>,
        name: String,
        arguments: Arguments,
    },
    Seal {
        at: u32,
        id: Option<String>,
        data: Literal,
        of: Vec<(Key, Literal)>,
    },
    /// With the part that it stands in; its span counts from the beginning of that part.
    Citation {
        key: Key,
        citation: Citation,
    },
    Media {
        at: u32,
        mime: String,
        data: Literal,
    },
}

pub(super) enum Arguments {
    /// JSON in a string, or the plain text of a custom tool; none where it is empty.
    Text(Option<Literal>),
    /// JSON as it stands, and the strings in it.
    Json { span: std::ops::Range<usize>, strings: Vec<Literal> },
}

impl Arguments {
    pub(super) fn literals(&self) -> impl Iterator<Item = Literal> {
        let (one, many) = match self {
            Arguments::Text(one) => (*one, &[][..]),
            Arguments::Json { strings, .. } => (None, &strings[..]),
        };
        one.into_iter().chain(many.iter().copied())
    }

    pub(super) fn text(&self, cursor: &Cursor<'_>) -> String {
        match self {
            Arguments::Text(None) => String::new(),
            Arguments::Text(Some(literal)) => cursor.text(*literal).into_owned(),
            Arguments::Json { span, .. } => cursor.slice(span.clone()).to_owned(),
        }
    }
}

/// Calls of one answer that are told apart; real answers have a handful.
const CALLS_MAX: usize = 4_096;

/// The calls that a caller must answer, numbered in the order in which they began.
#[derive(Default, Debug)]
pub(super) struct Calls(std::collections::BTreeMap<u32, (u32, String)>);

impl Calls {
    pub(super) fn number(&mut self, at: u32, id: Option<&str>) -> u32 {
        let next = self.0.len() as u32;
        if self.0.len() == CALLS_MAX && !self.0.contains_key(&at) {
            return next;
        }
        let call = self.0.entry(at).or_insert_with(|| (next, String::new()));
        if let Some(id) = id {
            id.clone_into(&mut call.1);
        }
        call.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of_id(&self, id: &str) -> Option<u32> {
        self.0.values().find(|(_, known)| known == id).map(|(number, _)| *number)
    }

    fn last(&self) -> Option<u32> {
        (self.0.len() as u32).checked_sub(1)
    }
}

/// How a caller's tool is called: its type where it has no name, and the member that holds the arguments.
pub(in crate::openai::responses) fn tool_of(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "function_call" => ("", "arguments"),
        "custom_tool_call" => ("", "input"),
        "local_shell_call" => ("local_shell", "action"),
        "shell_call" => ("shell", "action"),
        "apply_patch_call" => ("apply_patch", "operation"),
        "computer_call" => ("computer", "action"),
        _ => return None,
    })
}

/// The item at this place of the output.
pub(super) fn bits(fields: &Fields<'_>, at: u32) -> Vec<Bit> {
    let mut bits = Vec::new();
    let kind = fields.text("type").unwrap_or_default();
    match &*kind {
        "message" => {
            for (index, part) in fields.objects("content").iter().enumerate() {
                content(part, self::part(at, index as u32), &mut bits);
            }
        }
        "reasoning" => reasoning(fields, at, &mut bits),
        "image_generation_call" => {
            if let Some(data) = fields.literal("result") {
                let format = fields.text("output_format");
                let mime = format!("image/{}", format.as_deref().unwrap_or("png"));
                bits.push(Bit::Media { at, mime, data });
            }
        }
        kind => match tool_of(kind) {
            Some((name, member)) => bits.extend(call(fields, at, name, member)),
            None => asides(fields, at, kind, &mut bits),
        },
    }
    bits
}

/// A part of a message, or of reasoning.
pub(super) fn content(fields: &Fields<'_>, part: u32, bits: &mut Vec<Bit>) {
    let kind = fields.text("type").unwrap_or_default();
    let (member, channel) = match &*kind {
        "refusal" => ("refusal", Channel::Refusal),
        "summary_text" | "reasoning_text" => ("text", Channel::Reasoning),
        _ => ("text", Channel::Content),
    };
    if let Some(literal) = fields.literal(member) {
        bits.push(Bit::Words { key: key(part, channel), literal });
    }
    for annotation in fields.objects("annotations") {
        bits.extend(
            citation(&annotation).map(|citation| Bit::Citation { key: key(part, channel), citation }),
        );
    }
}

fn reasoning(fields: &Fields<'_>, at: u32, bits: &mut Vec<Bit>) {
    let mut of = Vec::new();
    let lists = [("summary", part as fn(u32, u32) -> u32), ("content", body_part)];
    for (member, number) in lists {
        for (index, fields) in fields.objects(member).iter().enumerate() {
            if let Some(literal) = fields.literal("text") {
                let key = key(number(at, index as u32), Channel::Reasoning);
                of.push((key, literal));
                bits.push(Bit::Words { key, literal });
            }
        }
    }
    if let Some(data) = fields.literal("encrypted_content") {
        let id = fields.text("id").map(|id| id.into_owned());
        bits.push(Bit::Seal { at, id, data, of });
    }
}

fn call(fields: &Fields<'_>, at: u32, name: &str, member: &'static str) -> Option<Bit> {
    let arguments = match fields.kind(member) {
        Some(ValueKind::Object | ValueKind::Array) => {
            let mut cursor = fields.get(member)?;
            let mut strings = Vec::new();
            let start = cursor.at();
            all_strings(&mut cursor, &mut |literal| strings.push(literal)).ok()?;
            strings.retain(|literal| !literal.is_empty());
            Arguments::Json { span: start..cursor.at(), strings }
        }
        _ => Arguments::Text(fields.literal(member)),
    };
    let name = fields.text("name").map_or_else(|| name.to_owned(), |name| name.into_owned());
    let id = fields.text("call_id").or(fields.text("id")).map(|id| id.into_owned());
    Some(Bit::Call { at, id, name, arguments })
}

/// What the provider did itself (searches, code, calls of a remote server), and items that we do not know: whatever a
/// caller may read of it, but for ids and bytes.
pub(super) fn asides(fields: &Fields<'_>, at: u32, kind: &str, bits: &mut Vec<Bit>) {
    let streamed = match kind {
        "mcp_call" => "arguments",
        "code_interpreter_call" => "code",
        _ => "",
    };
    let mut cursor = fields.whole.clone();
    let mut read = || -> crate::json::Scan<()> {
        if cursor.kind()? != ValueKind::Object {
            return cursor.skip();
        }
        let mut object = cursor.enter()?;
        while let Some(name) = cursor.member(&mut object)? {
            match &*name {
                "id"
                | "item_id"
                | "type"
                | "status"
                | "call_id"
                | "name"
                | "role"
                | "server_label"
                | "container_id"
                | "approval_request_id"
                | "encrypted_content"
                | "result"
                | "phase"
                | "partial_image_b64"
                | "obfuscation" => cursor.skip()?,
                name => {
                    let key = (name == streamed).then(|| key(part(at, ASIDE), Channel::Content));
                    all_strings(&mut cursor, &mut |literal| {
                        if !literal.is_empty() {
                            bits.push(Bit::Aside { at, key, literal });
                        }
                    })?;
                }
            }
        }
        Ok(())
    };
    // The document was walked before: there is nothing to fail.
    let _ = read();
}

/// A source that an annotation names.
pub(super) fn citation(fields: &Fields<'_>) -> Option<Citation> {
    let own = |key: &str| fields.text(key).map(|text| text.into_owned());
    match &*fields.text("type")? {
        "url_citation" => {
            let span = fields.number("start_index").zip(fields.number("end_index"));
            Some(Citation { url: Some(own("url")?), title: own("title"), cited: None, span })
        }
        "file_citation" | "container_file_citation" | "file_path" => {
            let title = own("filename").or(own("file_id"))?;
            Some(Citation { title: Some(title), ..Citation::default() })
        }
        _ => None,
    }
}

/// A source in the counting of the whole answer.
pub(super) fn moved(mut citation: Citation, by: u32) -> Citation {
    citation.span = citation.span.map(|(start, end)| (start.saturating_add(by), end.saturating_add(by)));
    citation
}

/// The seal of an item, and whether it is another provider's; none where it is void.
pub(super) fn seal(
    cursor: &Cursor<'_>,
    item: Option<String>,
    data: Literal,
    has_text: bool,
    calls: &Calls,
) -> Option<(Seal, bool)> {
    let data = cursor.text(data);
    if data.starts_with(seal::VOID) {
        return None;
    }
    let on = if has_text { Sealed::Reasoning } else { Sealed::Redacted };
    let mut read = seal::read(&data, Dialect::Responses, on);
    if read.by == Dialect::Responses {
        read.id = item;
        return Some((read, false));
    }
    if let Sealed::ToolCall(_) = read.on {
        // Its id is the call's, since an item of its own carries it.
        let index = read.id.take().and_then(|id| calls.of_id(&id)).or(calls.last());
        read.on = Sealed::ToolCall(index.unwrap_or(0));
    }
    Some((read, true))
}

/// The event of the first words of a text. A summary is told in paragraphs, a part each.
pub(super) fn first_event(key: Key, text: String) -> Event {
    match key.channel {
        Channel::Reasoning if parts(key.part).1 > 0 => event(key.channel, format!("\n\n{text}")),
        channel => event(channel, text),
    }
}

/// The event of a piece of words.
pub(super) fn event(channel: Channel, text: String) -> Event {
    match channel {
        Channel::Refusal => Event::Refusal { choice: 0, text },
        Channel::Reasoning => Event::Reasoning { choice: 0, text },
        Channel::Content | Channel::Arguments(_) | Channel::FunctionCall => Event::Text { choice: 0, text },
    }
}
