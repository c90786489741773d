//! The data directory of one node: opened, formatted, founded.

use std::path::Path;
use std::sync::Arc;

use crate::model::{
    Batch, Boot, ClusterId, Configuration, Epoch, HardState, Incarnation, Index, LogId, LogTime,
    NodeId, SnapshotId, TermRun,
};

use super::block::BLOCK_HEAD_BYTES;
use super::epoch;
use super::hard_state::{Floor, HardStateFile};
use super::identity::{self, Identity};
use super::log_map::LogMap;
use super::log_writer::founded;
use super::open_segment::OpenSegment;
use super::segment::{BLOCK_ALIGNMENT, SegmentHead, salt};
use super::shared::Shared;
use super::snapshot::ReceiptFound;
use super::start;
use super::{
    Disk, EpochBegun, FileWorker, LogWriter, NewEpoch, SnapshotHead, SnapshotSink, StorageError,
};

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
    /// No spare and no snapshot is made when less than this would be left free on the file system.
    pub min_free_bytes: u64,
}

/// Whether blocks are synced before they are reported as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncMode {
    /// Each is.
    Always,
    /// Only at a rotation, a mark and a clean stop: a power cut may lose what was reported.
    Rarely,
}

/// The door to a data directory.
#[derive(Debug)]
pub struct Directory;

/// A directory that was opened and is held for this process.
#[derive(Debug)]
pub enum Opened<D: Disk> {
    /// The node is part of no cluster yet.
    Unformed(Box<Unformed<D>>),
    /// The node has a log.
    Formed(Box<Recovered<D>>),
}

/// A directory without a log.
#[derive(Debug)]
pub struct Unformed<D: Disk> {
    pub(super) shared: Shared<D>,
    pub(super) hard_state: HardStateFile<D>,
    pub(super) report: RecoveryReport,
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
    /// The log time of the last entry, or of the snapshot if there are none.
    pub last_time: LogTime,
    /// The configuration as of the snapshot, and those that stand behind it in the log, each
    /// with its index.
    pub configurations: Vec<(Index, Configuration)>,
    /// The snapshot that was loaded: the state from which the log goes on.
    pub snapshot: Option<LoadedSnapshot>,
    /// That one, and the one before it, if the log can be gone on with from there as well.
    pub snapshots: Vec<SnapshotId>,
    /// The log time of the last entry of the older of the two.
    pub older_time: Option<LogTime>,
    /// The snapshot that is being received, and the offset of the next byte that is wanted.
    pub receiving: Option<(SnapshotId, u64)>,
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

/// A snapshot that a start has loaded.
#[derive(Debug)]
pub struct LoadedSnapshot {
    /// Its name.
    pub id: SnapshotId,
    /// What it says of itself.
    pub head: SnapshotHead,
    /// What it was loaded into, full.
    pub sink: Box<dyn SnapshotSink>,
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
    /// Bytes of the log that were read.
    pub bytes_read: u64,
    /// The snapshot that was read and loaded.
    pub snapshot: Option<SnapshotId>,
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
    ///
    /// The newest snapshot is loaded into what `sinks` gives. It is asked again where an older
    /// snapshot has to do, and never where there is none.
    pub fn open<D: Disk>(
        disk: D,
        path: &Path,
        options: OpenOptions,
        sinks: &mut dyn FnMut() -> Box<dyn SnapshotSink>,
    ) -> Result<Opened<D>, StorageError> {
        start::open(disk, path, options, sinks)
    }
}

impl Directory {
    /// Whether [`Directory::begin_epoch`] can be done, and whether it was done before. Nothing is
    /// changed.
    pub fn check_epoch<D: Disk>(
        disk: D,
        path: &Path,
        order: &NewEpoch,
    ) -> Result<EpochBegun, StorageError> {
        epoch::check(disk, path, order)
    }

