//! A model of few words: what it says follows from what it was asked, in whatever vendor's words, and from nothing else.
//! Conversations by real clients need no more, and two conversations may run at once.

use super::{request::Seen, step::Step};

/// What it says when there is nothing else to say.
pub const SAYS: &str = "Sunny, then rain";
/// What it thinks where the user asks it to think.
pub const THINKS: &str = "It is summer there.";
/// What it says once it knows what its tools gave.
pub const CONCLUDES: &str = "Paris is warm, Oslo is not";
/// The arguments of its calls, in order.
pub const ASKS_FOR: [&str; 2] = ["Paris", "Oslo"];

const FORECAST: [&str; 2] = ["{\"city\": \"Paris\",", " \"celsius\": 21.5}"];

/// Answers as a model behind the vendor's server would; a request that the vendor would refuse gets its refusal.
///
/// Tools are called at the same time, once for each of [`ASKS_FOR`], until there are results; a tool or a schema named for a
/// forecast gets one. A prompt with "think" gets a thought sealed with `seal` before the text; one with "overloaded" gets
/// an error, one with "break off" an error after the first words of a stream; one with "remember" is
/// told that 4 of its 9 tokens were cached.
pub fn answer(seen: &Seen, seal: &str) -> Step {
    let path = seen.path.split('?').next().unwrap_or_default();
    if ["/embeddings", ":embedContent", ":batchEmbedContents"].iter().any(|end| path.ends_with(end)) {
        return Step::embeddings(8);
    }
    if let Some(why) = seen.complaint() {
        return Step::error(400, "invalid_request_error", "invalid_request", &why);
    }
    if ["/count_tokens", ":countTokens"].iter().any(|end| path.ends_with(end)) {
        return Step::count(17);
    }
    let heard = seen.heard();
    let asks = |word: &str| heard.user.iter().any(|said| said.contains(word));
    if asks("overloaded") {
        return Step::error(529, "overloaded_error", "overloaded", "the model has too much to do")
            .header("retry-after", "7");
    }
    let pieces = ["Sunny", ", then", " rain"];
    debug_assert_eq!(pieces.concat(), SAYS, "both say the same");
    if asks("break off") {
        // Past the first words and before the end in every format: what comes before them is four frames at most.
        let words = ["Sunny", ", then", " rain", " and", " wind", " and", " some", " more", " sun", "."];
        return Step::answer(&words).error_in_stream(7, "the model broke down");
    }
    if !heard.results.is_empty() {
        return Step::answer(&["Paris is warm", ", Oslo is not"]);
    }
    // Clients that know no schema of answers ask for one by way of a tool of this kind.
    let is_shape = |tool: &&String| tool.eq_ignore_ascii_case("forecast") || tool.contains("json");
    if let Some(tool) = heard.tools.iter().find(is_shape) {
        return Step::tool_call(tool, &FORECAST);
    }
    if heard.schema.is_some() {
        return Step::answer(&FORECAST);
    }
    if let Some(tool) = heard.tools.first() {
        return Step::tool_calls(&[
            (tool, &["{\"city\":", " \"Paris\"}"]),
            (tool, &["{\"city\": \"Os", "lo\"}"]),
        ]);
    }
    if asks("think") {
        return Step::thought(&["It is summer", " there."], seal).then_text(&pieces).reasoning(5);
    }
    if asks("remember") {
        return Step::answer(&pieces).cached(4);
    }
    Step::answer(&pieces)
}
