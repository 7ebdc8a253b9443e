//! What is passed through: who may answer it, and what it may cost at most.

use std::sync::Arc;

use gauntlet_policy::{config::Unpriced, price::Price};
use gauntlet_types::{Code, Door, Fault, Name, Target, TokenCount};
use gauntlet_wire::pass::Pass;

use crate::call::{Call, Planned};

/// Names the provider of a request that names no model.
pub(crate) const PROVIDER_HEADER: &str = "x-gauntlet-provider";
/// The largest picture of the best quality is 6,240 tokens of OpenAI's gpt-image-1; later models may draw larger ones.
const TOKENS_PER_PICTURE: u32 = 16_384;
/// A picture that is sent, as for conversations.
const TOKENS_PER_MEDIA: u32 = 50_000;
/// Bytes of sound for one token at least: speech is counted at ten to twenty tokens a second, and the smallest encoding in
/// use takes 6 kbit/s, 750 bytes a second.
const SOUND_BYTES_PER_TOKEN: usize = 37;

impl Call {
    /// Whether no provider asks money for it: counting tokens, and moving files about.
    pub(crate) fn is_free(&self) -> bool {
        self.door().is_count() || self.door() == Door::Files
    }

    /// The one provider that a request without a model is for: the one it names, else that of the route's model, else the
    /// only one there is.
    pub(crate) fn provider_of_pass(&self) -> Result<Vec<Planned>, Fault> {
        let named = self.headers.get(PROVIDER_HEADER).and_then(|value| value.to_str().ok()).map(Name::from);
        let of_route = || {
            let model = self.route.model.as_ref()?;
            let targets = self.policy().config().models.get(model);
            let first = targets.and_then(|targets| targets.first()).cloned();
            first.or_else(|| Target::parse(model)).map(|target| target.provider)
        };
        let only = || {
            let mut known = self.snapshot.endpoints.values().filter(|endpoint| endpoint.is_real());
            known.next().filter(|_| known.next().is_none()).map(|endpoint| endpoint.provider.clone())
        };
        let Some(provider) = named.or_else(of_route).or_else(only) else {
            let message = format!("nothing says which provider this is for: send `{PROVIDER_HEADER}: NAME`");
            return Err(Fault::caller(Code::InvalidRequest, message).param(PROVIDER_HEADER));
        };
        let Some(endpoint) = self.snapshot.endpoints.get(&provider).cloned() else {
            let message = format!("there is no provider `{provider}`");
            return Err(Fault::caller(Code::InvalidRequest, message).param(PROVIDER_HEADER));
        };
        let target = Target { provider, model: self.door().as_str().into() };
        if let Some(grant) = &self.grant
            && !grant.allows_model(&target.to_string(), std::slice::from_ref(&target))
        {
            let message = format!("this key may not use `{target}`");
            return Err(Fault::caller(Code::Forbidden, message));
        }
        let is_free = self.is_free();
        if !is_free && self.route.unpriced != Unpriced::Allow {
            let message = format!(
                "what `{target}` will cost cannot be told when it is asked for, so it is not: set the route's \
                 `unpriced: allow` if budgets may be passed by"
            );
            return Err(Fault::policy(Code::UnpricedModel, message));
        }
        Ok(vec![Planned { target, endpoint, price: is_free.then(|| Arc::new(Price::free())) }])
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
        self.request.pass().is_some()
            && matches!(self.door(), Door::Images | Door::Speech | Door::Transcriptions | Door::Batches)
    }
}
