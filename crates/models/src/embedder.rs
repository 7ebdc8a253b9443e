//! The meaning of a text as a vector: the mean of its tokens' vectors, of length one.

use std::path::Path;

use serde_json::Value;

use crate::{
    encoder::Head,
    error::ModelError,
    reader::{Opening, Options, Reader, WINDOW_TOKENS_MAX},
};

/// A sentence encoder.
pub struct Embedder {
    reader: Reader,
    pooling: Pooling,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Pooling {
    Mean,
    /// The first token stands for the whole.
    First,
}

impl Embedder {
    /// Opens an encoder on one core. Errors say which file is at fault and what to do.
    pub fn open(folder: &Path) -> Result<Embedder, ModelError> {
        Embedder::open_with(folder, Options::default())
    }

    pub fn open_with(folder: &Path, options: Options) -> Result<Embedder, ModelError> {
        let opening = Opening::at(folder)?;
        let pooling = read_pooling(folder, opening.optional("1_Pooling/config.json")?)?;
        Ok(Embedder { reader: opening.load(Head::Hidden, options, WINDOW_TOKENS_MAX)?, pooling })
    }

    /// A vector of length one; the product of two is how near their texts are, from -1 to 1.
    ///
    /// A text that needs several windows gets the mean of all of them, where other libraries leave out what comes after the
    /// first. Errors: `TextTooLong`,
    /// `TooManyTokens`, `Run`.
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, ModelError> {
        let tokens = self.reader.tokens(text)?;
        let mut sum: Vec<f32> = Vec::new();
        self.reader.run(&tokens, |_, output| {
            sum.resize(output.columns, 0.0);
            let rows = match self.pooling {
                Pooling::Mean => output.rows,
                Pooling::First => 1,
            };
            for row in output.numbers.chunks_exact(output.columns.max(1)).take(rows) {
                for (sum, number) in sum.iter_mut().zip(row) {
                    *sum += number;
                }
            }
        })?;
        // The direction of a sum is that of its mean.
        let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
        if length > 0.0 {
            sum.iter_mut().for_each(|number| *number /= length);
        }
        Ok(sum)
    }
}

/// Reads how `sentence-transformers` was told to pool; the mean where nothing is said, as most encoders are taught.
fn read_pooling(folder: &Path, file: Option<Vec<u8>>) -> Result<Pooling, ModelError> {
    let Some(bytes) = file else { return Ok(Pooling::Mean) };
    let path = folder.join("1_Pooling/config.json");
    let file: Value =
        serde_json::from_slice(&bytes).map_err(|error| ModelError::broken(&path, error.to_string()))?;
    let is = |name: &str| file[name].as_bool().unwrap_or(false);
    match (is("pooling_mode_mean_tokens"), is("pooling_mode_cls_token")) {
        (true, false) => Ok(Pooling::Mean),
        (false, true) => Ok(Pooling::First),
        _ => Err(ModelError::unsupported(
            &path,
            "a pooling other than the mean or the first token",
            "use a model that pools in one of these ways",
        )),
    }
}
