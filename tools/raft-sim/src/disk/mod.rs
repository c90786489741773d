//! A disk in memory that fails as real ones do, in a time of its own, decided by a seed.
//!
//! The world calls [`SimulatedDisk::begin`] before it runs a piece of storage work, and
//! [`SimulatedDisk::end`] afterwards: each operation of the work has taken its time, and the end
//! is when its completion may be delivered. The work is run in one go, but a crash at some moment
//! undoes the operations that come later, so it is cut between any two of them, and in the middle
//! of a store. Pieces of work of the two threads overlap: operations on one file or one directory
//! follow each other in the order in which they were run, all others don't wait for each other.
//!
//! What a power cut may lose is what the rules of [`Disk`](raft_node::storage::Disk) let it lose,
//! and nothing else: of the sectors of a file that were written since its last good sync any
//! subset survives, and of the changes of names since the last good sync of their directory any
//! subset in which a name's changes keep their order. Damage to what was durable is a fault of
//! its own, and the disk knows where it is.

mod chance;
mod content;
mod crash;
mod damage;
mod faults;
mod file;
mod handles;
mod journal;
mod marks;
mod names;
mod state;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub use faults::{Damage, DamageKind, DiskFaults, Latency, Span};
pub use handles::{SimulatedFile, SimulatedLock, SimulatedRegion};
pub use marks::{DiskMark, DiskMarks};

use state::State;

/// A simulated disk. Clones share it.
#[derive(Clone)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

impl SimulatedDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64, faults: DiskFaults) -> SimulatedDisk {
        SimulatedDisk { state: Arc::new(Mutex::new(State::new(seed, faults))) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing goes on after a panic inside the disk")
    }

