//! An embeddings request and what is counted of its answer.

use bytes::Bytes;
use gauntlet_types::Usage;

use super::{
    error::{ProviderError, from_value},
    usage,
};
use crate::{
    conversation::Spanned,
    json::{Cursor, Fail, Malformed, Scan, ValueKind, quote},
    reading::{Seen, kept_string, metadata, refuse_case_variant, string},
    splice::Edit,
    text::{Found, Kind, Place, Role, Segment, others},
};

/// Inputs of one request. OpenAI takes 2048; servers of our own may take more, but memory of ours goes with each.
pub const INPUTS_MAX: usize = 16_384;

/// What the gateway must know of a request; everything else stays in the bytes untouched.
#[derive(Clone, Debug)]
pub struct EmbeddingsRequest {
    /// The span includes the quotes.
    pub model: Spanned<String>,
    pub user: Option<String>,
    pub metadata: Vec<(String, String)>,
    pub dimensions: Option<u32>,
    /// `float` or `base64`.
    pub encoding_format: Option<String>,
    /// Texts or lists of tokens.
    pub input_count: usize,
    /// Tokens given as numbers; texts are not counted here.
    pub token_count: u64,
    texts: Vec<Found>,
    others: Vec<Found>,
}

impl EmbeddingsRequest {
    /// Edit: another model.
    pub fn with_model(&self, model: &str) -> Edit {
        Edit::new(self.model.span.clone(), quote(model))
    }
}

/// The input texts in order; none for input given as tokens.
pub fn segments(request: &EmbeddingsRequest, body: &Bytes) -> Vec<Segment> {
    request.texts.iter().map(|found| found.segment(body)).collect()
}

/// The strings that no model reads: `user`, `metadata`, unknown fields.
pub fn other_segments(request: &EmbeddingsRequest, body: &Bytes) -> Vec<Segment> {
    request.others.iter().map(|found| found.segment(body)).collect()
}

/// Reads a request. Errors name the field at fault and its line and column. Keys that we read may stand once only.
pub fn parse(body: &Bytes) -> Result<EmbeddingsRequest, Malformed> {
    read(body).map_err(|fail| fail.locate(body))
}

const KEYS: &[&str] = &["model", "input", "user", "metadata", "dimensions", "encoding_format"];

#[derive(Default)]
struct Input {
    count: usize,
    tokens: u64,
    texts: Vec<Found>,
}

fn read(body: &[u8]) -> Scan<EmbeddingsRequest> {
    let mut cursor = Cursor::new(body)?;
    if cursor.kind()? != ValueKind::Object {
        return Err(Fail::new(cursor.at(), "the body must be a JSON object"));
    }
    let (mut model, mut user, mut dimensions, mut encoding_format, mut input) =
        (None, None, None, None, None);
    let mut pairs = Vec::new();
    let mut kept = Vec::new();
    let mut seen = Seen::default();
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        let Some(bit) = KEYS.iter().position(|known| *known == key) else {
            refuse_case_variant(&key, KEYS, object.key)?;
            others(&mut cursor, &mut kept)?;
            continue;
        };
        seen.once(bit as u32, object.key, &key)?;
        match KEYS[bit] {
            "model" => {
                let literal = cursor.expect_string("model")?;
                if literal.is_empty() {
                    return Err(Fail::field(literal.start, "model", "is empty"));
                }
                model = Some(Spanned { value: cursor.text(literal).into_owned(), span: literal.quoted() });
            }
            "input" => input = Some(read_input(&mut cursor)?),
            _ if cursor.null()? => {}
            "user" => user = Some(kept_string(&mut cursor, "user", &mut kept)?),
            "metadata" => pairs = metadata(&mut cursor, &mut kept)?,
            "dimensions" => dimensions = Some(cursor.expect_whole("dimensions", "from 0 to 4294967295")?),
            _ => encoding_format = Some(kept_string(&mut cursor, "encoding_format", &mut kept)?),
        }
    }
    cursor.finish()?;
    let Some(model) = model else { return Err(Fail::field(body.len(), "model", "is missing")) };
    let Some(input) = input else { return Err(Fail::field(body.len(), "input", "is missing")) };
    Ok(EmbeddingsRequest {
        model,
        user,
        metadata: pairs,
        dimensions,
        encoding_format,
        input_count: input.count,
        token_count: input.tokens,
        texts: input.texts,
        others: kept,
    })
}

/// A text, texts, tokens, or lists of tokens.
fn read_input(cursor: &mut Cursor<'_>) -> Scan<Input> {
    let mut input = Input::default();
    if cursor.kind()? == ValueKind::String {
        input.text(cursor, None)?;
        return Ok(input);
    }
    let start = cursor.at();
    let mut array = cursor.expect_array("input")?;
    while cursor.item(&mut array)? {
        let index = input.count;
        match cursor.kind()? {
            ValueKind::String => input.text(cursor, Some(index as u32))?,
            ValueKind::Number => {
                cursor.number()?;
                input.tokens += 1;
            }
            ValueKind::Array => {
                let mut tokens = cursor.enter()?;
                while cursor.item(&mut tokens)? {
                    if cursor.kind()? != ValueKind::Number {
                        return Err(Fail::field(
                            cursor.at(),
                            format_args!("input[{index}]"),
                            "must hold tokens only",
                        ));
                    }
                    cursor.number()?;
                    input.tokens += 1;
                }
                input.count += 1;
            }
            kind => {
                let message = format_args!("must be a text or tokens, not {}", kind.name());
                return Err(Fail::field(cursor.at(), format_args!("input[{index}]"), message));
            }
        }
        if input.count > INPUTS_MAX {
            return Err(Fail::field(start, "input", format_args!("has more than {INPUTS_MAX} items")));
        }
    }
    // Bare numbers are the tokens of one input.
    if input.count == 0 && input.tokens > 0 {
        input.count = 1;
    }
    if input.count == 0 {
        return Err(Fail::field(start, "input", "is empty"));
    }
    Ok(input)
}

