//! What a start makes of the snapshots: which one is loaded, which are kept, and what is left
//! over. Nothing is changed before all of it is judged.

use std::io;

use crate::model::{ClusterId, Epoch, LogId, LogTime, SnapshotId};
use crate::storage::layout::{
    BAD, Layout, RECEIPT, RECEIVED, SNAPSHOT, UNFINISHED, parse_snapshot_name, snapshot_name,
};
use crate::storage::log_map::LogMap;
use crate::storage::{Access, Corruption, Disk, LoadedSnapshot, StorageError};

use super::aside::set_one_aside;
use super::read::{Judged, READ_BYTES, SnapshotFile, Walk};
use super::receipt::{self, ReceiptFound};
use super::{Refusal, SnapshotFault, SnapshotSink};

/// The names in the directory of snapshots.
#[derive(Debug, Default)]
pub(in crate::storage) struct SnapshotsFound {
    /// Those that count, the newest first.
    pub(in crate::storage) files: Vec<LogId>,
    /// Those that were found damaged by an earlier start.
    pub(in crate::storage) bad: Vec<String>,
    /// What is being received.
    pub(in crate::storage) receipt: Option<ReceiptFound>,
    /// Files that a receipt writes, in the order in which they can be removed.
    receiving: Vec<String>,
    unfinished: Vec<String>,
    pub(in crate::storage) strange: Vec<String>,
}

/// Looks at the names, and at the record of a receipt.
pub(in crate::storage) fn find<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
) -> Result<SnapshotsFound, StorageError> {
    let names = match disk.list(&layout.snapshots) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(StorageError::disk("list", &layout.snapshots)(source)),
    };
    let mut found = SnapshotsFound::default();
    for name in names {
        if let Some(last) = parse_snapshot_name(&name, SNAPSHOT) {
            found.files.push(last);
        } else if name == RECEIPT {
            found.receiving.insert(0, name);
        } else if parse_snapshot_name(&name, RECEIVED).is_some() {
            found.receiving.push(name);
        } else if name.ends_with(UNFINISHED) {
            found.unfinished.push(name);
        } else if parse_snapshot_name(&name, BAD).is_some() {
            found.bad.push(name);
        } else {
            found.strange.push(name);
        }
    }
    found.files.sort_by_key(|last| std::cmp::Reverse((last.index, last.term)));
    found.receipt = receipt::find(disk, layout, access)?;
    Ok(found)
}

/// What is done with the snapshots that were found.
#[derive(Debug, Default)]
pub(in crate::storage) struct Chosen {
    /// The one that was loaded, all of it verified.
    pub(in crate::storage) loaded: Option<LoadedSnapshot>,
    /// That one, and one before it that can be fallen back to.
    pub(in crate::storage) kept: Vec<SnapshotId>,
    /// The log time of the last entry of the one before.
    pub(in crate::storage) older_time: Option<LogTime>,
    /// Those that are damaged.
    damaged: Vec<(LogId, SnapshotFault)>,
    /// Those that aren't needed any more, the oldest first.
    surplus: Vec<LogId>,
}

