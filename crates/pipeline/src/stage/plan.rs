//! Which targets, in which order. Pure: the deciding is `policy::plan`'s; here its answer is joined with endpoints and prices.

use gauntlet_policy::{config::Unpriced, plan};
use gauntlet_types::{Code, Fault, Stage, TokenCount};

use crate::call::{Call, Planned, Request};

pub(crate) fn run(call: &mut Call) -> Result<(), Fault> {
    call.enter(Stage::Plan);
    let snapshot = call.snapshot.clone();
    let policy = &snapshot.policy;
    let targets = plan::plan(policy, &call.route, &call.record.model_asked, call.pinned.as_deref())?;
    if let Some(grant) = &call.grant {
        let asked = call.route.model.as_ref().unwrap_or(&call.record.model_asked);
        if !grant.allows_model(asked, &targets) {
            let allowed: Vec<&str> = grant.models.iter().map(|model| model.as_str()).collect();
            let message = format!("this key may not use model `{asked}`; it may use: {}", allowed.join(", "));
            return Err(Fault::caller(Code::Forbidden, message).param("model"));
        }
    }
    let (mut unpriced, mut unspoken) = (None, None);
    for target in targets {
        let Some(endpoint) = snapshot.endpoints.get(&target.provider) else {
            unspoken = Some(target);
            continue;
        };
        let price = policy.price(&target, call.record.started);
        match (&price, call.route.unpriced) {
            (Some(_), _) | (None, Unpriced::Allow) => {}
            (None, Unpriced::CapTokens) if call.route.max_tokens.is_some() => {}
            (None, Unpriced::Block | Unpriced::CapTokens) => {
                unpriced = Some(target);
                continue;
            }
        }
        call.plan.push(Planned { target, endpoint: endpoint.clone(), price });
    }
    if call.plan.is_empty() {
        let Some(target) = unpriced else {
            let provider = unspoken.map(|target| target.provider).unwrap_or_default();
            let message = format!(
                "provider `{provider}` speaks a dialect that this version cannot translate to yet; use a provider of \
                 dialect openai"
            );
            return Err(Fault::us(Code::Unavailable, message));
        };
        let message = format!(
            "nobody knows what `{target}` costs, so it is not asked: add a price to prices.yml, say `price: free` at \
             provider `{}`, or set the route's `unpriced`",
            target.provider
        );
        return Err(Fault::policy(Code::UnpricedModel, message).param("model"));
    }
    call.output_max = output_max(call);
    Ok(())
}

/// The most output tokens this call may cost: what the caller asks for, held to the route's limit, for each choice.
fn output_max(call: &Call) -> TokenCount {
    let Request::Chat(chat) = &call.request else { return TokenCount(0) };
    let asked = chat.max_tokens.as_ref().map(|asked| asked.value);
    let each = match (asked, call.route.max_tokens) {
        (Some(asked), Some(limit)) => asked.min(limit.0),
        (Some(asked), None) => asked,
        (None, Some(limit)) => limit.0,
        (None, None) => call.route.max_tokens_default.0,
    };
    TokenCount(each.saturating_mul(chat.n.max(1)))
}
