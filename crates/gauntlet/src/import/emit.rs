//! Our configuration while it is made, and as YAML: one line an entry, with the places that it came from behind it.

use std::fmt::Write;

/// Places named behind one line.
const PLACES_MAX: usize = 3;
/// Rewritten by hand, longer lines are hard to read; nothing depends on it.
const COMMENT_LETTERS_MAX: usize = 160;

/// A text of our configuration: what is literal in it, and which variables.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Words {
    /// `$` of literal parts is doubled already, so that nothing of the source is ever replaced.
    text: String,
}

impl Words {
    pub fn literal(text: &str) -> Words {
        Words { text: text.replace('$', "$$") }
    }

    /// Of what another `Words` held.
    pub fn escaped(text: &str) -> Words {
        Words { text: text.to_owned() }
    }

    pub fn variable(name: &str) -> Words {
        Words { text: format!("${{{name}}}") }
    }

    #[must_use]
    pub fn then(mut self, literal: &str) -> Words {
        self.text.push_str(&literal.replace('$', "$$"));
        self
    }

    #[must_use]
    pub fn then_variable(mut self, name: &str) -> Words {
        let _ = write!(self.text, "${{{name}}}");
        self
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A number, a duration, a word of ours: nothing that needs quotes.
    Plain(String),
    Text(Words),
    List(Vec<Value>),
    Block(Block),
    /// YAML that is right already.
    Raw(String),
}

impl Value {
    pub fn text(text: &str) -> Value {
        Value::Text(Words::literal(text))
    }

    pub fn plain(text: impl ToString) -> Value {
        Value::Plain(text.to_string())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    name: String,
    value: Value,
    from: Vec<String>,
}

/// A map, in the order in which it was made.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Block {
    entries: Vec<Entry>,
}

impl Block {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let value = &self.entries.iter().find(|entry| entry.name == *first)?.value;
        match value {
            _ if rest.is_empty() => Some(value),
            Value::Block(block) => block.get(rest),
            _ => None,
        }
    }

    /// Sets a field, maps on the way to it included; one that is there gets the new value and both places.
    pub fn set(&mut self, path: &[&str], value: Value, from: &str) {
        let Some((first, rest)) = path.split_first() else { return };
        let at = match self.entries.iter().position(|entry| entry.name == *first) {
            Some(at) => at,
            None => {
                let value = Value::Block(Block::default());
                self.entries.push(Entry { name: (*first).to_owned(), value, from: Vec::new() });
                self.entries.len() - 1
            }
        };
        let entry = &mut self.entries[at];
        if rest.is_empty() {
            entry.value = value;
            if !from.is_empty() && !entry.from.iter().any(|known| known == from) {
                entry.from.push(from.to_owned());
            }
        } else if let Value::Block(block) = &mut entry.value {
            block.set(rest, value, from);
        }
    }

    /// Takes a field of the outermost maps out again, and a map that it leaves empty.
    pub fn remove(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else { return };
        if let Some(Value::Block(block)) =
            self.entries.iter_mut().find(|entry| entry.name == *first).map(|entry| &mut entry.value)
        {
            block.remove(rest);
            if !block.is_empty() {
                return;
            }
        }
        self.entries.retain(|entry| entry.name != *first);
    }

    /// Adds to a list that is made where it is not there.
    pub fn push(&mut self, name: &str, value: Value, from: &str) {
        let mut list = match self.get(&[name]) {
            Some(Value::List(list)) => list.clone(),
            _ => Vec::new(),
        };
        list.push(value);
        self.set(&[name], Value::List(list), from);
    }

    /// The file. `order` says which sections come first.
    pub fn render(&self, head: &str, order: &[&str]) -> String {
        let mut out = String::new();
        for line in head.lines() {
            let _ = writeln!(out, "# {}", comment(line));
        }
        let place = |entry: &&Entry| order.iter().position(|name| *name == entry.name).unwrap_or(order.len());
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(place);
        for entry in entries {
            if matches!(entry.value, Value::Block(_) | Value::List(_)) {
                out.push('\n');
            }
            entry.render(0, false, &mut out);
        }
        out
    }

    fn has_depth(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.value, Value::Block(_)))
    }

    fn places(&self) -> Vec<&str> {
        let mut places = Vec::new();
        for entry in &self.entries {
            places.extend(entry.places());
        }
        places
    }
}

impl Entry {
    fn places(&self) -> Vec<&str> {
        let mut places: Vec<&str> = self.from.iter().map(String::as_str).collect();
        if let Value::Block(block) = &self.value {
            places.extend(block.places());
        }
        places
    }

