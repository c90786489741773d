//! Opening the data directory, on whatever kind of disk it is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Exit;
use super::content::{Loading, check_end};
use super::outside::Workers;
use crate::config::{Config, Node, StorageClass, SyncPolicy};
use crate::kv::Machine;
use crate::model::{
    Batch, Boot, ClusterId, Epoch, Incarnation, LogId, LogTime, Member, SnapshotId,
};
use crate::raft::Restored;
use crate::storage::{
    Directory, Disk, ErrorClass, FileReport, FileWork, FileWorker, LoadedSnapshot, MemoryDisk,
    OpenOptions, Opened, RealDisk, Recovered, RecoveryReport, StorageError, SyncMode, Unformed,
};
use crate::wire::{FoundingOffer, KeptSnapshot};

/// A directory that is open.
pub enum Store {
    /// The node is part of no cluster yet.
    Unformed(Unfounded),
    /// The node has a log.
    Formed(Box<Formed>),
}

/// Stores the first entry of a log.
type Found = dyn FnOnce(&Batch) -> Result<Formed, StorageError>;

/// A directory without a log, and how it gets one.
pub struct Unfounded {
    pub(crate) member: Member,
    pub(crate) boot: Boot,
    found: Box<Found>,
}

impl Unfounded {
    /// Makes `founding` the durable beginning of the log.
    pub(crate) fn found(self, founding: &Batch) -> Result<Formed, StorageError> {
        (self.found)(founding)
    }
}

/// A directory with a log, and what works on it.
pub struct Formed {
    pub(crate) member: Member,
    pub(crate) cluster: ClusterId,
    pub(crate) epoch: Epoch,
    pub(crate) restored: Restored,
    /// The state behind the newest snapshot, or the first one.
    pub(crate) machine: Machine,
    /// The snapshots that are good, the newest first.
    pub(crate) snapshots: Vec<KeptSnapshot>,
    pub(crate) log_bytes: u64,
    pub(crate) segments: usize,
    /// The first entry, for those who haven't got it yet; `None` where the log no longer has it.
    pub(crate) founding: Option<FoundingOffer>,
    pub(crate) workers: Workers,
}

/// What opening found.
pub(crate) struct Opening {
    pub(crate) store: Store,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) recovery: Vec<String>,
    pub(crate) took: Duration,
}

/// Opens the directory of `node`. `random` is what a new incarnation and the salts are made from.
pub(crate) fn open(config: &Config, node: &Node, random: (u128, u64)) -> Result<Opening, Exit> {
    let begun = Instant::now();
    let (opened, directory) = match config.cluster.storage_class {
        StorageClass::File => {
            (open_on(RealDisk, config, node, random), Some(config.data_directory(node)))
        }
        StorageClass::Memory => (open_on(MemoryDisk::default(), config, node, random), None),
    };
    let (store, report) = opened?;
    let recovery = describe(&report, directory.is_none());
    Ok(Opening { store, directory, recovery, took: begun.elapsed() })
}

/// Opens the directory of `node` on this disk.
pub fn open_on<D: Disk>(
    disk: D,
    config: &Config,
    node: &Node,
    random: (u128, u64),
) -> Result<(Store, RecoveryReport), Exit> {
    let options = OpenOptions {
        node: node.id,
        incarnation: Incarnation(random.0.max(1)),
        seed: random.1,
        segment_bytes: config.storage.segment_size,
        sync: match config.storage.sync {
            SyncPolicy::Always => SyncMode::Always,
            SyncPolicy::None => SyncMode::Rarely,
        },
        min_free_bytes: config.storage.min_free_space,
    };
    let mut sinks = Loading::sink;
    let opened = Directory::open(disk, &config.data_directory(node), options, &mut sinks);
    let (store, report) = match opened.map_err(exit_of)? {
        Opened::Unformed(unformed) => {
            let report = unformed.report().clone();
            (Store::Unformed(unfounded(unformed)), report)
        }
        Opened::Formed(recovered) => {
            let report = recovered.report.clone();
            (Store::Formed(Box::new(formed(*recovered).map_err(exit_of)?)), report)
        }
    };
    if let (Store::Formed(formed), Some(wanted)) = (&store, config.cluster.cluster_id)
        && formed.cluster != wanted
    {
        return Err(Exit::Refused(format!(
            "the data directory belongs to cluster {}, and raft.ini says ClusterId = {wanted}; \
             nothing was changed: give the node its own directory, or take the line out",
            formed.cluster
        )));
    }
    if let Store::Formed(formed) = &store
        && let Some(newest) = formed.snapshots.first()
    {
        check_end(&formed.machine, newest.id.last, newest.log_time).map_err(Exit::Corrupt)?;
    }
    Ok((store, report))
}

