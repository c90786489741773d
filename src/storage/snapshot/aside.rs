//! Snapshots of a state that isn't that of the others.

use std::path::Path;

use crate::storage::layout::{BAD, Layout, snapshot_name};
use crate::storage::{Access, Disk, StorageError};

use super::find;

/// See [`crate::storage::Directory::set_snapshots_aside`].
pub(in crate::storage) fn set_aside<D: Disk>(disk: &D, path: &Path) -> Result<usize, StorageError> {
    let layout = Layout::new(path);
    let directory = &layout.snapshots;
    let found = find(disk, &layout, Access::Read)?;
    for last in &found.files {
        let (from, to) = (layout.snapshot(*last), directory.join(snapshot_name(*last, BAD)));
        disk.rename(&from, &to).map_err(StorageError::disk("rename", &from))?;
        disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))?;
    }
    Ok(found.files.len())
}
