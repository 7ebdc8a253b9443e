//! Our configuration while an importer fills it: providers once each, models, prices, caps, and what was said about them.

use gauntlet_policy::price::import::{self as price_list, Format};

use super::{
    emit::{Block, Value, Words},
    notes::{Notes, Place},
    source::Node,
    tables::{Pick, Reach, Row},
    units::{self, Window},
    variables::{self, Variables},
    walk::Item,
};

/// A longer name is no name; it would also be more than YAML takes for a key on one line.
const NAME_LETTERS_MAX: usize = 200;
/// What a call may take here where nothing is said.
const TOTAL_DEFAULT_SECONDS: u64 = 300;

#[derive(Default)]
pub struct Draft {
    pub main: Block,
    pub budgets: Block,
    pub prices: Block,
    /// Prompts and schemas: path and text.
    pub files: Vec<(String, String)>,
    pub notes: Notes,
    pub variables: Variables,
    /// Names that models begin with: a provider of that name would make a model its own target.
    pub reserved: Vec<String>,
    accounts: Vec<(Account, String)>,
}

/// Where and as whom models are asked.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Account {
    pub dialect: String,
    pub url: Option<Words>,
    pub key: Option<Words>,
    pub headers: Vec<(String, Words)>,
}

/// Why something cannot be taken over, and what to do by hand.
pub type Refused = (String, String);

pub fn refused(why: impl Into<String>, cure: impl Into<String>) -> Refused {
    (why.into(), cure.into())
}

/// What a caller may ask for, and how.
pub struct Model {
    /// Equal among each other: `pick` says which is asked first. Beside each its weight, where it has one.
    pub targets: Vec<(String, Option<f64>)>,
    /// Asked in order when those fail.
    pub fallbacks: Vec<String>,
    /// Where weights stand, if targets have any.
    pub weights: Vec<Place>,
    pub place: Place,
}

impl Draft {
    pub fn new(root: &Node, named_in: &dyn Fn(&str) -> Option<&str>) -> Draft {
        Draft { variables: Variables::new(root, named_in), ..Draft::default() }
    }

    /// The provider of an account: its name, made where it is not there yet.
    pub fn provider(&mut self, wanted: &str, account: Account, place: &Place) -> String {
        if let Some((_, name)) = self.accounts.iter().find(|(known, _)| *known == account) {
            return name.clone();
        }
        let letter = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let wanted: String = wanted.chars().take(NAME_LETTERS_MAX / 2).map(letter).collect();
        let wanted = if wanted.is_empty() { "provider".to_owned() } else { wanted };
        let is_taken = |name: &str| {
            self.reserved.iter().any(|known| known == name)
                || self.accounts.iter().any(|(_, known)| known == name)
        };
        let mut name = wanted.clone();
        let mut number = 2;
        while is_taken(&name) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        let mut set = |path: &[&str], value| {
            let path: Vec<&str> = ["providers", name.as_str()].iter().chain(path).copied().collect();
            self.main.set(&path, value, &place.path);
        };
        set(&["dialect"], Value::plain(&account.dialect));
        if let Some(url) = &account.url {
            set(&["url"], Value::Text(url.clone()));
        }
        if let Some(key) = &account.key {
            set(&["key"], Value::Text(key.clone()));
        }
        for (header, value) in &account.headers {
            set(&["headers", header], Value::Text(value.clone()));
        }
        self.notes.mapped(place, format!("gauntlet.yml: providers.{name}"), "");
        self.accounts.push((account, name.clone()));
        name
    }

