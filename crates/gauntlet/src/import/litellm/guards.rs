//! `guardrails`: those that have a guard here which looks for the same.

use crate::import::{
    draft::Draft,
    emit::Value,
    tables::GUARDS,
    walk::{Item, Known},
};

const PARAMS: [Known; 7] = [
    ("api_key", "the guard runs inside the gateway and asks nobody", "nothing"),
    ("api_base", "the guard runs inside the gateway and asks nobody", "nothing"),
    ("presidio_*", "the guard runs inside the gateway and has its own settings", "see docs/guardrails.md"),
    (
        "pii_entities_config",
        "actions by type are not taken over",
        "write `types: {EMAIL_ADDRESS: mask}` at the rule (docs/guardrails.md)",
    ),
    (
        "output_parse_pii",
        "a value is put back by the action `tokenize`",
        "write `pii: tokenize` on the way in",
    ),
    ("category_thresholds", "the guard has thresholds of its own", "see docs/guardrails.md"),
    ("guardrail_*", "it is a setting of the other guard", "see docs/guardrails.md"),
];

pub fn read(list: Option<Item<'_>>, draft: &mut Draft) {
    for entry in list.iter().flat_map(Item::items) {
        let mut fields = entry.fields(&mut draft.notes);
        let _ = fields.take("guardrail_name");
        let params = fields.take("litellm_params");
        fields.finish(&[("guardrail_info", "it only describes the guard", "nothing")], &mut draft.notes);
        let Some(params) = params else {
            draft.notes.unmapped(&entry.place, "it has no `litellm_params`", "see docs/guardrails.md");
            continue;
        };
        let mut of = params.fields(&mut draft.notes);
        let (kind, mode, on) = (of.take("guardrail"), of.take("mode"), of.take("default_on"));
        let kind = kind.as_ref().and_then(Item::text).unwrap_or_default();
        let Some((_, ours, action)) = GUARDS.iter().find(|(theirs, ..)| *theirs == kind) else {
            let cure = "see docs/guardrails.md for what is looked for here, or let a `judge` ask a model";
            draft.notes.unmapped(&entry.place, "no guard here looks for the same", cure);
            continue;
        };
        let modes: Vec<&str> = mode.iter().flat_map(Item::texts).map(|(text, _)| text).collect();
        let sides: Vec<&str> = [("input", ["pre_call", "during_call"]), ("output", ["post_call", ""])]
            .into_iter()
            .filter(|(_, theirs)| modes.iter().any(|mode| theirs.contains(mode)))
            .map(|(side, _)| side)
            .collect();
        if modes == ["logging_only"] {
            draft.notes.mapped(&entry.place, "built in: records are always redacted", "");
        } else if sides.is_empty() {
            draft.notes.unmapped(
                &entry.place,
                "its `mode` says neither before nor after the call",
                "write the rule at a route",
            );
        } else if !on.as_ref().is_some_and(Item::is_true) {
            let cure =
                format!("write `{}: {{{ours}: {action}}}` at the routes that need it", sides.join("` and `"));
            draft.notes.unmapped(
                &entry.place,
                "it works only where a call or a key asks for it, and here where a route says so",
                cure,
            );
        } else {
            for side in sides {
                draft.set(
                    &["default", side, ours],
                    Value::plain(action),
                    &entry.place,
                    "the guard here is another: test it on your own texts (`gauntlet guard scan`)",
                );
            }
        }
        of.finish(&PARAMS, &mut draft.notes);
    }
}
