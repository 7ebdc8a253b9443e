//! In which form a judge is asked for JSON, and which forms each model takes.
//!
//! A model that refuses one form is asked by the next; what it takes is remembered for all metrics of a run. The first question to a
//! model goes alone, so that a form that is refused is refused once and not by every case under way.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
};

use futures_util::lock::{Mutex as Slot, MutexGuard};
use gauntlet_ports::Told;
use gauntlet_types::Name;
use serde_json::{Map, Value, json};

use super::ask::Schema;

/// Alternatives of each token that are asked for: what OpenAI gives at most, and what DeepEval asks for.
const TOP_LOGPROBS: u32 = 20;

/// How the shape of an answer is asked for, the strictest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// `response_format: json_schema`.
    Schema,
    /// `response_format: json_object` with the schema in it: llama.cpp's servers, Together and Fireworks.
    ObjectBySchema,
    /// `response_format: json_object`.
    Object,
    /// The prompt alone says it.
    Words,
}

impl Shape {
    const ALL: [Shape; 4] = [Shape::Schema, Shape::ObjectBySchema, Shape::Object, Shape::Words];

    fn place(self) -> u8 {
        self as u8
    }
}

/// One way to ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form {
    shape: Shape,
    /// `logprobs`, for scores that are weighted by them.
    has_tokens: bool,
}

impl Form {
    /// Puts it into a body. What the suite's own `params` say of the format goes before.
    pub(super) fn write(self, body: &mut Map<String, Value>, schema: &Schema) {
        let format = match self.shape {
            Shape::Schema => Some(json!({
                "type": "json_schema",
                "json_schema": {"name": schema.name, "strict": true, "schema": (schema.of)()},
            })),
            Shape::ObjectBySchema => Some(json!({"type": "json_object", "schema": (schema.of)()})),
            Shape::Object => Some(json!({"type": "json_object"})),
            Shape::Words => None,
        };
        if let Some(format) = format {
            body.entry("response_format").or_insert(format);
        }
        if self.has_tokens {
            body.insert("logprobs".to_owned(), true.into());
            body.insert("top_logprobs".to_owned(), TOP_LOGPROBS.into());
        }
    }
}

/// What is known of the models that judge in a run.
#[derive(Default, Debug)]
pub struct Forms(Mutex<HashMap<Name, Arc<Taken>>>);

impl Forms {
    pub(super) fn of(&self, model: &Name) -> Arc<Taken> {
        let mut models = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(models.entry(model.clone()).or_default())
    }
}

/// What one model takes.
#[derive(Default, Debug)]
pub(super) struct Taken {
    /// Place of the strictest shape that was not refused.
    shape: AtomicU8,
    has_no_tokens: AtomicBool,
    is_asked: AtomicBool,
    first: Slot<()>,
}

impl Taken {
    /// Whoever asks first, asks alone; none for all that come later. It is given back by dropping it, also where a call was cut off.
    pub(super) async fn turn(&self) -> Option<Turn<'_>> {
        if self.is_asked.load(Relaxed) {
            return None;
        }
        let guard = self.first.lock().await;
        (!self.is_asked.load(Relaxed)).then_some(Turn { taken: self, _guard: guard })
    }

    /// The ways to ask that are left, in their order. `is_given`: the suite itself says the format.
    pub(super) fn ways(&self, wants_tokens: bool, is_given: bool) -> Ways {
        let shape = if is_given { Shape::Words.place() } else { self.shape.load(Relaxed) };
        let has_tokens = wants_tokens && !self.has_no_tokens.load(Relaxed);
        let of_shape = |shape: Shape| {
            [true, false]
                .into_iter()
                .filter(move |tokens| has_tokens || !tokens)
                .map(move |has_tokens| Form { shape, has_tokens })
        };
        let shapes = Shape::ALL.into_iter().filter(|one| one.place() >= shape);
        Ways { left: shapes.flat_map(of_shape).rev().collect(), refused_with_tokens: false, is_given }
    }

    /// Remembers the form that was answered.
    pub(super) fn learn(&self, form: Form, ways: &Ways) {
        if !ways.is_given {
            self.shape.fetch_max(form.shape.place(), Relaxed);
        }
        if ways.refused_with_tokens && !form.has_tokens {
            self.has_no_tokens.store(true, Relaxed);
        }
    }
}

