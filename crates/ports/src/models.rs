//! Models that run in this process, from directories that the operator names.

use std::{collections::HashMap, sync::Arc};

use gauntlet_types::{Finding, Name};

/// Finds names and places in texts. May take milliseconds, so it is asked where no worker waits for it.
pub trait Tagger: Send + Sync {
    /// Findings of kind `names`, in order of start.
    ///
    /// Errors: why the text could not be looked at, in words.
    fn names(&self, text: &str) -> Result<Vec<Finding>, String>;
}

/// Says of what kind a text is.
pub trait Classifier: Send + Sync {
    /// The score of every label, from 0 to 1.
    ///
    /// Errors: why the text could not be looked at, in words.
    fn scores(&self, text: &str) -> Result<Vec<(Name, f32)>, String>;
}

/// Puts the meaning of a text into a vector.
pub trait Embedder: Send + Sync {
    /// Of length one, always with as many numbers.
    ///
    /// Errors: why the text could not be looked at, in words.
    fn embed(&self, text: &str) -> Result<Vec<f32>, String>;
}

/// Those that a configuration names.
#[derive(Clone, Default)]
pub struct Models {
    pub tagger: Option<Arc<dyn Tagger>>,
    pub classifier: Option<Arc<dyn Classifier>>,
    /// By the folder that the configuration names.
    pub embedders: HashMap<Name, Arc<dyn Embedder>>,
}
