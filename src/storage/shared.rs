//! What the two workers of a directory share, and the spares that stand between them.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::model::{ClusterId, Epoch};

use super::directory::SyncMode;
use super::layout::Layout;
use super::log_map::LogMap;
use super::segment::FIRST_BLOCK;
use super::{Access, Disk, DiskFile, StorageError};

/// How many spares stand ready.
const SPARES: usize = 2;

/// What the two workers share. The directory is held for this process until both are gone.
#[derive(Debug)]
pub(super) struct Shared<D: Disk> {
    pub(super) disk: D,
    pub(super) layout: Layout,
    pub(super) segment_bytes: u64,
    pub(super) min_free_bytes: u64,
    pub(super) sync: SyncMode,
    pub(super) seed: u64,
    map: Mutex<LogMap>,
    shelf: Mutex<Shelf<D>>,
    void: Mutex<Vec<PathBuf>>,
    next_spare: AtomicU64,
    _lock: D::Lock,
}

/// The spares that stand ready.
#[derive(Debug)]
struct Shelf<D: Disk> {
    ready: Vec<Spare<D>>,
    /// How many more were asked for.
    asked: usize,
}

/// A file with room for a segment, mapped, and not a segment yet.
#[derive(Debug)]
pub(super) struct Spare<D: Disk> {
    pub(super) path: PathBuf,
    pub(super) region: <D::File as DiskFile>::Region,
    pub(super) bytes: u64,
}

/// What a directory is opened with.
#[derive(Debug)]
pub(super) struct SharedParts<D: Disk> {
    pub(super) disk: D,
    pub(super) layout: Layout,
    pub(super) lock: D::Lock,
    pub(super) segment_bytes: u64,
    pub(super) min_free_bytes: u64,
    pub(super) sync: SyncMode,
    pub(super) seed: u64,
}

impl<D: Disk> Shared<D> {
    pub(super) fn new(parts: SharedParts<D>, map: LogMap) -> Shared<D> {
        Shared {
            disk: parts.disk,
            layout: parts.layout,
            segment_bytes: parts.segment_bytes,
            min_free_bytes: parts.min_free_bytes,
            sync: parts.sync,
            seed: parts.seed,
            map: Mutex::new(map),
            shelf: Mutex::new(Shelf { ready: Vec::new(), asked: 0 }),
            void: Mutex::new(Vec::new()),
            next_spare: AtomicU64::new(1),
            _lock: parts.lock,
        }
    }

    pub(super) fn map(&self) -> MutexGuard<'_, LogMap> {
        self.map.lock().expect("nothing panics while it holds the map")
    }

    /// The cluster that the log is one of.
    pub(super) fn cluster(&self) -> Option<(ClusterId, Epoch)> {
        self.map().segments().back().and_then(|last| last.head.identity.cluster)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<D>> {
        self.shelf.lock().expect("nothing panics while it holds the shelf")
    }

    /// The files of segments that a reset has voided and that aren't removed yet, in order.
    pub(super) fn void(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.void.lock().expect("nothing panics while it holds the list")
    }

    /// How many spares are wanted beyond those asked for. They count as asked for from now on.
    pub(super) fn spares_wanted(&self) -> usize {
        let mut shelf = self.shelf();
        let wanted = SPARES.saturating_sub(shelf.ready.len() + shelf.asked);
        shelf.asked += wanted;
        wanted
    }

    /// Takes a spare with room for `bytes` from the shelf.
    pub(super) fn take_spare(&self, bytes: u64) -> Option<Spare<D>> {
        let mut shelf = self.shelf();
        let at = shelf.ready.iter().position(|spare| spare.bytes >= bytes)?;
        Some(shelf.ready.remove(at))
    }

    /// Puts a spare on the shelf, unless it is full.
    pub(super) fn stock(&self) -> Result<(), StorageError> {
        if self.shelf().ready.len() < SPARES {
            self.look_for_room(&self.layout.log, self.segment_bytes)?;
            let spare = self.make_spare(self.segment_bytes)?;
            self.shelf().ready.push(spare);
        }
        let mut shelf = self.shelf();
        shelf.asked = shelf.asked.saturating_sub(1);
        Ok(())
    }

    /// Whether `bytes` more may be put into `directory`: an error of class
    /// [`NoSpace`](super::ErrorClass::NoSpace) if too little would be left free.
    pub(super) fn look_for_room(&self, directory: &Path, bytes: u64) -> Result<(), StorageError> {
        let free = self
            .disk
            .free_bytes(directory)
            .map_err(StorageError::disk("look for free space in", directory))?;
        if free >= bytes.saturating_add(self.min_free_bytes) {
            return Ok(());
        }
        let (path, source) = (directory.to_owned(), std::io::ErrorKind::StorageFull.into());
        Err(StorageError::NoSpace { path, bytes, source })
    }

    /// Makes a file with room for a segment of `bytes`, and maps it.
    pub(super) fn make_spare(&self, bytes: u64) -> Result<Spare<D>, StorageError> {
        let number = self.next_spare.fetch_add(1, Ordering::Relaxed);
        let path = self.layout.log.join(format!("spare-{number}.tmp"));
        let full = || StorageError::room("set room aside for", &path, bytes);
        let file = self.disk.open(&path, Access::Create).map_err(full())?;
        if let Err(source) = file.allocate(bytes) {
            drop(file);
            self.disk.remove(&path).map_err(StorageError::disk("remove", &path))?;
            return Err(full()(source));
        }
        file.sync().map_err(StorageError::disk("sync", &path))?;
        let length = usize::try_from(bytes).expect("a segment fits in the address space");
        let region = file.map(length).map_err(StorageError::disk("map", &path))?;
        Ok(Spare { path, region, bytes })
    }

    /// How long a segment is that has room for a block of `bytes`.
    pub(super) fn segment_bytes_for(&self, bytes: u64) -> u64 {
        self.segment_bytes.max((FIRST_BLOCK + bytes).next_multiple_of(FIRST_BLOCK))
    }
}