/// Loads the newest snapshot. If it is damaged an older one does, where the log holds everything
/// from there to the damaged one at least; and none at all, where the log holds everything.
pub(in crate::storage) fn choose<D: Disk>(
    disk: &D,
    layout: &Layout,
    found: &SnapshotsFound,
    newest: Newest<D>,
    cluster: Option<(ClusterId, Epoch)>,
    log: &LogMap,
    sinks: &mut dyn FnMut() -> Box<dyn SnapshotSink>,
) -> Result<Chosen, StorageError> {
    let mut begun = newest.0;
    let mut chosen = Chosen::default();
    let mut files = found.files.iter().copied();
    let mut skips = false;
    for last in files.by_ref() {
        let reaches = match chosen.damaged.first() {
            Some((newest, _)) => log.holds(last) && log.last().index >= newest.index,
            None => true,
        };
        if !reaches {
            skips = true;
            break;
        }
        let loading = match begun.take() {
            Some(newest) => newest,
            None => Loading::begin(disk, layout, last, sinks)?,
        };
        let loaded = match loading {
            Ok(loading) => loading.finish(layout, cluster)?,
            Err(fault) => Err(fault),
        };
        match loaded {
            Ok(loaded) => {
                chosen.kept.push(loaded.id);
                chosen.loaded = Some(loaded);
                break;
            }
            Err(SnapshotFault::Refused(Refusal::Newer { what, found, supported })) => {
                let path = layout.snapshot(last);
                return Err(StorageError::Newer { path, what, found, supported });
            }
            Err(fault) => chosen.damaged.push((last, fault)),
        }
    }
    if let (None, Some((newest, fault))) = (&chosen.loaded, chosen.damaged.first()) {
        let is_whole = log.base() == LogId::ORIGIN && log.last().index >= newest.index;
        if skips || !is_whole {
            return Err(damage(layout, *newest, fault, log).into());
        }
    }
    if let Some(loaded) = chosen.kept.first().map(|id| id.last) {
        for last in files {
            let serves = chosen.kept.len() == 1 && log.holds(loaded) && log.holds(last);
            let file = serves.then(|| open(disk, layout, last, Access::ReadDevice));
            match file.transpose()? {
                Some(Ok(file)) => {
                    chosen.kept.push(file.id());
                    chosen.older_time = Some(file.head().time);
                }
                Some(Err(fault)) => chosen.damaged.push((last, fault)),
                None => chosen.surplus.insert(0, last),
            }
        }
    }
    Ok(chosen)
}

fn damage(layout: &Layout, newest: LogId, fault: &SnapshotFault, log: &LogMap) -> Corruption {
    let offset = match fault {
        SnapshotFault::Damaged { offset, .. } => *offset,
        SnapshotFault::Refused(_) => 0,
    };
    let what = format!(
        "the newest snapshot is damaged ({fault}), and no older one that is good and from which \
         the log reaches as far is there (the log has what is behind {}, up to {})",
        log.base(),
        log.last()
    );
    let (directory, file) = (layout.root.clone(), layout.below_root(&layout.snapshot(newest)));
    Corruption { directory, file, offset, what, entries: None }
}

/// Opens the snapshot that has this name. One that has got another's name is a bad one.
pub(in crate::storage) fn open<D: Disk>(
    disk: &D,
    layout: &Layout,
    last: LogId,
    access: Access,
) -> Judged<SnapshotFile<D>> {
    let file = SnapshotFile::open_with(disk, &layout.snapshot(last), access)?;
    Ok(file.and_then(|file| match file.head().last {
        found if found == last => Ok(file),
        found => {
            let what = format!("it is the snapshot up to {found}");
            Err(SnapshotFault::Damaged { offset: 0, what })
        }
    }))
}

/// The newest snapshot, if there is one, while it is loaded. What comes of it counts for nothing
/// before the log was read.
pub(in crate::storage) struct Newest<D: Disk>(Option<Result<Loading<D>, SnapshotFault>>);

impl<D: Disk> Newest<D> {
    /// Reads its head and its foot.
    pub(in crate::storage) fn begin(
        disk: &D,
        layout: &Layout,
        found: &SnapshotsFound,
        sinks: &mut dyn FnMut() -> Box<dyn SnapshotSink>,
    ) -> Result<Newest<D>, StorageError> {
        let last = found.files.first().copied();
        let begun = last.map(|last| Loading::begin(disk, layout, last, sinks));
        Ok(Newest(begun.transpose()?))
    }

    /// Reads a MiB or a little more of it, if there is more.
    pub(in crate::storage) fn step(&mut self) -> Result<(), StorageError> {
        match &mut self.0 {
            Some(Ok(loading)) => loading.step(),
            _ => Ok(()),
        }
    }
}

/// A snapshot that is loaded step by step.
struct Loading<D: Disk> {
    walk: Walk<D>,
    sink: Box<dyn SnapshotSink>,
    /// How the reading ended.
    end: Option<Result<(), SnapshotFault>>,
}

