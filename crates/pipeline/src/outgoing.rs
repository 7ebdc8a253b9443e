//! What is sent to a target: the caller's bytes with the changes of the stages, or the same in another dialect.

use bytes::Bytes;
use gauntlet_ports::{Operation, UpstreamRequest};
use gauntlet_types::{Dialect, Door, Quirks};
use gauntlet_wire::{Conversation, Edit, gemini::embed, pass::Form, splice, translate};
use http::{HeaderMap, HeaderName, header};

use crate::{
    answer::PassPath,
    call::{Call, Request},
    prompted::LEFT_OUT,
    stage::admit::embed_form,
};

/// The body with all changes of the stages before, under the target's own model name, in a dialect that the target
/// speaks; and which that is; beside it
/// what was changed to tell it.
///
/// Errors: it cannot be told in any.
pub(crate) fn request(
    call: &Call,
    index: usize,
    is_streaming: bool,
) -> Result<(UpstreamRequest, Dialect, Told), Untranslatable> {
    let planned = &call.plan[index];
    let (endpoint, model) = (planned.endpoint.clone(), planned.target.model.clone());
    let mut edits = call.edits.clone();
    edits.extend(call.masks.iter().cloned());
    let is_renamed = *call.record.model_asked != *model;
    let dialect = call.dialect();
    let mut headers = forwarded(&call.headers);
    let mut told = Told::default();
    let (operation, spoken, body) = match &call.request {
        Request::Conversation(asked) if endpoint.speaks(dialect, &model) => {
            edits.extend(is_renamed.then(|| asked.with_model(&model)).flatten());
            minded(asked, endpoint.quirks(), &mut edits);
            let cuts = asked.without_foreign(&call.body);
            // What is cut out whole needs no change within.
            edits.retain(|edit| !cuts.iter().any(|cut| is_within(&edit.range, &cut.range)));
            edits.extend(cuts);
            let operation = match call.door() {
                Door::MessagesCountTokens => Operation::CountTokens,
                Door::GeminiCountTokens => Operation::GeminiCountTokens,
                _ => Operation::of(dialect),
            };
            (operation, dialect, splice(&call.body, edits))
        }
        Request::Conversation(_) => {
            let spoken = endpoint.native(&model);
            let body = splice(&call.body, edits);
            let written = translate::ask(dialect, spoken, &body, &call.path, &model, endpoint.quirks());
            let written = written.map_err(|bad| Untranslatable(bad.message))?;
            headers.retain_travelling();
            let body = Bytes::from(written.body);
            told = Told::of(call, written.custom_tools, written.dropped, written.injected)?;
            (Operation::of(spoken), spoken, body)
        }
        Request::Embeddings(_) if endpoint.native(&model) == Dialect::Gemini => {
            let body = splice(&call.body, edits);
            let written = embed::from_openai(&body, &model).map_err(|bad| Untranslatable(bad.message))?;
            told = Told::of(call, Vec::new(), written.dropped, written.injected)?;
            headers.retain_travelling();
            (Operation::BatchEmbedContents, Dialect::Gemini, Bytes::from(written.body))
        }
        Request::Embeddings(embeddings) => {
            edits.extend(is_renamed.then(|| embeddings.with_model(&model)));
            (Operation::Embeddings, Dialect::Chat, splice(&call.body, edits))
        }
        Request::Embed(_) if endpoint.native(&model) == Dialect::Gemini => {
            let operation = match call.path.batch {
                true => Operation::BatchEmbedContents,
                false => Operation::EmbedContent,
            };
            (operation, Dialect::Gemini, splice(&call.body, edits))
        }
        Request::Embed(_) => {
            let body = splice(&call.body, edits);
            let written = embed::to_openai(&body, embed_form(&call.path), &model);
            let written = written.map_err(|bad| Untranslatable(bad.message))?;
            told = Told::of(call, Vec::new(), written.dropped, written.injected)?;
            headers.retain_travelling();
            (Operation::Embeddings, Dialect::Chat, Bytes::from(written.body))
        }
        Request::Pass(asked) => {
            let Some(PassPath { method, path }) = call.pass.clone() else {
                unreachable!("what is passed through has a path");
            };
            edits.extend(is_renamed.then(|| asked.with_model(&model)).flatten());
            (Operation::Raw { method, path }, dialect, splice(&call.body, edits))
        }
        Request::None => unreachable!("a call without a request ends at `admit`"),
    };
    // JSON is what every other body is.
    let content_type = match &call.request {
        Request::Pass(asked) if asked.form == Form::Multipart => {
            call.headers.get(header::CONTENT_TYPE).cloned()
        }
        _ => None,
    };
    let request =
        UpstreamRequest { endpoint, model, operation, is_streaming, content_type, headers: headers.0, body };
    Ok((request, spoken, told))
}

