//! The journal of one worker: append-only segment files, one `write(2)` an entry.
//!
//! A segment's number is the time of the record that began it (microseconds), or one more than the last where that is
//! higher. So numbers rise within a process, and hardly ever does one come back; recovery, which empties the folder, takes
//! the positions back that the trace store keeps, should the clock have been set back meanwhile. The clock is the
//! record's; none is read here.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use gauntlet_ports::{Spool, SpoolError, StoredSpan, Texts};
use gauntlet_types::{CallId, CallRecord, Code, Timestamp};

use crate::{
    disk::{Disk, RealDisk, SegmentFile, append_all},
    error::TraceError,
    segment::{self, ENTRY_BYTES_MAX, HEADER_BYTES, Kind, SegmentName},
};

/// About 4,000 calls: few enough that a call in flight keeps little on disk, enough that files come and go rarely.
pub const SEGMENT_BYTES: u64 = 16 << 20;
/// What a worker keeps in memory while the disk takes nothing: some 15,000 calls, or two of the largest.
pub const BACKLOG_BYTES: usize = 64 << 20;
/// A scratch buffer that one large record has blown up is given back.
const SCRATCH_BYTES_KEPT: usize = 256 << 10;

#[derive(Clone, Copy, Debug)]
pub struct SpoolLimits {
    /// A segment that has reached this is followed by a new one.
    pub segment_bytes: u64,
    /// At most [`ENTRY_BYTES_MAX`].
    pub entry_bytes: usize,
    pub backlog_bytes: usize,
}

impl Default for SpoolLimits {
    fn default() -> Self {
        SpoolLimits {
            segment_bytes: SEGMENT_BYTES,
            entry_bytes: ENTRY_BYTES_MAX,
            backlog_bytes: BACKLOG_BYTES,
        }
    }
}

/// How far a worker's spool may be read, published without a lock.
///
/// Everything before `end` of segment `number` is whole entries; every earlier segment is complete and grows no more.
#[derive(Debug)]
pub struct Tail {
    pub(crate) worker: String,
    /// Segments up to this one were there before the spool was opened.
    floor: u64,
    number: AtomicU64,
    end: AtomicU64,
}

impl Tail {
    fn publish(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// The end is taken back first, so that a reader never pairs the new number with the old end.
    fn rotate(&self, number: u64) {
        self.end.store(0, Ordering::Release);
        self.number.store(number, Ordering::Release);
    }

    /// The segment being written and how much of it is whole.
    pub(crate) fn read(&self) -> (u64, u64) {
        loop {
            let number = self.number.load(Ordering::Acquire);
            let end = self.end.load(Ordering::Acquire);
            // Numbers never come back: equal before and after means that `end` belongs to it, or was taken back.
            if self.number.load(Ordering::Acquire) == number {
                return (number, end);
            }
        }
    }

    pub(crate) fn is_sealed(&self, number: u64) -> bool {
        number <= self.floor || number < self.number.load(Ordering::Acquire)
    }
}

/// The spool of one worker. `open` and `close` of a call go to the same one.
///
/// What cannot be written is kept: see [`Spool::close`]. A `close` that could only be kept in memory says so with
/// `SpoolError::Behind`; one that is lost because the memory for that is full too, with `SpoolError::Write`.
pub struct FileSpool {
    dir: PathBuf,
    worker: String,
    limits: SpoolLimits,
    disk: Box<dyn Disk>,
    tail: Arc<Tail>,
    waiting_bytes: AtomicU64,
    records_lost: AtomicU64,
    writer: Mutex<Writer>,
}

struct Writer {
    /// Header and record of the entry at hand; kept between entries to spare the allocation.
    scratch: Vec<u8>,
    segment: Option<Segment>,
    last_number: u64,
    /// Latest time seen on a record.
    latest: Timestamp,
    /// Rotated away since the last `sync`.
    unsynced: Vec<Arc<dyn SegmentFile>>,
    /// Entries that the disk did not take, oldest first.
    backlog: VecDeque<Vec<u8>>,
    backlog_bytes: usize,
}

struct Segment {
    file: Arc<dyn SegmentFile>,
    /// The end of the last whole entry.
    end: u64,
    /// Half an entry stands behind `end` and could not be cut off yet.
    is_torn: bool,
}

impl FileSpool {
    /// Opens the spool of `worker` in `dir`, which is created if need be. Files come with the first record.
    pub fn open(dir: &Path, worker: &str, limits: SpoolLimits) -> Result<FileSpool, TraceError> {
        FileSpool::open_on(Box::new(RealDisk), dir, worker, limits)
    }