    /// `is_told` when a line above has named the places already.
    fn render(&self, depth: usize, is_told: bool, out: &mut String) {
        let (indent, name) = ("  ".repeat(depth), quoted(&self.name));
        let places = if is_told { Vec::new() } else { self.places() };
        match &self.value {
            Value::Block(block) if depth == 0 || block.has_depth() => {
                // One place for all of it is named once; but a section of entries is no entry.
                let has_leaf = block.entries.iter().any(|entry| !matches!(entry.value, Value::Block(_)));
                let is_one = depth > 0 && has_leaf && places.iter().all(|place| *place == places[0]);
                let named = if is_one { origin(&places) } else { origin(&self.from) };
                let _ = writeln!(out, "{indent}{name}:{named}");
                for entry in &block.entries {
                    entry.render(depth + 1, is_told || is_one, out);
                }
            }
            Value::List(items) if depth == 0 => {
                let _ = writeln!(out, "{indent}{name}:{}", origin(&places));
                for item in items {
                    let _ = writeln!(out, "{indent}  - {}", flow(item));
                }
            }
            value => {
                let _ = writeln!(out, "{indent}{name}: {}{}", flow(value), origin(&places));
            }
        }
    }
}

/// The comment behind a line.
fn origin<T: AsRef<str>>(places: &[T]) -> String {
    let mut named: Vec<&str> = Vec::new();
    for place in places.iter().map(AsRef::as_ref) {
        if !named.contains(&place) {
            named.push(place);
        }
    }
    if named.is_empty() {
        return String::new();
    }
    let more = named.len().saturating_sub(PLACES_MAX);
    let mut text = named[..named.len() - more].join(", ");
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    format!("  # {}", comment(&text))
}

/// A comment ends where its line does, so nothing in it may begin another.
fn comment(text: &str) -> String {
    let safe = |c: char| if is_plain_letter(c) { c } else { '\u{fffd}' };
    text.chars().take(COMMENT_LETTERS_MAX).map(safe).collect()
}

fn flow(value: &Value) -> String {
    match value {
        Value::Plain(text) | Value::Raw(text) => text.clone(),
        Value::Text(words) => quoted(words.as_str()),
        Value::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Block(block) => {
            let entry = |entry: &Entry| format!("{}: {}", quoted(&entry.name), flow(&entry.value));
            format!("{{{}}}", block.entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text as YAML: bare where no reading of it could be another, else in double quotes.
pub fn quoted(text: &str) -> String {
    let is_bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./@".contains(&byte))
        && !WORDS_OF_YAML.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_bare {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_plain_letter(c) => out.push(c),
            c if u32::from(c) > 0xffff => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

/// What some reader of YAML takes for something other than a text.
const WORDS_OF_YAML: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

/// Shown as itself by YAML and by a terminal: no control, no line break of Unicode, nothing that turns the direction.
fn is_plain_letter(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as a block of YAML, so that people can read it: each line as it is. None where a block cannot hold it.
pub fn block_text(text: &str) -> Option<String> {
    let is_plain = text.chars().all(|c| c == '\n' || is_plain_letter(c));
    let first = text.lines().next()?;
    if !is_plain
        || first.starts_with(' ')
        || first.is_empty()
        || text.lines().any(|line| line.trim().is_empty() && !line.is_empty())
    {
        return None;
    }
    let body = text.trim_end_matches('\n');
    let ends = text.len() - body.len();
    let chomp = match ends {
        0 => "|-",
        1 => "|",
        _ => return None,
    };
    let mut out = format!("{chomp}\n");
    for line in body.split('\n') {
        let _ = if line.is_empty() { writeln!(out) } else { writeln!(out, "  {line}") };
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_as_they_were() {
        for text in [
            "gpt-4o",
            "no",
            "1.5",
            "a: b",
            "#x",
            "\u{7f}\u{85}\u{2028}\u{feff}",
            "\"\\\n\t",
            "😀",
            "$x ${Y} $$",
            "",
            " a",
            "@x",
            "- a",
            "{}",
            "\u{202e}x",
            "a#b",
        ] {
            let read: String = serde_saphyr::from_str(&quoted(text)).unwrap();
            assert_eq!(read, text, "{}", quoted(text));
        }
        for text in ["one\n", "one\n  two\n\n# three", "a: {{ b }}\n", "x"] {
            let read: String = serde_saphyr::from_str(&block_text(text).unwrap()).unwrap();
            assert_eq!(read, text);
        }
        assert_eq!(
            [block_text(" a"), block_text("a\r\nb"), block_text("a\n\n"), block_text("")],
            [const { None }; 4]
        );
    }

    #[test]
    fn a_file_has_one_line_an_entry_with_its_origin() {
        let mut file = Block::default();
        file.set(&["routes", "bot", "model"], Value::text("a b"), "functions.bot");
        file.set(&["routes", "bot", "retry", "attempts"], Value::plain(3), "x\ny: 1");
        file.set(&["providers", "openai", "key"], Value::Text(Words::variable("KEY")), "models.a");
        file.set(&["providers", "openai", "url"], Value::text("https://x$y"), "models.a");
        file.push("keys", Value::Block(Block::default()), "k");
        let text = file.render("Head\nmore", &["providers", "routes"]);
        assert_eq!(
            text,
            "# Head\n# more\n\nproviders:\n  openai: {key: \"${KEY}\", url: \"https://x$$y\"}  # models.a\n\nroutes:\n  bot:\n    \
             model: \"a b\"  # functions.bot\n    retry: {attempts: 3}  # x\u{fffd}y: 1\n\nkeys:  # k\n  - {}\n"
        );
    }
}
