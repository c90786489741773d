//! A snapshot that is written: in short steps, read back past the cache, and only then named.

use std::path::PathBuf;

use bytes::BytesMut;

use crate::model::{Hash128, SnapshotId};
use crate::storage::layout::Layout;
use crate::storage::shared::Shared;
use crate::storage::{Access, Corruption, Disk, DiskFile, StorageError};

use super::format::{CHUNK_PAYLOAD, Foot, SnapshotHead, put_chunk};
use super::read::{SnapshotFile, Walk};
use super::{SnapshotFault, SnapshotSource};

/// So much is written before it is synced.
const SYNC_BYTES: u64 = 1 << 20;

/// A snapshot that is being written.
#[derive(Debug)]
pub(super) struct Build<D: Disk> {
    path: PathBuf,
    unfinished: PathBuf,
    file: D::File,
    head: SnapshotHead,
    stage: Stage<D>,
    /// Where the file ends.
    written: u64,
    /// Up to where it is durable.
    synced: u64,
    hash: Hash128,
    chunks: u64,
    payload_bytes: u64,
    /// Payload that doesn't fill a chunk yet, and chunks that aren't written yet.
    payload: BytesMut,
    block: Vec<u8>,
}

#[derive(Debug)]
enum Stage<D: Disk> {
    Writing(Box<dyn SnapshotSource>),
    /// It is read back from the device.
    Verifying(Box<Walk<D>>),
    Verified(SnapshotId),
}

/// How far a snapshot is.
pub(super) enum Step {
    /// It isn't finished. What it is made from comes back when all of it was read.
    Written(Option<Box<dyn SnapshotSource>>),
    /// It counts.
    Saved(SnapshotId),
}

/// Makes a whole snapshot, at once.
pub(in crate::storage) fn build<D: Disk>(
    shared: &Shared<D>,
    head: SnapshotHead,
    source: Box<dyn SnapshotSource>,
) -> Result<SnapshotId, StorageError> {
    let mut build = Build::begin(shared, head, source)?;
    loop {
        if let Step::Saved(id) = build.step(shared, SYNC_BYTES)? {
            return Ok(id);
        }
    }
}

impl<D: Disk> Build<D> {
    pub(super) fn begin(
        shared: &Shared<D>,
        head: SnapshotHead,
        source: Box<dyn SnapshotSource>,
    ) -> Result<Build<D>, StorageError> {
        let path = shared.layout.snapshot(head.last);
        let unfinished = Layout::unfinished(&path);
        let first = head.encode();
        shared.look_for_room(&shared.layout.snapshots, first.len() as u64)?;
        let room = StorageError::room("make", &unfinished, first.len() as u64);
        let file = shared.disk.open(&unfinished, Access::Create).map_err(room)?;
        let mut build = Build {
            path,
            unfinished,
            file,
            head,
            stage: Stage::Writing(source),
            written: 0,
            synced: 0,
            hash: Hash128::new(),
            chunks: 0,
            payload_bytes: 0,
            payload: BytesMut::new(),
            block: first,
        };
        let begun = build.write();
        build.or_withdraw(shared, begun)?;
        Ok(build)
    }

    /// How long the file is by now.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Takes away what was begun.
    pub(super) fn withdraw(&self, shared: &Shared<D>) -> Result<(), StorageError> {
        let path = &self.unfinished;
        shared.disk.remove(path).map_err(StorageError::disk("remove", path))
    }

    /// Without room, what was begun is taken away.
    fn or_withdraw<T>(
        &self,
        shared: &Shared<D>,
        done: Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if matches!(done, Err(StorageError::NoSpace { .. })) {
            self.withdraw(shared)?;
        }
        done
    }

    /// Goes on for about `budget` bytes.
    ///
    /// After an error of class [`NoSpace`](crate::storage::ErrorClass::NoSpace) nothing is left
    /// of it.
    pub(super) fn step(&mut self, shared: &Shared<D>, budget: u64) -> Result<Step, StorageError> {
        match &mut self.stage {
            Stage::Writing(_) => {
                let written = self.write_on(shared, budget);
                if !self.or_withdraw(shared, written)? {
                    return Ok(Step::Written(None));
                }
                let next = Stage::Verifying(Box::new(self.read_back(shared)?));
                Ok(Step::Written(match std::mem::replace(&mut self.stage, next) {
                    Stage::Writing(source) => Some(source),
                    Stage::Verifying(_) | Stage::Verified(_) => None,
                }))
            }
            Stage::Verifying(walk) => {
                match walk.step(budget, &mut |_| Ok(()))? {
                    Ok(true) => self.stage = Stage::Verified(walk.snapshot().id()),
                    Ok(false) => {}
                    Err(fault) => return Err(self.unlike(shared, fault)),
                }
                Ok(Step::Written(None))
            }
            Stage::Verified(id) => {
                let id = *id;
                let published = self.publish(shared);
                self.or_withdraw(shared, published)?;
                Ok(Step::Saved(id))
            }
        }
    }

