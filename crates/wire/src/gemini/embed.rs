//! embedContent and batchEmbedContents, and the same as OpenAI's embeddings.

use bytes::Bytes;
use gauntlet_types::Usage;
use serde_json::{Map, Value, json};

use super::{
    base64,
    names::{camel, known},
    usage,
};
use crate::{
    ask::Written,
    gemini::ask::List,
    json::{Cursor, Fail, Malformed, Scan, ValueKind},
    openai::{
        embeddings::{EmbeddingsAnswer, INPUTS_MAX},
        error::from_value,
    },
    reading::{Seen, kept_string},
    text::{Found, Kind, Place, Role, Segment, all_strings, others},
};

/// Which of the two doors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `{"content": …}`
    One,
    /// `{"requests": [{"content": …}, …]}`
    Batch,
}

/// What the gateway must know of a request; everything else stays in the bytes untouched.
#[derive(Clone, Default, Debug)]
pub struct EmbedRequest {
    /// The texts and pictures that vectors are wanted of.
    pub input_count: usize,
    /// The greatest that is asked for.
    pub dimensions: Option<u32>,
    /// Parts that are no text.
    pub media_count: u32,
    texts: Vec<Found>,
}

impl EmbedRequest {
    /// The texts that reach the model, in order.
    pub fn segments(&self, body: &Bytes) -> Vec<Segment> {
        let read = self.texts.iter().filter(|found| found.kind != Kind::Other);
        read.map(|found| found.segment(body)).collect()
    }

    /// The strings that no model reads.
    pub fn other_segments(&self, body: &Bytes) -> Vec<Segment> {
        let others = self.texts.iter().filter(|found| found.kind == Kind::Other);
        others.map(|found| found.segment(body)).collect()
    }
}

const KEYS: &[&str] = &["content", "outputDimensionality", "model", "title"];

/// Reads a request. Errors name the field at fault; a `model` beside that of the path must be the same.
pub fn parse(body: &Bytes, form: Form, model: &str) -> Result<EmbedRequest, Malformed> {
    let mut request = EmbedRequest::default();
    let scan = |request: &mut EmbedRequest| -> Scan<()> {
        let mut cursor = Cursor::new(body)?;
        let cursor = &mut cursor;
        match form {
            Form::One => request.one(cursor, None, model)?,
            Form::Batch => request.batch(cursor, model)?,
        }
        cursor.finish()?;
        if request.input_count == 0 {
            let key = if form == Form::One { "content" } else { "requests" };
            return Err(Fail::field(body.len(), key, "is missing or empty"));
        }
        Ok(())
    };
    scan(&mut request).map_err(|fail| fail.locate(body))?;
    Ok(request)
}

