//! What a caller may ask for: `GET /v1/models`.

use bytes::Bytes;
use gauntlet_types::{Code, Dialect, Fault, Name};
use gauntlet_wire::models;
use http::HeaderMap;

use crate::{gate::Gate, stage::admit};

impl Gate {
    /// The list, or one of it, for a caller with these headers. `path` is `/v1/models`,
    /// `/v1/models/{id}`, or the same below `/v1beta`.
    pub fn models(&self, headers: &HeaderMap, path: &str) -> Result<Bytes, Fault> {
        let snapshot = self.shared.snapshot.load();
        let grant = admit::authenticate(&snapshot.policy, headers, self.shared.clock.now())?;
        let config = snapshot.policy.config();
        // Aliases under their own name, and every target they lead to, which may be asked for directly.
        let mut offered: Vec<(Name, Name)> =
            config.models.keys().map(|alias| (alias.clone(), "gauntlet".into())).collect();
        for target in config.targets() {
            offered.push((target.to_string().into(), target.provider.clone()));
        }
        for (provider, endpoint) in snapshot.endpoints.iter() {
            if matches!(endpoint.kind, gauntlet_ports::EndpointKind::Sim(_)) {
                offered.push((format!("{provider}/hello").into(), provider.clone()));
            }
        }
        if let Some(grant) = &grant {
            offered.retain(|(name, _)| {
                let choices = config.models.get(name).map_or(&[][..], |model| &model.choices[..]);
                let targets: Vec<_> = choices.iter().map(|choice| choice.target.clone()).collect();
                grant.allows_model(name, &targets)
            });
        }
        offered.sort();
        offered.dedup();
        let offered: Vec<(&str, &str)> =
            offered.iter().map(|(name, owner)| (name.as_str(), owner.as_str())).collect();
        let (dialect, wanted) = asked(headers, path);
        match wanted {
            None => Ok(models::list(dialect, &offered)),
            Some(id) => match offered.iter().find(|(name, _)| *name == id) {
                Some((name, owner)) => Ok(models::one(dialect, name, owner)),
                None => {
                    let message =
                        format!("there is no model `{id}` for this key; GET /v1/models lists what there is");
                    Err(Fault::caller(Code::UnknownModel, message).param("model"))
                }
            },
        }
    }
}

/// Whose SDK asks, and for which model; none for all.
fn asked<'a>(headers: &HeaderMap, path: &'a str) -> (Dialect, Option<&'a str>) {
    let one = |rest: &'a str| rest.strip_prefix('/').filter(|id| !id.is_empty());
    match path.strip_prefix("/v1beta/models") {
        Some(rest) => (Dialect::Gemini, one(rest)),
        None => {
            let is_anthropic = headers.contains_key("anthropic-version");
            let dialect = if is_anthropic { Dialect::Messages } else { Dialect::Chat };
            (dialect, path.strip_prefix("/v1/models").and_then(one))
        }
    }
}

/// The dialect in which the caller of a list is told what went wrong.
pub fn manners(headers: &HeaderMap, path: &str) -> Dialect {
    asked(headers, path).0
}
