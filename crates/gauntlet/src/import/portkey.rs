//! A config of Portkey: one tree of strategies and targets, which becomes one route and its model.
//!
//! Keys behind virtual keys rest with Portkey and are not in the file: each becomes a variable to be set.

use super::{
    draft::{self, Draft, Model, Refused, refused},
    emit::{Value, Words},
    notes::Place,
    source::{Node, Unreadable, Value as Source},
    tables::{self, Gateway, Pick, Reach, Row, SEMANTIC_CACHE},
    units, variables,
    walk::{Fields, Item, Known},
};

const FIELDS: [&str; 11] = [
    "strategy",
    "targets",
    "provider",
    "virtual_key",
    "api_key",
    "cache",
    "retry",
    "override_params",
    "request_timeout",
    "input_guardrails",
    "output_guardrails",
];

/// How long Portkey keeps an answer where nothing is said.
const CACHE_SECONDS: f64 = 7.0 * 86_400.0;

/// `name` is the file's, without its ending: what the route and the model are called.
pub fn read(root: &Node, name: &str) -> Result<Draft, Unreadable> {
    let whole = Item::root(root);
    // As the API gives it out.
    let inner = whole
        .entries()
        .into_iter()
        .find(|(key, item)| *key == "config" && matches!(item.node.value, Source::Map(_)));
    let config = inner.map_or(whole, |(_, item)| item);
    if !config.entries().iter().any(|(key, _)| FIELDS.contains(key)) {
        let why = format!("it is not a config of Portkey: it has none of `{}`", FIELDS.join("`, `"));
        return Err(Unreadable::new(root.line, why, "name the JSON of one config"));
    }
    let letter = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().take(60).map(letter).collect();
    let name =
        if name.trim_matches('-').is_empty() || name == "default" { "portkey".to_owned() } else { name };

    let mut draft = Draft::new(root, &|_| None);
    // First of its fields; taken out again if there is no target.
    draft.main.set(&["routes", &name, "model"], Value::text(&name), "");
    let mut tree = Tree { draft, pick: Pick::InOrder, place: None };
    let model = tree.read(&config, &Inherited::default(), Level::Top(&name));
    let Tree { mut draft, pick, place } = tree;
    if model.targets.is_empty() {
        draft.main.remove(&["routes", &name, "model"]);
    }
    if !model.targets.is_empty() {
        draft.model(&name, &model, (pick, place.as_ref()));
        draft.set(
            &["routes", &name, "model"],
            Value::text(&name),
            &config.place,
            "callers name the route by `x-gauntlet-route`",
        );
        if let Some(mapped) = draft.notes.mapped.last_mut()
            && mapped.from.path.is_empty()
        {
            mapped.from.path = "(the whole config)".to_owned();
        }
    }
    Ok(draft)
}

/// What targets have from the level above.
#[derive(Clone, Default)]
struct Inherited<'a> {
    provider: Option<Item<'a>>,
    virtual_key: Option<Item<'a>>,
    api_key: Option<Item<'a>>,
    host: Option<Item<'a>>,
    model: Option<Item<'a>>,
}

#[derive(Clone, Copy)]
enum Level<'n> {
    /// Its settings are those of the route of that name.
    Top(&'n str),
    /// A child of a load balancer, whose weight that one has read.
    Balanced,
    Inner,
}

struct Tree {
    draft: Draft,
    pick: Pick,
    place: Option<Place>,
}

const INNER: [Known; 3] = [
    ("retry", ROUTES, "write `retry` at the route, or make a route of the target"),
    ("cache", ROUTES, "write `cache` at the route, or make a route of the target"),
    ("request_timeout", ROUTES, "write `timeouts` at the route, or make a route of the target"),
];
const ROUTES: &str = "it is a route's here, not a target's";

