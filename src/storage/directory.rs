//! The data directory of one node: opened, formatted, founded.

use std::path::Path;
use std::sync::Arc;

use crate::model::{
    Boot, ClusterId, Configuration, Epoch, Founding, FoundingEntry, HardState, Incarnation, Index,
    LogId, LogTime, NodeId, SnapshotId, TermRun,
};

use super::block::BLOCK_HEAD_BYTES;
use super::epoch;
use super::hard_state::{Floor, HardStateFile};
use super::identity::{self, Identity};
use super::log_map::LogMap;
use super::open_segment::OpenSegment;
use super::segment::{BLOCK_ALIGNMENT, SegmentHead, salt};
use super::shared::Shared;
use super::snapshot::{self, ReceiptFound};
use super::start;
use super::{
    Disk, EpochBegun, FileWorker, LogWriter, NewEpoch, SnapshotHead, SnapshotSink, SnapshotSource,
    StorageError,
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
    /// The cluster's first entry.
    pub founding: FoundingEntry,
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

/// A state that a new cluster begins with.
#[derive(Debug)]
pub struct Beginning {
    /// The last entry whose effects it holds; the log goes on behind it.
    pub last: LogId,
    /// The log time of that entry.
    pub time: LogTime,
    /// Its bytes, for the snapshot that is made of it.
    pub source: Box<dyn SnapshotSource>,
    /// What holds it, full.
    pub sink: Box<dyn SnapshotSink>,
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
    /// Sets all snapshots of the directory at `path` aside, durably, the newest first; tells how
    /// many there were. It is for a node whose state isn't that of the others, and ends: the next
    /// start makes the state from the log, or takes it from the others. What still works on the
    /// directory must be of this process.
    pub fn set_snapshots_aside<D: Disk>(disk: &D, path: &Path) -> Result<usize, StorageError> {
        snapshot::set_aside(disk, path)
    }

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
    pub fn found(self, founding: &FoundingEntry) -> Result<Recovered<D>, StorageError> {
        self.found_in(founding, founding.founding().epoch)
    }

    /// Makes the first entry of a cluster, which is in this epoch by now, the durable beginning of
    /// the log. It is [`Unformed::found`] for who comes after a later epoch has begun.
    pub fn found_in(
        mut self,
        founding: &FoundingEntry,
        epoch: Epoch,
    ) -> Result<Recovered<D>, StorageError> {
        let open = self.begin_log(LogId::ORIGIN, (founding, epoch))?;
        let Unformed { shared, hard_state, report } = self;
        let parts = RecoveredParts {
            shared,
            hard_state,
            open,
            founding: founding.clone(),
            last_time: founding.time(),
            configurations: vec![(
                FoundingEntry::ID.index,
                founding.founding().configuration.clone(),
            )],
            snapshot: None,
            snapshots: Vec::new(),
            older_time: None,
            receipt: None,
            report,
        };
        parts.assemble()
    }

    /// Makes a state that this cluster begins with the durable beginning of the directory.
    ///
    /// A crash before its snapshot has its name leaves a directory without a log; one behind that
    /// leaves what the next start makes this out of.
    pub fn restore(
        self,
        beginning: Beginning,
        founding: &FoundingEntry,
    ) -> Result<Recovered<D>, StorageError> {
        let Beginning { last, time, source, sink } = beginning;
        let Founding { cluster, epoch, configuration, .. } = founding.founding().clone();
        let configuration = (FoundingEntry::ID.index, configuration);
        let founding = founding.clone();
        let head = SnapshotHead { cluster, epoch, last, time, configuration, founding };
        let id = snapshot::build(&self.shared, head.clone(), source)?;
        self.go_on_behind(LoadedSnapshot { id, head, sink })
    }

    /// Begins the log behind a snapshot that is durable, and that the cluster began with.
    pub(super) fn go_on_behind(
        mut self,
        snapshot: LoadedSnapshot,
    ) -> Result<Recovered<D>, StorageError> {
        let LoadedSnapshot { id, head, .. } = &snapshot;
        let (id, founding, last_time) = (*id, head.founding.clone(), head.time);
        let configurations = vec![head.configuration.clone()];
        let open = self.begin_log(id.last, (&founding, founding.founding().epoch))?;
        let Unformed { shared, hard_state, report } = self;
        let parts = RecoveredParts {
            shared,
            hard_state,
            open,
            founding,
            last_time,
            configurations,
            snapshot: Some(snapshot),
            snapshots: vec![id],
            older_time: None,
            receipt: None,
            report,
        };
        parts.assemble()
    }

    /// Publishes the first segment, behind `before`; behind the origin it has the founding entry.
    /// Whoever finds it finds the cluster that it is of, and what is left to do is done again.
    fn begin_log(
        &mut self,
        before: LogId,
        (founding, epoch): (&FoundingEntry, Epoch),
    ) -> Result<OpenSegment<D>, StorageError> {
        let Unformed { shared, hard_state, .. } = self;
        let first = Some(founding.batch()).filter(|_| before == LogId::ORIGIN);
        let entry_bytes = first.map_or(0, |first| BLOCK_HEAD_BYTES + first.bytes_len());
        let spare = shared.make_spare(shared.segment_bytes_for(entry_bytes as u64))?;
        let record = hard_state.record();
        let cluster = Some((founding.founding().cluster, epoch));
        let identity = Identity { cluster, ..record.identity };
        let ordinal = record.floor.ordinal + 1;
        let head = SegmentHead {
            identity,
            ordinal,
            before,
            salt: salt(shared.seed, record.boot.0, ordinal),
            file_bytes: spare.bytes,
            alignment: BLOCK_ALIGNMENT,
            reset: true,
        };
        let (open, block) = OpenSegment::publish(shared, spare, head, first)?;
        hard_state.save(|record| {
            record.floor = Floor { ordinal, offset: open.end() };
            record.identity = identity;
            // Nobody has voted here yet.
            record.hard_state.term = record.hard_state.term.max(before.term);
        })?;
        identity::write(&shared.disk, &shared.layout, &identity)?;
        let mut map = shared.map();
        *map = LogMap::new(before);
        map.add_segment(head);
        if let Some(block) = block {
            assert!(map.add_block(&block), "the founding entry follows the origin");
        }
        drop(map);
        Ok(open)
    }
}

/// What a [`Recovered`] is made of.
pub(super) struct RecoveredParts<D: Disk> {
    pub(super) shared: Shared<D>,
    pub(super) hard_state: HardStateFile<D>,
    pub(super) open: OpenSegment<D>,
    pub(super) founding: FoundingEntry,
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
            founding: self.founding,
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
