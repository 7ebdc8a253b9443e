//! Requests that are passed through as they are: moderations, images, speech, transcriptions, rerank, files, batches.
//!
//! What the gateway must know of them is little: which model, how many answers, and every text in them, so that they
//! escape neither budgets nor guards. JSON is read in one pass; a form of several parts (`multipart/form-data`, RFC 7578)
//! is split, and its files are never looked into.

mod multipart;

use std::ops::Range;

use bytes::Bytes;
use gauntlet_types::Usage;
use serde_json::{Map, Value};

pub use multipart::boundary;

use crate::{
    answer::AnswerText,
    conversation::Spanned,
    json::{Cursor, Malformed, Scan, ValueKind, quote},
    openai::{
        error::{ProviderError, from_value},
        usage,
    },
    splice::Edit,
    text::{Found, Kind, Place, Role, Segment, SegmentText, all_strings, other, others},
};

/// Longer strings are bytes of media in base64, which spell nothing.
const STRING_MAX: usize = 8192;
/// Members whose strings a model reads.
const WORDS: [&str; 8] =
    ["input", "prompt", "query", "documents", "texts", "text", "instructions", "negative_prompt"];

/// How the body is written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Form {
    #[default]
    Json,
    Multipart,
    /// There is none (a list, a deletion).
    Empty,
}

/// What the gateway must know of a request.
#[derive(Clone, Default, Debug)]
pub struct Pass {
    pub form: Form,
    /// In JSON the span includes the quotes.
    pub model: Option<Spanned<String>>,
    pub user: Option<String>,
    /// Answers wanted.
    pub n: u32,
    pub stream: bool,
    /// The file of a batch, and what else names something that the provider keeps.
    pub refers: Vec<String>,
    /// Bytes of files and other media.
    pub media_bytes: usize,
    texts: Vec<Segment>,
    others: Vec<Segment>,
}

impl Pass {
    pub fn segments(&self) -> Vec<Segment> {
        self.texts.clone()
    }

    pub fn other_segments(&self) -> Vec<Segment> {
        self.others.clone()
    }

    /// Edit: another model. None where the request names none.
    pub fn with_model(&self, model: &str) -> Option<Edit> {
        let span = self.model.as_ref()?.span.clone();
        Some(match self.form {
            Form::Json => Edit::new(span, quote(model)),
            Form::Multipart | Form::Empty => Edit::new(span, model.to_owned()),
        })
    }
}

/// Reads a request with this content type.
pub fn parse(content_type: Option<&str>, body: &Bytes) -> Result<Pass, Malformed> {
    if body.is_empty() {
        return Ok(Pass { form: Form::Empty, n: 1, ..Pass::default() });
    }
    match content_type.and_then(boundary) {
        Some(boundary) => read_parts(&boundary, body),
        None => read_json(body).map_err(|fail| fail.locate(body)),
    }
}

fn read_json(body: &Bytes) -> Scan<Pass> {
    let mut cursor = Cursor::new(body)?;
    let mut pass = Pass { n: 1, ..Pass::default() };
    let (mut words, mut rest): (Vec<Found>, Vec<Found>) = (Vec::new(), Vec::new());
    let mut seen = crate::reading::Seen::default();
    let mut object = cursor.expect_object("the body")?;
    while let Some(key) = cursor.member(&mut object)? {
        match &*key {
            "model" => {
                seen.once(0, object.key, "model")?;
                let literal = cursor.expect_string("model")?;
                pass.model =
                    Some(Spanned { value: cursor.text(literal).into_owned(), span: literal.quoted() });
            }
            "n" if cursor.kind()? == ValueKind::Number => {
                pass.n = cursor.expect_whole("n", "from 1 to 128")?
            }
            "stream" if !cursor.null()? => pass.stream = cursor.expect_bool("stream")?,
            "user" if cursor.kind()? == ValueKind::String => {
                let literal = cursor.literal()?;
                other(literal, &mut rest);
                pass.user = Some(cursor.text(literal).into_owned());
            }
            "input_file_id" if cursor.kind()? == ValueKind::String => {
                let literal = cursor.literal()?;
                pass.refers.push(cursor.text(literal).into_owned());
            }
            key if WORDS.contains(&key) => {
                let role = if key == "documents" { Role::Tool } else { Role::User };
                let mut media = 0;
                all_strings(&mut cursor, &mut |literal| {
                    if literal.range().len() > STRING_MAX && is_base64(&body[literal.range()]) {
                        media += literal.range().len();
                    } else if !literal.is_empty() {
                        words.push(Found {
                            place: Place::Input { item: None },
                            role,
                            kind: Kind::Words,
                            literal,
                        });
                    }
                })?;
                pass.media_bytes += media;
            }
            _ => others(&mut cursor, &mut rest)?,
        }
    }
    cursor.finish()?;
    pass.texts = words.iter().map(|found| found.segment(body)).collect();
    pass.others = rest.iter().map(|found| found.segment(body)).collect();
    Ok(pass)
}

