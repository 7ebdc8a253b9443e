//! How near an answer's meaning is to the reference's: the cosine of their embeddings.

use futures_util::future::BoxFuture;
use gauntlet_ports::Direction::{self, HigherIsBetter, LowerIsBetter};
use gauntlet_types::Name;
use serde_json::json;

use super::{Measured, Sheet, options::Options, sheet::Range, wanted::Wanted};
use crate::{
    Asker, Case, Mistake, Scored, Scorer, Seen,
    embed::{Embedded, embed},
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Cosine,
    Dot,
    Euclidean,
}

struct Similar {
    sheet: Sheet,
    wanted: Wanted,
    model: Name,
    by: By,
}

/// Of several references the nearest counts.
pub(super) fn similar(options: &mut Options<'_>) -> Result<Box<dyn Scorer>, Mistake> {
    let by = options.word("by", &[("cosine", By::Cosine), ("dot", By::Dot), ("euclidean", By::Euclidean)])?;
    let of_suite = options.suite.judge.as_ref().and_then(|judge| judge.embedding_model.clone());
    let Some(model) = options.text("model")?.map(Name::from).or(of_suite) else {
        let cure =
            "write `model: provider/model` here, or `judge: {embedding_model: provider/model}` in the suite";
        return Err(options.mistake("it is not said which model makes embeddings", cure));
    };
    let sheet = match by {
        By::Cosine => Sheet::new(options, "gauntlet/1:cosine", HigherIsBetter, Range::Cosine)?,
        By::Dot => Sheet::new(options, "gauntlet/1:dot_product", HigherIsBetter, Range::Cosine)?,
        By::Euclidean => Sheet::new(options, "gauntlet/1:euclidean", LowerIsBetter, Range::Amount)?,
    };
    let wanted = Wanted::take(options)?;
    options.finish()?;
    Ok(Box::new(Similar { sheet, wanted, model, by }))
}

/// From −1 to 1; none where a vector has no direction or they do not have the same length.
pub fn cosine(a: &[f64], b: &[f64]) -> Option<f64> {
    let norm = |vector: &[f64]| vector.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (na, nb) = (norm(a), norm(b));
    if a.len() != b.len() || na == 0.0 || nb == 0.0 {
        return None;
    }
    Some((dot(a, b) / (na * nb)).clamp(-1.0, 1.0))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Similar {
    fn compare(&self, a: &[f64], b: &[f64]) -> Option<f64> {
        if a.len() != b.len() {
            return None;
        }
        match self.by {
            By::Cosine => cosine(a, b),
            By::Dot => Some(dot(a, b)),
            By::Euclidean => Some(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()),
        }
    }

    async fn scored(&self, seen: &Seen<'_>, asker: &Asker<'_>) -> Scored {
        let unscored =
            |why: String| Scored { score: self.sheet.score(Measured::none(why)), ..Scored::default() };
        let wanted = match self.wanted.texts(seen.case) {
            Ok(wanted) => wanted,
            Err(lacks) => return unscored(format!("the case lacks {lacks}")),
        };
        if seen.text.trim().is_empty() {
            // Embedders refuse an empty text, or give it some direction.
            return unscored("the answer is empty".to_owned());
        }
        let texts: Vec<&str> = std::iter::once(seen.text).chain(wanted.iter().map(String::as_str)).collect();
        let embedded = embed(asker, &self.model, &texts).await;
        let measured = match &embedded.vectors {
            Err(why) => Measured::none(why.clone()),
            Ok(vectors) => {
                let of_answer = &vectors[0];
                let all: Vec<Option<f64>> =
                    vectors[1..].iter().map(|vector| self.compare(of_answer, vector)).collect();
                let known = all.iter().flatten().copied();
                let best = match self.sheet.direction {
                    Direction::HigherIsBetter => known.max_by(f64::total_cmp),
                    Direction::LowerIsBetter => known.min_by(f64::total_cmp),
                };
                match best {
                    Some(best) => Measured::value(best).with(json!({"model": self.model, "each": all})),
                    None => Measured::none("the embeddings cannot be compared"),
                }
            }
        };
        let Embedded { cost, calls, cached, .. } = embedded;
        Scored { score: self.sheet.score(measured), cost, calls, cached }
    }
}

impl Scorer for Similar {
    fn metric(&self) -> &Name {
        &self.sheet.metric
    }

    fn implementation(&self) -> &str {
        &self.sheet.implementation
    }

    fn direction(&self) -> Direction {
        self.sheet.direction
    }

    fn calls_max(&self) -> u32 {
        // Answer and references go into one.
        1
    }

    fn lacks(&self, case: &Case) -> Option<String> {
        self.wanted.lacks_texts(case)
    }

    fn score<'a>(&'a self, seen: &'a Seen<'a>, asker: &'a Asker<'a>) -> BoxFuture<'a, Scored> {
        Box::pin(self.scored(seen, asker))
    }
}
