//! The list of models.

use bytes::Bytes;

use crate::json::quote;

/// The body of `GET /v1/models`; `created` is in seconds since 1970.
pub fn list<'a>(models: impl Iterator<Item = (&'a str, &'a str, i64)>) -> Bytes {
    let mut body = br#"{"object":"list","data":["#.to_vec();
    for (index, (id, owned_by, created)) in models.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write(&mut body, id, owned_by, created);
    }
    body.extend_from_slice(b"]}");
    body.into()
}

/// The body of `GET /v1/models/{id}`.
pub fn one(id: &str, owned_by: &str, created: i64) -> Bytes {
    let mut body = Vec::new();
    write(&mut body, id, owned_by, created);
    body.into()
}

fn write(body: &mut Vec<u8>, id: &str, owned_by: &str, created: i64) {
    body.extend_from_slice(b"{\"id\":");
    body.extend_from_slice(&quote(id));
    body.extend_from_slice(format!(r#","object":"model","created":{created},"owned_by":"#).as_bytes());
    body.extend_from_slice(&quote(owned_by));
    body.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_openais_shape() {
        assert_eq!(list(std::iter::empty()), r#"{"object":"list","data":[]}"#);
        let models = [("a/\"b\"", "acme", 7), ("c", "gauntlet", 0)];
        assert_eq!(
            list(models.into_iter()),
            concat!(
                r#"{"object":"list","data":[{"id":"a/\"b\"","object":"model","created":7,"owned_by":"acme"},"#,
                r#"{"id":"c","object":"model","created":0,"owned_by":"gauntlet"}]}"#
            )
        );
        assert_eq!(one("c", "x", 1), r#"{"id":"c","object":"model","created":1,"owned_by":"x"}"#);
    }
}