    /// Changes the faults from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.state().faults = faults;
    }

    /// Which faults there are.
    #[must_use]
    pub fn faults(&self) -> DiskFaults {
        self.state().faults.clone()
    }

    /// The operations that follow begin at `now_us`, which no later crash may lie before.
    pub fn begin(&self, now_us: u64) {
        let mut state = self.state();
        state.settle(now_us);
        state.now = now_us;
        state.used = false;
    }

    /// When the operations since the last [`SimulatedDisk::begin`] are over.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.state().now
    }

    /// Whether there were operations since the last [`SimulatedDisk::begin`].
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.state().used
    }

    /// When the operations end that change something and aren't over at `now_us`: the moments
    /// around which a crash is worth most.
    #[must_use]
    pub fn moments_after(&self, now_us: u64) -> Vec<u64> {
        let state = self.state();
        let moments = state.journal.iter().map(|entry| entry.end);
        let mut moments: Vec<u64> = moments.filter(|end| *end > now_us).collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// Nothing that begins before `until_us` is over before then.
    pub fn stall_until(&self, until_us: u64) {
        self.state().frozen_until = until_us;
    }

    /// The process ends at `now_us`. The cache stays, locks and handles don't.
    pub fn process_crash(&self, now_us: u64) {
        self.state().process_crash(now_us);
    }

    /// The power goes at `now_us`, and comes back.
    pub fn power_cut(&self, now_us: u64) {
        self.state().power_cut(now_us);
    }

    /// Whether the file system takes no change until a power cut.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.state().read_only
    }

    /// Everything on the disk is gone, for good. No process uses it.
    pub fn wipe(&self) {
        let mut state = self.state();
        let fresh = State::new(0, state.faults.clone());
        state.life += 1;
        state.files = fresh.files;
        state.free_files = fresh.free_files;
        state.directories = fresh.directories;
        state.journal.clear();
        state.locked.clear();
        state.injected.clear();
        state.misdirect_next = None;
        state.read_only = false;
    }

    /// A new disk with a copy of all files as programs see them at `now_us`, all of it durable.
    #[must_use]
    pub fn clone_files(&self, now_us: u64, seed: u64) -> SimulatedDisk {
        let mut copy = self.state().clone();
        copy.process_crash(now_us);
        copy.chance = chance::Chance::new(seed);
        copy.marks = DiskMarks::default();
        copy.trace = seed;
        copy.injected.clear();
        for file in &mut copy.files {
            let (length, mut pages) = (file.length, std::mem::take(&mut file.pages));
            for page in &mut pages {
                let seen = *page.seen();
                *page = file::Page { device: Some(Box::new(seen)), ..file::Page::default() };
            }
            *file = file::FileState { pages, length, device_length: length, ..Default::default() };
        }
        for directory in &mut copy.directories {
            directory.durable = directory.names.clone();
            directory.pending.clear();
        }
        copy.collect();
        SimulatedDisk { state: Arc::new(Mutex::new(copy)) }
    }

    /// The disk has the files of `copy` from now on, in place of its own. No process uses it.
    pub fn put_back(&self, copy: &SimulatedDisk) {
        self.wipe();
        let copy = copy.state().clone();
        let mut state = self.state();
        state.files = copy.files;
        state.free_files = copy.free_files;
        state.directories = copy.directories;
    }

    /// A file vanishes, for good. No process uses it.
    pub fn vanish(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (directory, name) = state.place(path)?;
        let directory = &mut state.directories[directory as usize];
        directory.names.remove(&name).ok_or(io::ErrorKind::NotFound)?;
        directory.durable.remove(&name);
        for change in &mut directory.pending {
            change.sets.retain(|(changed, _)| *changed != name);
        }
        state.collect();
        Ok(())
    }

    /// A file, if there is one, of which programs see bytes that the device doesn't have for all
    /// that was reported. `is_meant` is asked for the names that count.
    #[must_use]
    pub fn unsynced(&self, is_meant: impl Fn(&str) -> bool) -> Option<PathBuf> {
        let state = self.state();
        let directories = state.directories.iter().filter(|directory| directory.exists);
        let mut named = directories
            .flat_map(|one| one.names.iter().map(move |(name, file)| (&one.path, name, *file)));
        let found = named.find(|(_, name, file)| {
            is_meant(name) && state.files[*file as usize].has_dirty_pages()
        });
        found.map(|(directory, name, _)| directory.join(name))
    }

    /// Flips a bit on the device at `now_us`, in the byte at `offset` of a file that the device
    /// has under this name then.
    pub fn rot(&self, path: &Path, now_us: u64, offset: u64, bit: u8) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find_on_device(path, now_us)?;
        state.rot(file, offset * 8 + u64::from(bit % 8));
        Ok(())
    }

    /// Flips a bit of any page that the device holds.
    pub fn rot_anywhere(&self) {
        self.state().rot_anywhere();
    }

    /// What the device has at `now_us` in a range of a file, from sector to sector, is as if it had
    /// never been written, although that was reported as done.
    pub fn lose_written(&self, path: &Path, now_us: u64, range: Range<u64>) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find_on_device(path, now_us)?;
        state.lose_written(file, range.start, range.end);
        Ok(())
    }

    /// Makes reads of the sector at `offset` fail until it is written.
    pub fn make_unreadable(&self, path: &Path, offset: u64) -> io::Result<()> {
        let mut state = self.state();
        let file = state.find(path)?;
        state.make_unreadable(file, offset);
        Ok(())
    }

    /// A page of the next sync of this file lands at another page of it.
    pub fn misdirect_next(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.misdirect_next = Some(state.find(path)?);
        Ok(())
    }

    /// The damage that was done since this was asked last.
    #[must_use]
    pub fn take_damage(&self) -> Vec<Damage> {
        self.state().take_injected()
    }

    /// Whether the device holds in this range of a file all that was reported as durable there.
    /// A file that isn't there isn't whole.
    #[must_use]
    pub fn is_intact(&self, path: &Path, range: Range<u64>) -> bool {
        let state = self.state();
        let file = state.find(path).ok();
        file.is_some_and(|file| state.files[file as usize].is_intact(range.start, range.end))
    }

    /// The files that programs see, with their lengths.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let mut found = Vec::new();
        for directory in state.directories.iter().filter(|directory| directory.exists) {
            for (name, file) in &directory.names {
                found.push((directory.path.join(name), state.files[*file as usize].length));
            }
        }
        found.sort();
        found
    }

    /// The bytes of a file, as programs see them or as the device holds them.
    pub fn contents(&self, path: &Path, of_device: bool) -> io::Result<Vec<u8>> {
        let state = self.state();
        let file = &state.files[state.find(path)? as usize];
        let length = if of_device { file.device_length } else { file.length };
        let mut bytes = vec![0; length as usize];
        file.load(0, &mut bytes, of_device);
        Ok(bytes)
    }

    /// The files for which the device has a name at `now_us`, which isn't before the last
    /// [`SimulatedDisk::begin`], with their lengths: what is run and ends later isn't there yet.
    #[must_use]
    pub fn device_files(&self, now_us: u64) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let mut found = Vec::new();
        for directory in state.directories_at(now_us) {
            for (name, file) in &directory.durable {
                let length = state.file_at(*file, now_us).device_length;
                found.push((directory.path.join(name), length));
            }
        }
        found.sort();
        found
    }

    /// The bytes that the device holds at `now_us`, which isn't before the last
    /// [`SimulatedDisk::begin`], of a file that it has under this name then.
    pub fn device_at(&self, path: &Path, now_us: u64) -> io::Result<Vec<u8>> {
        let state = self.state();
        let file = state.find_on_device(path, now_us)?;
        let mut bytes = Vec::new();
        let then = state.file_at(file, now_us);
        bytes.resize(then.device_length as usize, 0);
        then.load(0, &mut bytes, true);
        Ok(bytes)
    }

    /// How often which rare state was reached.
    #[must_use]
    pub fn marks(&self) -> DiskMarks {
        self.state().marks.clone()
    }

    /// A hash of all operations, their times and the faults.
    #[must_use]
    pub fn trace(&self) -> u64 {
        self.state().trace
    }

    /// How many operations there were.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }
}

#[cfg(test)]
mod tests;