const TARGET: [Known; 20] = [
    ("name", "targets have no names of their own here", "nothing"),
    ("id", "targets have no names of their own here", "nothing"),
    ("weight", "weights count among the targets of a load balancer alone", "nothing"),
    (
        "api_version",
        "the address `/openai/v1` of Azure asks for no version",
        "nothing, unless the deployment is older than that address: then test it",
    ),
    ("input_guardrails", GUARDS, GUARDS_CURE),
    ("output_guardrails", GUARDS, GUARDS_CURE),
    ("before_request_hooks", GUARDS, GUARDS_CURE),
    ("after_request_hooks", GUARDS, GUARDS_CURE),
    ("default_input_guardrails", GUARDS, GUARDS_CURE),
    ("default_output_guardrails", GUARDS, GUARDS_CURE),
    ("on_status_codes", "which failures are tried again is fixed: those that may pass", "nothing"),
    (
        "forward_headers",
        "headers that belong to the provider are passed on, others are not",
        "write `headers` at the provider",
    ),
    ("metadata", "callers say who they are by headers or keys", "see docs/api.md"),
    ("prompt_id", "prompts rest with Portkey", "write it as prompts/NAME.yaml"),
    ("strict_open_ai_compliance", "same dialect in and out: nothing is changed", "nothing"),
    ("aws_*", "calls are not signed for AWS", "see the target"),
    ("vertex_*", "Vertex is not spoken to", "see the target"),
    ("azure_*", "Azure is asked with an API key", "give the provider its key and address by hand"),
    ("anthropic_*", "callers name what they want of a vendor themselves", "let callers send the header"),
    ("dynamic_pricing", "prices stand in prices.yml", "write them there"),
];
const GUARDS: &str = "what its checks look for rests with Portkey, or has no like here";
const GUARDS_CURE: &str = "see docs/guardrails.md, and write `input` and `output` at the route";

