//! The disk: segments, hard state, identity, recovery, and the work of the log thread and the
//! file thread. Everything stands on one seam, [`Disk`], below which a simulated one can be put.
//!
//! The formats are described byte by byte in `docs/file-formats.md`.
//!
//! - [`Directory::open`] takes a data directory, formats an empty one, and recovers the log.
//! - [`Unformed::found`] stores the first entry of a cluster.
//! - [`LogWriter`] and [`FileWorker`] do what the log thread and the file thread are asked.
//! - [`Inspection`] looks at a directory without changing it.

mod directory;
mod disk;
mod error;
mod file_worker;
mod inspect;
mod log_writer;
mod mapping;
mod memory;
mod real;
mod work;

pub use directory::{
    Directory, Identity, OpenOptions, Opened, Recovered, RecoveryReport, SyncMode, TornTail,
    Unformed,
};
pub use disk::{Access, Disk, DiskFile, Region};
pub use error::{Corruption, ErrorClass, StorageError};
pub use file_worker::FileWorker;
pub use inspect::{
    Finding, Floor, Inspection, Meta, SegmentSummary, StoredEntry, Verdict, Verification,
};
pub use log_writer::LogWriter;
pub use mapping::end_on_bus_error;
pub use memory::MemoryDisk;
pub use real::RealDisk;
pub use work::{FileReport, FileWork, LogDone, LogReport, LogWork, Rotated};
