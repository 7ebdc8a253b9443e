//! `gauntlet trace export` and `import`: calls and spans as lines of JSON, out of one gateway and into another; calls also
//! as a table for other programs.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::trace;
use crate::{
    cli::{Filter, Format, Place},
    parquet::Parquet,
    reach::Reach,
    show,
};

/// Lines and bytes of a request; a batch is one transaction of the store.
const LINES: usize = 500;
const BYTES: usize = 4 << 20;
/// A longer line is no call of ours: the largest body with its answer stays far below.
const LINE_MAX: u64 = 128 << 20;
/// Bad lines that are named; beyond them only their number is told.
const NAMED_MAX: usize = 50;

pub struct Export<'a> {
    pub filter: &'a Filter,
    pub format: Option<Format>,
    pub out: &'a Path,
    pub with_spans: bool,
}

pub fn export(place: &Place, reach: &Reach, wanted: &Export<'_>) -> Result<()> {
    let out = wanted.out;
    let by_ending = if out.extension().is_some_and(|ending| ending == "parquet") {
        Format::Parquet
    } else {
        Format::Jsonl
    };
    let format = wanted.format.unwrap_or(by_ending);
    if format == Format::Parquet && wanted.with_spans {
        bail!("spans are exported as lines of JSON alone; leave --spans out, or write --format jsonl");
    }
    let query = trace::query(wanted.filter, 0);
    let path = format!("/api/v1/traces/export?spans={}&{query}", wanted.with_spans);
    if out == Path::new("-") {
        return write(reach, &path, format, BufWriter::new(io::stdout().lock())).map(drop);
    }
    // Whole or not at all: half an export looks like one.
    let mut beside = out.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let cannot = || format!("cannot write {}", beside.display());
    // It holds users' words.
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside);
    let lines = write(reach, &path, format, BufWriter::new(file.with_context(cannot)?))?;
    fs::rename(&beside, out).with_context(|| format!("cannot write {}", out.display()))?;
    let bytes = fs::metadata(out).map_or(0, |meta| meta.len());
    if place.json {
        show::json(&json!({"lines": lines, "bytes": bytes, "file": out.display().to_string()}));
    } else {
        println!("{lines} calls or spans ({bytes} bytes) in {}", out.display());
    }
    Ok(())
}

/// Says how many lines came.
fn write(reach: &Reach, path: &str, format: Format, mut out: impl Write) -> Result<u64> {
    let mut progress = Progress::new("written");
    let mut lines = 0;
    let mut count = |piece: &[u8]| {
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        progress.tell(lines);
    };
    match format {
        Format::Jsonl => {
            reach.download(path, &mut |piece| {
                count(piece);
                out.write_all(piece).context("cannot write")
            })?;
            out.flush().context("cannot write")?;
        }
        Format::Parquet => {
            let mut file = Parquet::new(out)?;
            reach.download(path, &mut |piece| {
                count(piece);
                file.piece(piece)
            })?;
            file.finish()?;
        }
    }
    Ok(lines)
}

#[derive(Clone, Copy)]
pub struct Wanted {
    pub skip_bad: bool,
    pub charge: bool,
}

