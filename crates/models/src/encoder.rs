//! The graph of an encoder, from `config.json` and the names of its tensors: BERT and what is built the same way
//! (RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT).
//!
//! A whole family of others differs in how attention knows places (DeBERTa, ModernBERT …). They have graphs of their own
//! when exported to ONNX, so they are refused here instead of being followed.

use std::path::Path;

use crate::{
    config::Config,
    error::ModelError,
    graph::{Attribute, Graph, Wire},
    weights::SafeTensors,
};

/// The largest encoders (XLM-RoBERTa XXL aside) have 24 layers of 1,024.
const LAYERS_MAX: usize = 64;
const WIDTH_MAX: usize = 4096;

/// What is wanted of the last layer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Head {
    /// A label for each token.
    Tokens { labels: usize },
    /// Labels for the whole.
    Sequence { labels: usize },
    /// Each token's vector as it is.
    Hidden,
}

/// How the tensors of a layer are called.
struct Names {
    layer: &'static str,
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attended: &'static str,
    attended_norm: &'static str,
    wide: &'static str,
    narrow: &'static str,
    norm: &'static str,
}

const BERT: Names = Names {
    layer: "encoder.layer",
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attended: "attention.output.dense",
    attended_norm: "attention.output.LayerNorm",
    wide: "intermediate.dense",
    narrow: "output.dense",
    norm: "output.LayerNorm",
};

const DISTILBERT: Names = Names {
    layer: "transformer.layer",
    query: "attention.q_lin",
    key: "attention.k_lin",
    value: "attention.v_lin",
    attended: "attention.out_lin",
    attended_norm: "sa_layer_norm",
    wide: "ffn.lin1",
    narrow: "ffn.lin2",
    norm: "output_layer_norm",
};

struct Encoder<'a> {
    config: &'a Config,
    names: &'static Names,
    weights: SafeTensors,
    graph: Graph,
    prefix: String,
    width: usize,
}

/// Writes the graph. Errors name the first tensor that is missing or has another shape than the configuration says.
pub(crate) fn build(
    config_path: &Path,
    config: &Config,
    weights: &Path,
    head: Head,
) -> Result<Graph, ModelError> {
    let names = match config.model_type.as_str() {
        "bert" | "roberta" | "xlm-roberta" | "camembert" => &BERT,
        "distilbert" => &DISTILBERT,
        other => {
            return Err(ModelError::unsupported(
                config_path,
                format!("the architecture `{other}` from weights without a graph"),
                "export the model to ONNX and put model.onnx beside it",
            ));
        }
    };
    if let Some(kind) = config.position_embedding_type.as_deref().filter(|kind| *kind != "absolute") {
        return Err(ModelError::unsupported(
            config_path,
            format!("positions of the kind `{kind}`"),
            "export the model to ONNX and put model.onnx beside it",
        ));
    }
    let (width, heads, layers) = (config.hidden_size, config.num_attention_heads, config.num_hidden_layers);
    if !(1..=WIDTH_MAX).contains(&width) || heads == 0 || !width.is_multiple_of(heads) || layers > LAYERS_MAX
    {
        return Err(ModelError::broken(
            config_path,
            format!("an encoder of {layers} layers of {width} with {heads} heads cannot be"),
        ));
    }
    let weights = SafeTensors::open(weights)?;
    let prefix = weights.prefix_of("embeddings.word_embeddings.weight").unwrap_or("").to_owned();
    let mut encoder = Encoder { config, names, weights, graph: Graph::default(), prefix, width };
    let mut hidden = encoder.embeddings()?;
    for layer in 0..layers {
        hidden = encoder.layer(layer, &hidden)?;
    }
    encoder.head(head, &hidden)?;
    Ok(encoder.graph)
}

