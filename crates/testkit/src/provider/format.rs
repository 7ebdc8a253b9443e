//! In which vendor's words a request is asked, and an answer must be given: told by the path alone, as the vendors do.

/// The format of a conversation. Kept apart from the gateway's own words on purpose: a mistake there shall not be mirrored here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Format {
    /// OpenAI's chat completions; also everything that no other format claims.
    Chat,
    /// OpenAI's legacy completions.
    Completions,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    /// Google's generateContent.
    Gemini,
    /// Bedrock's Converse.
    Converse,
}

impl Format {
    pub(super) fn of_path(path: &str) -> Format {
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        let has_verb = |verbs: &[&str]| verbs.iter().any(|verb| path.ends_with(verb));
        if has_verb(&["/chat/completions"]) {
            Format::Chat
        } else if has_verb(&["/completions"]) {
            Format::Completions
        } else if has_verb(&["/responses"]) {
            Format::Responses
        } else if path.contains("/messages") {
            Format::Messages
        } else if has_verb(&[":generateContent", ":streamGenerateContent", ":countTokens"])
            || has_verb(&[":embedContent", ":batchEmbedContents"])
        {
            Format::Gemini
        } else if has_verb(&["/converse", "/converse-stream"]) {
            Format::Converse
        } else {
            Format::Chat
        }
    }
}
