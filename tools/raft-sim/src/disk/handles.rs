//! What the product's storage does with a simulated disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;

use raft_node::storage::{Access, Disk, DiskFile, Region};

use super::SimulatedDisk;
use super::journal::Undo;
use super::marks::DiskMark;
use super::names::Directory;
use super::state::{Kind, State, failed, full};

/// An open file of a simulated disk.
pub struct SimulatedFile {
    disk: SimulatedDisk,
    file: u32,
    life: u64,
    past_cache: bool,
}

/// A mapping of a file of a simulated disk.
pub struct SimulatedRegion {
    disk: SimulatedDisk,
    file: u32,
    life: u64,
    length: usize,
}

/// The lock on a file of a simulated disk.
pub struct SimulatedLock {
    disk: SimulatedDisk,
    path: PathBuf,
    number: u64,
}

impl fmt::Debug for SimulatedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedFile({})", self.file)
    }
}

impl fmt::Debug for SimulatedRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedRegion({}, {})", self.file, self.length)
    }
}

impl fmt::Debug for SimulatedLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimulatedLock({})", self.path.display())
    }
}

/// The state, for a handle of this life of the process.
fn alive(disk: &SimulatedDisk, life: u64) -> io::Result<MutexGuard<'_, State>> {
    let state = disk.state();
    if state.life == life {
        Ok(state)
    } else {
        Err(io::Error::other("the process that opened the file has ended"))
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;
    type Lock = SimulatedLock;

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let mut missing: Vec<&Path> =
            path.ancestors().filter(|path| state.directory(path).is_err()).collect();
        missing.reverse();
        for path in missing {
            let when = state.operate(Kind::Name, 0, 1)?;
            let directory = state.directories.len() as u32;
            state.directories.push(Directory::new(path.to_owned()));
            state.remember(when, Undo::Directory { directory });
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        let at = state.directory(path)?;
        let busy = state.directories[at as usize].busy_until;
        state.operate(Kind::Look, busy, u64::from(at))?;
        let mut found: Vec<String> = state.directories[at as usize].names.keys().cloned().collect();
        let inside = state
            .directories
            .iter()
            .filter(|inside| inside.exists && inside.path.parent() == Some(path));
        found
            .extend(inside.filter_map(|inside| {
                Some(inside.path.file_name()?.to_string_lossy().into_owned())
            }));
        found.sort();
        Ok(found)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<SimulatedFile> {
        let mut state = self.state();
        let (directory, name) = state.place(path)?;
        let busy = state.directories[directory as usize].busy_until;
        let creates = access == Access::Create;
        let kind = if creates { Kind::Name } else { Kind::Look };
        let found = state.directories[directory as usize].names.get(&name).copied();
        let busy = busy.max(found.map_or(0, |file| state.files[file as usize].busy_until));
        let when = state.operate(kind, busy, u64::from(directory))?;
        let file = match found {
            Some(file) if creates => {
                state.resize(file, when, 0);
                file
            }
            Some(file) => file,
            None if creates => {
                if state.has_no_room(1) {
                    return Err(full());
                }
                let file = state.new_file();
                state.change_names(directory, when, vec![(name, Some(file))]);
                file
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        state.files[file as usize].handles += 1;
        let past_cache = access == Access::ReadDevice;
        Ok(SimulatedFile { disk: self.clone(), file, life: state.life, past_cache })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (directory, old) = state.place(from)?;
        let (other, new) = state.place(to)?;
        if directory != other {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let file = state.find(from)?;
        let busy = state.directories[directory as usize].busy_until;
        let busy = busy.max(state.files[file as usize].busy_until);
        let when = state.operate(Kind::Name, busy, u64::from(directory))?;
        state.change_names(directory, when, vec![(old, None), (new, Some(file))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (directory, name) = state.place(path)?;
        let file = state.find(path)?;
        let busy = state.directories[directory as usize].busy_until;
        let busy = busy.max(state.files[file as usize].busy_until);
        let when = state.operate(Kind::Name, busy, u64::from(directory))?;
        state.change_names(directory, when, vec![(name, None)]);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let at = state.directory(path)?;
        let busy = state.directories[at as usize].busy_until;
        let when = state.operate(Kind::Sync, busy, u64::from(at) << 32)?;
        let rate = state.faults.sync_keeps_cache.saturating_add(state.faults.sync_reverts_cache);
        if state.chance.hits(rate) {
            state.marks.hit(DiskMark::DirectorySyncFailed);
            state.perhaps_read_only();
            return Err(failed());
        }
        let directory = &mut state.directories[at as usize];
        directory.busy_until = when.end;
        if !directory.pending.is_empty() {
            let durable = directory.durable.clone();
            let pending = std::mem::take(&mut directory.pending);
            pending
                .iter()
                .for_each(|change| super::names::apply(&mut directory.durable, &change.sets));
            state.remember(when, Undo::NamesSynced { directory: at, durable, pending });
        }
        state.collect();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<SimulatedLock> {
        let mut state = self.state();
        if state.locked.contains_key(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (directory, name) = state.place(path)?;
        let busy = state.directories[directory as usize].busy_until;
        let when = state.operate(Kind::Name, busy, u64::from(directory))?;
        if state.find(path).is_err() {
            let file = state.new_file();
            state.change_names(directory, when, vec![(name, Some(file))]);
        }
        state.next_lock += 1;
        let number = state.next_lock;
        state.locked.insert(path.to_owned(), number);
        Ok(SimulatedLock { disk: self.clone(), path: path.to_owned(), number })
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        Ok(self.state().locked.contains_key(path))
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.operate(Kind::Look, 0, 2)?;
        Ok(state.faults.capacity_bytes.saturating_sub(state.used_bytes()))
    }
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.locked.get(&self.path) == Some(&self.number) {
            state.locked.remove(&self.path);
        }
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.files[self.file as usize].handles -= 1;
        }
    }
}

impl Drop for SimulatedRegion {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            let file = &mut state.files[self.file as usize];
            file.handles -= 1;
            file.mapped -= 1;
        }
    }
}

impl DiskFile for SimulatedFile {
    type Region = SimulatedRegion;

    fn length(&self) -> io::Result<u64> {
        let mut state = alive(&self.disk, self.life)?;
        let busy = state.files[self.file as usize].busy_until;
        state.operate(Kind::Look, busy, u64::from(self.file))?;
        Ok(state.files[self.file as usize].length)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        alive(&self.disk, self.life)?.read(self.file, offset, buffer, self.past_cache)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        alive(&self.disk, self.life)?.write(self.file, offset, bytes)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        let mut state = alive(&self.disk, self.life)?;
        let (busy, now) = {
            let file = &state.files[self.file as usize];
            (file.busy_until, file.length)
        };
        let when = state.operate(Kind::Name, busy, u64::from(self.file))?;
        if state.has_no_room(length.saturating_sub(now)) {
            return Err(full());
        }
        if length > now {
            state.resize(self.file, when, length);
        }
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        let mut state = alive(&self.disk, self.life)?;
        let file = &state.files[self.file as usize];
        assert!(file.mapped == 0, "a file is cut while it is mapped");
        assert!(length <= file.length, "a file of {} is cut to {length}", file.length);
        let busy = file.busy_until;
        let when = state.operate(Kind::Name, busy, u64::from(self.file))?;
        state.resize(self.file, when, length);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        alive(&self.disk, self.life)?.sync(self.file, 0, u64::MAX / 2)
    }

    fn drop_cache(&self) -> io::Result<()> {
        alive(&self.disk, self.life)?.drop_cache(self.file)
    }

    fn map(&self, length: usize) -> io::Result<SimulatedRegion> {
        let mut state = alive(&self.disk, self.life)?;
        let busy = state.files[self.file as usize].busy_until;
        state.operate(Kind::Look, busy, u64::from(self.file))?;
        let file = &mut state.files[self.file as usize];
        if file.length < length as u64 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        file.handles += 1;
        file.mapped += 1;
        let (disk, file, life) = (self.disk.clone(), self.file, self.life);
        Ok(SimulatedRegion { disk, file, life, length })
    }
}

impl Region for SimulatedRegion {
    fn store(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        assert!(offset + bytes.len() <= self.length, "{offset} + {}", bytes.len());
        alive(&self.disk, self.life)?.write(self.file, offset as u64, bytes)
    }

    fn sync(&self, offset: usize, length: usize) -> io::Result<()> {
        let (from, to) = (offset as u64, (offset + length) as u64);
        alive(&self.disk, self.life)?.sync(self.file, from, to)
    }
}
