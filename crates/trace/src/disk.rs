//! What the spool asks of a file system, as a seam: tests put a disk here that fills up, tears writes or fails.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    path::Path,
    sync::Arc,
};

pub trait Disk: Send + Sync {
    /// Creates a file that must not exist yet, for appending.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>>;
}

pub trait SegmentFile: Send + Sync {
    /// One `writev(2)`: says how many bytes were taken, which may be fewer than given.
    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;
    fn truncate(&self, bytes: u64) -> io::Result<()>;
    /// Returns when the data are on the medium.
    fn sync(&self) -> io::Result<()>;
}

/// The operating system's files.
pub struct RealDisk;

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        Ok(Arc::new(file))
    }
}

impl SegmentFile for File {
    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        (&mut &*self).write_vectored(parts)
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Hands over everything. Normally one call; a write cut short by a signal or a full disk is taken up where it ended,
/// so that the reason is learnt.
pub(crate) fn append_all(file: &dyn SegmentFile, parts: [&[u8]; 3]) -> io::Result<()> {
    let mut slices = parts.map(IoSlice::new);
    let mut left = &mut slices[..];
    // Leading empty parts are dropped first, else a write of nothing would pass for a full disk.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.append(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => IoSlice::advance_slices(&mut left, taken),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
