//! The fields of a budget: short ones for the usual caps, `caps:` for all others, and the manner of each.

use std::{collections::HashMap, sync::Arc, time::Duration};

use gauntlet_types::{Environment, Measure, Name};
use jiff::tz::TimeZone;

use super::{
    BudgetFile, EACH,
    calendar::{Calendar, Window},
    rule::{AtLimit, BudgetRule, BudgetScope, Per, RuleShape},
};
use crate::{
    budget::STEPS_MAX,
    config::{
        limits::LimitsShape,
        node::{At, Node, Value},
        read::{self, Fields, Report},
        scalar::{self, Scalar},
    },
};

/// How a cap behaves.
#[derive(Clone)]
pub(super) struct Manner {
    steps: [u8; STEPS_MAX],
    zone: Option<TimeZone>,
    at_limit: AtLimit,
    message: Option<Arc<str>>,
}

/// Rising, each once, as many as fit, 100 left out since it is always told.
pub(super) fn steps(mut wanted: Vec<u8>) -> [u8; STEPS_MAX] {
    wanted.retain(|step| (1..100).contains(step));
    wanted.sort_unstable();
    wanted.dedup();
    std::array::from_fn(|at| wanted.get(at).copied().unwrap_or(0))
}

impl Manner {
    /// Blocks when full, in UTC.
    pub(super) const fn told_at(steps: [u8; STEPS_MAX]) -> Manner {
        Manner { steps, zone: None, at_limit: AtLimit::Block, message: None }
    }

    /// The same with what is said here in its place.
    pub(super) fn read(
        &self,
        fields: &mut Fields<'_>,
        downgrades: &mut Vec<(Name, At)>,
        report: &mut Report,
    ) -> Manner {
        let mut manner = self.clone();
        if let Some(node) = fields.get("alert_at") {
            manner.steps = alert_at(node, report).unwrap_or(manner.steps);
        }
        if let Some((name, at)) = fields.text("timezone", report) {
            match TimeZone::get(name) {
                Ok(zone) => manner.zone = Some(zone).filter(|_| name != "UTC"),
                Err(_) => report.error(
                    at,
                    format!("`timezone: {name}` is not known"),
                    "write a name of the IANA time zone database, for example `Europe/Berlin`",
                ),
            }
        }
        if let Some(node) = fields.get("at_limit") {
            manner.at_limit = at_limit(node, downgrades, report).unwrap_or(manner.at_limit);
        }
        if let Some((text, _)) = fields.text("message", report) {
            manner.message = Some(text.into());
        }
        manner
    }
}

fn alert_at(node: &Node, report: &mut Report) -> Option<[u8; STEPS_MAX]> {
    let items: Vec<&Node> = match &node.value {
        Value::List(items) => items.iter().collect(),
        _ => vec![node],
    };
    if items.len() > STEPS_MAX {
        let message = format!("`alert_at` has {} steps", items.len());
        report.error(node.at, message, format!("name at most {STEPS_MAX}; 100 % is always told"));
        return None;
    }
    let mut wanted = Vec::new();
    for item in items {
        wanted.push(read::read(item, "alert_at", report, scalar::PERCENT)?.min(100) as u8);
    }
    Some(steps(wanted))
}

fn at_limit(node: &Node, downgrades: &mut Vec<(Name, At)>, report: &mut Report) -> Option<AtLimit> {
    if let Value::Text(_) = &node.value {
        return read::choice(node, "at_limit", report, &[("block", AtLimit::Block)]);
    }
    let mut fields = Fields::of(node, "`at_limit`", report)?;
    let models = fields.texts("downgrade", report);
    let answer = fields.text("answer", report).map(|(text, _)| AtLimit::Answer(text.into()));
    let queue = fields.read("queue", report, scalar::DURATION).map(AtLimit::Queue);
    downgrades.extend(models.iter().map(|(name, at)| (Name::from(*name), *at)));
    let models: Vec<Name> = models.into_iter().map(|(name, _)| name.into()).collect();
    let downgrade = (!models.is_empty()).then_some(AtLimit::Downgrade(models));
    let given: Vec<AtLimit> = [downgrade, answer, queue].into_iter().flatten().collect();
    let is_known = ["downgrade", "answer", "queue"].iter().any(|field| fields.is_written(field));
    fields.finish(report);
    match <[AtLimit; 1]>::try_from(given) {
        Ok([AtLimit::Queue(wait)]) if wait > QUEUE_MAX => {
            let message = "`at_limit: {queue: …}` is longer than an hour";
            report.error(
                node.at,
                message,
                "callers and proxies give up long before; write for example `30s`",
            );
            None
        }
        Ok([one]) => Some(one),
        Err(given) if given.is_empty() && is_known => None,
        Err(_) => {
            report.error(
                node.at,
                "`at_limit` says not exactly one thing",
                "write `block`, `{downgrade: MODEL}`, `{answer: TEXT}` or `{queue: 30s}`",
            );
            None
        }
    }
}