/// Whether a long string is bytes and no words: words have blanks.
fn is_base64(text: &[u8]) -> bool {
    !text.iter().take(STRING_MAX).any(|byte| byte.is_ascii_whitespace())
}

fn read_parts(boundary: &str, body: &Bytes) -> Result<Pass, Malformed> {
    let mut pass = Pass { form: Form::Multipart, n: 1, ..Pass::default() };
    for part in multipart::parts(boundary, body)? {
        if part.file.is_some() {
            pass.media_bytes += part.value.len();
            continue;
        }
        let Ok(text) = std::str::from_utf8(&body[part.value.clone()]) else {
            return Err(Malformed::field(part.name, "must be UTF-8"));
        };
        match part.name.as_str() {
            "model" if pass.model.is_some() => return Err(Malformed::field("model", "is given twice")),
            "model" => pass.model = Some(Spanned { value: text.to_owned(), span: part.value }),
            "n" => pass.n = text.parse().map_err(|_| Malformed::field("n", "must be a whole number"))?,
            "stream" => pass.stream = text == "true",
            "user" => {
                pass.user = Some(text.to_owned());
                pass.others.push(plain(part.value, Kind::Other));
            }
            "prompt" | "text" | "instructions" => pass.texts.push(plain(part.value, Kind::Words)),
            _ => pass.others.push(plain(part.value, Kind::Other)),
        }
    }
    Ok(pass)
}

/// A text that stands as it is, without escapes.
fn plain(raw: Range<usize>, kind: Kind) -> Segment {
    Segment { place: Place::Input { item: None }, role: Role::User, kind, raw, text: SegmentText::InBody }
}

/// The files that a request names by the ids of its provider (`file_id`, `file_ids`).
pub fn file_ids(body: &[u8]) -> Vec<String> {
    // Hardly any request names one, and a look for the word is cheap.
    if memchr::memmem::find(body, b"\"file_id").is_none() {
        return Vec::new();
    }
    let mut ids = Vec::new();
    if let Ok(value) = serde_json::from_slice(body) {
        collect_ids(&value, &mut ids);
    }
    ids
}

/// Depth is bounded by the parser that read it.
fn collect_ids(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                match value {
                    Value::String(id) if key == "file_id" => ids.push(id.clone()),
                    Value::Array(all) if key == "file_ids" => {
                        ids.extend(all.iter().filter_map(|id| id.as_str().map(str::to_owned)));
                    }
                    other => collect_ids(other, ids),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        _ => {}
    }
}

/// A form as JSON, for the record: its texts, and the sizes of its files.
pub fn noted(content_type: Option<&str>, body: &Bytes) -> Bytes {
    let Some(boundary) = content_type.and_then(boundary) else { return body.clone() };
    let mut noted = Map::new();
    for part in multipart::parts(&boundary, body).unwrap_or_default() {
        let value = match part.file {
            Some(file) => serde_json::json!({"file": file, "bytes": part.value.len()}),
            None => String::from_utf8_lossy(&body[part.value]).into_owned().into(),
        };
        noted.insert(part.name, value);
    }
    Value::Object(noted).to_string().into()
}

/// What is known of an answer.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct PassAnswer {
    pub id: Option<String>,
    pub model: Option<String>,
    pub usage: Option<Usage>,
    pub texts: Vec<AnswerText>,
    /// The body tells of an error, whatever its status said.
    pub error: Option<ProviderError>,
}

/// Reads an answer: JSON, or plain text of a transcription. Bytes of sounds say nothing.
pub fn read_answer(content_type: Option<&str>, body: &Bytes) -> Result<PassAnswer, Malformed> {
    let kind = content_type.unwrap_or("application/json");
    if kind.starts_with("text/") || kind.starts_with("application/x-subrip") {
        let texts = match std::str::from_utf8(body) {
            Ok(_) => vec![answer_text(plain(0..body.len(), Kind::Words))],
            Err(_) => Vec::new(),
        };
        return Ok(PassAnswer { texts, ..PassAnswer::default() });
    }
    if !kind.contains("json") {
        return Ok(PassAnswer::default());
    }
    json_answer(body).map_err(|fail| fail.locate(body))
}

fn answer_text(segment: Segment) -> AnswerText {
    let place = Place::AnswerContent { choice: 0 };
    AnswerText { choice: 0, segment: Segment { place, role: Role::Assistant, ..segment } }
}

