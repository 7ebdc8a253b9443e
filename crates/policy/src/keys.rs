//! Virtual keys: who a secret speaks for, and what it may use.
//!
//! Secrets are known by their hash alone. They have 256 random bits, so a plain hash cannot be turned back; looking a
//! hash up tells nothing through its timing about the secret.

use std::{collections::HashMap, fmt, sync::Arc};

use gauntlet_types::{Code, Environment, Fault, Name, Target, Timestamp};

/// BLAKE3 of a whole secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    pub fn of(secret: &str) -> KeyHash {
        KeyHash(*blake3::hash(secret.as_bytes()).as_bytes())
    }

    /// Reads the hexadecimal form, as stored.
    pub fn parse(hex: &str) -> Option<KeyHash> {
        blake3::Hash::from_hex(hex).ok().map(|hash| KeyHash(*hash.as_bytes()))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeySource {
    Configuration,
    /// Made by `gauntlet key create` or in the console.
    Store,
}

/// What a key grants. A value bound here wins over whatever a caller claims.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyGrant {
    pub name: Name,
    pub hash: KeyHash,
    /// The last characters of the secret.
    pub hint: String,
    pub tenant: Name,
    pub team: Option<Name>,
    pub user: Option<Name>,
    pub environment: Option<Environment>,
    /// Routes the key may use; empty for all.
    pub routes: Vec<Name>,
    /// Models the key may use (alias, bare model, or `provider/model`); empty for all.
    pub models: Vec<Name>,
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    pub source: KeySource,
}

/// Characters of a secret that are shown to tell keys apart; few enough to leave it a secret.
const HINT_LENGTH: usize = 4;

impl KeyGrant {
    /// The end of a secret, if the secret is long enough to spare it.
    pub fn hint_of(secret: &str) -> String {
        let length = secret.chars().count();
        if length < 4 * HINT_LENGTH {
            String::new()
        } else {
            secret.chars().skip(length - HINT_LENGTH).collect()
        }
    }

    /// Refuses a key that is revoked or past its time.
    pub fn check(&self, at: Timestamp) -> Result<(), Fault> {
        let refuse = |what: &str| {
            Err(Fault::policy(Code::Unauthorized, format!("key `{}` {what}; ask for a new one", self.name)))
        };
        if self.revoked.is_some_and(|revoked| at >= revoked) {
            return refuse("was revoked");
        }
        match self.expires {
            Some(expires) if at >= expires => refuse(&format!("expired at {expires}")),
            _ => Ok(()),
        }
    }

    /// The route `default` stands for calls that name none; a key bound to routes may not use it unless it is listed.
    pub fn allows_route(&self, route: &str) -> bool {
        self.routes.is_empty() || self.routes.iter().any(|allowed| *allowed == *route)
    }

    /// Whether the key may use a model that the caller asks for by `asked` and that stands for `targets`.
    ///
    /// The name that was asked for is enough; else every target must be listed, so that a fallback does not lead to a
    /// model that the key may not use.
    pub fn allows_model(&self, asked: &str, targets: &[Target]) -> bool {
        let lists = |name: &str| self.models.iter().any(|allowed| *allowed == *name);
        self.models.is_empty()
            || lists(asked)
            || (!targets.is_empty()
                && targets.iter().all(|target| lists(&target.model) || lists(&target.to_string())))
    }
}

/// Every key by its hash; replaced as a whole.
#[derive(Clone, Default, Debug)]
pub struct KeyTable {
    grants: HashMap<KeyHash, Arc<KeyGrant>>,
}

impl KeyTable {
    pub fn new(grants: impl IntoIterator<Item = KeyGrant>) -> KeyTable {
        KeyTable { grants: grants.into_iter().map(|grant| (grant.hash, Arc::new(grant))).collect() }
    }

    /// The table with keys of the control store added. Of two keys with one secret the configuration's stays: what is
    /// written in a reviewed file is not loosened by a row.
    #[must_use]
    pub fn with_stored(&self, stored: Vec<KeyGrant>) -> KeyTable {
        let mut grants = self.grants.clone();
        for grant in stored {
            grants.entry(grant.hash).or_insert_with(|| Arc::new(grant));
        }
        KeyTable { grants }
    }

    /// The key of a secret, also one that expired or was revoked: [`KeyGrant::check`] says which.
    pub fn find(&self, secret: &str) -> Option<Arc<KeyGrant>> {
        self.grants.get(&KeyHash::of(secret)).cloned()
    }

    /// True while no key was ever made: revoked ones count, so that revoking the last key does not open the door.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<KeyGrant>> {
        self.grants.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(secret: &str) -> KeyGrant {
        KeyGrant {
            name: "app".into(),
            hash: KeyHash::of(secret),
            hint: KeyGrant::hint_of(secret),
            tenant: "acme".into(),
            team: None,
            user: None,
            environment: None,
            routes: vec!["support_bot".into()],
            models: vec!["support".into(), "gpt-4o".into(), "local/smollm2".into()],
            expires: Some(Timestamp(100)),
            revoked: None,
            source: KeySource::Store,
        }
    }

    #[test]
    fn keys_are_found_by_secret_alone() {
        let table = KeyTable::new([grant("one-long-secret-of-an-app")]);
        assert_eq!(table.find("one-long-secret-of-an-app").unwrap().name, "app");
        assert_eq!(table.find("one-long-secret-of-an-apq"), None);
        let mut other = grant("one-long-secret-of-an-app");
        other.name = "loose".into();
        let joined = table.with_stored(vec![other, grant("second")]);
        assert_eq!(joined.find("one-long-secret-of-an-app").unwrap().name, "app");
        assert!(joined.find("second").is_some() && table.find("second").is_none());
        let hash = KeyHash::of("x");
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
    }

    #[test]
    fn a_key_grants_what_it_lists_until_it_expires() {
        let grant = grant("one-long-secret-of-an-app");
        assert_eq!(grant.hint, "-app");
        assert!(grant.check(Timestamp(99)).is_ok());
        assert_eq!(grant.check(Timestamp(100)).unwrap_err().code, Code::Unauthorized);
        assert!(grant.allows_route("support_bot") && !grant.allows_route("default"));
        let target = |text| Target::parse(text).unwrap();
        assert!(grant.allows_model("support", &[]));
        assert!(grant.allows_model("fast", &[target("openai/gpt-4o"), target("local/smollm2")]));
        assert!(!grant.allows_model("fast", &[target("openai/gpt-4o"), target("other/smollm2")]));
        assert!(!grant.allows_model("other", &[]));
    }
}
