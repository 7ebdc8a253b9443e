//! Where a call goes: what is known of it and of the targets, handed to the deciders of `policy::plan`.

use std::{sync::Arc, time::Duration};

use gauntlet_policy::{
    breaker::{BreakerEvent, BreakerPolicy},
    config::{Choice, Sticky, Strategy},
    health::{Line, Measured, Standing, View},
    plan::{
        Plan,
        choose::{self, Facts},
        explain::{self, Reasons},
        order::{self, Candidate, Draw},
    },
    price::Bound,
    retry::Against,
};
use gauntlet_types::{Fault, Name, Target, TokenCount};

use crate::{
    call::{Call, Planned},
    gate::{Shared, lock},
    tokens,
};

/// Bytes of English a token stands for: good enough to rank prices by.
const BYTES_PER_TOKEN: usize = 4;
/// Of a conversation, what tells it from others: system prompt and tools of most applications are longer, and the parts
/// that providers cache begin at a thousand tokens.
const PREFIX_BYTES: usize = 1024;
/// A pause that is over before another provider's answer would begin.
pub(crate) const WORTH_WAITING: Duration = Duration::from_millis(100);

impl Call {
    /// Finds the model that the call gets by the route's rules and by its task, unless the operator names it.
    pub(crate) async fn choose_model(&mut self, task: Option<Name>) -> Result<(), Fault> {
        if self.is_model_fixed() {
            return Ok(());
        }
        if self.route.rules.iter().any(|rule| rule.when.tokens_over.is_some_and(|over| self.may_exceed(over)))
        {
            tokens::ready().await;
        }
        let chat = self.request.conversation();
        let facts = Facts {
            caller: &self.record.caller,
            model: &self.record.model_asked,
            task: task.as_deref(),
            has_more_tokens: &|over| self.has_more_tokens(over),
            hour: explain::hour_of(self.record.started),
            stream: self.request.is_streaming(),
            tools: chat.is_some_and(|chat| chat.has_tools),
            images: chat.is_some_and(|chat| chat.image_count > 0),
        };
        let chosen = choose::choose(self.policy().config(), &self.route, &facts)?;
        self.chosen = Some(chosen);
        Ok(())
    }

    /// Whether only counting can tell that the request has no more tokens than that. No token is shorter than a byte.
    fn may_exceed(&self, over: u32) -> bool {
        self.body.len() > over as usize
    }

    /// Whether the request, as the caller sent it, has more tokens than that. Where it [may](Call::may_exceed), tokens must
    /// be [`tokens::ready`].
    fn has_more_tokens(&self, over: u32) -> bool {
        if !self.may_exceed(over) {
            return false;
        }
        *self.tokens_sent.get_or_init(|| {
            let segments = self.request.segments(&self.body);
            segments.iter().map(|text| tokens::count_text(text.as_str(&self.body))).sum()
        }) > over
    }

    /// Puts the targets that a model stands for into the order in which they are asked, and notes why.
    pub(crate) async fn in_order(&mut self, model: &str, plan: &Plan, planned: Vec<Planned>) -> Vec<Planned> {
        if planned.len() == 1 && self.chosen.is_none() && plan.left_out.is_empty() {
            return planned;
        }
        let choices: Vec<&Choice> = planned.iter().filter_map(|one| choice_of(plan, &one.target)).collect();
        let fits: Vec<bool> = match planned.len() {
            1 => vec![true],
            _ => self.fitting(&planned, &choices).await,
        };
        // Where none fits, the provider may still know better than we do.
        let is_kept = |at: usize| fits[at] || !fits.contains(&true);
        let kept: Vec<usize> = (0..planned.len()).filter(|at| is_kept(*at)).collect();
        let small = (0..planned.len()).filter(|at| !is_kept(*at));
        let too_small: Vec<Target> = small.map(|at| planned[at].target.clone()).collect();
        let views = self.views(kept.iter().map(|at| &planned[*at].target));
        let candidates: Vec<Candidate<'_>> = kept
            .iter()
            .zip(views)
            .map(|(at, view)| Candidate {
                target: &planned[*at].target,
                weight: choices[*at].weight,
                view,
                price: self.worst_case(plan.strategy, &planned[*at]),
            })
            .collect();
        let draw = self.draw(model, plan);
        let order = order::order(draw, &candidates);
        let by = self.chosen.as_ref().filter(|chosen| *chosen.model == *model);
        let by = by.and_then(|chosen| chosen.by.words());
        let reasons = Reasons {
            by: by.as_deref(),
            draw,
            candidates: &candidates,
            order: &order,
            too_small: &too_small,
            left_out: &plan.left_out,
        };
        self.record.routing = reasons.line().map(Name::from);
        let order: Vec<usize> = order.into_iter().map(|at| kept[at]).collect();
        let mut planned: Vec<Option<Planned>> = planned.into_iter().map(Some).collect();
        order.into_iter().filter_map(|at| planned[at].take()).collect()
    }

