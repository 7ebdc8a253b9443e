//! What goes wrong is told to each client in the words of its door, so that it raises its own exception.

use gauntlet_testkit::Client;
use serde_json::{Value, json};

use crate::{app::TestApp, sdks_everywhere};

/// A fault, how to bring it about, and the status that it has.
const FAULTS: [(&str, u16); 6] = [
    ("wrong key", 401),
    ("unknown model", 404),
    ("budget", 429),
    ("rate", 429),
    ("blocked by a guard", 400),
    ("provider overloaded", 502),
];

/// A client, the door and the `do` it is asked by, and its exceptions for each of the faults; any of its bases will do.
struct Wanted {
    driver: &'static str,
    door: &'static str,
    thing: &'static str,
    classes: [&'static str; FAULTS.len()],
    /// Whether its exceptions keep the answer's headers.
    keeps_headers: bool,
}

const OPENAI: [&str; FAULTS.len()] = [
    "AuthenticationError",
    "NotFoundError",
    "RateLimitError",
    "RateLimitError",
    "BadRequestError",
    "InternalServerError",
];

/// It has a class for 502 beside those that it takes from OpenAI's SDK.
const LITELLM: [&str; FAULTS.len()] = [
    "AuthenticationError",
    "NotFoundError",
    "RateLimitError",
    "RateLimitError",
    "BadRequestError",
    "BadGatewayError",
];

const fn wanted(
    driver: &'static str,
    door: &'static str,
    thing: &'static str,
    classes: [&'static str; FAULTS.len()],
    keeps_headers: bool,
) -> Wanted {
    Wanted { driver, door, thing, classes, keeps_headers }
}

const WANTED: [Wanted; 16] = [
    wanted("openai_sdk.py", "chat", "chat_plain", OPENAI, true),
    wanted("openai_sdk.py", "responses", "responses_plain", OPENAI, true),
    wanted("openai_sdk.py", "responses", "responses_stream", OPENAI, true),
    wanted("anthropic_sdk.py", "messages", "plain", OPENAI, true),
    wanted("anthropic_sdk.py", "messages", "stream", OPENAI, true),
    wanted("google_sdk.py", "gemini", "plain", GOOGLE, false),
    wanted("google_sdk.py", "gemini", "stream", GOOGLE, false),
    wanted("langchain_sdk.py", "messages", "plain", OPENAI, true),
    wanted("litellm_sdk.py", "chat", "plain", LITELLM, false),
    wanted("litellm_sdk.py", "messages", "plain", LITELLM, false),
    wanted("agents_sdk.py", "responses", "plain", OPENAI, true),
    wanted("openai_sdk.mjs", "chat", "chat_plain", OPENAI, true),
    wanted("anthropic_sdk.mjs", "messages", "plain", OPENAI, true),
    wanted("google_sdk.mjs", "gemini", "plain", ["ApiError"; FAULTS.len()], false),
    wanted("vercel_ai_sdk.mjs", "messages", "plain", ["APICallError"; FAULTS.len()], true),
    wanted("vercel_ai_sdk.mjs", "gemini", "stream", ["APICallError"; FAULTS.len()], true),
];

const GOOGLE: [&str; FAULTS.len()] =
    ["ClientError", "ClientError", "ClientError", "ClientError", "ClientError", "ServerError"];

/// How the fault is brought about: the case, and one before it that may go well.
fn cases(wanted: &Wanted, fault: &str) -> Vec<Value> {
    let case = |key: &str, model: &str, prompt: &str| {
        json!({
            "id": format!("{} {} {fault}", wanted.door, wanted.thing), "do": wanted.thing, "door": wanted.door,
            "key": key, "model": model, "prompt": prompt,
        })
    };
    let fine = "rich-key-0123456789";
    match fault {
        "wrong key" => vec![case("wrong-key-0123456789", "on-chat", "hello")],
        "unknown model" => vec![case(fine, "nobody-knows", "hello")],
        "budget" => vec![case("poor-key-0123456789", "on-paid", "hello")],
        "rate" => vec![case("slow-key-0123456789", "on-chat", "hello")],
        "blocked by a guard" => vec![case(fine, "on-chat", "my card is 4111 1111 1111 1111")],
        "provider overloaded" => vec![case(fine, "on-chat", "are you overloaded")],
        other => panic!("there is no fault `{other}`"),
    }
}

fn app(vendors: &gauntlet_testkit::Provider) -> TestApp {
    let keys = ["rich", "poor", "slow"]
        .map(|name| format!("  - {{name: {name}, key: {name}-key-0123456789, tenant: {name}}}\n"));
    let more = format!(
        "default:\n  input: {{pii: block}}\n  retry: {{attempts: 1}}\nkeys:\n{}limits:\n  tenants: {{slow: {{rpm: 1}}}}\n",
        keys.concat()
    );
    sdks_everywhere::gateway(
        vendors,
        &more,
        &[("budgets.yml", "tenants:\n  poor: {daily_usd: 0.000000001}\n")],
    )
}

#[test]
fn every_client_raises_its_own_exception_for_each_fault() {
    let vendors = sdks_everywhere::vendors();
    let mut drivers: Vec<&str> = WANTED.iter().map(|wanted| wanted.driver).collect();
    drivers.dedup();
    let mut wrong = Vec::new();
    for driver in drivers {
        // A gateway of its own, since the limit of a minute is used up.
        let app = app(&vendors);
        let warm = json!({"model": "on-chat", "messages": [{"role": "user", "content": "hello"}]});
        assert_eq!(app.chat(&[("authorization", "Bearer slow-key-0123456789")], &warm).status, 200);
        let mine: Vec<&Wanted> = WANTED.iter().filter(|wanted| wanted.driver == driver).collect();
        let asked: Vec<Value> = mine
            .iter()
            .flat_map(|wanted| FAULTS.iter().flat_map(|(fault, _)| cases(wanted, fault)))
            .collect();
        let driver = mine[0].driver;
        let Some(seen) = (Client { driver }).run(&app.url(""), "any", &asked) else { continue };
        for wanted in mine {
            for ((fault, status), class) in FAULTS.iter().zip(wanted.classes) {
                let id = format!("{} {} {fault}", wanted.door, wanted.thing);
                let error = &seen[&id]["error"];
                let bases = error["bases"].as_array().cloned().unwrap_or_default();
                let is_class = error["class"] == class || bases.contains(&json!(class));
                let is_status = error["status"].is_null() || error["status"] == *status;
                let waits = error["retry_after"]
                    .as_str()
                    .is_some_and(|wait| wait.parse::<u32>().is_ok_and(|wait| wait <= 60));
                let is_told =
                    !["rate", "provider overloaded"].contains(fault) || !wanted.keeps_headers || waits;
                if !is_class || !is_status || !is_told {
                    wrong.push(format!("{driver} {id}: {class} {status} was wanted: {}", seen[&id]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Streams that break off after their first words: (client, door, `do`, what it raises).
const BROKEN: [(&str, &str, &str, &str); 9] = [
    ("openai_sdk.py", "chat", "chat_stream", "APIError"),
    ("openai_sdk.py", "responses", "responses_stream", "ResponseFailed"),
    ("anthropic_sdk.py", "messages", "stream", "APIStatusError"),
    ("google_sdk.py", "gemini", "stream", "APIError"),
    ("openai_sdk.mjs", "chat", "chat_stream", "APIError"),
    ("anthropic_sdk.mjs", "messages", "stream", "APIError"),
    ("google_sdk.mjs", "gemini", "stream", "ApiError"),
    ("langchain_sdk.py", "messages", "stream", "APIStatusError"),
    ("litellm_sdk.py", "messages", "stream", "APIError"),
];

#[test]
fn a_stream_that_breaks_off_is_an_exception_of_every_client_too() {
    let vendors = sdks_everywhere::vendors();
    let app = sdks_everywhere::gateway(&vendors, "default: {retry: {attempts: 1}}\n", &[]);
    let mut wrong = Vec::new();
    for (driver, door, thing, class) in BROKEN {
        let upstreams = ["on-chat", "on-messages", "on-gemini", "on-responses"];
        let case = |model: &&str| json!({"id": model, "do": thing, "door": door, "model": model, "prompt": "break off"});
        let asked: Vec<Value> = upstreams.iter().map(case).collect();
        let Some(seen) = (Client { driver }).run(&app.url(""), "any", &asked) else { continue };
        for model in upstreams {
            let error = &seen[model]["error"];
            let bases = error["bases"].as_array().cloned().unwrap_or_default();
            if error["class"] != class && !bases.contains(&json!(class)) {
                wrong.push(format!("{driver} {door} {model}: {class} was wanted: {}", seen[model]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
