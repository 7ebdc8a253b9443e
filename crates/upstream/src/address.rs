//! Where a request goes: the address by operation and model, for every layout.

use gauntlet_ports::{
    Endpoint, HttpEndpoint, Layout, Operation, UpstreamError, UpstreamRequest, VertexModel,
};
use http::Uri;

use crate::percent::encode;

/// The address of a request. Errors: the provider has none for it, or the model or path cannot stand in one.
pub(crate) fn uri(request: &UpstreamRequest, http: &HttpEndpoint) -> Result<Uri, UpstreamError> {
    let text = Asked { request, http }.address()?;
    text.parse().map_err(|_| refused(&request.endpoint, "the model or path cannot stand in an address"))
}

fn refused(endpoint: &Endpoint, why: &str) -> UpstreamError {
    UpstreamError::Request { provider: endpoint.provider.clone(), why: why.to_owned() }
}

#[derive(Clone, Copy)]
struct Asked<'a> {
    request: &'a UpstreamRequest,
    http: &'a HttpEndpoint,
}

impl Asked<'_> {
    fn address(self) -> Result<String, UpstreamError> {
        let base = &self.http.base;
        match &self.http.layout {
            Layout::Openai => self.openai(base, None),
            Layout::Azure { api_version } => match api_version {
                // A version with a date has an address for each deployment; `v1`, `preview` and none have one for all.
                Some(version) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                    self.azure_deployment(version)
                }
                version => {
                    let version = version.as_deref().filter(|version| *version != "v1");
                    self.openai(&format!("{base}/openai/v1"), version)
                }
            },
            Layout::Anthropic => match &self.request.operation {
                Operation::Messages => Ok(format!("{base}/v1/messages")),
                Operation::CountTokens => Ok(format!("{base}/v1/messages/count_tokens")),
                Operation::Models => Ok(format!("{base}/v1/models")),
                Operation::Raw { path, .. } => self.raw(&format!("{base}/v1"), path, None),
                _ => Err(self.unserved()),
            },
            Layout::Gemini => self.gemini(),
            Layout::Vertex { project, region } => {
                let place =
                    format!("{base}/v1/projects/{}/locations/{}", encode(project, b""), encode(region, b""));
                self.vertex(&place)
            }
            Layout::Bedrock => self.bedrock(),
        }
    }

    fn openai(self, base: &str, version: Option<&str>) -> Result<String, UpstreamError> {
        let path = match &self.request.operation {
            Operation::Chat => "/chat/completions",
            Operation::Responses => "/responses",
            Operation::Completions => "/completions",
            Operation::Embeddings => "/embeddings",
            Operation::Messages => "/messages",
            Operation::CountTokens => "/messages/count_tokens",
            Operation::Models => "/models",
            Operation::Raw { path, .. } => path,
            Operation::Generate
            | Operation::GeminiCountTokens
            | Operation::EmbedContent
            | Operation::BatchEmbedContents
            | Operation::Converse => return Err(self.unserved()),
        };
        self.raw(base, path, version)
    }

    fn azure_deployment(self, version: &str) -> Result<String, UpstreamError> {
        let base = format!("{}/openai", self.http.base);
        let path = match &self.request.operation {
            Operation::Chat => "/chat/completions",
            Operation::Completions => "/completions",
            Operation::Embeddings => "/embeddings",
            Operation::Responses => return self.raw(&base, "/responses", Some(version)),
            Operation::Models => return self.raw(&base, "/models", Some(version)),
            Operation::Raw { path, .. } => {
                // What a model makes belongs to its deployment; what is stored belongs to the resource.
                if !["/images", "/audio"].iter().any(|start| path.starts_with(start)) {
                    return self.raw(&base, path, Some(version));
                }
                path
            }
            _ => return Err(self.unserved()),
        };
        let deployment = self.segment(&self.request.model)?;
        self.raw(&format!("{base}/deployments/{deployment}"), path, Some(version))
    }

    fn gemini(self) -> Result<String, UpstreamError> {
        let base = format!("{}/v1beta", self.http.base);
        let verb = match &self.request.operation {
            Operation::Models => return Ok(format!("{base}/models")),
            Operation::Raw { path, .. } => return self.raw(&base, path, None),
            operation => self.gemini_verb(operation)?,
        };
        let model = &self.request.model;
        let (kind, name) = match model.split_once('/') {
            Some((kind @ ("models" | "tunedModels"), name)) => (kind, name),
            _ => ("models", &**model),
        };
        Ok(format!("{base}/{kind}/{}:{verb}", self.segment(name)?))
    }

    fn gemini_verb(self, operation: &Operation) -> Result<&'static str, UpstreamError> {
        match operation {
            // Without `alt=sse` the stream is one growing array.
            Operation::Generate if self.request.is_streaming => Ok("streamGenerateContent?alt=sse"),
            Operation::Generate => Ok("generateContent"),
            Operation::GeminiCountTokens => Ok("countTokens"),
            Operation::EmbedContent => Ok("embedContent"),
            Operation::BatchEmbedContents => Ok("batchEmbedContents"),
            _ => Err(self.unserved()),
        }
    }

    fn vertex(self, place: &str) -> Result<String, UpstreamError> {
        let operation = &self.request.operation;
        match operation {
            // The list is of all publishers' models and belongs to no project.
            Operation::Models => return Ok(format!("{}/v1beta1/publishers/google/models", self.http.base)),
            Operation::Raw { path, .. } => return self.raw(place, path, None),
            Operation::Chat => return Ok(format!("{place}/endpoints/openapi/chat/completions")),
            _ => {}
        }
        match VertexModel::of(&self.request.model) {
            VertexModel::Anthropic(model) => {
                let models = format!("{place}/publishers/anthropic/models");
                match operation {
                    Operation::Messages if self.request.is_streaming => {
                        Ok(format!("{models}/{}:streamRawPredict", self.segment(model)?))
                    }
                    Operation::Messages => Ok(format!("{models}/{}:rawPredict", self.segment(model)?)),
                    Operation::CountTokens => Ok(format!("{models}/count-tokens:rawPredict")),
                    _ => Err(self.unserved()),
                }
            }
            VertexModel::Google(model) => {
                let (verb, model) = (self.gemini_verb(operation)?, self.segment(model)?);
                Ok(format!("{place}/publishers/google/models/{model}:{verb}"))
            }
            VertexModel::Resource(resource) => {
                let verb = self.gemini_verb(operation)?;
                let parts: Result<Vec<_>, _> = resource.split('/').map(|part| self.segment(part)).collect();
                Ok(format!("{}/v1/{}:{verb}", self.http.base, parts?.join("/")))
            }
            VertexModel::Other(_) => Err(self.unserved()),
        }
    }

    fn bedrock(self) -> Result<String, UpstreamError> {
        let base = &self.http.base;
        match &self.request.operation {
            Operation::Converse => {
                let verb = if self.request.is_streaming { "converse-stream" } else { "converse" };
                Ok(format!("{base}/model/{}/{verb}", self.segment(&self.request.model)?))
            }
            // Models are listed by the service that manages them, which has a host of its own.
            Operation::Models => {
                Ok(format!("{}/foundation-models", base.replacen("//bedrock-runtime.", "//bedrock.", 1)))
            }
            Operation::Raw { path, .. } => self.raw(base, path, None),
            _ => Err(self.unserved()),
        }
    }

    /// A path below a base, which it must not leave: a caller's id may stand in it.
    fn raw(self, base: &str, path: &str, version: Option<&str>) -> Result<String, UpstreamError> {
        let (plain, query) = path.split_once('?').map_or((path, None), |(plain, query)| (plain, Some(query)));
        let Some(parts) = plain.strip_prefix('/') else {
            return Err(refused(&self.request.endpoint, "its path does not begin with `/`"));
        };
        let decoded = decoded(parts);
        if decoded.split('/').any(is_dots) || decoded.contains(['\\', '#']) {
            return Err(refused(&self.request.endpoint, "its path leads out of the provider's interface"));
        }
        let elsewhere = self.http.elsewhere.iter().find(|(known, _)| **known == *plain);
        let mut address =
            elsewhere.map_or_else(|| format!("{base}{plain}"), |(_, address)| address.to_string());
        let version = version.map(|version| format!("api-version={}", encode(version, b"")));
        let fields: Vec<&str> = query.into_iter().chain(version.as_deref()).collect();
        if !fields.is_empty() {
            address.push('?');
            address.push_str(&fields.join("&"));
        }
        Ok(address)
    }

    /// A name as one part of a path.
    fn segment(self, name: &str) -> Result<String, UpstreamError> {
        if name.is_empty() || is_dots(name) {
            return Err(refused(&self.request.endpoint, "the model's name cannot stand in an address"));
        }
        Ok(encode(name, b"@"))
    }

    fn unserved(self) -> UpstreamError {
        let what = self.request.operation.as_str();
        UpstreamError::Unserved { provider: self.request.endpoint.provider.clone(), what }
    }
}

/// `.` and `..`, which servers resolve.
fn is_dots(part: &str) -> bool {
    part == "." || part == ".."
}

/// With the characters that lead elsewhere in their plain form, as some servers read them.
fn decoded(path: &str) -> String {
    let lower = path.to_ascii_lowercase();
    lower.replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\")
}

#[cfg(test)]
mod tests;