    /// Whether each target has room for the input and the output that is asked for. A limit that nobody set is none: the
    /// model then writes as much as it has room for.
    async fn fitting(&self, planned: &[Planned], choices: &[&Choice]) -> Vec<bool> {
        // Of embeddings each input has the window for itself.
        let Some(chat) = self.request.conversation() else { return vec![true; planned.len()] };
        let asked = chat.max_tokens.as_ref().map(|asked| asked.value);
        let limit = self.route.max_tokens.map(|limit| limit.0);
        let output = asked.into_iter().chain(limit).min().unwrap_or(0);
        // For the input; none where nobody knows the window.
        let room = |(one, choice): (&Planned, &&Choice)| {
            explain::room(choice, one.price.as_deref()).map(|room| room.0.checked_sub(output))
        };
        let rooms: Vec<Option<Option<u32>>> = planned.iter().zip(choices).map(room).collect();
        if rooms.iter().flatten().flatten().any(|room| self.may_exceed(*room)) {
            tokens::ready().await;
        }
        let fits = |room: &Option<u32>| room.is_some_and(|room| !self.has_more_tokens(room));
        rooms.iter().map(|room| room.as_ref().is_none_or(fits)).collect()
    }

    fn views<'a>(&self, targets: impl ExactSizeIterator<Item = &'a Target>) -> Vec<View> {
        // With one target there is nothing to compare; whether it may be asked is looked at when it is.
        if targets.len() == 1 {
            return vec![View::UNKNOWN];
        }
        let (now, measured) = (self.clock().mono(), self.measured());
        let health = lock(&self.shared().health);
        targets.map(|target| health.view(target, measured, now)).collect()
    }

    fn worst_case(&self, strategy: Strategy, planned: &Planned) -> Option<gauntlet_types::NanoUsd> {
        if strategy != Strategy::Cheapest {
            return None;
        }
        let input = u32::try_from(self.body.len() / BYTES_PER_TOKEN).unwrap_or(u32::MAX);
        let output = self.output_bound();
        let bound = Bound { input: TokenCount(input), output, ..Bound::default() };
        planned.price.as_ref().map(|price| price.bound_of(&bound))
    }

    fn draw(&self, model: &str, plan: &Plan) -> Draw {
        let session = match plan.sticky {
            Sticky::Off => {
                let seed = order::seed_of(self.record.id.0.as_u128());
                return Draw { strategy: plan.strategy, seed, is_sticky: false };
            }
            Sticky::Prefix => None,
            Sticky::Session => self.record.caller.session.as_deref(),
        };
        let tenant = &self.record.caller.tenant;
        let prompt = self.record.prompt.as_ref().map_or("", |prompt| &prompt.hash);
        let beginning = match session {
            Some(session) => session.as_bytes(),
            None => self.beginning(),
        };
        let seed = order::hash(&[tenant.as_bytes(), model.as_bytes(), prompt.as_bytes(), beginning]);
        Draw { strategy: plan.strategy, seed, is_sticky: true }
    }

    /// The first bytes of the conversation.
    fn beginning(&self) -> &[u8] {
        let from = self.request.conversation().map_or(0, |chat| chat.messages.start).min(self.body.len());
        let to = (from + PREFIX_BYTES).min(self.body.len());
        &self.body[from..to]
    }

    pub(crate) fn measured(&self) -> Measured {
        if self.request.is_streaming() { Measured::FirstToken } else { Measured::Whole }
    }
}