/// Longer than any caller waits.
const QUEUE_MAX: Duration = Duration::from_secs(3600);

/// The short fields: name, for whom, window, measure.
const SHORT: [(&str, Per, Window, Measure); 37] = [
    ("daily_usd", Per::Subject, Window::Day, Measure::Usd),
    ("weekly_usd", Per::Subject, Window::Week, Measure::Usd),
    ("monthly_usd", Per::Subject, Window::Month, Measure::Usd),
    ("quarterly_usd", Per::Subject, Window::Quarter, Measure::Usd),
    ("yearly_usd", Per::Subject, Window::Year, Measure::Usd),
    ("total_usd", Per::Subject, Window::Never, Measure::Usd),
    ("daily_tokens", Per::Subject, Window::Day, Measure::Tokens),
    ("weekly_tokens", Per::Subject, Window::Week, Measure::Tokens),
    ("monthly_tokens", Per::Subject, Window::Month, Measure::Tokens),
    ("yearly_tokens", Per::Subject, Window::Year, Measure::Tokens),
    ("total_tokens", Per::Subject, Window::Never, Measure::Tokens),
    ("daily_requests", Per::Subject, Window::Day, Measure::Requests),
    ("weekly_requests", Per::Subject, Window::Week, Measure::Requests),
    ("monthly_requests", Per::Subject, Window::Month, Measure::Requests),
    ("yearly_requests", Per::Subject, Window::Year, Measure::Requests),
    ("total_requests", Per::Subject, Window::Never, Measure::Requests),
    ("per_user_daily_usd", Per::User, Window::Day, Measure::Usd),
    ("per_user_weekly_usd", Per::User, Window::Week, Measure::Usd),
    ("per_user_monthly_usd", Per::User, Window::Month, Measure::Usd),
    ("per_user_total_usd", Per::User, Window::Never, Measure::Usd),
    ("per_user_daily_tokens", Per::User, Window::Day, Measure::Tokens),
    ("per_user_weekly_tokens", Per::User, Window::Week, Measure::Tokens),
    ("per_user_monthly_tokens", Per::User, Window::Month, Measure::Tokens),
    ("per_user_total_tokens", Per::User, Window::Never, Measure::Tokens),
    ("per_user_daily_requests", Per::User, Window::Day, Measure::Requests),
    ("per_user_weekly_requests", Per::User, Window::Week, Measure::Requests),
    ("per_user_monthly_requests", Per::User, Window::Month, Measure::Requests),
    ("per_user_total_requests", Per::User, Window::Never, Measure::Requests),
    ("per_conv_cap_usd", Per::Conversation, Window::Never, Measure::Usd),
    ("per_conversation_usd", Per::Conversation, Window::Never, Measure::Usd),
    ("per_conversation_tokens", Per::Conversation, Window::Never, Measure::Tokens),
    ("per_conversation_requests", Per::Conversation, Window::Never, Measure::Requests),
    ("per_conversation_daily_usd", Per::Conversation, Window::Day, Measure::Usd),
    ("per_conversation_daily_tokens", Per::Conversation, Window::Day, Measure::Tokens),
    ("per_conversation_daily_requests", Per::Conversation, Window::Day, Measure::Requests),
    ("per_call_usd", Per::Call, Window::Never, Measure::Usd),
    ("per_call_tokens", Per::Call, Window::Never, Measure::Tokens),
];

/// Reads the caps of one subject after the other.
pub(super) struct CapReader {
    pub(super) rules: Vec<BudgetRule>,
    /// Of caps that say nothing of their own.
    pub(super) manner: Manner,
    /// The environment whose own section is read.
    pub(super) environment: Option<Environment>,
}

