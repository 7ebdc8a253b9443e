//! A retriever that is asked now, over HTTP.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use gauntlet_evals::retrieval::{Query, Ranked};
use serde_json::{Map, Value};

use crate::cli::EvalRetrieval;

/// Of one answer: passages come along with their ids.
const BODY_MAX: u64 = 16 << 20;
/// Ids of one answer that are read; more than any retriever is asked for.
const IDS_MAX: usize = 10_000;
/// Where retrievers usually put their ids.
const USUAL: [&str; 8] =
    ["*", "*.id", "ids.*", "results.*.id", "documents.*.id", "matches.*.id", "hits.*.id", "data.*.id"];

/// Asks for every query, some at once. What fails is that query's error.
pub(super) fn ask(args: &EvalRetrieval, url: &str, queries: &[Query], k: usize) -> Result<Vec<Ranked>> {
    let headers = args.headers.iter().map(|header| read_header(header)).collect::<Result<Vec<_>>>()?;
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(args.timeout)))
        .max_redirects(0)
        .build();
    let agent: ureq::Agent = config.into();
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<Option<Ranked>>> = Mutex::new(vec![None; queries.len()]);
    thread::scope(|scope| {
        for _ in 0..args.concurrency {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    let Some(query) = queries.get(at) else { break };
                    let ranked = one(&agent, args, url, &headers, query, k);
                    answers.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(ranked);
                }
            });
        }
    });
    let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(answers
        .into_iter()
        .map(|ranked| ranked.unwrap_or_else(|| Err("it was not asked".to_owned())))
        .collect())
}

fn one(
    agent: &ureq::Agent,
    args: &EvalRetrieval,
    url: &str,
    headers: &[(String, String)],
    query: &Query,
    k: usize,
) -> Ranked {
    let mut body = Map::new();
    body.insert(args.query_field.clone(), query.text.as_str().into());
    body.insert(args.k_field.clone(), k.into());
    let mut request = agent.post(url).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut answer = request.send(Value::Object(body).to_string()).map_err(|error| match error {
        ureq::Error::Timeout(_) => {
            format!("no answer within {} s; --timeout says how long it may take", args.timeout)
        }
        error => format!("the retriever cannot be asked: {error}"),
    })?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("the retriever answered with status {}", status.as_u16()));
    }
    let bytes = answer.body_mut().with_config().limit(BODY_MAX).read_to_vec();
    let bytes = bytes.map_err(|error| format!("the answer cannot be read: {error}"))?;
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|error| format!("the answer is no JSON: {error}"))?;
    ids(&value, args.ids.as_deref(), args.scores.as_deref())
}

/// `name: value`, with `${NAME}` out of the environment, so that no secret stands in the list of processes.
fn read_header(header: &str) -> Result<(String, String)> {
    let Some((name, value)) = header.split_once(':') else {
        bail!("--header has no colon; write it as 'name: value'");
    };
    let mut out = String::new();
    let mut rest = value.trim();
    while let Some((before, after)) = rest.split_once("${") {
        let (variable, behind) = after.split_once('}').context("--header has `${` without `}`")?;
        let found = std::env::var(variable)
            .with_context(|| format!("--header names the variable {variable}, which is not set"))?;
        out.push_str(before);
        out.push_str(&found);
        rest = behind;
    }
    out.push_str(rest);
    Ok((name.trim().to_owned(), out))
}

/// Ids in their order, or by their scores where those are asked for.
fn ids(answer: &Value, path: Option<&str>, scores: Option<&str>) -> Ranked {
    let found = match path {
        Some(path) => texts(&at(answer, path)),
        None => USUAL
            .iter()
            .map(|path| texts(&at(answer, path)))
            .find(|found| !found.is_empty())
            .unwrap_or_default(),
    };
    if found.is_empty() && !is_empty_list(answer) {
        let cure = "say where they stand with --ids, such as --ids results.*.id";
        return match path {
            // A path that is there and leads to nothing is an answer without documents.
            Some(path) if parent_is_list(answer, path) => Ok(Vec::new()),
            Some(path) => Err(format!("the answer has no ids at `{path}`")),
            None => Err(format!("no ids are where they usually stand in an answer; {cure}")),
        };
    }
    let Some(path) = scores else { return Ok(found) };
    let scores: Vec<f64> = at(answer, path).iter().filter_map(|value| value.as_f64()).collect();
    if scores.len() != found.len() {
        return Err(format!("the answer has {} ids and {} scores at `{path}`", found.len(), scores.len()));
    }
    let mut ranked: Vec<(String, f64)> = found.into_iter().zip(scores).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(ranked.into_iter().map(|(id, _)| id).collect())
}

