//! Small calls on a dear model, and what a smaller one of the same vendor would charge for the same tokens.

use gauntlet_ports::StoredCall;
use gauntlet_types::{Name, NanoUsd, Target, Timestamp, Usage};
use serde::de::IgnoredAny;

use super::{Advice, CALLS_MIN, Kind};
use crate::{reconcile, reprice::PriceOf};

/// Input and output tokens of a small call: a question and a short answer, not a document.
const INPUT_MAX: u32 = 4_000;
const OUTPUT_MAX: u32 = 300;
/// A saving below this share of what these calls cost is not worth another model.
const SHARE_MIN_PERCENT: i64 = 30;

/// Calls of a route and model.
#[derive(Default)]
pub(super) struct Calls {
    /// With tools, long, or given up on once: such calls want a model that can do that.
    others: u64,
    small: Vec<(Timestamp, Usage, NanoUsd)>,
    outputs: Vec<u32>,
}

impl Calls {
    pub(super) fn add(&mut self, call: &StoredCall) {
        let record = &call.record;
        let usage = record.usage;
        self.outputs.push(usage.output_total().0);
        let is_small = usage.input_total().0 <= INPUT_MAX
            && usage.output_total().0 <= OUTPUT_MAX
            && record.tool_calls.is_empty()
            && record.attempts.iter().all(|attempt| attempt.billed.is_none())
            && !has_tools(&call.input);
        if is_small {
            self.small.push((record.started, usage, record.cost));
        } else {
            self.others += 1;
        }
    }

    pub(super) fn advise(
        &self,
        route: &Name,
        target: &Target,
        known: &[Target],
        price_of: PriceOf<'_>,
    ) -> Option<Advice> {
        let mut outputs = self.outputs.clone();
        outputs.sort_unstable();
        let p95 = *outputs.get((outputs.len() * 95 / 100).min(outputs.len().checked_sub(1)?))?;
        // A route whose answers are long now and then needs its model; which call will be long is not known before.
        if self.small.len() < CALLS_MIN || p95 > OUTPUT_MAX {
            return None;
        }
        let cost: NanoUsd = self.small.iter().map(|(.., cost)| *cost).sum();
        let sum_at = |candidate: &Target| -> Option<NanoUsd> {
            self.small
                .iter()
                .map(|(started, usage, _)| Some(price_of(candidate, *started)?.cost(usage)))
                .try_fold(NanoUsd::ZERO, |sum, one| one.map(|one| sum.plus(one)))
        };
        let suggested = smaller(&target.model)
            .into_iter()
            .map(|model| Target { provider: target.provider.clone(), model: model.as_str().into() });
        let configured =
            known.iter().filter(|one| one.provider == target.provider && *one != target).cloned();
        let (sum, candidate) = suggested
            .chain(configured)
            .filter_map(|candidate| Some((sum_at(&candidate)?, candidate)))
            // A free one is a model of one's own, or a mistake in the table. The first that is cheap enough is taken: the
            // next smaller model, not the smallest.
            .filter(|(sum, _)| *sum > NanoUsd::ZERO)
            .find(|(sum, _)| {
                cost.minus(*sum).0.saturating_mul(100) >= cost.0.saturating_mul(SHARE_MIN_PERCENT)
            })?;
        Some(Advice {
            kind: Kind::CheaperModel,
            route: route.to_string(),
            model: target.to_string(),
            what: format!(
                "{} of {} calls are small and use no tools (95 % of answers have up to {p95} tokens): try `{candidate}`",
                self.small.len(),
                self.small.len() as u64 + self.others,
            ),
            mind: "the answers will differ: run the route's eval against both models before moving traffic; counted \
                   at the same number of tokens"
                .to_owned(),
            calls: self.small.len() as u64,
            saved: cost.minus(sum),
            saved_usd_per_month: 0.0,
        })
    }
}

/// Names that vendors give to the next smaller models of a line. Whether there is one, its price says.
fn smaller(model: &str) -> Vec<String> {
    let base = reconcile::base(model);
    let swapped = |from: &str, to: &str| base.contains(from).then(|| base.replacen(from, to, 1));
    let mut names: Vec<Option<String>> = vec![
        swapped("opus", "sonnet"),
        swapped("opus", "haiku").or_else(|| swapped("sonnet", "haiku")),
        swapped("-large", "-medium"),
        swapped("-large", "-small").or_else(|| swapped("-medium", "-small")),
        swapped("-pro", "-flash"),
    ];
    if base.contains("flash") && !base.contains("lite") {
        names.push(Some(format!("{base}-lite")));
    }
    if base.ends_with("-mini") {
        names.push(swapped("-mini", "-nano"));
    } else if !["nano", "lite", "flash", "haiku", "small"].iter().any(|part| base.contains(part)) {
        names.push(Some(format!("{base}-mini")));
    }
    names.into_iter().flatten().filter(|name| name != model).collect()
}

fn has_tools(input: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Tools {
        #[serde(default)]
        tools: Option<Vec<IgnoredAny>>,
        #[serde(default)]
        functions: Option<Vec<IgnoredAny>>,
    }
    // What cannot be read may have some.
    serde_json::from_slice::<Tools>(input).map_or(true, |body| {
        [body.tools, body.functions].into_iter().flatten().any(|tools| !tools.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_models_are_known_by_their_names() {
        let check = |model: &str, expected: &[&str]| assert_eq!(smaller(model), expected, "{model}");
        check("gpt-4o", &["gpt-4o-mini"]);
        check("gpt-4o-2024-08-06", &["gpt-4o-mini"]);
        check("gpt-4.1-mini", &["gpt-4.1-nano"]);
        check("gpt-4.1-nano", &[]);
        check("claude-opus-4-5", &["claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5-mini"]);
        check("claude-haiku-4-5", &[]);
        check("gemini-2.5-pro", &["gemini-2.5-flash", "gemini-2.5-pro-mini"]);
        check("gemini-2.5-flash", &["gemini-2.5-flash-lite"]);
    }

    #[test]
    fn tools_are_seen() {
        let check =
            |input: &str, expected: bool| assert_eq!(has_tools(input.as_bytes()), expected, "{input}");
        check("{\"messages\": []}", false);
        check("{\"tools\": []}", false);
        check("{\"tools\": [{\"type\": \"function\"}]}", true);
        check("{\"functions\": [{}]}", true);
        check("half of a bo", true);
    }
}
