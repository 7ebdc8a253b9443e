//! Clients of the world outside, unchanged but for their base URL: each holds the same conversations through every door that
//! it speaks, with a provider of the same dialect behind it and with providers of others. What the client saw is checked,
//! and what the provider was told; the provider refuses what its vendor would refuse.

mod table;

use std::collections::BTreeMap;

use gauntlet_testkit::{Client, Format, Heard, Provider, Seen, provider::model};
use serde_json::{Value, json};
use table::{CLIENTS, Door, Spoken, UPSTREAMS, Upstream};

use crate::app::TestApp;

/// What each vendor seals its thoughts with.
pub(super) fn seal_of(format: Format) -> &'static str {
    match format {
        Format::Messages => "EqQBCkYIAxgCKkBhbnRocm9waWM=",
        // Without the two letters that Google's SDK for Python writes otherwise than it has read them.
        Format::Gemini => "CikBgeminiSignatureA",
        Format::Responses => "gAAAAABopenai-cipher_A==",
        Format::Converse => "EqQBbedrock+seal==",
        Format::Chat | Format::Completions => "",
    }
}

/// One server that is every vendor, each at its own path, and a model of few words behind all of them.
pub(super) fn vendors() -> Provider {
    let provider = Provider::start();
    provider.respond(|seen| model::answer(seen, seal_of(seen.format())));
    provider
}

/// A gateway with an alias for each kind of provider, named for it.
pub(super) fn gateway(vendors: &Provider, more: &str, files: &[(&str, &str)]) -> TestApp {
    let (url, origin) = (vendors.url(), vendors.origin());
    TestApp::with_files(
        &format!(
            "  chat: {{dialect: openai, url: \"{url}\", key: chat-secret, serves: [chat, completions, embeddings], price: free}}\n  \
             responses: {{dialect: openai, url: \"{url}\", key: responses-secret, serves: [responses], price: free}}\n  \
             messages: {{dialect: anthropic, url: \"{origin}\", key: messages-secret, price: free}}\n  \
             gemini: {{dialect: gemini, url: \"{origin}\", key: gemini-secret, price: free}}\n  \
             converse: {{like: bedrock, url: \"{origin}\", key: converse-secret, region: eu-central-1, price: free}}\n\
             models:\n  on-chat: {{targets: [chat/test-model]}}\n  on-responses: {{targets: [responses/test-model]}}\n  \
             on-messages: {{targets: [messages/test-model]}}\n  on-gemini: {{targets: [gemini/test-model]}}\n  \
             on-converse: {{targets: [converse/test-model]}}\n  on-paid: {{targets: [prov/test-model]}}\n{more}"
        ),
        files,
    )
}

/// A case, and what its client and its provider must have seen.
struct Case {
    id: String,
    thing: &'static str,
    door: Door,
    upstream: Upstream,
    asked: Value,
}

fn cases(spoken: &[Spoken], vendors: &Provider) -> Vec<Case> {
    let mut cases = Vec::new();
    for Spoken { door, prefix, things } in spoken {
        for upstream in UPSTREAMS {
            for thing in *things {
                let streams: &[bool] =
                    if ["tools", "thought"].contains(thing) { &[false, true] } else { &[false] };
                for stream in streams.iter().copied() {
                    if !upstream.can(*door, thing) {
                        continue;
                    }
                    let way = if stream { " streamed" } else { "" };
                    let id = format!("{} {thing}{way} on {}", door.as_str(), upstream.as_str());
                    let (does, topic) = match *thing {
                        "thought" => ("thought", "Do think of it"),
                        "cached" => ("plain", "Do you remember?"),
                        other => (other, "What is the weather in Paris and in Oslo?"),
                    };
                    let mut asked = json!({
                        "id": id, "do": format!("{prefix}{does}"), "door": door.as_str(), "stream": stream,
                        "model": upstream.model(), "prompt": format!("{topic} [{id}]"),
                    });
                    if upstream == Upstream::Direct {
                        asked["base"] = vendors.origin().into();
                    }
                    cases.push(Case { id, thing, door: *door, upstream, asked });
                }
            }
        }
    }
    cases
}

/// The requests of a case, as the provider got them, in order: its id stands in its prompt.
fn requests_of(all: &[Seen], id: &str) -> Vec<Heard> {
    let mark = format!("[{id}]");
    let heard = all.iter().filter(|seen| !seen.path.contains("mbed")).map(Seen::heard);
    heard.filter(|heard| heard.user.iter().any(|said| said.contains(&mark))).collect()
}

