//! What a piece of SQL does, told from its words.
//!
//! A small lexer and no parser: dialects differ in grammar and agree in what ends a comment or a string, and where they
//! do not agree (backslashes before quotes, dollar quotes, executable comments) the text is refused. Words that change
//! something count wherever they stand outside quotes, as some dialects need no semicolon between statements and let a
//! `WITH` delete; a column that is called `update` has to be quoted.

/// What some SQL does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Deeds {
    /// In upper case, each once, in order: the first words of statements, and words that change something.
    pub(crate) verbs: Vec<String>,
    pub(crate) statements: usize,
    /// Calls a function that reads files, opens connections, runs programs or waits.
    pub(crate) reaches_out: bool,
}

/// Cannot be told: dialects would read it differently, or it does not end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unclear;

const CHANGES: [&str; 30] = [
    "INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "CREATE", "TRUNCATE", "MERGE", "GRANT", "REVOKE", "EXEC",
    "EXECUTE", "CALL", "COPY", "ATTACH", "DETACH", "REPLACE", "UPSERT", "RENAME", "LOAD", "VACUUM",
    "REINDEX", "LOCK", "UNLOAD", "PREPARE", "HANDLER", "INSTALL", "IMPORT", "EXPORT", "SHUTDOWN",
];

const REACHES: [&str; 24] = [
    "pg_read_file",
    "pg_read_binary_file",
    "pg_ls_dir",
    "pg_stat_file",
    "lo_import",
    "lo_export",
    "load_file",
    "xp_cmdshell",
    "sp_oacreate",
    "openrowset",
    "opendatasource",
    "openquery",
    "dblink",
    "dblink_exec",
    "sys_exec",
    "sys_eval",
    "load_extension",
    "pg_sleep",
    "benchmark",
    "sleep",
    "read_csv",
    "read_parquet",
    "read_text",
    "utl_http",
];

#[derive(PartialEq, Eq, Debug)]
enum Token {
    /// In upper case.
    Word(String),
    Mark(char),
    /// A string, a quoted name or a number.
    Other,
}

pub(crate) fn deeds(sql: &str) -> Result<Deeds, Unclear> {
    let tokens = tokens(sql)?;
    let mut deeds = Deeds::default();
    let mut is_first = true;
    let mut verb = "";
    for (i, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else {
            is_first |= *token == Token::Mark(';');
            // A statement may stand in parentheses; nothing else begins with a mark or a string.
            if is_first && !matches!(token, Token::Mark(';' | '(')) {
                return Err(Unclear);
            }
            continue;
        };
        let before = i.checked_sub(1).and_then(|i| tokens.get(i));
        let follows =
            |words: &[&str]| matches!(before, Some(Token::Word(word)) if words.contains(&word.as_str()));
        let is_call = tokens.get(i + 1) == Some(&Token::Mark('('));
        deeds.reaches_out |= REACHES.contains(&word.to_ascii_lowercase().as_str());
        let is_change = CHANGES.contains(&word.as_str())
            // `FOR UPDATE`, `ON DELETE`, `t.update`, `REPLACE(a, b, c)`
            && !follows(&["FOR", "ON", "AS"])
            && before != Some(&Token::Mark('.'))
            && !(is_call && matches!(word.as_str(), "REPLACE" | "TRUNCATE" | "INSERT"));
        let is_into = word == "INTO" && matches!(verb, "SELECT" | "WITH" | "TABLE" | "VALUES");
        if is_first {
            deeds.statements += 1;
            verb = word;
        }
        // What is explained may be run, and what a `WITH` ends in is what it does.
        let is_inner = word == "SELECT" && matches!(verb, "WITH" | "EXPLAIN" | "DESCRIBE" | "DESC");
        if (is_first || is_change || is_into || is_inner) && !deeds.verbs.contains(word) {
            deeds.verbs.push(word.clone());
        }
        is_first = false;
    }
    if deeds.verbs.iter().any(|verb| verb == "WITH") && deeds.verbs.len() > 1 {
        deeds.verbs.retain(|verb| verb != "WITH");
    }
    Ok(deeds)
}

