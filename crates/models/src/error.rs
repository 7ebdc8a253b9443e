//! What can be wrong with a model directory, each with the file and the cure.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cannot read `{}`; give the folder that holds config.json, tokenizer.json and the weights", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` has {bytes} bytes, and at most {bytes_max} are read; use a smaller or a quantised model", path.display())]
    TooLarge { path: PathBuf, bytes: u64, bytes_max: u64 },
    /// The file says something that cannot be so, or breaks off.
    #[error("`{}` is broken: {what}; export or copy the model again", path.display())]
    Broken { path: PathBuf, what: String },
    /// The file is sound, and asks for what is not built here.
    #[error("`{}` asks for {what}, which is not supported; {cure}", path.display())]
    Unsupported { path: PathBuf, what: String, cure: String },
    #[error("`{}` has no weights; put model.onnx or model.safetensors there", folder.display())]
    NoWeights { folder: PathBuf },
    #[error("`{}` does not fit its use: {what}; {cure}", path.display())]
    Unfit { path: PathBuf, what: String, cure: String },
    /// The runtime gave up on the graph. Only the caller's text differs from run to run, and it is not quoted here.
    #[error("the model in `{}` failed on {tokens} tokens: {what}", folder.display())]
    Run { folder: PathBuf, tokens: usize, what: String },
    #[error("a text of {bytes} bytes is more than the {bytes_max} that a model reads; send it in parts")]
    TextTooLong { bytes: usize, bytes_max: usize },
    #[error("a text of {tokens} tokens is more than the {tokens_max} that a model reads; send it in parts")]
    TooManyTokens { tokens: usize, tokens_max: usize },
}

impl ModelError {
    pub(crate) fn broken(path: &Path, what: impl Into<String>) -> ModelError {
        ModelError::Broken { path: path.to_owned(), what: what.into() }
    }

    pub(crate) fn unsupported(path: &Path, what: impl Into<String>, cure: impl Into<String>) -> ModelError {
        ModelError::Unsupported { path: path.to_owned(), what: what.into(), cure: cure.into() }
    }
}
