//! What is passed through: who may answer it, and what it may cost at most.

use std::sync::Arc;

use bytes::Bytes;
use gauntlet_policy::{config::Unpriced, price::Price};
use gauntlet_ports::{ControlError, Endpoint, Owned};
use gauntlet_types::{Code, Door, Fault, Name, Outcome, Service, Target, TokenCount};
use gauntlet_wire::pass::{self, Pass};
use http::Method;
use serde_json::Value;

use crate::{
    answer::PassPath,
    call::{Call, Planned},
    gate::KeptAnswer,
};

/// Names the provider of a request that names no model.
pub(crate) const PROVIDER_HEADER: &str = "x-gauntlet-provider";
/// The largest picture of the best quality is 6,240 tokens of OpenAI's gpt-image-1; later models may draw larger ones.
const TOKENS_PER_PICTURE: u32 = 16_384;
/// A picture that is sent, as for conversations.
const TOKENS_PER_MEDIA: u32 = 50_000;
/// The id of an answer stands within its first bytes.
const ID_WITHIN: usize = 512;
/// Bytes of sound for one token at least: speech is counted at ten to twenty tokens a second, and the smallest encoding in
/// use takes 6 kbit/s, 750 bytes a second.
const SOUND_BYTES_PER_TOKEN: usize = 37;

impl Call {
    /// Whether no provider asks money for it: counting tokens, and moving files about.
    pub(crate) fn is_free(&self) -> bool {
        let is_read = self.pass.as_ref().is_some_and(|pass| {
            pass.method != Method::POST
                || pass.path.ends_with("/cancel")
                || pass.path.ends_with("/input_tokens")
        });
        self.door().is_count() || self.door() == Door::Files || is_read
    }

    /// Whether a provider takes requests of this kind at all, and what the request goes on with.
    pub(crate) fn can_serve(&self, endpoint: &Endpoint, target: &Target) -> bool {
        let Some(asked) = self.request.conversation() else { return endpoint.serves(self.door().service()) };
        // What a provider keeps can be told to nobody else, in whatever words.
        asked.state.is_none() || endpoint.speaks(self.dialect(), &target.model)
    }

    pub(crate) fn unserved(&self, target: Option<Target>) -> Fault {
        let provider = target.map(|target| target.provider).unwrap_or_default();
        let message = match self.request.conversation().and_then(|asked| asked.state.as_deref()) {
            Some(_) => format!(
                "the request goes on with something that its provider keeps (`previous_response_id`, `conversation`, \
                 `cachedContent`), and provider `{provider}` does not speak {}; send the whole input instead",
                self.dialect().as_str()
            ),
            None => format!("provider `{provider}` does not serve {}", self.door().service().as_str()),
        };
        Fault::caller(Code::InvalidRequest, message)
    }

    /// Whether it makes something at the provider that stays there.
    pub(crate) fn makes_things(&self) -> bool {
        let is_post = self.pass.as_ref().is_some_and(|pass| pass.method == Method::POST);
        is_post && matches!(self.door(), Door::Files | Door::Batches)
    }

    /// Nobody gets at what a provider keeps for somebody else: files, batches, answers. What no call made here is not
    /// known here, and its id cannot be guessed.
    pub(crate) async fn check_owner(&mut self) -> Result<(), Fault> {
        let ids = self.kept_ids();
        let Some(planned) = self.plan.first().filter(|_| !ids.is_empty()) else { return Ok(()) };
        let provider = planned.target.provider.clone();
        let tenant = self.record.caller.tenant.clone();
        for id in ids {
            let owner = match self.shared().kept_answers.get(&id) {
                Some(kept) => Some(kept.tenant),
                None => {
                    let asked = self.shared().owners.owner(provider.clone(), id.clone()).await;
                    asked.map_err(|error| unknown_owner(&error))?
                }
            };
            if owner.is_some_and(|owner| owner != tenant) {
                let shown: String = id.chars().take(100).collect();
                return Err(Fault::caller(Code::NotFound, format!("there is no `{shown}` for this tenant")));
            }
        }
        self.turn_to_keeper();
        Ok(())
    }

    /// A conversation that goes on with an answer goes to the provider that keeps it.
    fn turn_to_keeper(&mut self) {
        let Some(id) = self.request.conversation().and_then(|asked| asked.state.as_deref()) else { return };
        let Some(kept) = self.shared().kept_answers.get(&Name::from(id)) else { return };
        if self.plan.iter().any(|planned| planned.target.provider == kept.provider) {
            self.plan.retain(|planned| planned.target.provider == kept.provider);
        }
    }