fn tokens(sql: &str) -> Result<Vec<Token>, Unclear> {
    let chars: Vec<char> = sql.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match (at(i), at(i + 1)) {
            (c, _) if c.is_whitespace() => i += 1,
            // Two minus signs to those who want white space after them.
            ('-', '-') if !matches!(at(i + 2), ' ' | '\t' | '\n' | '\0') => return Err(Unclear),
            ('-', '-') => i = line(&chars, i)?,
            // A comment in one dialect, an operator in another.
            ('#', _) => return Err(Unclear),
            ('/', '*') => i = comment(&chars, i)?,
            (quote @ ('\'' | '"' | '`'), _) => {
                i = quoted(&chars, i, quote)?;
                tokens.push(Token::Other);
            }
            ('[', _) => {
                let end = quoted(&chars, i, ']')?;
                // A name in one dialect; in another an index, in which strings and comments are what they are elsewhere.
                if chars[i..end].iter().any(|c| matches!(c, '\'' | '"' | '`' | ';' | '-' | '/' | '$')) {
                    return Err(Unclear);
                }
                i = end;
                tokens.push(Token::Other);
            }
            ('$', next) if next == '$' || next.is_alphabetic() || next == '_' => return Err(Unclear),
            ('\0', _) => return Err(Unclear),
            (c, _) if c.is_alphabetic() || c == '_' => {
                let end = (i..chars.len()).find(|k| !is_of_name(at(*k))).unwrap_or(chars.len());
                let word: String = chars[i..end].iter().flat_map(|c| c.to_uppercase()).collect();
                // `q'[ it's ]'` is a string with quotes of its own.
                if matches!(word.as_str(), "Q" | "NQ") && at(end) == '\'' {
                    return Err(Unclear);
                }
                tokens.push(Token::Word(word));
                i = end;
            }
            (c, _) if c.is_ascii_digit() => {
                // `1UNION` is a number and a word to some.
                i = (i..chars.len()).find(|k| !matches!(at(*k), '0'..='9' | '.')).unwrap_or(chars.len());
                tokens.push(Token::Other);
            }
            (c, _) => {
                tokens.push(Token::Mark(c));
                i += 1;
            }
        }
    }
    Ok(tokens)
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// The end of a comment to the end of the line. What a lone carriage return ends is unclear.
fn line(chars: &[char], start: usize) -> Result<usize, Unclear> {
    let end = (start..chars.len()).find(|k| chars[*k] == '\n').unwrap_or(chars.len());
    let is_lone = |k: usize| chars[k] == '\r' && chars.get(k + 1) != Some(&'\n');
    if (start..end).any(is_lone) { Err(Unclear) } else { Ok(end) }
}

/// The end of a comment. One that some dialects nest and others do not, or run, is unclear.
fn comment(chars: &[char], start: usize) -> Result<usize, Unclear> {
    if matches!(chars.get(start + 2), Some('!' | '+')) {
        return Err(Unclear);
    }
    let mut i = start + 2;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('*', '/') => return Ok(i + 2),
            ('/', '*') => return Err(Unclear),
            _ => i += 1,
        }
    }
    Err(Unclear)
}

/// The end of a string or quoted name. Two quotes are one; a backslash before a quote is read in two ways.
fn quoted(chars: &[char], start: usize, quote: char) -> Result<usize, Unclear> {
    let mut i = start + 1;
    while i < chars.len() {
        if chars[i] == quote {
            if chars.get(i + 1) != Some(&quote) {
                return Ok(i + 1);
            }
            i += 1;
        } else if chars[i] == '\\' && matches!(chars.get(i + 1), Some('\'' | '"' | '`' | '\\')) {
            return Err(Unclear);
        }
        i += 1;
    }
    Err(Unclear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sql_does_is_told_from_its_words() {
        let check = |sql: &str, verbs: &[&str], statements: usize| {
            let deeds = deeds(sql).unwrap();
            assert_eq!(
                (deeds.verbs.as_slice(), deeds.statements),
                (verbs.map_strings().as_slice(), statements),
                "{sql}"
            );
        };
        check("select a from t where b = 'drop table' for update", &["SELECT"], 1);
        check("SELECT 1; -- note\n/* and */ DELETE FROM t;", &["SELECT", "DELETE"], 2);
        check("SELECT 1 DELETE FROM t", &["SELECT", "DELETE"], 1);
        check("with a as (delete from t returning *) select * from a", &["DELETE", "SELECT"], 1);
        check("WITH a AS (SELECT 1) SELECT replace(b, 'c', 'd') FROM a", &["SELECT"], 1);
        check("EXPLAIN ANALYZE DELETE FROM t", &["EXPLAIN", "DELETE"], 1);
        check("(SELECT 1) UNION (SELECT 2)", &["SELECT"], 1);
        check("SELECT * INTO OUTFILE '/tmp/a' FROM t", &["SELECT", "INTO"], 1);
        check("SELECT \"update\", [drop], `delete`, t.alter FROM t", &["SELECT"], 1);
        check("INSERT INTO t VALUES ('it''s')", &["INSERT"], 1);
        check("", &[], 0);
        assert!(deeds("SELECT pg_read_file('/etc/passwd')").unwrap().reaches_out);
    }

    #[test]
    fn what_dialects_read_differently_is_unclear() {
        for sql in [
            "SELECT 'a\\' OR 1=1 -- '",
            "SELECT /*!50000 1; DROP TABLE t */",
            "SELECT /* /* */ 1; DROP TABLE t -- */",
            "SELECT 1 # 2\n; DROP TABLE t",
            "SELECT $$a$$",
            "SELECT 1--1; DROP TABLE t",
            "SELECT 1 -- \r ; DROP TABLE t\n",
            "SELECT q'[']' ; DROP TABLE t; -- '",
            "SELECT ARRAY['a]', 'b'] ; DROP TABLE t; --'",
            "SELECT 'open",
            "SELECT 1 /* open",
            "'SELECT'",
        ] {
            assert_eq!(deeds(sql), Err(Unclear), "{sql}");
        }
    }

    trait Strings {
        fn map_strings(&self) -> Vec<String>;
    }

    impl Strings for &[&str] {
        fn map_strings(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }
}