    /// Writes a model with its targets. The only place that knows what `models:` can say of choosing among them.
    pub fn model(&mut self, name: &str, model: &Model, pick: (Pick, Option<&Place>)) {
        let (pick, place) = pick;
        let has_choice = model.targets.len() > 1;
        let strategy = pick.ours().filter(|_| has_choice);
        self.main.set(&["models", name, "targets"], targets(model, strategy.is_some()), &model.place.path);
        if let Some(strategy) = strategy {
            self.main.set(&["models", name, "strategy"], Value::plain(strategy), "");
            for place in place.into_iter().chain(&model.weights) {
                self.notes.mapped(place, format!("gauntlet.yml: models.{name}.strategy"), "");
            }
        } else if has_choice {
            // Where nobody chose it, it is what the other gateway does unasked.
            let place = place.or(Some(&model.place).filter(|_| model.weights.is_empty()));
            if let Some(place) = place {
                self.lost(pick, place);
            }
            for place in &model.weights {
                self.lost(Pick::Weighted, place);
            }
        }
    }

    /// Says, once for each place, that a way of choosing is not there.
    pub fn lost(&mut self, pick: Pick, place: &Place) {
        let (why, cure) = pick.loss();
        if !why.is_empty() && !self.notes.unmapped.iter().any(|one| one.from == *place) {
            self.notes.unmapped(place, why, cure);
        }
    }

