//! The disk: segments, hard state, identity, recovery, and the work of the log thread and the
//! file thread. Everything stands on one seam, [`Disk`], below which a simulated one can be put.
//!
//! The formats are described byte by byte in `docs/file-formats.md`.
//!
//! - [`Directory::open`] takes a data directory, formats an empty one, and recovers the log.
//! - [`Unformed::found`] stores the first entry of a cluster, [`Unformed::restore`] the state that
//!   one begins with.
//! - [`LogWriter`] and [`FileWorker`] do what the log thread and the file thread are asked.
//! - [`SnapshotSource`] and [`SnapshotSink`] are what the state machine gives and takes.
//! - [`Directory::begin_epoch`] begins a new epoch where a majority is lost for good.
//! - [`Repair`] makes a damaged log good out of what other nodes hold.
//! - [`Inspection`] looks at a directory without changing it.

mod block;
mod directory;
mod disk;
mod epoch;
mod error;
mod file_worker;
mod hard_state;
mod identity;
mod inspect;
mod inspect_damage;
mod inspect_snapshots;
mod layout;
mod log_map;
mod log_writer;
mod mapping;
mod memory;
mod open_segment;
mod page;
mod reader;
mod real;
mod recover;
mod repair;
mod scan;
mod segment;
mod shared;
mod snapshot;
mod start;
mod survey;
mod work;

#[cfg(test)]
mod tests;

pub use directory::{
    Beginning, Directory, LoadedSnapshot, OpenOptions, Opened, Recovered, RecoveryReport, SyncMode,
    TornTail, Unformed,
};
pub use disk::{Access, Disk, DiskFile, Region};
pub use epoch::{EpochBegun, NewEpoch};
pub use error::{Corruption, ErrorClass, StorageError};
pub use file_worker::FileWorker;
pub use hard_state::Floor;
pub use identity::Identity;
pub use inspect::{Finding, Inspection, Meta, SegmentSummary, StoredEntry, Verdict, Verification};
pub use inspect_snapshots::{SnapshotVerification, StoredSnapshot};
pub use log_writer::LogWriter;
pub use mapping::end_on_bus_error;
pub use memory::MemoryDisk;
pub use real::RealDisk;
pub use repair::{Anew, Attempt, HeldLog, Holder, Lack, Lost, Repair, Repaired};
pub use snapshot::{
    Refusal, SnapshotFault, SnapshotFile, SnapshotHead, SnapshotSink, SnapshotSource,
};
pub use survey::Survey;
pub use work::{FileReport, FileWork, LogDone, LogReport, LogWork, Rotated};
