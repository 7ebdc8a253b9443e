//! What would be saved, with what each figure rests on.

use maud::html;

use crate::{
    query::link_to,
    shell::{Place, Shell, page},
    text::Line,
};

pub struct AdviceView {
    pub lines: Vec<AdviceLine>,
    /// Which calls were looked at.
    pub basis: String,
}

pub struct AdviceLine {
    pub saved_usd_per_month: f64,
    pub route: String,
    pub model: String,
    pub what: String,
    pub mind: String,
}

pub fn advice(shell: &Shell, view: &AdviceView) -> String {
    let body = html! {
        div.title { h1 { "What would be saved" } p.muted { (Line(&view.basis)) } }
        @if view.lines.is_empty() {
            section.panel { p { "Nothing found that would save money." } }
        }
        @for line in &view.lines {
            section.panel {
                h2 { (dollars(line.saved_usd_per_month)) " a month" }
                p.muted {
                    a href=(link_to(|filter| filter.route = Some(line.route.clone()))) { (Line(&line.route)) }
                    " on " (Line(&line.model))
                }
                p { (Line(&line.what)) }
                p.small.muted { "Mind: " (Line(&line.mind)) }
            }
        }
    };
    page(shell, Place::Spend, "What would be saved", body)
}

fn dollars(amount: f64) -> String {
    if amount >= 0.01 { format!("${amount:.2}") } else { format!("${amount:.6}") }
}