    /// As [`FileSpool::open`], on another disk than the real one.
    pub fn open_on(
        disk: Box<dyn Disk>,
        dir: &Path,
        worker: &str,
        limits: SpoolLimits,
    ) -> Result<FileSpool, TraceError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if worker.is_empty() || worker.len() > 64 || !worker.chars().all(is_plain) {
            return Err(TraceError::WorkerName(worker.to_owned()));
        }
        fs::create_dir_all(dir).map_err(|source| TraceError::io("create the spool's folder", dir, source))?;
        let found =
            segment::list(dir).map_err(|source| TraceError::io("read the spool's folder", dir, source))?;
        let floor =
            found.iter().filter(|name| name.worker == worker).map(|name| name.number).max().unwrap_or(0);
        let limits = SpoolLimits { entry_bytes: limits.entry_bytes.min(ENTRY_BYTES_MAX), ..limits };
        Ok(FileSpool {
            dir: dir.to_owned(),
            worker: worker.to_owned(),
            limits,
            disk,
            tail: Arc::new(Tail {
                worker: worker.to_owned(),
                floor,
                number: AtomicU64::new(floor),
                end: AtomicU64::new(0),
            }),
            waiting_bytes: AtomicU64::new(0),
            records_lost: AtomicU64::new(0),
            writer: Mutex::new(Writer {
                scratch: Vec::with_capacity(4096),
                segment: None,
                last_number: floor,
                latest: Timestamp(0),
                unsynced: Vec::new(),
                backlog: VecDeque::new(),
                backlog_bytes: 0,
            }),
        })
    }

    /// What a drainer follows; see `DrainerHandle::follow`.
    pub fn tail(&self) -> Arc<Tail> {
        Arc::clone(&self.tail)
    }

    /// Puts everything written so far on the medium (`fdatasync`). For a background thread: writers do not wait for it.
    pub fn sync(&self) -> Result<(), SpoolError> {
        let mut files = {
            let mut writer = self.lock();
            let mut files = std::mem::take(&mut writer.unsynced);
            files.extend(writer.segment.as_ref().map(|segment| Arc::clone(&segment.file)));
            files
        };
        while let Some(file) = files.first() {
            if let Err(source) = file.sync() {
                self.lock().unsynced.append(&mut files);
                return Err(self.write_error(source));
            }
            files.remove(0);
        }
        Ok(())
    }

    /// Tries again to write what the disk refused; fails with `Behind` while something is left.
    pub fn flush_backlog(&self) -> Result<(), SpoolError> {
        let mut writer = self.lock();
        self.retry(&mut writer)
    }

    /// Bytes of records that exist in memory only.
    pub fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Final records that neither the disk nor the memory set aside for this could take.
    pub fn records_lost(&self) -> u64 {
        self.records_lost.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // A panic between two entries leaves a writer in order; one within `append` leaves at most a torn tail.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_error(&self, source: io::Error) -> SpoolError {
        SpoolError::Write { path: self.dir.display().to_string(), source }
    }

    fn behind(&self, writer: &Writer) -> SpoolError {
        SpoolError::Behind { path: self.dir.display().to_string(), waiting_bytes: writer.backlog_bytes }
    }

    /// Puts header and record into the scratch buffer.
    fn encode(
        &self,
        writer: &mut Writer,
        kind: Kind,
        record: &CallRecord,
        texts: &Texts,
    ) -> Result<(), SpoolError> {
        let scratch = self.begin(writer);
        segment::push_record(record, scratch).map_err(|error| self.write_error(io::Error::other(error)))?;
        self.finish(writer, kind, record.id, record.started, texts)
    }

