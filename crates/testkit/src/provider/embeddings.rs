//! Embeddings as OpenAI answers them, and as Google does; the same for the same input.

use serde_json::{Value, json};

use super::{format::Format, request::Seen};

pub(super) fn answer(seen: &Seen, dimensions: usize, model: &str) -> Value {
    if seen.format() == Format::Gemini {
        return gemini(seen, dimensions);
    }
    let inputs: Vec<String> = match seen.field("input") {
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        // A list of lists is a batch of token lists; a flat list of numbers is one input.
        Some(Value::Array(items)) if items.iter().all(Value::is_array) => {
            items.iter().map(Value::to_string).collect()
        }
        Some(Value::String(text)) => vec![text],
        Some(other) => vec![other.to_string()],
        None => Vec::new(),
    };
    let is_base64 = seen.field("encoding_format").is_some_and(|format| format == "base64");
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text, dimensions);
            let embedding = if is_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                json!(base64(&bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|text| text.split_whitespace().count()).sum();
    json!({
        "object": "list", "data": data, "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// `embedContent` has one text, `batchEmbedContents` a list of such requests.
fn gemini(seen: &Seen, dimensions: usize) -> Value {
    let embedding = |request: &Value| {
        let parts = request["content"]["parts"].as_array().cloned().unwrap_or_default();
        let text: String = parts.iter().filter_map(|part| part["text"].as_str()).collect();
        json!({"values": vector(&text, dimensions)})
    };
    let body = serde_json::from_slice(&seen.body).unwrap_or(Value::Null);
    match body["requests"].as_array() {
        Some(requests) => json!({"embeddings": requests.iter().map(embedding).collect::<Vec<Value>>()}),
        None => json!({"embedding": embedding(&body)}),
    }
}

/// Multiples of 1/128, which both encodings carry exactly.
fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    (0..dimensions)
        .map(|dimension| {
            let hash = crc32fast::hash(format!("{dimension} {text}").as_bytes());
            (hash % 256) as f32 / 128.0 - 1.0
        })
        .collect()
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * index) & 63) as usize];
            out.push(if index <= group.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_vectors_of_rfc_4648() {
        let check = |text: &str, expected: &str| assert_eq!(base64(text.as_bytes()), expected);
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foobar", "Zm9vYmFy");
    }
}
