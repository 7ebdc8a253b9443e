//! `providers:` — where models are, and who asks for them.

mod address;
mod credentials;
mod row;

use std::{collections::HashMap, sync::Arc, time::Duration};

use gauntlet_places::near::did_you_mean;
use gauntlet_types::{Name, Quirks, Service, Services};

pub(super) use self::address::{headers, url};
pub use self::{
    credentials::{Credentials, KeyHeader},
    row::{Row, Style, Variable, rows},
};
use super::{
    node::{At, Node, Value},
    read::{self, Fields, Report},
    routing, scalar,
    shape::{Secret, Timeouts},
};
use crate::{breaker::BreakerPolicy, price};

/// What `dialect:` says: where a provider keeps what, and what its bodies are. The format of one conversation's bodies is
/// `gauntlet_types::Dialect`, of which a provider may speak several.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    Openai,
    /// OpenAI's bodies below a resource of Azure's.
    Azure,
    Anthropic,
    Gemini,
    /// Gemini's bodies, Anthropic's and others' below a project of Google's cloud.
    Vertex,
    Bedrock,
    /// The simulated model inside Gauntlet.
    Sim,
}

impl Dialect {
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Openai => "openai",
            Dialect::Azure => "azure",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
            Dialect::Vertex => "vertex",
            Dialect::Bedrock => "bedrock",
            Dialect::Sim => "sim",
        }
    }

    const CHOICES: [(&'static str, Dialect); 7] = [
        ("openai", Dialect::Openai),
        ("azure", Dialect::Azure),
        ("anthropic", Dialect::Anthropic),
        ("gemini", Dialect::Gemini),
        ("vertex", Dialect::Vertex),
        ("bedrock", Dialect::Bedrock),
        ("sim", Dialect::Sim),
    ];
}

/// How a provider's models are priced, where `prices.yml` does not say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Priced {
    /// By this provider of the built-in table.
    Table(Name),
    /// Said to be free of charge.
    Free,
    /// By the stated prices of the simulated model.
    Simulated,
    /// Nobody knows: the route's `unpriced` rule decides.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Provider {
    pub name: Name,
    pub dialect: Dialect,
    /// Without a slash at its end, and without what the dialect adds; empty for `sim`.
    pub url: Name,
    pub credentials: Credentials,
    /// Sent along with every call; they may hold credentials.
    pub headers: Vec<(Name, Secret)>,
    /// What it can be asked.
    pub services: Services,
    pub quirks: Quirks,
    /// Paths that stand at another address: the path, and the whole address.
    pub elsewhere: Vec<(Name, Name)>,
    /// Of Azure's interface; a date means addresses by deployment.
    pub api_version: Option<Name>,
    /// Of Google's cloud; empty for others.
    pub project: Name,
    pub priced: Priced,
    /// Whose models it sells, as the price table calls them; none for a stranger's server.
    pub vendor: Option<Name>,
    /// Default 5 s.
    pub connect_timeout: Duration,
    /// Settings of the simulated model, if this is one.
    pub sim: Option<SimSettings>,
    /// Not written anywhere: its key was found in the environment.
    pub is_found: bool,
    /// Where its models run (`eu`, `us-east-1`): of Google's cloud or AWS part of the address, elsewhere as the operator
    /// says; none: nobody said.
    pub region: Option<Name>,
    pub breaker: BreakerPolicy,
}

impl Provider {
    /// Its key, if that is how it is shown who asks.
    pub fn key(&self) -> Option<&Secret> {
        match &self.credentials {
            Credentials::Key { key, .. } => Some(key),
            _ => None,
        }
    }
}

/// How the simulated model behaves.
#[derive(Clone, PartialEq, Debug)]
pub struct SimSettings {
    /// Before the first token. Default 50 ms.
    pub latency: Duration,
    /// Between pieces of a streamed answer. Default 5 ms.
    pub chunk_delay: Duration,
    /// Tokens in an answer. Default 50.
    pub tokens: u32,
    /// Share of calls that fail, from 0 to 1. Default 0.
    pub fault_rate: f64,
    /// Decides, with the request, which calls fail and what is answered. Default 0.
    pub seed: u64,
    /// A fixed answer instead of generated words.
    pub answer: Option<Name>,
}

