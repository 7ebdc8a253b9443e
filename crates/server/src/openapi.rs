//! The HTTP API as an OpenAPI document, at `/api/openapi.json`: for client generators, and for people's tools.
//!
//! What there is stands in one table, `openapi/api.txt`; a test holds it against the routes. Answers are described as JSON and no
//! further: their shapes are in `docs/`.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

const TABLE: &str = include_str!("openapi/api.txt");

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

pub(crate) async fn get() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// One line of the table.
struct Operation {
    tag: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: Vec<Field>,
    /// None: the request has no body. An empty one is described elsewhere.
    body: Option<Vec<Field>>,
}

#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    kind: &'static str,
    is_required: bool,
}

impl Field {
    fn parse(text: &'static str) -> Field {
        let (name, kind) = text.split_once(':').unwrap_or((text, "string"));
        Field { name: name.trim_start_matches('!'), kind, is_required: name.starts_with('!') }
    }

    fn schema(self) -> Value {
        match self.kind {
            "time" => json!({"type": "string", "format": "date-time"}),
            "any" => json!({}),
            kind => json!({"type": kind}),
        }
    }
}

fn operations() -> Vec<Operation> {
    let filters = |name: &str| -> Vec<Field> {
        let mut lists = TABLE.lines().filter_map(|line| line.strip_prefix("filters ")?.split_once(" = "));
        let found = lists.find(|(list, _)| *list == name);
        found.map_or_else(Vec::new, |(_, fields)| fields.split_whitespace().map(Field::parse).collect())
    };
    let fields = |text: &'static str| -> Vec<Field> {
        let words = text.split_whitespace().filter(|word| *word != "…");
        words
            .flat_map(|word| match filters(word) {
                list if list.is_empty() => vec![Field::parse(word)],
                list => list,
            })
            .collect()
    };
    let mut tag = "";
    let mut operations = Vec::new();
    for line in TABLE.lines() {
        if let Some(named) = line.strip_prefix('[') {
            tag = named.trim_end_matches(']');
            continue;
        }
        let mut parts = line.split('|').map(str::trim);
        let Some((method, path)) = parts.next().and_then(|call| call.split_once(' ')) else { continue };
        if !["get", "post", "delete"].contains(&method) {
            continue;
        }
        let mut next = || parts.next().unwrap_or_default();
        let (summary, query, body) = (next(), next(), next());
        operations.push(Operation {
            tag,
            method,
            path,
            summary,
            query: fields(query),
            body: (!body.is_empty()).then(|| fields(body)),
        });
    }
    operations
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(&operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gauntlet",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The management API, and the doors that models are called by. Doors take and give what the vendor's own \
                API does; its documentation says what.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "security": [{"operator": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "operator": {
                    "type": "http", "scheme": "bearer",
                    "description": "The operator's token; none is needed on this machine while the gateway listens on loopback alone. \
                        Doors take a caller's key.",
                },
            },
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": {
                        "type": "object",
                        "required": ["message", "type", "code"],
                        "properties": {
                            "message": {"type": "string"}, "type": {"type": "string"},
                            "code": {"type": "string", "description": "Stable; docs/api.md lists them."},
                            "param": {"type": ["string", "null"]},
                        },
                    }},
                },
            },
        },
    })
}

fn described(operation: &Operation) -> Value {
    let error = json!({
        "description": "What is wrong, and the cure",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    });
    let in_path =
        operation.path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(
            |(name, _)| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}),
        );
    let in_query = operation.query.iter().map(|field| {
        json!({"name": field.name, "in": "query", "required": field.is_required, "schema": field.schema()})
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let mut described = json!({
        "operationId": id_of(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": {"200": {"description": "Done"}, "default": error},
    });
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some(fields) = &operation.body {
        let mut schema = json!({"type": "object"});
        if !fields.is_empty() {
            let required: Vec<&str> =
                fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
            let properties: Map<String, Value> =
                fields.iter().map(|field| (field.name.to_owned(), field.schema())).collect();
            schema["properties"] = properties.into();
            schema["additionalProperties"] = false.into();
            schema["required"] = required.into();
        }
        described["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    }
    described
}

/// `post_api_v1_prompts_promote`: unique, and a name in every language.
fn id_of(operation: &Operation) -> String {
    let mut id = operation.method.to_owned();
    for letter in operation.path.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() => id.push(letter),
            '{' | '}' => {}
            _ if id.ends_with('_') => {}
            _ => id.push('_'),
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// `get /api/v1/keys` of every route under `/api/v1` that the source declares.
    fn declared(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("the source") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                declared(&path, found);
                continue;
            }
            if path.extension().is_none_or(|kind| kind != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file");
            for route in text.split(".route(").skip(1) {
                let Some(path) = route.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next())
                else {
                    continue;
                };
                // To the end of the call: the next route, or the next item of the file.
                let end = route.find("\n}").unwrap_or(route.len());
                for method in ["get", "post", "delete"] {
                    let is_there = [format!(" {method}("), format!(".{method}(")]
                        .iter()
                        .any(|call| route[..end].contains(call.as_str()));
                    if is_there && path.starts_with("/api/v1/") {
                        found.insert(format!("{method} {}", path.replace("{*", "{")));
                    }
                }
            }
        }
    }

    #[test]
    fn the_document_has_every_route_and_no_other() {
        let mut routes = BTreeSet::new();
        declared(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut routes);
        assert!(routes.len() > 50, "{routes:?}");
        let told: BTreeSet<String> = operations()
            .iter()
            .filter(|operation| operation.path.starts_with("/api/v1/"))
            .map(|operation| format!("{} {}", operation.method, operation.path))
            .collect();
        let missing: Vec<_> = routes.difference(&told).collect();
        let invented: Vec<_> = told.difference(&routes).collect();
        assert!(missing.is_empty() && invented.is_empty(), "missing {missing:?}, invented {invented:?}");
    }

    #[test]
    fn every_operation_is_described_once_and_names_its_fields() {
        let document = document();
        let operations = operations();
        let ids: BTreeSet<String> = operations.iter().map(id_of).collect();
        assert_eq!(ids.len(), operations.len());
        assert!(
            operations.iter().all(|operation| !operation.tag.is_empty() && !operation.summary.is_empty())
        );
        let promote = &document["paths"]["/api/v1/prompts/promote"]["post"];
        let schema = &promote["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(
            (&schema["required"], &schema["properties"]["force"]["type"]),
            (&json!(["prompt"]), &json!("boolean"))
        );
        let traces = &document["paths"]["/api/v1/traces"]["get"]["parameters"];
        let names: Vec<&str> =
            traces.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
        assert!(names.contains(&"cost_min") && names.len() > 25, "{names:?}");
        let kill = &document["paths"]["/api/v1/kills/{kind}/{name}"]["delete"]["parameters"];
        assert_eq!(
            (&kill[0]["name"], &kill[1]["name"], &kill[0]["in"]),
            (&json!("kind"), &json!("name"), &json!("path"))
        );
    }
}
