//! `exceptions.yml` — findings that a person has looked at and lets pass, each for a time.

use gauntlet_types::{Day, ExceptedValue, Exception, Name, Scope, Timestamp};

use super::{
    Source,
    node::{self, Node, Value},
    read::{Fields, Report},
    rules,
    scalar::Scalar,
};

/// Hexadecimal digits of a value's hash, as records note it.
const HASH_DIGITS: usize = 16;

const HASH: Scalar<Name> = Scalar {
    expected: "the hash of a value",
    example: "copy the 16 digits from the finding in `gauntlet trace show`, or write `text:` with the value itself",
    parse: |text| {
        let is_hash = text.len() == HASH_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| text.to_ascii_lowercase().into())
    },
};

const UNTIL: Scalar<Timestamp> = Scalar {
    expected: "a day",
    example: "write for example `2027-01-31` (its first moment, UTC)",
    parse: |text| Day::parse(text).map(Day::start),
};

pub(super) fn read(
    source: &Source,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Vec<Exception> {
    let Some(root) = node::parse(source, env, report) else { return Vec::new() };
    let Value::List(items) = &root.value else {
        report.error(
            root.at,
            "the file must be a list",
            "write `- {kind: pii, type: …, value: …, until: …}`",
        );
        return Vec::new();
    };
    items.iter().filter_map(|item| one(item, report)).collect()
}

fn one(node: &Node, report: &mut Report) -> Option<Exception> {
    let mut fields = Fields::of(node, "an exception", report)?;
    let kind = fields.choice("kind", report, &rules::KINDS.map(|kind| (kind, Name::from(kind))));
    if fields.is_missing("kind") {
        report.error(node.at, "an exception has no `kind`", "write for example `kind: pii`");
    }
    let label = fields.text("type", report).map(|(text, _)| text.into());
    let hash = fields.read("value", report, HASH);
    let text = fields.text("text", report).map(|(text, _)| Name::from(text));
    let is_any = fields.is_missing("value") && fields.is_missing("text");
    let tenant: Option<Name> = fields.text("tenant", report).map(|(text, _)| text.into());
    let route: Option<Name> = fields.text("route", report).map(|(text, _)| text.into());
    let scope = fields.choice("scope", report, &Scope::ALL.map(|scope| (scope.as_str(), scope)));
    let until = fields.read("until", report, UNTIL);
    if fields.is_missing("until") {
        let cure = "give it a day, after which somebody has to look again: `until: 2027-01-31`";
        report.error(node.at, "an exception has no `until`", cure);
    }
    let why = fields.text("why", report).map(|(text, _)| text.into());
    fields.finish(report);
    if is_any && label.is_none() && tenant.is_none() && route.is_none() {
        let cure =
            "name a `value`, a `type`, a `route` or a `tenant`; to switch a guard off, change its policy";
        report.error(node.at, "an exception without a bound lets everything of its kind pass", cure);
    }
    let value = match (hash, text) {
        (Some(hash), _) => ExceptedValue::Hash(hash),
        (None, Some(text)) => ExceptedValue::Text(text),
        (None, None) if is_any => ExceptedValue::Any,
        // Reported already.
        (None, None) => return None,
    };
    Some(Exception { kind: kind?, label, value, tenant, route, scope, until: until?, why })
}
