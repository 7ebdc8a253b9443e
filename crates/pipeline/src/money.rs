//! What a call may cost, which budgets pay, and what its attempts were billed.

use std::{sync::Arc, time::Duration};

use gauntlet_policy::{
    budget::{Draw, Refused},
    config::{CallFacts, Unpriced},
    plan,
    price::{Bound, Price},
};
use gauntlet_types::{
    Billed, Code, Drawn, Fault, Mono, Name, NanoUsd, Outcome, ServiceTier, TokenCount, Usage,
};
use gauntlet_wire::{Conversation, answer::Assembler};

use crate::{
    call::{Call, Planned, Request},
    stage::settle,
};

/// Tokens of the frame around each message (role, separators), and of the tools' frame: above what any vendor documents.
const TOKENS_PER_MESSAGE: u32 = 16;
/// An image given by its address shows nothing of its size. The dearest way to count one that is documented (OpenAI's
/// gpt-4o-mini: 2,833 and 5,667 for each of at most eight tiles) comes to 48,169.
const TOKENS_PER_MEDIA: u32 = 50_000;

/// Models of OpenAI's that read text by `o200k_base`.
fn has_newest_encoding(model: &str) -> bool {
    // A provider's own folder stands before it at some (`openai/gpt-4o`).
    let name = model.rsplit('/').next().unwrap_or(model);
    let families = ["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "o1", "o3", "o4", "gpt-oss"];
    families.iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || !rest.starts_with(char::is_alphanumeric))
    })
}

/// How much of an attempt that failed will be on the provider's bill, as far as anybody can tell from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bill {
    /// It was refused, or never began.
    Nothing,
    /// The input, and the output that was seen.
    Seen,
    /// The model was at work, and nobody knows how far it came: all that it was allowed.
    Bound,
}

impl Call {
    /// The targets of `model` in the order they are asked, with endpoints and prices; of those that can be asked at all.
    pub(crate) fn targets_of(&mut self, model: &str) -> Result<Vec<Planned>, Fault> {
        let policy = self.policy();
        if let Request::Pass(asked) = &self.request
            && asked.model.is_none()
        {
            return self.provider_of_pass();
        }
        let residences = policy.residences(&self.record.caller, &self.route);
        let plan = plan::plan(policy, model, &residences)?;
        let targets: Vec<_> = plan.choices.iter().map(|choice| choice.target.clone()).collect();
        if let Some(grant) = &self.grant
            && !grant.allows_model(model, &targets)
        {
            let allowed: Vec<&str> = grant.models.iter().map(|model| model.as_str()).collect();
            let message = format!("this key may not use model `{model}`; it may use: {}", allowed.join(", "));
            return Err(Fault::caller(Code::Forbidden, message).param("model"));
        }
        let (mut unpriced, mut unserved) = (None, None);
        let mut planned = Vec::with_capacity(targets.len());
        for target in targets {
            let endpoint = self.snapshot.endpoints.get(&target.provider);
            let Some(endpoint) = endpoint.filter(|endpoint| self.can_serve(endpoint, &target)) else {
                unserved = Some(target);
                continue;
            };
            let price = match self.is_free() {
                true => Some(Arc::new(Price::free())),
                false => policy.price(&target, self.record.started),
            };
            match (&price, self.route.unpriced) {
                (Some(_), _) | (None, Unpriced::Allow) => {}
                (None, Unpriced::CapTokens) if self.route.max_tokens.is_some() => {}
                (None, Unpriced::Block | Unpriced::CapTokens) => {
                    unpriced = Some(target);
                    continue;
                }
            }
            planned.push(Planned { target, endpoint: endpoint.clone(), price });
        }
        match (planned.is_empty(), unpriced) {
            (false, _) => Ok(self.in_order(model, &plan, planned)),
            (true, None) => Err(self.unserved(unserved)),
            (true, Some(target)) => {
                let message = format!(
                    "nobody knows what `{target}` costs, so it is not asked: add a price to prices.yml, say `price: \
                     free` at provider `{}`, or set the route's `unpriced`",
                    target.provider
                );
                Err(Fault::policy(Code::UnpricedModel, message).param("model"))
            }
        }
    }

