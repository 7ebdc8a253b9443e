//! A graph that runs: token ids in, numbers out. The one place that knows rten.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::{NdTensor, Tensor, prelude::*};

use crate::{
    directory::{WEIGHTS_BYTES_MAX, check_size},
    error::ModelError,
    graph::Graph,
    message,
};

/// What a graph takes, by the names that exporters give; only the first must be there.
const INPUTS: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];

pub(crate) struct Session {
    folder: PathBuf,
    model: Model,
    /// In the order of `INPUTS`.
    inputs: [Option<NodeId>; 4],
    output: NodeId,
    /// The number of the first position.
    positions_begin: usize,
    threads: Arc<ThreadPool>,
}

/// How a graph is to be run.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    pub threads: usize,
    pub positions_begin: usize,
}

/// The output for one sequence: `rows` of `columns` numbers, row by row. A classifier gives a single row.
#[derive(Debug)]
pub(crate) struct Output {
    pub rows: usize,
    pub columns: usize,
    pub numbers: Vec<f32>,
}

impl Session {
    pub(crate) fn open_onnx(path: &Path, use_of: Use) -> Result<Session, ModelError> {
        check_size(path, WEIGHTS_BYTES_MAX)?;
        message::check(path).map_err(|what| ModelError::broken(path, what))?;
        // Weights in files beside a graph bear its name with another ending; the runtime reads no others.
        for entry in fs::read_dir(path.parent().unwrap_or(path)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().contains("data") && entry.path().is_file() {
                check_size(&entry.path(), WEIGHTS_BYTES_MAX)?;
            }
        }
        let model = guarded(|| ModelOptions::with_all_ops().prepack_weights(true).load_file(path));
        Session::new(path, model, use_of)
    }

    /// Runs a graph that was written here, over the weights of `path`.
    pub(crate) fn open_graph(path: &Path, graph: Graph, use_of: Use) -> Result<Session, ModelError> {
        let (message, weights) = graph.finish();
        let model = guarded(|| {
            let mut options = ModelOptions::with_all_ops();
            for (name, bytes) in weights {
                options.external_data(&name, bytes);
            }
            options.prepack_weights(true).load(message)
        });
        Session::new(path, model, use_of)
    }

    fn new(path: &Path, model: Result<Model, String>, use_of: Use) -> Result<Session, ModelError> {
        let model = model.map_err(|what| ModelError::broken(path, what))?;
        if model.input_ids().is_empty() {
            return Err(ModelError::broken(path, "it holds no graph with inputs"));
        }
        let inputs = INPUTS.map(|name| model.find_node(name).filter(|id| model.input_ids().contains(id)));
        if inputs[0].is_none() {
            return Err(ModelError::unsupported(
                path,
                "inputs that do not include `input_ids`",
                "export an encoder of text with its usual names",
            ));
        }
        let known = inputs.iter().flatten().count();
        if model.input_ids().len() != known {
            return Err(ModelError::unsupported(
                path,
                format!("{} inputs, of which only {} are given", model.input_ids().len(), INPUTS.join(", ")),
                "export the model without past states or other extra inputs",
            ));
        }
        let output = ["logits", "last_hidden_state", "token_embeddings"]
            .iter()
            .find_map(|name| model.find_node(name).filter(|id| model.output_ids().contains(id)))
            .or(model.output_ids().first().copied())
            .ok_or_else(|| ModelError::broken(path, "the graph gives nothing out"))?;
        let folder = path.parent().unwrap_or(path).to_owned();
        // A pool of its own bounds the cores that a model takes, whatever comes in at once: further calls wait.
        let threads = Arc::new(ThreadPool::with_num_threads(use_of.threads));
        Ok(Session { folder, model, inputs, output, positions_begin: use_of.positions_begin, threads })
    }

    /// Runs one sequence of tokens.
    pub(crate) fn run(&self, ids: &[i32]) -> Result<Output, ModelError> {
        let failed = |what: String| ModelError::Run { folder: self.folder.clone(), tokens: ids.len(), what };
        let shape = [1, ids.len()];
        let positions = (self.positions_begin..).map(|position| position as i32).take(ids.len());
        let values = [ids.to_vec(), vec![1; ids.len()], vec![0; ids.len()], positions.collect()];
        let inputs = self.inputs.iter().zip(values).filter_map(|(id, values)| {
            let tensor: NdTensor<i32, 2> = NdTensor::from_data(shape, values);
            id.map(|id| (id, ValueOrView::from(tensor)))
        });
        let inputs: Vec<_> = inputs.collect();
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let value = guarded(|| self.model.run_n(inputs, [self.output], Some(options))).map_err(failed)?;
        let [value] = value;
        let tensor: Tensor<f32> =
            value.try_into().map_err(|_| failed("its output is not of floating-point numbers".to_owned()))?;
        let shape = tensor.shape().to_vec();
        let numbers = tensor.to_vec();
        let (rows, columns) = match *shape {
            [1, columns] => (1, columns),
            [1, rows, columns] => (rows, columns),
            _ => return Err(failed(format!("its output has the shape {shape:?}"))),
        };
        if numbers.iter().any(|number| !number.is_finite()) {
            return Err(failed("its output is not all finite numbers".to_owned()));
        }
        Ok(Output { rows, columns, numbers })
    }
}

/// Runs what may panic: the runtime checks most of a graph, but a shape that cannot be may still trip an assertion.
///
/// Nothing is left half changed by it: a model that failed to load is dropped, and running does not change one.
fn guarded<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("the runtime gave up on the graph".to_owned()),
    }
}
