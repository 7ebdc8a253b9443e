//! What a caller may ask for: `GET /v1/models`.

use bytes::Bytes;
use gauntlet_types::{Code, Fault, Name};
use gauntlet_wire::openai::models;
use http::HeaderMap;

use crate::{gate::Gate, stage::admit};

impl Gate {
    /// The list, or one of it, for a caller with these headers. `path` is `/v1/models` or `/v1/models/{id}`.
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
        match path.strip_prefix("/v1/models/") {
            None => Ok(models::list(offered.iter().map(|(name, owner)| (name.as_str(), owner.as_str(), 0)))),
            Some(id) => match offered.iter().find(|(name, _)| *name == *id) {
                Some((name, owner)) => Ok(models::one(name, owner, 0)),
                None => {
                    let message =
                        format!("there is no model `{id}` for this key; GET /v1/models lists what there is");
                    Err(Fault::caller(Code::UnknownModel, message).param("model"))
                }
            },
        }
    }
}