fn unfounded<D: Disk>(unformed: Box<Unformed<D>>) -> Unfounded {
    let identity = unformed.identity();
    Unfounded {
        member: Member { id: identity.node, incarnation: identity.incarnation },
        boot: unformed.boot(),
        found: Box::new(move |founding| unformed.found(founding).and_then(formed)),
    }
}

fn formed<D: Disk>(recovered: Recovered<D>) -> Result<Formed, StorageError> {
    let restored = restored(&recovered);
    let Recovered { identity, mut writer, mut files, snapshot, snapshots, .. } = recovered;
    let (machine, snapshots) = loaded(snapshot, &snapshots, recovered.older_time);
    let founding = first_entry(&mut files, recovered.base, recovered.epoch)?;
    Ok(Formed {
        founding,
        member: Member { id: identity.node, incarnation: identity.incarnation },
        cluster: recovered.cluster,
        epoch: recovered.epoch,
        restored,
        machine,
        snapshots,
        log_bytes: recovered.log_bytes,
        segments: recovered.segments,
        workers: Workers {
            log: Box::new(move |work| writer.perform(work)),
            files: Box::new(move |work| files.perform(work)),
        },
    })
}

/// The state machine that was loaded, and the snapshots as clients are told of them.
pub(crate) fn loaded(
    snapshot: Option<LoadedSnapshot>,
    snapshots: &[SnapshotId],
    older_time: Option<LogTime>,
) -> (Machine, Vec<KeptSnapshot>) {
    let Some(LoadedSnapshot { id, head, sink }) = snapshot else {
        return (Machine::new(), Vec::new());
    };
    let machine = Loading::machine(sink);
    let older_time = older_time.unwrap_or(LogTime(0));
    let time = |kept: &SnapshotId| if *kept == id { head.time } else { older_time };
    let kept = snapshots.iter().map(|kept| KeptSnapshot { id: *kept, log_time: time(kept) });
    (machine, kept.collect())
}

/// What the core begins with.
pub(crate) fn restored<D: Disk>(recovered: &Recovered<D>) -> Restored {
    Restored {
        hard_state: recovered.hard_state,
        base: recovered.base,
        runs: recovered.runs.clone(),
        last: recovered.last,
        last_time: recovered.last_time,
        configurations: recovered.configurations.clone(),
        applied: recovered
            .snapshots
            .first()
            .map_or(recovered.base.index, |newest| newest.last.index),
        snapshots: recovered.snapshots.clone(),
        receiving: recovered.receiving,
        boot: recovered.boot,
    }
}

/// The entry that founded this epoch. Who took a founding of an earlier one would be a member of
/// that, so it isn't passed on.
fn first_entry<D: Disk>(
    files: &mut FileWorker<D>,
    base: LogId,
    epoch: Epoch,
) -> Result<Option<FoundingOffer>, StorageError> {
    if base != LogId::ORIGIN {
        return Ok(None);
    }
    let first = base.index.next();
    let read = FileWork::Read { ticket: 0, first, last: first, max_bytes: 1 };
    Ok(match files.perform(read)? {
        FileReport::Entries { batch, .. } => {
            FoundingOffer::new(batch).ok().filter(|offer| offer.founding.epoch == epoch)
        }
        _ => None,
    })
}

/// What a person may want to know of the recovery, a line each.
fn describe(report: &RecoveryReport, in_memory: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if in_memory {
        lines.push(
            "InMemoryStorage: nothing is kept over a restart; a node that is started again is a \
             new member"
                .to_owned(),
        );
        return lines;
    }
    if let Some(loaded) = &report.snapshot {
        lines.push(format!("snapshot at entry {} ({} bytes) loaded", loaded.last, loaded.bytes));
    }
    if report.segments_read > 0 {
        lines.push(format!(
            "{} entries in {} segments, {} bytes read; the last stop was {}",
            report.entries,
            report.segments_read,
            report.bytes_read,
            if report.clean { "clean" } else { "a crash" }
        ));
    }
    if let Some(torn) = &report.torn {
        let entries = match torn.entries {
            Some((first, last)) => format!(" (entries {first}..{last})"),
            None => String::new(),
        };
        lines.push(format!(
            "{} bytes of an unfinished block were cut off {} at offset {:#x}{entries}; nothing of \
             it was ever acknowledged",
            torn.bytes, torn.segment, torn.offset
        ));
    }
    lines.extend(report.notes.iter().cloned());
    lines
}

/// How a node ends for what the storage says.
pub(crate) fn exit_of(error: StorageError) -> Exit {
    let text = error.to_string();
    match error.class() {
        ErrorClass::Disk | ErrorClass::NoSpace => Exit::Disk(text),
        ErrorClass::InUse => Exit::InUse(text),
        ErrorClass::Corrupt => Exit::Corrupt(text),
        ErrorClass::Identity => Exit::Refused(text),
        ErrorClass::Configuration => match error {
            StorageError::Newer { .. } => Exit::Newer(text),
            _ => Exit::Configuration(text),
        },
    }
}
