//! A disk in memory, for a node that keeps nothing over a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Access, Disk, DiskFile, Region};

/// A file system in memory. Clones share it, and it is gone with the last of them.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    names: Arc<Mutex<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeMap<PathBuf, MemoryFile>,
    directories: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
}

/// A file in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryFile {
    bytes: Arc<Mutex<Vec<u8>>>,
}

/// The bytes of a file in memory.
#[derive(Debug)]
pub struct MemoryRegion {
    file: MemoryFile,
    length: usize,
}

/// The lock on a file in memory, given up when it is dropped.
#[derive(Debug)]
pub struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl MemoryDisk {
    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().expect("nothing panics while it holds the names")
    }
}

impl Disk for MemoryDisk {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.names().directories.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = self.names();
        if !names.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let inside = names.files.keys().chain(&names.directories);
        let mut found: Vec<String> = inside
            .filter(|name| name.parent() == Some(path))
            .filter_map(|name| Some(name.file_name()?.to_string_lossy().into_owned()))
            .collect();
        found.sort();
        Ok(found)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<MemoryFile> {
        let mut names = self.names();
        match access {
            Access::Create => {
                let file = MemoryFile::default();
                names.files.insert(path.to_owned(), file.clone());
                Ok(file)
            }
            Access::Read | Access::ReadDevice | Access::Write => {
                names.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
            }
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names();
        let file = names.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        names.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match self.names().files.remove(path) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<MemoryLock> {
        let mut names = self.names();
        if !names.locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        names.files.entry(path.to_owned()).or_default();
        Ok(MemoryLock { disk: self.clone(), path: path.to_owned() })
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        Ok(self.names().locked.contains(path))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.names().locked.remove(&self.path);
    }
}

impl MemoryFile {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().expect("nothing panics while it holds a file's bytes")
    }
}

impl DiskFile for MemoryFile {
    type Region = MemoryRegion;

    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes();
        let found = usize::try_from(offset).ok().and_then(|start| {
            let end = start.checked_add(buffer.len())?;
            bytes.get(start..end)
        });
        match found {
            Some(found) => buffer.copy_from_slice(found),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut file = self.bytes();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = self.bytes();
        if bytes.is_empty() {
            // Memory asked for as zeros is taken from the system only when it is written.
            *bytes = vec![0; length];
        } else if bytes.len() < length {
            bytes.resize(length, 0);
        }
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = self.bytes();
        bytes.truncate(length);
        bytes.shrink_to_fit();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, length: usize) -> io::Result<MemoryRegion> {
        if self.bytes().len() < length {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(MemoryRegion { file: self.clone(), length })
    }
}

impl Region for MemoryRegion {
    fn store(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len()).expect("a region is far smaller than memory");
        assert!(end <= self.length, "{offset}..{end} of {}", self.length);
        self.file.bytes()[offset..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self, _offset: usize, _length: usize) -> io::Result<()> {
        Ok(())
    }
}
