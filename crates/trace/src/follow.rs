//! Reads one worker's segments in order, as far as they are whole, and knows which of them are still needed.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use gauntlet_ports::{Arrived, SpoolPosition, StoredCall, StoredSpan};
use gauntlet_types::CallId;

use crate::{
    segment::{self, Entry, HEADER_BYTES, Kind, Reach, SegmentName, Step, Walk},
    spool::Tail,
};

/// What is read at once; an entry that is longer is read whole.
const CHUNK_BYTES: u64 = 1 << 20;

/// Records on their way to the store.
#[derive(Default)]
pub(crate) struct Batch {
    pub calls: Vec<StoredCall>,
    pub spans: Vec<StoredSpan>,
    pub bytes: usize,
    pub records_max: usize,
    pub bytes_max: usize,
}

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.calls.len() + self.spans.len() >= self.records_max || self.bytes >= self.bytes_max
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.spans.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.spans.clear();
        self.bytes = 0;
    }

    pub(crate) fn arrived(&self) -> Arrived<'_> {
        Arrived { calls: &self.calls, spans: &self.spans }
    }
}

/// What was found that should not be there.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Damage {
    pub bytes: u64,
    pub torn: u64,
    /// Whole entries whose record this version cannot read.
    pub unreadable: u64,
}

/// unread ─read to its end→ read ─batch stored→ stored │ stored, sealed and no call of it in flight → removed
struct Followed {
    number: u64,
    path: PathBuf,
    /// Open only while there is something to read.
    file: Option<File>,
    read: u64,
    stored: u64,
    end: u64,
    is_sealed: bool,
    is_damaged: bool,
    /// Could not be removed.
    is_stuck: bool,
    calls_in_flight: usize,
}

pub(crate) struct Follower {
    pub worker: String,
    /// None for a spool that this process did not register: then the file's length is all there is to go by.
    pub tail: Option<Arc<Tail>>,
    segments: VecDeque<Followed>,
    /// Opened and not closed, with the segment where.
    in_flight: HashMap<CallId, u64>,
    newest: u64,
    /// Stored already when this follower began; only calls in flight are of interest before it.
    start: Option<(u64, u64)>,
    position_pending: bool,
}

impl Follower {
    pub(crate) fn new(worker: &str, start: Option<(u64, u64)>) -> Follower {
        Follower {
            worker: worker.to_owned(),
            tail: None,
            segments: VecDeque::new(),
            in_flight: HashMap::new(),
            newest: 0,
            start,
            position_pending: false,
        }
    }

    /// Sets what is in the store already; for before the first read.
    pub(crate) fn start_at(&mut self, start: Option<(u64, u64)>) {
        self.start = start;
    }

    /// Takes in a segment seen in the folder; older or known ones are ignored.
    pub(crate) fn add(&mut self, dir: &Path, name: &SegmentName) {
        if name.number <= self.newest {
            return;
        }
        self.newest = name.number;
        self.segments.push_back(Followed {
            number: name.number,
            path: name.path(dir),
            file: None,
            read: 0,
            stored: 0,
            end: 0,
            is_sealed: false,
            is_damaged: false,
            is_stuck: false,
            calls_in_flight: 0,
        });
    }

