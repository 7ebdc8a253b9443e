//! Embeddings by a model that lies in a folder: `folder:models/minilm`, from the configuration's folder. It runs in this
//! process and asks nobody, so that suites score meaning without a provider of embeddings.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use gauntlet_models::Embedder;
use gauntlet_ports::{Ask, AskKind, Told};
use gauntlet_types::Name;
use serde_json::{Value, json};

/// Of a model's name, before the path.
const FOLDER: &str = "folder:";

pub(super) struct Folders {
    root: PathBuf,
    /// Opened once each; an error is told again rather than looked for again.
    opened: Mutex<HashMap<Name, Arc<Result<Embedder, String>>>>,
}

impl Folders {
    pub(super) fn at(root: PathBuf) -> Folders {
        Folders { root, opened: Mutex::default() }
    }

    /// The folder's name, if that is who is asked for vectors.
    pub(super) fn of(ask: &Ask) -> Option<Name> {
        let model = ask.body.get("model")?.as_str()?;
        (ask.kind == AskKind::Embeddings).then(|| model.strip_prefix(FOLDER).map(Name::from)).flatten()
    }

    /// Blocks: it computes.
    pub(super) fn embed(&self, folder: &Name, ask: &Ask) -> Told {
        let model = self.model(folder);
        let texts = ask.body.get("input").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let data: Result<Vec<Value>, String> = match &*model {
            Ok(model) => {
                let one = |text: &Value| {
                    let vector = model.embed(text.as_str().unwrap_or_default());
                    vector.map(|vector| json!({"embedding": vector})).map_err(|error| error.to_string())
                };
                texts.iter().map(one).collect()
            }
            Err(why) => Err(why.clone()),
        };
        let (status, body) = match data {
            Ok(data) => (200, json!({"data": data})),
            Err(why) => (400, json!({"error": {"code": "invalid_request", "message": why}})),
        };
        Told { status, body, model: Some(format!("{FOLDER}{folder}").into()), ..Told::default() }
    }

    /// Others wait while one opens: it takes a second, once.
    fn model(&self, folder: &Name) -> Arc<Result<Embedder, String>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || Arc::new(Embedder::open(&self.root.join(&**folder)).map_err(|error| error.to_string()));
        opened.entry(folder.clone()).or_insert_with(open).clone()
    }
}