/// What a server of this dialect does not know is said as it knows it.
fn minded(asked: &Conversation, quirks: Quirks, edits: &mut Vec<Edit>) {
    if asked.dialect != Dialect::Chat {
        return;
    }
    if quirks.has_no_stream_options
        && let Some(added) = asked.with_usage()
    {
        edits.retain(|edit| *edit != added);
    }
    if quirks.has_old_limit {
        edits.extend(asked.with_old_limit());
    }
}

fn is_within(inner: &std::ops::Range<usize>, outer: &std::ops::Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The request cannot be told in the target's dialect: why.
pub(crate) struct Untranslatable(pub(crate) String);

/// What was changed of a request to tell it in another dialect.
#[derive(Default)]
pub(crate) struct Told {
    /// Names of tools that take plain text.
    pub(crate) custom_tools: Vec<String>,
    /// What the dialect has no word for.
    dropped: Vec<String>,
    /// What it wants said.
    injected: Vec<String>,
}

impl Told {
    /// Refused where the caller wants all or nothing.
    fn of(
        call: &Call,
        custom_tools: Vec<String>,
        dropped: Vec<String>,
        injected: Vec<String>,
    ) -> Result<Told, Untranslatable> {
        if call.is_strict() && !dropped.is_empty() {
            let message =
                format!("{} cannot be told to it, and `strict` wants all or nothing", dropped.join(", "));
            return Err(Untranslatable(message));
        }
        Ok(Told { custom_tools, dropped, injected })
    }
}

impl Call {
    /// Notes how the request was told to the target that decides over the call.
    pub(crate) fn note_told(&mut self, told: &Told) {
        self.custom_tools.clone_from(&told.custom_tools);
        // Of this target alone, beside what no target was told.
        self.record.dropped.retain(|name| name.starts_with(LEFT_OUT));
        self.record
            .dropped
            .extend(told.dropped.iter().map(|field| gauntlet_types::Name::from(field.as_str())));
        for field in &told.injected {
            let field = gauntlet_types::Name::from(field.as_str());
            if !self.record.injected.contains(&field) {
                self.record.injected.push(field);
            }
        }
    }
}

/// The caller's headers that travel on: all but those of this connection, its credentials, and what is meant for us.
fn forwarded(headers: &HeaderMap) -> Forwarded {
    let mut kept = HeaderMap::with_capacity(headers.len() + 6);
    for (name, value) in headers {
        if travels(name) {
            kept.append(name.clone(), value.clone());
        }
    }
    Forwarded(kept)
}

struct Forwarded(HeaderMap);

impl Forwarded {
    /// Leaves what means the same to every provider: versions, betas and organisations of one are nothing to another.
    fn retain_travelling(&mut self) {
        let agent = self.0.remove(header::USER_AGENT);
        self.0.clear();
        if let Some(agent) = agent {
            self.0.insert(header::USER_AGENT, agent);
        }
    }
}

fn travels(name: &HeaderName) -> bool {
    let stays = matches!(
        name.as_str(),
        "host"
            | "authorization"
            | "x-api-key"
            | "x-goog-api-key"
            | "api-key"
            | "cookie"
            | "connection"
            | "keep-alive"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "content-length"
            | "content-type"
            | "content-encoding"
            | "accept-encoding"
            | "forwarded"
            | "via"
            | "x-real-ip"
            | "origin"
            | "referer"
            | "traceparent"
            | "tracestate"
            | "baggage"
    );
    let prefixes = ["x-gauntlet-", "x-forwarded-", "proxy-", "sec-", "cf-"];
    !stays && !prefixes.iter().any(|prefix| name.as_str().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_connection_headers_do_not_travel() {
        let check = |name: &'static str, expected: bool| {
            assert_eq!(travels(&HeaderName::from_static(name)), expected, "{name}");
        };
        for name in [
            "authorization",
            "x-api-key",
            "cookie",
            "host",
            "connection",
            "x-gauntlet-tenant",
            "x-forwarded-for",
            "baggage",
        ] {
            check(name, false);
        }
        for name in [
            "user-agent",
            "x-stainless-lang",
            "openai-beta",
            "anthropic-beta",
            "openai-organization",
            "accept",
            "idempotency-key",
        ] {
            check(name, true);
        }
    }
}