    /// The model that is meant, unless the prompt pins another.
    pub(crate) fn model_wanted(&self) -> Name {
        let asked = &self.record.model_asked;
        match &self.chosen {
            // What the operator names stands above the route, as a prompt's own model does.
            _ if self.is_model_fixed() => asked.clone(),
            Some(chosen) => chosen.model.clone(),
            None => self.route.model.as_ref().unwrap_or(asked).clone(),
        }
    }

    /// Every budget that the call draws on when this target of the plan answers; and its caps per call.
    pub(crate) fn draws_of(&self, index: usize) -> (Vec<Draw>, Vec<Draw>) {
        let (mut draws, mut per_call) = (Vec::new(), Vec::new());
        let Some(planned) = self.plan.get(index) else { return (draws, per_call) };
        let facts = CallFacts {
            caller: &self.record.caller,
            route: &self.route.name,
            model: &self.model_wanted(),
            target: &planned.target,
            prompt: self.record.prompt.as_ref().map(|prompt| prompt.name.as_str()),
            variant: None,
            at: self.drawn_at,
        };
        self.policy().draws(&facts, &mut draws, &mut per_call);
        (draws, per_call)
    }

    /// The worst case of one attempt at the dearest target, given a bound of the input.
    pub(crate) fn bound_of(&self, input: TokenCount) -> Drawn {
        let media = self.request.conversation().is_some_and(|chat| chat.media_count > 0);
        let tier =
            self.request.conversation().and_then(|chat| ServiceTier::of_word(chat.service_tier.as_deref()?));
        let bound = |price: &Arc<Price>| {
            // No model reads more than its window holds, whatever is sent.
            let input = price.context_window.map_or(input, |window| input.min(window));
            let (output, web_searches) = (self.output_max, 0);
            price.bound_of(&Bound { input, output, may_audio: media, may_image: media, web_searches, tier })
        };
        let prices = self.plan.iter().filter_map(|planned| planned.price.as_ref());
        let usd = prices.map(bound).max().unwrap_or_default();
        let tokens = i64::from(input.0) + i64::from(self.output_max.0);
        Drawn { usd, tokens, requests: 1 }
    }

    /// The input's tokens from above: no token is shorter than a byte, and no image is more than so many.
    pub(crate) fn input_bytes(&self) -> TokenCount {
        let messages = self.request.conversation().map_or(1, |chat| chat.message_count as u32);
        let edited: usize = self.edits.iter().chain(&self.masks).map(|edit| edit.with.len()).sum();
        let media = self.request.pass().map_or(0, |asked| asked.media_bytes);
        let bytes = u32::try_from(self.body.len() - media + edited).unwrap_or(u32::MAX);
        let frames = messages.saturating_mul(TOKENS_PER_MESSAGE);
        TokenCount(bytes.saturating_add(frames).saturating_add(self.media_tokens()))
    }

    /// The input's tokens as exactly as anybody can tell beforehand and not below: its texts by the tokenizer of the
    /// models that have it; for others twice as many, which no tokenizer in use exceeds on text that it was made for,
    /// and never more than the bytes. Sounds and files, tools and schemas are only known by their bytes.
    pub(crate) fn input_counted(&self) -> TokenCount {
        let bytes = self.input_bytes();
        let by_bytes = |chat: &Conversation| {
            chat.media_count > chat.image_count || chat.has_tools || chat.response_format.is_some()
        };
        if self.request.conversation().is_some_and(by_bytes) {
            return bytes;
        }
        let counted = settle::count_input(self).0;
        let is_exact = self.plan.iter().all(|planned| has_newest_encoding(&planned.target.model));
        let bound = if is_exact { counted } else { counted.saturating_mul(2) };
        TokenCount(bound.saturating_add(self.media_tokens())).min(bytes)
    }

