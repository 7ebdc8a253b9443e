//! Mistakes as the terminal shows them: place, what is wrong, the line with a mark under it, and the cure.

use std::fmt::Write;

use crate::config::{Mistake, Severity, Source, Sources};

/// Longer lines are cut around the mark.
const WIDTH: usize = 100;

/// ```text
/// gauntlet.yml:12:7: unknown field `modell` in route `support_bot`
///    12 |       modell: support
///       |       ^^^^^^
///       = did you mean `model`?
/// ```
pub fn render(mistakes: &[Mistake], sources: &Sources) -> String {
    let files = [&sources.gauntlet, &sources.budgets, &sources.prices];
    let mut out = String::new();
    for mistake in mistakes {
        let source = files.into_iter().flatten().find(|source| source.file == mistake.file);
        one(mistake, source, &mut out);
    }
    let count = |severity| mistakes.iter().filter(|mistake| mistake.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let plural =
        |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
    match (errors, warnings) {
        (0, 0) => {}
        (0, warnings) => out.push_str(&format!("{}\n", plural(warnings, "warning"))),
        (errors, 0) => out.push_str(&format!("{}\n", plural(errors, "mistake"))),
        (errors, warnings) => {
            out.push_str(&format!("{}, {}\n", plural(errors, "mistake"), plural(warnings, "warning")));
        }
    }
    out
}

fn one(mistake: &Mistake, source: Option<&Source>, out: &mut String) {
    out.push_str(&mistake.file);
    if mistake.line > 0 {
        let _ = write!(out, ":{}:{}", mistake.line, mistake.column);
    }
    let kind = match mistake.severity {
        Severity::Error => "",
        Severity::Warning => "warning: ",
    };
    let _ = writeln!(out, ": {kind}{}", mistake.message);
    let number = mistake.line.to_string();
    let line = source.and_then(|source| source.text.lines().nth(mistake.line.checked_sub(1)?));
    let margin = number.len().max(4);
    if let Some(line) = line {
        let (shown, column) = cut(line, mistake.column);
        let _ = writeln!(out, "{number:>margin$} | {shown}");
        let mark = "^".repeat(mark_length(&shown, column));
        let _ = writeln!(out, "{:>margin$} | {}{mark}", "", " ".repeat(column - 1));
    }
    if !mistake.cure.is_empty() {
        let _ = writeln!(out, "{:>margin$} = {}", "", mistake.cure);
    }
    out.push('\n');
}

/// The part of a line around a column, and the column in that part. Tabs become spaces, so that the mark stands right,
/// and control characters are shown as `�`, so that a file cannot drive the terminal.
fn cut(line: &str, column: usize) -> (String, usize) {
    let plain = |c: char| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            '\u{fffd}'
        } else {
            c
        }
    };
    let characters: Vec<char> = line.chars().map(plain).collect();
    let column = column.clamp(1, characters.len() + 1);
    if characters.len() <= WIDTH {
        return (characters.into_iter().collect(), column);
    }
    let start = column.saturating_sub(WIDTH / 2).min(characters.len() - WIDTH);
    let mut shown: String = characters[start..start + WIDTH].iter().collect();
    if start + WIDTH < characters.len() {
        shown.push('…');
    }
    if start == 0 { (shown, column) } else { (format!("…{shown}"), column - start + 1) }
}

/// The word at the mark: to the next separator, at least one character.
fn mark_length(line: &str, column: usize) -> usize {
    let rest = line.chars().skip(column - 1);
    rest.take_while(|c| !c.is_whitespace() && !matches!(c, ':' | ',' | ']' | '}')).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        let source =
            Source { file: "gauntlet.yml".into(), text: "routes:\n  a:\n    modell: support\n".into() };
        let sources = Sources { gauntlet: Some(source), ..Sources::default() };
        let mistake = Mistake {
            file: "gauntlet.yml".into(),
            line: 3,
            column: 5,
            message: "unknown field `modell` in route `a`".into(),
            cure: "did you mean `model`?".into(),
            severity: Severity::Error,
        };
        let expected = "gauntlet.yml:3:5: unknown field `modell` in route `a`\n   \
                        3 |     modell: support\n     |     ^^^^^^\n     = did you mean `model`?\n\n1 mistake\n";
        assert_eq!(render(&[mistake], &sources), expected);
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let line = format!("{}bad: 1{}", "x".repeat(300), "y".repeat(300));
        let (shown, column) = cut(&line, 301);
        assert_eq!(shown.chars().nth(column - 1), Some('b'));
        assert!(shown.chars().count() <= WIDTH + 2 && shown.starts_with('…') && shown.ends_with('…'));
        assert_eq!(cut("\u{1b}[31m", 99), ("\u{fffd}[31m".to_owned(), 6));
    }
}