impl EmbedRequest {
    fn batch(&mut self, cursor: &mut Cursor<'_>, model: &str) -> Scan<()> {
        let mut object = cursor.expect_object("the body")?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            if known(&key, &["requests"], object.key)?.is_none() {
                others(cursor, &mut self.texts)?;
                continue;
            }
            seen.once(0, object.key, "requests")?;
            List::walk(cursor, "requests", |cursor, index| {
                if index as usize == INPUTS_MAX {
                    let message = format_args!("has more than {INPUTS_MAX} items");
                    return Err(Fail::field(cursor.at(), "requests", message));
                }
                self.one(cursor, Some(index), model)
            })?;
        }
        Ok(())
    }

    fn one(&mut self, cursor: &mut Cursor<'_>, item: Option<u32>, model: &str) -> Scan<()> {
        let param = |key: &str| match item {
            Some(item) => format!("requests[{item}].{key}"),
            None => key.to_owned(),
        };
        let mut object = cursor.expect_object(param("content"))?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            let Some(bit) = known(&key, KEYS, object.key)? else {
                others(cursor, &mut self.texts)?;
                continue;
            };
            seen.once(bit as u32, object.key, param(KEYS[bit]))?;
            if cursor.null()? {
                continue;
            }
            let start = cursor.at();
            match KEYS[bit] {
                "content" => {
                    self.content(cursor, item, &param("content"))?;
                    self.input_count += 1;
                }
                // The model reads the title of a document too.
                "title" => {
                    let literal = cursor.expect_string(param("title"))?;
                    self.see(item, literal);
                }
                "model" => {
                    let named = kept_string(cursor, "model", &mut self.texts)?;
                    if named.rsplit('/').next() != model.rsplit('/').next() {
                        return Err(Fail::field(start, param("model"), "is not the model of the path"));
                    }
                }
                _ => {
                    let wanted = cursor.expect_whole(param(KEYS[bit]), "from 0 to 4294967295")?;
                    self.dimensions = self.dimensions.max(Some(wanted));
                }
            }
        }
        Ok(())
    }

    fn content(&mut self, cursor: &mut Cursor<'_>, item: Option<u32>, param: &str) -> Scan<()> {
        let mut object = cursor.expect_object(param)?;
        let mut seen = Seen::default();
        while let Some(key) = cursor.member(&mut object)? {
            if known(&key, &["parts"], object.key)?.is_none() {
                others(cursor, &mut self.texts)?;
                continue;
            }
            seen.once(0, object.key, format_args!("{param}.parts"))?;
            List::walk(cursor, format_args!("{param}.parts"), |cursor, _| {
                let mut part = cursor.expect_object(format_args!("{param}.parts"))?;
                while let Some(key) = cursor.member(&mut part)? {
                    if matches!(&*camel(&key), "inlineData" | "fileData") {
                        self.media_count = self.media_count.saturating_add(1);
                        cursor.skip()?;
                    } else {
                        all_strings(cursor, &mut |literal| self.see(item, literal))?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn see(&mut self, item: Option<u32>, literal: crate::json::Literal) {
        let place = Place::Input { item };
        self.texts.push(Found { place, role: Role::User, kind: Kind::Words, literal });
    }
}

/// A request as OpenAI's embeddings write it. Errors: a part that is no text.
pub fn to_openai(body: &[u8], form: Form, model: &str) -> Result<Written, Malformed> {
    let mut written = Written::default();
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Malformed::new(format!("the body is not JSON: {error}")))?;
    let requests = match form {
        Form::One => vec![&value],
        Form::Batch => member(&value, "requests").and_then(Value::as_array).into_iter().flatten().collect(),
    };
    let (mut input, mut dimensions) = (Vec::with_capacity(requests.len()), None);
    for (index, request) in requests.into_iter().enumerate() {
        let members = request.as_object().into_iter().flatten();
        for (key, value) in members.filter(|(_, value)| !value.is_null()) {
            match &*camel(key) {
                "content" => input.push(text(value, index)?),
                "outputDimensionality" => dimensions = Some(value.clone()),
                "model" => {}
                other => written.dropped.push(other.to_owned()),
            }
        }
    }
    written.dropped.sort();
    written.dropped.dedup();
    let mut request = Map::new();
    request.insert("model".into(), model.into());
    request.insert("input".into(), input.into());
    if let Some(dimensions) = dimensions {
        request.insert("dimensions".into(), dimensions);
    }
    request.insert("encoding_format".into(), "float".into());
    written.body = Value::Object(request).to_string().into_bytes();
    Ok(written)
}

/// A member in either spelling.
fn member<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    value.as_object()?.iter().find(|(found, _)| camel(found) == key).map(|(_, value)| value)
}

fn text(content: &Value, index: usize) -> Result<String, Malformed> {
    let parts = match member(content, "parts") {
        Some(Value::Array(parts)) => parts.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let texts: Option<Vec<&str>> = parts.iter().map(|part| part.get("text")?.as_str()).collect();
    let wrong =
        || Malformed::field(format!("requests[{index}].content.parts"), "must be texts for this model");
    texts.filter(|texts| !texts.is_empty()).map(|texts| texts.join("\n")).ok_or_else(wrong)
}

/// A request of OpenAI's as batchEmbedContents writes it. Errors: input that is given as tokens.
pub fn from_openai(body: &[u8], model: &str) -> Result<Written, Malformed> {
    let mut written = Written::default();
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Malformed::new(format!("the body is not JSON: {error}")))?;
    let texts = match value.get("input") {
        Some(Value::String(text)) => Some(vec![text.as_str()]),
        Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
        _ => None,
    };
    let Some(texts) = texts else {
        return Err(Malformed::field("input", "must be a text or texts: this model takes no tokens"));
    };
    let name = if model.contains('/') { model.to_owned() } else { format!("models/{model}") };
    let request = |text: &str| {
        let mut request = json!({"model": name, "content": {"parts": [{"text": text}]}});
        if let Some(dimensions) = value.get("dimensions").filter(|value| !value.is_null()) {
            request["outputDimensionality"] = dimensions.clone();
        }
        request
    };
    let requests: Vec<Value> = texts.into_iter().map(request).collect();
    for (key, value) in value.as_object().into_iter().flatten() {
        // The form of the vectors is ours to write.
        let is_kept = matches!(key.as_str(), "input" | "model" | "dimensions" | "encoding_format");
        if !is_kept && !value.is_null() {
            written.dropped.push(key.clone());
        }
    }
    written.body = json!({"requests": requests}).to_string().into_bytes();
    Ok(written)
}

/// Reads an answer. Malformed when it is not JSON or has neither a vector nor an error.
pub fn read_answer(body: &Bytes) -> Result<EmbeddingsAnswer, Malformed> {
    let mut answer = EmbeddingsAnswer::default();
    let mut has_vectors = false;
    let mut scan = || -> Scan<()> {
        let mut cursor = Cursor::new(body)?;
        let cursor = &mut cursor;
        let mut object = cursor.expect_object("the answer")?;
        while let Some(key) = cursor.member(&mut object)? {
            match (&*key, cursor.kind()?) {
                ("embedding", ValueKind::Object) => {
                    has_vectors = true;
                    cursor.skip()?;
                    answer.count += 1;
                }
                ("embeddings", ValueKind::Array) => {
                    has_vectors = true;
                    let mut array = cursor.enter()?;
                    while cursor.item(&mut array)? {
                        cursor.skip()?;
                        answer.count += 1;
                    }
                }
                ("usageMetadata", ValueKind::Object) => {
                    let span = cursor.span()?;
                    answer.usage = usage::read(cursor.slice(span).as_bytes()).ok().flatten();
                }
                ("error", ValueKind::Object | ValueKind::String) => {
                    let span = cursor.span()?;
                    let value = serde_json::from_str(cursor.slice(span)).unwrap_or_default();
                    answer.error = Some(from_value(&value).unwrap_or_default());
                }
                _ => cursor.skip()?,
            }
        }
        cursor.finish()
    };
    scan().map_err(|fail| fail.locate(body))?;
    if !has_vectors && answer.error.is_none() {
        return Err(Malformed::field("embeddings", "is missing from the answer"));
    }
    Ok(answer)
}

/// Gemini's answer as OpenAI writes it.
pub fn answer_to_openai(body: &[u8], model: &str, used: &Usage) -> Result<Bytes, Malformed> {
    let value: Value = parse_answer(body)?;
    let one = value.get("embedding");
    let many = value.get("embeddings").and_then(Value::as_array);
    let vectors = one.into_iter().chain(many.into_iter().flatten());
    let data: Vec<Value> = vectors
        .enumerate()
        .map(|(index, vector)| {
            json!({"object": "embedding", "index": index, "embedding": vector.get("values")})
        })
        .collect();
    let tokens = used.input_total().0;
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    let answer = json!({"object": "list", "data": data, "model": model, "usage": usage});
    Ok(answer.to_string().into())
}

/// OpenAI's answer as Gemini writes it; vectors in base64 are unpacked.
pub fn answer_from_openai(body: &[u8], form: Form) -> Result<Bytes, Malformed> {
    let mut value: Value = parse_answer(body)?;
    let data = value.get_mut("data").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let mut vectors: Vec<(u64, Value)> = Vec::with_capacity(data.len());
    for (position, mut item) in data.into_iter().enumerate() {
        let index = item.get("index").and_then(Value::as_u64).unwrap_or(position as u64);
        let values = match item.get_mut("embedding").map(Value::take) {
            Some(Value::String(packed)) => unpack(&packed)?,
            Some(values) => values,
            None => Value::Array(Vec::new()),
        };
        vectors.push((index, json!({"values": values})));
    }
    vectors.sort_by_key(|(index, _)| *index);
    let mut vectors: Vec<Value> = vectors.into_iter().map(|(_, vector)| vector).collect();
    let answer = match form {
        Form::One if vectors.is_empty() => return Err(Malformed::field("data", "is empty in the answer")),
        Form::One => json!({"embedding": vectors.swap_remove(0)}),
        Form::Batch => json!({"embeddings": vectors}),
    };
    Ok(answer.to_string().into())
}

fn parse_answer(body: &[u8]) -> Result<Value, Malformed> {
    serde_json::from_slice(body).map_err(|error| Malformed::new(format!("the answer is not JSON: {error}")))
}

/// Floats of 32 bits, little end first.
fn unpack(packed: &str) -> Result<Value, Malformed> {
    let bytes = base64(packed).filter(|bytes| bytes.len() % 4 == 0);
    let bytes = bytes.ok_or_else(|| Malformed::field("data[].embedding", "is not base64 of floats"))?;
    let float = |chunk: &[u8]| f32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
    Ok(bytes.chunks_exact(4).map(|chunk| Value::from(f64::from(float(chunk)))).collect())
}

#[cfg(test)]
mod tests {
    use gauntlet_types::TokenCount;

    use super::*;

    #[track_caller]
    fn check(body: &'static str, form: Form, texts: &[&str], openai: Value, dropped: &[&str]) {
        let body = Bytes::from(body);
        let request = parse(&body, form, "e").unwrap();
        let found = request.segments(&body);
        assert_eq!(found.iter().map(|segment| segment.as_str(&body)).collect::<Vec<_>>(), texts);
        let written = to_openai(&body, form, "m").unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written.body).unwrap(), openai);
        assert_eq!(written.dropped, dropped);
    }

    #[test]
    fn both_forms_are_read_and_become_openais() {
        check(
            r#"{"model":"models/e","content":{"parts":[{"text":"a\nb"}]},"task_type":"QUERY","outputDimensionality":64}"#,
            Form::One,
            &["a\nb"],
            json!({"model": "m", "input": ["a\nb"], "dimensions": 64, "encoding_format": "float"}),
            &["taskType"],
        );
        check(
            r#"{"requests":[{"content":{"parts":{"text":"a"}}},{"content":{"parts":[{"text":"b"},{"text":"c"}]},"title":"t"}]}"#,
            Form::Batch,
            &["a", "b", "c", "t"],
            json!({"model": "m", "input": ["a", "b\nc"], "encoding_format": "float"}),
            &["title"],
        );
    }

    #[test]
    fn mistakes_name_the_field() {
        let check = |body: &'static str, form: Form, param: &str| {
            let error = parse(&Bytes::from(body), form, "e").unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
        };
        check(r#"{}"#, Form::One, "content");
        check(r#"{"content":7}"#, Form::One, "content");
        check(r#"{"requests":[]}"#, Form::Batch, "requests");
        check(
            r#"{"requests":[{"content":{"parts":[]},"model":"models/dear"}]}"#,
            Form::Batch,
            "requests[0].model",
        );
        check(r#"{"content":{"parts":[]},"Content":1}"#, Form::One, "Content");
        check(r#"{"content":{"parts":[],"parts":[]}}"#, Form::One, "content.parts");
    }

    #[test]
    fn openais_request_becomes_a_batch() {
        let body = br#"{"model":"x","input":["a","b"],"dimensions":8,"user":"u","encoding_format":"base64"}"#;
        let written = from_openai(body, "e").unwrap();
        let request = |text: &str| json!({"model": "models/e", "content": {"parts": [{"text": text}]}, "outputDimensionality": 8});
        assert_eq!(
            serde_json::from_slice::<Value>(&written.body).unwrap(),
            json!({"requests": [request("a"), request("b")]})
        );
        assert_eq!(written.dropped, ["user"]);
        assert_eq!(from_openai(br#"{"input":[1,2]}"#, "e").unwrap_err().param.as_deref(), Some("input"));
    }

    #[test]
    fn answers_go_both_ways() {
        let gemini = Bytes::from_static(
            br#"{"embeddings":[{"values":[0.5,-1.25]},{"values":[2.0]}],"usageMetadata":{"promptTokenCount":4}}"#,
        );
        let read = read_answer(&gemini).unwrap();
        assert_eq!((read.count, read.usage.unwrap().input_fresh), (2, TokenCount(4)));
        let openai = answer_to_openai(&gemini, "m", &read.usage.unwrap()).unwrap();
        let again = answer_from_openai(&openai, Form::Batch).unwrap();
        assert_eq!(again, r#"{"embeddings":[{"values":[0.5,-1.25]},{"values":[2.0]}]}"#);
        let packed = br#"{"data":[{"index":0,"embedding":"AAAAPwAAoL8="}]}"#;
        assert_eq!(answer_from_openai(packed, Form::One).unwrap(), r#"{"embedding":{"values":[0.5,-1.25]}}"#);
        assert!(read_answer(&Bytes::from_static(b"{}")).is_err());
        let failed =
            Bytes::from_static(br#"{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}"#);
        assert_eq!(read_answer(&failed).unwrap().error.unwrap().message, "slow");
    }
}