/// Everything that is wrong with a case; empty when all is well.
fn faults(case: &Case, seen: &Value, requests: &[Heard], seal: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |what: &str, got: &Value, wanted: Value| {
        if *got != wanted {
            faults.push(format!("{}: {what} is {got}, not {wanted}", case.id));
        }
    };
    if seen["ok"] != true {
        return vec![format!("{}: {seen:#}", case.id)];
    }
    let usage = |turns: u64| json!([9 * turns, 12 * turns]);
    match case.thing {
        "plain" | "stream" => {
            check("text", &seen["text"], json!(model::SAYS));
            if !seen["usage"].is_null() {
                check("usage", &seen["usage"], usage(1));
            }
            let pieces = seen["pieces"].as_u64().unwrap_or(3);
            check("a stream in pieces", &json!(pieces >= 3), json!(true));
            if case.upstream != Upstream::Direct {
                check("requests", &json!(requests.len()), json!(1));
            }
            // Every client but the legacy one has told the model to be brief.
            let told: Vec<&str> = requests.iter().map(|heard| heard.system.as_str()).collect();
            if case.door != Door::Completions {
                check("system prompt", &json!(told), json!(["Be brief."]));
            }
        }
        "tools" => {
            let calls = model::ASKS_FOR.map(|city| json!(["get_weather", {"city": city}]));
            check("calls", &seen["calls"], json!(calls));
            check("text", &seen["text"], json!(model::CONCLUDES));
            let second = requests.last().cloned().unwrap_or_default();
            let repeated: Vec<Value> =
                second.calls.iter().map(|call| json!([call.name, call.arguments])).collect();
            check("repeated calls", &json!(repeated), json!(calls));
            let results: Vec<bool> = ["21 degrees", "7 degrees"]
                .iter()
                .zip(&second.results)
                .map(|(wanted, result)| result.text.contains(wanted))
                .collect();
            check("results", &json!(results), json!([true, true]));
            let ids = |id: fn(usize, &Heard) -> String| [id(0, &second), id(1, &second)];
            let of_calls =
                ids(|at, heard| heard.calls.get(at).map(|call| call.id.clone()).unwrap_or_default());
            let of_results =
                ids(|at, heard| heard.results.get(at).map(|result| result.id.clone()).unwrap_or_default());
            check("ids of the results", &json!(of_results), json!(of_calls));
        }
        "schema" => {
            check("parsed", &seen["parsed"], json!({"city": "Paris", "celsius": 21.5}));
            let heard = requests.last().cloned().unwrap_or_default();
            let is_shaped = heard.schema.is_some() || !heard.tools.is_empty();
            check("a shape at the provider", &json!(is_shaped), json!(true));
        }
        "thought" => {
            check("text", &seen["text"], json!(model::SAYS));
            check("thought", &seen["thought"], json!(model::THINKS));
            let second = requests.last().cloned().unwrap_or_default();
            let seals: Vec<&str> = second.thoughts.iter().map(|(_, seal)| seal.as_str()).collect();
            let wanted = if seal.is_empty() { vec![] } else { vec![seal] };
            check("seals in the second turn", &json!(seals), json!(wanted));
        }
        "count" => {
            check("tokens", &json!(seen["count"].as_u64().is_some_and(|count| count > 0)), json!(true))
        }
        "cached" => {
            check("cached tokens", &seen["cached"], json!(4));
            // Anthropic counts them beside the others, everybody else among them.
            let input = if case.door == Door::Messages { 5 } else { 9 };
            check("usage", &seen["usage"], json!([input, 12]));
        }
        "embed" => {
            check("vectors", &seen["count"], json!(2));
            check("dimensions", &seen["dimensions"], json!(8));
        }
        "models" => {
            let is_listed = seen["ids"].as_array().is_some_and(|ids| {
                ids.iter().filter_map(Value::as_str).any(|id| id.ends_with("on-messages"))
            });
            check("the alias is listed", &json!(is_listed), json!(true));
        }
        other => faults.push(format!("there is no thing `{other}`")),
    }
    faults
}

fn converse(driver: &'static str) {
    let (_, spoken) = CLIENTS.iter().find(|(name, _)| *name == driver).expect("it stands in the table");
    let vendors = vendors();
    let app = gateway(&vendors, "", &[]);
    let cases = cases(spoken, &vendors);
    let asked: Vec<Value> = cases.iter().map(|case| case.asked.clone()).collect();
    let Some(seen) = (Client { driver }).run(&app.url(""), "any", &asked) else { return };
    let requests = vendors.requests();
    let found: BTreeMap<&str, Vec<String>> = cases
        .iter()
        .map(|case| {
            let mine = requests_of(&requests, &case.id);
            let seal = case.upstream.format(case.door).map_or("", seal_of);
            (case.id.as_str(), faults(case, &seen[&case.id], &mine, seal))
        })
        .filter(|(_, faults)| !faults.is_empty())
        .collect();
    let count = cases.len();
    let listed: Vec<String> = found.values().flatten().cloned().collect();
    assert!(found.is_empty(), "{driver}: {} of {count} cases fail:\n{}", found.len(), listed.join("\n"));
}

macro_rules! clients {
    ($($name:ident: $driver:literal,)*) => {
        $(#[test]
        fn $name() {
            converse($driver);
        })*

        #[test]
        fn every_client_of_the_table_has_its_test() {
            let tested = [$($driver),*];
            assert_eq!(tested.as_slice(), CLIENTS.map(|(driver, _)| driver).as_slice());
        }
    };
}

clients! {
    the_openai_sdk_for_python_speaks_to_every_provider: "openai_sdk.py",
    the_anthropic_sdk_for_python_speaks_to_every_provider: "anthropic_sdk.py",
    the_google_sdk_for_python_speaks_to_every_provider: "google_sdk.py",
    langchain_speaks_to_every_provider: "langchain_sdk.py",
    litellm_speaks_to_every_provider: "litellm_sdk.py",
    the_agents_sdk_speaks_to_every_provider: "agents_sdk.py",
    the_openai_sdk_for_node_speaks_to_every_provider: "openai_sdk.mjs",
    the_anthropic_sdk_for_node_speaks_to_every_provider: "anthropic_sdk.mjs",
    the_google_sdk_for_node_speaks_to_every_provider: "google_sdk.mjs",
    the_vercel_ai_sdk_speaks_to_every_provider: "vercel_ai_sdk.mjs",
}
