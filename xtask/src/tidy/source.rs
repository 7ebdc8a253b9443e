//! Rust source split into code, comments and texts, so that a rule about code is not set off by a comment about it.
//!
//! Not a parser: a scanner that knows where comments, strings and characters begin and end, and which lines stand under
//! `#[cfg(test)]`. That is enough for the rules, and costs no dependency.

#[derive(Debug)]
pub struct Source {
    /// The source with comments and the insides of strings blanked; every line stands where it stood.
    pub code: String,
    /// (line, text) of each comment line.
    pub comments: Vec<(usize, String)>,
    /// (line of its start, content) of each string.
    pub texts: Vec<(usize, String)>,
    /// Whether a line (index from 0) is under `#[cfg(test)]`.
    test_lines: Vec<bool>,
}

impl Source {
    pub fn read(text: &str) -> Source {
        let mut scanner = Scanner { chars: text.chars().collect(), at: 0, line: 1, ..Scanner::default() };
        scanner.scan();
        let Scanner { code, comments, texts, .. } = scanner;
        let test_lines = test_lines(&code);
        Source { code, comments, texts, test_lines }
    }

    /// `line` counts from 1.
    pub fn is_test(&self, line: usize) -> bool {
        self.test_lines.get(line - 1).copied().unwrap_or(false)
    }
}

#[derive(Default)]
struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: usize,
    code: String,
    comments: Vec<(usize, String)>,
    texts: Vec<(usize, String)>,
}

impl Scanner {
    fn scan(&mut self) {
        while let Some(here) = self.peek(0) {
            match (here, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.text(),
                ('\'', _) => self.quote(),
                (letter, _) if letter == '_' || letter.is_alphanumeric() => self.word(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn step(&mut self) -> Option<char> {
        let here = self.peek(0)?;
        self.at += 1;
        if here == '\n' {
            self.line += 1;
        }
        Some(here)
    }

    fn keep(&mut self) {
        if let Some(here) = self.step() {
            self.code.push(here);
        }
    }

    fn blank(&mut self) -> Option<char> {
        let here = self.step()?;
        self.code.push(if here == '\n' { '\n' } else { ' ' });
        Some(here)
    }

    fn line_comment(&mut self) {
        let (line, mut text) = (self.line, String::new());
        while self.peek(0).is_some_and(|here| here != '\n') {
            text.extend(self.blank());
        }
        self.comments.push((line, text));
    }

    fn block_comment(&mut self) {
        let (mut depth, mut text, mut line) = (0usize, String::new(), self.line);
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    text.extend(self.blank());
                    text.extend(self.blank());
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    text.extend(self.blank());
                    text.extend(self.blank());
                    if depth == 0 {
                        break;
                    }
                }
                (Some('\n'), _) => {
                    self.blank();
                    self.comments.push((line, std::mem::take(&mut text)));
                    line = self.line;
                }
                (Some(_), _) => text.extend(self.blank()),
                (None, _) => break,
            }
        }
        self.comments.push((line, text));
    }

    /// `"…"` with escapes.
    fn text(&mut self) {
        let (line, mut text) = (self.line, String::new());
        self.keep();
        while let Some(here) = self.peek(0) {
            match here {
                '"' => {
                    self.keep();
                    break;
                }
                '\\' => {
                    text.extend(self.blank());
                    text.extend(self.blank());
                }
                _ => text.extend(self.blank()),
            }
        }
        self.texts.push((line, text));
    }

    /// `r"…"`, `r#"…"#`: ends at a quote with as many hashes as it began with.
    fn raw_text(&mut self, hashes: usize) {
        let (line, mut text) = (self.line, String::new());
        for _ in 0..=hashes {
            self.keep();
        }
        while let Some(here) = self.peek(0) {
            if here == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                for _ in 0..=hashes {
                    self.keep();
                }
                break;
            }
            text.extend(self.blank());
        }
        self.texts.push((line, text));
    }

    /// A character (`'a'`, `'\n'`, `'"'`) or a lifetime (`'a`).
    fn quote(&mut self) {
        self.keep();
        match (self.peek(0), self.peek(1)) {
            (Some('\\'), _) => {
                self.blank();
                self.blank();
                while let Some(here) = self.blank() {
                    if here == '\'' {
                        break;
                    }
                }
            }
            (Some(_), Some('\'')) => {
                self.blank();
                self.keep();
            }
            _ => {}
        }
    }

    /// A name or a number; `r`, `br` and `cr` may begin a raw text.
    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(|here| here == '_' || here.is_alphanumeric()) {
            self.keep();
        }
        let word: String = self.chars[start..self.at].iter().collect();
        if matches!(word.as_str(), "r" | "br" | "cr") {
            let hashes = (0..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
            if self.peek(hashes) == Some('"') {
                self.raw_text(hashes);
            }
        }
    }
}

/// Marks the lines of every item under `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut lines = vec![false; code.lines().count()];
    for mark in ["#[cfg(test)]", "#[cfg(all(test"] {
        for (start, _) in code.match_indices(mark) {
            let end = item_end(code, start);
            let first = code[..start].matches('\n').count();
            let last = code[..end].matches('\n').count();
            for line in lines.iter_mut().take(last + 1).skip(first) {
                *line = true;
            }
        }
    }
    lines
}

/// Where the item that an attribute at `start` belongs to ends: at its closing brace, or at `;` before any brace.
fn item_end(code: &str, start: usize) -> usize {
    let (mut braces, mut brackets) = (0i32, 0i32);
    for (at, here) in code[start..].char_indices() {
        match here {
            '[' | '(' => brackets += 1,
            ']' | ')' => brackets -= 1,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces <= 0 {
                    return start + at;
                }
            }
            ';' if braces == 0 && brackets == 0 => return start + at,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_no_code() {
        let source =
            Source::read("let a = \"todo!()\"; // todo!()\n/* dbg!()\n /* nested */ x */ let b = 1;\n");
        assert!(!source.code.contains("todo!") && !source.code.contains("dbg!"), "{}", source.code);
        assert!(source.code.contains("let a") && source.code.contains("let b = 1;"));
        assert_eq!(source.texts, [(1, "todo!()".to_owned())]);
        assert_eq!(source.comments[0], (1, "// todo!()".to_owned()));
        assert_eq!(source.comments.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn raw_texts_characters_and_lifetimes_end_where_they_end() {
        let check = |text: &str, rest: &str| {
            let source = Source::read(text);
            assert!(source.code.contains(rest), "{text}: {}", source.code);
        };
        check(r##"let a = r#"a " b"#; end()"##, "end()");
        check(r"let a = '\''; end()", "end()");
        check(r#"let a = '"'; end()"#, "end()");
        check("fn f<'a>(x: &'a str) -> &'a str { end() }", "end()");
        check(r#"let a = "\\"; end()"#, "end()");
        check(r#"let a = b"x"; let r#type = 1; end()"#, "end()");
        check("let a = '\\u{1F600}'; end()", "end()");
    }

    #[test]
    fn lines_under_cfg_test_are_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { if x {} }\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}\n";
        let source = Source::read(text);
        let test: Vec<usize> = (1..=9).filter(|line| source.is_test(*line)).collect();
        assert_eq!(test, [2, 3, 4, 5, 7, 8]);
    }
}
