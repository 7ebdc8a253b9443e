//! The tolerant form of `budgets.yml`: the file as the founding document prints it, with its indentation and most of
//! its colons lost.
//!
//! ```text
//! models:
//! gpt-4o:
//! daily_usd 75
//! alerts:
//! slack_channel llm-spend notify_over 80%
//! ```
//! Used only when a line begins with a known field and no colon follows it, which YAML would not take for a field
//! either. In this form indentation means nothing: a known section opens it, any other `name:` opens a subject of it,
//! and fields belong to the last subject (in `alerts`, to the section). A subject with the name of a section cannot be
//! written; use YAML for that.

use super::node::{At, Label, Node, Text, Value};

/// Whether the file is in this form. Braces and brackets are only known to YAML, which will name the line at fault.
pub(super) fn is_flat(text: &str, fields: &[&str]) -> bool {
    let mut is_flat = false;
    for (index, line) in text.lines().enumerate() {
        let words = words(line, index + 1);
        if words.iter().any(|word| word.text.contains(['{', '}', '[', ']'])) {
            return false;
        }
        is_flat |= words.first().is_some_and(|word| fields.contains(&word.text.as_str()))
            && words.get(1).is_some_and(|word| !word.text.starts_with(':'));
    }
    is_flat
}

/// The tree that the proper form of the file would give, every value at its place.
pub(super) fn parse(text: &str, sections: &[&str], fields: &[&str]) -> Node {
    let mut root = Builder::default();
    for (index, line) in text.lines().enumerate() {
        let words = words(line, index + 1);
        let Some(first) = words.first() else { continue };
        let name = first.text.trim_end_matches(':');
        if fields.contains(&name) {
            root.fields(&words);
        } else if words.len() == 1 && first.text.ends_with(':') {
            let label = Label { text: name.to_owned(), at: first.at };
            // The document sets the file's own name above it.
            if name == "budgets.yml" && root.sections.is_empty() {
                continue;
            }
            if sections.contains(&name) { root.section(label) } else { root.subject(label) }
        } else {
            root.fields(&words);
        }
    }
    let at = At { line: 1, column: 1 };
    Node { at, value: Value::Map(root.sections) }
}

/// The words of a line with their places; a comment ends it, and the dash of a list item is left out.
fn words(line: &str, number: usize) -> Vec<Label> {
    let mut words: Vec<Label> = Vec::new();
    let mut within = false;
    for (column, c) in line.chars().enumerate() {
        if c.is_whitespace() {
            within = false;
        } else if within {
            if let Some(word) = words.last_mut() {
                word.text.push(c);
            }
        } else if c == '#' {
            break;
        } else {
            within = true;
            words.push(Label { text: c.to_string(), at: At { line: number, column: column + 1 } });
        }
    }
    words.retain(|word| word.text != "-");
    words
}

#[derive(Default)]
struct Builder {
    sections: Vec<(Label, Node)>,
}

impl Builder {
    fn section(&mut self, label: Label) {
        let at = label.at;
        self.sections.push((label, Node { at, value: Value::Map(Vec::new()) }));
    }

    /// A subject before any section becomes a section, which the reader reports as unknown.
    fn subject(&mut self, label: Label) {
        match self.sections.last_mut() {
            Some((_, Node { value: Value::Map(subjects), .. })) => {
                let at = label.at;
                subjects.push((label, Node { at, value: Value::Map(Vec::new()) }));
            }
            _ => self.section(label),
        }
    }

    /// `name value name value …`, with or without colons.
    fn fields(&mut self, words: &[Label]) {
        for pair in words.chunks(2) {
            let label = Label { text: pair[0].text.trim_end_matches(':').to_owned(), at: pair[0].at };
            let node = match pair.get(1) {
                Some(word) => {
                    let text = word.text.trim_matches('"').to_owned();
                    Node { at: word.at, value: Value::Text(Text { typed: text.clone(), text }) }
                }
                None => Node { at: label.at, value: Value::Null },
            };
            self.innermost().push((label, node));
        }
    }

    fn innermost(&mut self) -> &mut Vec<(Label, Node)> {
        let is_subject = |value: &Value| matches!(value, Value::Map(_));
        // Two steps down at most: the last section, and its last subject.
        let has_section = self.sections.last().is_some_and(|(_, node)| is_subject(&node.value));
        if !has_section {
            return &mut self.sections;
        }
        let Some((_, Node { value: Value::Map(section), .. })) = self.sections.last_mut() else {
            unreachable!("the last section was just seen to be a map")
        };
        if !section.last().is_some_and(|(_, node)| is_subject(&node.value)) {
            return section;
        }
        match section.last_mut() {
            Some((_, Node { value: Value::Map(subject), .. })) => subject,
            _ => unreachable!("the last subject was just seen to be a map"),
        }
    }
}
