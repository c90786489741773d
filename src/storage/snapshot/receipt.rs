//! A snapshot that comes in from a peer, piece by piece: verified part by part, synced in steps,
//! and gone on with after a restart.

use std::io;
use std::path::PathBuf;

use bytes::BufMut;

use crate::model::{ByteReader, Index, LogId, SnapshotId, Term};
use crate::storage::layout::Layout;
use crate::storage::page::{PAGE_BYTES, PageFault, PageKind, counter};
use crate::storage::shared::Shared;
use crate::storage::{Access, Disk, DiskFile, StorageError};

use super::format::{Foot, Part, Shape, SnapshotHead, head_length, read_chunk};
use super::read::{Judged, read, read_head};

/// The record's kind.
pub(in crate::storage) const PAGE: PageKind = PageKind { magic: "RAFTRCPT", format: 1 };

/// So much is written before it is synced.
const SYNC_BYTES: u64 = 1 << 20;

/// What is being received, and how far it is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Record {
    /// Grows by one with each change.
    sequence: u64,
    id: SnapshotId,
    durable: u64,
}

impl Record {
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.put_u64_le(self.sequence);
        body.put_u64_le(self.id.last.index.0);
        body.put_u64_le(self.id.last.term.0);
        body.put_u64_le(self.id.bytes);
        body.put_u128_le(self.id.hash);
        body.put_u64_le(self.durable);
        PAGE.seal(0, &body)
    }

    fn decode(page: &[u8]) -> Result<Record, PageFault> {
        let (_, body) = PAGE.open(page)?;
        let mut reader = ByteReader::new(body);
        let sequence = counter(&mut reader, "sequence")?;
        let index = Index(counter(&mut reader, "last index")?);
        let term = Term(counter(&mut reader, "last term")?);
        let bytes = reader.u64("length")?;
        let hash = reader.u128("hash")?;
        let id = SnapshotId { last: LogId { term, index }, bytes, hash };
        Ok(Record { sequence, id, durable: reader.u64("durable")? })
    }

    /// Which of the two copies it is written to: never the one that holds the state before.
    fn place(&self) -> u64 {
        self.sequence % 2 * PAGE_BYTES as u64
    }
}

/// A receipt that a start has found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::storage) struct ReceiptFound {
    pub(in crate::storage) id: SnapshotId,
    /// Up to where whole parts are there and good.
    pub(in crate::storage) good: u64,
    sequence: u64,
}

/// Looks for a receipt. Everything was synced before, so what is found is durable.
pub(super) fn find<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
) -> Result<Option<ReceiptFound>, StorageError> {
    let path = layout.receipt();
    let file = match disk.open(&path, access) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StorageError::disk("open", &path)(source)),
    };
    let mut newest: Option<Record> = None;
    for copy in 0..2 {
        let mut page = vec![0; PAGE_BYTES];
        if read(&file, &path, copy * PAGE_BYTES as u64, &mut page)?.is_err() {
            continue;
        }
        match Record::decode(&page) {
            Ok(record) if newest.is_none_or(|newest| newest.sequence < record.sequence) => {
                newest = Some(record);
            }
            Err(PageFault::Newer { found, supported }) => {
                let what = "the record of a snapshot that is being received";
                return Err(StorageError::Newer { path, what, found, supported });
            }
            _ => {}
        }
    }
    let Some(Record { id, durable, sequence }) = newest else { return Ok(None) };
    let good = verified(disk, layout, access, id, durable)?;
    Ok(good.map(|good| ReceiptFound { id, good, sequence }))
}

/// Up to where the file that is received has whole, good parts. Those up to `durable` were
/// verified when they came in and were synced, and are verified again when all of it is there;
/// what came in behind is looked at here. `None` if there is nothing to go on with.
fn verified<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
    id: SnapshotId,
    durable: u64,
) -> Result<Option<u64>, StorageError> {
    let path = layout.received(id.last);
    let file = match disk.open(&path, access) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StorageError::disk("open", &path)(source)),
    };
    let length = file.length().map_err(StorageError::disk("look at", &path))?.min(id.bytes);
    let Ok((head, head_bytes)) = read_head(&file, &path, length)? else { return Ok(Some(0)) };
    let Some(shape) = Shape::new(head_bytes, id.bytes).filter(|_| head.last == id.last) else {
        return Ok(Some(0));
    };
    let mut good = head_bytes;
    while good < length {
        let (part, place) = shape.part_at(good);
        if place.end > length {
            break;
        }
        if place.end > durable && !is_good(&file, &path, part, &place, &shape, &id)? {
            break;
        }
        good = place.end;
    }
    Ok(Some(good))
}

