//! Who asks a provider: what is written, else what stands in the environment.

use gauntlet_types::Name;

use super::{
    Place,
    row::{Row, Style},
};
use crate::config::{
    node::{Node, Value},
    read::{self, Fields, Report},
    shape::Secret,
};

/// How a provider is shown who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credentials {
    None,
    Key {
        header: KeyHeader,
        key: Secret,
    },
    /// For signatures (Bedrock).
    Aws {
        access_key: Name,
        secret_key: Secret,
        session_token: Option<Secret>,
    },
    /// A client of Microsoft Entra (Azure).
    Entra {
        authority: Name,
        tenant: Name,
        client_id: Name,
        client_secret: Secret,
    },
    /// A credentials file of Google's: its JSON, or its path.
    Google {
        account: Secret,
    },
    /// The identity of the machine, asked at this address with this header.
    Machine {
        url: &'static str,
        header: (&'static str, &'static str),
    },
}

/// The header that a key travels in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyHeader {
    /// `authorization`, after the word `Bearer`.
    Bearer,
    XApiKey,
    XGoogApiKey,
    ApiKey,
}

impl KeyHeader {
    pub(super) fn parse(word: &str) -> Option<KeyHeader> {
        let all = [KeyHeader::XApiKey, KeyHeader::XGoogApiKey, KeyHeader::ApiKey];
        match word {
            "bearer" => Some(KeyHeader::Bearer),
            word => all.into_iter().find(|header| header.name() == word),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            KeyHeader::Bearer => "authorization",
            KeyHeader::XApiKey => "x-api-key",
            KeyHeader::XGoogApiKey => "x-goog-api-key",
            KeyHeader::ApiKey => "api-key",
        }
    }

    pub fn value(self, key: &Secret) -> String {
        match self {
            KeyHeader::Bearer => format!("Bearer {}", key.expose()),
            KeyHeader::XApiKey | KeyHeader::XGoogApiKey | KeyHeader::ApiKey => key.expose().to_owned(),
        }
    }
}

/// Where a machine of Google's cloud learns who it is ("Access Google APIs from a VM", Compute Engine documentation).
const GOOGLE_MACHINE: Credentials = Credentials::Machine {
    url: "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token",
    header: ("metadata-flavor", "Google"),
};
/// The same in Azure ("How to use managed identities on a VM", Entra documentation).
const AZURE_MACHINE: Credentials = Credentials::Machine {
    url: "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
          &resource=https%3A%2F%2Fcognitiveservices.azure.com%2F",
    header: ("metadata", "true"),
};
/// Where Entra gives tokens, unless `authority` names a sovereign cloud.
const ENTRA: &str = "https://login.microsoftonline.com";
const MACHINE: &str = "machine";

/// Reads the credentials of one provider. Those of the environment are for the vendor's own address alone.
pub(super) fn read(
    fields: &mut Fields<'_>,
    row: &Row,
    place: &Place<'_>,
    report: &mut Report,
) -> Credentials {
    let written = [
        key(fields, row, place, report),
        entra(fields, place, report),
        google(fields, report),
        aws(fields, place, report),
    ];
    let kinds: Vec<Credentials> = written.into_iter().flatten().collect();
    if kinds.len() > 1 {
        let message = format!("{} has credentials of several kinds", place.what);
        report.error(place.at, message, "leave all but one out");
    }
    let written = kinds.into_iter().next();
    written.or_else(|| found(row, place)).unwrap_or(Credentials::None)
}

/// Whether any field of credentials is written, whole or not.
pub(super) fn are_written(fields: &Fields<'_>) -> bool {
    ["key", "entra", "service_account", "access_key"].iter().any(|field| fields.is_written(field))
}

fn key(fields: &mut Fields<'_>, row: &Row, place: &Place<'_>, report: &mut Report) -> Option<Credentials> {
    let key = secret(fields, "key", place, report)?;
    Some(Credentials::Key { header: header_of(row), key })
}

/// A vendor that signs or grants tokens takes keys and tokens of one's own as bearers.
fn header_of(row: &Row) -> KeyHeader {
    match row.style {
        Style::Key(header) => header,
        Style::None | Style::Aws | Style::Google => KeyHeader::Bearer,
    }
}

