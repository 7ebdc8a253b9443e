//! The members of a JSON object, taken one by one: what is left in the end has no counterpart, and is said so.

use serde_json::{Map, Value, value::RawValue};

use crate::json::Malformed;

/// An object on its way into the neutral form, and where it stands in the body.
pub(crate) struct Members {
    path: String,
    map: Map<String, Value>,
}

impl Members {
    /// The whole body. Errors: not JSON, or no object.
    pub(crate) fn of_body(body: &[u8]) -> Result<Members, Malformed> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Members { path: String::new(), map }),
            Ok(_) => Err(Malformed::new("the body must be a JSON object")),
            Err(error) => Err(Malformed::new(format!("the body is not JSON: {error}"))),
        }
    }

    /// Errors: no object.
    pub(crate) fn of(value: Value, path: impl Into<String>) -> Result<Members, Malformed> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Members { path, map }),
            _ => Err(Malformed::field(path, "must be an object")),
        }
    }

    /// The path of a member, as a caller would write it.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A member; `null` counts as absent.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, Malformed> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Malformed::field(self.path(key), "must be a string")),
        }
    }

    pub(crate) fn needed(&mut self, key: &str) -> Result<String, Malformed> {
        self.text(key)?.ok_or_else(|| Malformed::field(self.path(key), "is missing"))
    }

    pub(crate) fn float(&mut self, key: &str) -> Result<Option<f64>, Malformed> {
        let value = self.take(key);
        value
            .map(|value| value.as_f64().ok_or_else(|| Malformed::field(self.path(key), "must be a number")))
            .transpose()
    }

    pub(crate) fn whole(&mut self, key: &str) -> Result<Option<u32>, Malformed> {
        let value = self.take(key);
        let read = |value: Value| {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| {
                Malformed::field(self.path(key), "must be a whole number from 0 to 4294967295")
            })
        };
        value.map(read).transpose()
    }

    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, Malformed> {
        let value = self.take(key);
        value
            .map(|value| {
                value.as_bool().ok_or_else(|| Malformed::field(self.path(key), "must be true or false"))
            })
            .transpose()
    }

    pub(crate) fn list(&mut self, key: &str) -> Result<Vec<Value>, Malformed> {
        match self.take(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Malformed::field(self.path(key), "must be an array")),
        }
    }

    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Members>, Malformed> {
        let path = self.path(key);
        self.take(key).map(|value| Members::of(value, path)).transpose()
    }

    /// A member as it is written, to be put elsewhere unread.
    pub(crate) fn raw(&mut self, key: &str) -> Option<Box<RawValue>> {
        self.take(key).map(|value| raw(&value))
    }

    /// Passes over a member that says nothing to anybody else.
    pub(crate) fn ignore(&mut self, keys: &[&str]) {
        keys.iter().for_each(|key| drop(self.map.shift_remove(*key)));
    }

    /// Lists what nobody took.
    pub(crate) fn rest(self, dropped: &mut Vec<String>) {
        for (key, value) in &self.map {
            if !value.is_null() {
                dropped.push(if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) });
            }
        }
    }
}

pub(crate) fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a value always has a JSON form")
}
