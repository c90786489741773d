//! States to make snapshots of, and files of snapshots made by hand.

use std::path::Path;

use bytes::{BufMut, BytesMut};

use super::harness::{ROOT, configuration, founding};
use crate::model::{ClusterId, Epoch, Hash128, Index, LogId, LogTime, SnapshotId};
use crate::storage::{
    Access, Disk, DiskFile, FileReport, FileWork, FileWorker, Refusal, SnapshotHead, SnapshotSink,
    SnapshotSource, StorageError,
};

/// A payload that tells snapshots and places in them apart.
pub(super) fn payload(last: LogId, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|at| (at / 7 + at * 31 + last.index.0 * 13 + last.term.0) as u8).collect()
}

/// The state up to `last`, as a source gives it: cut at odd places.
#[derive(Debug)]
pub(super) struct Image {
    payload: Vec<u8>,
    at: usize,
    step: usize,
}

impl Image {
    pub(super) fn new(last: LogId, bytes: usize) -> Box<Image> {
        Box::new(Image { payload: payload(last, bytes), at: 0, step: 1 })
    }
}

impl SnapshotSource for Image {
    fn next(&mut self, out: &mut BytesMut, max_bytes: usize) -> bool {
        self.step = (self.step * 3 + 1) % 50_021;
        let length = (1 + self.step).min(max_bytes).min(self.payload.len() - self.at);
        out.put_slice(&self.payload[self.at..self.at + length]);
        self.at += length;
        self.at < self.payload.len()
    }
}

/// What was loaded.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) payload: Vec<u8>,
    pub(super) is_finished: bool,
    /// Whether it says that it can't understand what it is given.
    pub(super) refuses: bool,
}

impl SnapshotSink for Loaded {
    fn take(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        assert!(!self.is_finished);
        self.payload.extend_from_slice(payload);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        self.is_finished = true;
        if self.refuses {
            return Err(Refusal::Malformed("a key is missing".to_owned()));
        }
        Ok(())
    }
}

pub(super) fn sink() -> Box<dyn SnapshotSink> {
    Box::new(Loaded::default())
}

/// What a sink got, all of it.
pub(super) fn contents(sink: Box<dyn SnapshotSink>) -> Vec<u8> {
    let any: Box<dyn std::any::Any> = sink;
    let loaded = any.downcast::<Loaded>().expect("it is the sink that was given");
    assert!(loaded.is_finished);
    loaded.payload
}

pub(super) fn head(last: LogId) -> SnapshotHead {
    SnapshotHead {
        cluster: ClusterId(5),
        epoch: Epoch(0),
        last,
        time: LogTime(1000 + last.index.0),
        configuration: (Index(1), configuration("127.0.0.1:3111")),
        founding: founding(5),
    }
}

/// The file of a snapshot, put together as the page on formats says.
pub(super) fn file(head: &SnapshotHead, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"RAFTSNAP".to_vec();
    bytes.put_u16_le(1);
    bytes.put_u16_le(0);
    bytes.put_u32_le(0);
    bytes.put_u64_le(0);
    bytes.put_u128_le(head.cluster.0);
    bytes.put_u64_le(head.epoch.0);
    bytes.put_u64_le(head.last.index.0);
    bytes.put_u64_le(head.last.term.0);
    bytes.put_u64_le(head.time.0);
    bytes.put_u64_le(head.configuration.0.0);
    head.configuration.1.encode(&mut bytes);
    bytes.put_slice(&head.founding.batch().bytes());
    bytes.resize(bytes.len().next_multiple_of(4096), 0);
    let length = bytes.len() as u32;
    bytes[16..20].copy_from_slice(&length.to_le_bytes());
    seal_head(&mut bytes);
    let chunks = payload.chunks(61_432);
    let count = chunks.len() as u64;
    for (number, chunk) in chunks.enumerate() {
        let mut covered = (number as u64).to_le_bytes().to_vec();
        covered.put_u32_le(chunk.len() as u32);
        covered.put_slice(chunk);
        bytes.put_u32_le(chunk.len() as u32);
        bytes.put_u32_le(crc32fast::hash(&covered));
        bytes.put_slice(chunk);
    }
    let hash = Hash128::new().bytes(&bytes).finish();
    let mut foot = b"RAFTFOOT".to_vec();
    foot.put_u64_le(count);
    foot.put_u64_le(payload.len() as u64);
    foot.put_u128_le(hash);
    foot.put_u128_le(0);
    let mut covered = foot.clone();
    covered.splice(8..8, [0; 4]);
    let crc = crc32fast::hash(&covered);
    foot.splice(8..8, crc.to_le_bytes().into_iter().chain([0; 4]));
    bytes.extend(foot);
    bytes
}

/// Puts the right checksum on the head of a snapshot.
pub(super) fn seal_head(head: &mut [u8]) {
    let mut covered = head[..12].to_vec();
    covered.extend_from_slice(&head[16..]);
    let crc = crc32fast::hash(&covered);
    head[12..16].copy_from_slice(&crc.to_le_bytes());
}

pub(super) fn id_of(head: &SnapshotHead, file: &[u8]) -> SnapshotId {
    let hash = &file[file.len() - 32..file.len() - 16];
    let hash = u128::from_le_bytes(hash.try_into().unwrap());
    SnapshotId { last: head.last, bytes: file.len() as u64, hash }
}

/// Where the snapshot up to `last` lies.
pub(super) fn path(last: LogId) -> std::path::PathBuf {
    let name = format!("snapshots/{:020}-{}.snap", last.index.0, last.term.0);
    Path::new(ROOT).join(name)
}

/// Puts a snapshot up to `last` into the directory, durably.
pub(super) fn put<D: Disk>(disk: &D, last: LogId, bytes: usize) -> SnapshotId {
    let contents = file(&head(last), &payload(last, bytes));
    put_file(disk, &path(last), &contents);
    id_of(&head(last), &contents)
}

pub(super) fn put_file<D: Disk>(disk: &D, path: &Path, contents: &[u8]) {
    let file = disk.open(path, Access::Create).unwrap();
    file.write_at(0, contents).unwrap();
    file.sync().unwrap();
    disk.sync_directory(path.parent().unwrap()).unwrap();
}

/// Has the worker build a snapshot up to `last`.
pub(super) fn build<D: Disk>(
    files: &mut FileWorker<D>,
    last: LogId,
    bytes: usize,
) -> Result<SnapshotId, StorageError> {
    let mut report = files
        .perform(FileWork::BeginSnapshot { head: head(last), source: Image::new(last, bytes) })?;
    loop {
        match report {
            FileReport::SnapshotWritten { .. } => {}
            FileReport::SnapshotSaved { snapshot } => return Ok(snapshot),
            FileReport::NoRoomForSnapshot(error) => return Err(error),
            other => panic!("{other:?}"),
        }
        report = files.perform(FileWork::ContinueSnapshot { budget: 100_000 })?;
    }
}
