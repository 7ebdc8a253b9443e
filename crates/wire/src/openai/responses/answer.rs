//! An answer of Responses, whole or streamed: bytes to events, and the frames and answers that we write ourselves.
//!
//! A stream tells every text up to four times: in pieces, when its part is done, when its item is done, and in the last
//! frame. Only the first telling makes events.

mod fields;
mod flow;
mod frames;
mod item;
mod sent;
mod writer;

use bytes::Bytes;
use gauntlet_types::{Event, Finish, Usage};

pub(crate) use flow::Flow;
pub(crate) use writer::{Writer, whole};

use crate::{
    answer::{AnswerText, Channel, Key, PlainAnswer, SealAt},
    json::{Cursor, Fail, Literal, Malformed, Scan},
    openai::{
        error::{ProviderError, from_value},
        usage,
    },
    text::{Found, Kind, Place, Role},
    usage::tier,
};

use fields::Fields;
pub(in crate::openai::responses) use item::tool_of;
use item::{Bit, Calls};

/// Reads a whole answer. Malformed when it is not JSON (HTML, half a document, nothing), or has neither `output` nor an
/// error. The answer of a background call that still runs has no text and no ending.
pub fn read_plain(body: &Bytes) -> Result<PlainAnswer, Malformed> {
    plain(body).map_err(|fail| fail.locate(body))
}

fn plain(body: &[u8]) -> Scan<PlainAnswer> {
    let mut cursor = Cursor::new(body)?;
    let Some(fields) = fields::whole(&mut cursor, body)? else {
        return Err(fields::not_an_answer(body));
    };
    let error = error_of(&fields);
    if !fields.has_list("output") && error.is_none() {
        return Err(Fail::field(body.len(), "output", "is missing from the answer"));
    }
    let mut read = Plain::default();
    if let Some(model) = fields.text("model") {
        read.answer.events.push(Event::Model(model.into_owned()));
    }
    let items = fields.objects("output");
    for (at, fields) in items.iter().enumerate() {
        for bit in item::bits(fields, at as u32) {
            read.see(&cursor, bit);
        }
    }
    let mut answer = read.answer;
    let why = finish_of(&fields, !read.calls.is_empty());
    if let Some(why) = why.filter(|_| error.is_none()) {
        answer.events.push(Event::Finish { choice: 0, why });
    }
    answer.events.extend(usage_of(&fields, &items).map(Event::Usage));
    answer.error = error;
    Ok(answer)
}

struct Plain {
    answer: PlainAnswer,
    calls: Calls,
    /// Characters of the words so far, since sources are named by them.
    chars: u32,
    /// Where the words of the present part begin.
    part_chars: u32,
}

impl Default for Plain {
    fn default() -> Plain {
        let answer = PlainAnswer { events: Vec::new(), texts: Vec::new(), seals: Vec::new(), error: None };
        Plain { answer, calls: Calls::default(), chars: 0, part_chars: 0 }
    }
}

