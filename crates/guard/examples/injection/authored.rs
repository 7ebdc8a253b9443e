//! Rows written for this project, from what is generally known of the kinds of attempts: sentences with choices, of which
//! some are drawn.

use std::collections::HashMap;

/// `# …` comments, `= name: a | b` choices with a name, `@ attack kind` and `@ harmless kind` sections, `*8 sentence`.
const TEXTS: [&str; 4] = [
    include_str!("authored/attacks.txt"),
    include_str!("authored/harmless.txt"),
    include_str!("authored/languages.txt"),
    include_str!("authored/short.txt"),
];

/// Variants of a sentence that does not say how many.
const VARIANTS: usize = 4;
/// Choices within choices; deeper is a mistake in the text.
const DEPTH_MAX: usize = 6;

pub struct Sentence {
    pub text: String,
    pub is_attack: bool,
    pub kind: String,
}

/// What the rows are made of, for the hash of what was taught.
pub fn sources() -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter()
}

pub fn sentences() -> Vec<Sentence> {
    TEXTS.into_iter().flat_map(of_text).collect()
}

fn of_text(text: &str) -> Vec<Sentence> {
    let mut draw = Draw { choices: HashMap::new(), random: 1 };
    let (mut is_attack, mut kind) = (false, String::new());
    let mut out: Vec<Sentence> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with("# ") && !line.is_empty()) {
        if let Some((name, choices)) = line.strip_prefix("= ").and_then(|rest| rest.split_once(": ")) {
            draw.choices.insert(name.to_owned(), choices.split(" | ").map(str::to_owned).collect());
        } else if let Some(section) = line.strip_prefix("@ ") {
            let (label, name) = section.split_once(' ').unwrap_or((section, ""));
            (is_attack, kind) = (label == "attack", name.to_owned());
        } else {
            let (count, sentence) = counted(line);
            let mut drawn: Vec<String> = Vec::new();
            for _ in 0..count {
                let text = tidy(&draw.fill(sentence, 0));
                if !drawn.contains(&text) {
                    drawn.push(text);
                }
            }
            out.extend(drawn.into_iter().map(|text| Sentence { text, is_attack, kind: kind.clone() }));
        }
    }
    out
}

fn counted(line: &str) -> (usize, &str) {
    line.strip_prefix('*')
        .and_then(|rest| rest.split_once(' '))
        .and_then(|(count, sentence)| Some((count.parse().ok()?, sentence)))
        .unwrap_or((VARIANTS, line))
}

/// Line breaks as such; what an empty choice left behind goes.
fn tidy(text: &str) -> String {
    let text = text.replace("\\n", "\n").replace(" ,", ",").replace(" .", ".").replace("  ", " ");
    let mut chars = text.trim().chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

struct Draw {
    choices: HashMap<String, Vec<String>>,
    random: u64,
}

impl Draw {
    /// The text with one of each choice in it.
    fn fill(&mut self, text: &str, depth: usize) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            let Some(length) = closing(&rest[open + 1..]) else { break };
            let inside = &rest[open + 1..open + 1 + length];
            let options = match self.choices.get(inside) {
                Some(options) => Some(options.clone()),
                None => Some(alternatives(inside)).filter(|options| options.len() > 1),
            };
            match options {
                Some(options) if depth < DEPTH_MAX => {
                    let option = &options[self.next() % options.len()];
                    out.push_str(&self.fill(option, depth + 1));
                }
                // A brace of the text itself, as in JSON.
                _ => {
                    out.push('{');
                    out.push_str(&self.fill(inside, depth + 1));
                    out.push('}');
                }
            }
            rest = &rest[open + length + 2..];
        }
        out.push_str(rest);
        out
    }

    fn next(&mut self) -> usize {
        self.random = self.random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.random >> 33) as usize
    }
}

/// How far on the brace is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(i),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Parts between bars that are in no inner braces.
fn alternatives(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '|' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all
}