impl Default for SimSettings {
    fn default() -> SimSettings {
        SimSettings {
            latency: Duration::from_millis(50),
            chunk_delay: Duration::from_millis(5),
            tokens: 50,
            fault_rate: 0.0,
            seed: 0,
            answer: None,
        }
    }
}

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a provider is written, and what the environment may add to it.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// As in "… has no `url`".
    what: &'a str,
    at: At,
    env: Env<'a>,
    /// It answers at the vendor's own address, so that the vendor's key of the environment is for it.
    is_own_address: bool,
}

/// Providers whose key stands in the environment, and the simulated one, which must be asked for by name.
pub(super) fn found(env: Env<'_>) -> HashMap<Name, Arc<Provider>> {
    let is_set = |name: &str| env(name).is_some_and(|value| !value.trim().is_empty());
    let is_found = |row: &&Row| {
        let mut own = row.variables.iter().filter(|variable| !variable.is_shared);
        row.dialect == Dialect::Sim || own.any(|variable| is_set(variable.name))
    };
    let nothing = Node { at: At::default(), value: Value::Map(Vec::new()) };
    let providers = rows().iter().filter(is_found).filter_map(|row| {
        // What a variable alone does not make whole (a region, a resource's address) is not brought in by it.
        let mut report = Report::new("");
        let provider = one(row.name, At::default(), &nothing, env, &mut report)?;
        report
            .mistakes
            .is_empty()
            .then(|| (provider.name.clone(), Arc::new(Provider { is_found: true, ..provider })))
    });
    providers.collect()
}

pub(super) fn read(node: &Node, env: Env<'_>, report: &mut Report) -> HashMap<Name, Arc<Provider>> {
    let mut providers = HashMap::new();
    for (label, node) in read::map(node, "`providers`", report).unwrap_or_default() {
        if label.text.is_empty() || label.text.contains('/') {
            let message = format!("`{}` cannot name a provider", label.text);
            report.error(label.at, message, "leave the slash out: it parts provider and model");
            continue;
        }
        if let Some(provider) = one(&label.text, label.at, node, env, report) {
            providers.insert(provider.name.clone(), Arc::new(provider));
        }
    }
    providers
}

