//! A disk that loses what wasn't synced.
//!
//! Each file has the bytes that programs see and the bytes that the device holds. A write changes
//! the first and marks the sectors; a sync copies the marked sectors to the second. A power cut
//! keeps any subset of the marked sectors, and of the changes of names that no directory sync has
//! followed any subset in which each name's changes keep their order. The end of a process keeps
//! everything that programs see.
//!
//! Operations that change something are counted, and one of them can be made to fail: it and all
//! after it do nothing (the power is gone), or it alone reports an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::storage::{Access, Disk, DiskFile, Region};

/// The unit that survives or not.
pub(super) const SECTOR: usize = 512;

#[derive(Clone)]
pub(super) struct LosableDisk {
    state: Arc<Mutex<State>>,
}

/// What one operation is made to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// The power goes before the operation of this number.
    PowerGoes(u64),
    /// The operation of this number reports an error. If it is a sync, what it was to make
    /// durable counts as clean from then on, and isn't on the device.
    Fails(u64),
    /// There is no room for files longer than so many bytes in all.
    Full(u64),
}

#[derive(Clone, Debug, Default)]
struct State {
    files: Vec<FileState>,
    /// What names mean to programs.
    names: BTreeMap<PathBuf, usize>,
    /// What names mean to the device.
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that the device may not have, in order.
    pending: Vec<Change>,
    directories: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
    operations: u64,
    trouble: Option<Trouble>,
    power_is_gone: bool,
    /// Whether reads can't go past the cache, as on some file systems.
    only_cached_reads: bool,
}

/// A change of names.
#[derive(Clone, Debug)]
struct Change {
    directory: PathBuf,
    remove: Option<PathBuf>,
    set: Option<(PathBuf, usize)>,
}

#[derive(Clone, Debug, Default)]
struct FileState {
    seen: Vec<u8>,
    device: Vec<u8>,
    /// Sectors that were written and not synced.
    dirty: BTreeSet<usize>,
    /// Whether the length changed and wasn't synced.
    length_dirty: bool,
}

#[derive(Clone, Debug)]
pub(super) struct LosableFile {
    disk: LosableDisk,
    file: usize,
    past_cache: bool,
}

#[derive(Debug)]
pub(super) struct LosableRegion {
    disk: LosableDisk,
    file: usize,
    length: usize,
}

#[derive(Debug)]
pub(super) struct LosableLock {
    disk: LosableDisk,
    path: PathBuf,
}

impl fmt::Debug for LosableDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LosableDisk")
    }
}

fn broken() -> io::Error {
    io::Error::other("the disk failed")
}

impl LosableDisk {
    pub(super) fn new() -> LosableDisk {
        let mut state = State::default();
        state.directories.insert(PathBuf::from("/"));
        LosableDisk { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Another disk that holds and remembers the same.
    pub(super) fn copy(&self) -> LosableDisk {
        LosableDisk { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    pub(super) fn set_trouble(&self, trouble: Option<Trouble>) {
        self.state().trouble = trouble;
    }

    pub(super) fn read_through_the_cache_only(&self) {
        self.state().only_cached_reads = true;
    }

    /// How many operations there were that change something.
    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The process ends: its locks are gone, everything that was written stays visible.
    pub(super) fn after_process_end(&self) -> LosableDisk {
        let disk = self.copy();
        let mut state = disk.state();
        state.locked.clear();
        state.trouble = None;
        state.power_is_gone = false;
        drop(state);
        disk
    }

    /// The power goes and comes back. `keep` is asked for each sector and each change of names
    /// that wasn't synced whether it survives.
    pub(super) fn after_power_cut(&self, keep: &mut dyn FnMut() -> bool) -> LosableDisk {
        let disk = self.after_process_end();
        let mut state = disk.state();
        let mut lost: BTreeSet<PathBuf> = BTreeSet::new();
        for change in std::mem::take(&mut state.pending) {
            let names: Vec<PathBuf> = change
                .remove
                .iter()
                .chain(change.set.iter().map(|(name, _)| name))
                .cloned()
                .collect();
            if names.iter().any(|name| lost.contains(name)) || !keep() {
                lost.extend(names);
                continue;
            }
            apply(&mut state.durable_names, &change);
        }
        state.names = state.durable_names.clone();
        for file in &mut state.files {
            if file.length_dirty && keep() {
                file.device.resize(file.seen.len(), 0);
            }
            for sector in std::mem::take(&mut file.dirty) {
                if keep() {
                    file.write_back(sector);
                }
            }
            file.length_dirty = false;
            file.seen = file.device.clone();
        }
        drop(state);
        disk
    }

    /// How many sectors and changes of names a power cut could lose.
    pub(super) fn losable(&self) -> usize {
        let state = self.state();
        let sectors: usize =
            state.files.iter().map(|file| file.dirty.len() + usize::from(file.length_dirty)).sum();
        sectors + state.pending.len()
    }

    /// The bytes of a file as the device holds them.
    pub(super) fn bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[path]].device.clone()
    }

    /// The bytes of a file as programs see them.
    pub(super) fn seen_bytes(&self, path: &Path) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[path]].seen.clone()
    }