impl Tree {
    fn read<'a>(&mut self, item: &Item<'a>, above: &Inherited<'a>, level: Level<'_>) -> Model {
        let mut fields = item.fields(&mut self.draft.notes);
        let known: &[Known] = match level {
            Level::Top(name) => {
                settings(name, &mut fields, &mut self.draft);
                &[]
            }
            Level::Balanced | Level::Inner => &INNER,
        };
        if matches!(level, Level::Balanced) {
            let _ = fields.take("weight");
        }
        let (strategy, targets) = (fields.take("strategy"), fields.take("targets"));
        let here = inherited(&mut fields, above, targets.is_some(), &mut self.draft);
        let model = match targets {
            Some(targets) => {
                let model = self.branch(strategy.as_ref(), &targets, level, &here);
                Model { place: item.place.clone(), ..model }
            }
            None => {
                let target = self.leaf(item, &mut fields, &here);
                let targets = target.map_err(|bad| self.draft.refuse(&item.place, bad)).ok().flatten();
                Model { targets: targets.into_iter().map(|target| (target, None)).collect(), ..empty(item) }
            }
        };
        let known: Vec<Known> = known.iter().chain(&TARGET).copied().collect();
        fields.finish(&known, &mut self.draft.notes);
        model
    }

    fn branch<'a>(
        &mut self,
        strategy: Option<&Item<'a>>,
        list: &Item<'a>,
        level: Level<'_>,
        here: &Inherited<'a>,
    ) -> Model {
        let mut model = empty(list);
        let children = list.items();
        let mut of = strategy.map(|strategy| strategy.fields(&mut self.draft.notes));
        let mode = of.as_mut().and_then(|of| of.take("mode"));
        let word = mode.as_ref().and_then(Item::text).unwrap_or("single");
        let (conditions, usual) = match &mut of {
            Some(of) => (of.take("conditions"), of.take("default")),
            None => (None, None),
        };
        if let Some(of) = of {
            let known = [
                (
                    "on_status_codes",
                    "the next target is asked after any failure that a retry may mend",
                    "nothing",
                ),
                ("sticky_session", "calls are not kept at one target", "nothing"),
            ];
            of.finish(&known, &mut self.draft.notes);
        }
        let read = |tree: &mut Tree, child: &Item<'a>| tree.read(child, here, Level::Inner);
        match word {
            "fallback" => {
                for (at, child) in children.iter().enumerate() {
                    let one = read(self, child);
                    if at == 0 {
                        model.targets = one.targets;
                    } else {
                        model.fallbacks.extend(one.targets.into_iter().map(|(target, _)| target));
                    }
                    model.fallbacks.extend(one.fallbacks);
                }
                // The first may not have been taken over.
                if model.targets.is_empty() && !model.fallbacks.is_empty() {
                    model.targets.push((model.fallbacks.remove(0), None));
                }
            }
            "loadbalance" => {
                let weight = |child: &Item<'a>| {
                    let found = child.entries().into_iter().find(|(key, _)| *key == "weight");
                    found.map(|(_, item)| (item.number().unwrap_or(1.0), item.place))
                };
                let mut weighed: Vec<_> = children.iter().map(|child| (weight(child), child)).collect();
                weighed.sort_by(|(one, _), (other, _)| {
                    let of =
                        |weight: &Option<(f64, Place)>| weight.as_ref().map_or(1.0, |(weight, _)| *weight);
                    of(other).total_cmp(&of(one))
                });
                let mut places: Vec<Place> = mode.iter().map(|mode| mode.place.clone()).collect();
                for (weight, child) in weighed {
                    let one = self.read(child, here, Level::Balanced);
                    let own = weight.as_ref().map(|(weight, _)| *weight);
                    model.targets.extend(one.targets.into_iter().map(|(target, _)| (target, own)));
                    model.fallbacks.extend(one.fallbacks);
                    places.extend(weight.map(|(_, place)| place));
                }
                if matches!(level, Level::Top(_)) {
                    self.pick = Pick::Weighted;
                    self.place = (!places.is_empty()).then(|| places.remove(0));
                    model.weights = places;
                } else {
                    // `models:` has one way of choosing for a model, and that is the outermost.
                    places.iter().for_each(|place| self.draft.lost(Pick::Weighted, place));
                }
            }
            "conditional" => {
                let usual_name = usual.as_ref().and_then(Item::text);
                for child in &children {
                    let name = child
                        .entries()
                        .into_iter()
                        .find(|(key, _)| *key == "name")
                        .and_then(|(_, item)| item.text());
                    if name.is_some() && name == usual_name {
                        let one = read(self, child);
                        model.targets.extend(one.targets);
                        model.fallbacks.extend(one.fallbacks);
                    } else {
                        self.draft.lost(Pick::Conditional, &child.place);
                    }
                }
                if let Some(usual) = &usual {
                    self.draft.notes.mapped(&usual.place, "gauntlet.yml: models", "the target of all calls");
                }
                for item in mode.iter().chain(&conditions) {
                    self.draft.lost(Pick::Conditional, &item.place);
                }
                return model;
            }
            "single" => {
                for (at, child) in children.iter().enumerate() {
                    if at == 0 {
                        model = read(self, child);
                    } else {
                        self.draft.notes.unmapped(
                            &child.place,
                            "a single target is asked, and that is the first",
                            "nothing",
                        );
                    }
                }
            }
            _ => {
                let place = mode.as_ref().map_or(&list.place, |mode| &mode.place);
                self.draft.notes.unmapped(
                    place,
                    "the importer does not know this strategy",
                    "write the targets in order under `models`",
                );
            }
        }
        if let Some(mode) = mode.filter(|_| matches!(word, "fallback" | "single")) {
            self.draft.notes.mapped(&mode.place, "gauntlet.yml: models", "targets are tried in order");
        }
        for (usual, why) in [(conditions, "conditions"), (usual, "default")] {
            if let Some(item) = usual {
                self.draft.notes.unmapped(
                    &item.place,
                    format!("`{why}` belongs to the strategy `conditional`"),
                    "nothing",
                );
            }
        }
        model
    }

    fn leaf(
        &mut self,
        item: &Item<'_>,
        fields: &mut Fields<'_>,
        here: &Inherited<'_>,
    ) -> Result<Option<String>, Refused> {
        let text = |item: &Option<Item<'_>>| item.as_ref().and_then(|item| item.text().map(str::to_owned));
        let model = text(&here.model);
        // `@slug/model` names both.
        let (inside, model) =
            match model.as_deref().and_then(|model| model.strip_prefix('@')?.split_once('/')) {
                Some((slug, model)) => (Some(slug.to_owned()), Some(model.to_owned())),
                None => (None, model),
            };
        let provider = text(&here.provider);
        let slug = inside
            .or_else(|| text(&here.virtual_key))
            .or_else(|| Some(provider.as_deref()?.strip_prefix('@')?.to_owned()));
        let vendor = provider.as_deref().filter(|provider| !provider.starts_with('@'));
        let row = match (vendor, &slug) {
            (Some(vendor), _) => tables::provider(Gateway::Portkey, vendor).ok_or_else(|| {
                refused(
                    "the importer knows no such provider",
                    "if it speaks OpenAI's dialect, add it under `providers`",
                )
            })?,
            (None, Some(slug)) => guess(slug).ok_or_else(|| {
                refused(
                    format!("whose models are behind `{}` cannot be told from its name", slug.escape_debug()),
                    "add the provider under `providers`, and its model under `models`",
                )
            })?,
            (None, None) if here.host.is_some() || here.api_key.is_some() => &tables::PROVIDERS[0],
            (None, None) => {
                return Err(refused("it names no provider", "write the provider and its model by hand"));
            }
        };
        let host = match (&here.host, fields.take("resource_name")) {
            (Some(host), _) => Some(draft::address(host.text().unwrap_or_default())?),
            (None, Some(resource)) if row.reach == Reach::Azure => {
                let name = resource.text().unwrap_or_default();
                Some(draft::address(&format!("https://{name}.openai.azure.com"))?)
            }
            (None, _) => None,
        };
        draft::account(row, host.clone(), None, Vec::new())?;
        let draft = &mut self.draft;
        let key = match (&here.api_key, &slug) {
            (Some(key), _) => {
                let text = key.text().unwrap_or_default();
                Some(draft.variables.clear(&variables::name_of(row.variable), text, &key.place))
            }
            (None, Some(slug)) => {
                let wanted = format!("{}_API_KEY", variables::name_of(slug));
                Some(draft.variables.elsewhere(&wanted, slug, &item.place))
            }
            (None, None) if matches!(row.reach, Reach::Server(_)) => None,
            (None, None) => Some(draft.variables.elsewhere(row.variable, row.ours, &item.place)),
        };
        let organization = fields.any(&["openai_organization", "openai_project"]);
        let given: Vec<(&str, Item<'_>)> =
            organization.into_iter().map(|item| ("openai-organization", item)).collect();
        let headers = draft::headers(draft, row.ours, &given, &|_| None);
        let account = draft::account(row, host, key.map(|name| Words::variable(&name)), headers)?;
        let provider = draft.provider(slug.as_deref().unwrap_or(row.ours), account, &item.place);
        let deployment = fields.take("deployment_id");
        let model = model.or_else(|| deployment.as_ref().and_then(|item| item.text().map(str::to_owned)));
        match model.filter(|model| !model.is_empty()) {
            Some(model) => {
                draft.notes.mapped(
                    &item.place,
                    format!("gauntlet.yml: models, target {provider}/{model}"),
                    "",
                );
                Ok(Some(format!("{provider}/{model}")))
            }
            None => Err(refused(
                "it takes whatever model a caller asks for, and a target here has a model",
                format!("let callers ask for `{provider}/MODEL`, or name it in `override_params`"),
            )),
        }
    }
}