impl<D: Disk> Loading<D> {
    fn begin(
        disk: &D,
        layout: &Layout,
        last: LogId,
        sinks: &mut dyn FnMut() -> Box<dyn SnapshotSink>,
    ) -> Judged<Loading<D>> {
        let file = open(disk, layout, last, Access::ReadDevice)?;
        Ok(file.map(|file| Loading { walk: file.walk(), sink: sinks(), end: None }))
    }

    fn step(&mut self) -> Result<(), StorageError> {
        if self.end.is_none() {
            let sink = &mut self.sink;
            let read = self.walk.step(READ_BYTES, &mut |payload| sink.take(payload))?;
            self.end = match read {
                Ok(false) => None,
                Ok(true) => Some(Ok(())),
                Err(fault) => Some(Err(fault)),
            };
        }
        Ok(())
    }

    fn finish(
        mut self,
        layout: &Layout,
        cluster: Option<(ClusterId, Epoch)>,
    ) -> Judged<LoadedSnapshot> {
        let (id, head) = (self.walk.snapshot().id(), self.walk.snapshot().head().clone());
        if !head.is_of(cluster) {
            let (cluster, epoch) = (head.cluster, head.epoch);
            let what = format!("it is a snapshot of another cluster, {cluster} (epoch {epoch})");
            let path = layout.below_root(&layout.snapshot(id.last));
            let directory = layout.root.clone();
            return Err(Corruption { directory, file: path, offset: 0, what, entries: None }.into());
        }
        let read = loop {
            match self.end.take() {
                Some(read) => break read,
                None => self.step()?,
            }
        };
        let mut sink = self.sink;
        let finished = read.and_then(|()| Ok(sink.finish()?));
        Ok(finished.map(|()| LoadedSnapshot { id, head, sink }))
    }
}

impl Chosen {
    /// What a person may want to know, a sentence each.
    pub(in crate::storage) fn notes(&self) -> Vec<String> {
        let instead = match &self.loaded {
            Some(loaded) => format!("the one up to {} was loaded", loaded.id.last),
            None => "the state is made from the log alone".to_owned(),
        };
        let note = |(last, fault): &(LogId, SnapshotFault)| {
            let bad = snapshot_name(*last, BAD);
            format!(
                "the snapshot up to {last} is damaged ({fault}); it is now {bad}, and {instead}"
            )
        };
        self.damaged.iter().map(note).collect()
    }

    /// What of the receipt that was found goes on.
    pub(in crate::storage) fn goes_on(&self, found: &SnapshotsFound) -> Option<ReceiptFound> {
        let newest = self.kept.first().map(|id| id.last.index);
        found.receipt.filter(|receipt| newest.is_none_or(|newest| receipt.id.last.index > newest))
    }

    /// Removes what is left over of the time before, and sets aside what is damaged.
    pub(in crate::storage) fn put_right<D: Disk>(
        &self,
        disk: &D,
        layout: &Layout,
        found: &SnapshotsFound,
    ) -> Result<(), StorageError> {
        let directory = &layout.snapshots;
        let sync = || disk.sync_directory(directory).map_err(StorageError::disk("sync", directory));
        for (last, _) in &self.damaged {
            set_one_aside(disk, layout, *last)?;
        }
        let part = self.goes_on(found).map(|going| snapshot_name(going.id.last, RECEIVED));
        let stays =
            |name: &str| part.is_some() && (name == RECEIPT || Some(name) == part.as_deref());
        let over = found.unfinished.iter().chain(&found.receiving).filter(|name| !stays(name));
        for path in over.map(|name| directory.join(name)) {
            disk.remove(&path).map_err(StorageError::disk("remove", &path))?;
            // A record is gone for good before the file that it speaks of.
            if path == layout.receipt() {
                sync()?;
            }
        }
        Ok(())
    }

    /// Removes the snapshots that aren't needed, the oldest first.
    pub(in crate::storage) fn remove_surplus<D: Disk>(
        &self,
        disk: &D,
        layout: &Layout,
    ) -> Result<(), StorageError> {
        let directory = &layout.snapshots;
        for path in self.surplus.iter().map(|last| layout.snapshot(*last)) {
            disk.remove(&path).map_err(StorageError::disk("remove", &path))?;
            disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))?;
        }
        Ok(())
    }
}