/// See [`Taken::turn`]. What came of the first question is no matter: a model that is down must not make all others queue.
pub(super) struct Turn<'a> {
    taken: &'a Taken,
    _guard: MutexGuard<'a, ()>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.taken.is_asked.store(true, Relaxed);
    }
}

/// The ways to ask one question.
#[derive(Debug)]
pub(super) struct Ways {
    /// The next last.
    left: Vec<Form>,
    refused_with_tokens: bool,
    is_given: bool,
}

impl Ways {
    pub(super) fn next(&mut self) -> Option<Form> {
        self.left.pop()
    }

    /// Leaves out what is refused for the same reason, where the refusal names it.
    pub(super) fn refused(&mut self, form: Form, told: &Told) {
        self.refused_with_tokens |= form.has_tokens;
        let words = told.error_message().unwrap_or_default();
        if words.contains("logprobs") {
            self.left.retain(|left| !left.has_tokens);
        } else if ["response_format", "json_schema", "json_object"].iter().any(|name| words.contains(name)) {
            self.left.retain(|left| left.shape != form.shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks a model that refuses what `refuses` says; how many calls it took, and the form that was taken.
    fn asked(
        taken: &Taken,
        wants_tokens: bool,
        refuses: &dyn Fn(Form) -> Option<&'static str>,
    ) -> (usize, Option<Form>) {
        let mut ways = taken.ways(wants_tokens, false);
        let mut calls = 0;
        while let Some(form) = ways.next() {
            calls += 1;
            let Some(message) = refuses(form) else {
                taken.learn(form, &ways);
                return (calls, Some(form));
            };
            ways.refused(
                form,
                &Told { status: 400, body: json!({"error": {"message": message}}), ..Told::default() },
            );
        }
        (calls, None)
    }

    #[test]
    fn a_model_is_asked_in_the_strictest_form_that_it_takes_and_that_is_remembered() {
        let form = |shape, has_tokens| Some(Form { shape, has_tokens });
        let check = |wants_tokens: bool,
                     refuses: &dyn Fn(Form) -> Option<&'static str>,
                     first: (usize, Option<Form>)| {
            let taken = Taken::default();
            assert_eq!(asked(&taken, wants_tokens, refuses), first);
            // What was taken is asked for at once from then on.
            let again = if first.1.is_some() { 1 } else { first.0 };
            assert_eq!(asked(&taken, wants_tokens, refuses), (again, first.1));
        };
        check(true, &|_| None, (1, form(Shape::Schema, true)));
        check(true, &|form| form.has_tokens.then_some("no"), (2, form(Shape::Schema, false)));
        let not_schema =
            |form: Form| (form.shape == Shape::Schema).then_some("response_format.type: json_schema");
        check(true, &not_schema, (2, form(Shape::ObjectBySchema, true)));
        check(false, &not_schema, (2, form(Shape::ObjectBySchema, false)));
        let words_only = |form: Form| (form.shape != Shape::Words).then_some("no");
        check(false, &words_only, (4, form(Shape::Words, false)));
        let no_tokens = |form: Form| match (form.has_tokens, form.shape) {
            (true, _) => Some("logprobs are not supported"),
            (false, Shape::Schema | Shape::ObjectBySchema) => Some("unknown field"),
            _ => None,
        };
        check(true, &no_tokens, (4, form(Shape::Object, false)));
        check(false, &|_| Some("no"), (4, None));
    }

    #[test]
    fn a_format_that_the_suite_says_is_left_alone() {
        let mut ways = Taken::default().ways(false, true);
        let form = ways.next().expect("one way");
        assert!(ways.next().is_none());
        let mut body: Map<String, Value> =
            [("response_format".to_owned(), json!({"type": "text"}))].into_iter().collect();
        form.write(&mut body, &super::super::schema::VERDICT);
        assert_eq!(body["response_format"], json!({"type": "text"}));
    }
}