    /// Ids in the request that name something of one tenant's.
    fn kept_ids(&self) -> Vec<Name> {
        let mut ids: Vec<Name> = Vec::new();
        if let Some(pass) = &self.pass {
            let path = pass.path.split('?').next().unwrap_or("");
            let mut parts = path.split('/').skip(1);
            let is_kept = matches!(parts.next(), Some("files" | "batches" | "responses"));
            ids.extend(parts.next().filter(|id| is_kept && !id.is_empty() && !is_verb(id)).map(Name::from));
        }
        if let Some(asked) = self.request.pass() {
            ids.extend(asked.refers.iter().map(|id| Name::from(id.as_str())));
        }
        if let Some(asked) = self.request.conversation() {
            ids.extend(asked.state.as_deref().map(Name::from));
            ids.extend(pass::file_ids(&self.body).iter().map(|id| Name::from(id.as_str())));
        }
        ids
    }

    /// Notes whose an answer, a file or a batch is, before its id is known to anybody.
    pub(crate) async fn note_owner(&self, id: &str) -> Result<(), Fault> {
        let Some(planned) = self.plan.get(self.current) else { return Ok(()) };
        let (provider, tenant) = (planned.target.provider.clone(), self.record.caller.tenant.clone());
        let made = self.pass.as_ref().is_some_and(|pass| pass.method == Method::POST);
        if !made || !matches!(self.door(), Door::Files | Door::Batches) {
            return Ok(());
        }
        let (id, kind) = (id.into(), self.door().as_str().into());
        let owned = Owned { provider, id, kind, tenant, created: self.record.started };
        self.shared().owners.keep(owned).await.map_err(|error| unknown_owner(&error))
    }

    /// Remembers who keeps an answer, for the call that goes on with it: its id stands at the beginning of a body, or of
    /// the first frame.
    pub(crate) fn note_kept_answer(&self, data: &[u8]) {
        if self.door() != Door::Responses {
            return;
        }
        let head = &data[..data.len().min(ID_WITHIN)];
        let Some(at) = memchr::memmem::find(head, b"\"resp_") else { return };
        let rest = &head[at + 1..];
        let Some(end) = memchr::memchr(b'"', rest) else { return };
        let id = String::from_utf8_lossy(&rest[..end]);
        let Some(planned) = self.plan.get(self.current) else { return };
        let kept = KeptAnswer {
            tenant: self.record.caller.tenant.clone(),
            provider: planned.target.provider.clone(),
        };
        self.shared().kept_answers.insert(id.as_ref().into(), kept);
    }

    /// A list of files or batches without those of others. While the gateway is open there is nobody else.
    pub(crate) async fn own_of_list(&self, body: Bytes) -> Result<Bytes, Fault> {
        let Some(PassPath { method, path }) = &self.pass else { return Ok(body) };
        let is_list = *method == Method::GET && matches!(path.split('?').next(), Some("/files" | "/batches"));
        let Some(planned) = self.plan.get(self.current) else { return Ok(body) };
        if !is_list || self.policy().is_open() {
            return Ok(body);
        }
        let Ok(Value::Object(mut list)) = serde_json::from_slice::<Value>(&body) else { return Ok(body) };
        let tenant = self.record.caller.tenant.clone();
        let ids = self.shared().owners.ids(planned.target.provider.clone(), tenant).await;
        let ids: std::collections::HashSet<Name> =
            ids.map_err(|error| unknown_owner(&error))?.into_iter().collect();
        if let Some(Value::Array(data)) = list.get_mut("data") {
            data.retain(|item| item["id"].as_str().is_some_and(|id| ids.contains(&Name::from(id))));
        }
        Ok(Value::Object(list).to_string().into())
    }

