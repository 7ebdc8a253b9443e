//! The way to a model: one attempt, no policy.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, future::BoxFuture};
use gauntlet_types::{Dialect, Name, Quirks, Secret, Service, Services};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use thiserror::Error;

/// A provider as the adapter needs it; made from the configuration once per snapshot.
#[derive(Debug)]
pub struct Endpoint {
    pub provider: Name,
    pub kind: EndpointKind,
    pub connect_timeout: Duration,
}

#[derive(Debug)]
pub enum EndpointKind {
    Http(HttpEndpoint),
    Sim(Sim),
}

#[derive(Debug)]
pub struct HttpEndpoint {
    /// Scheme, host and the path before what `layout` adds; no slash at its end.
    pub base: Name,
    pub layout: Layout,
    pub auth: Auth,
    /// Configured beside the credentials, marked sensitive; they override what the caller sent.
    pub headers: HeaderMap,
    pub services: Services,
    pub quirks: Quirks,
    /// Paths below the base that the provider keeps at another address: the path, and the whole address.
    pub elsewhere: Vec<(Name, Name)>,
}

/// Where a provider keeps what: the shape of its addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Layout {
    /// `/chat/completions`, `/responses`, … below the base.
    Openai,
    /// The same below `/openai/v1`, or by deployment where the version of the interface is a date.
    Azure { api_version: Option<Name> },
    /// `/v1/messages`.
    Anthropic,
    /// `/v1beta/models/…:generateContent`.
    Gemini,
    /// `/v1/projects/…/locations/…/publishers/…/models/…`.
    Vertex { project: Name, region: Name },
    /// `/model/…/converse`.
    Bedrock,
}

/// How a request shows who sends it.
#[derive(Debug)]
pub enum Auth {
    None,
    /// A header that says all, marked sensitive.
    Header(HeaderName, HeaderValue),
    /// A signature of each request (AWS Signature Version 4).
    Aws(AwsKeys),
    /// A token for an hour or so, which the adapter fetches and keeps.
    Token(TokenGrant),
}

#[derive(Debug)]
pub struct AwsKeys {
    pub access_key: Name,
    pub secret_key: Secret,
    /// Of temporary credentials.
    pub session_token: Option<Secret>,
    pub region: Name,
}

/// What a token is given for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenGrant {
    /// Microsoft Entra's client credentials.
    Entra {
        /// `https://login.microsoftonline.com`, or that of a sovereign cloud.
        authority: Name,
        tenant: Name,
        client_id: Name,
        client_secret: Secret,
    },
    /// A credentials file of Google's: a service account, or what `gcloud` leaves for a person. The JSON itself, or its path.
    Google { account: Secret },
    /// The identity of the machine in a cloud, asked of a server that only the machine reaches.
    Machine { url: Name, header: (&'static str, &'static str) },
}

/// The simulated model: for demos, drills, load and tests; its answers say that they are simulated.
#[derive(Clone, Debug)]
pub struct Sim {
    /// Before the first token.
    pub latency: Duration,
    /// Between pieces of a streamed answer.
    pub chunk_delay: Duration,
    /// Tokens in an answer, unless the request's limit is lower.
    pub tokens: u32,
    /// Share of calls that fail with status 500, from 0 to 1; which ones is decided by `seed` and the request alone.
    pub fault_rate: f64,
    pub seed: u64,
    /// A fixed answer instead of generated words.
    pub answer: Option<String>,
}

/// What is asked of a provider; with the model it decides the address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Chat,
    Responses,
    Completions,
    Embeddings,
    /// Anthropic's Messages.
    Messages,
    /// Anthropic's count of a request's tokens.
    CountTokens,
    /// Gemini's `generateContent`, or `streamGenerateContent` where the request is streaming.
    Generate,
    GeminiCountTokens,
    EmbedContent,
    BatchEmbedContents,
    /// Bedrock's Converse, or its stream where the request is streaming.
    Converse,
    /// The provider's list of models.
    Models,
    /// Anything else that is passed through: images, audio, files. The path stands below the provider's versioned base
    /// (`/images/generations`) and may have a query.
    Raw {
        method: Method,
        path: Name,
    },
}

/// Services whose paths begin with their name.
const PASSED_THROUGH: [Service; 6] = [
    Service::Moderations,
    Service::Images,
    Service::Audio,
    Service::Rerank,
    Service::Files,
    Service::Batches,
];

