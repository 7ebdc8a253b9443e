//! Pictures, videos and documents as Converse takes them: bytes in base64 and the name of a format.

use serde_json::{Value, json};

use crate::ask::{Media, Source};

/// Names of documents that tell nothing: Converse demands one.
const NAMELESS: &str = "document";

/// Characters of a document's name that are kept: Converse takes 200.
const NAME_MAX: usize = 200;

/// A block; none where Converse has no form for it, and then it is listed.
pub(super) fn write(
    kind: Media,
    source: Source,
    name: Option<String>,
    dropped: &mut Vec<String>,
) -> Option<Value> {
    let block = match (kind, source) {
        (Media::Document, Source::Text(text)) => {
            // A document's source takes plain text where its format is `txt`.
            let source = json!({"text": text});
            Some(json!({"document": {"format": "txt", "name": safe(name), "source": source}}))
        }
        (_, Source::Text(text)) => Some(json!({"text": text})),
        (kind, Source::Inline { mime, data }) => format(kind, &mime).map(|format| {
            let source = json!({"bytes": data});
            block(kind, format, name, source)
        }),
        // S3 is the one address that Bedrock fetches from.
        (kind, Source::Url { url, mime }) if url.starts_with("s3://") => {
            let ending = url.rsplit('.').next().unwrap_or("").to_ascii_lowercase();
            let mime = mime.unwrap_or_else(|| format!("{}/{ending}", kind_word(kind)));
            let source = json!({"s3Location": {"uri": url}});
            format(kind, &mime).map(|format| block(kind, format, name, source))
        }
        (_, Source::Url { .. } | Source::File(_)) => None,
    };
    if block.is_none() {
        dropped.push(kind_word(kind).to_owned());
    }
    block
}

fn block(kind: Media, format: &str, name: Option<String>, source: Value) -> Value {
    match kind {
        Media::Document => json!({"document": {"format": format, "name": safe(name), "source": source}}),
        _ => json!({kind_word(kind): {"format": format, "source": source}}),
    }
}

fn kind_word(kind: Media) -> &'static str {
    match kind {
        Media::Image => "image",
        Media::Audio => "audio",
        Media::Video => "video",
        Media::Document => "document",
    }
}

fn format(kind: Media, mime: &str) -> Option<&'static str> {
    let subtype = mime.split_once('/').map_or(mime, |(_, subtype)| subtype);
    Some(match (kind, subtype) {
        (Media::Image, "png") => "png",
        (Media::Image, "jpeg" | "jpg") => "jpeg",
        (Media::Image, "gif") => "gif",
        (Media::Image, "webp") => "webp",
        (Media::Video, "mp4") => "mp4",
        (Media::Video, "webm") => "webm",
        (Media::Video, "quicktime" | "mov") => "mov",
        (Media::Video, "x-matroska" | "mkv") => "mkv",
        (Media::Video, "mpeg") => "mpeg",
        (Media::Audio, "mpeg" | "mp3") => "mp3",
        (Media::Audio, "wav" | "x-wav") => "wav",
        (Media::Audio, "ogg") => "ogg",
        (Media::Audio, "flac") => "flac",
        (Media::Document, "pdf") => "pdf",
        (Media::Document, "csv") => "csv",
        (Media::Document, "html") => "html",
        (Media::Document, "plain" | "txt") => "txt",
        (Media::Document, "markdown" | "md") => "md",
        (Media::Document, "msword" | "doc") => "doc",
        (Media::Document, "vnd.openxmlformats-officedocument.wordprocessingml.document" | "docx") => "docx",
        (Media::Document, "vnd.ms-excel" | "xls") => "xls",
        (Media::Document, "vnd.openxmlformats-officedocument.spreadsheetml.sheet" | "xlsx") => "xlsx",
        _ => return None,
    })
}

/// A name of letters, digits, single spaces, hyphens, parentheses and brackets: others are refused.
fn safe(name: Option<String>) -> String {
    let name = name.unwrap_or_default();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '(' | ')' | '[' | ']');
    let spaced: String = name.chars().map(|letter| if fits(letter) { letter } else { ' ' }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut safe = words.join(" ");
    safe.truncate(NAME_MAX);
    if safe.is_empty() { NAMELESS.to_owned() } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_made_to_fit() {
        let check = |name: Option<&str>, expected: &str| {
            assert_eq!(safe(name.map(str::to_owned)), expected);
        };
        check(None, "document");
        check(Some("..."), "document");
        check(Some("Q3_report (final).pdf"), "Q3 report (final) pdf");
        check(Some("Bücher  für Anna"), "B cher f r Anna");
    }
}
