//! The pages, by the facts they show and the tricks they do not fall for.

mod evals;
mod sample;
mod whole;

use gauntlet_console::{tree::Tree, *};
use gauntlet_ports::{
    Event, EventKind, Kill, KillKind, Overview, OverviewRow, Severity, SpendRow, TraceCursor, TraceFilter,
};
use gauntlet_types::{
    Attempt, AttemptEnd, CallId, Day, Measure, NanoUsd, PromptRef, Target, Timestamp, ToolCall,
};

const SHELL: Shell =
    Shell { version: "0.1.0", now: sample::NOW, notice: None, signed_in: false, csrf: Some("c5rf-token") };

/// Every way out of a text, an attribute, an address, a script; and an order of letters turned around.
const HOSTILE: &str =
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}gpj.exe&javascript:alert(1)";

fn overview_of(today: &Overview, budgets: Vec<BudgetLine>, kills: &[Kill], shell: &Shell) -> String {
    let (hours, week, last_hour) = (sample::hours(), sample::week(), sample::last_hour());
    overview(
        shell,
        &OverviewView {
            today,
            last_hour: &last_hour,
            hours: &hours,
            week: &week,
            budgets,
            kills,
            events: &[],
            evals: EvalsGlance::default(),
            warnings: vec![],
            sim: false,
        },
    )
}

fn list(query: &str, rows: &[gauntlet_ports::TraceRow], facets: Facets) -> String {
    let query = filter_from_query(query, sample::NOW);
    traces(
        &SHELL,
        &TracesView {
            query: &query,
            rows,
            next: rows.last().map(|row| TraceCursor::Call(row.id)),
            looked_back_to: None,
            facets,
        },
    )
}

fn page_of(call: &gauntlet_ports::StoredCall) -> String {
    trace(&SHELL, &TraceView { call, said: call, tree: &Tree::default() })
}

fn says(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "the page lacks `{text}`:\n{page}");
    }
}

/// What holds for every page: nothing is run, styled inline or fetched from elsewhere, and it can be walked through.
fn is_sound(page: &str) {
    for bad in [
        "<script>",
        "<img",
        "javascript:\"",
        " style=\"",
        "onerror=\"",
        "<style",
        "\u{202e}",
        "src=\"http",
        "url(",
    ] {
        assert!(!page.contains(bad), "`{bad}` in:\n{page}");
    }
    // The one script is ours and comes from a file.
    assert_eq!(page.matches("<script").count(), 1);
    // Outside its quoted values, no tag has a handler.
    for tag in page.split('<').skip(1) {
        let bare: String = tag.split('>').next().unwrap_or("").split('"').step_by(2).collect();
        assert!(!bare.contains(" on"), "<{tag}");
    }
    says(
        page,
        &[
            "<main id=\"main\"",
            "class=\"skip\" href=\"#main\"",
            "<html lang=\"en\">",
            &style_path(),
            &script_path(),
        ],
    );
    assert_eq!(page.matches("<h1").count(), 1);
}

#[test]
fn the_overview_shows_what_today_costs() {
    let page = overview_of(&sample::today(), sample::budgets(), &[], &SHELL);
    is_sound(&page);
    says(&page, &["$18.42", "4,812", "5.97 M", "7 d $92.10", "2.57 s", "title=\"18.42 USD\""]);
    says(&page, &["<a href=\"/traces?route=support_bot\">", "<a href=\"/traces?model=claude-sonnet-4-5\">"]);
    says(&page, &["<a href=\"/traces?tenant=globex\">", "aria-label=\"Spend by hour, Last 24 hours: $"]);
    says(
        &page,
        &[
            "aria-label=\"Calls by day, Last 7 days: 25,642 in all",
            "<title>17:00: 88 calls, 0 errors, 1 refused</title>",
        ],
    );
    // The last hour, with what failed in it, and the minutes in which nothing happened.
    says(
        &page,
        &[
            "aria-label=\"Calls by the minute, last hour: 536 in all, 20 of them errors, at most 16 in one\"",
            "<title>18:22: 12 calls, 6 errors, 0 refused</title>",
            "<title>17:55: no calls</title>",
            "<title>17:55: p95 –</title>",
            "<span>17:43</span><span>18:13</span><span>18:42</span>",
        ],
    );
    // A route that rests today is listed for its week.
    let mut quiet = sample::today();
    quiet.by_route.retain(|row| row.name != "invoice_extract");
    says(&overview_of(&quiet, vec![], &[], &SHELL), &["/traces?route=invoice_extract", "$14.80"]);
}

