//! A request as it is sent: address, headers and body for the provider's layout.

use bytes::Bytes;
use gauntlet_ports::{
    Auth, AwsKeys, Endpoint, HttpEndpoint, Layout, Operation, UpstreamError, UpstreamRequest, VertexModel,
};
use gauntlet_types::{Secret, Timestamp};
use gauntlet_wire::vertex;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue},
};

use crate::{
    address,
    sigv4::{self, Signable},
};

/// The version of Anthropic's interface, for callers who name none.
const ANTHROPIC_VERSION: &str = "2023-06-01";

pub(super) struct Outgoing {
    method: Method,
    uri: Uri,
    pub headers: HeaderMap,
    body: Bytes,
}

/// Everything but what has to be fetched or signed.
pub(super) fn request(request: UpstreamRequest, http: &HttpEndpoint) -> Result<Outgoing, UpstreamError> {
    let uri = address::uri(&request, http)?;
    let method = match &request.operation {
        Operation::Models => Method::GET,
        Operation::Raw { method, .. } => method.clone(),
        _ => Method::POST,
    };
    let body = body(&request, http)?;
    let mut headers = request.headers;
    keep_own(&mut headers, &http.layout, &request.operation);
    dress(&mut headers, &http.layout, &request.operation, request.is_streaming);
    if let Auth::Header(name, value) = &http.auth {
        headers.insert(name.clone(), value.clone());
    }
    for (name, value) in &http.headers {
        headers.insert(name.clone(), value.clone());
    }
    if method != Method::GET || !body.is_empty() {
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, request.content_type.unwrap_or(json));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    // Compressed frames cannot be watched, and between two data centres the saving is small.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(Outgoing { method, uri, headers, body })
}

fn body(request: &UpstreamRequest, http: &HttpEndpoint) -> Result<Bytes, UpstreamError> {
    let is_anthropic = || matches!(VertexModel::of(&request.model), VertexModel::Anthropic(_));
    match (&http.layout, &request.operation) {
        (Layout::Vertex { .. }, Operation::Messages) if is_anthropic() => vertex::messages(&request.body)
            .map_err(|malformed| UpstreamError::Request {
                provider: request.endpoint.provider.clone(),
                why: malformed.to_string(),
            }),
        _ => Ok(request.body.clone()),
    }
}

/// Takes out what a caller means for another vendor than the one that is asked: beta switches, projects, signatures.
fn keep_own(headers: &mut HeaderMap, layout: &Layout, operation: &Operation) {
    let is_anthropic = matches!(layout, Layout::Anthropic)
        || matches!(operation, Operation::Messages | Operation::CountTokens);
    let is_openai = matches!(layout, Layout::Openai | Layout::Azure { .. });
    let is_google = matches!(layout, Layout::Gemini | Layout::Vertex { .. });
    let strangers: Vec<_> = headers
        .keys()
        .filter(|name| {
            let begins = |prefix: &str| name.as_str().starts_with(prefix);
            (begins("anthropic-") && !is_anthropic)
                || (begins("openai-") && !is_openai)
                || (begins("x-goog-") && !is_google)
                // A signature is made here, for what is sent from here.
                || begins("x-amz-")
                || begins("x-amzn-")
        })
        .cloned()
        .collect();
    for name in strangers {
        headers.remove(name);
    }
}

/// Puts on what a layout wants beside credentials.
fn dress(headers: &mut HeaderMap, layout: &Layout, operation: &Operation, is_streaming: bool) {
    let is_anthropic = matches!(operation, Operation::Messages | Operation::CountTokens);
    match layout {
        Layout::Anthropic => add_version(headers),
        Layout::Openai | Layout::Azure { .. } if is_anthropic => add_version(headers),
        Layout::Bedrock => {
            let is_stream = is_streaming && matches!(operation, Operation::Converse);
            let accept = if is_stream { "application/vnd.amazon.eventstream" } else { "application/json" };
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        Layout::Openai | Layout::Azure { .. } | Layout::Gemini | Layout::Vertex { .. } => {}
    }
}

fn add_version(headers: &mut HeaderMap) {
    headers.entry("anthropic-version").or_insert(HeaderValue::from_static(ANTHROPIC_VERSION));
}

impl Outgoing {
    pub(super) fn sign(
        &mut self,
        keys: &AwsKeys,
        now: Timestamp,
        endpoint: &Endpoint,
    ) -> Result<(), UpstreamError> {
        let unsendable = || UpstreamError::Request {
            provider: endpoint.provider.clone(),
            why: "its AWS credentials cannot stand in a header; look for line breaks in them".to_owned(),
        };
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| unsendable())?;
            value.set_sensitive(true);
            Ok::<_, UpstreamError>(value)
        };
        let date = sigv4::date(now);
        let host = self.host();
        let token = keys.session_token.as_ref().map(Secret::expose);
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        // In alphabetical order, as they are signed. Others may be changed on the way, so they are left out.
        let signed: Vec<(&str, &str)> = [
            kind.map(|kind| ("content-type", kind)),
            Some(("host", host.as_str())),
            Some(("x-amz-date", date.as_str())),
            token.map(|token| ("x-amz-security-token", token)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let signable = Signable {
            method: self.method.as_str(),
            path: self.uri.path(),
            query: self.uri.query().unwrap_or_default(),
            headers: &signed,
            body: &self.body,
        };
        let authorization = secret(&sigv4::authorization(keys, "bedrock", &date, &signable))?;
        let token = token.map(secret).transpose()?;
        self.headers.insert(AUTHORIZATION, authorization);
        self.headers.insert("x-amz-date", HeaderValue::from_str(&date).map_err(|_| unsendable())?);
        if let Some(token) = token {
            self.headers.insert("x-amz-security-token", token);
        }
        self.headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| unsendable())?);
        Ok(())
    }

    /// The `host` header: a port that goes without saying is not said.
    fn host(&self) -> String {
        let host = self.uri.host().unwrap_or_default();
        let usual = if self.uri.scheme_str() == Some("https") { 443 } else { 80 };
        match self.uri.port_u16().filter(|port| *port != usual) {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    pub(super) fn into_http(self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}
