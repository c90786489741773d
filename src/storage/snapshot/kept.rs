//! What the file thread does with snapshots: one that is built, one that is received and loaded,
//! and those that are kept and sent to peers.

use std::sync::Arc;

use bytes::Bytes;

use crate::model::{Index, LogId, MAX_PIECE_BYTES, SnapshotId};
use crate::storage::shared::Shared;
use crate::storage::{Access, Disk, DiskFile, ErrorClass, FileReport, StorageError};

use super::build::{Build, Step};
use super::read::{SnapshotFile, Walk};
use super::receipt::{Receipt, ReceiptFound};
use super::{Refusal, SnapshotFault, SnapshotHead, SnapshotSink, SnapshotSource};

/// How many snapshots are kept open for reading.
const OPEN_FILES: usize = 4;

/// The snapshots of a directory.
#[derive(Debug)]
pub(in crate::storage) struct Snapshots<D: Disk> {
    shared: Arc<Shared<D>>,
    /// Those that count, the newest first.
    kept: Vec<SnapshotId>,
    build: Option<Build<D>>,
    receipt: Option<Receipt<D>>,
    load: Option<Load<D>>,
    /// Those that are read for peers, the one that was used last at the end.
    open: Vec<OpenFile<D>>,
    part: Vec<u8>,
}

/// A snapshot that was received and is being loaded.
#[derive(Debug)]
struct Load<D: Disk> {
    walk: Walk<D>,
    sink: Box<dyn SnapshotSink>,
}

/// A snapshot that pieces are read from.
#[derive(Debug)]
struct OpenFile<D: Disk> {
    id: SnapshotId,
    file: SnapshotFile<D>,
    /// Whether it was read since snapshots were dropped last.
    is_used: bool,
}

impl<D: Disk> Snapshots<D> {
    /// What a start has found: those that count, the newest first, and an unfinished receipt.
    pub(in crate::storage) fn new(
        shared: Arc<Shared<D>>,
        kept: Vec<SnapshotId>,
        receipt: Option<&ReceiptFound>,
    ) -> Result<Snapshots<D>, StorageError> {
        let receipt = receipt.map(|found| Receipt::resume(&shared, found)).transpose()?;
        let (build, load, open, part) = (None, None, Vec::new(), Vec::new());
        Ok(Snapshots { shared, kept, build, receipt, load, open, part })
    }

    /// Up to where the log may be let go: what the older of the two newest snapshots covers, so
    /// that there is one to fall back to. With fewer than two it is where the log begins.
    pub(in crate::storage) fn covered(&self, base: Index) -> Index {
        self.kept.get(1).map_or(base, |older| older.last.index.max(base))
    }

    pub(in crate::storage) fn begin(
        &mut self,
        head: SnapshotHead,
        source: Box<dyn SnapshotSource>,
    ) -> Result<FileReport, StorageError> {
        if let Some(old) = self.build.take() {
            old.withdraw(&self.shared)?;
        }
        match Build::begin(&self.shared, head, source) {
            Ok(build) => {
                let bytes = build.written();
                self.build = Some(build);
                Ok(FileReport::SnapshotWritten { bytes, used: None })
            }
            Err(error) => no_room(error),
        }
    }

    /// # Panics
    ///
    /// If none was begun.
    pub(in crate::storage) fn go_on(&mut self, budget: u64) -> Result<FileReport, StorageError> {
        let build = self.build.as_mut().expect("a snapshot was begun");
        match build.step(&self.shared, budget) {
            Ok(Step::Written(used)) => {
                Ok(FileReport::SnapshotWritten { bytes: build.written(), used })
            }
            Ok(Step::Saved(id)) => {
                self.build = None;
                self.keep(id);
                Ok(FileReport::SnapshotSaved { snapshot: id })
            }
            Err(error) => {
                self.build = None;
                no_room(error)
            }
        }
    }

    /// From now on this one counts, in place of one of the same name.
    fn keep(&mut self, id: SnapshotId) {
        self.kept.retain(|other| other.last != id.last);
        self.kept.push(id);
        self.kept.sort_by_key(|kept| std::cmp::Reverse((kept.last.index, kept.last.term)));
    }

