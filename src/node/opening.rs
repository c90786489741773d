//! Opening the data directory, on whatever kind of disk it is.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Exit;
use super::content::{Loading, check_end};
use super::outside::Workers;
use super::restoring::{Backup, Restores};
use crate::config::{Config, Node, StorageClass, SyncPolicy};
use crate::kv::Machine;
use crate::model::{
    Boot, ClusterId, Epoch, FoundingEntry, Incarnation, LogTime, Member, SnapshotId,
};
use crate::raft::Restored;
use crate::storage::{
    Beginning, Directory, Disk, ErrorClass, LoadedSnapshot, MemoryDisk, OpenOptions, Opened,
    RealDisk, Recovered, RecoveryReport, SnapshotSink, StorageError, SyncMode, Unformed,
};
use crate::wire::KeptSnapshot;

/// A directory that is open.
pub enum Store {
    /// The node is part of no cluster yet.
    Unformed(Unfounded),
    /// The node has a log.
    Formed(Box<Formed>),
}

impl Store {
    /// Whose directory it is: which node, and in which life.
    #[must_use]
    pub fn member(&self) -> Member {
        match self {
            Store::Unformed(unfounded) => unfounded.member,
            Store::Formed(formed) => formed.member,
        }
    }
}

/// Stores the first entry of a log.
type Found = dyn FnOnce(&FoundingEntry, Epoch) -> Result<Formed, StorageError>;

/// A directory without a log, and how it gets one.
pub struct Unfounded {
    pub(crate) member: Member,
    pub(crate) boot: Boot,
    /// The state that the cluster is to begin with.
    pub(crate) restores: Option<Restores>,
    found: Box<Found>,
}

impl Unfounded {
    /// Makes `founding` the durable beginning of the log, with the state that the cluster is to
    /// begin with. The cluster is in `epoch` by now.
    pub(crate) fn found(
        self,
        founding: &FoundingEntry,
        epoch: Epoch,
    ) -> Result<Formed, StorageError> {
        (self.found)(founding, epoch)
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
    /// The cluster's first entry, for those who haven't got it yet.
    pub(crate) founding: FoundingEntry,
    pub(crate) workers: Workers,
}

/// What opening found.
pub(crate) struct Opening {
    pub(crate) store: Store,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) recovery: Vec<String>,
    pub(crate) took: Duration,
}

/// What can't be restored into memory.
const NOTHING_IS_KEPT: &str = "InMemoryStorage keeps nothing, so a cluster can't begin with a \
                               snapshot in it; nothing was started: take --restore or StorageClass \
                               out, or put the keys in with `raft-ctl import`";

/// Opens the directory of `node`. `random` is what a new incarnation and the salts are made from,
/// `restore` the file of a snapshot that a new cluster is to begin with.
pub(crate) fn open(
    config: &Config,
    node: &Node,
    random: (u128, u64),
    restore: Option<&Path>,
) -> Result<Opening, Exit> {
    let begun = Instant::now();
    let (opened, directory) = match config.cluster.storage_class {
        StorageClass::File => {
            let opened = open_into(RealDisk, config, node, random, restore, Loading::sink_beside);
            (opened, Some(config.data_directory(node)))
        }
        StorageClass::Memory if restore.is_some() => {
            return Err(Exit::Configuration(NOTHING_IS_KEPT.to_owned()));
        }
        StorageClass::Memory => (open_on(MemoryDisk::default(), config, node, random, None), None),
    };
    let (store, report) = opened?;
    let recovery = describe(&report, directory.is_none());
    Ok(Opening { store, directory, recovery, took: begun.elapsed() })
}

/// Opens the directory of `node` on this disk, where the file to restore lies as well, without any
/// thread.
pub fn open_on<D: Disk>(
    disk: D,
    config: &Config,
    node: &Node,
    random: (u128, u64),
    restore: Option<&Path>,
) -> Result<(Store, RecoveryReport), Exit> {
    open_into(disk, config, node, random, restore, Loading::sink)
}

/// Opens the directory of `node` on this disk. `sink` makes what a snapshot is loaded into.
fn open_into<D: Disk>(
    disk: D,
    config: &Config,
    node: &Node,
    random: (u128, u64),
    restore: Option<&Path>,
    mut sink: fn() -> Box<dyn SnapshotSink>,
) -> Result<(Store, RecoveryReport), Exit> {
    let backup = restore.map(|path| Backup::open(&disk, path)).transpose()?;
    let options = options(config, node, random);
    let directory = config.data_directory(node);
    let opened = Directory::open(disk, &directory, options, &mut sink);
    let (store, report) = match opened.map_err(exit_of)? {
        Opened::Unformed(unformed) => {
            let mut report = unformed.report().clone();
            let loaded = backup.map(|backup| backup.load(config.cluster.cluster_id));
            let (restores, beginning) = match loaded.transpose()? {
                Some((restores, beginning, about)) => {
                    report.notes.push(about);
                    (Some(restores), Some(beginning))
                }
                None => (None, None),
            };
            (Store::Unformed(unfounded(unformed, restores, beginning)), report)
        }
        Opened::Formed(recovered) => {
            let mut report = recovered.report.clone();
            if let Some(backup) = backup {
                backup.check_done(&directory, &recovered.founding)?;
                report.notes.push(DONE.to_owned());
            }
            (Store::Formed(Box::new(formed(*recovered))), report)
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

/// How the directory of `node` is opened.
pub(super) fn options(config: &Config, node: &Node, random: (u128, u64)) -> OpenOptions {
    OpenOptions {
        node: node.id,
        incarnation: Incarnation(random.0.max(1)),
        seed: random.1,
        segment_bytes: config.storage.segment_size,
        sync: match config.storage.sync {
            SyncPolicy::Always => SyncMode::Always,
            SyncPolicy::None => SyncMode::Rarely,
        },
        min_free_bytes: config.storage.min_free_space,
    }
}

/// What a start says that finds everything done.
const DONE: &str = "this cluster was restored from the file of --restore: the flag has nothing left \
                    to do here and can be taken out";

fn unfounded<D: Disk>(
    unformed: Box<Unformed<D>>,
    restores: Option<Restores>,
    beginning: Option<Beginning>,
) -> Unfounded {
    let identity = unformed.identity();
    Unfounded {
        member: Member { id: identity.node, incarnation: identity.incarnation },
        boot: unformed.boot(),
        restores,
        found: Box::new(move |founding, epoch| {
            let recovered = match beginning {
                Some(beginning) => unformed.restore(beginning, founding),
                None => unformed.found_in(founding, epoch),
            };
            recovered.map(formed)
        }),
    }
}

fn formed<D: Disk>(recovered: Recovered<D>) -> Formed {
    let restored = restored(&recovered);
    let Recovered { identity, founding, mut writer, mut files, snapshot, snapshots, .. } =
        recovered;
    let (machine, snapshots) = loaded(snapshot, &snapshots, recovered.older_time);
    Formed {
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
    }
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
