//! What stands around every page: head, navigation, notice; and the two pages that are little else.

use gauntlet_types::Timestamp;
use maud::{DOCTYPE, Markup, html};

use crate::{assets, paths, text::Line};

/// What every page is told.
pub struct Shell<'a> {
    pub version: &'a str,
    pub now: Timestamp,
    /// A line over every page, as "open on loopback: any key is tenant `default`".
    pub notice: Option<&'a str>,
    /// Shows the button to sign out.
    pub signed_in: bool,
    /// Goes back with every form; without it, pages offer no actions.
    pub csrf: Option<&'a str>,
}

/// The pages that the navigation names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Overview,
    Traces,
    Prompts,
    Evals,
    Spend,
    Events,
    Elsewhere,
}

/// A whole document. `title` may be anybody's text.
pub fn page(shell: &Shell, place: Place, title: &str, body: Markup) -> String {
    let links = [
        (Place::Overview, paths::OVERVIEW, "Overview"),
        (Place::Traces, paths::TRACES, "Traces"),
        (Place::Prompts, paths::PROMPTS, "Prompts"),
        (Place::Evals, paths::EVALS, "Evals"),
        (Place::Spend, paths::SPEND, "Spend"),
        (Place::Events, paths::EVENTS, "Events"),
    ];
    let header = html! {
        header.top {
            a.brand href=(paths::OVERVIEW) { (mark()) "Gauntlet" }
            nav aria-label="Main" {
                @for (target, href, name) in links {
                    a href=(href) aria-current=[(target == place).then_some("page")] { (name) }
                }
            }
            @if shell.signed_in {
                form.signout method="post" action=(paths::LOGOUT) { (csrf(shell)) button.quiet { "Sign out" } }
            }
        }
    };
    document(shell, title, header, body)
}

/// The hidden field that proves a form came from one of our pages.
pub fn csrf(shell: &Shell) -> Markup {
    html! { @if let Some(token) = shell.csrf { input type="hidden" name="csrf" value=(token); } }
}

/// The page to sign in. `next` is where to go afterwards; a path of another server is not kept.
pub fn login(shell: &Shell, error: Option<&str>, next: &str) -> String {
    let body = html! {
        div.narrow {
            h1 { (mark()) "Gauntlet" }
            @if let Some(error) = error { p.banner.bad role="alert" { (Line(error)) } }
            form.panel.stack method="post" action=(paths::LOGIN) {
                label for="token" { "Admin token" }
                input #token type="password" name="token" required autofocus autocomplete="current-password"
                    aria-describedby="hint";
                p #hint.muted { "The server showed it once, when it made it." }
                input type="hidden" name="next" value=(paths::local(next));
                (csrf(shell))
                button { "Sign in" }
            }
        }
    };
    document(shell, "Sign in", html! {}, body)
}

/// A page that only says something: not found, store down.
pub fn message(shell: &Shell, title: &str, text: &str, status: u16) -> String {
    let body = html! {
        div.narrow {
            p.muted { (status) }
            h1 { (Line(title)) }
            p.lead { (Line(text)) }
            p { a href=(paths::OVERVIEW) { "Overview" } " · " a href=(paths::TRACES) { "Traces" } }
        }
    };
    page(shell, Place::Elsewhere, title, body)
}

fn document(shell: &Shell, title: &str, header: Markup, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Addresses of pages hold filters, which are nobody else's business.
                meta name="referrer" content="same-origin";
                title { (Line(title)) " · Gauntlet" }
                link rel="icon" type="image/svg+xml" href=(assets::icon_path());
                link rel="stylesheet" href=(assets::style_path());
                script src=(assets::script_path()) defer {}
            }
            body {
                a.skip href="#main" { "Skip to content" }
                (header)
                @if let Some(notice) = shell.notice { p.notice role="note" { (Line(notice)) } }
                main #main tabindex="-1" { (body) }
                footer { "Gauntlet " (Line(shell.version)) " · all times UTC" }
            }
        }
    }
    .into_string()
}

/// Three bars that let less and less through.
fn mark() -> Markup {
    html! {
        svg.mark aria-hidden="true" viewBox="0 0 16 16" width="16" height="16" {
            rect x="1" y="1" width="3" height="14" rx="1" {}
            rect x="6.5" y="4" width="3" height="8" rx="1" {}
            rect x="12" y="6.5" width="3" height="3" rx="1" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Shell =
        Shell { version: "0.1.0", now: Timestamp(0), notice: None, signed_in: false, csrf: Some("t0k") };

    #[test]
    fn signing_in_keeps_only_local_targets() {
        let shown = login(&SHELL, Some("<b>wrong</b>"), "/traces?route=a&last=1h");
        assert!(shown.contains("value=\"/traces?route=a&amp;last=1h\""));
        assert!(shown.contains("name=\"csrf\" value=\"t0k\"") && shown.contains("&lt;b&gt;wrong"));
        assert!(login(&SHELL, None, "//evil.example").contains("name=\"next\" value=\"/\""));
    }

    #[test]
    fn signing_out_is_offered_to_those_who_signed_in() {
        assert!(!message(&SHELL, "a", "b", 404).contains("/logout"));
        assert!(message(&Shell { signed_in: true, ..SHELL }, "a", "b", 404).contains("/logout"));
    }

    #[test]
    fn a_message_is_text() {
        let shown = message(&Shell { notice: Some("<i>open</i>"), ..SHELL }, "<u>x", "\"<script>", 503);
        assert!(shown.contains("&lt;u&gt;x · Gauntlet</title>") && shown.contains("503"));
        assert!(shown.contains("&lt;i&gt;open") && !shown.contains("\"<script>"));
    }
}
