//! What a kind of judge has to say of itself; what all of them share is in [`super::scorer`].

use futures_util::future::BoxFuture;
use gauntlet_ports::Direction;
use gauntlet_types::Name;
use serde_json::Value;

use super::{
    ask::{Bench, Judge, Question, Schema},
    fence::{fence, fence_numbered},
    prompt::Text,
};
use crate::{Case, Seen};

/// What one draw found.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Finding {
    pub(super) value: f64,
    /// The judge's own word, where it gives one.
    pub(super) passed: Option<bool>,
    pub(super) reason: String,
    pub(super) evidence: Value,
}

pub(super) trait Measure: Send + Sync {
    fn implementation(&self) -> &'static str;

    fn direction(&self) -> Direction {
        Direction::HigherIsBetter
    }

    /// Calls of one draw, for a case with so many passages.
    fn calls(&self, contexts: u32) -> u32;

    /// Equal questions that one draw asks, so that their answers should differ.
    fn draws(&self) -> u32 {
        1
    }

    /// Another model that it goes by, as one that embeds.
    fn by(&self) -> Option<&Name> {
        None
    }

    /// Whether a case that the judge itself fails does not pass, whatever its score.
    fn has_own_word(&self) -> bool {
        false
    }

    fn lacks(&self, case: &Case) -> Option<String>;

    /// The texts that it asks by, for the record and for whoever compares judges.
    fn texts(&self) -> Vec<Text<'_>>;

    /// Errors: why there is no value. That is *unscored*, never 0.
    fn draw<'a>(&'a self, draw: Draw<'a>) -> BoxFuture<'a, Result<Finding, String>>;
}

/// One of several looks of a judge at an answer.
#[derive(Clone, Copy)]
pub(super) struct Draw<'a> {
    pub(super) judge: &'a Judge,
    pub(super) bench: &'a Bench<'a>,
    pub(super) seen: &'a Seen<'a>,
    pub(super) sample: u32,
}

impl<'a> Draw<'a> {
    /// Asks one question. `output` is the tag between which the variables hold the candidate's output, where they do.
    pub(super) async fn ask<T>(
        &self,
        text: Text<'_>,
        schema: &'static Schema,
        variables: Vec<(&'static str, String)>,
        output: Option<&'static str>,
        read: &(dyn Fn(&Value) -> Result<T, String> + Sync),
    ) -> Result<T, String> {
        let question = Question {
            text,
            variables,
            output: self.output(output),
            schema,
            sample: self.sample,
            with_tokens: false,
        };
        self.judge.ask(self.bench, &question, read).await.map(|(found, _)| found)
    }

    /// The output as it stands between such tags, and its hash.
    pub(super) fn output(&self, tag: Option<&str>) -> Option<(String, &'a str)> {
        tag.map(|tag| (fence(tag, self.seen.text), self.seen.output_hash))
    }

    pub(super) fn asked(&self) -> String {
        fence("question", &self.seen.case.question())
    }

    pub(super) fn answer(&self) -> String {
        fence("answer", self.seen.text)
    }

    pub(super) fn contexts(&self) -> String {
        fence_numbered("contexts", self.seen.case.contexts.iter().map(String::as_str))
    }

    /// Everything that is known of an answer, for judges that are told in words what to look at.
    pub(super) fn material(&self) -> String {
        let case = self.seen.case;
        let mut parts = vec![self.asked()];
        if !case.contexts.is_empty() {
            parts.push(self.contexts());
        }
        parts.extend(case.expected_text().map(|expected| fence("reference", &expected)));
        parts.push(self.answer());
        parts.join("\n")
    }
}

pub(super) fn lacks_contexts(case: &Case) -> Option<String> {
    case.contexts.is_empty().then(|| "`contexts`: the passages that were retrieved".to_owned())
}

pub(super) fn lacks_reference(case: &Case) -> Option<String> {
    case.expected.is_none().then(|| "`expected`: the answer that is right".to_owned())
}

/// `3 of 4 claims`, and the first reason against.
pub(super) fn share(good: usize, of: usize, what: &str, against: Option<&str>) -> String {
    let against = against.filter(|reason| !reason.is_empty());
    format!("{good} of {of} {what}{}", against.map(|reason| format!("; {reason}")).unwrap_or_default())
}
