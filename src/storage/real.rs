//! The file system of the machine.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{Advice, FallocateFlags, OFlags};

use super::mapping::Mapping;
use super::{Access, Disk, DiskFile};

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

/// A file of the machine's file system.
#[derive(Debug)]
pub struct RealFile {
    file: File,
    /// Where sectors are read to if it is read past the page cache, which wants whole, aligned ones.
    /// It is used again and again: of a start, a sixth of the time went into clearing new ones.
    sectors: Option<Mutex<Vec<u8>>>,
}

/// The lock on a file, given up when it is dropped.
#[derive(Debug)]
pub struct RealLock {
    _file: File,
}

/// To what offset, length and address are rounded for reads past the page cache: the largest
/// sector there is.
const DIRECT_ALIGNMENT: usize = 4096;

/// How often a lock is tried. Who only looks whether a directory is in use holds its lock for a
/// moment, and a start isn't to fail for that.
const LOCK_TRIES: u32 = 20;

/// How long a try for the lock waits for the next.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

impl Disk for RealDisk {
    type File = RealFile;
    type Lock = RealLock;

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        self.create_directory(above)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other?,
        }
        self.sync_directory(above)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<RealFile> {
        let mut options = OpenOptions::new();
        options.read(true);
        match access {
            Access::Read => {}
            Access::ReadDevice => {
                let flags = OFlags::DIRECT.bits().cast_signed();
                match options.clone().custom_flags(flags).open(path) {
                    Ok(file) => return Ok(RealFile { file, sectors: Some(Mutex::default()) }),
                    // Not every file system can; there the dropped cache has to do.
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                    Err(error) => return Err(error),
                }
            }
            Access::Write => {
                options.write(true);
            }
            Access::Create => {
                options.write(true).create(true).truncate(true).mode(0o640);
            }
        }
        Ok(RealFile { file: options.open(path)?, sectors: None })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<RealLock> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        for _ in 1..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(RealLock { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        file.try_lock()?;
        Ok(RealLock { _file: file })
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let system = rustix::fs::statvfs(path)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }
}

impl DiskFile for RealFile {
    type Region = Mapping;

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let Some(sectors) = &self.sectors else {
            return self.file.read_exact_at(buffer, offset);
        };
        // What a panic has left in it is overwritten.
        let mut sectors = sectors.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_direct(&mut sectors, offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length)?;
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn drop_cache(&self) -> io::Result<()> {
        rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?;
        Ok(())
    }

    fn map(&self, length: usize) -> io::Result<Mapping> {
        Mapping::new(self.file.try_clone()?, length)
    }
}

impl RealFile {
    /// Reads whole sectors into an aligned part of `room` and takes from it what is wanted.
    fn read_direct(&self, room: &mut Vec<u8>, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let alignment = DIRECT_ALIGNMENT as u64;
        let start = offset / alignment * alignment;
        let skip = (offset - start) as usize;
        let wanted = skip + buffer.len();
        let length = wanted.next_multiple_of(DIRECT_ALIGNMENT);
        if room.len() < length + DIRECT_ALIGNMENT {
            room.resize(length + DIRECT_ALIGNMENT, 0);
        }
        let shift = room.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let sectors = &mut room[shift..shift + length];
        let mut filled = 0;
        while filled < wanted {
            match self.file.read_at(&mut sectors[filled..], start + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        buffer.copy_from_slice(&sectors[skip..wanted]);
        Ok(())
    }
}
