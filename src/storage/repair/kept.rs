//! A damaged segment is kept, as far as it can be read.

use std::io;

use crate::storage::layout::Layout;
use crate::storage::{Access, Disk, DiskFile, StorageError};

/// How much is copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// What can't be read is left out in steps of a page.
const PAGE_BYTES: u64 = 4096;

/// Copies the segment of this name to a file that ends in `.bad`, durably, and tells its name. A
/// page that can't be read is left as zeros.
pub(super) fn keep<D: Disk>(disk: &D, layout: &Layout, name: &str) -> Result<String, StorageError> {
    let names = disk.list(&layout.log).map_err(StorageError::disk("list", &layout.log))?;
    let mut kept = (1..).map(|number| Layout::kept_segment(name, number));
    let kept = kept.find(|kept| !names.contains(kept)).expect("some number is free");
    let (from, path) = (layout.log.join(name), layout.log.join(&kept));
    let unfinished = Layout::unfinished(&path);
    let old = disk.open(&from, Access::ReadDevice).map_err(StorageError::disk("open", &from))?;
    let length = old.length().map_err(StorageError::disk("look at", &from))?;
    let full = || StorageError::room("write", &unfinished, length);
    let file = disk.open(&unfinished, Access::Create).map_err(full())?;
    let mut at = 0;
    while at < length {
        let end = (at + COPY_BYTES).min(length);
        let mut bytes = vec![0; (end - at) as usize];
        read_what_can_be_read(&old, at, &mut bytes);
        file.write_at(at, &bytes).map_err(full())?;
        at = end;
    }
    file.sync().map_err(StorageError::disk("sync", &unfinished))?;
    disk.rename(&unfinished, &path).map_err(StorageError::disk("rename", &unfinished))?;
    disk.sync_directory(&layout.log).map_err(StorageError::disk("sync", &layout.log))?;
    Ok(kept)
}

fn read_what_can_be_read<F: DiskFile>(file: &F, offset: u64, bytes: &mut [u8]) {
    let read = |offset: u64, bytes: &mut [u8]| -> io::Result<()> { file.read_at(offset, bytes) };
    if read(offset, bytes).is_ok() {
        return;
    }
    for (number, page) in bytes.chunks_mut(PAGE_BYTES as usize).enumerate() {
        if read(offset + number as u64 * PAGE_BYTES, page).is_err() {
            page.fill(0);
        }
    }
}
