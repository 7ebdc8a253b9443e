//! Scores for a whole text by a model that was taught to tell texts apart: injection, toxicity, or other labels.

use std::path::Path;

use crate::{
    encoder::Head,
    error::ModelError,
    reader::{Opening, Options, Reader, WINDOW_TOKENS_MAX, softmax},
};

/// A sequence classifier with its labels.
pub struct Classifier {
    reader: Reader,
    labels: Vec<String>,
    /// Labels do not exclude one another: each has a probability of its own.
    is_multiple: bool,
}

impl Classifier {
    /// Opens a model for sequence classification on one core. Errors say which file is at fault and what to do.
    pub fn open(folder: &Path) -> Result<Classifier, ModelError> {
        Classifier::open_with(folder, Options::default())
    }

    pub fn open_with(folder: &Path, options: Options) -> Result<Classifier, ModelError> {
        let opening = Opening::at(folder)?;
        let labels = opening.labels()?;
        let is_multiple = opening.config.problem_type.as_deref() == Some("multi_label_classification");
        let reader = opening.load(Head::Sequence { labels: labels.len() }, options, WINDOW_TOKENS_MAX)?;
        Ok(Classifier {
            reader,
            labels,
            is_multiple: is_multiple || opening.config.labels(&opening.config_path)?.len() == 1,
        })
    }

    /// The labels as the model names them.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Each label with its score from 0 to 1, in the model's order.
    ///
    /// A text that needs several windows gets for each label the highest score of any: an attack in one paragraph of a
    /// long document is an attack. Scores of labels that exclude one another then may add up to more than one, so ask
    /// for the label that is feared, not for the highest. Errors: `TextTooLong`,
    /// `TooManyTokens`, `Run`.
    pub fn scores(&self, text: &str) -> Result<Vec<(&str, f32)>, ModelError> {
        let tokens = self.reader.tokens(text)?;
        let mut highest = vec![0.0f32; self.labels.len()];
        self.reader.run(&tokens, |_, output| {
            let scores = match self.is_multiple {
                true => output.numbers.iter().map(|number| 1.0 / (1.0 + (-number).exp())).collect(),
                false => softmax(&output.numbers),
            };
            for (highest, score) in highest.iter_mut().zip(scores) {
                *highest = highest.max(score);
            }
        })?;
        Ok(self.labels.iter().map(String::as_str).zip(highest).collect())
    }
}