/// Where a cap is written, and what it is on.
struct Place<'a> {
    what: &'a str,
    scope: BudgetScope,
    subject: Option<&'a Name>,
    first: usize,
}

impl CapReader {
    /// Reads the caps of one subject; its rate limits come back, where it may have any.
    #[allow(clippy::too_many_arguments)] // what is read, where it goes, and who hears of mistakes
    pub(super) fn subject(
        &mut self,
        what: &str,
        scope: BudgetScope,
        subject: Option<Name>,
        node: &Node,
        file: &mut BudgetFile,
        has_limits: bool,
        report: &mut Report,
    ) -> Option<LimitsShape> {
        let mut fields = Fields::of(node, format!("budget `{what}`"), report)?;
        let limits = self.fields(what, scope, subject, &mut fields, file, has_limits, report);
        fields.finish(report);
        limits
    }

    #[allow(clippy::too_many_arguments)] // as above
    pub(super) fn fields(
        &mut self,
        what: &str,
        scope: BudgetScope,
        subject: Option<Name>,
        fields: &mut Fields<'_>,
        file: &mut BudgetFile,
        has_limits: bool,
        report: &mut Report,
    ) -> Option<LimitsShape> {
        let manner = self.manner.read(fields, &mut file.downgrades, report);
        let place = Place { what, scope, subject: subject.as_ref(), first: self.rules.len() };
        // A user's budget for each user, a session's for each conversation, would be the same twice.
        let fits = |per: Per| {
            !matches!(
                (scope, per),
                (BudgetScope::User, Per::User) | (BudgetScope::Session, Per::Conversation | Per::User)
            )
        };
        for (field, per, window, measure) in SHORT.into_iter().filter(|(_, per, ..)| fits(*per)) {
            let Some(node) = fields.get(field) else { continue };
            let Some((cap, own_caps)) = amounts(node, field, per, measure, report) else { continue };
            let name = format!("{what}.{field}");
            self.add(&place, name, (per, window, measure), (cap, own_caps), &manner, node.at, report);
        }
        if let Some(node) = fields.get("caps") {
            let Value::List(items) = &node.value else {
                let cure = "write for example `caps: [{usd: 5, window: rolling 24h}]`";
                report.error(node.at, format!("`caps` of budget `{what}` must be a list"), cure);
                return None;
            };
            for (number, item) in items.iter().enumerate() {
                let name = format!("{what}.caps[{number}]");
                self.long(&place, name, item, &manner, &fits, file, report);
            }
        }
        has_limits.then(|| LimitsShape::fields(fields, report))
    }

