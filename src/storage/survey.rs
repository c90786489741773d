//! What one of those who are left can tell, where a majority is lost for good.

use std::path::Path;

use crate::model::{Configuration, Index, LogId, LogTime, SnapshotId, TermRun};

use super::inspect::{Inspection, Meta};
use super::layout::{SNAPSHOT, snapshot_name};
use super::recover::LogFound;
use super::start::cluster_of;
use super::{Corruption, Disk, SnapshotFault, SnapshotHead, StorageError, TornTail};

/// All that a new epoch is planned by of one directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// Who it belongs to, term and vote.
    pub meta: Meta,
    /// The id before the first entry of the log.
    pub base: LogId,
    /// The terms of the entries behind `base`, in order.
    pub runs: Vec<TermRun>,
    /// The last entry; `base` if there are none.
    pub last: LogId,
    /// The log time of the last entry.
    pub last_time: LogTime,
    /// The configuration in force, and the index of the entry that holds it; `None` if the node
    /// is part of no cluster.
    pub configuration: Option<(Index, Configuration)>,
    /// The snapshots, the newest first, each of them read and verified.
    pub snapshots: Vec<SnapshotId>,
    /// The end that a crash has left unfinished: nothing of it was ever acknowledged.
    pub torn: Option<TornTail>,
    /// What a crash has cut short, so that only a start can tell what counts.
    pub cut_short: Option<&'static str>,
}

impl<D: Disk> Inspection<D> {
    /// Reads every byte of a directory that no process uses. Damage is an error.
    pub fn survey(&self) -> Result<Survey, StorageError> {
        if self.is_live() {
            return Err(StorageError::InUse { path: self.layout.root.clone() });
        }
        let meta = self.meta()?;
        let log = self.log()?;
        if let Some(damage) = &log.damage {
            return Err(damage.clone().into());
        }
        let snapshots = self.verified_snapshots(&meta, &log)?;
        let newest = snapshots.first();
        let last_time = match newest {
            Some((_, head)) if log.map.last() == head.last => head.time,
            _ => self.time_of(log.map.last().index)?,
        };
        Ok(Survey {
            base: log.map.base(),
            runs: log.map.runs().to_vec(),
            last: log.map.last(),
            last_time,
            configuration: in_force(&log, newest.map(|(_, head)| head)),
            cut_short: cut_short(&meta, &log, newest.map(|(_, head)| head)),
            snapshots: snapshots.into_iter().map(|(id, _)| id).collect(),
            torn: log.torn,
            meta,
        })
    }

    fn verified_snapshots(
        &self,
        meta: &Meta,
        log: &LogFound,
    ) -> Result<Vec<(SnapshotId, SnapshotHead)>, StorageError> {
        let mut found = Vec::new();
        for stored in self.snapshots()? {
            let damage = |offset, what| {
                let file = Path::new("snapshots").join(snapshot_name(stored.last, SNAPSHOT));
                let directory = self.layout.root.clone();
                StorageError::from(Corruption { directory, file, offset, what, entries: None })
            };
            let fault = |fault| match fault {
                SnapshotFault::Damaged { offset, what } => damage(offset, what),
                SnapshotFault::Refused(refusal) => damage(0, refusal.to_string()),
            };
            let (id, head) = stored.about.map_err(fault)?;
            if !head.is_of(cluster_of(log).or(meta.identity.cluster)) {
                return Err(damage(0, "it is a snapshot of another cluster".to_owned()));
            }
            let file = super::snapshot::open(&self.disk, &self.layout, id.last, self.access())?;
            file.map_err(fault)?.read(&mut |_| Ok(()))?.map_err(fault)?;
            found.push((id, head));
        }
        Ok(found)
    }

    fn time_of(&self, index: Index) -> Result<LogTime, StorageError> {
        let mut time = LogTime(0);
        self.entries(index, index, &mut |entry| {
            time = entry.header.time;
            false
        })?;
        Ok(time)
    }
}

/// The latest configuration that counts.
fn in_force(log: &LogFound, newest: Option<&SnapshotHead>) -> Option<(Index, Configuration)> {
    let of_snapshot = newest.map(|head| &head.configuration);
    let of_log = log.configurations.last();
    of_snapshot.into_iter().chain(of_log).max_by_key(|(index, _)| *index).cloned()
}

fn cut_short(meta: &Meta, log: &LogFound, newest: Option<&SnapshotHead>) -> Option<&'static str> {
    if cluster_of(log) != meta.identity.cluster {
        return Some("its founding, or its passage to another epoch");
    }
    if newest.is_some_and(|head| !log.map.holds(head.last)) {
        return Some("the installation of a snapshot that came from another node");
    }
    None
}
