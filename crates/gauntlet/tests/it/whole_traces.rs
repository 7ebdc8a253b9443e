//! What an application did and what of it went through here is one tree: by page, by API, by command line.

use gauntlet_ports::{Arrived, StoredSpan, TraceStore};
use gauntlet_store::SqliteTraces;
use gauntlet_testkit::{Step, http};
use gauntlet_types::{SpanId, SpanKind, SpanRecord, Timestamp, Usage};
use serde_json::json;

use crate::app::TestApp;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn span(
    number: u64,
    parent: Option<u64>,
    name: &str,
    kind: SpanKind,
    started: i64,
    took_us: u64,
) -> StoredSpan {
    StoredSpan {
        record: SpanRecord {
            trace_id: TRACE.parse().unwrap(),
            span_id: SpanId(number),
            parent_span_id: parent.map(SpanId),
            name: name.into(),
            kind,
            started: Timestamp(started),
            took_us,
            is_error: kind == SpanKind::Tool,
            error_message: (kind == SpanKind::Tool).then(|| "the shop is <b>closed</b>".to_owned()),
            service: "shop".into(),
            scope: None,
            caller: gauntlet_types::Caller {
                tenant: "default".into(),
                session: Some("s-1".into()),
                ..Default::default()
            },
            provider: None,
            model: None,
            tool: None,
            documents: vec![],
            usage: Usage::default(),
            cost: None,
        },
        input: json!([{"role": "user", "content": format!("question {number}")}]).to_string().into(),
        output: "done".into(),
        rest: json!({"attributes": {"shop.order": number}}).to_string().into(),
    }
}

#[test]
fn spans_and_calls_of_a_trace_are_one_tree() {
    let mut app = TestApp::start(
        "models: {m: {targets: [prov/test-model]}}\nroutes: {bot: {model: m, max_tokens: 50}}",
    );
    app.provider.default(Step::answer(&["yes"]).usage(9, 5));
    let parent = format!("00-{TRACE}-0000000000000002-01");
    let headers = [("x-gauntlet-route", "bot"), ("traceparent", parent.as_str())];
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let reply = app.chat(&headers, &body);
    assert_eq!(reply.status, 200);
    let call = app.trace_of(&reply)["record"].clone();
    let request = call["id"].as_str().unwrap().to_owned();
    assert_eq!(call["parent_span_id"], "0000000000000002");
    let at = call["started"].as_i64().unwrap();
    let spans = [
        span(1, None, "handle", SpanKind::Agent, at - 50_000, 60_000_000),
        span(2, Some(1), "ask", SpanKind::Chain, at - 20_000, 30_000_000),
        span(3, Some(1), "look_up", SpanKind::Tool, at + 40_000_000, 5_000_000),
        span(4, Some(99), "late", SpanKind::Other, at + 50_000_000, 1_000),
    ];
    let store = SqliteTraces::open(app.data_dir().join("gauntlet.db")).unwrap();
    assert_eq!(store.append(Arrived { calls: &[], spans: &spans }, &[]).unwrap(), 4);

    let tree = app.api(&format!("/api/v1/trace-tree/{TRACE}"));
    let steps = tree["steps"].as_array().unwrap();
    let shown: Vec<_> = steps
        .iter()
        .map(|step| {
            format!(
                "{}{}",
                "  ".repeat(step["depth"].as_u64().unwrap() as usize),
                step["name"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(shown, ["handle", "  ask", "    bot", "  look_up", "late"]);
    assert_eq!((&steps[2]["sort"], &steps[2]["request_id"]), (&json!("call"), &json!(request)));
    assert_eq!(steps[4]["notes"], json!(["parent not received"]));
    assert_eq!(
        (&tree["spans"], &tree["calls"], &tree["errors"], &tree["cost"], &tree["name"]),
        (&json!(4), &json!(1), &json!(1), &call["cost"], &json!("handle"))
    );
    let part = app.api(&format!("/api/v1/trace-tree/{TRACE}?from=1&limit=2"));
    assert_eq!((part["steps"].as_array().unwrap().len(), &part["next"]), (2, &json!(3)));

    let found = app.api("/api/v1/spans?session=s-1&roots=true");
    assert_eq!(found["spans"][0]["record"]["name"], "handle");
    let pages = app.api("/api/v1/spans?limit=3");
    let rest = app.api(&format!("/api/v1/spans?limit=3&before={}", pages["next"].as_str().unwrap()));
    assert_eq!((rest["spans"].as_array().unwrap().len(), &rest["next"]), (1, &json!(null)));
    let one = app.api(&format!("/api/v1/spans/{TRACE}/0000000000000003"));
    assert_eq!((&one["rest"]["attributes"]["shop.order"], &one["output"]), (&json!(3), &json!("done")));
    let refused = |path: &str, status: u16, says: &str| {
        let reply = http::get(&app.url(path), &[]).unwrap();
        assert_eq!((reply.status, reply.text().contains(says)), (status, true), "{path}: {}", reply.text());
    };
    refused("/api/v1/spans?colour=red", 400, "there is no filter colour");
    refused("/api/v1/spans?kind=magic", 400, "kind cannot be magic");
    refused("/api/v1/spans/xyz/0000000000000003", 400, "32 hexadecimal digits");
    refused(&format!("/api/v1/spans/{TRACE}/00000000000000ff"), 404, "there is no span");
    refused("/api/v1/trace-tree/ffffffffffffffffffffffffffffffff", 404, "there is no trace");
    refused(&format!("/api/v1/trace-tree/{TRACE}?form=1"), 400, "there is no filter form");

    let page = |path: &str, wanted: &[&str]| {
        let reply = http::get(&app.url(path), &[]).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        for text in wanted {
            assert!(reply.text().contains(text), "{path} lacks {text}: {}", reply.text());
        }
    };
    page(
        &format!("/traces/{TRACE}"),
        &["<h1>handle</h1>", "parent not received", "kind gateway", ">bot</a>"],
    );
    page(
        &format!("/traces/{TRACE}?span=0000000000000003"),
        &["the shop is &lt;b&gt;closed&lt;/b&gt;", "shop.order", "question 3"],
    );
    page(&format!("/traces/{TRACE}?span={}", call["span_id"].as_str().unwrap()), &["Everything about it"]);
    page(&format!("/traces/{TRACE}?span=00000000000000ff&from=2"), &["has no step", "From the start"]);
    page(&format!("/traces/{request}"), &["Its trace", "look_up", "The whole trace"]);
    page("/spans?service=shop&errors=true", &["look_up", "Spans of applications"]);
    page(&format!("/traces/{}", request.trim_start_matches("r_")), &["Its trace"]);

    let printed = app.command(&["trace", "show", TRACE]).stdout;
    for text in ["handle [agent]", "    bot [gateway]", "✗ look_up [tool]", "(parent not received)", "█"]
    {
        assert!(printed.contains(text), "{text} in {printed}");
    }
    assert_eq!(app.command_json(&["trace", "show", TRACE])["steps"].as_array().unwrap().len(), 5);
    let bare = app.command(&["trace", "show", request.trim_start_matches("r_")]).stdout;
    assert!(bare.contains(&request), "{bare}");
    let listed = app.command(&["trace", "spans", "--kind", "tool"]).stdout;
    assert!(listed.contains("look_up") && !listed.contains("handle"), "{listed}");
    assert_eq!(app.command_json(&["trace", "spans", "--errors"])["spans"].as_array().unwrap().len(), 1);
    let spent = app.api("/api/v1/overview");
    assert_eq!(spent["today"]["total"]["calls"], 1, "spans count in no figure");
    app.stop();
}