    /// The writer has begun a segment that has not been seen in the folder yet.
    pub(crate) fn is_folder_stale(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| {
            let (number, end) = tail.read();
            end > 0 && number > self.newest
        })
    }

    /// Learns how far each segment may be read.
    pub(crate) fn look(&mut self) {
        let newest = self.newest;
        for segment in self.segments.iter_mut().filter(|segment| !segment.is_sealed) {
            segment.look(self.tail.as_deref(), newest);
        }
    }

    /// Bytes not in the store yet, opens included.
    pub(crate) fn bytes_waiting(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end.saturating_sub(segment.stored)).sum()
    }

    pub(crate) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// How far reading has come.
    pub(crate) fn read_to(&self) -> (u64, u64) {
        let reading = self.segments.iter().rev().find(|segment| segment.read > 0);
        reading.map_or((0, 0), |segment| (segment.number, segment.read))
    }

    /// Where the store shall stand once the batch is in; none if nothing was read since it was last asked.
    pub(crate) fn position(&self) -> Option<SpoolPosition> {
        let (segment, offset) = self.read_to();
        let is_further = self.start.is_none_or(|start| (segment, offset) > start);
        (self.position_pending && is_further).then(|| SpoolPosition {
            worker: self.worker.clone(),
            segment,
            offset,
        })
    }

    /// Reads until the batch is full or there is nothing more; true if the batch stopped it.
    pub(crate) fn read(&mut self, batch: &mut Batch, damage: &mut Damage) -> io::Result<bool> {
        for at in 0..self.segments.len() {
            match self.read_segment(at, batch, damage) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.give_up(at, damage),
                other => other?,
            }
            if batch.is_full() {
                return Ok(true);
            }
            if !self.segments[at].is_sealed {
                break;
            }
        }
        Ok(false)
    }

    fn read_segment(&mut self, at: usize, batch: &mut Batch, damage: &mut Damage) -> io::Result<()> {
        let mut wanted = CHUNK_BYTES;
        loop {
            let segment = &mut self.segments[at];
            let left = segment.end.saturating_sub(segment.read);
            if left == 0 || batch.is_full() {
                if left == 0 && segment.is_sealed {
                    segment.file = None;
                }
                return Ok(());
            }
            let chunk = segment.chunk(wanted.min(left))?;
            let is_rest = chunk.len() as u64 >= left;
            let reach = if is_rest && segment.is_sealed { Reach::WholeSegment } else { Reach::Part };
            let base = segment.read;
            let mut walk = Walk::new(chunk, reach);
            wanted = CHUNK_BYTES;
            while !batch.is_full() {
                let before = walk.at();
                match walk.step() {
                    Step::Entry(entry) => {
                        let place = (self.segments[at].number, base + walk.at() as u64);
                        self.take(at, entry, place, batch, damage);
                    }
                    Step::Damaged(bytes) => {
                        damage.bytes += bytes as u64;
                        self.segments[at].is_damaged = true;
                    }
                    Step::Torn(_) => damage.torn += 1,
                    Step::Short(bytes) if before == 0 && is_rest => {
                        // Not all there yet: either it will be, or the segment is sealed and this becomes a torn tail.
                        debug_assert!(bytes as u64 > left);
                        return Ok(());
                    }
                    Step::Short(bytes) => {
                        wanted = CHUNK_BYTES.max(bytes as u64);
                        break;
                    }
                    Step::End => break,
                }
                self.segments[at].read = base + walk.at() as u64;
                self.position_pending = true;
            }
        }
    }

    /// Somebody removed the file; waiting for it would stop everything behind it.
    fn give_up(&mut self, at: usize, damage: &mut Damage) {
        let segment = &mut self.segments[at];
        tracing::error!(path = %segment.path.display(), "a spool segment is gone; what was not stored of it is lost");
        damage.bytes += segment.end.saturating_sub(segment.read);
        segment.read = segment.end;
    }

    fn take(&mut self, at: usize, entry: Entry, place: (u64, u64), batch: &mut Batch, damage: &mut Damage) {
        match entry.kind {
            Kind::Open => {
                let here = self.segments[at].number;
                let before = self.in_flight.insert(entry.id, here);
                if before == Some(here) {
                    return;
                }
                // Opened again, since what it holds has changed: only the last entry is needed.
                if let Some(before) = self.segments.iter_mut().find(|segment| Some(segment.number) == before)
                {
                    before.calls_in_flight -= 1;
                }
                self.segments[at].calls_in_flight += 1;
            }
            Kind::Close => {
                let opened = self.in_flight.remove(&entry.id);
                let opened = self.segments.iter_mut().find(|segment| Some(segment.number) == opened);
                if let Some(segment) = opened {
                    segment.calls_in_flight -= 1;
                }
                if self.start.is_some_and(|stored| place <= stored) {
                    return;
                }
                match entry.read_record() {
                    Ok(record) => {
                        batch.bytes += entry.len() - HEADER_BYTES;
                        batch.calls.push(StoredCall { record, input: entry.input, output: entry.output });
                    }
                    Err(error) => {
                        tracing::error!(call = %entry.id, %error, "a record in the spool cannot be read; its segment is kept");
                        damage.unreadable += 1;
                        self.segments[at].is_damaged = true;
                    }
                }
            }
            Kind::Spans => {
                if self.start.is_some_and(|stored| place <= stored) {
                    return;
                }
                match segment::read_spans(&entry.record) {
                    Ok(mut spans) => {
                        batch.bytes += entry.len() - HEADER_BYTES;
                        batch.spans.append(&mut spans);
                    }
                    Err(error) => {
                        tracing::error!(%error, "spans in the spool cannot be read; their segment is kept");
                        damage.unreadable += 1;
                        self.segments[at].is_damaged = true;
                    }
                }
            }
        }
    }

    /// All that was read is in the store: lets go of what is no longer needed.
    pub(crate) fn stored(&mut self) {
        self.position_pending = false;
        self.segments.retain_mut(|segment| {
            segment.stored = segment.read;
            let is_needed = !segment.is_sealed || segment.stored < segment.end || segment.calls_in_flight > 0;
            if !is_needed && let Err(error) = segment::retire(&segment.path, segment.is_damaged) {
                if !std::mem::replace(&mut segment.is_stuck, true) {
                    let path = segment.path.display();
                    tracing::warn!(%path, %error, "cannot remove a spool segment that is stored; trying on");
                }
                return true;
            }
            is_needed
        });
    }

    /// Nothing here that is read or waits to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.tail.is_none() && self.segments.is_empty()
    }
}

impl Followed {
    fn look(&mut self, tail: Option<&Tail>, newest: u64) {
        let is_sealed = self.number < newest || tail.is_some_and(|tail| tail.is_sealed(self.number));
        match tail.map(Tail::read) {
            Some((number, end)) if number == self.number && !is_sealed => self.end = end,
            _ => self.end = std::fs::metadata(&self.path).map_or(self.end, |data| data.len()),
        }
        self.is_sealed = is_sealed;
    }

    fn chunk(&mut self, bytes: u64) -> io::Result<Bytes> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(&self.path)?),
        };
        let mut chunk = vec![0; bytes as usize];
        let mut filled = 0;
        while filled < chunk.len() {
            match file.read_at(&mut chunk[filled..], self.read + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(chunk.into())
    }
}