impl Operation {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Operation::Chat => "chat completions",
            Operation::Responses => "responses",
            Operation::Completions => "completions",
            Operation::Embeddings => "embeddings",
            Operation::Messages => "messages",
            Operation::CountTokens => "message token counts",
            Operation::Generate => "`generateContent`",
            Operation::GeminiCountTokens => "`countTokens`",
            Operation::EmbedContent => "`embedContent`",
            Operation::BatchEmbedContents => "`batchEmbedContents`",
            Operation::Converse => "Converse",
            Operation::Models => "a list of models",
            Operation::Raw { .. } => "this path",
        }
    }

    /// What a provider must serve for it; none for conversations (see `Endpoint::speaks`) and for paths of unknown use.
    pub fn service(&self) -> Option<Service> {
        match self {
            Operation::Chat
            | Operation::Responses
            | Operation::Messages
            | Operation::Generate
            | Operation::Converse => None,
            Operation::Completions => Some(Service::Completions),
            Operation::Embeddings | Operation::EmbedContent | Operation::BatchEmbedContents => {
                Some(Service::Embeddings)
            }
            Operation::CountTokens | Operation::GeminiCountTokens => Some(Service::CountTokens),
            Operation::Models => Some(Service::Models),
            Operation::Raw { path, .. } => {
                let first = path.trim_start_matches('/').split(['/', '?']).next()?;
                PASSED_THROUGH.into_iter().find(|service| service.as_str() == first)
            }
        }
    }

    /// The request that carries a conversation of this dialect.
    pub const fn of(dialect: Dialect) -> Operation {
        match dialect {
            Dialect::Chat => Operation::Chat,
            Dialect::Completions => Operation::Completions,
            Dialect::Responses => Operation::Responses,
            Dialect::Messages => Operation::Messages,
            Dialect::Gemini => Operation::Generate,
            Dialect::Converse => Operation::Converse,
        }
    }
}

impl Endpoint {
    /// No simulated model.
    pub fn is_real(&self) -> bool {
        self.http().is_some()
    }

    fn http(&self) -> Option<&HttpEndpoint> {
        match &self.kind {
            EndpointKind::Http(http) => Some(http),
            EndpointKind::Sim(_) => None,
        }
    }

    /// What a conversation with the model is translated to when the caller's dialect is not spoken.
    pub fn native(&self, model: &str) -> Dialect {
        match self.http().map(|http| &http.layout) {
            // A server may have left chat completions behind.
            Some(Layout::Openai | Layout::Azure { .. })
                if !self.serves(Service::Chat) && self.serves(Service::Responses) =>
            {
                Dialect::Responses
            }
            None | Some(Layout::Openai | Layout::Azure { .. }) => Dialect::Chat,
            Some(Layout::Anthropic) => Dialect::Messages,
            Some(Layout::Gemini) => Dialect::Gemini,
            Some(Layout::Vertex { .. }) => VertexModel::of(model).dialect(),
            Some(Layout::Bedrock) => Dialect::Converse,
        }
    }

    /// Whether a body of this dialect may go to the model as it is.
    pub fn speaks(&self, dialect: Dialect, model: &str) -> bool {
        if dialect == self.native(model) && dialect != Dialect::Responses {
            return self.serves(Service::Chat);
        }
        match dialect {
            Dialect::Completions => self.serves(Service::Completions),
            Dialect::Responses => self.serves(Service::Responses),
            Dialect::Messages => self.serves(Service::Messages),
            Dialect::Chat | Dialect::Gemini | Dialect::Converse => false,
        }
    }

    pub fn serves(&self, service: Service) -> bool {
        match self.http() {
            Some(http) => http.services.has(service),
            None => matches!(service, Service::Chat | Service::Embeddings),
        }
    }

    pub fn quirks(&self) -> Quirks {
        self.http().map(|http| http.quirks).unwrap_or_default()
    }

