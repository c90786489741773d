//! `--restore`: a new cluster that begins with the state in the file of a snapshot.

use std::io;
use std::path::{Path, PathBuf};

use super::Exit;
use super::content::{Loading, check_end};
use crate::model::{ClusterId, FoundingEntry, SnapshotId};
use crate::storage::{
    Beginning, Disk, Refusal, SnapshotFault, SnapshotFile, SnapshotSink, StorageError,
};

/// The file of a snapshot, wherever it lies, whose head and foot are good.
pub(super) struct Backup<D: Disk> {
    path: PathBuf,
    file: SnapshotFile<D>,
}

/// What a new cluster is to begin with.
#[derive(Clone, Debug)]
pub(crate) struct Restores {
    /// The snapshot: what all nodes must have the same of.
    pub(crate) id: SnapshotId,
    /// The state machine's settings in it.
    pub(crate) settings: Vec<u8>,
}

impl<D: Disk> Backup<D> {
    pub(super) fn open(disk: &D, path: &Path) -> Result<Backup<D>, Exit> {
        let opened = SnapshotFile::open(disk, path).map_err(|error| unreadable(path, error))?;
        let file = opened.map_err(|fault| bad(path, fault))?;
        Ok(Backup { path: path.to_owned(), file })
    }

    /// Reads and verifies all of it. `wanted` is the id that the new cluster must have.
    pub(super) fn load(
        self,
        wanted: Option<ClusterId>,
    ) -> Result<(Restores, Beginning, String), Exit> {
        let Backup { path, file } = self;
        let (id, head) = (file.id(), file.head().clone());
        if wanted == Some(head.cluster) {
            return Err(Exit::Configuration(format!(
                "{}: it is of cluster {}, which raft.ini gives as ClusterId; nothing was restored: \
                 the new cluster must have another id, so that nodes of the old one are told \
                 apart. Take the line out",
                path.display(),
                head.cluster
            )));
        }
        let mut sink = Loading::sink();
        let read = file.read(&mut |payload| sink.take(payload));
        let read = read.map_err(|error| unreadable(&path, error))?;
        let finished = read.and_then(|()| Ok(sink.finish()?));
        finished.map_err(|fault| bad(&path, fault))?;
        let machine = Loading::machine(sink);
        check_end(&machine, head.last, head.time)
            .map_err(|what| bad(&path, SnapshotFault::Damaged { offset: 0, what }))?;
        let about = format!(
            "to be restored: {}, the state of cluster {} up to entry {}, {} keys",
            path.display(),
            head.cluster,
            id.last,
            machine.keys()
        );
        let restores = Restores { id, settings: machine.settings().encode() };
        let source = Box::new(machine.image());
        let sink: Box<dyn SnapshotSink> = Box::new(Loading::Loaded(machine));
        Ok((restores, Beginning { last: head.last, time: head.time, source, sink }, about))
    }

    /// Whether a directory with a log, in a cluster that began with this entry, is what came of
    /// restoring this very file.
    pub(super) fn check_done(
        &self,
        directory: &Path,
        founding: &FoundingEntry,
    ) -> Result<(), Exit> {
        let founding = founding.founding();
        if founding.restored == Some(self.file.id()) {
            return Ok(());
        }
        Err(Exit::Refused(format!(
            "{}: this directory belongs to cluster {}, which wasn't restored from {}; nothing was \
             changed: --restore makes a new cluster out of empty directories. Give all nodes empty \
             ones, or start this node without --restore",
            directory.display(),
            founding.cluster,
            self.path.display()
        )))
    }
}

fn unreadable(path: &Path, error: StorageError) -> Exit {
    let path = path.display();
    match error {
        StorageError::Disk { source, .. } if is_wrong_name(&source) => {
            Exit::Configuration(format!(
                "{path}: {source}; nothing was restored: give --restore a file that `raft-ctl snapshot \
             save` has written"
            ))
        }
        StorageError::Disk { action, source, .. } => Exit::Disk(format!(
            "{path}: {action}: {source}; nothing was restored: look at the kernel's log, and take \
             another copy of the file"
        )),
        StorageError::Newer { .. } => Exit::Newer(error.to_string()),
        other => Exit::Disk(other.to_string()),
    }
}

fn is_wrong_name(error: &io::Error) -> bool {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied | IsADirectory | NotADirectory)
}

fn bad(path: &Path, fault: SnapshotFault) -> Exit {
    let path = path.display();
    if let SnapshotFault::Refused(newer @ Refusal::Newer { .. }) = fault {
        return Exit::Newer(format!(
            "{path}: {newer}; nothing was restored: restore it with the newer version that wrote it"
        ));
    }
    Exit::Corrupt(format!(
        "{path}: {fault}; nothing was restored: take another copy of the file. `raft-ctl snapshot \
         verify {path}` tells whether one is good"
    ))
}