fn empty(item: &Item<'_>) -> Model {
    Model { targets: Vec::new(), fallbacks: Vec::new(), weights: Vec::new(), place: item.place.clone() }
}

/// What a level says of itself, over what it has from above. `has_targets`: it says so for those below.
fn inherited<'a>(
    fields: &mut Fields<'a>,
    above: &Inherited<'a>,
    has_targets: bool,
    draft: &mut Draft,
) -> Inherited<'a> {
    let mut here = above.clone();
    let mut own: Vec<Place> = Vec::new();
    let (provider, virtual_key) = (fields.take("provider"), fields.take("virtual_key"));
    let said = |item: &Item<'_>| item.place.clone();
    own.extend(provider.iter().chain(&virtual_key).map(said));
    if provider.is_some() || virtual_key.is_some() {
        // Another account: its key is not that of the level above.
        (here.provider, here.virtual_key, here.api_key, here.host) = (provider, virtual_key, None, None);
    }
    let (api_key, host) = (fields.take("api_key"), fields.take("custom_host"));
    own.extend(api_key.iter().chain(&host).map(said));
    here.api_key = api_key.or(here.api_key);
    here.host = host.or(here.host);
    if let Some(item) = fields.take("override_params") {
        let mut params = item.fields(&mut draft.notes);
        let model = params.take("model");
        own.extend(model.iter().map(said));
        here.model = model.or(here.model);
        let known = [(
            "*",
            "a default of requests is not put into calls here: same bytes in, same bytes out",
            "let callers send it",
        )];
        params.finish(&known, &mut draft.notes);
    }
    for place in own.iter().filter(|_| has_targets) {
        draft.notes.mapped(place, "gauntlet.yml: providers, models", "for the targets below");
    }
    here
}

