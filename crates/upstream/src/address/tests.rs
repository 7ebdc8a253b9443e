use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use gauntlet_ports::{Auth, EndpointKind};
use gauntlet_types::{Quirks, Services};
use http::{HeaderMap, Method};

use super::*;

fn address(
    layout: Layout,
    base: &str,
    operation: Operation,
    model: &str,
    is_streaming: bool,
) -> Result<String, String> {
    let http = HttpEndpoint {
        base: base.into(),
        layout,
        auth: Auth::None,
        headers: HeaderMap::new(),
        services: Services::default(),
        quirks: Quirks::default(),
        elsewhere: vec![("/rerank".into(), "https://other.example/v2/rerank".into())],
    };
    let endpoint =
        Endpoint { provider: "p".into(), kind: EndpointKind::Http(http), connect_timeout: Duration::ZERO };
    let endpoint = Arc::new(endpoint);
    let request = UpstreamRequest {
        endpoint: endpoint.clone(),
        model: model.into(),
        operation,
        is_streaming,
        content_type: None,
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let EndpointKind::Http(http) = &endpoint.kind else { panic!("made above") };
    uri(&request, http).map(|uri| uri.to_string()).map_err(|error| error.to_string())
}

fn raw(path: &str) -> Operation {
    Operation::Raw { method: Method::POST, path: path.into() }
}

#[test]
fn openai_shaped_providers_have_their_paths_below_the_base() {
    let check = |operation: Operation, expected: &str| {
        let found = address(Layout::Openai, "https://h/v1", operation.clone(), "m", true);
        assert_eq!(found.as_deref(), Ok(expected), "{operation:?}");
    };
    check(Operation::Chat, "https://h/v1/chat/completions");
    check(Operation::Responses, "https://h/v1/responses");
    check(Operation::Completions, "https://h/v1/completions");
    check(Operation::Embeddings, "https://h/v1/embeddings");
    check(Operation::Messages, "https://h/v1/messages");
    check(Operation::CountTokens, "https://h/v1/messages/count_tokens");
    check(Operation::Models, "https://h/v1/models");
    check(raw("/audio/speech"), "https://h/v1/audio/speech");
    check(raw("/files/file-1?purpose=batch"), "https://h/v1/files/file-1?purpose=batch");
    check(raw("/rerank"), "https://other.example/v2/rerank");
}

#[test]
fn azure_has_one_address_for_all_or_one_for_each_deployment() {
    let check = |version: Option<&str>, operation: Operation, expected: &str| {
        let layout = Layout::Azure { api_version: version.map(Into::into) };
        let found = address(layout, "https://r.openai.azure.com", operation.clone(), "my gpt", false);
        assert_eq!(
            found,
            Ok(format!("https://r.openai.azure.com/openai{expected}")),
            "{version:?} {operation:?}"
        );
    };
    check(None, Operation::Chat, "/v1/chat/completions");
    check(Some("v1"), Operation::Embeddings, "/v1/embeddings");
    check(Some("preview"), Operation::Responses, "/v1/responses?api-version=preview");
    let dated = Some("2024-10-21");
    check(dated, Operation::Chat, "/deployments/my%20gpt/chat/completions?api-version=2024-10-21");
    check(dated, Operation::Embeddings, "/deployments/my%20gpt/embeddings?api-version=2024-10-21");
    check(
        dated,
        raw("/images/generations"),
        "/deployments/my%20gpt/images/generations?api-version=2024-10-21",
    );
    check(dated, raw("/files?limit=1"), "/files?limit=1&api-version=2024-10-21");
    check(dated, Operation::Responses, "/responses?api-version=2024-10-21");
    check(dated, Operation::Models, "/models?api-version=2024-10-21");
}

#[test]
fn anthropic_and_gemini_have_their_versions_in_the_path() {
    let check = |layout: Layout, operation: Operation, model: &str, is_streaming: bool, expected: &str| {
        let found = address(layout, "https://h", operation.clone(), model, is_streaming);
        assert_eq!(found.as_deref(), Ok(expected), "{operation:?} {model}");
    };
    check(Layout::Anthropic, Operation::Messages, "m", true, "https://h/v1/messages");
    check(Layout::Anthropic, Operation::CountTokens, "m", false, "https://h/v1/messages/count_tokens");
    check(Layout::Anthropic, raw("/messages/batches"), "m", false, "https://h/v1/messages/batches");
    let gemini = |operation, model, is_streaming, expected: &str| {
        check(Layout::Gemini, operation, model, is_streaming, &format!("https://h/v1beta/{expected}"));
    };
    gemini(Operation::Generate, "gemini-2.5-pro", false, "models/gemini-2.5-pro:generateContent");
    gemini(
        Operation::Generate,
        "models/gemini-2.5-pro",
        true,
        "models/gemini-2.5-pro:streamGenerateContent?alt=sse",
    );
    gemini(Operation::Generate, "tunedModels/mine", false, "tunedModels/mine:generateContent");
    gemini(Operation::GeminiCountTokens, "gemini-2.5-pro", false, "models/gemini-2.5-pro:countTokens");
    gemini(
        Operation::EmbedContent,
        "gemini-embedding-001",
        false,
        "models/gemini-embedding-001:embedContent",
    );
    gemini(Operation::BatchEmbedContents, "g", false, "models/g:batchEmbedContents");
    gemini(Operation::Models, "", false, "models");
    gemini(Operation::Generate, "a/b?c", false, "models/a%2Fb%3Fc:generateContent");
}

#[test]
fn vertex_addresses_go_by_project_region_and_publisher() {
    let check = |operation: Operation, model: &str, is_streaming: bool, expected: &str| {
        let layout = Layout::Vertex { project: "pr".into(), region: "europe-west1".into() };
        let found = address(layout, "https://h", operation.clone(), model, is_streaming);
        assert_eq!(found, Ok(format!("https://h/v1/{expected}")), "{operation:?} {model}");
    };
    let place = "projects/pr/locations/europe-west1";
    let google = format!("{place}/publishers/google/models");
    check(Operation::Generate, "gemini-2.5-pro", false, &format!("{google}/gemini-2.5-pro:generateContent"));
    let streamed = format!("{google}/gemini-2.5-pro:streamGenerateContent?alt=sse");
    check(Operation::Generate, "google/gemini-2.5-pro", true, &streamed);
    let own = "projects/1/locations/r/endpoints/2";
    check(Operation::Generate, own, false, &format!("{own}:generateContent"));
    let claude = format!("{place}/publishers/anthropic/models");
    check(Operation::Messages, "claude-x@2025", false, &format!("{claude}/claude-x@2025:rawPredict"));
    check(Operation::Messages, "claude-x@2025", true, &format!("{claude}/claude-x@2025:streamRawPredict"));
    check(Operation::CountTokens, "claude-x", false, &format!("{claude}/count-tokens:rawPredict"));
    check(Operation::Chat, "meta/llama", true, &format!("{place}/endpoints/openapi/chat/completions"));
}

#[test]
fn bedrock_names_the_model_in_one_part_of_the_path() {
    let base = "https://bedrock-runtime.us-east-1.amazonaws.com";
    let check = |operation: Operation, model: &str, is_streaming: bool, expected: &str| {
        let found = address(Layout::Bedrock, base, operation, model, is_streaming);
        assert_eq!(found.as_deref(), Ok(expected), "{model}");
    };
    check(Operation::Converse, "a.b-v1:0", false, &format!("{base}/model/a.b-v1%3A0/converse"));
    let arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.a";
    let encoded = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.a";
    check(Operation::Converse, arn, true, &format!("{base}/model/{encoded}/converse-stream"));
    check(Operation::Models, "", false, "https://bedrock.us-east-1.amazonaws.com/foundation-models");
}

#[test]
fn what_has_no_address_is_refused_with_its_reason() {
    let check = |layout: Layout, operation: Operation, model: &str, expected: &str| {
        let error = address(layout, "https://h", operation, model, false).expect_err(expected);
        assert!(error.contains(expected), "{error}");
    };
    check(Layout::Openai, Operation::Converse, "m", "provider `p` has no address for Converse");
    check(Layout::Bedrock, Operation::Embeddings, "m", "no address for embeddings");
    check(Layout::Gemini, Operation::Generate, "", "the model's name");
    check(Layout::Bedrock, Operation::Converse, "..", "the model's name");
    check(Layout::Openai, raw("files"), "m", "does not begin with `/`");
    for path in ["/files/../../admin", "/files/%2E%2e/x", "/files/x%2F..%2fy", "/./x", "/a\\..\\b", "/a#b"] {
        check(Layout::Openai, raw(path), "m", "leads out of the provider's interface");
    }
    check(Layout::Openai, raw("/a b"), "m", "cannot stand in an address");
}
