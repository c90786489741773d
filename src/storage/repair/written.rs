//! A segment that is written as a whole before it has its name.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::LogId;
use crate::storage::block::BlockHead;
use crate::storage::layout::Layout;
use crate::storage::scan::{Window, scan};
use crate::storage::segment::{FIRST_BLOCK, SegmentHead};
use crate::storage::{Access, Disk, DiskFile, StorageError};

/// The file of a segment that doesn't count yet: its name ends as that of every unfinished file.
#[derive(Debug)]
pub(super) struct Written<D: Disk> {
    disk: D,
    file: D::File,
    path: PathBuf,
    /// What it will be; the length follows from what is written.
    head: SegmentHead,
    end: u64,
    blocks: usize,
}

impl<D: Disk> Written<D> {
    pub(super) fn create(
        disk: &D,
        layout: &Layout,
        head: SegmentHead,
    ) -> Result<Written<D>, StorageError> {
        let path = Layout::unfinished(&layout.log.join(head.file_name()));
        let file =
            disk.open(&path, Access::Create).map_err(StorageError::room("make", &path, 0))?;
        Ok(Written { disk: disk.clone(), file, path, head, end: FIRST_BLOCK, blocks: 0 })
    }

    /// Adds a block behind `before`: `count` entries, encoded in `entries`.
    pub(super) fn push(
        &mut self,
        before: LogId,
        count: u32,
        entries: &[u8],
    ) -> Result<(), StorageError> {
        let offset = self.head.aligned(self.end);
        let length = u32::try_from(entries.len()).expect("a block has less than 4 GiB");
        // All of the file is durable before it counts.
        let block = BlockHead { offset, before, count, length, watermark: offset };
        self.write(offset, &block.encode(self.head.salt))?;
        self.write(block.entries_at(), entries)?;
        self.end = block.end();
        self.blocks += 1;
        Ok(())
    }

    /// Ends the segment with a mark, and with as many as it takes to reach up to `floor`.
    pub(super) fn fill_up(&mut self, last: LogId, floor: u64) -> Result<(), StorageError> {
        self.push(last, 0, &[])?;
        while self.head.aligned(self.end) < floor {
            self.push(last, 0, &[])?;
        }
        Ok(())
    }

    /// Makes it durable, and reads it back from the device. `last` must be what it ends with.
    pub(super) fn finish(mut self, last: LogId) -> Result<Finished<D>, StorageError> {
        self.head.file_bytes = self.end.next_multiple_of(FIRST_BLOCK);
        // The last byte, so that the file has its length.
        let (head, length) = (self.head.encode(), self.head.file_bytes);
        self.write(0, &head)?;
        if length > self.end {
            self.write(length - 1, &[0])?;
        }
        self.file.sync().map_err(StorageError::disk("sync", &self.path))?;
        self.file.drop_cache().map_err(StorageError::disk("drop the cache of", &self.path))?;
        let Written { disk, path, head, blocks, .. } = self;
        if !reads_back(&disk, &path, &head, blocks, last)? {
            let source = io::Error::other("what was written isn't read back");
            return Err(StorageError::disk("verify", &path)(source));
        }
        Ok(Finished { disk, path, head })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let wrote = self.file.write_at(offset, bytes);
        wrote.map_err(StorageError::room("write", &self.path, offset + bytes.len() as u64))
    }
}

fn reads_back<D: Disk>(
    disk: &D,
    path: &Path,
    head: &SegmentHead,
    blocks: usize,
    last: LogId,
) -> Result<bool, StorageError> {
    let file = disk.open(path, Access::ReadDevice).map_err(StorageError::disk("open", path))?;
    let mut window = Window::new(&file, path.to_owned())?;
    let decoded = SegmentHead::decode(window.get(0, FIRST_BLOCK as usize)?);
    let found = scan(&mut window, head)?;
    let ends_well = found.blocks.last().is_some_and(|block| block.place.last == last);
    Ok(decoded.is_ok_and(|decoded| decoded == *head) && found.blocks.len() == blocks && ends_well)
}

/// One that is durable, and good.
#[derive(Debug)]
pub(super) struct Finished<D: Disk> {
    disk: D,
    path: PathBuf,
    head: SegmentHead,
}

impl<D: Disk> Finished<D> {
    /// Gives it its name, at once and durably. What had that name is replaced.
    pub(super) fn publish(self, layout: &Layout) -> Result<(), StorageError> {
        let path = layout.log.join(self.head.file_name());
        self.disk.rename(&self.path, &path).map_err(StorageError::disk("rename", &self.path))?;
        let log = &layout.log;
        self.disk.sync_directory(log).map_err(StorageError::disk("sync", log))
    }
}
