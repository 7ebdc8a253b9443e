//! The page of a whole trace, and the list of spans.

use gauntlet_console::{
    tree::{Tree, What},
    *,
};
use gauntlet_ports::SpanRow;
use gauntlet_types::{CallRecord, Document, SpanId, Timestamp, ToolCall, ToolResult};

use super::{HOSTILE, SHELL, is_sound, list, sample, says};

fn whole_of(spans: &[SpanRow], from: Option<usize>, opened: Option<Opened>) -> String {
    let calls = [sample::traced_call()];
    let tree = Tree::of(spans, &calls);
    let view = WholeView { trace: sample::call().record.trace_id, tree: &tree, is_all: true, from, opened };
    whole_trace(&SHELL, &view)
}

#[test]
fn a_whole_trace_is_one_tree_of_spans_and_calls() {
    let spans = sample::spans();
    let page = whole_of(&spans, None, None);
    is_sound(&page);
    says(
        &page,
        &["<h1>handle_message</h1>", "shop-agent", "ok, with errors in it", "$0.000994", "Said by spans"],
    );
    says(&page, &["parent not received", "starts before its parent", "ends after its parent"]);
    let places: Vec<_> =
        ["retrieve_policy</a>", "embed</a>", "answer</a>", "support_bot</a>", "refund_create</a>"]
            .map(|name| page.find(name).unwrap_or_else(|| panic!("{name} in:\n{page}")))
            .into();
    assert!(places.is_sorted(), "each below its parent, by start: {places:?}");
    says(
        &page,
        &[
            "class=\"name d2\"><span class=\"kind gateway\">",
            "retry",
            "/traces/4bf92f3577b34da6a3ce929d0e0e4736?span=0000000000000004#step",
        ]
        .map(|text| if text == "retry" { "kind attempt" } else { text }),
    );
    says(&page, &["/spans?session=c-8841", "/spans?service=shop-agent", "/spans?trace_id=4bf9"]);
}

#[test]
fn tools_stand_in_the_tree_with_what_they_gave_back() {
    let mut asked = sample::traced_call();
    asked.tool_calls =
        [("t1", "look_up", "{\"order\":4471}"), ("t2", "refund_create", "{}"), ("t3", "never_run", "{}")]
            .map(|(id, name, arguments)| ToolCall {
                id: id.into(),
                name: name.into(),
                arguments: arguments.into(),
            })
            .into();
    let result =
        |id: &str, output: &str| ToolResult { id: id.into(), output: output.into(), ..ToolResult::default() };
    let after = |ms: i64, results: Vec<ToolResult>| CallRecord {
        span_id: SpanId(0xbeef + ms as u64),
        started: Timestamp(asked.started.0 + ms * 1000),
        tool_calls: vec![],
        tool_results: results,
        ..asked.clone()
    };
    let elsewhere =
        ToolResult { name: "weather".into(), arguments: "{\"in\":\"Oslo\"}".into(), ..result("t9", "rain") };
    let brought = after(4_000, vec![result("t1", "sent on Tuesday"), result("t2", "done"), elsewhere]);
    let again = after(9_000, vec![result("t1", "not this one")]);
    let (spans, calls) = (sample::spans(), [again, asked.clone(), brought]);
    let tree = Tree::of(&spans, &calls);
    let tools: Vec<_> = tree
        .steps
        .iter()
        .filter_map(|step| match step.what {
            What::Tool(tool) => Some((tool.name, tool.arguments, tool.output, step.start_us, step.took_us)),
            _ => None,
        })
        .collect();
    let end = 900_000 + asked.latency_us;
    // The application traced refund_create itself.
    assert_eq!(
        tools,
        [
            ("look_up", "{\"order\":4471}", Some("sent on Tuesday"), end, 4_900_000 - end),
            ("never_run", "{}", None, end, 0),
            ("weather", "{\"in\":\"Oslo\"}", Some("rain"), 4_900_000, 0),
        ]
    );
    assert_eq!(tree.sums().calls, 3);
    let view = WholeView { trace: asked.trace_id, tree: &tree, is_all: true, from: None, opened: None };
    let page = whole_trace(&SHELL, &view);
    is_sound(&page);
    says(&page, &["look_up</a>", "{&quot;order&quot;:4471} · sent on Tuesday", "no result seen"]);
}