#[test]
fn budgets_warn_at_eighty_percent_and_show_debt() {
    let line = |spent: i64, held: i64, cap: i64| BudgetLine {
        scope: "tenant_daily".into(),
        key: "acme".into(),
        measure: Measure::Usd,
        spent,
        held,
        cap,
        resets: Some(Timestamp(sample::NOW.0 + 90 * 60_000_000)),
    };
    let check = |line: BudgetLine, class: &str, texts: &[&str]| {
        let page = overview_of(&sample::today(), vec![line], &[], &SHELL);
        says(&page, &[&format!("<li class=\"{class}\">"), "resets in 1 h 30 m"]);
        says(&page, texts);
    };
    check(line(799_999_999, 0, 1_000_000_000), "calm", &["79 %"]);
    check(line(700_000_000, 100_000_000, 1_000_000_000), "near", &["80 %", "$0.10 held", "close to its cap"]);
    check(line(1_000_000_000, 0, 1_000_000_000), "full", &["100 %", "used up"]);
    check(line(1_250_000_000, 0, 1_000_000_000), "full", &["125 %", "debt $0.25"]);
    check(line(0, 0, 0), "full", &["$0.00 of $0.00", "used up"]);
    check(line(i64::MAX, i64::MAX, 1), "full", &["used up", "debt"]);
}

#[test]
fn kill_switches_can_be_undone_only_with_proof() {
    let page = overview_of(&sample::today(), vec![], &sample::kills(), &SHELL);
    says(
        &page,
        &[
            "action=\"/kills/undo\"",
            "name=\"kind\" value=\"model\"",
            "name=\"name\" value=\"gpt-4o-2024-05-13\"",
        ],
    );
    says(&page, &["name=\"csrf\" value=\"c5rf-token\"", "answers in the wrong language"]);
    let bare = overview_of(&sample::today(), vec![], &sample::kills(), &Shell { csrf: None, ..SHELL });
    says(&bare, &["Kill switches thrown"]);
    assert!(!bare.contains("<form"));
}

#[test]
fn an_empty_start_says_what_to_do_next() {
    let none = Overview::default();
    let view = OverviewView {
        today: &none,
        last_hour: &none,
        hours: &[],
        week: &none,
        budgets: vec![],
        kills: &[],
        events: &[],
        evals: EvalsGlance::default(),
        warnings: vec![],
        sim: true,
    };
    says(&overview(&SHELL, &view), &["curl ", "/v1/chat/completions", "simulated provider", "budgets.yml"]);
    says(&list("", &[], Facets::default()), &["No calls yet", "curl "]);
    let page = list("route=nowhere", &[], Facets::default());
    says(&page, &["No call matches", "<a href=\"/traces\">Show all calls"]);
    assert!(!page.contains("curl "));
}

