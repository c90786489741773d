//! What undoes operations whose time hasn't come when a crash does.

use super::file::{FileState, PAGE, Page};
use super::names::{Change, Directory, Names};

/// An operation that was run, and what undoes it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) undo: Undo,
}

#[derive(Clone, Debug)]
pub(super) enum Undo {
    /// Bytes were stored. `masks` are those of each touched page: dirty, stale.
    Stored { file: u32, offset: u64, old: Vec<u8>, masks: Vec<(u8, u8)>, grew: bool },
    /// Dirty sectors of pages went to the device, or pages were changed otherwise.
    Pages { file: u32, before: Vec<(u32, Page)>, late_error: bool },
    /// The fast case of that: each page's masks before (dirty, bad, unreadable), and the bytes
    /// of the device in the dirty sectors.
    Synced { file: u32, masks: Vec<(u32, [u8; 3])>, device: Vec<u8> },
    /// A file's length, or anything rare, was changed.
    File { file: u32, before: Box<FileState> },
    /// Names were changed.
    Named { directory: u32, before: Vec<(String, Option<u32>)> },
    /// A directory was synced.
    NamesSynced { directory: u32, durable: Names, pending: Vec<Change> },
    /// A directory was made.
    Directory { directory: u32 },
}

impl Undo {
    pub(super) fn file(&self) -> Option<u32> {
        match self {
            Undo::Stored { file, .. }
            | Undo::Pages { file, .. }
            | Undo::Synced { file, .. }
            | Undo::File { file, .. } => Some(*file),
            _ => None,
        }
    }

    pub(super) fn is_sync(&self) -> bool {
        matches!(self, Undo::Synced { .. } | Undo::Pages { .. } | Undo::NamesSynced { .. })
    }

    /// Undoes the operation. Of a store that only put bytes in place, `keep` bytes stay.
    pub(super) fn undo(self, files: &mut [FileState], directories: &mut [Directory], keep: usize) {
        match self {
            Undo::Stored { file, offset, old, masks, grew } => {
                let file = &mut files[file as usize];
                let keep = if grew { 0 } else { keep.min(old.len()) };
                restore(file, offset, &old, &masks, keep);
            }
            Undo::Pages { file, before, late_error } => {
                let file = &mut files[file as usize];
                file.late_error = late_error;
                for (number, page) in before {
                    if page.dirty != 0 {
                        file.dirty.push(number);
                    }
                    *file.page(number as usize) = page;
                }
            }
            Undo::Synced { file, masks, device } => {
                let file = &mut files[file as usize];
                let mut saved = &device[..];
                for (number, [dirty, bad, unreadable]) in masks {
                    let page = file.page(number as usize);
                    (page.dirty, page.bad, page.unreadable) = (dirty, bad, unreadable);
                    let target = page.device_mut();
                    for range in super::file::sector_ranges(dirty) {
                        let (now, later) = saved.split_at(range.len());
                        target[range].copy_from_slice(now);
                        saved = later;
                    }
                    file.dirty.push(number);
                }
            }
            Undo::File { file, before } => {
                let file = &mut files[file as usize];
                let (mapped, handles, busy_until) = (file.mapped, file.handles, file.busy_until);
                *file = FileState { mapped, handles, busy_until, ..*before };
            }
            Undo::Named { directory, before } => {
                let directory = &mut directories[directory as usize];
                super::names::apply(&mut directory.names, &before);
                directory.pending.pop();
            }
            Undo::NamesSynced { directory, durable, pending } => {
                let directory = &mut directories[directory as usize];
                directory.durable = durable;
                directory.pending = pending;
            }
            Undo::Directory { directory } => directories[directory as usize].exists = false,
        }
    }
}

/// Puts back what stood before a store, but for its first `keep` bytes.
fn restore(file: &mut FileState, offset: u64, old: &[u8], masks: &[(u8, u8)], keep: usize) {
    let (begin, end) = (offset as usize, offset as usize + old.len());
    for (number, (dirty, stale)) in (begin / PAGE..).zip(masks) {
        let from = begin.max(number * PAGE);
        let to = end.min((number + 1) * PAGE);
        let page = file.page(number);
        let kept = (begin + keep).clamp(from, to);
        page.cache_mut()[kept - number * PAGE..to - number * PAGE]
            .copy_from_slice(&old[kept - begin..to - begin]);
        if kept == from {
            (page.dirty, page.stale) = (*dirty, *stale);
        }
    }
    file.tidy_dirty();
}