    /// Begins a new epoch in the directory at `path`, durably. Whatever interrupts it, the
    /// directory is in the old epoch or in the new one, and the same order can be given again.
    ///
    /// # Panics
    ///
    /// If `order` is none: its epoch doesn't rise, or its first entry isn't a configuration of its
    /// term right behind its last entry.
    pub fn begin_epoch<D: Disk>(
        disk: D,
        path: &Path,
        order: &NewEpoch,
    ) -> Result<EpochBegun, StorageError> {
        epoch::begin(disk, path, order)
    }
}

impl<D: Disk> Unformed<D> {
    /// Who the directory belongs to.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.hard_state.record().identity
    }

    /// The number of this start, already durable.
    #[must_use]
    pub fn boot(&self) -> Boot {
        self.hard_state.record().boot
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
        let Unformed { shared, mut hard_state, report } = self;
        let (entry, identity) = founded(hard_state.record().identity, founding);
        let needed = shared.segment_bytes_for((BLOCK_HEAD_BYTES + founding.bytes_len()) as u64);
        let spare = shared.make_spare(needed)?;
        let record = hard_state.record();
        let ordinal = record.floor.ordinal + 1;
        let head = SegmentHead {
            identity,
            ordinal,
            before: LogId::ORIGIN,
            salt: salt(shared.seed, record.boot.0, ordinal),
            file_bytes: spare.bytes,
            alignment: BLOCK_ALIGNMENT,
            reset: true,
        };
        let (open, block) = OpenSegment::publish(&shared, spare, head, Some(founding))?;
        hard_state.save(|record| {
            record.floor = Floor { ordinal, offset: open.end() };
            record.identity = identity;
        })?;
        identity::write(&shared.disk, &shared.layout, &identity)?;
        let mut map = shared.map();
        *map = LogMap::new(LogId::ORIGIN);
        map.add_segment(head);
        let added = block.is_some_and(|block| map.add_block(&block));
        assert!(added, "the founding entry follows the origin");
        drop(map);
        let last_time = founding.iter().last().map_or(LogTime(0), |last| last.time());
        let parts = RecoveredParts {
            shared,
            hard_state,
            open,
            last_time,
            configurations: vec![(Index(1), entry.configuration)],
            snapshot: None,
            snapshots: Vec::new(),
            older_time: None,
            receipt: None,
            report,
        };
        parts.assemble()
    }
}

/// What a [`Recovered`] is made of.
pub(super) struct RecoveredParts<D: Disk> {
    pub(super) shared: Shared<D>,
    pub(super) hard_state: HardStateFile<D>,
    pub(super) open: OpenSegment<D>,
    pub(super) last_time: LogTime,
    pub(super) configurations: Vec<(Index, Configuration)>,
    pub(super) snapshot: Option<LoadedSnapshot>,
    pub(super) snapshots: Vec<SnapshotId>,
    pub(super) older_time: Option<LogTime>,
    pub(super) receipt: Option<ReceiptFound>,
    pub(super) report: RecoveryReport,
}

impl<D: Disk> RecoveredParts<D> {
    pub(super) fn assemble(self) -> Result<Recovered<D>, StorageError> {
        let record = *self.hard_state.record();
        let (cluster, epoch) = record.identity.cluster.expect("who has a log is in a cluster");
        let shared = Arc::new(self.shared);
        let map = shared.map();
        let (base, last, runs) = (map.base(), map.last().index, map.runs().to_vec());
        let (log_bytes, segments) = (map.bytes(), map.segments().len());
        drop(map);
        let receipt = self.receipt.as_ref();
        let files = FileWorker::new(shared.clone(), self.snapshots.clone(), receipt)?;
        Ok(Recovered {
            identity: record.identity,
            cluster,
            epoch,
            hard_state: record.hard_state,
            boot: record.boot,
            base,
            runs,
            last,
            last_time: self.last_time,
            configurations: self.configurations,
            snapshot: self.snapshot,
            snapshots: self.snapshots,
            older_time: self.older_time,
            receiving: self.receipt.map(|receipt| (receipt.id, receipt.good)),
            log_bytes,
            segments,
            report: self.report,
            writer: LogWriter::new(shared, self.hard_state, self.open),
            files,
        })
    }
}