    /// The scratch buffer with room for a header.
    fn begin<'a>(&self, writer: &'a mut Writer) -> &'a mut Vec<u8> {
        let scratch = &mut writer.scratch;
        if scratch.capacity() > SCRATCH_BYTES_KEPT {
            *scratch = Vec::with_capacity(4096);
        }
        scratch.clear();
        scratch.resize(HEADER_BYTES, 0);
        scratch
    }

    fn finish(
        &self,
        writer: &mut Writer,
        kind: Kind,
        id: CallId,
        started: Timestamp,
        texts: &Texts,
    ) -> Result<(), SpoolError> {
        let scratch = &mut writer.scratch;
        let bytes = scratch.len().saturating_add(texts.input.len()).saturating_add(texts.output.len());
        if bytes > self.limits.entry_bytes {
            return Err(SpoolError::TooLarge { bytes, limit: self.limits.entry_bytes });
        }
        segment::seal(scratch, kind, id, &texts.input, &texts.output);
        writer.latest = writer.latest.max(started);
        Ok(())
    }

    /// Writes the entry in the scratch buffer with its texts.
    fn append(&self, writer: &mut Writer, texts: &Texts) -> io::Result<()> {
        self.make_ready(writer)?;
        let Writer { segment: Some(segment), scratch, .. } = writer else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.append_to(segment, [scratch, &texts.input, &texts.output])
    }

    /// Leaves half of the entry in the scratch buffer behind: what a write looks like that the process died in.
    fn tear(&self, writer: &mut Writer) -> io::Result<usize> {
        self.make_ready(writer)?;
        let Some(segment) = &writer.segment else { return Ok(0) };
        segment.file.append(&[io::IoSlice::new(&writer.scratch[..writer.scratch.len() / 2])])
    }

    fn append_to(&self, segment: &mut Segment, parts: [&[u8]; 3]) -> io::Result<()> {
        if let Err(error) = append_all(&*segment.file, parts) {
            segment.is_torn = segment.file.truncate(segment.end).is_err();
            return Err(error);
        }
        segment.end += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.tail.publish(segment.end);
        Ok(())
    }

    /// Leaves a segment that ends with a whole entry and has room.
    fn make_ready(&self, writer: &mut Writer) -> io::Result<()> {
        if let Some(segment) = &mut writer.segment {
            if segment.is_torn {
                segment.file.truncate(segment.end)?;
                segment.is_torn = false;
            }
            if segment.end < self.limits.segment_bytes {
                return Ok(());
            }
        }
        let number = writer.last_number.saturating_add(1).max(u64::try_from(writer.latest.0).unwrap_or(0));
        let path = SegmentName { worker: self.worker.clone(), number }.path(&self.dir);
        match self.disk.create(&path) {
            Ok(file) => {
                let old = writer.segment.replace(Segment { file, end: 0, is_torn: false });
                writer.unsynced.extend(old.map(|segment| segment.file));
                writer.last_number = number;
                self.tail.rotate(number);
                Ok(())
            }
            // A segment that grows too long is better than a record that is lost.
            Err(_) if writer.segment.is_some() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn retry(&self, writer: &mut Writer) -> Result<(), SpoolError> {
        while let Some(entry) = writer.backlog.pop_front() {
            let written = self.make_ready(writer).and_then(|()| match &mut writer.segment {
                Some(segment) => self.append_to(segment, [&entry, &[], &[]]),
                None => Err(io::ErrorKind::NotFound.into()),
            });
            if written.is_err() {
                writer.backlog.push_front(entry);
                return Err(self.behind(writer));
            }
            self.count_backlog(writer, |bytes| bytes - entry.len());
        }
        Ok(())
    }

    fn keep(&self, writer: &mut Writer, record: &CallRecord, texts: &Texts, cause: SpoolError) -> SpoolError {
        let bytes = writer.scratch.len() + texts.input.len() + texts.output.len();
        // Calls turned away because of this very disk come in any number while callers try again; those that were let in
        // before, and may have cost money, shall find room behind them.
        let room = match record.error {
            Some(Code::Unavailable) => self.limits.backlog_bytes / 4,
            _ => self.limits.backlog_bytes,
        };
        if writer.backlog_bytes + bytes > room {
            self.records_lost.fetch_add(1, Ordering::Relaxed);
            // `Behind` means kept; this one is not.
            return match cause {
                SpoolError::Behind { .. } => self.write_error(io::ErrorKind::StorageFull.into()),
                cause => cause,
            };
        }
        writer.backlog.push_back([&writer.scratch, &texts.input[..], &texts.output].concat());
        self.count_backlog(writer, |held| held + bytes);
        self.behind(writer)
    }

    fn count_backlog(&self, writer: &mut Writer, change: impl FnOnce(usize) -> usize) {
        writer.backlog_bytes = change(writer.backlog_bytes);
        self.waiting_bytes.store(writer.backlog_bytes as u64, Ordering::Relaxed);
    }
}

impl Spool for FileSpool {
    fn open(&self, record: &CallRecord) -> Result<(), SpoolError> {
        let mut writer = self.lock();
        self.retry(&mut writer)?;
        let texts = Texts::default();
        self.encode(&mut writer, Kind::Open, record, &texts)?;
        gauntlet_ports::crash_point!("open.torn", self.tear(&mut writer));
        self.append(&mut writer, &texts).map_err(|source| self.write_error(source))
    }

    fn close(&self, record: &CallRecord, texts: &Texts) -> Result<(), SpoolError> {
        let mut writer = self.lock();
        // Older entries go first, so that the order of a worker's entries is the order of events.
        let retried = self.retry(&mut writer);
        self.encode(&mut writer, Kind::Close, record, texts)?;
        gauntlet_ports::crash_point!("close.torn", self.tear(&mut writer));
        let written =
            retried.and_then(|()| self.append(&mut writer, texts).map_err(|source| self.write_error(source)));
        written.map_err(|cause| self.keep(&mut writer, record, texts, cause))
    }

    fn spans(&self, spans: &[StoredSpan]) -> Result<(), SpoolError> {
        let Some(first) = spans.first() else { return Ok(()) };
        let mut writer = self.lock();
        self.retry(&mut writer)?;
        let scratch = self.begin(&mut writer);
        segment::push_spans(spans, scratch).map_err(|error| self.write_error(io::Error::other(error)))?;
        // Nothing looks a batch of spans up by this.
        let id = CallId(uuid::Uuid::from_u128(first.record.trace_id.0));
        // The sender's clock numbers no segment of ours.
        self.finish(&mut writer, Kind::Spans, id, Timestamp(0), &Texts::default())?;
        self.append(&mut writer, &Texts::default()).map_err(|source| self.write_error(source))
    }
}