    /// Changes bytes of a file on the device, behind everybody's back.
    pub(super) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.names[path];
        let file = &mut state.files[file];
        change(&mut file.device);
        file.seen = file.device.clone();
    }

    /// Takes a file away, behind everybody's back.
    pub(super) fn take_away(&self, path: &Path) {
        let mut state = self.state();
        state.names.remove(path).unwrap();
        state.durable_names.remove(path).unwrap();
    }

    /// All files, in order.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: &Change) {
    if let Some(name) = &change.remove {
        names.remove(name);
    }
    if let Some((name, file)) = &change.set {
        names.insert(name.clone(), *file);
    }
}

impl State {
    /// Counts an operation that changes something. `Some` if it is the one to report an error.
    fn operation(&mut self) -> io::Result<bool> {
        self.operations += 1;
        if let Some(Trouble::PowerGoes(number)) = self.trouble
            && self.operations >= number
        {
            self.power_is_gone = true;
        }
        if self.power_is_gone {
            return Err(broken());
        }
        Ok(matches!(self.trouble, Some(Trouble::Fails(number)) if number == self.operations))
    }

    /// An operation that does nothing if it fails.
    fn plain_operation(&mut self) -> io::Result<()> {
        if self.operation()? { Err(broken()) } else { Ok(()) }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }
}

impl FileState {
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
            self.length_dirty = true;
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    /// Copies a sector to the device, as far as the device knows the file's length.
    fn write_back(&mut self, sector: usize) {
        let end = ((sector + 1) * SECTOR).min(self.seen.len()).min(self.device.len());
        let start = sector * SECTOR;
        if start < end {
            self.device[start..end].copy_from_slice(&self.seen[start..end]);
        }
    }

    /// Copies the dirty sectors from `from` to `to` to the device, or forgets that they are dirty.
    fn sync(&mut self, from: usize, to: usize, fails: bool) -> io::Result<()> {
        let sectors: Vec<usize> =
            self.dirty.range(from / SECTOR..to.div_ceil(SECTOR)).copied().collect();
        if !fails && self.length_dirty {
            self.device.resize(self.seen.len(), 0);
        }
        self.length_dirty = false;
        for sector in sectors {
            self.dirty.remove(&sector);
            if !fails {
                self.write_back(sector);
            }
        }
        if fails { Err(broken()) } else { Ok(()) }
    }
}