    /// Writes about `budget` bytes. `true`: that was all, and it is synced.
    fn write_on(&mut self, shared: &Shared<D>, budget: u64) -> Result<bool, StorageError> {
        shared.look_for_room(&shared.layout.snapshots, budget)?;
        let begun = self.written;
        let mut more = true;
        while more && self.written + (self.block.len() as u64) < begun + budget.max(1) {
            let Stage::Writing(source) = &mut self.stage else { break };
            let before = self.payload.len();
            more = source.next(&mut self.payload, CHUNK_PAYLOAD);
            let made = self.payload.len() - before;
            self.payload_bytes += made as u64;
            while self.payload.len() >= CHUNK_PAYLOAD {
                self.put_chunk(CHUNK_PAYLOAD);
            }
            if made == 0 {
                break;
            }
        }
        if !more && !self.payload.is_empty() {
            self.put_chunk(self.payload.len());
        }
        self.write()?;
        if !more {
            let (chunks, payload_bytes) = (self.chunks, self.payload_bytes);
            let hash = std::mem::take(&mut self.hash).finish();
            self.block.extend_from_slice(&Foot { chunks, payload_bytes, hash }.encode());
            self.write()?;
        }
        let unsynced = self.written - self.synced;
        if !more || unsynced >= SYNC_BYTES {
            self.file.sync().map_err(StorageError::room("sync", &self.unfinished, unsynced))?;
            self.synced = self.written;
        }
        Ok(!more)
    }

    /// Makes the first `length` bytes of the payload that waits into a chunk.
    fn put_chunk(&mut self, length: usize) {
        let payload = self.payload.split_to(length);
        put_chunk(&mut self.block, self.chunks, &payload);
        self.chunks += 1;
    }

    fn write(&mut self) -> Result<(), StorageError> {
        let bytes = self.block.len() as u64;
        let room = StorageError::room("write", &self.unfinished, bytes);
        self.file.write_at(self.written, &self.block).map_err(room)?;
        self.hash = std::mem::take(&mut self.hash).bytes(&self.block);
        self.written += bytes;
        self.block.clear();
        Ok(())
    }

    /// Begins to read from the device what was written.
    fn read_back(&self, shared: &Shared<D>) -> Result<Walk<D>, StorageError> {
        let path = &self.unfinished;
        self.file.drop_cache().map_err(StorageError::disk("drop the cache of", path))?;
        match SnapshotFile::open_with(&shared.disk, path, Access::ReadDevice)? {
            Ok(found) if found.head() == &self.head => Ok(found.walk()),
            Ok(_) => {
                let what = "the head isn't the one that was written".to_owned();
                Err(self.unlike(shared, SnapshotFault::Damaged { offset: 0, what }))
            }
            Err(fault) => Err(self.unlike(shared, fault)),
        }
    }

    /// A device that doesn't give back what was synced isn't to be trusted with anything.
    fn unlike(&self, shared: &Shared<D>, fault: SnapshotFault) -> StorageError {
        let offset = match fault {
            SnapshotFault::Damaged { offset, .. } => offset,
            SnapshotFault::Refused(_) => 0,
        };
        let what = format!("the device doesn't give back what was synced: {fault}");
        Corruption {
            directory: shared.layout.root.clone(),
            file: shared.layout.below_root(&self.unfinished),
            offset,
            what,
            entries: None,
        }
        .into()
    }

    /// Gives the file its name, durably.
    fn publish(&self, shared: &Shared<D>) -> Result<(), StorageError> {
        let room = StorageError::room("rename", &self.unfinished, self.written);
        shared.disk.rename(&self.unfinished, &self.path).map_err(room)?;
        let directory = &shared.layout.snapshots;
        shared.disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))
    }
}
