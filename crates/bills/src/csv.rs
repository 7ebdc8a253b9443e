//! CSV as RFC 4180 has it, written so that no cell is a formula, and read as providers and spreadsheets write it.

/// Writes rows. Lines end in CR LF.
#[derive(Default)]
pub struct Csv(String);

/// What stands in a cell.
#[derive(Clone, Copy)]
pub enum Cell<'a> {
    /// Anybody's words.
    Text(&'a str),
    /// A figure of ours, written as a number.
    Number(&'a str),
}

impl Csv {
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = Cell<'a>>) {
        for (at, cell) in cells.into_iter().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            match cell {
                Cell::Number(number) => self.0.push_str(number),
                Cell::Text(text) => self.text(text),
            }
        }
        self.0.push_str("\r\n");
    }

    /// A cell that a spreadsheet would take for a formula gets an apostrophe before it, which spreadsheets read as
    /// "this is text". The character that makes a formula may stand behind blanks, and may be a wide form of itself.
    fn text(&mut self, text: &str) {
        let first = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control()).chars().next();
        let is_formula =
            first.is_some_and(|c| "=+-@＝＋－＠|%".contains(c)) || text.starts_with(['\t', '\r', '\n']);
        let is_quoted = is_formula || text.contains(['"', ',', '\r', '\n', ';', '\t']) || text != text.trim();
        if !is_quoted {
            self.0.push_str(text);
            return;
        }
        self.0.push('"');
        if is_formula {
            self.0.push('\'');
        }
        self.0.push_str(&text.replace('"', "\"\""));
        self.0.push('"');
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// Reads records: commas or semicolons, quotes, either line end, an optional byte order mark. Blank lines are left out.
/// Errors: the line on which a quote is never closed.
pub fn read(text: &str) -> Result<Vec<(usize, Vec<String>)>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let head = text.lines().next().unwrap_or("");
    let separator = if head.contains(';') && !head.contains(',') { ';' } else { ',' };
    let mut reader =
        Reader { records: Vec::new(), cells: Vec::new(), cell: String::new(), line: 1, begun: 1 };
    let mut characters = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                reader.cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if reader.cell.is_empty() => quoted = true,
            '\n' if !quoted => reader.end_line(),
            '\r' if !quoted && characters.peek() == Some(&'\n') => {}
            c if c == separator && !quoted => reader.end_cell(),
            c => {
                if c == '\n' {
                    reader.line += 1;
                }
                reader.cell.push(c);
            }
        }
    }
    if quoted {
        return Err(reader.begun);
    }
    if !reader.cell.is_empty() || !reader.cells.is_empty() {
        reader.end_line();
    }
    Ok(reader.records)
}

struct Reader {
    records: Vec<(usize, Vec<String>)>,
    cells: Vec<String>,
    cell: String,
    line: usize,
    /// The line on which the record began.
    begun: usize,
}

impl Reader {
    fn end_cell(&mut self) {
        self.cells.push(std::mem::take(&mut self.cell).trim().to_owned());
    }

    fn end_line(&mut self) {
        self.end_cell();
        let cells = std::mem::take(&mut self.cells);
        if cells.iter().any(|cell| !cell.is_empty()) {
            self.records.push((self.begun, cells));
        }
        self.line += 1;
        self.begun = self.line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cell: Cell<'_>) -> String {
        let mut csv = Csv::default();
        csv.row([cell]);
        csv.finish().trim_end().to_owned()
    }

    #[test]
    fn no_cell_is_a_formula() {
        let check = |text: &str, expected: &str| assert_eq!(written(Cell::Text(text)), expected, "{text:?}");
        check("acme", "acme");
        check("", "");
        check("=1+1", "\"'=1+1\"");
        check("+1", "\"'+1\"");
        check("-2", "\"'-2\"");
        check("@SUM(A1)", "\"'@SUM(A1)\"");
        check("\t=1", "\"'\t=1\"");
        check("  =1", "\"'  =1\"");
        check("＝1", "\"'＝1\"");
        check("a,b", "\"a,b\"");
        check("a\"b", "\"a\"\"b\"");
        check("=\"a\"", "\"'=\"\"a\"\"\"");
        check("a\nb", "\"a\nb\"");
        check("a=b", "a=b");
        check("a-b", "a-b");
        assert_eq!(written(Cell::Number("-2.50")), "-2.50", "a figure of ours stays a number");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut csv = Csv::default();
        csv.row([Cell::Text("model"), Cell::Text("a \"b\", c\nd"), Cell::Number("1.5")]);
        csv.row([Cell::Text(""), Cell::Text("東"), Cell::Number("0")]);
        let read = read(&csv.finish()).unwrap();
        assert_eq!(read[0], (1, vec!["model".into(), "a \"b\", c\nd".into(), "1.5".into()]));
        assert_eq!(read[1], (3, vec![String::new(), "東".into(), "0".into()]));
    }

    #[test]
    fn files_of_spreadsheets_are_read() {
        let check = |text: &str, expected: &[&[&str]]| {
            let rows: Vec<Vec<String>> = read(text).unwrap().into_iter().map(|(_, cells)| cells).collect();
            assert_eq!(rows, expected, "{text:?}");
        };
        check("\u{feff}a,b\r\n1, 2\r\n\r\n", &[&["a", "b"], &["1", "2"]]);
        check("a;b\n\"x;y\";2", &[&["a", "b"], &["x;y", "2"]]);
        check("", &[]);
        assert_eq!(read("a,b\n\"open,2\n"), Err(2));
    }
}