    /// Puts prices that are called as in LiteLLM's list (`input_cost_per_token` …) into prices.yml.
    pub fn price(&mut self, target: &str, fields: &[(&str, Item<'_>)], is_embedding: bool) {
        let Some((_, first)) = fields.first() else { return };
        let place = first.place.clone();
        let amount = |item: &Item<'_>| item.word().unwrap_or_default().to_ascii_lowercase();
        let is_zero = |item: &Item<'_>| item.number() == Some(0.0);
        let to = format!("prices.yml: {target}");
        let costs = fields.iter().filter(|(name, _)| name.contains("cost"));
        if costs.clone().count() > 0 && costs.clone().all(|(_, item)| is_zero(item)) {
            self.prices.set(&[target], Value::Raw("{free: true}".to_owned()), &place.path);
            return self.notes.mapped(&place, to, "every price is 0 there, so it is free here");
        }
        let mut list = serde_json::Map::new();
        list.insert("litellm_provider".to_owned(), "own".into());
        if is_embedding {
            list.insert("mode".to_owned(), "embedding".into());
        }
        list.extend(fields.iter().map(|(name, item)| ((*name).to_owned(), amount(item).into())));
        let list = serde_json::json!({ "one": list }).to_string();
        let read = price_list::read(Format::Litellm, &list);
        let why = match read {
            Ok(list) => match (list.models.into_iter().next(), list.skipped.into_iter().next()) {
                (Some(model), _) => {
                    let entry = price_list::entry(&model.sheet);
                    self.prices.set(&[target], Value::Raw(entry), &place.path);
                    self.notes.mapped(&place, to, "");
                    for name in list.unknown.keys() {
                        if let Some((_, item)) = fields.iter().find(|(field, _)| field == name) {
                            let why = "nothing is billed by that here";
                            self.notes.unmapped(&item.place, why, "see docs/configuration.md, prices.yml");
                        }
                    }
                    return;
                }
                (None, Some(skipped)) => skipped.why,
                (None, None) => "it is not a price".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        self.notes.unmapped(
            &place,
            why,
            format!("write `{target}: {{input: …, output: …}}` (USD for a million tokens)"),
        );
    }

    /// A cap in dollars on a subject of budgets.yml; without a period it never turns.
    pub fn cap(&mut self, subject: &[&str], amount: &Item<'_>, period: Option<&Item<'_>>) {
        let word = amount.word().unwrap_or_default();
        let Some(usd) = units::usd(&word) else {
            return self.notes.unmapped(
                &amount.place,
                "it is not an amount in dollars",
                "write it in budgets.yml",
            );
        };
        let window = match period {
            None => Some(Window::Calendar("total")),
            Some(period) => units::window(&period.word().unwrap_or_default()),
        };
        let Some(window) = window else {
            let place = period.map_or(&amount.place, |period| &period.place);
            let why = "no cap turns after that time here, so the cap is not written";
            let cure =
                "write one of a day, week, month, or `window: rolling …` from 10m to 31d in budgets.yml";
            return self.notes.unmapped(place, why, cure);
        };
        let subject_shown = subject.join(".");
        let note = match &window {
            Window::Calendar(turn) => {
                let field = format!("{turn}_usd");
                let path: Vec<&str> = subject.iter().copied().chain([field.as_str()]).collect();
                self.budgets.set(&path, Value::plain(usd), &amount.place.path);
                if *turn == "total" { "never turns" } else { "turns with the calendar, UTC" }
            }
            Window::Rolling(length) => {
                let mut cap = Block::default();
                cap.set(&["usd"], Value::plain(usd), "");
                cap.set(&["window"], Value::plain(format!("rolling {length}")), "");
                let path: Vec<&str> = subject.iter().copied().chain(["caps"]).collect();
                self.budgets.set(&path, Value::List(vec![Value::Block(cap)]), &amount.place.path);
                "rolls: it counts what lies within that time at any moment"
            }
        };
        self.notes.mapped(&amount.place, format!("budgets.yml: {subject_shown}"), note);
        if let Some(period) = period {
            self.notes.mapped(&period.place, format!("budgets.yml: {subject_shown}"), "");
        }
    }

    /// Sets a field of gauntlet.yml and says so.
    pub fn set(&mut self, path: &[&str], value: Value, from: &Place, note: &str) {
        self.main.set(path, value, &from.path);
        self.notes.mapped(from, format!("gauntlet.yml: {}", path.join(".")), note);
    }

    /// `retry.attempts`: tries in all, where the source counts those after the first.
    pub fn retries(&mut self, section: &[&str], item: &Item<'_>) {
        let Some(retries) = item.whole() else {
            return self.notes.unmapped(
                &item.place,
                "it is not a whole number",
                "write `retry: {attempts: …}`",
            );
        };
        // Our loader takes ten: more tries of a sick provider make it sicker.
        let attempts = retries.saturating_add(1).min(10);
        let note = if retries >= 10 { "10 tries are the most" } else { "counts the first try too" };
        let path: Vec<&str> = section.iter().copied().chain(["retry", "attempts"]).collect();
        self.set(&path, Value::plain(attempts), &item.place, note);
    }

    /// A time limit under `timeouts`, given in milliseconds.
    pub fn timeout(
        &mut self,
        section: &[&str],
        field: &str,
        millis: Option<f64>,
        item: &Item<'_>,
        note: &str,
    ) {
        match millis.and_then(units::duration) {
            Some(duration) => self.limit(section, field, &duration, &item.place, note),
            None => {
                let cure = format!("write `timeouts: {{{field}: 30s}}`");
                self.notes.unmapped(&item.place, "it is not a time from a millisecond to a year", cure);
            }
        }
    }

    /// A time limit under `timeouts`.
    ///
    /// Other gateways have one limit, of a whole attempt: the first token may then take as long, unless more is said, and
    /// all attempts together at least as long as one.
    pub fn limit(&mut self, section: &[&str], field: &str, duration: &str, place: &Place, note: &str) {
        let path = |field| section.iter().copied().chain(["timeouts", field]).collect::<Vec<&str>>();
        let before = self.main.get(&path("attempt")).cloned();
        self.set(&path(field), Value::plain(duration), place, note);
        if field != "attempt" {
            return;
        }
        let first = self.main.get(&path("first_token"));
        if first.is_none() || first == before.as_ref() {
            self.main.set(&path("first_token"), Value::plain(duration), &place.path);
        }
        if units::is_longer(duration, TOTAL_DEFAULT_SECONDS) {
            self.main.set(&path("total"), Value::plain(duration), &place.path);
        }
    }

    pub fn refuse(&mut self, place: &Place, (why, cure): Refused) {
        self.notes.unmapped(place, why, cure);
    }
}

/// The targets of a model, each once. With a strategy those that only stand in for others have the weight 0.
fn targets(model: &Model, has_strategy: bool) -> Value {
    let weights = whole_weights(&model.targets);
    let equal = model.targets.iter().zip(weights).map(|((target, _), weight)| (target, weight));
    let (mut seen, mut list) = (Vec::new(), Vec::new());
    for (target, weight) in equal.chain(model.fallbacks.iter().map(|target| (target, 0))) {
        if seen.contains(&target) {
            continue;
        }
        seen.push(target);
        list.push(if has_strategy && weight != 1 {
            let mut entry = Block::default();
            entry.set(&["target"], Value::text(target), "");
            entry.set(&["weight"], Value::plain(weight), "");
            Value::Block(entry)
        } else {
            Value::text(target)
        });
    }
    Value::List(list)
}

/// Weights as whole numbers; 1 where there is none. `0.2` and `0.8` become 200 and 800.
fn whole_weights(targets: &[(String, Option<f64>)]) -> Vec<u32> {
    let of = |weight: &Option<f64>| weight.unwrap_or(1.0);
    let is_whole = targets.iter().all(|(_, weight)| of(weight).fract() == 0.0);
    let scale = if is_whole { 1.0 } else { 1000.0 };
    // As a float is cast, what is too large becomes the largest.
    targets.iter().map(|(_, weight)| (of(weight) * scale).round() as u32).collect()
}

/// A name that we can give to a model or a route.
pub fn name(text: &str) -> Result<&str, Refused> {
    let is_good =
        !text.is_empty() && text.chars().count() <= NAME_LETTERS_MAX && !text.chars().any(char::is_control);
    if is_good {
        Ok(text)
    } else {
        Err(refused("it cannot be a name here", format!("use 1 to {NAME_LETTERS_MAX} letters on one line")))
    }
}

/// The account for a provider of the table. `url` and `key` are what the source says of them.
pub fn account(
    row: &Row,
    url: Option<Words>,
    key: Option<Words>,
    headers: Vec<(String, Words)>,
) -> Result<Account, Refused> {
    let made = |dialect: &str, url| Account {
        dialect: dialect.to_owned(),
        url,
        key: key.clone(),
        headers: headers.clone(),
    };
    let needs =
        |what: &str| refused(format!("it has no {what}"), "give the address of the server under `providers`");
    Ok(match row.reach {
        Reach::Dialect(dialect) => made(dialect, url.map(|url| base_of(dialect, url))),
        Reach::Compatible(usual) => made("openai", Some(url.unwrap_or_else(|| Words::literal(usual)))),
        Reach::Server(path) => made("openai", Some(with_path(url.ok_or_else(|| needs("address"))?, path))),
        Reach::Azure => made("azure", Some(url.ok_or_else(|| needs("address of a resource"))?)),
        Reach::NotYet(why, cure) => return Err(refused(why, cure)),
    })
}

/// The address without the version that we add ourselves.
fn base_of(dialect: &str, url: Words) -> Words {
    let text = url.as_str().trim_end_matches('/');
    let ends: &[&str] = match dialect {
        "anthropic" => &["/v1/messages", "/v1"],
        "gemini" => &["/v1beta", "/v1"],
        _ => &[],
    };
    match ends.iter().find_map(|end| text.strip_suffix(end)) {
        // It was escaped when it was read.
        Some(base) => Words::escaped(base),
        None => Words::escaped(text),
    }
}

/// The address with `path` behind its host, unless it has a path already.
fn with_path(url: Words, path: &str) -> Words {
    let text = url.as_str().trim_end_matches('/');
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let has_path = rest.split_once('/').is_some();
    if has_path { Words::escaped(text) } else { Words::escaped(text).then(path) }
}

/// An address of the source. One with credentials or a query is refused: our loader does not take it.
pub fn address(text: &str) -> Result<Words, Refused> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let bad = |why: &str| {
        Err(refused(
            why,
            "write `https://HOST[:PORT]/PATH` as `url` under `providers`, and the key as `key` or in `headers`",
        ))
    };
    match rest {
        None => bad("it does not begin with `https://` or `http://`"),
        Some(rest) if rest.split('/').next().is_some_and(|host| host.contains('@')) => {
            bad("it has credentials in it")
        }
        Some(rest) if rest.contains(['?', '#']) => bad("it has a query in it"),
        Some(rest) if rest.is_empty() || rest.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            bad("it is not an address")
        }
        Some(rest) => match rest.split('/').next().unwrap_or_default().rsplit_once(':') {
            Some((host, port))
                if !port.ends_with(']') && (host.is_empty() || port.parse::<u16>().is_err()) =>
            {
                bad("its port is not a number")
            }
            _ if rest.starts_with('/') => bad("it names no host"),
            _ => Ok(Words::literal(text)),
        },
    }
}

/// Headers whose value is no secret; any other becomes a variable.
const OPEN_HEADERS: [&str; 9] = [
    "anthropic-beta",
    "anthropic-version",
    "openai-organization",
    "openai-project",
    "http-referer",
    "x-title",
    "user-agent",
    "accept",
    "accept-language",
];

/// Headers that are sent along with every call. `read` gives the variable that a text stands for.
pub fn headers(
    draft: &mut Draft,
    owner: &str,
    given: &[(&str, Item<'_>)],
    named_in: &dyn Fn(&str) -> Option<&str>,
) -> Vec<(String, Words)> {
    let mut headers = Vec::new();
    for (name, item) in given {
        let lower = name.to_ascii_lowercase();
        let is_token = !lower.is_empty()
            && lower.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let value = item.word().filter(|value| is_token && !value.chars().any(char::is_control));
        let Some(value) = value else {
            draft.notes.unmapped(
                &item.place,
                "it is not a header",
                "write it under `headers` of the provider",
            );
            continue;
        };
        let words = match named_in(&value) {
            Some(variable) => draft.variables.named(variable, &item.place).map(|name| Words::variable(&name)),
            None if OPEN_HEADERS.contains(&lower.as_str()) => Some(Words::literal(&value)),
            None => {
                let wanted = variables::name_of(&format!("{owner}_{lower}"));
                Some(Words::variable(&draft.variables.clear(&wanted, &value, &item.place)))
            }
        };
        match words {
            Some(words) => headers.push((lower, words)),
            None => draft.notes.unmapped(&item.place, "no variable can be called so", "write it by hand"),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fallbacks_of_a_strategy_have_no_weight_of_their_own() {
        let target = |name: &str, weight| (name.to_owned(), weight);
        let place = Place { path: "m".to_owned(), line: 1 };
        let check = |has_strategy: bool, given: [Option<f64>; 2], expected: &str| {
            let model = Model {
                targets: vec![target("p/a", given[0]), target("p/b", given[1])],
                fallbacks: vec!["p/c".to_owned(), "p/a".to_owned()],
                weights: Vec::new(),
                place: place.clone(),
            };
            let mut block = Block::default();
            block.set(&["m", "targets"], targets(&model, has_strategy), "");
            assert_eq!(block.render("", &[]).trim(), format!("m:\n  targets: [{expected}]"));
        };
        check(false, [Some(3.0), Some(1.0)], "p/a, p/b, p/c");
        check(true, [None, None], "p/a, p/b, {target: p/c, weight: 0}");
        check(true, [Some(3.0), None], "{target: p/a, weight: 3}, p/b, {target: p/c, weight: 0}");
        let fractions = "{target: p/a, weight: 800}, {target: p/b, weight: 200}, {target: p/c, weight: 0}";
        check(true, [Some(0.8), Some(0.2)], fractions);
    }
}
