//! Reads the file of a snapshot forward, verifying everything.

use std::io;
use std::path::{Path, PathBuf};

use byteorder::{ByteOrder, LittleEndian};

use crate::model::{Hash128, SnapshotId};
use crate::storage::page::{PAGE_BYTES, PageFault};
use crate::storage::{Access, Disk, DiskFile, StorageError};

use super::format::{
    CHUNK_BYTES, FOOT_BYTES, Foot, Part, Shape, SnapshotHead, head_length, read_chunk,
};
use super::{Refusal, SnapshotFault};

/// How much is read at once at the least: whole chunks, 1 MiB or a little more.
pub(in crate::storage) const READ_BYTES: u64 = 18 * CHUNK_BYTES as u64;

/// Reading can fail, or find that the file is bad.
pub(in crate::storage) type Judged<T> = Result<Result<T, SnapshotFault>, StorageError>;

/// The file of a snapshot whose head and foot are good.
#[derive(Debug)]
pub struct SnapshotFile<D: Disk> {
    file: D::File,
    path: PathBuf,
    head: SnapshotHead,
    shape: Shape,
    foot: Foot,
}

impl<D: Disk> SnapshotFile<D> {
    /// Opens the file at `path`, wherever it lies, and reads its head and its foot. What lies
    /// between isn't looked at.
    ///
    /// # Errors
    ///
    /// The outer one if it can't be read or is of a newer format, the inner one if it is damaged.
    pub fn open(
        disk: &D,
        path: &Path,
    ) -> Result<Result<SnapshotFile<D>, SnapshotFault>, StorageError> {
        SnapshotFile::open_with(disk, path, Access::Read)
    }