fn one(name: &str, at: At, node: &Node, env: Env<'_>, report: &mut Report) -> Option<Provider> {
    let what = format!("provider `{name}`");
    let mut fields = Fields::of(node, &what, report)?;
    let written_url = fields.get("url").map(|node| url(node, "url", &what, report));
    let row = row_of(name, at, written_url.clone().flatten().as_deref(), &mut fields, &what, report);
    let api_version = fields.text("api_version", report).map(|(version, _)| version.into());
    let region = fields.text("region", report);
    let project = fields.text("project", report).map(|(project, _)| project.to_owned());
    let headers = fields.get("headers").map(|node| headers(node, &what, report)).unwrap_or_default();
    let services = services(&mut fields, report);
    let quirks = quirks(&mut fields, report);
    let is_free = fields.choice("price", report, &[("free", ())]).is_some();
    let prices_as = prices_as(&mut fields, report);
    let connect_timeout = fields.read("connect_timeout", report, scalar::DURATION);
    let residence = fields.get("region").and_then(|node| routing::region(node, &what, report));
    let breaker = fields.get("breaker").map(|node| routing::breaker(node, &what, report)).unwrap_or_default();
    let sim = sim(&mut fields, report);

    // Unknown fields are told even where the row is not known; what depends on it is read on a stand-in's terms.
    let stand_in = row.or_else(|| row::row("compatible"))?;
    let is_own_address = match &written_url {
        None => true,
        Some(url) => match (stand_in.url, url) {
            (Some(known), Some(url)) => row::host(known) == row::host(url),
            // Nobody but its owner knows the address, so the one that is written is it.
            (known, _) => known.is_none(),
        },
    };
    let place = Place { what: &what, at, env, is_own_address };
    let credentials = credentials::read(&mut fields, stand_in, &place, report);
    // Broken ones are reported already.
    let has_credentials = credentials != Credentials::None || credentials::are_written(&fields);
    foreign_fields(&fields, row, &place, report);
    fields.finish(report);

    let row = row?;
    let region = self::region(row, region, &place, report);
    let url = match written_url {
        Some(url) => Some(address::base(row.dialect, url?)),
        None => home(row, &region, &place, report),
    };
    let project = self::project(row, project, &credentials, &place, report);
    if !has_credentials && headers.is_empty() {
        no_credentials(row, &place, report);
    }
    let vendor = prices_as.or_else(|| vendor_of(name, row, is_own_address, url.as_deref()));
    let priced = match (is_free, row.dialect, vendor.clone()) {
        (true, _, _) => Priced::Free,
        (false, Dialect::Sim, _) => Priced::Simulated,
        (false, _, Some(vendor)) => Priced::Table(vendor),
        (false, _, None) => Priced::Unknown,
    };
    let elsewhere = row.elsewhere.iter().filter(|_| is_own_address);
    Some(Provider {
        name: name.into(),
        dialect: row.dialect,
        url: url?.into(),
        credentials,
        headers,
        services: services.unwrap_or(row.services),
        quirks: quirks.unwrap_or(row.quirks),
        elsewhere: elsewhere.map(|(path, address)| ((*path).into(), (*address).into())).collect(),
        api_version,
        project: project.into(),
        priced,
        vendor,
        connect_timeout: connect_timeout.unwrap_or(Timeouts::default().connect),
        sim: (row.dialect == Dialect::Sim).then_some(sim),
        is_found: false,
        region: residence.or_else(|| (!region.is_empty()).then(|| region.into())),
        breaker,
    })
}

/// The row that a provider stands for: the one that it names, the one of its name, of its address, of its dialect.
fn row_of(
    name: &str,
    at: At,
    url: Option<&str>,
    fields: &mut Fields<'_>,
    what: &str,
    report: &mut Report,
) -> Option<&'static Row> {
    let names = || rows().iter().map(|row| row.name);
    let dialect = fields.choice("dialect", report, &Dialect::CHOICES);
    if let Some((like, like_at)) = fields.text("like", report) {
        let Some(row) = row::row(like) else {
            let cure = did_you_mean(like, names())
                .unwrap_or_else(|| format!("write one of {}", names().collect::<Vec<_>>().join(", ")));
            report.error(like_at, format!("`like: {like}` in {what} is not known"), cure);
            return None;
        };
        if dialect.is_some_and(|dialect| dialect != row.dialect) {
            let message = format!("`{like}` speaks `{}`, and {what} says otherwise", row.dialect.as_str());
            report.error(like_at, message, "leave `dialect` out");
        }
        return Some(row);
    }
    if !fields.is_written("dialect") {
        let row = row::row(name);
        if row.is_none() {
            let near = did_you_mean(name, names()).map(|near| format!("{near} Else ")).unwrap_or_default();
            let cure = format!(
                "{near}write `dialect: openai` for any OpenAI-compatible server, `like: NAME` for one of docs/providers.md, or \
                 `anthropic`, `gemini`, `azure`, `vertex`, `bedrock`, `sim`"
            );
            report.error(at, format!("{what} has no `dialect`"), cure);
        }
        return row;
    }
    let dialect = dialect?;
    let of_dialect = |row: &&'static Row| row.dialect == dialect;
    row::row(name).filter(of_dialect).or_else(|| url.and_then(row::at_host).filter(of_dialect)).or_else(
        || match (dialect, url) {
            (Dialect::Openai, Some(_)) => row::row("compatible"),
            _ => row::row(dialect.as_str()),
        },
    )
}

fn services(fields: &mut Fields<'_>, report: &mut Report) -> Option<Services> {
    let written = fields.texts("serves", report);
    if written.is_empty() {
        return None;
    }
    let mut services = Services::default();
    for (word, at) in written {
        match Service::parse(word) {
            Some(service) => services = services.with(service),
            None => unknown_word("serves", word, at, Service::ALL.map(Service::as_str).as_slice(), report),
        }
    }
    Some(services)
}

