//! The whole of one disk, and the time that its operations take.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use super::chance::Chance;
use super::faults::{Damage, DiskFaults, Span};
use super::file::{FileState, PAGE};
use super::journal::{Entry, Undo};
use super::marks::{DiskMark, DiskMarks};
use super::names::{Change, Directory};

/// Kinds of operations, as far as they differ in time and faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Read,
    Write,
    Sync,
    /// Looks at names or lengths.
    Look,
    /// Changes names or lengths.
    Name,
}

/// When an operation runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) start: u64,
    pub(super) end: u64,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) faults: DiskFaults,
    pub(super) chance: Chance,
    pub(super) marks: DiskMarks,
    pub(super) files: Vec<FileState>,
    pub(super) free_files: Vec<u32>,
    pub(super) directories: Vec<Directory>,
    /// Who holds the lock on a file, by a number that no other holder has.
    pub(super) locked: BTreeMap<PathBuf, u64>,
    pub(super) journal: VecDeque<Entry>,
    /// Grows with every end of the process: handles of an earlier one are dead.
    pub(super) life: u64,
    pub(super) next_lock: u64,
    /// Where the work that is run has come to.
    pub(super) now: u64,
    /// Whether it has come further since its begin.
    pub(super) used: bool,
    pub(super) frozen_until: u64,
    pub(super) read_only: bool,
    pub(super) misdirect_next: Option<u32>,
    pub(super) injected: Vec<(super::DamageKind, u32, u64, u64)>,
    pub(super) trace: u64,
    pub(super) operations: u64,
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

pub(super) fn failed() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

pub(super) fn full() -> io::Error {
    io::Error::from_raw_os_error(ENOSPC)
}

impl State {
    pub(super) fn new(seed: u64, faults: DiskFaults) -> State {
        State {
            faults,
            chance: Chance::new(seed),
            marks: DiskMarks::default(),
            files: Vec::new(),
            free_files: Vec::new(),
            directories: vec![Directory::new(PathBuf::from("/"))],
            locked: BTreeMap::new(),
            journal: VecDeque::new(),
            life: 0,
            next_lock: 0,
            now: 0,
            used: false,
            frozen_until: 0,
            read_only: false,
            misdirect_next: None,
            injected: Vec::new(),
            trace: seed,
            operations: 0,
        }
    }

    /// Forgets how to undo what is over at `now`.
    pub(super) fn settle(&mut self, now: u64) {
        while self.journal.front().is_some_and(|entry| entry.end <= now) {
            self.journal.pop_front();
        }
    }

    /// A file as it is at `now`, without what ends later.
    pub(super) fn file_at(&self, file: u32, now: u64) -> FileState {
        let place = file as usize;
        let mut files = vec![FileState::default(); place + 1];
        files[place] = self.files[place].clone();
        let is_later = |entry: &&Entry| entry.end > now && entry.undo.file() == Some(file);
        for entry in self.journal.iter().rev().filter(is_later) {
            entry.undo.clone().undo(&mut files, &mut [], 0);
        }
        files.swap_remove(place)
    }

    /// The directories as they are at `now`, without what ends later.
    pub(super) fn directories_at(&self, now: u64) -> Vec<Directory> {
        let mut directories = self.directories.clone();
        let is_later = |entry: &&Entry| entry.end > now && entry.undo.file().is_none();
        for entry in self.journal.iter().rev().filter(is_later) {
            entry.undo.clone().undo(&mut [], &mut directories, 0);
        }
        directories.retain(|directory| directory.exists);
        directories
    }