/// A value that must not be empty when it is written: an empty one is most often a variable that is not set.
fn secret(
    fields: &mut Fields<'_>,
    name: &'static str,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Secret> {
    let node = fields.get(name)?;
    let value = read::text(node, name, report)?.text.trim();
    if value.is_empty() {
        let message = format!("{} has an empty `{name}`", place.what);
        report.error(node.at, message, format!("set the variable, or leave `{name}` out"));
    }
    (!value.is_empty()).then(|| Secret::new(value))
}

fn entra(fields: &mut Fields<'_>, place: &Place<'_>, report: &mut Report) -> Option<Credentials> {
    let node = fields.get("entra")?;
    if is_machine(node) {
        return Some(AZURE_MACHINE);
    }
    let what = format!("`entra` of {}", place.what);
    let mut fields = Fields::of(node, &what, report)?;
    let authority = fields.get("authority").map(|node| super::address::url(node, "authority", &what, report));
    let place = Place { what: &what, at: node.at, ..*place };
    let tenant = secret(&mut fields, "tenant", &place, report);
    let client_id = secret(&mut fields, "client_id", &place, report);
    let client_secret = secret(&mut fields, "client_secret", &place, report);
    let missing: Vec<&str> = ["tenant", "client_id", "client_secret"]
        .into_iter()
        .filter(|name| !fields.is_written(name))
        .collect();
    fields.finish(report);
    if !missing.is_empty() {
        let message = format!("{what} has no `{}`", missing.join("`, no `"));
        let cure = "write `entra: {tenant: …, client_id: …, client_secret: …}`, or `entra: machine` for the identity of the machine";
        report.error(node.at, message, cure);
    }
    Some(Credentials::Entra {
        authority: authority.unwrap_or_else(|| Some(ENTRA.to_owned()))?.into(),
        tenant: tenant?.expose().into(),
        client_id: client_id?.expose().into(),
        client_secret: client_secret?,
    })
}

fn is_machine(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.text == MACHINE)
}

fn google(fields: &mut Fields<'_>, report: &mut Report) -> Option<Credentials> {
    let node = fields.get("service_account")?;
    if is_machine(node) {
        return Some(GOOGLE_MACHINE);
    }
    let account = read::text(node, "service_account", report)?.text.trim();
    if account.is_empty() {
        let cure = "write the path of the key's file, its JSON, or `machine` for the identity of the machine";
        report.error(node.at, "`service_account` is empty", cure);
        return None;
    }
    Some(Credentials::Google { account: Secret::new(account) })
}

fn aws(fields: &mut Fields<'_>, place: &Place<'_>, report: &mut Report) -> Option<Credentials> {
    let access_key = secret(fields, "access_key", place, report);
    let secret_key = secret(fields, "secret_key", place, report);
    let session_token = secret(fields, "session_token", place, report);
    let is_half = fields.is_written("access_key") != fields.is_written("secret_key");
    if is_half || (fields.is_written("session_token") && !fields.is_written("access_key")) {
        let message = format!("{} has only a part of its AWS credentials", place.what);
        report.error(
            place.at,
            message,
            "write `access_key` and `secret_key`, and `session_token` if they are temporary",
        );
    }
    Some(Credentials::Aws { access_key: access_key?.expose().into(), secret_key: secret_key?, session_token })
}

fn found(row: &Row, place: &Place<'_>) -> Option<Credentials> {
    if !place.is_own_address {
        return None;
    }
    let variable =
        |name: &str| (place.env)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let key = row.variables.iter().find_map(|known| variable(known.name));
    let key = key.as_deref().map(Secret::new);
    match row.style {
        Style::None => None,
        Style::Google => key.map(|account| Credentials::Google { account }),
        Style::Key(header) => key.map(|key| Credentials::Key { header, key }),
        Style::Aws => key.map(|key| Credentials::Key { header: KeyHeader::Bearer, key }).or_else(|| {
            Some(Credentials::Aws {
                access_key: variable("AWS_ACCESS_KEY_ID")?.into(),
                secret_key: Secret::new(&variable("AWS_SECRET_ACCESS_KEY")?),
                session_token: variable("AWS_SESSION_TOKEN").map(|token| Secret::new(&token)),
            })
        }),
    }
}
