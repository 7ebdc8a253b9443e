//! Comma-separated values as RFC 4180 has them: quotes around what holds commas, quotes or line ends.

/// Of one file: more is no list of tests.
const ROWS_MAX: usize = 20_000;

/// A record with the line that it begins in.
pub(super) type Record = (usize, Vec<String>);

/// Errors: a quote that is not closed, with its line; more than [`ROWS_MAX`] records.
pub(super) fn read(text: &str) -> Result<Vec<Record>, (usize, String)> {
    let mut records: Vec<Record> = Vec::new();
    let (mut fields, mut field, mut line, mut begins) = (Vec::new(), String::new(), 1, 1);
    let mut letters = text.chars().peekable();
    let mut quoted_since: Option<usize> = None;
    while let Some(letter) = letters.next() {
        match (quoted_since, letter) {
            (Some(_), '"') if letters.peek() == Some(&'"') => {
                field.push('"');
                letters.next();
            }
            (Some(_), '"') => quoted_since = None,
            (Some(_), other) => field.push(other),
            (None, '"') if field.is_empty() => quoted_since = Some(line),
            (None, ',') => fields.push(std::mem::take(&mut field)),
            (None, '\r') if letters.peek() == Some(&'\n') => {}
            (None, '\n') => {
                fields.push(std::mem::take(&mut field));
                records.push((begins, std::mem::take(&mut fields)));
                begins = line + 1;
                if records.len() > ROWS_MAX {
                    return Err((line, format!("it has more than {ROWS_MAX} lines")));
                }
            }
            (None, other) => field.push(other),
        }
        line += usize::from(letter == '\n');
    }
    if let Some(line) = quoted_since {
        return Err((line, "a quote is not closed".to_owned()));
    }
    if !field.is_empty() || !fields.is_empty() {
        fields.push(field);
        records.push((begins, fields));
    }
    records.retain(|(_, fields)| fields.iter().any(|field| !field.trim().is_empty()));
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_parted_and_quotes_kept_together() {
        let check = |text: &str, expected: &[(usize, &[&str])]| {
            let read = read(text).unwrap();
            let read: Vec<(usize, Vec<&str>)> = read
                .iter()
                .map(|(line, fields)| (*line, fields.iter().map(String::as_str).collect()))
                .collect();
            let expected: Vec<(usize, Vec<&str>)> =
                expected.iter().map(|(line, fields)| (*line, fields.to_vec())).collect();
            assert_eq!(read, expected, "{text:?}");
        };
        check("a,b\r\n1,2\r\n", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("a\n\"x, \"\"y\"\"\nz\",2\n3,", &[(1, &["a"]), (2, &["x, \"y\"\nz", "2"]), (4, &["3", ""])]);
        check("a\n\n,\nb", &[(1, &["a"]), (4, &["b"])]);
        assert_eq!(super::read("a\n\"b").unwrap_err().0, 2);
    }
}