impl Plain {
    fn see(&mut self, cursor: &Cursor<'_>, bit: Bit) {
        let answer = &mut self.answer;
        let mut text = |place, kind, literal: Literal| {
            let found = Found { place, role: Role::Assistant, kind, literal };
            let body = cursor.slice(0..cursor.len()).as_bytes();
            answer.texts.push(AnswerText { choice: 0, segment: found.segment(body) });
        };
        match bit {
            Bit::Words { key, literal } => {
                let (place, kind) = place_of(key);
                text(place, kind, literal);
                let words = cursor.text(literal).into_owned();
                if place == (Place::AnswerContent { choice: 0 }) {
                    self.part_chars = self.chars;
                    self.chars = self.chars.saturating_add(words.chars().count() as u32);
                }
                answer.events.push(item::first_event(key, words));
            }
            Bit::Aside { literal, .. } => text(Place::AnswerContent { choice: 0 }, Kind::Other, literal),
            Bit::Call { at, id, name, arguments } => {
                let index = self.calls.number(at, id.as_deref());
                let place = Place::AnswerArguments { choice: 0, call: index };
                arguments.literals().for_each(|literal| text(place, Kind::Arguments, literal));
                let arguments = arguments.text(cursor);
                answer.events.push(Event::ToolCall { choice: 0, index, id, name: Some(name), arguments });
            }
            Bit::Seal { id, data, of, .. } => {
                let read = item::seal(cursor, id, data, !of.is_empty(), &self.calls);
                let Some((seal, is_foreign)) = read else { return };
                // OpenAI's own holds the reasoning itself, not the summary of it.
                if is_foreign {
                    let at = |(key, literal): &(Key, Literal)| SealAt {
                        text: literal.range(),
                        key: *key,
                        raw: data.range(),
                    };
                    answer.seals.extend(of.iter().map(at));
                }
                answer.events.push(Event::Seal { choice: 0, seal });
            }
            Bit::Citation { key: _, citation } => {
                let citation = item::moved(citation, self.part_chars);
                answer.events.push(Event::Citation { choice: 0, citation });
            }
            Bit::Media { mime, data, .. } => {
                let data = cursor.text(data).into_owned();
                answer.events.push(Event::Media { choice: 0, mime, data });
            }
        }
    }
}

fn place_of(key: Key) -> (Place, Kind) {
    match key.channel {
        Channel::Refusal => (Place::AnswerRefusal { choice: 0 }, Kind::Refusal),
        Channel::Reasoning => (Place::AnswerReasoning { choice: 0 }, Kind::Reasoning),
        Channel::Content | Channel::Arguments(_) | Channel::FunctionCall => {
            (Place::AnswerContent { choice: 0 }, Kind::Words)
        }
    }
}

/// What the object `response` says went wrong.
fn error_of(fields: &Fields<'_>) -> Option<ProviderError> {
    let value = fields.value("error");
    let is_failed = fields.text("status").is_some_and(|status| status == "failed");
    match value {
        None if !is_failed => None,
        value => {
            let mut error = value.as_ref().and_then(from_value).unwrap_or_default();
            if error.message.is_empty() {
                error.message = "the provider reported an error without words".to_owned();
            }
            Some(error)
        }
    }
}

/// How the answer ended; none while it still runs, or where it failed.
fn finish_of(fields: &Fields<'_>, has_calls: bool) -> Option<Finish> {
    // Servers that do not count states have none but this.
    match &*fields.text("status").unwrap_or("completed".into()) {
        "completed" if has_calls => Some(Finish::ToolCalls),
        "completed" => Some(Finish::Stop),
        "incomplete" => {
            let details = fields.object("incomplete_details");
            let reason = details.as_ref().and_then(|details| details.text("reason"));
            Some(match reason.as_deref() {
                Some("max_output_tokens" | "max_tokens") => Finish::Length,
                Some("content_filter") => Finish::ContentFilter,
                _ => Finish::Other,
            })
        }
        "cancelled" => Some(Finish::Other),
        _ => None,
    }
}

/// The usage, with the tier that really worked and the searches that are paid by the piece.
fn usage_of(fields: &Fields<'_>, items: &[Fields<'_>]) -> Option<Usage> {
    let mut usage = usage::read(&mut fields.get("usage")?).ok()??;
    if let Some(tier) = fields.get("service_tier").and_then(|mut cursor| tier(&mut cursor).ok()?) {
        usage.tier = tier;
    }
    let searches = items.iter().filter(|item| is_search(item)).count();
    usage.web_searches = usage.web_searches.max(searches as u32);
    Some(usage)
}

/// Opening a page that was found, and looking through it, costs nothing.
fn is_search(item: &Fields<'_>) -> bool {
    let action = item.object("action");
    let action = action.as_ref().and_then(|action| action.text("type"));
    item.text("type").is_some_and(|kind| kind == "web_search_call")
        && action.is_none_or(|action| action == "search")
}

#[cfg(test)]
mod tests;