fn json_answer(body: &Bytes) -> Scan<PassAnswer> {
    let mut cursor = Cursor::new(body)?;
    let mut answer = PassAnswer::default();
    let mut words = Vec::new();
    let mut object = cursor.expect_object("the answer")?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("id", ValueKind::String) => {
                let literal = cursor.literal()?;
                answer.id = Some(cursor.text(literal).into_owned());
            }
            ("model", ValueKind::String) => {
                let literal = cursor.literal()?;
                answer.model = Some(cursor.text(literal).into_owned());
            }
            ("usage", _) => answer.usage = usage::read(&mut cursor)?,
            ("error", ValueKind::Object | ValueKind::String) => {
                let span = cursor.span()?;
                let value = serde_json::from_str(cursor.slice(span)).unwrap_or_default();
                answer.error = Some(from_value(&value).unwrap_or_default());
            }
            _ => all_strings(&mut cursor, &mut |literal| {
                // Bytes of pictures are no words, and ids and words like `stop` say nothing private.
                let text = &body[literal.range()];
                if literal.range().len() <= STRING_MAX || !is_base64(text) {
                    words.push(literal);
                }
            })?,
        }
    }
    cursor.finish()?;
    let found = |literal| {
        let place = Place::AnswerContent { choice: 0 };
        Found { place, role: Role::Assistant, kind: Kind::Words, literal }.segment(body)
    };
    answer.texts =
        words.into_iter().map(|literal| AnswerText { choice: 0, segment: found(literal) }).collect();
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(parts: &[(&str, Option<&str>, &str)]) -> Bytes {
        let mut body = String::new();
        for (name, file, value) in parts {
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            body.push_str(&format!(
                "--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"
            ));
        }
        body.push_str("--XX--\r\n");
        body.into()
    }

    const TYPE: Option<&str> = Some("multipart/form-data; boundary=XX");

    #[test]
    fn a_form_is_read_and_its_model_changed_while_its_file_stays() {
        let body = form(&[
            ("file", Some("a.mp3"), "\u{0}--X\r\nnoise"),
            ("model", None, "whisper-1"),
            ("prompt", None, "mail ann@example.com"),
        ]);
        let pass = parse(TYPE, &body).unwrap();
        assert_eq!(pass.model.as_ref().unwrap().value, "whisper-1");
        assert_eq!(pass.segments()[0].as_str(&body), "mail ann@example.com");
        assert!(pass.media_bytes > 5);
        let edits = pass.with_model("base-2").into_iter().collect();
        let changed = crate::splice(&body, edits);
        let wanted = String::from_utf8(body.to_vec()).unwrap().replace("whisper-1", "base-2");
        assert_eq!(changed, wanted);
        let noted = noted(TYPE, &body);
        let noted: Value = serde_json::from_slice(&noted).unwrap();
        assert_eq!(noted["file"]["file"], "a.mp3");
        assert_eq!(noted["prompt"], "mail ann@example.com");
    }

    #[test]
    fn what_is_no_form_is_refused_and_never_panics() {
        let check = |body: &str, part: &str| {
            let error = parse(TYPE, &Bytes::copy_from_slice(body.as_bytes())).expect_err(body);
            assert!(error.message.contains(part), "{body:?}: {}", error.message);
        };
        check("no form", "begin");
        check("--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue", "end");
        check("--XX\r\n\r\nvalue\r\n--XX--", "name");
        let twice = form(&[("model", None, "a"), ("model", None, "b")]);
        assert!(parse(TYPE, &twice).is_err());
        for end in 0..twice.len() {
            let _ = parse(TYPE, &twice.slice(..end));
        }
    }

    #[test]
    fn json_tells_its_model_its_words_and_leaves_pictures_alone() {
        let picture = "A".repeat(9000);
        let body = Bytes::from(format!(
            r#"{{"model":"m","n":3,"input":[{{"type":"text","text":"hi ann"}},{{"image_url":{{"url":"data:image/png;base64,{picture}"}}}}],"user":"u-12345"}}"#
        ));
        let pass = parse(Some("application/json"), &body).unwrap();
        let texts: Vec<_> = pass.segments().iter().map(|text| text.as_str(&body).to_owned()).collect();
        assert_eq!((texts.as_slice(), pass.n), (["text".to_owned(), "hi ann".to_owned()].as_slice(), 3));
        assert!(pass.media_bytes > 9000);
        assert_eq!(crate::splice(&body, pass.with_model("x").into_iter().collect()).len(), body.len());
    }

    #[test]
    fn an_answer_tells_what_was_used_and_what_was_said() {
        let body = Bytes::from_static(
            br#"{"text":"hello there","usage":{"input_tokens":10,"output_tokens":4,"total_tokens":14}}"#,
        );
        let answer = read_answer(Some("application/json"), &body).unwrap();
        assert_eq!(answer.usage.unwrap().total().0, 14);
        assert_eq!(answer.texts[0].segment.as_str(&body), "hello there");
        let plain = Bytes::from_static(b"1\n00:00 --> 00:01\nhello");
        assert_eq!(read_answer(Some("text/plain; charset=utf-8"), &plain).unwrap().texts.len(), 1);
        assert_eq!(read_answer(Some("audio/mpeg"), &plain).unwrap(), PassAnswer::default());
    }
}
