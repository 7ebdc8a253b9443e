//! What the other gateways call things, and what is ours: a table for each kind of name. What this version cannot do yet
//! stands here and nowhere else, so that a new dialect, strategy or cache is imported once its row is changed.

/// Which gateway a file comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gateway {
    Litellm,
    Tensorzero,
    Portkey,
}

impl Gateway {
    pub const fn as_str(self) -> &'static str {
        match self {
            Gateway::Litellm => "litellm",
            Gateway::Tensorzero => "tensorzero",
            Gateway::Portkey => "portkey",
        }
    }

    pub const fn title(self) -> &'static str {
        match self {
            Gateway::Litellm => "LiteLLM",
            Gateway::Tensorzero => "TensorZero",
            Gateway::Portkey => "Portkey",
        }
    }
}

/// How a provider is reached from here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// By a dialect of its own; the address is the vendor's unless the source has one.
    Dialect(&'static str),
    /// By OpenAI's dialect at this address, unless the source has another.
    Compatible(&'static str),
    /// By OpenAI's dialect, at an address that the source must have; what is put behind it where it has no path.
    Server(&'static str),
    /// By OpenAI's dialect at the resource's `/openai/v1`, which takes the key as `api-key`.
    Azure,
    /// Not at all: why, and what to do.
    NotYet(&'static str, &'static str),
}

/// A provider, by everybody's names for it.
#[derive(Debug)]
pub struct Row {
    /// The name that it gets here.
    pub ours: &'static str,
    /// The usual variable of its key.
    pub variable: &'static str,
    pub reach: Reach,
    litellm: &'static [&'static str],
    tensorzero: &'static [&'static str],
    portkey: &'static [&'static str],
}

impl Row {
    pub fn names_of_portkey(&self) -> impl Iterator<Item = &'static str> {
        self.portkey.iter().copied()
    }
}

type Names = &'static [&'static str];

const fn row(
    ours: &'static str,
    variable: &'static str,
    reach: Reach,
    litellm: Names,
    tensorzero: Names,
    portkey: Names,
) -> Row {
    Row { ours, variable, reach, litellm, tensorzero, portkey }
}

const SIGNED: &str = "its credentials of AWS are not taken over";
const SIGNED_CURE: &str = "add `bedrock: {region: …}` under `providers` (the keys come from AWS_ACCESS_KEY_ID and its like) and the target by hand";
const TOKENS: &str = "its project and its service account are not taken over";
const TOKENS_CURE: &str =
    "add `vertex: {project: …, region: …, service_account: …}` under `providers` and the target by hand";
const FOREIGN: &str = "it speaks a dialect of its own, which this version does not";
const FOREIGN_CURE: &str =
    "if it has an address that speaks OpenAI's dialect, add it under `providers` by hand";