    pub(in crate::storage) fn open_with(disk: &D, path: &Path, access: Access) -> Judged<Self> {
        let file = disk.open(path, access).map_err(StorageError::disk("open", path))?;
        let bytes = file.length().map_err(StorageError::disk("look at", path))?;
        let (head, head_bytes) = match read_head(&file, path, bytes)? {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        let Some(shape) = Shape::new(head_bytes, bytes) else {
            let what = format!("the file has {bytes} bytes, which none can have");
            return Ok(Err(SnapshotFault::Damaged { offset: bytes, what }));
        };
        let offset = shape.foot_at();
        let mut foot = [0; FOOT_BYTES];
        if let Err(fault) = read(&file, path, offset, &mut foot)? {
            return Ok(Err(fault));
        }
        Ok(match Foot::decode(&foot, &shape) {
            Ok(foot) => Ok(SnapshotFile { file, path: path.to_owned(), head, shape, foot }),
            Err(what) => Err(SnapshotFault::Damaged { offset, what }),
        })
    }

    /// What the snapshot says of itself.
    #[must_use]
    pub fn head(&self) -> &SnapshotHead {
        &self.head
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        SnapshotId { last: self.head.last, bytes: self.shape.bytes(), hash: self.foot.hash }
    }

    /// How many chunks the file has, and how many bytes of payload they carry.
    #[must_use]
    pub fn contents(&self) -> (u64, u64) {
        (self.foot.chunks, self.foot.payload_bytes)
    }

    /// Reads everything from the first byte to the last, verifies it, and hands the payload to
    /// `each` in its order.
    ///
    /// # Errors
    ///
    /// As [`SnapshotFile::open`].
    pub fn read(
        self,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<Result<(), SnapshotFault>, StorageError> {
        let mut walk = self.walk();
        loop {
            match walk.step(READ_BYTES, each)? {
                Ok(true) => return Ok(Ok(())),
                Ok(false) => {}
                Err(fault) => return Ok(Err(fault)),
            }
        }
    }

    pub(in crate::storage) fn walk(self) -> Walk<D> {
        Walk { snapshot: self, at: 0, hash: Hash128::new(), bytes: Vec::new() }
    }

    /// Gives up to `max_bytes` bytes from `offset` on, at most up to the end of the part that
    /// they lie in, which is verified.
    pub(super) fn piece(
        &self,
        part_bytes: &mut Vec<u8>,
        offset: u64,
        max_bytes: usize,
    ) -> Judged<std::ops::Range<usize>> {
        let (part, place) = self.shape.part_at(offset);
        part_bytes.resize((place.end - place.start) as usize, 0);
        if let Err(fault) = read(&self.file, &self.path, place.start, part_bytes)? {
            return Ok(Err(fault));
        }
        if let Err(what) = self.verify(part, part_bytes) {
            return Ok(Err(SnapshotFault::Damaged { offset: place.start, what }));
        }
        let from = (offset - place.start) as usize;
        Ok(Ok(from..part_bytes.len().min(from + max_bytes)))
    }

    fn verify(&self, part: Part, bytes: &[u8]) -> Result<(), String> {
        match part {
            Part::Chunk(number) => read_chunk(number, bytes).map(|_| ()),
            Part::Head => match SnapshotHead::decode(bytes) {
                Ok(head) if head == self.head => Ok(()),
                Ok(_) => Err("the head isn't the one that it was".to_owned()),
                Err(fault) => Err(format!("the head is bad: {fault}")),
            },
            Part::Foot => match Foot::decode(bytes, &self.shape)? {
                foot if foot == self.foot => Ok(()),
                _ => Err("the foot isn't the one that it was".to_owned()),
            },
        }
    }
}

/// Reads the head of a file of `bytes`, and says how long it is.
pub(super) fn read_head<F: DiskFile>(
    file: &F,
    path: &Path,
    bytes: u64,
) -> Judged<(SnapshotHead, u64)> {
    let bad = |what: String| Ok(Err(SnapshotFault::Damaged { offset: 0, what }));
    let mut head = vec![0; PAGE_BYTES];
    if bytes < head.len() as u64 {
        return bad(format!("the file has {bytes} bytes"));
    }
    if let Err(fault) = read(file, path, 0, &mut head)? {
        return Ok(Err(fault));
    }
    match head_length(&head) {
        Some(length) if length as u64 <= bytes => {
            head.resize(length, 0);
            let (_, rest) = head.split_at_mut(PAGE_BYTES);
            if let Err(fault) = read(file, path, PAGE_BYTES as u64, rest)? {
                return Ok(Err(fault));
            }
        }
        _ => return bad("the head isn't there".to_owned()),
    }
    match SnapshotHead::decode(&head) {
        Ok(found) => Ok(Ok((found, head.len() as u64))),
        Err(PageFault::Newer { found, supported }) => {
            let (path, what) = (path.to_owned(), "a snapshot");
            Err(StorageError::Newer { path, what, found, supported })
        }
        Err(fault) => bad(format!("the head is bad: {fault}")),
    }
}

/// Reads all of `buffer`. A file that ends before is a bad one.
pub(super) fn read<F: DiskFile>(
    file: &F,
    path: &Path,
    offset: u64,
    buffer: &mut [u8],
) -> Judged<()> {
    if buffer.is_empty() {
        return Ok(Ok(()));
    }
    match file.read_at(offset, buffer) {
        Ok(()) => Ok(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let what = "the file ends too early".to_owned();
            Ok(Err(SnapshotFault::Damaged { offset, what }))
        }
        Err(source) => Err(StorageError::disk("read", path)(source)),
    }
}

/// Goes through a file from its first byte to its last, in steps.
#[derive(Debug)]
pub(in crate::storage) struct Walk<D: Disk> {
    snapshot: SnapshotFile<D>,
    /// Up to where it was read and is good, part by part.
    at: u64,
    hash: Hash128,
    bytes: Vec<u8>,
}

impl<D: Disk> Walk<D> {
    pub(in crate::storage) fn snapshot(&self) -> &SnapshotFile<D> {
        &self.snapshot
    }

    /// Up to where the file was read, all of it good.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Reads about `budget` bytes on, one part at the least. `true`: that was all, and the hash
    /// over everything is right.
    pub(in crate::storage) fn step(
        &mut self,
        budget: u64,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Judged<bool> {
        let shape = self.snapshot.shape;
        let chunks = (budget / CHUNK_BYTES as u64).max(1);
        let target = match self.at {
            0 => shape.head_bytes(),
            at if at == shape.foot_at() => shape.bytes(),
            at => (at + chunks * CHUNK_BYTES as u64).min(shape.foot_at()),
        };
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize((target - self.at) as usize, 0);
        let found = read(&self.snapshot.file, &self.snapshot.path, self.at, &mut bytes)?;
        let judged = found.and_then(|()| self.judge(&bytes, each));
        self.bytes = bytes;
        Ok(judged.map(|()| self.at == shape.bytes()))
    }

    /// Verifies the parts that `bytes` are, and hands their payload on.
    fn judge(
        &mut self,
        mut bytes: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), SnapshotFault> {
        while !bytes.is_empty() {
            let (part, place) = self.snapshot.shape.part_at(self.at);
            let damaged = |what| SnapshotFault::Damaged { offset: place.start, what };
            let (here, rest) = bytes.split_at((place.end - place.start) as usize);
            match part {
                Part::Chunk(number) => {
                    each(read_chunk(number, here).map_err(damaged)?)?;
                }
                Part::Head | Part::Foot => self.snapshot.verify(part, here).map_err(damaged)?,
            }
            if part == Part::Foot {
                let computed = self.hash.clone().finish();
                let found = LittleEndian::read_u128(&here[32..48]);
                if found != computed {
                    let what = format!("the foot says hash {found:032x}, it is {computed:032x}");
                    return Err(SnapshotFault::Damaged { offset: 0, what });
                }
            } else {
                self.hash = std::mem::take(&mut self.hash).bytes(here);
            }
            self.at = place.end;
            bytes = rest;
        }
        Ok(())
    }
}