    fn media_tokens(&self) -> u32 {
        if let Some(asked) = self.request.pass() {
            return self.pass_media_tokens(asked);
        }
        self.request.conversation().map_or(0, |chat| chat.media_count.saturating_mul(TOKENS_PER_MEDIA))
    }

    /// The most output tokens that the call may cost: what the caller asks for, held to the route's limit, for each
    /// choice.
    pub(crate) fn output_bound(&self) -> TokenCount {
        let chat = match &self.request {
            Request::Conversation(chat) if !self.door().is_count() => chat,
            Request::Pass(asked) => return self.pass_bound(asked),
            _ => return TokenCount(0),
        };
        let asked = chat.max_tokens.as_ref().map(|asked| asked.value);
        let each = match (asked, self.route.max_tokens) {
            (Some(asked), Some(limit)) => asked.min(limit.0),
            (Some(asked), None) => asked,
            (None, Some(limit)) => limit.0,
            (None, None) => {
                // A model refuses to be asked for more than it can give.
                let most = self.plan.iter().filter_map(|planned| planned.price.as_ref()?.output_max).min();
                let default = self.route.max_tokens_default;
                most.map_or(default, |most| default.min(most)).0
            }
        };
        TokenCount(each.saturating_mul(chat.n.max(1)))
    }

    /// When the hold is taken for lost: the call's own time limit and a minute.
    pub(crate) fn hold_deadline(&self) -> Mono {
        self.begun().plus(self.route.timeouts.total + Duration::from_secs(60))
    }

    /// Notes in the record what is held, by which a call that dies is charged.
    pub(crate) fn note_held(&mut self, draws: Vec<Draw>, held: Drawn) {
        self.record.held = held.usd;
        self.record.held_tokens = held.tokens.max(0) as u64;
        self.record.charges = draws.iter().map(|draw| draw.charge.clone()).collect();
        self.draws = draws;
    }

