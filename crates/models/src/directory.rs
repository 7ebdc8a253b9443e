//! A model directory: which files count, and how much of them is read.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::error::ModelError;

/// A configuration lists labels and sizes; the largest seen (thousands of labels) has a few hundred kilobytes.
const CONFIG_BYTES_MAX: u64 = 4 << 20;
/// The tokenizer of XLM-RoBERTa (250,000 pieces) has 17 MB.
const TOKENIZER_BYTES_MAX: u64 = 64 << 20;
/// A large encoder (560 million weights) has 2.2 GB; protobuf, in which ONNX is written, ends at 2 GiB, and a gateway
/// should not hold more.
pub(crate) const WEIGHTS_BYTES_MAX: u64 = 2 << 30;
/// Where exports of ONNX put their graph, beside the root.
const ONNX_FOLDERS: [&str; 2] = ["", "onnx"];

/// Where the weights are.
pub(crate) enum Weights {
    /// A whole graph.
    Onnx(PathBuf),
    /// Weights alone; the graph follows from `config.json`.
    SafeTensors(PathBuf),
}

pub(crate) struct Directory {
    pub root: PathBuf,
}

impl Directory {
    pub(crate) fn at(root: &Path) -> Directory {
        Directory { root: root.to_owned() }
    }

    pub(crate) fn config(&self) -> Result<(PathBuf, Vec<u8>), ModelError> {
        self.read("config.json", CONFIG_BYTES_MAX)
    }

    pub(crate) fn tokenizer(&self) -> Result<(PathBuf, Vec<u8>), ModelError> {
        self.read("tokenizer.json", TOKENIZER_BYTES_MAX)
    }

    /// A file that may be absent, such as the note on pooling of an embedding model.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        if !self.root.join(name).is_file() {
            return Ok(None);
        }
        self.read(name, CONFIG_BYTES_MAX).map(|(_, bytes)| Some(bytes))
    }

    fn read(&self, name: &str, bytes_max: u64) -> Result<(PathBuf, Vec<u8>), ModelError> {
        let path = self.root.join(name);
        let bytes = read_file(&path, bytes_max)?;
        Ok((path, bytes))
    }

    /// Finds the weights: `model.onnx`, else the only graph there is, else `model.safetensors`.
    ///
    /// A graph comes first, since it needs no knowledge of the architecture here. Exports often hold one graph in several
    /// precisions; which of them is meant, somebody has to say.
    pub(crate) fn weights(&self) -> Result<Weights, ModelError> {
        let mut graphs = Vec::new();
        for folder in ONNX_FOLDERS {
            let folder = self.root.join(folder);
            let model = folder.join("model.onnx");
            if model.is_file() {
                return Ok(Weights::Onnx(model));
            }
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
            graphs.extend(entries.filter(|path| path.extension().is_some_and(|it| it == "onnx")));
        }
        let weights = self.root.join("model.safetensors");
        match graphs.len() {
            0 if weights.is_file() => Ok(Weights::SafeTensors(weights)),
            0 => Err(ModelError::NoWeights { folder: self.root.clone() }),
            1 => Ok(Weights::Onnx(graphs.remove(0))),
            count => Err(ModelError::Unfit {
                path: self.root.clone(),
                what: format!("it holds {count} graphs and none is called model.onnx"),
                cure: "rename the one that is meant to model.onnx".to_owned(),
            }),
        }
    }
}

/// Refuses a file over the limit before its bytes are held.
pub(crate) fn check_size(path: &Path, bytes_max: u64) -> Result<(), ModelError> {
    let read = |source| ModelError::Read { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(read)?;
    if !metadata.is_file() {
        return Err(read(std::io::Error::other("not a file")));
    }
    match metadata.len() {
        bytes if bytes > bytes_max => Err(ModelError::TooLarge { path: path.to_owned(), bytes, bytes_max }),
        _ => Ok(()),
    }
}

pub(crate) fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ModelError> {
    check_size(path, bytes_max)?;
    let read = |source| ModelError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // The file may grow between the two.
    File::open(path).map_err(read)?.take(bytes_max).read_to_end(&mut bytes).map_err(read)?;
    Ok(bytes)
}