impl Input {
    fn text(&mut self, cursor: &mut Cursor<'_>, item: Option<u32>) -> Scan<()> {
        let literal = cursor.literal()?;
        self.texts.push(Found { place: Place::Input { item }, role: Role::User, kind: Kind::Words, literal });
        self.count += 1;
        Ok(())
    }
}

/// What is known of an embeddings answer; the vectors stay in the bytes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct EmbeddingsAnswer {
    pub model: Option<String>,
    pub usage: Option<Usage>,
    /// How many vectors it has.
    pub count: usize,
    /// The body tells of an error, whatever its status said.
    pub error: Option<ProviderError>,
}

/// Reads an answer. Malformed when it is not JSON or has neither `data` nor an error.
pub fn read_answer(body: &Bytes) -> Result<EmbeddingsAnswer, Malformed> {
    answer(body).map_err(|fail| fail.locate(body))
}

fn answer(body: &[u8]) -> Scan<EmbeddingsAnswer> {
    let mut cursor = Cursor::new(body)?;
    if cursor.kind()? != ValueKind::Object {
        return Err(Fail::new(cursor.at(), "the answer must be a JSON object"));
    }
    let mut answer = EmbeddingsAnswer::default();
    let mut has_data = false;
    let mut object = cursor.enter()?;
    while let Some(key) = cursor.member(&mut object)? {
        match (&*key, cursor.kind()?) {
            ("model", ValueKind::String) => answer.model = Some(string(&mut cursor, "model")?),
            ("usage", _) => answer.usage = usage::read(&mut cursor)?,
            ("data", ValueKind::Array) => {
                has_data = true;
                let mut array = cursor.enter()?;
                while cursor.item(&mut array)? {
                    cursor.skip()?;
                    answer.count += 1;
                }
            }
            ("error", ValueKind::Object | ValueKind::String) => {
                let span = cursor.span()?;
                let value = serde_json::from_str(cursor.slice(span)).unwrap_or_default();
                answer.error = Some(from_value(&value).unwrap_or_default());
            }
            _ => cursor.skip()?,
        }
    }
    cursor.finish()?;
    if !has_data && answer.error.is_none() {
        return Err(Fail::field(body.len(), "data", "is missing from the answer"));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, count: usize, tokens: u64, texts: &[&str]) {
        let body = Bytes::from(format!(r#"{{"input":{input},"model":"m","dimensions":256}}"#));
        let request = parse(&body).unwrap();
        assert_eq!((request.input_count, request.token_count), (count, tokens), "{input}");
        let found = segments(&request, &body);
        assert_eq!(found.iter().map(|segment| segment.as_str(&body)).collect::<Vec<_>>(), texts);
    }

    #[test]
    fn input_comes_in_four_forms() {
        check(r#""a\nb""#, 1, 0, &["a\nb"]);
        check(r#"["a","b"]"#, 2, 0, &["a", "b"]);
        check("[1,2,3]", 1, 3, &[]);
        check("[[1,2],[3]]", 2, 3, &[]);
    }

    #[test]
    fn mistakes_name_the_field() {
        let check = |body: &'static str, param: &str| {
            let error = parse(&Bytes::from(body)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
        };
        check(r#"{"input":"a"}"#, "model");
        check(r#"{"model":"m"}"#, "input");
        check(r#"{"model":"m","input":[]}"#, "input");
        check(r#"{"model":"m","input":7}"#, "input");
        check(r#"{"model":"m","input":["a",null]}"#, "input[1]");
        check(r#"{"model":"m","input":[["a"]]}"#, "input[0]");
        check(r#"{"model":"m","input":"a","input":"b"}"#, "input");
        check(r#"{"model":"m","input":"a","Input":"b"}"#, "Input");
        check(r#"{"model":"m","input":"a","dimensions":"many"}"#, "dimensions");
    }

    #[test]
    fn an_answer_is_counted() {
        let body = Bytes::from_static(
            br#"{"object":"list","data":[{"embedding":[0.1,-2e-3],"index":0}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        );
        let answer = read_answer(&body).unwrap();
        assert_eq!(
            (answer.count, answer.model.as_deref(), answer.usage.unwrap().total().0),
            (1, Some("e"), 8)
        );
        let failed = read_answer(&Bytes::from_static(br#"{"error":{"message":"no"}}"#)).unwrap();
        assert_eq!(failed.error.unwrap().message, "no");
        assert!(read_answer(&Bytes::from_static(b"<html>")).is_err());
        assert!(read_answer(&Bytes::from_static(b"{}")).is_err());
    }
}
