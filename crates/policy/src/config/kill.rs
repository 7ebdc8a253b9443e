//! Kill switches: tenants, routes, models and keys that are stopped at once.

use std::{collections::HashMap, sync::Arc};

use gauntlet_types::{Name, Target, Timestamp};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KillScope {
    Tenant,
    Route,
    Model,
    Key,
}

impl KillScope {
    pub const fn as_str(self) -> &'static str {
        match self {
            KillScope::Tenant => "tenant",
            KillScope::Route => "route",
            KillScope::Model => "model",
            KillScope::Key => "key",
        }
    }
}

/// A thrown switch. A model is named by alias, by its bare name, or as `provider/model`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KillEntry {
    pub scope: KillScope,
    pub name: Name,
    pub reason: String,
    pub since: Timestamp,
}

/// Every thrown switch; a set that is replaced as a whole.
#[derive(Clone, Default, Debug)]
pub struct Kills {
    scopes: [HashMap<Name, Arc<KillEntry>>; 4],
}

impl Kills {
    pub fn new(entries: impl IntoIterator<Item = KillEntry>) -> Kills {
        let mut kills = Kills::default();
        for entry in entries {
            kills.scopes[entry.scope as usize].insert(entry.name.clone(), Arc::new(entry));
        }
        kills
    }

    pub fn is_empty(&self) -> bool {
        self.scopes.iter().all(HashMap::is_empty)
    }

    /// The first switch that stops such a call, looking at tenant, key, route and model in this order.
    pub fn hit(
        &self,
        tenant: &str,
        route: &str,
        model: &str,
        target: Option<&Target>,
        key: Option<&str>,
    ) -> Option<&KillEntry> {
        self.find(KillScope::Tenant, tenant)
            .or_else(|| self.find(KillScope::Key, key?))
            .or_else(|| self.find(KillScope::Route, route))
            .or_else(|| self.alias(model))
            .or_else(|| self.target(target?))
    }

    /// The switch of a model by the name a caller uses.
    pub fn alias(&self, model: &str) -> Option<&KillEntry> {
        self.find(KillScope::Model, model)
    }

    /// The switch of a target: by `provider/model`, or by the bare model at any provider.
    pub fn target(&self, target: &Target) -> Option<&KillEntry> {
        // Without this, every call would write out `provider/model` to look into an empty set.
        if self.scopes[KillScope::Model as usize].is_empty() {
            return None;
        }
        self.find(KillScope::Model, &target.model)
            .or_else(|| self.find(KillScope::Model, &target.to_string()))
    }

    fn find(&self, scope: KillScope, name: &str) -> Option<&KillEntry> {
        self.scopes[scope as usize].get(name).map(|entry| &**entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_stopped_by_alias_bare_name_or_target() {
        let kills = |scope, name: &str| {
            Kills::new([KillEntry { scope, name: name.into(), reason: "drill".into(), since: Timestamp(0) }])
        };
        let target = Target::parse("openai/gpt-4o").unwrap();
        let hit = |kills: &Kills| {
            kills
                .hit("acme", "support_bot", "support", Some(&target), Some("app"))
                .map(|entry| entry.name.to_string())
        };
        for name in ["support", "gpt-4o", "openai/gpt-4o"] {
            assert_eq!(hit(&kills(KillScope::Model, name)).as_deref(), Some(name));
        }
        assert_eq!(hit(&kills(KillScope::Model, "azure/gpt-4o")), None);
        assert_eq!(hit(&kills(KillScope::Tenant, "acme")).as_deref(), Some("acme"));
        assert_eq!(hit(&kills(KillScope::Route, "support_bot")).as_deref(), Some("support_bot"));
        assert_eq!(hit(&kills(KillScope::Key, "app")).as_deref(), Some("app"));
        assert_eq!(hit(&kills(KillScope::Key, "acme")), None);
        assert_eq!(hit(&Kills::default()), None);
    }
}
