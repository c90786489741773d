//! The end of a process, and the end of the power.

use super::file::{FileState, Page, SECTOR, sector_ranges};
use super::journal::Undo;
use super::marks::DiskMark;
use super::names::Change;
use super::state::State;

/// What a power cut does to what wasn't synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Lost,
    Kept,
    Drawn,
}

impl State {
    /// The process ends at `now`. What was to happen later never does.
    pub(super) fn process_crash(&mut self, now: u64) {
        self.undo_after(now);
        self.life += 1;
        self.locked.clear();
        self.now = now;
        self.frozen_until = self.frozen_until.min(now);
        for directory in &mut self.directories {
            directory.busy_until = directory.busy_until.min(now);
        }
        let mut unsynced = false;
        let mut dropped = false;
        for file in &mut self.files {
            file.busy_until = file.busy_until.min(now);
            (file.mapped, file.handles) = (0, 0);
            unsynced |= file.has_unsynced();
            for page in file.pages.iter_mut().filter(|page| page.stale != 0 && page.dirty == 0) {
                // A cache may let go of clean pages at any time.
                if file.lengths.is_empty() && self.chance.below(4) == 0 {
                    page.drop_cache();
                    dropped = true;
                }
            }
        }
        if unsynced {
            self.marks.hit(DiskMark::CacheSurvivedProcess);
        }
        if dropped {
            self.marks.hit(DiskMark::StalePageDropped);
        }
        self.collect();
        self.note(now);
    }

    fn undo_after(&mut self, now: u64) {
        let mut undone = false;
        while let Some(entry) = self.journal.pop_back() {
            if entry.end <= now {
                // An operation of the other thread may still be to undo before this one in the
                // list. On other files than this: they don't touch each other.
                continue;
            }
            let mut keep = 0;
            if entry.start <= now {
                match &entry.undo {
                    Undo::Stored { old, grew: false, .. } => {
                        keep = self.chance.below(old.len() as u64 + 1) as usize;
                        self.marks.hit(DiskMark::CrashInWrite);
                    }
                    undo if undo.is_sync() => self.marks.hit(DiskMark::CrashInSync),
                    _ => {}
                }
            }
            undone |= entry.start > now;
            entry.undo.undo(&mut self.files, &mut self.directories, keep);
        }
        if undone {
            self.marks.hit(DiskMark::OperationsUndone);
        }
    }

    /// The power goes at `now` and comes back: the cache is gone, and of what wasn't synced any
    /// part may be.
    pub(super) fn power_cut(&mut self, now: u64) {
        self.process_crash(now);
        let (data, names) = match self.chance.below(8) {
            0 => (Fate::Lost, Fate::Lost),
            1 => (Fate::Kept, Fate::Kept),
            2 => (Fate::Lost, Fate::Kept),
            3 => (Fate::Kept, Fate::Lost),
            _ => (Fate::Drawn, Fate::Drawn),
        };
        let mut lossy = Vec::new();
        for at in 0..self.files.len() {
            let mut file = std::mem::take(&mut self.files[at]);
            if self.cut_file(&mut file, data) {
                lossy.push(at as u32);
            }
            self.files[at] = file;
        }
        for at in 0..self.directories.len() {
            self.cut_directory(at, names, &lossy);
        }
        self.read_only = false;
        self.misdirect_next = None;
        self.collect();
    }

    fn keeps(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Lost => false,
            Fate::Kept => true,
            Fate::Drawn => self.chance.coin(),
        }
    }

    /// Whether something of the file was lost.
    fn cut_file(&mut self, file: &mut FileState, fate: Fate) -> bool {
        let mut lost = false;
        let count = file.lengths.len() as u64;
        let kept = match fate {
            Fate::Lost => 0,
            Fate::Kept => count,
            Fate::Drawn => self.chance.below(count + 1),
        };
        if kept < count {
            self.marks.hit(DiskMark::LengthLost);
            lost = true;
        }
        file.apply_lengths(kept as usize);
        file.length = file.device_length;
        let end = file.length.div_ceil(super::file::PAGE as u64);
        for number in file.dirty_in(0, u64::MAX / 2) {
            if u64::from(number) >= end {
                continue;
            }
            let whole = file.pages[number as usize].dirty;
            let kept = match fate {
                Fate::Lost => 0,
                Fate::Kept => whole,
                Fate::Drawn => match self.chance.below(4) {
                    0 => 0,
                    1 => whole,
                    _ => whole & self.chance.bits() as u8,
                },
            };
            self.marks.hit(match kept {
                0 => DiskMark::PageLost,
                kept if kept == whole => DiskMark::PageKept,
                _ => DiskMark::PageTorn,
            });
            lost |= kept != whole;
            let page = &mut file.pages[number as usize];
            page.write_back(kept);
            self.garble(page, whole & !kept);
        }
        for page in &mut file.pages {
            page.drop_cache();
        }
        file.dirty.clear();
        file.late_error = false;
        zero_behind(file);
        lost
    }

    /// The power went while the device wrote one of these sectors, which it has neither as it was
    /// nor as it was to be.
    fn garble(&mut self, page: &mut Page, unwritten: u8) {
        if unwritten == 0 || !self.chance.hits(self.faults.garble) {
            return;
        }
        self.marks.hit(DiskMark::SectorGarbled);
        let first = unwritten & unwritten.wrapping_neg();
        for range in sector_ranges(first) {
            for byte in &mut page.device_mut()[range] {
                *byte = self.chance.bits() as u8;
            }
        }
    }

    fn cut_directory(&mut self, at: usize, fate: Fate, lossy: &[u32]) {
        let mut directory =
            std::mem::replace(&mut self.directories[at], super::names::Directory::new("".into()));
        let (lost, kept) = directory.cut(&mut |_: &Change| self.keeps(fate));
        self.directories[at] = directory;
        for _ in 0..lost {
            self.marks.hit(DiskMark::NameLost);
        }
        for change in kept {
            self.marks.hit(DiskMark::NameKept);
            let mut files = change.sets.iter().filter_map(|(_, file)| *file);
            if files.any(|file| lossy.contains(&file)) {
                self.marks.hit(DiskMark::NameBeforeData);
            }
        }
    }
}

/// What stands behind the end of a file is no part of it.
fn zero_behind(file: &mut FileState) {
    let end = file.length as usize;
    let page = super::file::PAGE;
    file.pages.truncate(end.div_ceil(page));
    if !end.is_multiple_of(page)
        && let Some(last) = file.pages.get_mut(end / page)
        && let Some(device) = &mut last.device
    {
        device[end % page..].fill(0);
        let gone = super::file::sectors_of((end % page).next_multiple_of(SECTOR), page);
        last.bad &= !gone;
        last.unreadable &= !gone;
    }
}