pub const PROVIDERS: [Row; 41] = [
    row(
        "openai",
        "OPENAI_API_KEY",
        Reach::Dialect("openai"),
        &["openai", "text-completion-openai", "custom_openai"],
        &["openai"],
        &["openai"],
    ),
    row(
        "anthropic",
        "ANTHROPIC_API_KEY",
        Reach::Dialect("anthropic"),
        &["anthropic"],
        &["anthropic"],
        &["anthropic"],
    ),
    row(
        "gemini",
        "GEMINI_API_KEY",
        Reach::Dialect("gemini"),
        &["gemini"],
        &["google_ai_studio_gemini"],
        &["google"],
    ),
    row("azure", "AZURE_API_KEY", Reach::Azure, &["azure", "azure_text"], &["azure"], &["azure-openai"]),
    row(
        "mistral",
        "MISTRAL_API_KEY",
        Reach::Compatible("https://api.mistral.ai/v1"),
        &["mistral", "codestral"],
        &["mistral"],
        &["mistral-ai"],
    ),
    row(
        "groq",
        "GROQ_API_KEY",
        Reach::Compatible("https://api.groq.com/openai/v1"),
        &["groq"],
        &["groq"],
        &["groq"],
    ),
    row(
        "deepseek",
        "DEEPSEEK_API_KEY",
        Reach::Compatible("https://api.deepseek.com/v1"),
        &["deepseek"],
        &["deepseek"],
        &["deepseek"],
    ),
    row("xai", "XAI_API_KEY", Reach::Compatible("https://api.x.ai/v1"), &["xai"], &["xai"], &["x-ai"]),
    row(
        "openrouter",
        "OPENROUTER_API_KEY",
        Reach::Compatible("https://openrouter.ai/api/v1"),
        &["openrouter"],
        &["openrouter"],
        &["openrouter"],
    ),
    row(
        "cohere",
        "COHERE_API_KEY",
        Reach::Compatible("https://api.cohere.ai/compatibility/v1"),
        &["cohere", "cohere_chat"],
        &[],
        &["cohere"],
    ),
    row(
        "together",
        "TOGETHER_API_KEY",
        Reach::Compatible("https://api.together.xyz/v1"),
        &["together_ai"],
        &["together"],
        &["together-ai"],
    ),
    row(
        "fireworks",
        "FIREWORKS_API_KEY",
        Reach::Compatible("https://api.fireworks.ai/inference/v1"),
        &["fireworks_ai"],
        &["fireworks"],
        &["fireworks-ai"],
    ),
    row(
        "perplexity",
        "PERPLEXITY_API_KEY",
        Reach::Compatible("https://api.perplexity.ai"),
        &["perplexity"],
        &[],
        &["perplexity-ai"],
    ),
    row(
        "cerebras",
        "CEREBRAS_API_KEY",
        Reach::Compatible("https://api.cerebras.ai/v1"),
        &["cerebras"],
        &[],
        &["cerebras"],
    ),
    row(
        "sambanova",
        "SAMBANOVA_API_KEY",
        Reach::Compatible("https://api.sambanova.ai/v1"),
        &["sambanova"],
        &[],
        &["sambanova"],
    ),
    row(
        "nvidia",
        "NVIDIA_API_KEY",
        Reach::Compatible("https://integrate.api.nvidia.com/v1"),
        &["nvidia_nim"],
        &[],
        &["nvidia"],
    ),
    row(
        "deepinfra",
        "DEEPINFRA_API_KEY",
        Reach::Compatible("https://api.deepinfra.com/v1/openai"),
        &["deepinfra"],
        &[],
        &["deepinfra"],
    ),
    row(
        "hyperbolic",
        "HYPERBOLIC_API_KEY",
        Reach::Compatible("https://api.hyperbolic.xyz/v1"),
        &["hyperbolic"],
        &["hyperbolic"],
        &["hyperbolic"],
    ),
    row(
        "moonshot",
        "MOONSHOT_API_KEY",
        Reach::Compatible("https://api.moonshot.ai/v1"),
        &["moonshot"],
        &[],
        &["moonshot"],
    ),
    row(
        "novita",
        "NOVITA_API_KEY",
        Reach::Compatible("https://api.novita.ai/v3/openai"),
        &["novita"],
        &[],
        &["novita-ai"],
    ),
    row(
        "dashscope",
        "DASHSCOPE_API_KEY",
        Reach::Compatible("https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        &["dashscope"],
        &[],
        &["dashscope"],
    ),
    row("vllm", "VLLM_API_KEY", Reach::Server("/v1"), &["hosted_vllm", "vllm"], &["vllm"], &[]),
    row("sglang", "SGLANG_API_KEY", Reach::Server("/v1"), &[], &["sglang"], &[]),
    row("tgi", "TGI_API_KEY", Reach::Server("/v1"), &[], &["tgi"], &[]),
    row("ollama", "OLLAMA_API_KEY", Reach::Server("/v1"), &["ollama", "ollama_chat"], &[], &["ollama"]),
    row("lm-studio", "LM_STUDIO_API_KEY", Reach::Server("/v1"), &["lm_studio"], &[], &[]),
    row("llamafile", "LLAMAFILE_API_KEY", Reach::Server("/v1"), &["llamafile"], &[], &[]),
    row("xinference", "XINFERENCE_API_KEY", Reach::Server("/v1"), &["xinference"], &[], &[]),
    row("litellm", "LITELLM_PROXY_API_KEY", Reach::Server(""), &["litellm_proxy"], &[], &[]),
    row("databricks", "DATABRICKS_API_KEY", Reach::Server(""), &["databricks"], &[], &["databricks"]),
    row(
        "bedrock",
        "",
        Reach::NotYet(SIGNED, SIGNED_CURE),
        &["bedrock", "bedrock_converse"],
        &["aws_bedrock"],
        &["bedrock"],
    ),
    row(
        "sagemaker",
        "",
        Reach::NotYet(SIGNED, SIGNED_CURE),
        &["sagemaker", "sagemaker_chat"],
        &["aws_sagemaker"],
        &["sagemaker"],
    ),
    row(
        "vertex",
        "",
        Reach::NotYet(TOKENS, TOKENS_CURE),
        &["vertex_ai", "vertex_ai_beta"],
        &["gcp_vertex_gemini", "gcp_vertex_anthropic"],
        &["vertex-ai"],
    ),
    row(
        "azure-ai",
        "",
        Reach::NotYet(
            "the addresses of Azure AI Foundry differ from model to model",
            "if it is at `https://RESOURCE.services.ai.azure.com`, add `{dialect: openai, url: \"…/openai/v1\"}` under `providers`",
        ),
        &["azure_ai"],
        &[],
        &["azure-ai"],
    ),
    row(
        "huggingface",
        "HF_TOKEN",
        Reach::Compatible("https://router.huggingface.co/v1"),
        &["huggingface"],
        &[],
        &["huggingface"],
    ),
    row("replicate", "", Reach::NotYet(FOREIGN, FOREIGN_CURE), &["replicate"], &[], &["replicate"]),
    row("watsonx", "", Reach::NotYet(FOREIGN, FOREIGN_CURE), &["watsonx"], &[], &["watsonx"]),
    row("cloudflare", "", Reach::NotYet(FOREIGN, FOREIGN_CURE), &["cloudflare"], &[], &["workers-ai"]),
    row("snowflake", "", Reach::NotYet(FOREIGN, FOREIGN_CURE), &["snowflake"], &[], &[]),
    row(
        "voyage",
        "",
        Reach::NotYet("it sells embeddings and ranking, which it names otherwise than OpenAI", FOREIGN_CURE),
        &["voyage"],
        &[],
        &["voyage"],
    ),
    row(
        "sim",
        "",
        Reach::NotYet(
            "it is a model for tests",
            "write `sim: {dialect: sim}` under `providers` if one is wanted",
        ),
        &[],
        &["dummy"],
        &[],
    ),
];

/// A provider by the name that another gateway has for it.
pub fn provider(gateway: Gateway, name: &str) -> Option<&'static Row> {
    let names = |row: &Row| match gateway {
        Gateway::Litellm => row.litellm,
        Gateway::Tensorzero => row.tensorzero,
        Gateway::Portkey => row.portkey,
    };
    PROVIDERS.iter().find(|row| names(row).contains(&name))
}

