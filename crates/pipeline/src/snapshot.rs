//! One immutable state of the configuration, which a call reads to its end.

use std::{collections::HashMap, sync::Arc};

use gauntlet_guard::OutputSchema;
use gauntlet_policy::config::{Credentials, Dialect, Policy, Provider};
use gauntlet_ports::{Auth, AwsKeys, Endpoint, EndpointKind, HttpEndpoint, Layout, Models, Sim, TokenGrant};
use gauntlet_prompts::Registry;
use gauntlet_types::Name;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use thiserror::Error;

pub struct Snapshot {
    pub policy: Policy,
    pub prompts: Arc<Registry>,
    pub(crate) schemas: Arc<HashMap<Name, OutputSchema>>,
    /// Models that run in this process.
    pub(crate) models: Models,
    pub(crate) endpoints: Arc<HashMap<Name, Arc<Endpoint>>>,
    /// Said at start and on every page: what a person must know about this gateway.
    notice: Option<String>,
}

#[derive(Debug, Error)]
pub enum SnapshotError {
    #[error("provider `{provider}` has the URL `{url}`, which cannot be used")]
    Url { provider: Name, url: Name, source: http::uri::InvalidUri },
    #[error("provider `{provider}` has a key or header that cannot be sent (it holds control characters)")]
    Header { provider: Name },
    #[error("schema `{path}` cannot be used: {message}")]
    Schema { path: Name, message: String },
}

impl Snapshot {
    pub fn new(policy: Policy, prompts: Arc<Registry>) -> Result<Snapshot, SnapshotError> {
        let mut schemas = HashMap::new();
        let guards = &policy.config().guards;
        let written = guards.policies.iter().map(|policy| &policy.rules);
        let levels = policy.config().levels().map(|level| &level.rules);
        for schema in written.chain(levels).filter_map(|rules| rules.schema.as_ref()) {
            if schemas.contains_key(&schema.path) {
                continue;
            }
            let compiled = OutputSchema::compile(&schema.value).map_err(|error| SnapshotError::Schema {
                path: schema.path.clone(),
                message: error.to_string(),
            })?;
            schemas.insert(schema.path.clone(), compiled);
        }
        let endpoints = Arc::new(endpoints(&policy)?);
        let notice = policy.is_open().then(|| {
            "no key exists yet, so any caller on this machine is taken as tenant `default`".to_owned()
        });
        let (schemas, models) = (Arc::new(schemas), Models::default());
        Ok(Snapshot { policy, prompts, schemas, models, endpoints, notice })
    }

    /// The same with these models.
    #[must_use]
    pub fn with_models(self, models: Models) -> Snapshot {
        Snapshot { models, ..self }
    }

    pub fn notice(&self) -> Option<String> {
        self.notice.clone()
    }

    /// A model to try first: an alias, else a real provider's small model, else the simulated one.
    pub fn example_model(&self) -> String {
        let config = self.policy.config();
        let alias = config.models.keys().min();
        let has = |provider: &str| self.endpoints.contains_key(provider);
        match alias {
            Some(alias) => alias.to_string(),
            None if has("openai") => "openai/gpt-4o-mini".to_owned(),
            None => {
                let is_sim = |endpoint: &&Arc<Endpoint>| matches!(endpoint.kind, EndpointKind::Sim(_));
                match (self.endpoints.values().find(is_sim), self.endpoints.keys().min()) {
                    (Some(sim), _) => format!("{}/hello", sim.provider),
                    (None, Some(provider)) => format!("{provider}/NAME-OF-A-MODEL"),
                    (None, None) => "NAME-OF-A-MODEL".to_owned(),
                }
            }
        }
    }

    /// Whether simulated answers are to be expected: somebody configured them, or there is nothing else.
    pub fn has_sim(&self) -> bool {
        let mut providers = self.policy.config().providers.values();
        let is_sim = |provider: &Arc<Provider>| provider.dialect == Dialect::Sim;
        providers.clone().any(|provider| is_sim(provider) && !provider.is_found) || providers.all(is_sim)
    }
}

/// The providers as adapters need them.
pub fn endpoints(policy: &Policy) -> Result<HashMap<Name, Arc<Endpoint>>, SnapshotError> {
    let providers = policy.config().providers.values();
    providers.map(|provider| Ok((provider.name.clone(), Arc::new(endpoint(provider)?)))).collect()
}

fn endpoint(provider: &Provider) -> Result<Endpoint, SnapshotError> {
    let kind = match &provider.sim {
        Some(settings) => EndpointKind::Sim(Sim {
            latency: settings.latency,
            chunk_delay: settings.chunk_delay,
            tokens: settings.tokens,
            fault_rate: settings.fault_rate,
            seed: settings.seed,
            answer: settings.answer.as_ref().map(ToString::to_string),
        }),
        None => {
            let address = provider.url.parse::<Uri>();
            address.map_err(|source| SnapshotError::Url {
                provider: provider.name.clone(),
                url: provider.url.clone(),
                source,
            })?;
            EndpointKind::Http(HttpEndpoint {
                base: provider.url.clone(),
                layout: layout(provider),
                auth: auth(provider)?,
                headers: headers(provider)?,
                services: provider.services,
                quirks: provider.quirks,
                elsewhere: provider.elsewhere.clone(),
            })
        }
    };
    Ok(Endpoint { provider: provider.name.clone(), kind, connect_timeout: provider.connect_timeout })
}

fn layout(provider: &Provider) -> Layout {
    match provider.dialect {
        // The simulated model has no address.
        Dialect::Openai | Dialect::Sim => Layout::Openai,
        Dialect::Azure => Layout::Azure { api_version: provider.api_version.clone() },
        Dialect::Anthropic => Layout::Anthropic,
        Dialect::Gemini => Layout::Gemini,
        Dialect::Vertex => Layout::Vertex {
            project: provider.project.clone(),
            region: provider.region.clone().unwrap_or_default(),
        },
        Dialect::Bedrock => Layout::Bedrock,
    }
}

fn auth(provider: &Provider) -> Result<Auth, SnapshotError> {
    Ok(match &provider.credentials {
        Credentials::None => Auth::None,
        Credentials::Key { header, key } => {
            let name = HeaderName::from_static(header.name());
            Auth::Header(name, secret(provider, &header.value(key))?)
        }
        Credentials::Aws { access_key, secret_key, session_token } => Auth::Aws(AwsKeys {
            access_key: access_key.clone(),
            secret_key: secret_key.clone(),
            session_token: session_token.clone(),
            region: provider.region.clone().unwrap_or_default(),
        }),
        Credentials::Entra { authority, tenant, client_id, client_secret } => {
            Auth::Token(TokenGrant::Entra {
                authority: authority.clone(),
                tenant: tenant.clone(),
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            })
        }
        Credentials::Google { account } => Auth::Token(TokenGrant::Google { account: account.clone() }),
        Credentials::Machine { url, header } => {
            Auth::Token(TokenGrant::Machine { url: (*url).into(), header: *header })
        }
    })
}

fn headers(provider: &Provider) -> Result<HeaderMap, SnapshotError> {
    let bad = || SnapshotError::Header { provider: provider.name.clone() };
    let mut headers = HeaderMap::new();
    for (name, value) in &provider.headers {
        let name: HeaderName = name.parse().map_err(|_| bad())?;
        headers.insert(name, secret(provider, value.expose())?);
    }
    Ok(headers)
}

fn secret(provider: &Provider, text: &str) -> Result<HeaderValue, SnapshotError> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| SnapshotError::Header { provider: provider.name.clone() })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
