//! Rankings that applications have reported: documents of calls, and spans of retrievers.

use std::collections::HashMap;

use anyhow::Result;
use gauntlet_evals::retrieval::{Query, Ranked};
use serde_json::Value;

use crate::{
    cli::Place,
    reach::{Reach, escape},
};

/// Calls that are looked at for their documents, newest first; each takes a question to the store.
const LOOKED_AT_MAX: usize = 2_000;
/// Rows of one page.
const PAGE: usize = 500;

/// Documents that calls were given (`x-gauntlet-documents`, `gauntlet.documents`), by the user's last message.
pub(super) fn traces(place: &Place, filters: &str, queries: &[Query]) -> Result<Vec<Ranked>> {
    let reach = Reach::new(place)?;
    let mut found = Found::new(queries);
    pages(&reach, "traces", filters, |row| {
        let Some(id) = row["id"].as_str() else { return Ok(found.is_full()) };
        let call = reach.get(&format!("/api/v1/traces/{}", escape(id)))?;
        found.take(last_question(&call["input"]), &call["record"]["documents"]);
        Ok(found.is_full())
    })?;
    Ok(found.rankings("no call that was looked at asked this with documents"))
}

/// Documents that spans of retrievers found, by their input.
pub(super) fn spans(place: &Place, filters: &str, queries: &[Query]) -> Result<Vec<Ranked>> {
    let reach = Reach::new(place)?;
    let mut found = Found::new(queries);
    let filters = format!("kind=retriever&{filters}");
    pages(&reach, "spans", filters.trim_end_matches('&'), |row| {
        let ids = row["trace_id"].as_str().zip(row["span_id"].as_str());
        let Some((trace, span)) = ids else { return Ok(found.is_full()) };
        let span = reach.get(&format!("/api/v1/spans/{}/{}", escape(trace), escape(span)))?;
        found.take(input(&span["input"]), &span["record"]["documents"]);
        Ok(found.is_full())
    })?;
    Ok(found.rankings("no span that was looked at retrieved for this"))
}

/// Goes through a list, newest first, until `each` has enough.
fn pages(
    reach: &Reach,
    list: &str,
    filters: &str,
    mut each: impl FnMut(&Value) -> Result<bool>,
) -> Result<()> {
    let (mut before, mut seen) = (String::new(), 0);
    let filters = if filters.is_empty() { String::new() } else { format!("&{filters}") };
    while seen < LOOKED_AT_MAX {
        let answer = reach.get(&format!("/api/v1/{list}?limit={PAGE}{filters}{before}"))?;
        let rows = answer[list].as_array().map_or(&[][..], Vec::as_slice);
        for row in rows {
            seen += 1;
            if each(row)? || seen >= LOOKED_AT_MAX {
                return Ok(());
            }
        }
        if rows.is_empty() || answer["next"].is_null() {
            break;
        }
        let next = answer["next"].as_str().map_or_else(|| answer["next"].to_string(), str::to_owned);
        before = format!("&before={}", escape(&next));
    }
    Ok(())
}

struct Found<'a> {
    queries: &'a [Query],
    /// Place among the queries, by their words.
    wanted: HashMap<String, Vec<usize>>,
    rankings: Vec<Option<Vec<String>>>,
    missing: usize,
}

impl<'a> Found<'a> {
    fn new(queries: &'a [Query]) -> Found<'a> {
        let mut wanted: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, query) in queries.iter().enumerate() {
            wanted.entry(plain(&query.text)).or_default().push(at);
        }
        Found { queries, wanted, rankings: vec![None; queries.len()], missing: queries.len() }
    }

    /// The newest ranking of a query counts; a call without documents says nothing of a retriever.
    fn take(&mut self, question: Option<String>, documents: &Value) {
        let ids: Vec<String> = documents
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|document| document["id"].as_str().map(str::to_owned))
            .collect();
        let places = question.as_deref().map(plain).and_then(|question| self.wanted.get(&question));
        let Some(places) = places.filter(|_| !ids.is_empty()) else { return };
        for at in places {
            if self.rankings[*at].is_none() {
                self.rankings[*at] = Some(ids.clone());
                self.missing -= 1;
            }
        }
    }

    fn is_full(&self) -> bool {
        self.missing == 0
    }

    fn rankings(self, why: &str) -> Vec<Ranked> {
        debug_assert_eq!(self.queries.len(), self.rankings.len());
        self.rankings.into_iter().map(|ranking| ranking.ok_or_else(|| why.to_owned())).collect()
    }
}

/// Words without what is not told apart: case, and how they are spaced.
fn plain(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

fn last_question(input: &Value) -> Option<String> {
    let messages = input["messages"].as_array()?;
    let last = messages.iter().rev().find(|message| message["role"] == "user")?;
    match &last["content"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()).map(str::to_owned),
        _ => None,
    }
}

/// A span's input: the query alone, or a field of an object, possibly written as a text.
fn input(value: &Value) -> Option<String> {
    let field = |object: &Value| {
        let names = ["query", "input", "question", "value"];
        names.iter().find_map(|name| object[*name].as_str()).map(str::to_owned)
    };
    match value {
        Value::String(text) => {
            let parsed: Option<Value> = serde_json::from_str(text).ok().filter(Value::is_object);
            parsed.as_ref().and_then(field).or_else(|| Some(text.clone()))
        }
        object => field(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_ranking_is_matched_by_the_words_of_its_query_and_the_newest_counts() {
        let query = |text: &str| Query { id: text.to_owned(), text: text.to_owned(), ..Query::default() };
        let queries = [query("Who  are you?"), query("When?")];
        let mut found = Found::new(&queries);
        found.take(Some("who are YOU?".to_owned()), &json!([]));
        found.take(Some("who are YOU?".to_owned()), &json!([{"id": "a"}, {"id": "b", "score": 0.1}]));
        found.take(Some("Who are you?".to_owned()), &json!([{"id": "z"}]));
        assert!(!found.is_full());
        let rankings = found.rankings("none");
        assert_eq!(rankings, [Ok(vec!["a".to_owned(), "b".to_owned()]), Err("none".to_owned())]);
    }

    #[test]
    fn a_question_is_found_in_what_was_asked() {
        let check = |found: Option<String>, wanted: Option<&str>| assert_eq!(found.as_deref(), wanted);
        check(
            last_question(
                &json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}),
            ),
            Some("a"),
        );
        check(
            last_question(
                &json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}),
            ),
            Some("a"),
        );
        check(last_question(&json!({})), None);
        check(input(&json!("a")), Some("a"));
        check(input(&json!({"query": "a"})), Some("a"));
        check(input(&json!("{\"input\": \"a\"}")), Some("a"));
        check(input(&json!(null)), None);
    }
}
