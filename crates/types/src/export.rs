//! Whose spelling spans are sent in, and how they travel.

/// The attributes that a receiver of spans reads: every product names the same facts differently, and shows blanks
/// where it does not find its own names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub enum ExportProfile {
    /// OpenTelemetry's names, and the few of OpenInference without which lists stay blank. Right for most receivers.
    #[default]
    Default,
    /// OpenTelemetry's GenAI names and our own, nothing else.
    Semconv,
    OpenInference,
    Langfuse,
    Datadog,
    Honeycomb,
    Mlflow,
}

impl ExportProfile {
    pub const ALL: [ExportProfile; 7] = [
        ExportProfile::Default,
        ExportProfile::Semconv,
        ExportProfile::OpenInference,
        ExportProfile::Langfuse,
        ExportProfile::Datadog,
        ExportProfile::Honeycomb,
        ExportProfile::Mlflow,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            ExportProfile::Default => "default",
            ExportProfile::Semconv => "semconv",
            ExportProfile::OpenInference => "openinference",
            ExportProfile::Langfuse => "langfuse",
            ExportProfile::Datadog => "datadog",
            ExportProfile::Honeycomb => "honeycomb",
            ExportProfile::Mlflow => "mlflow",
        }
    }
}

/// How spans travel, by the names of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ExportProtocol {
    #[default]
    HttpProtobuf,
    HttpJson,
    Grpc,
}

impl ExportProtocol {
    pub const ALL: [ExportProtocol; 3] =
        [ExportProtocol::HttpProtobuf, ExportProtocol::HttpJson, ExportProtocol::Grpc];

    pub const fn as_str(self) -> &'static str {
        match self {
            ExportProtocol::HttpProtobuf => "http/protobuf",
            ExportProtocol::HttpJson => "http/json",
            ExportProtocol::Grpc => "grpc",
        }
    }
}
