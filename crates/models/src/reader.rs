//! What the three uses of a model share: a directory opened and tried, and a text taken through it in windows.

use std::path::{Path, PathBuf};

use crate::{
    config::Config,
    directory::{Directory, Weights},
    encoder::{self, Head},
    error::ModelError,
    runtime::{Output, Session, Use},
    tokenizer::{Token, Tokenizer},
    window::{Window, windows},
};

/// More text than this is refused: prose of this length has some 60,000 tokens, which take a small encoder fifteen seconds.
pub const TEXT_BYTES_MAX: usize = 256 << 10;
/// Text that is not prose may have a token for each byte and more; this bounds the work whatever it is.
const TEXT_TOKENS_MAX: usize = 64 << 10;

/// Attention costs the square of a window, and what encoders are taught on is rarely longer.
pub(crate) const WINDOW_TOKENS_MAX: usize = 512;
/// Fewer leave no room for a frame and some context.
const WINDOW_TOKENS_MIN: usize = 8;
/// A pool of more threads than this gains nothing on one sequence.
const THREADS_MAX: usize = 16;

/// How a model is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Cores that the model takes at most (1 to 16); calls beyond wait for one another.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { threads: 1 }
    }
}

pub(crate) struct Reader {
    tokenizer: Tokenizer,
    session: Session,
    /// Tokens of text in a window, the frame not counted.
    window: usize,
    overlap: usize,
}

/// A directory whose configuration is read, and whose weights are not yet.
pub(crate) struct Opening {
    directory: Directory,
    pub config_path: PathBuf,
    pub config: Config,
}

impl Opening {
    pub(crate) fn at(root: &Path) -> Result<Opening, ModelError> {
        let directory = Directory::at(root);
        let (config_path, bytes) = directory.config()?;
        let config = Config::parse(&config_path, &bytes)?;
        Ok(Opening { directory, config_path, config })
    }

    pub(crate) fn optional(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        self.directory.optional(name)
    }

    pub(crate) fn labels(&self) -> Result<Vec<String>, ModelError> {
        self.config.labels(&self.config_path)
    }

    /// Loads tokenizer and weights. `window_max` bounds a window with its frame.
    pub(crate) fn load(&self, head: Head, options: Options, window_max: usize) -> Result<Reader, ModelError> {
        let (path, bytes) = self.directory.tokenizer()?;
        let tokenizer = Tokenizer::parse(&path, &bytes)?;
        let tokens_max = self.config.tokens_max().min(window_max);
        if tokens_max < WINDOW_TOKENS_MIN {
            return Err(ModelError::broken(
                &self.config_path,
                format!("a model that takes {tokens_max} tokens at once cannot be"),
            ));
        }
        let frame = tokenizer.before.len() + tokenizer.after.len();
        let window = tokens_max.saturating_sub(frame).max(1);
        let use_of = Use {
            threads: options.threads.clamp(1, THREADS_MAX),
            positions_begin: self.config.positions_begin(),
        };
        let (path, session) = match self.directory.weights()? {
            Weights::Onnx(path) => {
                let session = Session::open_onnx(&path, use_of)?;
                (path, session)
            }
            Weights::SafeTensors(path) => {
                let graph = encoder::build(&self.config_path, &self.config, &path, head)?;
                let session = Session::open_graph(&path, graph, use_of)?;
                (path, session)
            }
        };
        let reader = Reader { tokenizer, session, window, overlap: window / 4 };
        reader.check(&path, head)?;
        Ok(reader)
    }
}

impl Reader {
    /// Runs the longest window of the token with the highest number, so that a table that is too short and a head of another
    /// kind are found when a model is opened and not when somebody's text comes.
    fn check(&self, path: &Path, head: Head) -> Result<(), ModelError> {
        let ids = self.framed(std::iter::repeat_n(self.tokenizer.id_max(), self.window));
        let output = self.session.run(&ids).map_err(|error| ModelError::Unfit {
            path: path.to_owned(),
            what: match error {
                ModelError::Run { what, .. } => what,
                other => other.to_string(),
            },
            cure: "take config.json, tokenizer.json and the weights from one and the same export".to_owned(),
        })?;
        let (fits, wanted) = match head {
            Head::Tokens { labels } => (
                output.rows == ids.len() && output.columns == labels,
                format!("{labels} labels for each token"),
            ),
            Head::Sequence { labels } => {
                (output.rows == 1 && output.columns == labels, format!("{labels} labels for the text"))
            }
            Head::Hidden => (output.rows == ids.len() || output.rows == 1, "vectors".to_owned()),
        };
        if fits {
            return Ok(());
        }
        Err(ModelError::Unfit {
            path: path.to_owned(),
            what: format!(
                "it gives {} × {} numbers for {} tokens, not {wanted}",
                output.rows,
                output.columns,
                ids.len()
            ),
            cure: "use a model that was taught for this, with the configuration of its own export".to_owned(),
        })
    }

    fn framed(&self, ids: impl Iterator<Item = i32>) -> Vec<i32> {
        let Tokenizer { before, after, .. } = &self.tokenizer;
        before.iter().copied().chain(ids).chain(after.iter().copied()).collect()
    }

    /// The tokens of a text. Errors: `TextTooLong`, `TooManyTokens`.
    pub(crate) fn tokens(&self, text: &str) -> Result<Vec<Token>, ModelError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(ModelError::TextTooLong { bytes: text.len(), bytes_max: TEXT_BYTES_MAX });
        }
        let tokens = self.tokenizer.tokens(text);
        match tokens.len() {
            count if count > TEXT_TOKENS_MAX => {
                Err(ModelError::TooManyTokens { tokens: count, tokens_max: TEXT_TOKENS_MAX })
            }
            _ => Ok(tokens),
        }
    }

    /// Runs every window of the tokens. `take` gets the window and its output with a row for each of its tokens and those
    /// of the frame; it is told by [`Reader::row`] which is which.
    pub(crate) fn run(
        &self,
        tokens: &[Token],
        mut take: impl FnMut(&Window, &Output),
    ) -> Result<(), ModelError> {
        for window in windows(tokens.len(), self.window, self.overlap) {
            let ids = self.framed(tokens[window.all.clone()].iter().map(|token| token.id));
            take(&window, &self.session.run(&ids)?);
        }
        Ok(())
    }

    /// The numbers of a token in the output of its window.
    pub(crate) fn row<'a>(&self, window: &Window, output: &'a Output, token: usize) -> &'a [f32] {
        let row = self.tokenizer.before.len() + token - window.all.start;
        output.numbers.get(row * output.columns..(row + 1) * output.columns).unwrap_or(&[])
    }
}

/// Numbers of any size to shares that add up to one.
pub(crate) fn softmax(numbers: &[f32]) -> Vec<f32> {
    let highest = numbers.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = numbers.iter().map(|number| (number - highest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