/// Whose model a bare name is, where the source leaves the provider out: as LiteLLM takes it, for which Gemini is Vertex.
pub const BARE: [(&str, &str); 13] = [
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("whisper-", "openai"),
    ("tts-", "openai"),
    ("dall-e", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "vertex"),
    ("command-", "cohere"),
];

pub fn of_bare(model: &str) -> Option<&'static Row> {
    let (_, ours) = BARE.iter().find(|(start, _)| model.starts_with(start))?;
    PROVIDERS.iter().find(|row| row.ours == *ours)
}

/// How a gateway chooses among equal targets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// The first that can; the others when it fails. What Gauntlet does.
    InOrder,
    Weighted,
    LeastBusy,
    Fastest,
    Cheapest,
    /// By what is left of each one's requests and tokens a minute.
    LeastUsed,
    /// By what a call says of itself.
    Conditional,
}

impl Pick {
    /// The `strategy` of a model; none where there is no such one, and targets are taken in order.
    pub const fn ours(self) -> Option<&'static str> {
        match self {
            Pick::Weighted => Some("weighted"),
            Pick::LeastBusy => Some("least_busy"),
            Pick::Fastest => Some("latency"),
            Pick::Cheapest => Some("cheapest"),
            Pick::InOrder | Pick::LeastUsed | Pick::Conditional => None,
        }
    }

    /// What is lost where there is no such strategy, and the cure.
    pub const fn loss(self) -> (&'static str, &'static str) {
        match self {
            Pick::LeastUsed => (
                "calls are not sent to the least used target here: targets are tried in order",
                "write `strategy: least_busy`, or give the model a limit (`limits.models`)",
            ),
            Pick::Conditional => (
                "conditions on a call are not taken over",
                "write them as `rules` of a route (docs/routing.md)",
            ),
            // Among some targets of a list; for all of them there is a strategy.
            Pick::Weighted => (
                "calls are not spread by weight within a part of a list: its targets are tried in order",
                "make a model of that part, with `strategy: weighted`, and a route that names it",
            ),
            Pick::InOrder | Pick::LeastBusy | Pick::Fastest | Pick::Cheapest => ("", ""),
        }
    }
}

