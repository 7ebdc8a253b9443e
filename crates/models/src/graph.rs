//! Writes a graph in ONNX's form, so that weights without a graph run in the same runtime as those with one.
//!
//! Only what an encoder needs: nodes, constants, one list of inputs and one output. The weights stay outside the message,
//! each in a buffer of its own, so that the runtime may drop what it has put into another layout. The numbers of fields
//! are those of `onnx.proto3`.

/// The version of the operators: the first that has `Gelu`.
const OPERATORS_VERSION: u64 = 20;
const FORMAT_VERSION: u64 = 9;

const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// A value in the graph, by its name.
#[derive(Clone, Debug)]
pub(crate) struct Wire(String);

pub(crate) enum Attribute {
    Int(&'static str, i64),
    Float(&'static str, f32),
    Ints(&'static str, Vec<i64>),
    Text(&'static str, &'static str),
}

/// A graph being written.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: Vec<u8>,
    constants: Vec<u8>,
    inputs: Vec<u8>,
    outputs: Vec<u8>,
    count: usize,
    weights: Vec<(String, Vec<u8>)>,
}

impl Graph {
    /// An input of whole numbers, one sequence: `[1, tokens]`.
    pub(crate) fn input(&mut self, name: &str) -> Wire {
        put_bytes(&mut self.inputs, 11, &value_info(name, INT64, 2));
        Wire(name.to_owned())
    }

    pub(crate) fn node(&mut self, operator: &str, inputs: &[&Wire], attributes: &[Attribute]) -> Wire {
        self.count += 1;
        let output = Wire(format!("{operator}_{}", self.count));
        let mut node = Vec::new();
        for input in inputs {
            put_bytes(&mut node, 1, input.0.as_bytes());
        }
        put_bytes(&mut node, 2, output.0.as_bytes());
        put_bytes(&mut node, 4, operator.as_bytes());
        for attribute in attributes {
            put_bytes(&mut node, 5, &attribute.message());
        }
        put_bytes(&mut self.nodes, 1, &node);
        output
    }

    /// A few whole numbers, such as a shape.
    pub(crate) fn ints(&mut self, numbers: &[i64]) -> Wire {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(INT64, &[numbers.len()], |tensor| put_bytes(tensor, 9, &bytes))
    }

    pub(crate) fn scalar(&mut self, number: f32) -> Wire {
        self.constant(FLOAT, &[], |tensor| put_bytes(tensor, 9, &number.to_le_bytes()))
    }

    pub(crate) fn weight(&mut self, shape: &[usize], numbers: &[f32]) -> Wire {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let name = format!("{}.data", self.weights.len());
        let place =
            [("location", name.clone()), ("offset", "0".to_owned()), ("length", bytes.len().to_string())];
        self.weights.push((name, bytes));
        self.constant(FLOAT, shape, |tensor| {
            for (key, value) in &place {
                let mut entry = Vec::new();
                put_bytes(&mut entry, 1, key.as_bytes());
                put_bytes(&mut entry, 2, value.as_bytes());
                put_bytes(tensor, 13, &entry);
            }
            put_number(tensor, 14, 1);
        })
    }

    fn constant(&mut self, kind: u64, shape: &[usize], put_data: impl FnOnce(&mut Vec<u8>)) -> Wire {
        self.count += 1;
        let name = format!("constant_{}", self.count);
        let mut tensor = Vec::new();
        for length in shape {
            put_number(&mut tensor, 1, *length as u64);
        }
        put_number(&mut tensor, 2, kind);
        put_bytes(&mut tensor, 8, name.as_bytes());
        put_data(&mut tensor);
        put_bytes(&mut self.constants, 5, &tensor);
        Wire(name)
    }

    /// Says which value the graph gives, and how many dimensions it has.
    pub(crate) fn output(&mut self, value: &Wire, dimensions: usize) {
        put_bytes(&mut self.outputs, 12, &value_info(&value.0, FLOAT, dimensions));
    }

    /// The message, and the weights beside it by the names under which it asks for them.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
        let mut graph = self.nodes;
        put_bytes(&mut graph, 2, b"encoder");
        for part in [&self.constants, &self.inputs, &self.outputs] {
            graph.extend_from_slice(part);
        }
        let mut operators = Vec::new();
        put_bytes(&mut operators, 1, b"");
        put_number(&mut operators, 2, OPERATORS_VERSION);
        let mut model = Vec::new();
        put_number(&mut model, 1, FORMAT_VERSION);
        put_bytes(&mut model, 8, &operators);
        put_bytes(&mut model, 7, &graph);
        (model, self.weights)
    }
}

impl Attribute {
    fn message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (name, kind) = match self {
            Attribute::Float(name, number) => {
                // A four-byte field has the wire type 5.
                put_varint(&mut out, 2 << 3 | 5);
                out.extend_from_slice(&number.to_le_bytes());
                (name, 1)
            }
            Attribute::Int(name, number) => {
                put_number(&mut out, 3, *number as u64);
                (name, 2)
            }
            Attribute::Text(name, text) => {
                put_bytes(&mut out, 4, text.as_bytes());
                (name, 3)
            }
            Attribute::Ints(name, numbers) => {
                for number in numbers {
                    put_number(&mut out, 8, *number as u64);
                }
                (name, 7)
            }
        };
        put_bytes(&mut out, 1, name.as_bytes());
        put_number(&mut out, 20, kind);
        out
    }
}

fn value_info(name: &str, kind: u64, dimensions: usize) -> Vec<u8> {
    let mut shape = Vec::new();
    for dimension in 0..dimensions {
        let mut length = Vec::new();
        put_bytes(&mut length, 2, format!("{name}_{dimension}").as_bytes());
        put_bytes(&mut shape, 1, &length);
    }
    let mut tensor = Vec::new();
    put_number(&mut tensor, 1, kind);
    put_bytes(&mut tensor, 2, &shape);
    let mut of = Vec::new();
    put_bytes(&mut of, 1, &tensor);
    let mut out = Vec::new();
    put_bytes(&mut out, 1, name.as_bytes());
    put_bytes(&mut out, 2, &of);
    out
}

fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(out, field << 3);
    put_varint(out, number);
}

fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