    /// `{usd: 5, window: rolling 24h, per: user, at_limit: …}`
    #[allow(clippy::too_many_arguments)] // as above
    fn long(
        &mut self,
        place: &Place<'_>,
        name: String,
        node: &Node,
        manner: &Manner,
        fits: &dyn Fn(Per) -> bool,
        file: &mut BudgetFile,
        report: &mut Report,
    ) {
        let Some(mut fields) = Fields::of(node, format!("`{name}`"), report) else { return };
        let manner = manner.read(&mut fields, &mut file.downgrades, report);
        let choices = [
            ("user", Per::User),
            ("conversation", Per::Conversation),
            ("session", Per::Conversation),
            ("call", Per::Call),
        ];
        let per = fields.choice("per", report, &choices).unwrap_or(Per::Subject);
        if !fits(per) {
            report.error(node.at, format!("`per` makes no sense in `{name}`"), "leave it out");
        }
        let window = fields.read("window", report, WINDOW);
        let mut given = Vec::new();
        for measure in Measure::ALL {
            let field = measure.as_str();
            let Some(node) = fields.get(field) else { continue };
            if let Some(amounts) = amounts(node, field, per, measure, report) {
                given.push((measure, amounts));
            }
        }
        let is_written = fields.is_written("window");
        fields.finish(report);
        let window = match (window, per) {
            (Some(window), Per::Subject | Per::User | Per::Conversation) => window,
            (None, Per::Conversation) if !is_written => Window::Never,
            (None, Per::Call) if !is_written => Window::Never,
            (Some(_), Per::Call) => {
                report.error(
                    node.at,
                    format!("a cap per call has no window, but `{name}` has"),
                    "leave it out",
                );
                return;
            }
            (None, _) if is_written => return,
            (None, _) => {
                let cure = "write for example `window: daily` or `window: rolling 24h`";
                report.error(node.at, format!("`{name}` has no `window`"), cure);
                return;
            }
        };
        match <[_; 1]>::try_from(given) {
            Ok([(measure, amounts)]) => {
                self.add(place, name, (per, window, measure), amounts, &manner, node.at, report);
            }
            Err(given) if given.is_empty() && Measure::ALL.iter().any(|one| node_has(node, one.as_str())) => {
            }
            Err(_) => {
                let cure = "write one of `usd`, `tokens` and `requests`";
                report.error(node.at, format!("`{name}` caps not exactly one thing"), cure);
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // one cap with all that was said of it
    fn add(
        &mut self,
        place: &Place<'_>,
        name: String,
        (per, window, measure): (Per, Window, Measure),
        (cap, own_caps): (i64, HashMap<Name, i64>),
        manner: &Manner,
        at: At,
        report: &mut Report,
    ) {
        if (per, measure) == (Per::Call, Measure::Requests) {
            report.error(
                at,
                format!("`{name}` caps the requests of one request"),
                "cap its `usd` or `tokens`",
            );
            return;
        }
        let same = self.rules[place.first..].iter().find(|rule| rule.sort() == (per, window, measure));
        if let Some(same) = same {
            let message = format!("`{name}` caps the same as `{}` in line {}", same.name, same.line);
            report.error(at, message, "keep one of them");
            return;
        }
        if let AtLimit::Downgrade(models) = &manner.at_limit
            && place.scope == BudgetScope::Model
            && let Some(own) = place.subject.filter(|own| models.contains(own))
        {
            report.error(
                at,
                format!("budget `{}` turns to `{own}` itself when it is full", place.what),
                "name another model",
            );
            return;
        }
        self.rules.push(BudgetRule::new(RuleShape {
            name: name.into(),
            scope: place.scope,
            subject: place.subject.cloned(),
            per,
            measure,
            cap,
            own_caps,
            calendar: Calendar::new(window, manner.zone.clone()),
            at_limit: manner.at_limit.clone(),
            message: manner.message.clone(),
            steps: manner.steps,
            environment: self.environment,
            line: at.line,
        }));
    }
}

fn node_has(node: &Node, field: &str) -> bool {
    matches!(&node.value, Value::Map(entries) if entries.iter().any(|(label, _)| label.text == field))
}

const WINDOW: Scalar<Window> = Scalar {
    expected: "a window",
    example: "write `daily`, `weekly`, `monthly`, `quarterly`, `yearly`, `total`, or `rolling` with 10m to 31d, for \
              example `rolling 24h` (whole minutes up to 6h, whole hours up to 14d, else whole days)",
    parse: |text| Window::parse(text, scalar::DURATION.parse),
};

/// Token and request caps, as integers.
const WHOLE: Scalar<i64> = Scalar {
    expected: "a whole number from 0 up",
    example: "write for example `1_000_000`",
    parse: |text| (scalar::SEED.parse)(text).and_then(|number| i64::try_from(number).ok()),
};

/// One amount, or for users one with exceptions: `{"*": 0.30, ann: 2}`.
fn amounts(
    node: &Node,
    field: &str,
    per: Per,
    measure: Measure,
    report: &mut Report,
) -> Option<(i64, HashMap<Name, i64>)> {
    let one = |node: &Node, report: &mut Report| match measure {
        Measure::Usd => read::read(node, field, report, scalar::USD).map(|amount| amount.0),
        Measure::Tokens | Measure::Requests => read::read(node, field, report, WHOLE),
    };
    let Value::Map(entries) = &node.value else { return Some((one(node, report)?, HashMap::new())) };
    if per != Per::User {
        report.error(node.at, format!("`{field}` must be a single value"), "write it without sub-fields");
        return None;
    }
    let mut all = None;
    let mut own = HashMap::new();
    for (label, node) in entries {
        let amount = one(node, report)?;
        if label.text == EACH {
            all = Some(amount);
        } else {
            own.insert(Name::from(label.text.as_str()), amount);
        }
    }
    if all.is_none() {
        let cure = "write `\"*\": 0.30` beside the names, for all who are not named";
        report.error(node.at, format!("`{field}` says nothing of users that it does not name"), cure);
    }
    Some((all?, own))
}