#[test]
fn the_list_shows_a_call_and_keeps_its_filter() {
    let rows = sample::rows();
    let routes = ["support_bot".to_owned(), "search_answers".to_owned()];
    let query = "route=support_bot&user=ann&last=24h&cost_min=0.01&outcome=failed";
    let page = list(query, &rows, Facets { routes: &routes, ..Facets::default() });
    is_sound(&page);
    says(
        &page,
        &["<option value=\"support_bot\" selected>", "name=\"user\" value=\"ann\"", "value=\"0.01\""],
    );
    says(&page, &["<option value=\"failed\" selected>", "name=\"last\" value=\"24h\""]);
    let older = format!("before={}", rows[49].id);
    says(&page, &[&older, "last=24h", "Older →", "cost_min=0.01&amp;last=1h\">1h</a>"]);
    says(
        &page,
        &[&format!("href=\"/traces/{}\"", rows[0].id), "Where is my order 4471?", "340 → 24", "$0.000051"],
    );
    says(&page, &["412 ms", "180 ms", "outcome bad\">blocked", "pill warn\">redact", ">hit<", "~2,028"]);
    assert!(page.len() < 60_000, "{}", page.len());
    // A value of a link that no list knows survives the form.
    let page = list("route=gone", &rows[..1], Facets { routes: &routes, ..Facets::default() });
    says(&page, &["<option value=\"gone\" selected>"]);
    says(&list("outcome=great", &[], Facets::default()), &["Not applied: outcome cannot be great"]);
}

#[test]
fn full_pages_stay_small() {
    let mut rows = sample::rows();
    for row in &mut rows {
        row.input_preview = "A question that goes on for long. ".repeat(6);
        row.output_preview = "An answer that goes on for even longer. ".repeat(5);
    }
    let page = list("", &rows, Facets::default());
    assert!(page.len() < 60_000, "{}", page.len());

    let mut many = sample::today();
    let some = many.by_route[0].clone();
    for group in [&mut many.by_route, &mut many.by_model, &mut many.by_tenant] {
        *group = (0..500)
            .map(|at| OverviewRow { name: format!("a-rather-long-name-{at}"), ..some.clone() })
            .collect();
    }
    let budgets = sample::budgets().into_iter().cycle().take(5_000).collect();
    let kills: Vec<Kill> = sample::kills().into_iter().cycle().take(100).collect();
    let page = overview_of(&many, budgets, &kills, &SHELL);
    // Sixty minutes twice are a sixth of it.
    assert!(page.len() < 75_000, "{}", page.len());
    says(&page, &["and 495 more", "and 4984 less used", "and 80 more."]);

    let mut call = sample::call();
    let messages: Vec<_> = (0..400)
        .map(|at| format!("{{\"role\":\"user\",\"content\":\"{at} {}\"}}", "\\\"".repeat(9_000)))
        .collect();
    call.input = format!("{{\"messages\":[{}]}}", messages.join(",")).into();
    call.record.attempts = vec![call.record.attempts[0].clone(); 500];
    let page = page_of(&call);
    assert!(page.len() < 60_000, "{}", page.len());
    says(&page, &["earlier messages are left out here", "gauntlet trace show", "468 more attempts"]);
}

#[test]
fn the_call_page_tells_the_whole_story() {
    let (spans, calls) = (sample::spans(), [sample::traced_call()]);
    let tree = Tree::of(&spans, &calls);
    let page = trace(&SHELL, &TraceView { call: &sample::call(), said: &sample::call(), tree: &tree });
    is_sound(&page);
    says(
        &page,
        &["outcome good\">ok", "$0.000994", "2.87 s", "1.90 s", "1,436 → 96", "anthropic/claude-haiku-4-5"],
    );
    says(
        &page,
        &["error status 429", "retry 1: error status 503", "fallback: answered 200", "rate limit reached"],
    );
    says(&page, &["starts at 617 µs, takes 2.87 s", "guard input", "first token after 1.90 s"]);
    says(
        &page,
        &["You answer customers of a shoe shop.\nBe short", "image: image/png;base64, 22 bytes inline"],
    );
    says(
        &page,
        &["refund_create", "&quot;sum&quot;: &quot;89.90&quot;", "finish: tool_calls", "charged twice. I am"],
    );
    says(
        &page,
        &[
            "CREDIT_CARD",
            "checksum holds",
            "SHA-256",
            "Input, read from cache",
            "1,024",
            "Held before the call",
        ],
    );
    says(
        &page,
        &["/traces?prompt_name=refund&amp;prompt_version=2.1.0", "/traces?tenant=globex", "/traces?user=ann"],
    );
    says(
        &page,
        &["/traces?session=c-8841", "/traces?app_sha=9f31c2e", "/traces?key=app", "/traces?team=care"],
    );
    says(
        &page,
        &["route_user_daily on 2026-04-25", "Fields left out", "logit_bias", "stream_options", "0.92"],
    );
    says(
        &page,
        &["Its trace", "aria-current=\"true\"", "/traces/4bf92f3577b34da6a3ce929d0e0e4736\">The whole trace"],
    );
    assert!(page.len() < 60_000, "{}", page.len());
}

