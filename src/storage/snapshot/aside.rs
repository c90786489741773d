//! Snapshots that don't count any more: damaged ones, and those of a state that isn't that of the
//! others.

use std::path::Path;

use crate::model::LogId;
use crate::storage::layout::{BAD, Layout, snapshot_name};
use crate::storage::{Access, Disk, StorageError};

use super::find;

/// See [`crate::storage::Directory::set_snapshots_aside`].
pub(in crate::storage) fn set_aside<D: Disk>(disk: &D, path: &Path) -> Result<usize, StorageError> {
    let layout = Layout::new(path);
    let found = find(disk, &layout, Access::Read)?;
    for last in &found.files {
        set_one_aside(disk, &layout, *last)?;
    }
    Ok(found.files.len())
}

/// Gives a snapshot the name of one that is damaged, durably.
pub(super) fn set_one_aside<D: Disk>(
    disk: &D,
    layout: &Layout,
    last: LogId,
) -> Result<(), StorageError> {
    let directory = &layout.snapshots;
    let (from, to) = (layout.snapshot(last), directory.join(snapshot_name(last, BAD)));
    disk.rename(&from, &to).map_err(StorageError::disk("rename", &from))?;
    disk.sync_directory(directory).map_err(StorageError::disk("sync", directory))
}