    /// The one provider that a request without a model is for: the one it names, else that of the route's model, else the
    /// only one there is.
    pub(crate) fn provider_of_pass(&self) -> Result<Vec<Planned>, Fault> {
        let named = self.headers.get(PROVIDER_HEADER).and_then(|value| value.to_str().ok()).map(Name::from);
        let of_route = || {
            let model = self.route.model.as_ref()?;
            let targets = self.policy().config().models.get(model);
            let first = targets.and_then(|model| model.choices.first()).map(|choice| choice.target.clone());
            first.or_else(|| Target::parse(model)).map(|target| target.provider)
        };
        let only = || {
            let mut known = self.snapshot.endpoints.values().filter(|endpoint| endpoint.is_real());
            known.next().filter(|_| known.next().is_none()).map(|endpoint| endpoint.provider.clone())
        };
        let keeper = || {
            let id = self.kept_ids().into_iter().next()?;
            self.shared().kept_answers.get(&id).map(|kept| kept.provider)
        };
        let Some(provider) = named.or_else(keeper).or_else(of_route).or_else(only) else {
            let message = format!("nothing says which provider this is for: send `{PROVIDER_HEADER}: NAME`");
            return Err(Fault::caller(Code::InvalidRequest, message).param(PROVIDER_HEADER));
        };
        let Some(endpoint) = self.snapshot.endpoints.get(&provider).cloned() else {
            let message = format!("there is no provider `{provider}`");
            return Err(Fault::caller(Code::InvalidRequest, message).param(PROVIDER_HEADER));
        };
        let target = Target { provider, model: self.door().as_str().into() };
        let is_kept_answer = self.door() == Door::Responses && endpoint.serves(Service::Responses);
        if !is_kept_answer && !endpoint.serves(self.door().service()) {
            return Err(self.unserved(Some(target)));
        }
        if let Some(grant) = &self.grant
            && !grant.allows_model(&target.to_string(), std::slice::from_ref(&target))
        {
            let message = format!("this key may not use `{target}`");
            return Err(Fault::caller(Code::Forbidden, message));
        }
        let region =
            self.policy().config().providers.get(&target.provider).and_then(|one| one.region.as_deref());
        let residences = self.policy().residences(&self.record.caller, &self.route);
        if let Some(bound) = residences.iter().find(|residence| !residence.allows(region)) {
            let message = format!(
                "provider `{}` is not in a region that {} `{}` is bound to",
                target.provider, bound.of, bound.name
            );
            return Err(Fault::policy(Code::Forbidden, message));
        }
        let is_free = self.is_free();
        if !is_free && self.route.unpriced != Unpriced::Allow {
            let message = format!(
                "what `{target}` will cost cannot be told when it is asked for, so it is not: set the route's \
                 `unpriced: allow` if budgets may be passed by"
            );
            return Err(Fault::policy(Code::UnpricedModel, message));
        }
        Ok(vec![Planned { target, endpoint, price: is_free.then(|| Arc::new(Price::free())), hedge: None }])
    }

    /// The most that an answer to a request which is passed through may have: tokens of pictures, sounds and words.
    pub(crate) fn pass_bound(&self, asked: &Pass) -> TokenCount {
        let each = match self.door() {
            Door::Images => TOKENS_PER_PICTURE,
            Door::Moderations | Door::Rerank | Door::Files | Door::Batches => 0,
            _ => self.route.max_tokens.unwrap_or(self.route.max_tokens_default).0,
        };
        TokenCount(each.saturating_mul(asked.n.max(1)))
    }

    /// Tokens of the files that it brings.
    pub(crate) fn pass_media_tokens(&self, asked: &Pass) -> u32 {
        match (self.door(), asked.media_bytes) {
            (_, 0) | (Door::Files, _) => 0,
            (Door::Transcriptions, bytes) => u32::try_from(bytes / SOUND_BYTES_PER_TOKEN).unwrap_or(u32::MAX),
            _ => TOKENS_PER_MEDIA,
        }
    }

    /// Whether an answer that does not say what was used may have cost more than its texts tell.
    pub(crate) fn is_beyond_counting(&self) -> bool {
        // An answer that is still being made in the background.
        if self.door() == Door::Responses && self.pass.is_none() {
            return !self.record.is_streaming
                && self.record.finish.is_none()
                && self.record.outcome == Outcome::Ok;
        }
        self.request.pass().is_some()
            && matches!(self.door(), Door::Images | Door::Speech | Door::Transcriptions | Door::Batches)
    }
}

/// What stands where an id would, and is none.
fn is_verb(part: &str) -> bool {
    matches!(part, "input_tokens" | "compact")
}

fn unknown_owner(error: &ControlError) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "cannot tell whose something is");
    Fault::us(Code::Unavailable, "nobody can tell now whose this is; try again soon")
}