    /// The file that a path means to the device at `now`.
    pub(super) fn find_on_device(&self, path: &Path, now: u64) -> io::Result<u32> {
        let name = path.file_name().and_then(|name| name.to_str());
        let above = self.directories_at(now);
        let above = above.iter().find(|above| path.parent() == Some(above.path.as_path()));
        let found = above.zip(name).and_then(|(above, name)| above.durable.get(name).copied());
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Lets the time of an operation pass that can't begin before `ready_at`. An error is a
    /// fault of the disk.
    pub(super) fn operate(&mut self, kind: Kind, ready_at: u64, object: u64) -> io::Result<When> {
        self.operations += 1;
        self.used = true;
        if ready_at > self.now {
            self.marks.hit(DiskMark::Waited);
        }
        let start = self.now.max(ready_at);
        let latency = &self.faults.latency;
        let (span, fault) = match kind {
            Kind::Read => (latency.read, self.faults.read_error),
            Kind::Write => (latency.write, self.faults.write_error),
            Kind::Sync => (latency.sync, 0),
            Kind::Look | Kind::Name => (latency.name, self.faults.name_error),
        };
        let mut took = self.draw(span).max(1);
        if self.chance.hits(self.faults.stall) {
            let tenth = 100_000;
            took +=
                tenth + self.chance.below(self.faults.longest_stall_us.saturating_sub(tenth) + 1);
            self.marks.hit(DiskMark::Stalled);
        }
        let end = start.max(self.frozen_until) + took;
        self.now = end;
        self.note(kind as u64 ^ object << 8);
        self.note(end);
        if self.faults.rot > 0 && self.chance.hits(self.faults.rot) {
            self.rot_anywhere();
        }
        if self.read_only && !matches!(kind, Kind::Read | Kind::Look) {
            return Err(io::Error::from_raw_os_error(EROFS));
        }
        if self.chance.hits(fault) {
            self.marks.hit(match kind {
                Kind::Read => DiskMark::ReadFailed,
                Kind::Write => DiskMark::WriteFailed,
                _ => DiskMark::NameFailed,
            });
            // A file system that never writes in place can run out of room at any write.
            let is_full = matches!(kind, Kind::Write) && self.chance.coin();
            return Err(if is_full { full() } else { failed() });
        }
        Ok(When { start, end })
    }

    fn draw(&mut self, span: Span) -> u64 {
        let width = u64::from(span.most_us.saturating_sub(span.least_us)) + 1;
        u64::from(span.least_us) + self.chance.below(width)
    }

    /// Mixes a number into the hash of all that happened.
    pub(super) fn note(&mut self, number: u64) {
        let mixed = (self.trace ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.trace = mixed ^ (mixed >> 29);
    }

    pub(super) fn remember(&mut self, when: When, undo: Undo) {
        if let Some(file) = undo.file() {
            self.files[file as usize].busy_until = when.end;
        }
        self.journal.push_back(Entry { start: when.start, end: when.end, undo });
    }

    pub(super) fn directory(&self, path: &Path) -> io::Result<u32> {
        let found = self.directories.iter().position(|known| known.exists && known.path == path);
        found.map(|at| at as u32).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The directory that holds a name, and the name.
    pub(super) fn place(&self, path: &Path) -> io::Result<(u32, String)> {
        let above = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.directory(above)?, name.to_string_lossy().into_owned()))
    }

    /// The file that a path means to programs.
    pub(super) fn find(&self, path: &Path) -> io::Result<u32> {
        let (directory, name) = self.place(path)?;
        let found = self.directories[directory as usize].names.get(&name).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Changes names in a directory, as one step.
    pub(super) fn change_names(
        &mut self,
        directory: u32,
        when: When,
        sets: Vec<(String, Option<u32>)>,
    ) {
        let place = &mut self.directories[directory as usize];
        place.busy_until = when.end;
        let before = place.change(Change { sets });
        self.remember(when, Undo::Named { directory, before });
    }

    pub(super) fn new_file(&mut self) -> u32 {
        let file = self.free_files.pop().unwrap_or_else(|| {
            self.files.push(FileState::default());
            self.files.len() as u32 - 1
        });
        self.files[file as usize] = FileState::default();
        file
    }

    /// Gives back the files that nothing names, holds or may bring back.
    pub(super) fn collect(&mut self) {
        let mut needed: Vec<bool> = self.files.iter().map(|file| file.handles > 0).collect();
        for directory in &self.directories {
            let pending = directory.pending.iter().flat_map(|change| &change.sets);
            let named = directory.names.values().chain(directory.durable.values()).copied();
            named.chain(pending.filter_map(|(_, file)| *file)).for_each(|file| {
                needed[file as usize] = true;
            });
        }
        for entry in &self.journal {
            match &entry.undo {
                Undo::Named { before, .. } => {
                    let files = before.iter().filter_map(|(_, file)| *file);
                    files.for_each(|file| needed[file as usize] = true);
                }
                Undo::NamesSynced { durable, pending, .. } => {
                    let sets = pending.iter().flat_map(|change| &change.sets);
                    let files = sets.filter_map(|(_, file)| *file);
                    files.chain(durable.values().copied()).for_each(|file| {
                        needed[file as usize] = true;
                    });
                }
                other => {
                    if let Some(file) = other.file() {
                        needed[file as usize] = true;
                    }
                }
            }
        }
        let free = std::mem::take(&mut self.free_files);
        free.iter().for_each(|file| needed[*file as usize] = true);
        self.free_files = free;
        for (file, needed) in needed.into_iter().enumerate() {
            if !needed {
                self.files[file] = FileState::default();
                self.free_files.push(file as u32);
            }
        }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.length.next_multiple_of(PAGE as u64)).sum()
    }

    /// Whether so many more bytes have no room.
    pub(super) fn has_no_room(&mut self, more: u64) -> bool {
        if self.faults.capacity_bytes < u64::MAX {
            self.collect();
        }
        let no_room = self.chance.hits(self.faults.no_space)
            || self.used_bytes().saturating_add(more) > self.faults.capacity_bytes;
        if no_room {
            self.marks.hit(DiskMark::NoSpace);
        }
        no_room
    }

    /// A name that programs have for a file.
    pub(super) fn path_of(&self, file: u32) -> Option<PathBuf> {
        self.directories.iter().filter(|directory| directory.exists).find_map(|directory| {
            let named = directory.names.iter().find(|(_, found)| **found == file);
            named.map(|(name, _)| directory.path.join(name))
        })
    }

    pub(super) fn take_injected(&mut self) -> Vec<Damage> {
        let injected = std::mem::take(&mut self.injected);
        injected
            .into_iter()
            .map(|(kind, file, offset, length)| Damage {
                kind,
                path: self.path_of(file),
                offset,
                length,
            })
            .collect()
    }
}