/// Texts and numbers as ids; nothing where anything else is among them.
fn texts(values: &[&Value]) -> Vec<String> {
    let text = |value: &&Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    values.iter().take(IDS_MAX).map(text).collect::<Option<_>>().unwrap_or_default()
}

/// Everything that a path such as `results.*.id` leads to; `*` is every entry of a list.
fn at<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut here = vec![value];
    for part in path.split('.').filter(|part| !part.is_empty() && *part != "$") {
        let next = here.into_iter().flat_map(|value| match (part, value) {
            ("*", Value::Array(items)) => items.iter().collect::<Vec<_>>(),
            (name, Value::Object(fields)) => fields.get(name).into_iter().collect(),
            (name, Value::Array(items)) => {
                name.parse::<usize>().ok().and_then(|at| items.get(at)).into_iter().collect()
            }
            _ => Vec::new(),
        });
        here = next.collect();
    }
    here
}

fn is_empty_list(answer: &Value) -> bool {
    let lists = ["", "ids", "results", "documents", "matches", "hits", "data"];
    lists.iter().any(|path| at(answer, path).iter().any(|value| value.as_array().is_some_and(Vec::is_empty)))
}

fn parent_is_list(answer: &Value, path: &str) -> bool {
    let parent = path.split_once(".*").map_or("", |(parent, _)| parent);
    path.contains('*') && at(answer, parent).iter().any(|value| value.as_array().is_some_and(Vec::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_found_where_retrievers_put_them() {
        let check =
            |answer: Value, path: Option<&str>, scores: Option<&str>, wanted: Result<&str, &str>| match (
                ids(&answer, path, scores),
                wanted,
            ) {
                (Ok(found), Ok(wanted)) => assert_eq!(found.join(" "), wanted, "{answer}"),
                (Err(found), Err(wanted)) => assert!(found.contains(wanted), "{found}"),
                (found, _) => panic!("{answer}: {found:?}"),
            };
        check(json!(["a", "b"]), None, None, Ok("a b"));
        check(json!({"results": [{"id": "a"}, {"id": 7}]}), None, None, Ok("a 7"));
        check(json!({"ids": ["a"]}), None, None, Ok("a"));
        check(json!({"hits": {"hits": [{"_id": "a"}]}}), Some("hits.hits.*._id"), None, Ok("a"));
        check(json!({"results": []}), None, None, Ok(""));
        check(json!({"r": {"docs": []}}), Some("r.docs.*.id"), None, Ok(""));
        check(
            json!({"r": [{"id": "a", "s": 0.1}, {"id": "b", "s": 0.9}]}),
            Some("r.*.id"),
            Some("r.*.s"),
            Ok("b a"),
        );
        check(json!({"r": [{"id": "a"}]}), None, None, Err("--ids"));
        check(json!({"r": [{"id": "a"}]}), Some("r.*.name"), None, Err("no ids at `r.*.name`"));
        check(json!({"r": [{"id": "a"}]}), Some("r.*.id"), Some("r.*.s"), Err("1 ids and 0 scores"));
        check(json!({"error": "x"}), None, None, Err("--ids"));
    }

    #[test]
    fn a_header_names_its_secret_and_does_not_hold_it() {
        assert_eq!(read_header("x-a: b").unwrap(), ("x-a".to_owned(), "b".to_owned()));
        let path = std::env::var("PATH").unwrap();
        assert_eq!(read_header("x-a: p ${PATH}!").unwrap().1, format!("p {path}!"));
        assert!(read_header("x-a").unwrap_err().to_string().contains("name: value"));
        assert!(read_header("x-a: ${NOBODY_SET_THIS_ONE}").unwrap_err().to_string().contains("is not set"));
    }
}