fn is_good<F: DiskFile>(
    file: &F,
    path: &std::path::Path,
    part: Part,
    place: &std::ops::Range<u64>,
    shape: &Shape,
    id: &SnapshotId,
) -> Result<bool, StorageError> {
    let mut bytes = vec![0; (place.end - place.start) as usize];
    let found: Judged<()> = read(file, path, place.start, &mut bytes);
    Ok(found?.is_ok() && verify(part, &bytes, shape, id).is_ok())
}

/// Verifies a part behind the head.
fn verify(part: Part, bytes: &[u8], shape: &Shape, id: &SnapshotId) -> Result<(), String> {
    match part {
        Part::Head => Ok(()),
        Part::Chunk(number) => read_chunk(number, bytes).map(|_| ()),
        Part::Foot => match Foot::decode(bytes, shape)? {
            foot if foot.hash == id.hash => Ok(()),
            _ => Err("the foot is that of another snapshot".to_owned()),
        },
    }
}

/// A snapshot that is being received.
#[derive(Debug)]
pub(super) struct Receipt<D: Disk> {
    id: SnapshotId,
    path: PathBuf,
    part: D::File,
    record: D::File,
    record_path: PathBuf,
    sequence: u64,
    /// Known once the head is there.
    shape: Option<Shape>,
    /// Up to where whole, good parts are written.
    good: u64,
    /// Up to where they are durable.
    durable: u64,
    /// What came in behind `good`, less than a part.
    rest: Vec<u8>,
}

impl<D: Disk> Receipt<D> {
    /// Begins to receive. There must be no other receipt.
    ///
    /// After an error of class [`NoSpace`](crate::storage::ErrorClass::NoSpace) nothing is left
    /// of it.
    pub(super) fn begin(shared: &Shared<D>, id: SnapshotId) -> Result<Receipt<D>, StorageError> {
        shared.look_for_room(&shared.layout.snapshots, id.bytes)?;
        let made = Receipt::make(shared, id);
        if matches!(made, Err(StorageError::NoSpace { .. })) {
            let record = shared.layout.receipt();
            for path in [Layout::unfinished(&record), shared.layout.received(id.last)] {
                match shared.disk.remove(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => other.map_err(StorageError::disk("remove", &path))?,
                }
            }
        }
        made
    }

