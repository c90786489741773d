//! Looking at the snapshots of a directory without changing it, also while its node runs.

use std::io;
use std::path::Path;

use crate::model::{LogId, SnapshotId};

use super::inspect::{Finding, Inspection, Verdict};
use super::layout::{SNAPSHOT, snapshot_name};
use super::snapshot::{self, SnapshotsFound};
use super::{Corruption, Disk, SnapshotFault, SnapshotFile, SnapshotHead, StorageError};

/// The file of a snapshot in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredSnapshot {
    /// The file's name.
    pub name: String,
    /// The last entry that it holds, by that name.
    pub last: LogId,
    /// The snapshot's name, and what it says of itself; or what is wrong with its head or foot.
    pub about: Result<(SnapshotId, SnapshotHead), SnapshotFault>,
}

/// What a verification of the snapshots says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotVerification {
    /// The worst of the findings.
    pub verdict: Verdict,
    /// Those that count, the newest first.
    pub snapshots: Vec<StoredSnapshot>,
    /// What isn't as it should be.
    pub findings: Vec<Finding>,
}

impl<D: Disk> Inspection<D> {
    /// The snapshots that count, the newest first. Only their heads and feet are looked at.
    pub fn snapshots(&self) -> Result<Vec<StoredSnapshot>, StorageError> {
        let mut stored = Vec::new();
        for last in self.found()?.files {
            if let Some(file) = self.open_snapshot(last)? {
                stored.push(about(last, &file));
            }
        }
        Ok(stored)
    }

    /// Reads every byte of the snapshots. Damage is a finding, not an error.
    pub fn verify_snapshots(&self) -> Result<SnapshotVerification, StorageError> {
        let cluster = self.meta()?.identity.cluster;
        let found = self.found()?;
        let (mut snapshots, mut findings) = (Vec::new(), Vec::new());
        for last in &found.files {
            let Some(file) = self.open_snapshot(*last)? else { continue };
            let stored = about(*last, &file);
            let judged = match file {
                Ok(file) if !file.head().is_of(cluster) => {
                    let what = "it is a snapshot of another cluster".to_owned();
                    Err(SnapshotFault::Damaged { offset: 0, what })
                }
                Ok(file) => file.read(&mut |_| Ok(()))?,
                Err(fault) => Err(fault),
            };
            findings.extend(judged.err().map(|fault| self.damage(&stored.name, fault)));
            snapshots.push(stored);
        }
        findings.extend(notes(&found).into_iter().map(Finding::Note));
        let verdict = findings.iter().map(Finding::verdict).max().unwrap_or(Verdict::Ok);
        Ok(SnapshotVerification { verdict, snapshots, findings })
    }

    fn found(&self) -> Result<SnapshotsFound, StorageError> {
        snapshot::find(&self.disk, &self.layout, self.access())
    }

    /// Opens the snapshot that has this name; `None` if its node has removed it meanwhile.
    fn open_snapshot(
        &self,
        last: LogId,
    ) -> Result<Option<Result<SnapshotFile<D>, SnapshotFault>>, StorageError> {
        match snapshot::open(&self.disk, &self.layout, last, self.access()) {
            Ok(file) => Ok(Some(file)),
            Err(StorageError::Disk { source, .. })
                if self.is_live() && source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn damage(&self, name: &str, fault: SnapshotFault) -> Finding {
        let (offset, what) = match fault {
            SnapshotFault::Damaged { offset, what } => (offset, what),
            SnapshotFault::Refused(refusal) => (0, refusal.to_string()),
        };
        let (directory, file) = (self.layout.root.clone(), Path::new("snapshots").join(name));
        Finding::Damage(Corruption { directory, file, offset, what, entries: None })
    }
}

fn about<D: Disk>(last: LogId, file: &Result<SnapshotFile<D>, SnapshotFault>) -> StoredSnapshot {
    let about = match file {
        Ok(file) => Ok((file.id(), file.head().clone())),
        Err(fault) => Err(fault.clone()),
    };
    StoredSnapshot { name: snapshot_name(last, SNAPSHOT), last, about }
}

fn notes(found: &SnapshotsFound) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(receipt) = &found.receipt {
        notes.push(format!("{} is being received, {} bytes are there", receipt.id, receipt.good));
    }
    for name in &found.bad {
        notes.push(format!("snapshots/{name} was found damaged by a start, and doesn't count"));
    }
    for name in &found.strange {
        notes.push(format!("snapshots/{name} isn't a snapshot"));
    }
    notes
}