/// The provider whose name stands in a slug such as `openai-prod`: the longest, so that `azure-openai-eu` is Azure.
fn guess(slug: &str) -> Option<&'static Row> {
    let slug = format!("-{}-", slug.to_ascii_lowercase().replace(['_', '.', ' '], "-"));
    let names = tables::PROVIDERS.iter().flat_map(|row| row.names_of_portkey().map(move |name| (name, row)));
    let fits = names.filter(|(name, _)| slug.contains(&format!("-{name}-")));
    fits.max_by_key(|(name, _)| name.len()).map(|(_, row)| row)
}

/// `retry`, `cache` and `request_timeout` of the whole config.
fn settings(name: &str, fields: &mut Fields<'_>, draft: &mut Draft) {
    let route: &[&str] = &["routes", name];
    if let Some(item) = fields.take("retry") {
        let mut of = item.fields(&mut draft.notes);
        if let Some(item) = of.take("attempts") {
            draft.retries(route, &item);
        }
        let known = [
            ("on_status_codes", "which failures are tried again is fixed: those that may pass", "nothing"),
            ("use_retry_after_header*", "a provider's Retry-After always counts", "nothing"),
        ];
        of.finish(&known, &mut draft.notes);
    }
    if let Some(item) = fields.take("request_timeout") {
        draft.timeout(route, "attempt", item.number(), &item, "of one attempt");
        if let Some(limit) = item.number().and_then(units::duration) {
            draft.main.set(
                &["routes", name, "timeouts", "first_token"],
                Value::plain(limit),
                &item.place.path,
            );
        }
    }
    let Some(item) = fields.take("cache") else { return };
    let (mut mode, mut age) = (Some(item.clone()), None);
    if item.text().is_none() {
        let mut of = item.fields(&mut draft.notes);
        (mode, age) = (of.take("mode"), of.take("max_age"));
        of.finish(&[], &mut draft.notes);
    }
    let seconds = age.as_ref().map_or(Some(CACHE_SECONDS), Item::number);
    let place = age.as_ref().map_or(&item.place, |age| &age.place);
    match seconds.and_then(|seconds| units::duration(seconds * 1000.0)) {
        Some(ttl) => draft.set(
            &["routes", name, "cache"],
            Value::plain(ttl),
            place,
            "of equal calls of a tenant, in the gateway's memory",
        ),
        None => draft.notes.unmapped(place, "it is not a time", "write `cache: 10m` at the route"),
    }
    match mode {
        Some(mode) if mode.text() == Some("semantic") => {
            draft.notes.unmapped(&mode.place, SEMANTIC_CACHE.0, SEMANTIC_CACHE.1);
        }
        Some(mode) => draft.notes.mapped(&mode.place, format!("gauntlet.yml: routes.{name}.cache"), ""),
        None => {}
    }
}