    /// Reads a piece for a peer; `None` if the snapshot is gone or damaged.
    pub(in crate::storage) fn piece(
        &mut self,
        id: SnapshotId,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Option<Bytes>, StorageError> {
        if offset >= id.bytes || !self.open(id)? {
            return Ok(None);
        }
        let open = self.open.last_mut().expect("it was just put there");
        open.is_used = true;
        let max_bytes = max_bytes.clamp(1, MAX_PIECE_BYTES);
        match open.file.piece(&mut self.part, offset, max_bytes)? {
            Ok(range) => Ok(Some(Bytes::copy_from_slice(&self.part[range]))),
            Err(_) => {
                self.open.pop();
                Ok(None)
            }
        }
    }

    /// Puts the file of this snapshot at the end of those that are open, if it is there.
    fn open(&mut self, id: SnapshotId) -> Result<bool, StorageError> {
        if let Some(at) = self.open.iter().position(|open| open.id == id) {
            let open = self.open.remove(at);
            self.open.push(open);
            return Ok(true);
        }
        if !self.kept.contains(&id) {
            return Ok(false);
        }
        let path = self.shared.layout.snapshot(id.last);
        let file = match SnapshotFile::open_with(&self.shared.disk, &path, Access::Read) {
            Ok(Ok(file)) if file.id() == id => file,
            Ok(_) => return Ok(false),
            Err(StorageError::Disk { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        if self.open.len() == OPEN_FILES {
            self.open.remove(0);
        }
        self.open.push(OpenFile { id, file, is_used: true });
        Ok(true)
    }

    /// Takes a piece from a peer, and says how much of the snapshot is there. Another snapshot
    /// than the one that is being received takes its place, unless that one is being loaded.
    pub(in crate::storage) fn store(
        &mut self,
        id: SnapshotId,
        offset: u64,
        bytes: &[u8],
    ) -> Result<FileReport, StorageError> {
        let receives = self.receipt.as_ref().is_some_and(|receipt| receipt.id() == id);
        if !receives {
            if self.load.is_some() {
                return Ok(FileReport::PieceStored { snapshot: id, has: 0 });
            }
            if let Some(old) = self.receipt.take() {
                old.discard(&self.shared)?;
            }
        }
        let stored = match self.receipt.take() {
            Some(receipt) => Ok(receipt),
            None => Receipt::begin(&self.shared, id),
        };
        let stored = stored.and_then(|mut receipt| {
            let done = receipt.store(&self.shared, offset, bytes);
            self.receipt = Some(receipt);
            done
        });
        let has = self.receipt.as_ref().map_or(0, Receipt::has);
        match stored {
            Ok(()) => Ok(FileReport::PieceStored { snapshot: id, has }),
            Err(error) if error.class() == ErrorClass::NoSpace => {
                Ok(FileReport::NoRoomForPiece { snapshot: id, has, error })
            }
            Err(error) => Err(error),
        }
    }

    /// Begins to load what was received.
    pub(in crate::storage) fn load(
        &mut self,
        id: SnapshotId,
        sink: Box<dyn SnapshotSink>,
    ) -> Result<FileReport, StorageError> {
        let Some(receipt) = self.receipt.as_ref().filter(|receipt| receipt.id() == id) else {
            return Ok(not_there(id, 0));
        };
        if !receipt.is_whole() {
            return Ok(not_there(id, receipt.has()));
        }
        let (path, file) = receipt.file();
        file.drop_cache().map_err(StorageError::disk("drop the cache of", path))?;
        match SnapshotFile::open_with(&self.shared.disk, path, Access::ReadDevice)? {
            Ok(file) if file.id() == id => {
                self.load = Some(Load { walk: file.walk(), sink });
                Ok(FileReport::Loading { bytes: 0 })
            }
            Ok(_) => {
                let what = "it is another snapshot".to_owned();
                self.turn_down(SnapshotFault::Damaged { offset: 0, what })
            }
            Err(fault) => self.turn_down(fault),
        }
    }

    /// # Panics
    ///
    /// If nothing is being loaded.
    pub(in crate::storage) fn load_on(&mut self, budget: u64) -> Result<FileReport, StorageError> {
        let Load { walk, sink } = self.load.as_mut().expect("a snapshot is being loaded");
        let step = walk.step(budget, &mut |payload| sink.take(payload))?;
        match step.and_then(|done| {
            if done { sink.finish().map(|()| true) } else { Ok(false) }.map_err(SnapshotFault::from)
        }) {
            Ok(false) => Ok(FileReport::Loading { bytes: walk.at() }),
            Ok(true) => self.publish(),
            Err(fault) => self.turn_down(fault),
        }
    }

    /// What was received counts from now on.
    fn publish(&mut self) -> Result<FileReport, StorageError> {
        let load = self.load.take().expect("a snapshot was loaded");
        let receipt = self.receipt.take().expect("what is loaded was received");
        let (id, head) = (receipt.id(), load.walk.snapshot().head().clone());
        let (from, _) = receipt.file();
        let (shared, to) = (&self.shared, self.shared.layout.snapshot(id.last));
        shared.disk.rename(from, &to).map_err(StorageError::disk("rename", from))?;
        let directory = &shared.layout.snapshots;
        shared.disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))?;
        receipt.forget(shared)?;
        self.keep(id);
        Ok(FileReport::Received { snapshot: id, head, sink: load.sink })
    }

    /// What was received is bad: it is wanted again, from where it is.
    fn turn_down(&mut self, fault: SnapshotFault) -> Result<FileReport, StorageError> {
        self.load = None;
        let mut receipt = self.receipt.take().expect("what is loaded was received");
        let id = receipt.id();
        let has = match fault {
            SnapshotFault::Damaged { offset, .. } => offset,
            SnapshotFault::Refused(_) => 0,
        };
        if has == 0 || has >= id.bytes {
            receipt.discard(&self.shared)?;
        } else {
            receipt.go_back(has)?;
            self.receipt = Some(receipt);
        }
        let has = self.receipt.as_ref().map_or(0, Receipt::has);
        Ok(FileReport::ReceivedBad { snapshot: id, reason: fault, has })
    }

    /// Removes the snapshots that aren't in `keep`, the oldest first, each durably before the
    /// next. A file that was being read for a peer is still read from the handle there is, until
    /// this is called again.
    ///
    /// # Panics
    ///
    /// If none would be left that reaches to where the log begins.
    pub(in crate::storage) fn drop_others(
        &mut self,
        keep: &[SnapshotId],
        base: LogId,
    ) -> Result<FileReport, StorageError> {
        let stays = |kept: &SnapshotId| keep.contains(kept);
        let reaches = self.kept.iter().any(|kept| stays(kept) && kept.last.index >= base.index);
        assert!(base == LogId::ORIGIN || reaches, "the log begins behind {base}, and {keep:?}");
        let kept = &self.kept;
        self.open.retain_mut(|open| {
            kept.contains(&open.id) && stays(&open.id) || std::mem::take(&mut open.is_used)
        });
        let mut removed = 0;
        while let Some(at) = self.kept.iter().rposition(|kept| !stays(kept)) {
            let path = self.shared.layout.snapshot(self.kept[at].last);
            let (disk, directory) = (&self.shared.disk, &self.shared.layout.snapshots);
            disk.remove(&path).map_err(StorageError::disk("remove", &path))?;
            disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))?;
            self.kept.remove(at);
            removed += 1;
        }
        Ok(FileReport::SnapshotsDropped { snapshots: removed })
    }
}

fn not_there(snapshot: SnapshotId, has: u64) -> FileReport {
    let refusal = Refusal::Malformed("it isn't all there".to_owned());
    FileReport::ReceivedBad { snapshot, reason: refusal.into(), has }
}

/// A full disk ends the building of a snapshot and nothing else.
fn no_room(error: StorageError) -> Result<FileReport, StorageError> {
    match error.class() {
        ErrorClass::NoSpace => Ok(FileReport::NoRoomForSnapshot(error)),
        _ => Err(error),
    }
}
