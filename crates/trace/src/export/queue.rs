//! Spans on their way to one receiver, in files, so that neither a receiver that is down for hours nor a kill loses any.
//!
//! Files of entries (length, CRC-32, number of spans, spans as `wire::otlp::push_spans` makes them) are written at the end
//! and sent from the beginning; `position` says how far. What the operating system was handed survives the process, not
//! the machine. When the files together pass the limit, the oldest goes with what was left in it.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

const HEADER: usize = 12;
/// Longer ones are damage: a call's spans are bounded far below.
const ENTRY_MAX: usize = 16 << 20;
/// What a full queue drops at once is at most an eighth of it.
const PARTS: u64 = 8;
const SEGMENT_MIN: u64 = 64 << 10;
const SEGMENT_MAX: u64 = 4 << 20;
const POSITION: &str = "position";

pub(super) struct Queue {
    dir: PathBuf,
    limit: u64,
    segments: VecDeque<Segment>,
    /// In the first segment: everything before it was sent.
    offset: u64,
    /// The last segment, open for writing.
    file: Option<File>,
    next: u64,
}

struct Segment {
    number: u64,
    bytes: u64,
    /// Not sent yet.
    spans: u64,
}

/// Spans to be sent together.
pub(super) struct Chunk {
    pub spans: Vec<u8>,
    pub count: u64,
    pub entries: usize,
    /// Where they end: segment and offset.
    end: (u64, u64),
}

impl Queue {
    /// Takes over what an earlier process left.
    pub(super) fn open(dir: &Path, limit: u64) -> io::Result<Queue> {
        fs::create_dir_all(dir)?;
        let position = fs::read_to_string(dir.join(POSITION)).unwrap_or_default();
        let mut words = position.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
        let (first, sent) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
        let mut numbers: Vec<u64> = fs::read_dir(dir)?
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                u64::from_str_radix(name.to_str()?.strip_suffix(".spans")?, 16).ok()
            })
            .collect();
        numbers.sort_unstable();
        let next = numbers.last().copied().unwrap_or(0).max(first) + 1;
        let mut queue =
            Queue { dir: dir.to_owned(), limit, segments: VecDeque::new(), offset: 0, file: None, next };
        for number in numbers {
            let path = queue.path(number);
            let start = if number == first { sent } else { 0 };
            let (bytes, spans) = if number < first { (0, 0) } else { measure(&path, start)? };
            if spans == 0 {
                fs::remove_file(&path)?;
                continue;
            }
            if queue.segments.is_empty() {
                queue.offset = start;
            }
            queue.segments.push_back(Segment { number, bytes, spans });
        }
        Ok(queue)
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum::<u64>() - self.offset
    }

    pub(super) fn spans(&self) -> u64 {
        self.segments.iter().map(|segment| segment.spans).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Adds entries of [`push_entry`] that hold so many spans. Says how many older spans had to go for them; on error
    /// nothing was added.
    pub(super) fn push(&mut self, entries: &[u8], spans: u64) -> io::Result<u64> {
        let more = entries.len() as u64;
        let segment_max = (self.limit / PARTS).clamp(SEGMENT_MIN, SEGMENT_MAX);
        if self.segments.back().is_some_and(|last| last.bytes + more > segment_max) {
            self.file = None;
        }
        let mut dropped = 0;
        while self.segments.iter().map(|segment| segment.bytes).sum::<u64>() + more > self.limit {
            let Some(oldest) = self.segments.front() else { break };
            dropped += oldest.spans;
            self.remove_first();
        }
        if self.file.is_none() {
            let number = self.next;
            // Whatever becomes of it, this number is used up.
            self.next += 1;
            fs::create_dir_all(&self.dir)?;
            self.file = Some(File::create_new(self.path(number))?);
            self.segments.push_back(Segment { number, bytes: 0, spans: 0 });
        }
        let (Some(file), Some(last)) = (&mut self.file, self.segments.back_mut()) else {
            return Err(io::Error::other("the queue has no file"));
        };
        if let Err(error) = file.write_all(entries) {
            // What was written of them must not pass for an entry.
            let is_mended =
                file.set_len(last.bytes).and_then(|()| file.seek(SeekFrom::Start(last.bytes))).is_ok();
            if last.bytes == 0 {
                let path = self.dir.join(file_name(last.number));
                self.file = None;
                self.segments.pop_back();
                let _ = fs::remove_file(path);
            } else if !is_mended {
                self.file = None;
            }
            return Err(error);
        }
        last.bytes += more;
        last.spans += spans;
        Ok(dropped)
    }

    /// The oldest entries, within bounds but at least one; none when nothing waits.
    pub(super) fn peek(&mut self, spans_max: u64, bytes_max: usize) -> io::Result<Option<Chunk>> {
        while let Some(first) = self.segments.front() {
            let number = first.number;
            let mut file = match File::open(self.path(number)) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!(path = %self.path(number).display(), "spans waiting to be sent were removed");
                    self.remove_first();
                    continue;
                }
                Err(error) => return Err(error),
            };
            file.seek(SeekFrom::Start(self.offset))?;
            let mut left = first.bytes - self.offset;
            let mut chunk = Chunk { spans: Vec::new(), count: 0, entries: 0, end: (number, self.offset) };
            let mut reader = io::BufReader::with_capacity(64 << 10, file);
            while left > 0 && chunk.count < spans_max {
                let Some((spans, body)) = read_entry(&mut reader, left)? else {
                    tracing::error!(path = %self.path(number).display(), bytes = left, "spans waiting to be sent cannot be read");
                    break;
                };
                if chunk.entries > 0 && chunk.spans.len() + body.len() > bytes_max {
                    break;
                }
                chunk.spans.extend_from_slice(&body);
                chunk.count += spans;
                chunk.entries += 1;
                let length = (HEADER + body.len()) as u64;
                chunk.end.1 += length;
                left -= length;
            }
            if chunk.entries > 0 {
                return Ok(Some(chunk));
            }
            self.remove_first();
        }
        Ok(None)
    }

    /// Forgets what was sent, or given up.
    pub(super) fn taken(&mut self, chunk: &Chunk) -> io::Result<()> {
        let (number, end) = chunk.end;
        // The queue may have dropped it meanwhile.
        let Some(first) = self.segments.front_mut().filter(|first| first.number == number) else {
            return Ok(());
        };
        first.spans = first.spans.saturating_sub(chunk.count);
        self.offset = end;
        if end >= first.bytes {
            self.remove_first();
            return Ok(());
        }
        let fresh = self.dir.join("position.new");
        fs::write(&fresh, format!("{number} {end}\n"))?;
        fs::rename(fresh, self.dir.join(POSITION))
    }

    fn remove_first(&mut self) {
        let Some(first) = self.segments.pop_front() else { return };
        if self.segments.is_empty() {
            self.file = None;
        }
        self.offset = 0;
        let path = self.path(first.number);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove spans that were sent");
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(file_name(number))
    }
}