    /// The entry by which the call is found again should the process die now: interrupted, and charged its hold.
    pub(crate) fn open_entry(&mut self, index: usize) -> Result<(), Fault> {
        let record = &mut self.record;
        let target = record.target.replace(self.plan[index].target.clone());
        let (outcome, cost, error) = (record.outcome, record.cost, record.error);
        (record.outcome, record.cost, record.error) =
            (Outcome::Interrupted, record.held, Some(Code::Interrupted));
        let opened = self.gate.spool.open(&self.record);
        let record = &mut self.record;
        (record.outcome, record.cost, record.error, record.target) = (outcome, cost, error, target);
        opened.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot open a record");
            let message =
                "the gateway cannot write its records at the moment, so it takes no calls; try again soon";
            Fault::us(Code::Unavailable, message).retry_after(Duration::from_secs(5))
        })
    }

    /// Sees to it that the hold covers one more attempt, at this target, besides what was billed already; false when the
    /// budgets have no room for it.
    ///
    /// One record names one set of budgets: those of targets that were billed stay in it, so that each pays for the
    /// whole call rather than for too little.
    pub(crate) async fn hold_for(&mut self, index: usize) -> bool {
        // Most calls: the first attempt at the target that the hold was made for.
        if index == 0 && self.record.attempts.is_empty() && self.hold.is_some() {
            return true;
        }
        let (mut draws, _) = self.draws_of(index);
        // Of a model that costs nothing the tokens count all the same.
        if self.billed > NanoUsd::ZERO || self.billed_usage.total().0 > 0 {
            let own = draws.len();
            for known in &self.draws {
                if draws[..own].iter().all(|draw| draw.charge != known.charge) {
                    draws.push(known.clone());
                }
            }
        }
        let spent = Drawn { usd: self.billed, tokens: i64::from(self.billed_usage.total().0), requests: 0 };
        let wanted = self.bound.plus(spent);
        let Some(hold) = self.hold.take() else { return false };
        let is_same = hold.charges.len() == draws.len()
            && hold.charges.iter().zip(&draws).all(|(held, draw)| *held == draw.charge);
        if is_same && hold.amount == wanted {
            self.draws = draws;
            self.hold = Some(hold);
            return true;
        }
        // Until the new entry is written a crash charges the old one, so that both are held meanwhile: what the old one
        // holds may not go to another call yet.
        let mut both = draws.clone();
        let is_left = |draw: &&Draw| draws.iter().all(|new| new.charge != draw.charge);
        both.extend(self.draws.iter().filter(is_left).cloned());
        let most = hold.amount.most(wanted);
        let ledger = &self.gate.shared.ledger;
        let hold = match ledger.amend(hold, most, &both).await {
            Ok(hold) => hold,
            Err(hold) => {
                self.hold = Some(hold);
                return false;
            }
        };
        self.hold = Some(hold);
        self.note_held(draws, wanted);
        gauntlet_ports::crash_point!("amend.held");
        if self.open_entry(index).is_err() {
            return false;
        }
        gauntlet_ports::crash_point!("amend.opened");
        if let Some(hold) = self.hold.take() {
            // It only lets go, which needs no room.
            let let_go = self.gate.shared.ledger.let_go(hold, wanted, &self.draws);
            self.hold = Some(let_go);
        }
        true
    }

    /// An answer that may not be used: it was billed, and another is asked for.
    pub(crate) fn abandon_answer(&mut self) {
        let usage = self.usage.take().unwrap_or_else(|| settle::count(self));
        self.bill(usage);
    }

    /// Notes what an attempt that failed will be billed all the same.
    pub(crate) fn bill_failed(&mut self, bill: Bill) {
        let usage = match bill {
            Bill::Nothing => return,
            Bill::Seen => self.usage.take().unwrap_or_else(|| settle::count(self)),
            Bill::Bound => Usage {
                input_fresh: settle::count_input(self),
                output: self.output_max,
                estimated: true,
                ..Usage::default()
            },
        };
        self.bill(usage);
    }

    fn bill(&mut self, usage: Usage) {
        let price = self.plan.get(self.current).and_then(|planned| planned.price.as_ref());
        let cost = price.map_or(NanoUsd::ZERO, |price| price.cost(&usage));
        self.billed = self.billed.plus(cost);
        self.billed_usage = self.billed_usage.plus(&usage);
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.billed = Some(Billed { usage, cost });
        }
        self.usage = None;
        self.record.first_token_us = None;
        self.record.stream = None;
        self.assembler = Assembler::new();
        self.record.finish = None;
        self.record.model_answered = None;
    }

    /// What the caller is told of a budget without room; when to come back, so that SDKs which heed it do not hammer.
    pub(crate) fn exceeded(&self, refused: &Refused, draw: &Draw) -> Fault {
        let rule = self.policy().budget_rule(draw.rule);
        let resets = rule.and_then(|rule| rule.calendar.resets(self.record.started)).or(refused.until);
        let fault = refused.fault(rule.and_then(|rule| rule.message.as_deref()), resets);
        match resets {
            Some(at) => {
                let wait = at.0.saturating_sub(self.record.started.0).max(0) as u64;
                fault.retry_after(Duration::from_micros(wait))
            }
            None => fault,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_models_that_are_known_to_are_counted_exactly() {
        for model in [
            "gpt-4o",
            "gpt-4o-mini-2024-07-18",
            "openai/gpt-4.1",
            "gpt-5-nano",
            "o3",
            "o4-mini",
            "chatgpt-4o-latest",
        ] {
            assert!(has_newest_encoding(model), "{model}");
        }
        for model in [
            "gpt-4",
            "gpt-4-turbo",
            "gpt-3.5-turbo",
            "gpt-4ox",
            "o12",
            "claude-sonnet-4-5",
            "llama-3",
            "text-embedding-3-small",
        ] {
            assert!(!has_newest_encoding(model), "{model}");
        }
    }
}
