//! `config.json`: what kind of model it is, how large, and what its outputs are called.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::ModelError;

/// More labels than any tagger or classifier of text has; a broken file must not make us hold millions.
const LABELS_MAX: usize = 4096;
/// Longer names are shown nowhere.
const LABEL_CHARS_MAX: usize = 128;

/// The fields that are used here. DistilBERT calls some of them by names of its own.
#[derive(Deserialize, Debug)]
pub(crate) struct Config {
    #[serde(default)]
    pub model_type: String,
    #[serde(default)]
    id2label: Option<serde_json::Map<String, Value>>,
    #[serde(default)]
    pub problem_type: Option<String>,
    #[serde(default = "positions_usual")]
    pub max_position_embeddings: usize,
    #[serde(default)]
    pub pad_token_id: Option<i64>,
    #[serde(default, alias = "dim")]
    pub hidden_size: usize,
    #[serde(default, alias = "n_layers")]
    pub num_hidden_layers: usize,
    #[serde(default, alias = "n_heads")]
    pub num_attention_heads: usize,
    #[serde(default, alias = "activation")]
    pub hidden_act: Option<String>,
    #[serde(default)]
    pub layer_norm_eps: Option<f32>,
    #[serde(default)]
    pub position_embedding_type: Option<String>,
}

fn positions_usual() -> usize {
    512
}

impl Config {
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Config, ModelError> {
        serde_json::from_slice(bytes).map_err(|error| ModelError::broken(path, error.to_string()))
    }

    /// RoBERTa and its kin count positions from behind the padding token, so two of the table are never used.
    pub(crate) fn positions_begin(&self) -> usize {
        match self.model_type.as_str() {
            "roberta" | "xlm-roberta" | "camembert" | "xlm-roberta-xl" => {
                usize::try_from(self.pad_token_id.unwrap_or(1)).unwrap_or(1).saturating_add(1)
            }
            _ => 0,
        }
    }

    /// How many tokens the model can tell apart by place, those that frame a sequence among them.
    pub(crate) fn tokens_max(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.positions_begin())
    }

    /// The labels by their number. Every number from 0 on must have one, as each is a column of the output.
    pub(crate) fn labels(&self, path: &Path) -> Result<Vec<String>, ModelError> {
        let unfit = |what: String| ModelError::Unfit {
            path: path.to_owned(),
            what,
            cure: "name every label in `id2label`, from \"0\" on, as the model card lists them".to_owned(),
        };
        let Some(map) = self.id2label.as_ref().filter(|map| !map.is_empty()) else {
            return Err(unfit("it has no `id2label`".to_owned()));
        };
        if map.len() > LABELS_MAX {
            return Err(unfit(format!("`id2label` has {} labels, and {LABELS_MAX} are the most", map.len())));
        }
        (0..map.len())
            .map(|id| match map.get(&id.to_string()) {
                Some(Value::String(label)) if label.chars().count() <= LABEL_CHARS_MAX => Ok(label.clone()),
                Some(_) => Err(unfit(format!("label {id} is not a short text"))),
                None => Err(unfit(format!("`id2label` lacks {id} of {}", map.len()))),
            })
            .collect()
    }
}
