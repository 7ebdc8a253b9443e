//! What goes wrong is told to each client in the words of its door, so that it raises its own exception.

use gauntlet_testkit::Client;
use serde_json::{Value, json};

use crate::{app::TestApp, sdks_everywhere};

/// A fault, and the status that it has.
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

const FINE: &str = "rich-key-0123456789";

impl Wanted {
    fn id(&self, fault: &str) -> String {
        format!("{} {} {fault}", self.door, self.thing)
    }

    /// How a fault is brought about.
    fn case(&self, fault: &str) -> Value {
        let (key, model, prompt) = match fault {
            "wrong key" => ("wrong-key-0123456789", "on-chat", "hello"),
            "unknown model" => (FINE, "nobody-knows", "hello"),
            "budget" => ("poor-key-0123456789", "on-paid", "hello"),
            "rate" => ("slow-key-0123456789", "on-chat", "hello"),
            "blocked by a guard" => (FINE, "on-chat", "my card is 4111 1111 1111 1111"),
            "provider overloaded" => (FINE, "on-chat", "are you overloaded"),
            other => panic!("there is no fault `{other}`"),
        };
        json!({
            "id": self.id(fault), "do": self.thing, "door": self.door, "key": key, "model": model, "prompt": prompt,
        })
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

/// What a client raises when a stream breaks off after its first words: (client, door, `do`, its exception).
const BROKEN: [(&str, &str, &str, &str); 9] = [
    ("openai_sdk.py", "chat", "chat_stream", "APIError"),
    ("openai_sdk.py", "responses", "responses_stream", "ResponseFailed"),
    ("anthropic_sdk.py", "messages", "stream", "APIStatusError"),
    ("google_sdk.py", "gemini", "stream", "APIError"),
    ("langchain_sdk.py", "messages", "stream", "APIStatusError"),
    ("litellm_sdk.py", "messages", "stream", "APIError"),
    ("openai_sdk.mjs", "chat", "chat_stream", "APIError"),
    ("anthropic_sdk.mjs", "messages", "stream", "APIError"),
    ("google_sdk.mjs", "gemini", "stream", "ApiError"),
];

const UPSTREAMS: [&str; 4] = ["on-chat", "on-messages", "on-gemini", "on-responses"];

fn broken_case(door: &str, thing: &str, model: &str) -> Value {
    json!({
        "id": format!("{door} broken {model}"), "do": thing, "door": door, "key": FINE, "model": model,
        "prompt": "break off",
    })
}

/// Whether an exception is of a class, or of one that stands on it.
fn is_of(error: &Value, class: &str) -> bool {
    let bases = error["bases"].as_array();
    error["class"] == class || bases.is_some_and(|bases| bases.iter().any(|base| base == class))
}

/// What is wrong with what a client raised; empty when all is well.
fn wrongs(driver: &str, seen: &std::collections::BTreeMap<String, Value>) -> Vec<String> {
    let mut wrongs = Vec::new();
    for wanted in WANTED.iter().filter(|wanted| wanted.driver == driver) {
        for ((fault, status), class) in FAULTS.iter().zip(wanted.classes) {
            let seen = &seen[&wanted.id(fault)];
            let error = &seen["error"];
            let is_status = error["status"].is_null() || error["status"] == *status;
            let wait = error["retry_after"].as_str().and_then(|wait| wait.parse::<u32>().ok());
            let tells_when = *fault == "rate" || *fault == "provider overloaded";
            let is_told =
                !tells_when || !wanted.keeps_headers || wait.is_some_and(|wait| (1..=60).contains(&wait));
            if !is_of(error, class) || !is_status || !is_told {
                wrongs.push(format!("{driver}: {class} {status} was wanted: {seen}"));
            }
        }
    }
    for (_, door, _, class) in BROKEN.iter().filter(|(name, ..)| *name == driver) {
        for model in UPSTREAMS {
            let seen = &seen[&format!("{door} broken {model}")];
            if !is_of(&seen["error"], class) {
                wrongs.push(format!("{driver}: {class} was wanted: {seen}"));
            }
        }
    }
    wrongs
}

#[test]
fn every_client_raises_its_own_exception_for_each_fault_and_for_streams_that_break() {
    let vendors = sdks_everywhere::vendors();
    let mut drivers: Vec<&str> = WANTED.iter().map(|wanted| wanted.driver).collect();
    drivers.dedup();
    assert!(BROKEN.iter().all(|(driver, ..)| drivers.contains(driver)), "every client of the table is run");
    let mut wrong = Vec::new();
    // A process a client, and a gateway of its own for each, since the limit of a minute is used up.
    for driver in drivers {
        let app = app(&vendors);
        let warm = json!({"model": "on-chat", "messages": [{"role": "user", "content": "hello"}]});
        assert_eq!(app.chat(&[("authorization", "Bearer slow-key-0123456789")], &warm).status, 200);
        let mine = WANTED.iter().filter(|wanted| wanted.driver == driver);
        let faults = mine.flat_map(|wanted| FAULTS.iter().map(move |(fault, _)| wanted.case(fault)));
        let broken = BROKEN.iter().filter(|(name, ..)| *name == driver).flat_map(|(_, door, thing, _)| {
            UPSTREAMS.iter().map(|model| broken_case(door, thing, model)).collect::<Vec<Value>>()
        });
        let asked: Vec<Value> = faults.chain(broken).collect();
        let Some(client) = WANTED.iter().find(|wanted| wanted.driver == driver) else { continue };
        let Some(seen) = (Client { driver: client.driver }).run(&app.url(""), "any", &asked) else {
            continue;
        };
        wrong.extend(wrongs(driver, &seen));
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}