    /// Makes the empty file, then the record that names it.
    fn make(shared: &Shared<D>, id: SnapshotId) -> Result<Receipt<D>, StorageError> {
        let (path, record_path) = (shared.layout.received(id.last), shared.layout.receipt());
        let unfinished = Layout::unfinished(&record_path);
        let room = |action| StorageError::room(action, &path, id.bytes);
        let part = shared.disk.open(&path, Access::Create).map_err(room("make"))?;
        part.sync().map_err(StorageError::disk("sync", &path))?;
        let pages = Record { sequence: 1, id, durable: 0 }.encode().repeat(2);
        let room = |action| StorageError::room(action, &unfinished, pages.len() as u64);
        let record = shared.disk.open(&unfinished, Access::Create).map_err(room("make"))?;
        record.write_at(0, &pages).map_err(room("write"))?;
        record.sync().map_err(room("sync"))?;
        shared.disk.rename(&unfinished, &record_path).map_err(room("rename"))?;
        let directory = &shared.layout.snapshots;
        shared.disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))?;
        Ok(Receipt {
            id,
            path,
            part,
            record,
            record_path,
            sequence: 1,
            shape: None,
            good: 0,
            durable: 0,
            rest: Vec::new(),
        })
    }

    /// Goes on with what a start has found.
    pub(super) fn resume(
        shared: &Shared<D>,
        found: &ReceiptFound,
    ) -> Result<Receipt<D>, StorageError> {
        let id = found.id;
        let (path, record_path) = (shared.layout.received(id.last), shared.layout.receipt());
        let open = |path: &std::path::Path| {
            shared.disk.open(path, Access::Write).map_err(StorageError::disk("open", path))
        };
        let (part, record) = (open(&path)?, open(&record_path)?);
        let shape = match found.good {
            0 => None,
            good => read_head(&part, &path, good)?
                .ok()
                .and_then(|(_, head_bytes)| Shape::new(head_bytes, id.bytes)),
        };
        Ok(Receipt {
            id,
            path,
            part,
            record,
            record_path,
            sequence: found.sequence,
            shape,
            good: if shape.is_some() { found.good } else { 0 },
            durable: found.good,
            rest: Vec::new(),
        })
    }

    pub(super) fn id(&self) -> SnapshotId {
        self.id
    }

    /// How much has come in: the offset of the next byte that is wanted.
    pub(super) fn has(&self) -> u64 {
        self.good + self.rest.len() as u64
    }

    /// Whether all of it is there and durable.
    pub(super) fn is_whole(&self) -> bool {
        self.durable == self.id.bytes
    }

    /// Where it is written, and the file.
    pub(super) fn file(&self) -> (&std::path::Path, &D::File) {
        (&self.path, &self.part)
    }

    /// Takes the bytes at `offset`, if they are the next ones. Those of a part that turns out bad
    /// are given up, and wanted again.
    ///
    /// After an error of class [`NoSpace`](crate::storage::ErrorClass::NoSpace) what came in
    /// stays, but for what wasn't written yet.
    pub(super) fn store(
        &mut self,
        shared: &Shared<D>,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let fits = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= self.id.bytes);
        if offset != self.has() || bytes.is_empty() || !fits {
            return Ok(());
        }
        self.rest.extend_from_slice(bytes);
        loop {
            match self.next_part(shared) {
                Ok(None) => break,
                Ok(Some((length, shape))) => {
                    let taken = self.write(length);
                    if taken.is_err() {
                        self.rest.clear();
                    }
                    taken?;
                    self.shape = Some(shape);
                }
                Err(_) => {
                    self.rest.clear();
                    break;
                }
            }
        }
        if self.good - self.durable >= SYNC_BYTES || self.good == self.id.bytes {
            self.make_durable()?;
        }
        Ok(())
    }

    /// The length of the part that `rest` begins with, if it is there whole, and the shape of the
    /// file. An error: the part is bad.
    fn next_part(&self, shared: &Shared<D>) -> Result<Option<(usize, Shape)>, String> {
        let Some(shape) = self.shape else { return self.head(shared) };
        if self.good == self.id.bytes {
            return Ok(None);
        }
        let (part, place) = shape.part_at(self.good);
        let length = (place.end - place.start) as usize;
        let Some(bytes) = self.rest.get(..length) else { return Ok(None) };
        verify(part, bytes, &shape, &self.id)?;
        Ok(Some((length, shape)))
    }

    fn head(&self, shared: &Shared<D>) -> Result<Option<(usize, Shape)>, String> {
        let Some(first) = self.rest.get(..PAGE_BYTES) else { return Ok(None) };
        let length = head_length(first).ok_or("the head isn't there")?;
        let Some(bytes) = self.rest.get(..length) else { return Ok(None) };
        let head = SnapshotHead::decode(bytes).map_err(|fault| fault.to_string())?;
        if head.last != self.id.last || !head.is_of(shared.cluster()) {
            return Err("the head is that of another snapshot".to_owned());
        }
        let shape = Shape::new(length as u64, self.id.bytes).ok_or("no file is so long")?;
        Ok(Some((length, shape)))
    }

    /// Writes the first `length` bytes of `rest`, a whole part.
    fn write(&mut self, length: usize) -> Result<(), StorageError> {
        let room = StorageError::room("write", &self.path, length as u64);
        self.part.write_at(self.good, &self.rest[..length]).map_err(room)?;
        self.good += length as u64;
        self.rest.drain(..length);
        Ok(())
    }

    /// Syncs what was written, and notes it.
    fn make_durable(&mut self) -> Result<(), StorageError> {
        self.part.sync().map_err(StorageError::disk("sync", &self.path))?;
        self.note(self.good)
    }

    fn note(&mut self, durable: u64) -> Result<(), StorageError> {
        self.sequence += 1;
        self.durable = durable;
        let record = Record { sequence: self.sequence, id: self.id, durable };
        let path = &self.record_path;
        self.record
            .write_at(record.place(), &record.encode())
            .map_err(StorageError::disk("write", path))?;
        self.record.sync().map_err(StorageError::disk("sync", path))
    }

    /// What stands at `offset`, where a part begins, is bad: it and all behind it are wanted
    /// again.
    pub(super) fn go_back(&mut self, offset: u64) -> Result<(), StorageError> {
        self.rest.clear();
        self.good = offset;
        self.note(offset)
    }

    /// Gives up what came in.
    pub(super) fn discard(self, shared: &Shared<D>) -> Result<(), StorageError> {
        // The record first: it must never speak of another file than the one that it was made for.
        self.forget(shared)?;
        let Receipt { path, part, .. } = self;
        drop(part);
        shared.disk.remove(&path).map_err(StorageError::disk("remove", &path))
    }

    /// Removes the record.
    pub(super) fn forget(&self, shared: &Shared<D>) -> Result<(), StorageError> {
        let path = &self.record_path;
        shared.disk.remove(path).map_err(StorageError::disk("remove", path))?;
        let directory = &shared.layout.snapshots;
        shared.disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))
    }
}
