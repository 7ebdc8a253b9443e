//! Our own small charts: bars, sparklines and shares as SVG.
//!
//! Sizes are attributes and colours are classes, as the content policy wants. Texts stay outside the pictures, so that a
//! chart may be stretched to any width without stretching letters.

use maud::{Markup, html};

/// One bar: what a pointer and a screen reader are told, and its pieces from the bottom up (class, value).
pub struct Bar {
    pub title: String,
    pub pieces: Vec<(&'static str, u64)>,
}

impl Bar {
    fn total(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, (_, value)| sum.saturating_add(*value))
    }
}

/// Height of a bar chart in its own units.
const HEIGHT: f64 = 100.0;
/// The lowest bar that is still seen.
const HEIGHT_MIN: f64 = 2.0;

/// A row of stacked bars. `label` says in words what the picture shows. What all bars have in common stands in the style sheet: a
/// page has hundreds of them.
pub fn bars(label: &str, bars: &[Bar]) -> Markup {
    let top = bars.iter().map(Bar::total).max().unwrap_or(0).max(1);
    html! {
        svg.bars role="img" aria-label=(label) viewBox={ "0 0 " (bars.len() * 10) " 100" } preserveAspectRatio="none" {
            @for (at, bar) in bars.iter().enumerate() {
                g {
                    title { (bar.title) }
                    // Catches the pointer above a low bar.
                    rect.hit x=(at * 10) {}
                    @for (class, y, height) in stack(bar, top) {
                        rect class=(class) x=(at * 10 + 1) y=(round(y)) height=(round(height)) {}
                    }
                }
            }
        }
    }
}

/// (class, y, height) of each piece of a bar.
fn stack(bar: &Bar, top: u64) -> Vec<(&'static str, f64, f64)> {
    let mut floor = HEIGHT;
    let mut pieces = Vec::with_capacity(bar.pieces.len());
    for (class, value) in &bar.pieces {
        if *value > 0 {
            let height = (*value as f64 / top as f64 * HEIGHT).max(HEIGHT_MIN).min(floor);
            floor -= height;
            pieces.push((*class, floor, height));
        }
    }
    pieces
}

/// A quiet row of bars beside a figure; the last one is today.
pub fn spark(values: &[u64]) -> Markup {
    let top = values.iter().copied().max().unwrap_or(0).max(1);
    let last = values.len().saturating_sub(1);
    html! {
        // The figures beside it say the same in words.
        svg.spark aria-hidden="true" viewBox={ "0 0 " (values.len() * 8) " 20" } {
            @for (at, value) in values.iter().enumerate() {
                @let height = (*value as f64 / top as f64 * 20.0).max(1.0);
                rect class=[(at == last).then_some("now")]
                    x=(at * 8) y=(round(20.0 - height)) width="6" height=(round(height)) {}
            }
        }
    }
}

/// A bar of how much of a whole; the figure stands beside it as text.
pub fn share(part: u64, whole: u64) -> Markup {
    let width = if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 100.0).min(100.0) };
    html! {
        svg.share aria-hidden="true" width="100%" height="4" { @if part > 0 { rect width={ (round(width)) "%" } height="4" rx="2" {} } }
    }
}

/// One decimal is finer than a pixel here, and shorter than a float.
pub fn round(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_never_leave_the_picture() {
        let bar = Bar { title: "x".into(), pieces: vec![("a", u64::MAX), ("b", 1), ("c", 1)] };
        for (_, y, height) in stack(&bar, bar.total()) {
            assert!(y >= 0.0 && y + height <= HEIGHT, "{y} {height}");
        }
        let shown = bars("spend", &[bar, Bar { title: "none".into(), pieces: vec![("a", 0)] }]).0;
        assert!(shown.contains("role=\"img\" aria-label=\"spend\"") && shown.contains("<title>none</title>"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(share(1, 0).0.contains("width=\"0%\"") && !share(0, 9).0.contains("<rect"));
        assert!(share(9, 3).0.contains("width=\"100%\""));
        assert!(spark(&[0, 0]).0.contains("height=\"1\""));
        assert!(bars("empty", &[]).0.contains("0 0 0 100"));
    }
}