fn quirks(fields: &mut Fields<'_>, report: &mut Report) -> Option<Quirks> {
    // An empty list takes a row's quirks away.
    fields.get("quirks")?;
    let mut quirks = Quirks::default();
    for (word, at) in fields.texts("quirks", report) {
        if !row::add_quirk(&mut quirks, word) {
            unknown_word("quirks", word, at, &row::QUIRKS, report);
        }
    }
    Some(quirks)
}

fn unknown_word(field: &str, word: &str, at: At, known: &[&str], report: &mut Report) {
    let cure = did_you_mean(word, known.iter().copied())
        .unwrap_or_else(|| format!("write some of {}", known.join(", ")));
    report.error(at, format!("`{field}: {word}` is not known"), cure);
}

fn prices_as(fields: &mut Fields<'_>, report: &mut Report) -> Option<Name> {
    let (vendor, at) = fields.text("prices_as", report)?;
    if !price::is_vendor(vendor) {
        let near = did_you_mean(vendor, price::vendors());
        let cure =
            near.unwrap_or_else(|| "write for example `openai`, `anthropic`, `google`, `openrouter`".into());
        report.error(at, format!("the built-in price table has no provider `{vendor}`"), cure);
    }
    Some(vendor.into())
}

fn sim(fields: &mut Fields<'_>, report: &mut Report) -> SimSettings {
    let usual = SimSettings::default();
    SimSettings {
        latency: fields.read("latency", report, scalar::DURATION).unwrap_or(usual.latency),
        chunk_delay: fields.read("chunk_delay", report, scalar::DURATION).unwrap_or(usual.chunk_delay),
        tokens: fields.read("tokens", report, scalar::POSITIVE_SMALL).unwrap_or(usual.tokens),
        fault_rate: fields.read("fault_rate", report, scalar::SHARE).unwrap_or(usual.fault_rate),
        seed: fields.read("seed", report, scalar::SEED).unwrap_or(usual.seed),
        answer: fields.text("answer", report).map(|(text, _)| text.into()),
    }
}

/// Fields that only some dialects have.
const ONLY: [(&str, &[Dialect]); 13] = [
    ("latency", &[Dialect::Sim]),
    ("chunk_delay", &[Dialect::Sim]),
    ("tokens", &[Dialect::Sim]),
    ("fault_rate", &[Dialect::Sim]),
    ("seed", &[Dialect::Sim]),
    ("answer", &[Dialect::Sim]),
    ("api_version", &[Dialect::Azure]),
    ("entra", &[Dialect::Azure]),
    ("project", &[Dialect::Vertex]),
    ("service_account", &[Dialect::Vertex]),
    ("access_key", &[Dialect::Bedrock]),
    ("secret_key", &[Dialect::Bedrock]),
    ("session_token", &[Dialect::Bedrock]),
];

fn foreign_fields(fields: &Fields<'_>, row: Option<&Row>, place: &Place<'_>, report: &mut Report) {
    let Some(row) = row else { return };
    for (field, dialects) in ONLY {
        if !fields.is_written(field) || dialects.contains(&row.dialect) {
            continue;
        }
        let names: Vec<String> = dialects.iter().map(|dialect| format!("`{}`", dialect.as_str())).collect();
        let whose =
            if dialects == [Dialect::Sim] { "the simulated model".to_owned() } else { names.join(" and ") };
        let message = format!("`{field}` in {} is only for {whose}", place.what);
        let cure = format!("leave it out, or write `dialect: {}`", dialects[0].as_str());
        report.error(place.at, message, cure);
    }
}

