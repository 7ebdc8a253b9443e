//! The real parts that tests talk to, by the names that `--without` takes.

use anyhow::{Result, bail};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// The official OpenAI SDK for Python.
    Python,
    /// The official OpenAI SDK for Node.
    Node,
    /// Chromium.
    Browser,
    /// A real small model behind llama.cpp's server.
    Model,
    /// A Redis server, or Valkey.
    Redis,
    /// A Postgres server.
    Postgres,
    /// Arize Phoenix, a receiver of spans.
    Phoenix,
    /// Prometheus.
    Prometheus,
    /// OpenTelemetry's SDK for Python and other people's instrumentation, senders of spans.
    Otel,
    /// Two real encoders, and the implementations that say what they should give.
    Encoders,
    /// SciPy and scikit-learn, which say what the statistics should give.
    Statistics,
    /// The SDKs of every vendor, for Python and Node, and the libraries that stand on them.
    Clients,
    /// The packages whose BLEU, ROUGE and edit distance ours must be.
    Scores,
    /// What reads a gate's reports: junitparser, and the programs that the GitHub Action's scripts call.
    Gate,
}

impl Part {
    pub const ALL: [Part; 14] = [
        Part::Python,
        Part::Node,
        Part::Browser,
        Part::Model,
        Part::Redis,
        Part::Postgres,
        Part::Phoenix,
        Part::Prometheus,
        Part::Otel,
        Part::Encoders,
        Part::Statistics,
        Part::Clients,
        Part::Scores,
        Part::Gate,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Part::Python => "python",
            Part::Node => "node",
            Part::Browser => "browser",
            Part::Model => "model",
            Part::Redis => "redis",
            Part::Postgres => "postgres",
            Part::Phoenix => "phoenix",
            Part::Prometheus => "prometheus",
            Part::Otel => "otel",
            Part::Encoders => "encoders",
            Part::Statistics => "statistics",
            Part::Clients => "clients",
            Part::Scores => "scores",
            Part::Gate => "gate",
        }
    }

    pub fn parse_list(text: &str) -> Result<Vec<Part>> {
        text.split(',')
            .map(|name| match Part::ALL.into_iter().find(|part| part.as_str() == name.trim()) {
                Some(part) => Ok(part),
                None => {
                    let all = Part::ALL.map(Part::as_str).join(", ");
                    bail!("there is no part `{name}` to leave out; there are {all}")
                }
            })
            .collect()
    }
}
