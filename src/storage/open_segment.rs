//! The segment that is written: made from a spare, and filled with blocks.

use std::mem;

use crate::model::{Batch, LogId, TermRun};

use super::block::{BLOCK_HEAD_BYTES, BlockHead};
use super::log_map::{BlockPlace, PIECE_BYTES, Piece, PieceCutter};
use super::segment::{FIRST_BLOCK, SegmentHead};
use super::shared::{Shared, Spare};
use super::{Disk, DiskFile, Region, StorageError};

/// The segment that is written.
#[derive(Debug)]
pub(super) struct OpenSegment<D: Disk> {
    pub(super) head: SegmentHead,
    name: String,
    region: <D::File as DiskFile>::Region,
    bytes: u64,
    /// Where the last block ends.
    end: u64,
    /// Up to where it is durable.
    durable: u64,
    /// Whether no later block says that the last one is durable.
    unmarked: bool,
    /// The lists of an earlier block, whose room is used again.
    used: (Vec<TermRun>, Vec<Piece>),
}

impl<D: Disk> OpenSegment<D> {
    /// Makes a spare into the segment with this head: head, name, directory, each durable before
    /// the next. The entry with which a cluster or an epoch begins is put in before the name is
    /// given, so that whoever finds the segment finds the entry.
    pub(super) fn publish(
        shared: &Shared<D>,
        spare: Spare<D>,
        head: SegmentHead,
        first: Option<&Batch>,
    ) -> Result<(OpenSegment<D>, Option<BlockPlace>), StorageError> {
        let name = head.file_name();
        let path = shared.layout.log.join(&name);
        let mut segment = OpenSegment::<D> {
            head,
            name,
            region: spare.region,
            bytes: spare.bytes,
            end: FIRST_BLOCK,
            durable: 0,
            unmarked: false,
            used: (Vec::new(), Vec::new()),
        };
        segment
            .region
            .store(0, &head.encode())
            .map_err(StorageError::disk("write", &spare.path))?;
        segment.sync(shared)?;
        let block = match first {
            Some(batch) => {
                Some(segment.append(shared, head.before, std::slice::from_ref(batch))?)
            }
            None => None,
        };
        segment.sync(shared)?;
        let log = &shared.layout.log;
        shared
            .disk
            .rename(&spare.path, &path)
            .map_err(StorageError::disk("rename", &spare.path))?;
        shared.disk.sync_directory(log).map_err(StorageError::disk("sync", log))?;
        Ok((segment, block))
    }

    /// Where the last block ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether a mark would say something new.
    pub(super) fn is_unmarked(&self) -> bool {
        self.unmarked
    }

    /// Whether a block with so many bytes of entries fits.
    pub(super) fn fits(&self, entry_bytes: u64) -> bool {
        self.head.aligned(self.end) + BLOCK_HEAD_BYTES as u64 + entry_bytes <= self.bytes
    }

    /// Stores one block, without syncing it, and says where it lies.
    pub(super) fn append(
        &mut self,
        shared: &Shared<D>,
        before: LogId,
        batches: &[Batch],
    ) -> Result<BlockPlace, StorageError> {
        let count = batches.iter().map(Batch::len).sum::<usize>();
        let length = batches.iter().map(Batch::bytes_len).sum::<usize>();
        let head = BlockHead {
            offset: self.head.aligned(self.end),
            before,
            count: u32::try_from(count).expect("a write has less than 4 GiB"),
            length: u32::try_from(length).expect("a write has less than 4 GiB"),
            watermark: self.durable,
        };
        assert!(self.fits(length as u64), "a block is written where it fits");
        self.store(shared, head.offset, &head.encode(self.head.salt))?;
        let mut at = head.entries_at();
        for batch in batches {
            self.store(shared, at, &batch.bytes())?;
            at += batch.bytes_len() as u64;
        }
        self.end = head.end();
        self.unmarked = count > 0;
        let used = mem::take(&mut self.used);
        Ok(place(self.head.ordinal, head, batches, used))
    }

    /// Takes back the lists of a block that is in the map.
    pub(super) fn take_back(&mut self, block: BlockPlace) {
        self.used = (block.runs, block.pieces);
    }

    fn store(&mut self, shared: &Shared<D>, at: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.region
            .store(at as usize, bytes)
            .map_err(|source| self.disk_error(shared, "write", source))
    }

    /// Makes all that was stored durable.
    pub(super) fn sync(&mut self, shared: &Shared<D>) -> Result<(), StorageError> {
        if self.durable == self.end {
            return Ok(());
        }
        let (from, to) = (self.durable as usize, self.end as usize);
        self.region
            .sync(from, to - from)
            .map_err(|source| self.disk_error(shared, "sync", source))?;
        self.durable = self.end;
        Ok(())
    }

    fn disk_error(
        &self,
        shared: &Shared<D>,
        action: &'static str,
        source: std::io::Error,
    ) -> StorageError {
        StorageError::disk(action, &shared.layout.log.join(&self.name))(source)
    }
}

/// Where the entries of a block lie.
fn place(
    ordinal: u64,
    head: BlockHead,
    batches: &[Batch],
    (mut runs, pieces): (Vec<TermRun>, Vec<Piece>),
) -> BlockPlace {
    runs.clear();
    let mut cutter = PieceCutter::into(pieces, ordinal, &head);
    let mut at = head.entries_at();
    for batch in batches {
        let (first, last) = (batch.first(), batch.last());
        if first.term == last.term {
            add_run(&mut runs, first);
        } else {
            batch.marks().iter().for_each(|mark| add_run(&mut runs, mark.id));
        }
        let bytes = batch.bytes_len() as u64;
        if bytes < PIECE_BYTES {
            cutter.push(first.index, last.index, at, at + bytes);
            at += bytes;
            continue;
        }
        for (position, mark) in batch.marks().iter().enumerate() {
            let end = at + batch.entry_bytes(position) as u64;
            cutter.push(mark.id.index, mark.id.index, at, end);
            at = end;
        }
    }
    let last = batches.last().map_or(head.before, Batch::last);
    BlockPlace { head, last, runs, pieces: cutter.finish() }
}

fn add_run(runs: &mut Vec<TermRun>, id: LogId) {
    if runs.last().is_none_or(|run| run.term != id.term) {
        runs.push(TermRun { term: id.term, first: id.index });
    }
}