pub fn import(place: &Place, reach: &Reach, files: &[PathBuf], wanted: Wanted) -> Result<ExitCode> {
    let mut import = Import {
        reach,
        path: format!("/api/v1/traces/import?skip_bad={}&charge={}", wanted.skip_bad, wanted.charge),
        wanted,
        sums: Sums::default(),
        named: Vec::new(),
        progress: Progress::new("lines read"),
    };
    let done = files.iter().try_for_each(|file| import.file(file));
    let Import { sums, named, progress, .. } = import;
    drop(progress);
    let known = (sums.calls + sums.spans).saturating_sub(sums.added_calls + sums.added_spans);
    if place.json {
        show::json(&json!({
            "added": {"calls": sums.added_calls, "spans": sums.added_spans}, "known": known, "bad": sums.bad,
            "bad_lines": named, "charged": wanted.charge, "whole": done.is_ok(),
        }));
    } else {
        named.iter().for_each(|bad| eprintln!("{}", show::printable(bad)));
        println!(
            "{} calls and {} spans added; {known} were there already; {} bad lines.",
            sums.added_calls, sums.added_spans, sums.bad
        );
        if sums.added_calls > 0 && !wanted.charge {
            println!("Budgets stay as they are; `gauntlet spend` counts the calls.");
        }
    }
    done?;
    Ok(if sums.bad > 0 { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

#[derive(Default)]
struct Sums {
    calls: u64,
    spans: u64,
    added_calls: u64,
    added_spans: u64,
    bad: u64,
}

struct Import<'a> {
    reach: &'a Reach,
    path: String,
    wanted: Wanted,
    sums: Sums,
    /// `FILE:LINE: why`.
    named: Vec<String>,
    progress: Progress,
}

impl Import<'_> {
    fn file(&mut self, path: &Path) -> Result<()> {
        let is_input = path == Path::new("-");
        let name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
        let cannot = || format!("cannot read {name}");
        let mut reader: Box<dyn BufRead> = if is_input {
            Box::new(io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(path).with_context(cannot)?))
        };
        let (mut batch, mut first, mut number) = (String::new(), 1, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read =
                reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).with_context(cannot)? as u64;
            let is_long = read == LINE_MAX && line.last() != Some(&b'\n');
            number += u64::from(read > 0);
            let is_full = number - first >= LINES as u64 || batch.len() + line.len() > BYTES;
            if read == 0 || is_full || is_long {
                // The line just read begins the next batch.
                self.send(&name, std::mem::take(&mut batch), first)?;
                first = number;
            }
            if read == 0 {
                return Ok(());
            }
            if is_long {
                self.bad(&name, number, &format!("a line of more than {LINE_MAX} bytes"))?;
                skip_line(&mut *reader).with_context(cannot)?;
                first = number + 1;
                continue;
            }
            match std::str::from_utf8(&line) {
                Ok(text) => batch.push_str(text),
                Err(_) => {
                    self.bad(&name, number, "not a text of UTF-8")?;
                    // Keeps its number.
                    batch.push('\n');
                }
            }
        }
    }

    fn send(&mut self, name: &str, batch: String, first: u64) -> Result<()> {
        if batch.trim().is_empty() {
            return Ok(());
        }
        let lines = batch.lines().count() as u64;
        let answer = self.reach.post_lines(&self.path, batch)?;
        let number = |field: &str| answer[field].as_u64().unwrap_or(0);
        self.sums.calls += number("calls");
        self.sums.spans += number("spans");
        self.sums.added_calls += number("added_calls");
        self.sums.added_spans += number("added_spans");
        for bad in answer["bad"].as_array().into_iter().flatten() {
            let line = first + bad["line"].as_u64().unwrap_or(1) - 1;
            self.bad(name, line, bad["why"].as_str().unwrap_or("cannot be read"))?;
        }
        self.progress.tell(first + lines - 1);
        Ok(())
    }

    /// Notes a bad line, or stops at it.
    fn bad(&mut self, name: &str, line: u64, why: &str) -> Result<()> {
        let shown = format!("{name}:{line}: {why}");
        if !self.wanted.skip_bad {
            bail!(
                "{}; nothing of its batch was added. Mend it and run this again, or leave such lines out with --skip-bad",
                show::printable(&shown)
            );
        }
        self.sums.bad += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(shown);
        }
        Ok(())
    }
}

fn skip_line(reader: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (length, is_over) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(length);
        if is_over {
            return Ok(());
        }
    }
}

/// A line on a terminal; nothing elsewhere.
struct Progress {
    what: &'static str,
    is_shown: bool,
    told: u64,
}

impl Progress {
    fn new(what: &'static str) -> Progress {
        Progress { what, is_shown: io::stderr().is_terminal(), told: 0 }
    }

    fn tell(&mut self, count: u64) {
        if self.is_shown && count >= self.told + LINES as u64 {
            self.told = count;
            eprint!("\r{count} {} … ", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown && self.told > 0 {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_passed() {
        let mut reader = BufReader::with_capacity(4, &b"0123456789\nnext\n"[..]);
        skip_line(&mut reader).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "next\n");
        skip_line(&mut reader).unwrap();
    }
}