/// LiteLLM's `routing_strategy`.
pub const STRATEGIES: [(&str, Pick); 6] = [
    ("simple-shuffle", Pick::Weighted),
    ("least-busy", Pick::LeastBusy),
    ("latency-based-routing", Pick::Fastest),
    ("cost-based-routing", Pick::Cheapest),
    ("usage-based-routing", Pick::LeastUsed),
    ("usage-based-routing-v2", Pick::LeastUsed),
];

/// What is said of a cache that also finds questions that are only alike.
pub const SEMANTIC_CACHE: (&str, &str) = (
    "`cache` is written for equal calls: alike ones need a model that compares them",
    "add `semantic: {model: …}` or `semantic: {embedder: …}` to it (docs/caching.md), and measure before you trust it",
);

/// Where callbacks of LiteLLM go, as an entry of `exporters`: address, headers with the variables in them, profile.
pub struct Receiver {
    pub theirs: &'static [&'static str],
    pub ours: &'static str,
    /// `$NAME` stands for a variable.
    pub otlp: &'static str,
    pub headers: &'static [(&'static str, &'static str)],
    pub profile: Option<&'static str>,
    pub note: &'static str,
}

pub const RECEIVERS: [Receiver; 5] = [
    Receiver {
        theirs: &["langfuse", "langfuse_otel"],
        ours: "langfuse",
        otlp: "https://cloud.langfuse.com/api/public/otel/v1/traces",
        headers: &[("authorization", "Basic $LANGFUSE_AUTH")],
        profile: Some("langfuse"),
        note: "LANGFUSE_AUTH is base64 of PUBLIC_KEY:SECRET_KEY; put the address of your own server in if you run one",
    },
    Receiver {
        theirs: &["langsmith"],
        ours: "langsmith",
        otlp: "https://api.smith.langchain.com/otel/v1/traces",
        headers: &[("x-api-key", "$LANGSMITH_API_KEY")],
        profile: Some("openinference"),
        note: "",
    },
    Receiver {
        theirs: &["datadog", "datadog_llm_observability"],
        ours: "datadog",
        otlp: "https://otlp.datadoghq.com/v1/traces",
        headers: &[("dd-api-key", "$DD_API_KEY"), ("dd-otlp-source", "llmobs")],
        profile: Some("datadog"),
        note: "put the address of your own site in",
    },
    Receiver {
        theirs: &["arize_phoenix"],
        ours: "phoenix",
        otlp: "http://127.0.0.1:6006/v1/traces",
        headers: &[],
        profile: None,
        note: "put the address of your Phoenix in",
    },
    Receiver {
        theirs: &["otel"],
        ours: "otel",
        otlp: "$OTEL_ENDPOINT",
        headers: &[],
        profile: None,
        note: "OTEL_ENDPOINT is used as it is: OTLP over HTTP, most end with /v1/traces",
    },
];

/// Guards of LiteLLM by what they look for: the kind here, and the action.
pub const GUARDS: [(&str, &str, &str); 8] = [
    ("presidio", "pii", "redact"),
    ("hide-secrets", "secrets", "redact"),
    ("hide_secrets", "secrets", "redact"),
    ("lakera", "injection", "block"),
    ("lakera_v2", "injection", "block"),
    ("pangea", "injection", "block"),
    ("prompt_injection", "injection", "block"),
    ("azure/prompt_shield", "injection", "block"),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_of_a_provider_stands_once() {
        for gateway in [Gateway::Litellm, Gateway::Tensorzero, Gateway::Portkey] {
            let mut seen = HashSet::new();
            let names = PROVIDERS.iter().flat_map(|row| match gateway {
                Gateway::Litellm => row.litellm,
                Gateway::Tensorzero => row.tensorzero,
                Gateway::Portkey => row.portkey,
            });
            for name in names {
                assert!(seen.insert(name), "{name} of {}", gateway.title());
                assert!(provider(gateway, name).is_some());
            }
        }
        for (start, ours) in BARE {
            assert_eq!(of_bare(start).map(|row| row.ours), Some(ours));
        }
    }
}