/// The region, written or of the environment. Empty for dialects without, and where it is missing, which is reported.
fn region(row: &Row, written: Option<(&str, At)>, place: &Place<'_>, report: &mut Report) -> String {
    let first = |names: &[&str]| {
        let values = names.iter().filter_map(|name| (place.env)(name));
        values.map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
    };
    let found = match row.dialect {
        Dialect::Vertex => first(&["GOOGLE_CLOUD_LOCATION"]).or_else(|| Some("global".to_owned())),
        Dialect::Bedrock => first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
        _ => return String::new(),
    };
    let Some(region) = written.map(|(region, _)| region.to_owned()).or(found) else {
        let message = format!("{} has no `region`", place.what);
        report.error(place.at, message, "write for example `region: eu-central-1`, or set AWS_REGION");
        return String::new();
    };
    // It becomes a part of a host's name. One that is written has been read as a region already.
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if written.is_none() && (!region.bytes().all(is_name) || region.starts_with('-')) {
        let message = format!("the region of {}, taken from the environment, is no region", place.what);
        report.error(
            place.at,
            message,
            "write for example `us-east-1` or `europe-west1`: small letters, digits and `-`",
        );
    }
    region
}

fn project(
    row: &Row,
    written: Option<String>,
    credentials: &Credentials,
    place: &Place<'_>,
    report: &mut Report,
) -> String {
    if row.dialect != Dialect::Vertex {
        return String::new();
    }
    // A service account belongs to a project, which its file names.
    let of_account = || match credentials {
        Credentials::Google { account } => {
            let file: serde_json::Value = serde_json::from_str(account.expose()).ok()?;
            file["project_id"].as_str().map(str::to_owned)
        }
        _ => None,
    };
    let project = written.or_else(|| (place.env)("GOOGLE_CLOUD_PROJECT")).or_else(of_account);
    project.filter(|project| !project.trim().is_empty()).unwrap_or_else(|| {
        let message = format!("{} has no `project`", place.what);
        report.error(place.at, message, "write `project: ID-OF-THE-PROJECT`, or set GOOGLE_CLOUD_PROJECT");
        String::new()
    })
}

/// The vendor's own address.
fn home(row: &Row, region: &str, place: &Place<'_>, report: &mut Report) -> Option<String> {
    match (row.dialect, address::in_region(row, region)) {
        (_, Some(url)) => Some(url),
        (Dialect::Sim, None) => Some(String::new()),
        (dialect, None) => {
            // The variable of Azure's own SDKs.
            let endpoint =
                (dialect == Dialect::Azure).then(|| (place.env)("AZURE_OPENAI_ENDPOINT")).flatten();
            let endpoint = endpoint.map(|url| url.trim().trim_end_matches('/').to_owned());
            let endpoint = endpoint.filter(|url| url.starts_with("https://"));
            if endpoint.is_none() {
                let cure = match dialect {
                    Dialect::Azure => "write the resource's: `url: https://NAME.openai.azure.com`",
                    _ => "write for example `url: http://127.0.0.1:8080/v1`",
                };
                report.error(place.at, format!("{} has no `url`", place.what), cure);
            }
            endpoint.map(|url| address::base(dialect, url))
        }
    }
}

/// Warns of a vendor that will refuse every call.
fn no_credentials(row: &Row, place: &Place<'_>, report: &mut Report) {
    if row.variables.is_empty() || !place.is_own_address {
        return;
    }
    let variables: Vec<&str> = row.variables.iter().map(|variable| variable.name).collect();
    let other = match row.dialect {
        Dialect::Bedrock => {
            ", AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write `access_key` and `secret_key`"
        }
        Dialect::Vertex => ", or write `service_account: PATH`",
        Dialect::Azure => ", or write `key` or `entra`",
        _ => ", or write `key`",
    };
    let message = format!("{} has no credentials, so its calls will be refused", place.what);
    report.warn(place.at, message, format!("set {}{other}", variables.join(" or ")));
}

/// Whose prices hold. At another address than the vendor's it goes by the address and the name, as the models may be anyone's.
fn vendor_of(name: &str, row: &Row, is_own_address: bool, url: Option<&str>) -> Option<Name> {
    let by_row =
        || row.vendor.filter(|_| is_own_address || row.url.is_some_and(|url| url.contains("{region}")));
    let by_address =
        || price::vendor(name, url.filter(|_| !is_own_address || row.url.is_none()), row.dialect.as_str());
    by_row().or_else(by_address).map(Name::from)
}
