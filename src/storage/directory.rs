//! The data directory of one node: opened, formatted, founded.

use std::path::Path;

use crate::model::{
    Batch, Boot, ClusterId, Configuration, Epoch, HardState, Incarnation, Index, LogId, LogTime,
    NodeId, TermRun,
};

use super::{Disk, FileWorker, LogWriter, StorageError};

/// How a directory is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Whose directory it is.
    pub node: NodeId,
    /// The incarnation that an empty directory gets: 128 bits drawn at random by the caller.
    pub incarnation: Incarnation,
    /// What the salts of new segments are made from, drawn at random at each start.
    pub seed: u64,
    /// Bytes of a segment, a multiple of 4 KiB.
    pub segment_bytes: u64,
    /// Whether blocks are synced.
    pub sync: SyncMode,
    /// No spare is made when less than this would be left free on the file system.
    pub min_free_bytes: u64,
    /// The newest state that is durable outside the log, by the last entry in it.
    pub snapshot: Option<LogId>,
}

/// Whether blocks are synced before they are reported as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncMode {
    /// Each is.
    Always,
    /// Only at a rotation, a mark and a clean stop: a power cut may lose what was reported.
    Rarely,
}

/// Who a directory belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The node.
    pub node: NodeId,
    /// Its life: drawn when the directory was formatted.
    pub incarnation: Incarnation,
    /// The cluster that it is part of, once it is.
    pub cluster: Option<(ClusterId, Epoch)>,
}

/// The door to a data directory.
#[derive(Debug)]
pub struct Directory;

/// A directory that was opened and is held for this process.
#[derive(Debug)]
pub enum Opened<D: Disk> {
    /// The node is part of no cluster yet.
    Unformed(Unformed<D>),
    /// The node has a log.
    Formed(Box<Recovered<D>>),
}

/// A directory without a log.
#[derive(Debug)]
pub struct Unformed<D: Disk> {
    disk: D,
    identity: Identity,
    boot: Boot,
    report: RecoveryReport,
}

/// What a start finds, with the workers that go on from there.
#[derive(Debug)]
pub struct Recovered<D: Disk> {
    /// Who the directory belongs to.
    pub identity: Identity,
    /// The cluster.
    pub cluster: ClusterId,
    /// Its generation.
    pub epoch: Epoch,
    /// Term and vote.
    pub hard_state: HardState,
    /// The number of this start, already durable.
    pub boot: Boot,
    /// The id before the first entry.
    pub base: LogId,
    /// The terms of the entries behind `base`, in order.
    pub runs: Vec<TermRun>,
    /// The last index; `base.index` if there are no entries.
    pub last: Index,
    /// The log time of the last entry; zero if there are none.
    pub last_time: LogTime,
    /// The configurations in the log, each with its index.
    pub configurations: Vec<(Index, Configuration)>,
    /// Bytes that the log takes on disk.
    pub log_bytes: u64,
    /// How many segments there are.
    pub segments: usize,
    /// What is worth telling.
    pub report: RecoveryReport,
    /// The log thread's part.
    pub writer: LogWriter<D>,
    /// The file thread's part.
    pub files: FileWorker<D>,
}

/// What a start found and did that a person may want to know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RecoveryReport {
    /// Whether the last stop was a clean one, with everything noted as durable.
    pub clean: bool,
    /// Segments that were read.
    pub segments_read: usize,
    /// Entries that were found whole.
    pub entries: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// The torn end that was cut, if there was one.
    pub torn: Option<TornTail>,
    /// What else was found or put right, a sentence each.
    pub notes: Vec<String>,
}

/// The end of a log that a crash has left unfinished. Nothing of it was ever acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TornTail {
    /// The segment's file name.
    pub segment: String,
    /// Where the last whole block ends.
    pub offset: u64,
    /// How many bytes behind it were written.
    pub bytes: u64,
    /// The entries that the unfinished block was to have, if its header can be read.
    pub entries: Option<(Index, Index)>,
}

impl Directory {
    /// Takes the directory at `path`: locks it, formats it if it is empty, reads what is there,
    /// and opens a fresh segment if there is a log.
    pub fn open<D: Disk>(
        disk: D,
        path: &Path,
        options: OpenOptions,
    ) -> Result<Opened<D>, StorageError> {
        let _ = options;
        disk.create_directory(path).map_err(StorageError::disk("make the directory", path))?;
        Err(StorageError::NoDirectory { path: path.to_owned() })
    }
}

impl<D: Disk> Unformed<D> {
    /// Who the directory belongs to.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The number of this start, already durable.
    #[must_use]
    pub fn boot(&self) -> Boot {
        self.boot
    }

    /// What is worth telling.
    #[must_use]
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Makes `founding` the durable beginning of the log.
    ///
    /// # Panics
    ///
    /// If it isn't one well-formed founding entry at index 1: it was verified where it came in.
    pub fn found(self, founding: &Batch) -> Result<Recovered<D>, StorageError> {
        let _ = (self.disk, founding);
        Err(StorageError::Poisoned)
    }
}