impl Encoder<'_> {
    fn embeddings(&mut self) -> Result<Wire, ModelError> {
        let mut sum = self.looked_up("word_embeddings", "input_ids")?;
        let mut tables = vec![("position_embeddings", "position_ids")];
        if self.weights.has(&format!("{}embeddings.token_type_embeddings.weight", self.prefix)) {
            tables.push(("token_type_embeddings", "token_type_ids"));
        }
        for (table, input) in tables {
            let looked_up = self.looked_up(table, input)?;
            sum = self.graph.node("Add", &[&sum, &looked_up], &[]);
        }
        let name = format!("{}embeddings.LayerNorm", self.prefix);
        self.norm(&name, &sum)
    }

    fn looked_up(&mut self, table: &str, input: &str) -> Result<Wire, ModelError> {
        let name = format!("{}embeddings.{table}.weight", self.prefix);
        let table = self.weights.read(&name, &[0, self.width])?;
        let table = self.graph.weight(&table.shape, &table.numbers);
        let input = self.graph.input(input);
        Ok(self.graph.node("Gather", &[&table, &input], &[Attribute::Int("axis", 0)]))
    }

    fn layer(&mut self, layer: usize, input: &Wire) -> Result<Wire, ModelError> {
        let at = |part: &str| format!("{}{}.{layer}.{part}", self.prefix, self.names.layer);
        let Names { query, key, value, attended, attended_norm, wide, narrow, norm, .. } = self.names;
        let [query, key, value, attended] = [query, key, value, attended].map(|part| at(part));
        let [attended_norm, wide, narrow, norm] = [attended_norm, wide, narrow, norm].map(|part| at(part));
        let width = self.width;

        // Keys are turned once more, so that a product of the two is a score for each pair of tokens.
        let query = self.by_head(&query, input, &[0, 2, 1, 3])?;
        let key = self.by_head(&key, input, &[0, 2, 3, 1])?;
        let value = self.by_head(&value, input, &[0, 2, 1, 3])?;
        let scores = self.graph.node("MatMul", &[&query, &key], &[]);
        let root = ((width / self.config.num_attention_heads) as f32).sqrt();
        let root = self.graph.scalar(root);
        let scores = self.graph.node("Div", &[&scores, &root], &[]);
        let shares = self.graph.node("Softmax", &[&scores], &[Attribute::Int("axis", -1)]);
        let mixed = self.graph.node("MatMul", &[&shares, &value], &[]);
        let mixed = self.graph.node("Transpose", &[&mixed], &[Attribute::Ints("perm", vec![0, 2, 1, 3])]);
        let shape = self.graph.ints(&[0, 0, width as i64]);
        let mixed = self.graph.node("Reshape", &[&mixed, &shape], &[]);
        let mixed = self.linear(&attended, &mixed, width, width)?;
        let sum = self.graph.node("Add", &[&mixed, input], &[]);
        let attended = self.norm(&attended_norm, &sum)?;

        let wider = self.linear(&wide, &attended, width, 0)?;
        let wider = self.activation(&wider)?;
        let narrow = self.linear(&narrow, &wider, 0, width)?;
        let sum = self.graph.node("Add", &[&narrow, &attended], &[]);
        self.norm(&norm, &sum)
    }

    /// `[1, tokens, width]` to a matrix for each head, turned as `order` says.
    fn by_head(&mut self, name: &str, input: &Wire, order: &[i64]) -> Result<Wire, ModelError> {
        let heads = self.config.num_attention_heads;
        let all = self.linear(name, input, self.width, self.width)?;
        let shape = self.graph.ints(&[0, 0, heads as i64, (self.width / heads) as i64]);
        let split = self.graph.node("Reshape", &[&all, &shape], &[]);
        Ok(self.graph.node("Transpose", &[&split], &[Attribute::Ints("perm", order.to_vec())]))
    }

    /// A weight is kept as `[to, from]`; the graph multiplies by `[from, to]`. A zero stands for any width.
    fn linear(&mut self, name: &str, input: &Wire, from: usize, to: usize) -> Result<Wire, ModelError> {
        let weight = self.weights.read(&format!("{name}.weight"), &[to, from])?;
        let (to, from) = (weight.shape[0], weight.shape[1]);
        let mut turned = vec![0.0; weight.numbers.len()];
        for (row, numbers) in weight.numbers.chunks_exact(from.max(1)).enumerate() {
            for (column, number) in numbers.iter().enumerate() {
                turned[column * to + row] = *number;
            }
        }
        let weight = self.graph.weight(&[from, to], &turned);
        let bias = self.weights.read(&format!("{name}.bias"), &[to])?;
        let bias = self.graph.weight(&[to], &bias.numbers);
        let product = self.graph.node("MatMul", &[input, &weight], &[]);
        Ok(self.graph.node("Add", &[&product, &bias], &[]))
    }

    fn norm(&mut self, name: &str, input: &Wire) -> Result<Wire, ModelError> {
        // Weights that come from TensorFlow have its names.
        let old = self.weights.has(&format!("{name}.gamma"));
        let (scale, shift) = if old { ("gamma", "beta") } else { ("weight", "bias") };
        let scale = self.weights.read(&format!("{name}.{scale}"), &[self.width])?;
        let scale = self.graph.weight(&[self.width], &scale.numbers);
        let shift = self.weights.read(&format!("{name}.{shift}"), &[self.width])?;
        let shift = self.graph.weight(&[self.width], &shift.numbers);
        let epsilon = self.config.layer_norm_eps.unwrap_or(1e-12);
        let attributes = [Attribute::Int("axis", -1), Attribute::Float("epsilon", epsilon)];
        Ok(self.graph.node("LayerNormalization", &[input, &scale, &shift], &attributes))
    }

    fn activation(&mut self, input: &Wire) -> Result<Wire, ModelError> {
        match self.config.hidden_act.as_deref().unwrap_or("gelu") {
            "gelu" => Ok(self.graph.node("Gelu", &[input], &[])),
            "gelu_new" | "gelu_pytorch_tanh" => {
                Ok(self.graph.node("Gelu", &[input], &[Attribute::Text("approximate", "tanh")]))
            }
            "relu" => Ok(self.graph.node("Relu", &[input], &[])),
            other => Err(ModelError::unsupported(
                self.weights.path(),
                format!("the activation `{other}`"),
                "export the model to ONNX and put model.onnx beside it",
            )),
        }
    }

    fn head(&mut self, head: Head, hidden: &Wire) -> Result<(), ModelError> {
        let width = self.width;
        match head {
            Head::Hidden => self.graph.output(hidden, 3),
            Head::Tokens { labels } => {
                let logits = self.linear("classifier", hidden, width, labels)?;
                self.graph.output(&logits, 3);
            }
            Head::Sequence { labels } => {
                // The first token stands for the whole. Each family puts one more layer before the labels.
                let first = self.graph.ints(&[0]);
                let first = self.graph.node("Gather", &[hidden, &first], &[Attribute::Int("axis", 1)]);
                let shape = self.graph.ints(&[1, width as i64]);
                let first = self.graph.node("Reshape", &[&first, &shape], &[]);
                let (dense, bend, last) = match self.config.model_type.as_str() {
                    "bert" => (format!("{}pooler.dense", self.prefix), "Tanh", "classifier"),
                    "distilbert" => ("pre_classifier".to_owned(), "Relu", "classifier"),
                    _ => ("classifier.dense".to_owned(), "Tanh", "classifier.out_proj"),
                };
                let pooled = self.linear(&dense, &first, width, width)?;
                let pooled = self.graph.node(bend, &[&pooled], &[]);
                let logits = self.linear(last, &pooled, width, labels)?;
                self.graph.output(&logits, 2);
            }
        }
        Ok(())
    }
}
