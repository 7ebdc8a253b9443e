//! Lists that were looked for: how far, and by whom calls are put together.

#[allow(dead_code)] // what other pages are made of
mod sample;

use gauntlet_console::*;
use gauntlet_ports::{GroupBy, GroupPage, GroupRow, TraceCursor};
use gauntlet_types::{NanoUsd, Timestamp};

const SHELL: Shell =
    Shell { version: "0.1.0", now: sample::NOW, notice: None, signed_in: false, csrf: Some("c5rf-token") };

const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}gpj.exe";

fn says(page: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(page.contains(text), "the page lacks `{text}`:\n{page}");
    }
}

fn is_sound(page: &str) {
    for bad in ["<script>", "<img", "onerror=\"", "\u{202e}"] {
        assert!(!page.contains(bad), "`{bad}` in:\n{page}");
    }
}

fn list(query: &str) -> String {
    let query = filter_from_query(query, sample::NOW);
    let rows = sample::rows();
    let view = TracesView {
        query: &query,
        rows: &rows,
        next: None,
        looked_back_to: None,
        facets: Facets::default(),
    };
    traces(&SHELL, &view)
}

#[test]
fn a_list_that_ends_for_its_time_says_how_far_it_looked() {
    let query = filter_from_query("text=rare&limit=20", sample::NOW);
    let view = |rows, next| TracesView {
        query: &query,
        rows,
        next,
        looked_back_to: Some(Timestamp(sample::NOW.0 - 7_200_000_000)),
        facets: Facets::default(),
    };
    let further = Some(TraceCursor::Seq(4711));
    let page = traces(&SHELL, &view(&[], further));
    says(&page, &["Looked back to", "href=\"/traces?text=rare&amp;before=4711&amp;limit=20\""]);
    let rows = sample::rows();
    says(&traces(&SHELL, &view(&rows[..2], further)), &["Looked back to", "before=4711", "Older"]);
}

#[test]
fn ready_views_keep_what_is_set_and_mark_what_is_shown() {
    let page = list("route=search&before=77");
    says(
        &page,
        &["href=\"/traces?route=search&amp;cache=exact\"", "href=\"/traces?route=search&amp;cost_min=0.1"],
    );
    let page = list("route=search&outcome=failed");
    says(&page, &["aria-current=\"true\" href=\"/traces?route=search&amp;outcome=failed\""]);
}

#[test]
fn sessions_and_users_lead_to_their_calls() {
    let row = GroupRow {
        name: HOSTILE.into(),
        tenant: "acme".into(),
        first: Timestamp(sample::NOW.0 - 60_000_000),
        last: sample::NOW,
        calls: 4,
        errors: 1,
        tokens_in: 1200,
        tokens_out: 340,
        cost: NanoUsd(12_000_000),
        user: Some(HOSTILE.into()),
        sessions: 3,
    };
    let page = GroupPage {
        rows: vec![row, GroupRow { name: "ann".into(), ..sample_group() }],
        next: Some(TraceCursor::Seq(99)),
        looked_back_to: Some(sample::NOW),
    };
    let query = filter_from_query("last=24h&route=search", sample::NOW);
    let shown = groups(&SHELL, &GroupsView { by: GroupBy::User, query: &query, page: &page });
    is_sound(&shown);
    says(
        &shown,
        &[
            "<h1>Users</h1>",
            "href=\"/traces?tenant=acme&amp;user=ann\"",
            "href=\"/users?route=search&amp;before=99&amp;last=24h\"",
            "href=\"/users?route=search&amp;last=1h\"",
        ],
    );
    let shown = groups(&SHELL, &GroupsView { by: GroupBy::Session, query: &query, page: &page });
    is_sound(&shown);
    says(&shown, &["<h1>Sessions</h1>", "href=\"/traces?tenant=acme&amp;session=ann\""]);
    let empty = GroupPage::default();
    says(
        &groups(&SHELL, &GroupsView { by: GroupBy::Session, query: &query, page: &empty }),
        &["x-gauntlet-session"],
    );
}

fn sample_group() -> GroupRow {
    GroupRow {
        name: "s1".into(),
        tenant: "acme".into(),
        first: sample::NOW,
        last: sample::NOW,
        calls: 1,
        errors: 0,
        tokens_in: 1,
        tokens_out: 1,
        cost: NanoUsd(1),
        user: None,
        sessions: 1,
    }
}