fn choice_of<'a>(plan: &'a Plan, target: &Target) -> Option<&'a Choice> {
    plan.choices.iter().find(|choice| choice.target == *target)
}

/// An attempt under way, as the strategies count it: until the answer's end, whatever becomes of it.
pub(crate) struct Flight {
    shared: Arc<Shared>,
    target: Target,
}

impl Flight {
    pub(crate) fn begin(shared: &Arc<Shared>, target: &Target) -> Flight {
        lock(&shared.health).began(target, shared.clock.mono());
        Flight { shared: Arc::clone(shared), target: target.clone() }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        lock(&self.shared.health).ended(&self.target);
    }
}

/// What attempts ask of the targets' health, and tell it.
impl Call {
    fn breaker_policy(&self, target: &Target) -> BreakerPolicy {
        self.policy().provider(&target.provider).map(|provider| provider.breaker).unwrap_or_default()
    }

    /// Whether the target may be asked now; else for how long it is left alone.
    pub(crate) fn may_ask(&self, index: usize) -> Result<(), Duration> {
        let target = &self.plan[index].target;
        let (now, policy) = (self.clock().mono(), self.breaker_policy(target));
        let has_others = self.has_free_after(index);
        let mut health = lock(&self.shared().health);
        let standing = health.standing(target, now);
        match (health.admit(target, now, &policy, has_others), standing) {
            (true, _) => Ok(()),
            (false, Standing::LeftAlone { left, .. }) => Err(left),
            (false, Standing::Free) => Err(Duration::ZERO),
        }
    }

    /// Whether a target further down the plan may be asked like any other.
    pub(crate) fn has_free_after(&self, index: usize) -> bool {
        let now = self.clock().mono();
        let health = lock(&self.shared().health);
        self.plan[index + 1..].iter().any(|planned| health.standing(&planned.target, now).is_free())
    }

    /// Whether the target may be asked like any other.
    pub(crate) fn stands_free(&self, index: usize) -> bool {
        let now = self.clock().mono();
        lock(&self.shared().health).standing(&self.plan[index].target, now).is_free()
    }

    /// How long the target may take before another is asked beside it; none where it never is.
    pub(crate) fn hedged_after(&self, index: usize) -> Option<Duration> {
        // What is made at a provider would be made twice.
        let is_hedged = !self.has_hedged && !self.makes_things() && index + 1 < self.plan.len();
        self.plan[index].hedge.filter(|_| is_hedged)
    }

    /// The target was dropped after so long, since another had answered.
    pub(crate) fn note_outrun(&self, index: usize, waited: Duration) {
        let target = &self.plan[index].target;
        let (now, policy) = (self.clock().mono(), self.breaker_policy(target));
        lock(&self.shared().health).outrun(target, self.measured(), waited, now, &policy);
    }

    pub(crate) fn note_answered(&self, index: usize, took: Duration) {
        let target = &self.plan[index].target;
        let (now, policy) = (self.clock().mono(), self.breaker_policy(target));
        let mut health = lock(&self.shared().health);
        health.report(target, BreakerEvent::Ok, now, &policy);
        health.answered(target, self.measured(), took, now);
    }

    /// A failure on whomever it falls; `waited` if the target kept us waiting.
    pub(crate) fn note_failed_at(&self, index: usize, against: Against, waited: Option<Duration>) {
        let target = &self.plan[index].target;
        let (now, policy) = (self.clock().mono(), self.breaker_policy(target));
        let mut health = lock(&self.shared().health);
        health.failed(target, against, now, &policy);
        if let Some(waited) = waited {
            health.kept_waiting(target, self.measured(), waited, now);
        }
    }
}

impl Shared {
    /// How every target is that was asked since the start.
    pub fn targets(&self) -> Vec<Line> {
        lock(&self.health).lines(self.clock.mono())
    }

    /// Keys of providers may have changed: those that were refused are tried again.
    pub fn forget_refused_keys(&self) {
        lock(&self.health).forget_keys();
    }

    /// How one target is.
    pub fn target(&self, target: &Target, measured: Measured) -> View {
        lock(&self.health).view(target, measured, self.clock.mono())
    }
}