    /// Everything that must not be seen in what a provider says about a failure. Bearer tokens come without that word.
    pub fn secrets(&self) -> Vec<&str> {
        let Some(http) = self.http() else { return Vec::new() };
        let mut values: Vec<&str> = http.headers.values().filter_map(|value| value.to_str().ok()).collect();
        match &http.auth {
            Auth::None | Auth::Token(TokenGrant::Machine { .. }) => {}
            // A path is no secret, and an error should name it.
            Auth::Token(TokenGrant::Google { account }) if !account.expose().starts_with('{') => {}
            Auth::Header(_, value) => values.extend(value.to_str()),
            Auth::Aws(keys) => {
                values.push(&keys.access_key);
                values.push(keys.secret_key.expose());
                values.extend(keys.session_token.as_ref().map(Secret::expose));
            }
            Auth::Token(TokenGrant::Entra { client_secret, .. }) => values.push(client_secret.expose()),
            Auth::Token(TokenGrant::Google { account }) => values.push(account.expose()),
        }
        values.into_iter().map(|value| value.strip_prefix("Bearer ").unwrap_or(value)).collect()
    }
}

/// A model of Vertex AI's, whose publisher decides what it speaks and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VertexModel<'a> {
    Google(&'a str),
    /// A tuned model or an own deployment, by its whole resource name.
    Resource(&'a str),
    Anthropic(&'a str),
    /// Any other publisher's, which speak OpenAI's dialect: `meta/llama-…`.
    Other(&'a str),
}

impl<'a> VertexModel<'a> {
    pub fn of(model: &'a str) -> VertexModel<'a> {
        if model.starts_with("projects/") {
            return VertexModel::Resource(model);
        }
        let name = model.strip_prefix("publishers/").unwrap_or(model);
        let (publisher, short) = match name.split_once('/') {
            Some(("models", short)) => ("google", short),
            Some((publisher, short)) => (publisher, short.strip_prefix("models/").unwrap_or(short)),
            None if name.starts_with("claude") => ("anthropic", name),
            None => ("google", name),
        };
        match publisher {
            "google" => VertexModel::Google(short),
            "anthropic" => VertexModel::Anthropic(short),
            _ => VertexModel::Other(model),
        }
    }

    pub const fn dialect(self) -> Dialect {
        match self {
            VertexModel::Google(_) | VertexModel::Resource(_) => Dialect::Gemini,
            VertexModel::Anthropic(_) => Dialect::Messages,
            VertexModel::Other(_) => Dialect::Chat,
        }
    }
}

pub struct UpstreamRequest {
    pub endpoint: Arc<Endpoint>,
    pub model: Name,
    pub operation: Operation,
    pub is_streaming: bool,
    /// What the body is: JSON if none is said, a multipart form with its boundary where a file travels.
    pub content_type: Option<HeaderValue>,
    /// The caller's headers that may travel on.
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub type UpstreamBody = Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>> + Send>>;

pub struct UpstreamAnswer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Decoded from its content encoding; a stream is one of server-sent events, whatever the provider's own framing.
    pub body: UpstreamBody,
}

#[derive(Debug, Error)]
pub enum UpstreamError {
    #[error("cannot reach provider `{provider}`")]
    Connect { provider: Name, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the connection to provider `{provider}` broke")]
    Broken { provider: Name, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("provider `{provider}` answered in content encoding `{encoding}`, which was not asked for")]
    Encoding { provider: Name, encoding: String },
    #[error("provider `{provider}` has no address for {what}")]
    Unserved { provider: Name, what: &'static str },
    #[error("a request to provider `{provider}` cannot be made: {why}")]
    Request { provider: Name, why: String },
    /// Nothing was asked of the model.
    #[error("provider `{provider}` cannot be called, for there is no token: {why}")]
    Token { provider: Name, why: String },
}

pub trait Upstream: Send + Sync {
    fn send(&self, request: UpstreamRequest) -> BoxFuture<'static, Result<UpstreamAnswer, UpstreamError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(layout: Layout, services: &[Service], auth: Auth) -> Endpoint {
        let http = HttpEndpoint {
            base: "http://h".into(),
            layout,
            auth,
            headers: HeaderMap::new(),
            services: services.iter().copied().collect(),
            quirks: Quirks::default(),
            elsewhere: Vec::new(),
        };
        Endpoint { provider: "p".into(), kind: EndpointKind::Http(http), connect_timeout: Duration::ZERO }
    }

    #[test]
    fn a_server_without_chat_completions_is_asked_for_responses() {
        let check = |services: &[Service], native: Dialect, spoken: &[Dialect]| {
            let endpoint = endpoint(Layout::Openai, services, Auth::None);
            assert_eq!(endpoint.native("m"), native, "{services:?}");
            for dialect in Dialect::ALL {
                let wanted = spoken.contains(&dialect);
                assert_eq!(endpoint.speaks(dialect, "m"), wanted, "{services:?} {dialect:?}");
            }
        };
        check(&[Service::Chat], Dialect::Chat, &[Dialect::Chat]);
        check(&[Service::Responses], Dialect::Responses, &[Dialect::Responses]);
        check(&[Service::Chat, Service::Responses], Dialect::Chat, &[Dialect::Chat, Dialect::Responses]);
        check(&[Service::Embeddings], Dialect::Chat, &[]);
    }

    #[test]
    fn vertex_speaks_as_the_publisher_of_the_model_does() {
        let vertex = endpoint(
            Layout::Vertex { project: "p".into(), region: "global".into() },
            &[Service::Chat],
            Auth::None,
        );
        let check = |model: &str, dialect: Dialect| {
            assert_eq!(vertex.native(model), dialect, "{model}");
            assert!(vertex.speaks(dialect, model), "{model}");
        };
        check("gemini-2.5-flash", Dialect::Gemini);
        check("models/gemini-2.5-flash", Dialect::Gemini);
        check("google/gemini-2.5-flash", Dialect::Gemini);
        check("publishers/google/models/gemini-2.5-flash", Dialect::Gemini);
        check("projects/p/locations/r/endpoints/123", Dialect::Gemini);
        check("claude-sonnet-4-5@20250929", Dialect::Messages);
        check("publishers/anthropic/models/claude-haiku-4-5", Dialect::Messages);
        check("meta/llama-3.3-70b-instruct-maas", Dialect::Chat);
        assert!(!vertex.speaks(Dialect::Gemini, "claude-haiku-4-5"));
        assert_eq!(
            VertexModel::of("publishers/anthropic/models/claude-haiku-4-5"),
            VertexModel::Anthropic("claude-haiku-4-5")
        );
    }

    #[test]
    fn what_is_spoken_goes_by_the_services() {
        let chat = endpoint(Layout::Openai, &[Service::Chat], Auth::None);
        assert!(chat.speaks(Dialect::Chat, "m") && !chat.speaks(Dialect::Responses, "m"));
        assert!(!chat.speaks(Dialect::Messages, "m") && !chat.speaks(Dialect::Converse, "m"));
        let all =
            endpoint(Layout::Openai, &[Service::Chat, Service::Responses, Service::Messages], Auth::None);
        assert!(all.speaks(Dialect::Responses, "m") && all.speaks(Dialect::Messages, "m"));
        let bedrock = endpoint(Layout::Bedrock, &[Service::Chat], Auth::None);
        assert!(bedrock.speaks(Dialect::Converse, "m") && !bedrock.speaks(Dialect::Chat, "m"));
    }

    #[test]
    fn a_path_tells_the_service_that_it_asks_for() {
        let check = |path: &str, expected: Option<Service>| {
            let raw = Operation::Raw { method: Method::POST, path: path.into() };
            assert_eq!(raw.service(), expected, "{path}");
        };
        check("/images/generations", Some(Service::Images));
        check("/files", Some(Service::Files));
        check("/batches?limit=1", Some(Service::Batches));
        check("/chat/completions", None);
        check("/fine_tuning/jobs", None);
        assert_eq!(Operation::EmbedContent.service(), Some(Service::Embeddings));
        assert_eq!(Operation::of(Dialect::Gemini).service(), None);
    }

    #[test]
    fn no_credential_is_seen_in_debug_output() {
        let secret = || Secret::new("s3cr3t");
        let mut header = HeaderValue::from_static("Bearer s3cr3t");
        header.set_sensitive(true);
        let styles = [
            Auth::Header(http::header::AUTHORIZATION, header),
            Auth::Aws(AwsKeys {
                access_key: "AKID".into(),
                secret_key: secret(),
                session_token: Some(secret()),
                region: "r".into(),
            }),
            Auth::Token(TokenGrant::Entra {
                authority: "a".into(),
                tenant: "t".into(),
                client_id: "c".into(),
                client_secret: secret(),
            }),
            Auth::Token(TokenGrant::Google { account: Secret::new("{s3cr3t}") }),
        ];
        for auth in styles {
            let endpoint = endpoint(Layout::Openai, &[], auth);
            assert!(!format!("{endpoint:?}").contains("s3cr3t"), "{endpoint:?}");
            assert!(endpoint.secrets().iter().any(|secret| secret.contains("s3cr3t")), "{endpoint:?}");
        }
    }
}