#[test]
fn an_open_step_tells_everything_its_sender_said() {
    let spans = sample::spans();
    let span = sample::span(2);
    let page = whole_of(&spans, None, Some(Opened::Span(&span)));
    is_sound(&page);
    says(&page, &["policy/refunds#2", "0.8812", "bubble user", "Where is my order 4471?", "bubble system"]);
    says(
        &page,
        &["openinference.span.kind", "AGENT", "telemetry.sdk.language", "exception.type", "Raw JSON"],
    );
    says(&page, &["?span=0000000000000001#step", "openinference.instrumentation.langchain", "c-8841"]);
    assert_eq!(page.matches("aria-current=\"true\"").count(), 1, "the open step is marked");
    let tool = sample::span(5);
    says(
        &whole_of(&spans, None, Some(Opened::Span(&tool))),
        &["Arguments", "Result", "the ledger refused: amount above 50.00"],
    );
    let call = sample::call();
    says(
        &whole_of(&spans, None, Some(Opened::Call(&call))),
        &["Everything about it", "Conversation", "guard input"],
    );
    let missing = Opened::Missing(SpanId(0xff));
    says(&whole_of(&spans, None, Some(missing)), &["has no step <code>00000000000000ff</code>"]);
}

#[test]
fn a_hundred_thousand_steps_make_a_page_that_opens() {
    let first = sample::spans().remove(0);
    let mut spans: Vec<SpanRow> = (0..100_000u64)
        .map(|number| {
            let mut row = first.clone();
            row.seq = number as i64;
            row.record.span_id = SpanId(number + 1);
            row.record.parent_span_id = (number > 0).then_some(SpanId(1 + number / 10));
            row.record.name = format!("step-{number}").into();
            row.record.started = Timestamp(first.record.started.0 + number as i64);
            row
        })
        .collect();
    spans[90_000].record.is_error = true;
    let page = whole_of(&spans, None, None);
    is_sound(&page);
    assert!(page.len() < 250_000, "{}", page.len());
    says(&page, &["100,000", "step-90000</a>", "more steps", "?from="]);
    let later = whole_of(&spans, Some(50_000), None);
    assert!(later.len() < 250_000, "{}", later.len());
    says(&later, &["From the start", "50,000 more steps", "?from=50200"]);
}

#[test]
fn spans_are_listed_and_keep_their_filter() {
    let rows = sample::spans();
    let query =
        spans_from_query("service=shop-agent&kind=tool&errors=true&last=24h&color=1&roots=x", sample::NOW);
    let next = next_of(&gauntlet_ports::SpanFilter { limit: 7, ..Default::default() }, &rows);
    let page = spans(&SHELL, &SpansView { query: &query, rows: &rows, next });
    is_sound(&page);
    says(&page, &["Not applied: roots cannot be x", "refund_create", "Where is my order 4471?", "c-8841"]);
    says(
        &page,
        &["value=\"tool\" selected", "aria-current=\"page\">Spans of applications", "before=17771423"],
    );
    let calls = list("", &sample::rows(), Facets::default());
    says(&calls, &["aria-current=\"page\">Calls", "href=\"/spans\""]);
    let nothing =
        spans(&SHELL, &SpansView { query: &spans_from_query("", sample::NOW), rows: &[], next: None });
    is_sound(&nothing);
    says(&nothing, &["No spans yet"]);
    let none = SpansView { query: &query, rows: &[], next: None };
    says(&spans(&SHELL, &none), &["No span matches"]);
}

#[test]
fn no_field_of_a_span_gets_out_of_its_place() {
    let mut rows = sample::spans();
    for row in &mut rows {
        let record = &mut row.record;
        record.name = HOSTILE.into();
        record.service = HOSTILE.into();
        record.tool = Some(format!("tool {HOSTILE}").into());
        record.model = Some(HOSTILE.into());
        record.caller.user = Some(HOSTILE.into());
        record.caller.session = Some(HOSTILE.into());
        record.error_message = Some(HOSTILE.repeat(50));
        (row.input_preview, row.output_preview) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    }
    // What was typed into a field stands in it as it was.
    let typed = HOSTILE.replace('\u{202e}', "");
    let query = spans_from_query(&format!("name={typed}&kind={HOSTILE}"), sample::NOW);
    is_sound(&spans(&SHELL, &SpansView { query: &query, rows: &rows, next: None }));
    let mut span = sample::span(2);
    span.record = rows[0].record.clone();
    span.record.scope = Some(HOSTILE.into());
    span.record.documents = vec![Document { id: HOSTILE.into(), score: Some(f64::NAN) }; 500];
    let json = serde_json::json!({
        "attributes": {HOSTILE: HOSTILE, "deep": [{HOSTILE: HOSTILE}]},
        "resource": {HOSTILE: HOSTILE.repeat(1_000)},
        "events": vec![serde_json::json!({"name": HOSTILE, "text": HOSTILE.repeat(100)}); 200],
    });
    span.rest = json.to_string().into();
    for texts in [
        serde_json::json!([{"role": HOSTILE, "content": HOSTILE.repeat(2_000)}]).to_string(),
        HOSTILE.repeat(5_000),
        serde_json::json!({HOSTILE: HOSTILE}).to_string(),
        "[1,2".to_owned(),
    ] {
        span.input = texts.clone().into();
        span.output = texts.into();
        let page = whole_of(&rows, None, Some(Opened::Span(&span)));
        is_sound(&page);
        assert!(page.len() < 200_000, "{}", page.len());
    }
}