impl Disk for LosableDisk {
    type File = LosableFile;
    type Lock = LosableLock;

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.directories.contains(path) {
            return Ok(());
        }
        state.plain_operation()?;
        state.directories.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if !state.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = state.names.keys().chain(&state.directories);
        let mut found: Vec<String> = inside
            .filter(|name| name.parent() == Some(path))
            .map(|name| name.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        Ok(found)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<LosableFile> {
        let mut state = self.state();
        let past_cache = access == Access::ReadDevice && !state.only_cached_reads;
        let disk = self.clone();
        if access != Access::Create {
            let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
            return Ok(LosableFile { disk, file, past_cache });
        }
        state.plain_operation()?;
        let file = state.files.len();
        state.files.push(FileState::default());
        let directory = path.parent().unwrap().to_owned();
        state.change(Change { directory, remove: None, set: Some((path.to_owned(), file)) });
        Ok(LosableFile { disk, file, past_cache })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_operation()?;
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        let directory = to.parent().unwrap().to_owned();
        let set = Some((to.to_owned(), file));
        state.change(Change { directory, remove: Some(from.to_owned()), set });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_operation()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let directory = path.parent().unwrap().to_owned();
        state.change(Change { directory, remove: Some(path.to_owned()), set: None });
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_operation()?;
        let (now, later): (Vec<Change>, Vec<Change>) =
            std::mem::take(&mut state.pending).into_iter().partition(|c| c.directory == path);
        state.pending = later;
        for change in now {
            apply(&mut state.durable_names, &change);
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<LosableLock> {
        if !self.state().locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(LosableLock { disk: self.clone(), path: path.to_owned() })
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        Ok(self.state().locked.contains(path))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let state = self.state();
        let used: usize = state.names.values().map(|file| state.files[*file].seen.len()).sum();
        Ok(match state.trouble {
            Some(Trouble::Full(bytes)) => bytes.saturating_sub(used as u64),
            _ => u64::MAX,
        })
    }
}

impl Drop for LosableLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.path);
    }
}

impl DiskFile for LosableFile {
    type Region = LosableRegion;

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].seen.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        let file = &state.files[self.file];
        let bytes = if self.past_cache { &file.device } else { &file.seen };
        let end = offset as usize + buffer.len();
        match bytes.get(offset as usize..end) {
            Some(found) => buffer.copy_from_slice(found),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.plain_operation()?;
        let used: usize = state.names.values().map(|file| state.files[*file].seen.len()).sum();
        let longer =
            (offset as usize + bytes.len()).saturating_sub(state.files[self.file].seen.len());
        if let Some(Trouble::Full(room)) = state.trouble
            && (used + longer) as u64 > room
            && longer > 0
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.files[self.file].write(offset as usize, bytes);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.plain_operation()?;
        let used: usize = state.names.values().map(|file| state.files[*file].seen.len()).sum();
        if let Some(Trouble::Full(bytes)) = state.trouble
            && used as u64 + length > bytes
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = &mut state.files[self.file];
        file.seen.resize(length as usize, 0);
        file.length_dirty = true;
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.plain_operation()?;
        let file = &mut state.files[self.file];
        file.seen.truncate(length as usize);
        file.length_dirty = true;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let fails = state.operation()?;
        let file = &mut state.files[self.file];
        file.sync(0, usize::MAX / 2, fails)
    }

    fn drop_cache(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        // A cache that somebody maps isn't dropped: every second file is such a one.
        let mapped = self.file.is_multiple_of(2);
        let file = &mut state.files[self.file];
        if !mapped && file.dirty.is_empty() && !file.length_dirty {
            file.seen = file.device.clone();
        }
        Ok(())
    }

    fn map(&self, length: usize) -> io::Result<LosableRegion> {
        assert!(self.disk.state().files[self.file].seen.len() >= length);
        Ok(LosableRegion { disk: self.disk.clone(), file: self.file, length })
    }
}

impl Region for LosableRegion {
    fn store(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        assert!(offset + bytes.len() <= self.length);
        let mut state = self.disk.state();
        state.plain_operation()?;
        state.files[self.file].write(offset, bytes);
        Ok(())
    }

    fn sync(&self, offset: usize, length: usize) -> io::Result<()> {
        let mut state = self.disk.state();
        let fails = state.operation()?;
        // The kernel syncs whole pages.
        let (from, to) = (offset / 4096 * 4096, (offset + length).next_multiple_of(4096));
        state.files[self.file].sync(from, to, fails)
    }
}