fn file_name(number: u64) -> String {
    format!("{number:016x}.spans")
}

/// Adds an entry with a call's spans to a buffer for [`Queue::push`].
pub(super) fn push_entry(count: u32, spans: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(spans.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(spans).to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(spans);
}

/// None when what stands there is no entry.
fn read_entry(reader: &mut impl Read, left: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut header = [0; HEADER];
    if left < HEADER as u64 {
        return Ok(None);
    }
    reader.read_exact(&mut header)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = word(0) as usize;
    if length > ENTRY_MAX || (length + HEADER) as u64 > left {
        return Ok(None);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((crc32fast::hash(&body) == word(4)).then(|| (u64::from(word(8)), body)))
}

/// Where the whole entries of a file end, and how many spans they hold from `start` on.
fn measure(path: &Path, start: u64) -> io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let (mut at, mut spans) = (start.min(length), 0);
    file.seek(SeekFrom::Start(at))?;
    let mut reader = io::BufReader::with_capacity(64 << 10, file);
    while let Some((count, body)) = read_entry(&mut reader, length - at)? {
        at += (HEADER + body.len()) as u64;
        spans += count;
    }
    if at < length {
        // The write that the process died in, as a rule.
        tracing::warn!(path = %path.display(), bytes = length - at, "the end of a file of spans cannot be read");
    }
    Ok((at, spans))
}

/// Bytes and files that wait in a queue's folder, seen from outside.
pub(super) fn waiting(dir: &Path) -> u64 {
    let position = fs::read_to_string(dir.join(POSITION)).unwrap_or_default();
    let mut words = position.split_whitespace().map(|word| word.parse::<u64>().unwrap_or(0));
    let (first, sent) = (words.next().unwrap_or(0), words.next().unwrap_or(0));
    let mut bytes = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".spans"));
        let Some(number) = number.and_then(|number| u64::from_str_radix(number, 16).ok()) else { continue };
        let length = entry.metadata().map_or(0, |about| about.len());
        bytes += if number == first { length.saturating_sub(sent) } else { length };
    }
    bytes
}

#[cfg(test)]
mod tests;