#[test]
fn a_failed_call_says_why_and_has_no_answer() {
    let page = page_of(&sample::failed_call());
    says(
        &page,
        &[
            "<code>upstream_failed</code>",
            "every target failed",
            "There is no answer: the call ended as failed.",
        ],
    );
    let mut bare = sample::call();
    (bare.input, bare.output) = Default::default();
    bare.record.tool_calls.clear();
    says(
        &page_of(&bare),
        &["The route keeps no text of what was asked.", "The route keeps no text of the answer."],
    );
}

#[test]
fn no_field_of_a_call_gets_out_of_its_place() {
    let mut call = sample::call();
    let record = &mut call.record;
    let caller = &mut record.caller;
    caller.tenant = HOSTILE.into();
    for field in
        [&mut caller.team, &mut caller.user, &mut caller.session, &mut caller.key, &mut caller.app_sha]
    {
        *field = Some(HOSTILE.into());
    }
    caller.eval_id = Some(HOSTILE.into());
    caller.tags = vec![HOSTILE.into()];
    for field in
        [&mut record.route, &mut record.model_asked, &mut record.price_version, &mut record.config_version]
    {
        *field = HOSTILE.into();
    }
    let target = Target { provider: HOSTILE.into(), model: HOSTILE.into() };
    record.target = Some(target.clone());
    record.model_answered = Some(HOSTILE.into());
    record.sdk = Some(HOSTILE.into());
    record.error_message = Some(HOSTILE.into());
    let hostile = || HOSTILE.into();
    record.prompt =
        Some(PromptRef { name: hostile(), version: hostile(), label: Some(hostile()), hash: hostile() });
    record.attempts.push(Attempt {
        target,
        start_us: u32::MAX,
        took_us: u32::MAX,
        end: AttemptEnd::Malformed,
        status: None,
        error: Some(HOSTILE.into()),
        billed: None,
    });
    for note in &mut record.guard {
        (note.kind, note.label, note.reason) = (hostile(), hostile(), HOSTILE.to_owned());
    }
    for charge in &mut record.charges {
        (charge.scope, charge.key) = (hostile(), hostile());
    }
    (record.dropped, record.injected) = (vec![hostile()], vec![hostile()]);
    record.tool_calls =
        vec![ToolCall { id: HOSTILE.into(), name: HOSTILE.into(), arguments: HOSTILE.into() }];
    let text = serde_json::to_string(HOSTILE).unwrap();
    let bodies = [
        format!(
            r#"{{"user":{text},"tools":[{{"name":{text}}}],"messages":[{{"role":{text},"name":{text},"content":{text},"refusal":{text},
            "tool_calls":[{{"id":{text},"function":{{"name":{text},"arguments":{text}}}}}]}},
            {{"role":"user","content":[{{"type":"image_url","image_url":{text}}},{{"type":{text},"text":{text}}},{{"type":"text","text":{text}}}]}}]}}"#
        ),
        format!(r#"{{"input":[{text},{{{text}:{text}}}]}}"#),
        format!(r#"{{{text}:{text}}}"#),
        format!(r#"{{"error":{{"message":{text}}}}}"#),
        format!(r#"{{"choices":[{{"message":{{"content":{text}}},"finish_reason":{text}}}]}}"#),
        HOSTILE.to_owned(),
    ];
    for body in bodies {
        (call.input, call.output) = (body.clone().into(), body.into());
        let page = page_of(&call);
        is_sound(&page);
        says(&page, &["&lt;script&gt;alert(1)&lt;/script&gt;", "[U+202E]gpj.exe"]);
    }
}

#[test]
fn no_field_of_a_list_or_an_overview_gets_out_of_its_place() {
    let mut rows = sample::rows();
    let row = &mut rows[0];
    (row.tenant, row.route, row.model) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
    (row.user, row.error) = (Some(HOSTILE.into()), Some(HOSTILE.into()));
    (row.environment, row.decision, row.cache) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
    (row.input_preview, row.output_preview) = (HOSTILE.into(), HOSTILE.into());
    let some = || Some(HOSTILE.replace('\u{202e}', ""));
    let filter = TraceFilter {
        tenant: some(),
        user: some(),
        route: some(),
        text: some(),
        session: some(),
        decision: some(),
        before: Some(TraceCursor::Call(rows[3].id)),
        ..TraceFilter::default()
    };
    let values = [some().unwrap()];
    is_sound(&list(&query_of(&filter), &rows, Facets { routes: &values, models: &values, tenants: &values }));

    let mut today = sample::today();
    (today.by_route[0].name, today.by_model[0].name) = (HOSTILE.into(), HOSTILE.into());
    let mut budgets = sample::budgets();
    (budgets[0].scope, budgets[0].key) = (HOSTILE.into(), HOSTILE.into());
    let kills = [Kill {
        kind: KillKind::Key,
        name: "\"><script>".into(),
        reason: HOSTILE.into(),
        since: sample::NOW,
    }];
    let week = sample::week();
    let view = OverviewView {
        today: &today,
        last_hour: &Overview::default(),
        hours: &[],
        week: &week,
        budgets,
        kills: &kills,
        events: &[],
        evals: EvalsGlance::default(),
        warnings: vec![HOSTILE.into()],
        sim: false,
    };
    let page = overview(&Shell { notice: Some(HOSTILE), ..SHELL }, &view);
    is_sound(&page);
    says(&page, &["Last hour", "No calls in the last 60 minutes."]);
    is_sound(&login(&SHELL, Some(HOSTILE), HOSTILE));
    is_sound(&message(&SHELL, HOSTILE, HOSTILE, 404));
}

#[test]
fn every_input_has_a_label() {
    let page = list("", &sample::rows(), Facets::default());
    let fields = page.matches("<input").count() + page.matches("<select").count()
        - page.matches("type=\"hidden\"").count();
    assert_eq!(fields, page.matches("<label").count());
    says(&login(&SHELL, None, "/"), &["<label for=\"token\">", "id=\"token\" type=\"password\""]);
}

#[test]
fn odd_times_and_sizes_do_not_break_a_page() {
    let mut call = sample::call();
    call.record.started = Timestamp(i64::MAX);
    call.record.latency_us = u64::MAX;
    call.record.first_token_us = Some(u64::MAX);
    call.record.cost = NanoUsd(i64::MIN);
    let mut spans = sample::spans();
    spans[0].record.started = Timestamp(i64::MIN);
    let calls = [call.record.clone()];
    is_sound(&trace(&SHELL, &TraceView { call: &call, said: &call, tree: &Tree::of(&spans, &calls) }));
    call.record.stages.clear();
    call.record.attempts.clear();
    says(&page_of(&call), &["No stage was timed"]);
    assert_eq!(
        paths::trace("r_00000000000000000000000000000007".parse::<CallId>().unwrap()),
        "/traces/r_00000000000000000000000000000007"
    );
}

fn spent(keys: &[&str], calls: u64, usd: i64) -> SpendRow {
    let cost = NanoUsd(usd * 1_000_000_000);
    SpendRow {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        calls,
        tokens_in: calls * 1_000,
        tokens_cached: calls * 250,
        tokens_out: calls * 100,
        cut_short: calls / 10,
        cost,
        corrected: cost,
        ..SpendRow::default()
    }
}

fn month_of(rows: &[SpendRow], days: &[SpendRow], names: &[SpendRow]) -> String {
    let (from, to) = (Day::parse("2026-04-01").expect("a day"), Day::parse("2026-04-30").expect("a day"));
    let view = SpendView { from, to, rows, days, keys: names, budgets: sample::budgets() };
    spend(&SHELL, &view)
}

#[test]
fn a_month_is_read_tenant_by_tenant() {
    let rows = [
        spent(&["acme", "search"], 10, 5),
        spent(&["globex", "search"], 20, 40),
        spent(&["acme", "support_bot"], 30, 15),
        SpendRow { corrected: NanoUsd(9_000_000_000), ..spent(&["globex", ""], 1, 4) },
    ];
    let days = [spent(&["2026-04-07"], 31, 64)];
    let page = month_of(&rows, &days, &[spent(&["ann", "acme"], 7, 3)]);
    is_sound(&page);
    says(&page, &["Spend in April 2026", "$64.00", "$44.00", "$20.00", "$15.00", "corrected $9.00", "ann"]);
    says(&page, &["href=\"/spend?month=2026-03\"", "value=\"2026-04\"", "2026-04-07: $64.00, 31 calls"]);
    says(&page, &["/api/v1/spend?by=tenant,route&amp;month=2026-04&amp;format=csv", "25 %"]);
    assert!(!page.contains("2026-05\""), "the next month has not begun");
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at(">globex</a>") < at(">acme</a>"), "the dearest first");
    assert!(at(">acme</a>") < at(">support_bot</a>"), "features under their tenant");
    is_sound(&month_of(&[], &[], &[]));
    says(&month_of(&[], &[], &[]), &["No call was made in this month"]);
    let many: Vec<_> =
        (0..3_000).map(|n| spent(&[&format!("t{}", n / 30), &format!("r{n}")], 1, n)).collect();
    let page = month_of(&many, &[], &many);
    assert!(page.len() < 900_000, "{} bytes", page.len());
    says(&page, &["and 50 more tenants", "and 10 more features", "and 2,990 more"]);
}

#[test]
fn bills_and_events_show_hostile_text_as_text() {
    let event = |severity: Severity| Event {
        seq: 1,
        at: sample::NOW,
        kind: EventKind::SpendBaseline,
        key: HOSTILE.into(),
        severity,
        message: HOSTILE.into(),
        detail: HOSTILE.into(),
    };
    let all: Vec<_> = Severity::ALL.map(event).into();
    is_sound(&events(&SHELL, &all));
    says(&events(&SHELL, &[]), &["Nothing needed attention"]);
    says(&events(&SHELL, &all), &["spend baseline", "&lt;script&gt;"]);
    let line = AdviceLine {
        saved_usd_per_month: 12.345,
        route: HOSTILE.into(),
        model: HOSTILE.into(),
        what: HOSTILE.into(),
        mind: HOSTILE.into(),
    };
    let page = advice(&SHELL, &AdviceView { lines: vec![line], basis: HOSTILE.into() });
    is_sound(&page);
    says(&page, &["$12.35 a month"]);
    let rows = [spent(&[HOSTILE, HOSTILE], 1, 1)];
    is_sound(&month_of(&rows, &rows, &rows));
    let (today, week, hours) = (sample::today(), sample::week(), sample::hours());
    let view = OverviewView {
        today: &today,
        last_hour: &sample::last_hour(),
        hours: &hours,
        week: &week,
        budgets: vec![],
        kills: &[],
        events: &[all.clone(), all.clone()].concat(),
        evals: EvalsGlance::default(),
        warnings: vec![],
        sim: false,
    };
    let page = overview(&SHELL, &view);
    is_sound(&page);
    assert_eq!(page.matches("spend baseline").count(), 5, "the latest five");
}
