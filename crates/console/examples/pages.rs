//! Writes the pages with sample data into a folder, to look at them in a browser:
//! `cargo run -p gauntlet-console --example pages -- FOLDER`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::{error::Error, fs, path::Path};

use gauntlet_console::{tree::Tree, *};
use gauntlet_ports::{Overview, TraceCursor};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write to")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder.join("assets"))?;
    for (path, content) in [(style_path(), STYLE), (script_path(), SCRIPT), (icon_path(), ICON)] {
        fs::write(folder.join(path.trim_start_matches('/')), content)?;
    }
    let shell = Shell {
        version: "0.1.0",
        now: sample::NOW,
        notice: Some("Open on loopback: any key is taken as tenant `default`."),
        signed_in: true,
        csrf: Some("token"),
    };
    let hours = sample::hours();
    let last_hour = sample::last_hour();
    let (today, week, kills) = (sample::today(), sample::week(), sample::kills());
    let warnings = vec!["Model smollm2-135m has no price: its calls are capped by tokens.".to_owned()];
    let full = OverviewView {
        today: &today,
        last_hour: &last_hour,
        hours: &hours,
        week: &week,
        budgets: sample::budgets(),
        kills: &kills,
        events: &[],
        evals: EvalsGlance::default(),
        warnings,
        sim: true,
    };
    let none = Overview::default();
    let empty = OverviewView {
        today: &none,
        last_hour: &none,
        hours: &[],
        week: &none,
        budgets: vec![],
        kills: &[],
        events: &[],
        evals: EvalsGlance::default(),
        warnings: vec![],
        sim: false,
    };
    let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (routes, tenants) =
        (names(&["support_bot", "search_answers", "invoice_extract"]), names(&["acme", "globex"]));
    let rows = sample::rows();
    let facets = Facets { routes: &routes, models: &[], tenants: &tenants };
    let query = filter_from_query("route=support_bot&last=24h&latency_ms_min=200", sample::NOW);
    let list = TracesView {
        query: &query,
        rows: &rows,
        next: rows.last().map(|row| TraceCursor::Call(row.id)),
        looked_back_to: None,
        facets,
    };
    let nothing = TracesView { rows: &[], next: None, ..list };
    let (call, failed) = (sample::call(), sample::failed_call());
    let (span_rows, calls, span) = (sample::spans(), [sample::traced_call()], sample::span(2));
    let tree = Tree::of(&span_rows, &calls);
    let none = Tree::default();
    let whole =
        WholeView { trace: call.record.trace_id, tree: &tree, is_all: true, from: None, opened: None };
    let opened = WholeView { opened: Some(Opened::Span(&span)), ..whole };
    let span_query = spans_from_query("service=shop-agent&last=24h", sample::NOW);
    let span_list = SpansView { query: &span_query, rows: &span_rows, next: None };
    let pages = [
        ("overview", overview(&shell, &full)),
        ("overview-empty", overview(&shell, &empty)),
        ("traces", traces(&shell, &list)),
        ("traces-none", traces(&shell, &nothing)),
        ("trace", trace(&shell, &TraceView { call: &call, said: &call, tree: &tree })),
        ("trace-failed", trace(&shell, &TraceView { call: &failed, said: &failed, tree: &none })),
        ("whole", whole_trace(&shell, &WholeView { opened: None, ..opened })),
        ("whole-span", whole_trace(&shell, &opened)),
        ("spans", spans(&shell, &span_list)),
        ("login", login(&Shell { signed_in: false, ..shell }, Some("That token is not known."), "/traces")),
        (
            "message",
            message(&shell, "There is no such call", "It may have been erased, or not arrived yet.", 404),
        ),
    ];
    for (name, html) in pages {
        // A file has no server: its assets lie beside it.
        fs::write(folder.join(format!("{name}.html")), html.replace("=\"/assets/", "=\"assets/"))?;
        println!("{name}: {} bytes", html.len());
    }
    Ok(())
}
