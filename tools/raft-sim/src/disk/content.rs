//! What is done to the contents of files.

use std::io;

use super::DamageKind;
use super::file::{PAGE, Page, sector_ranges};
use super::journal::Undo;
use super::marks::DiskMark;
use super::state::{Kind, State, When, failed, full};

impl State {
    /// Makes a file longer or shorter for programs.
    pub(super) fn resize(&mut self, file: u32, when: When, length: u64) {
        let state = &mut self.files[file as usize];
        let before = Box::new(state.clone());
        state.set_length(length);
        self.remember(when, Undo::File { file, before });
    }

    pub(super) fn write(&mut self, file: u32, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        let state = &self.files[file as usize];
        let (busy, length) = (state.busy_until, state.length);
        let operated = self.operate(Kind::Write, busy, u64::from(file));
        let (when, bytes, outcome) = match operated {
            Ok(when) => (when, bytes, Ok(())),
            Err(error) if self.read_only || bytes.is_empty() => return Err(error),
            Err(error) => {
                let count = self.chance.below(bytes.len() as u64) as usize;
                (When { start: self.now - 1, end: self.now }, &bytes[..count], Err(error))
            }
        };
        let grew = outcome.is_ok() && end > length;
        if grew {
            if self.has_no_room(end - length) {
                return Err(full());
            }
            self.resize(file, when, end);
        } else if outcome.is_err() && end > length {
            return outcome;
        }
        self.store(file, when, offset, bytes, grew);
        if self.chance.hits(self.faults.writeback) {
            self.write_back_some(file, when);
        }
        if self.chance.hits(self.faults.late_error) {
            self.fail_writeback(file, when);
        }
        outcome
    }

    fn store(&mut self, file: u32, when: When, offset: u64, bytes: &[u8], grew: bool) {
        if bytes.is_empty() {
            return;
        }
        let state = &mut self.files[file as usize];
        let (begin, end) = (offset as usize, offset as usize + bytes.len());
        let mut old = vec![0; bytes.len()];
        state.load(offset, &mut old, false);
        let pages = begin / PAGE..end.div_ceil(PAGE);
        let masks = pages.map(|number| {
            let page = state.page(number);
            (page.dirty, page.stale)
        });
        let masks = masks.collect();
        state.store(offset, bytes);
        self.remember(when, Undo::Stored { file, offset, old, masks, grew });
    }

    fn random_dirty(&mut self, file: u32) -> Option<u32> {
        let state = &self.files[file as usize];
        let known = state.device_length.div_ceil(PAGE as u64);
        let dirty = state.dirty_in(0, known * PAGE as u64);
        if dirty.is_empty() {
            return None;
        }
        Some(dirty[self.chance.below(dirty.len() as u64) as usize])
    }

    fn change_pages(&mut self, file: u32, when: When, numbers: &[u32]) {
        let state = &mut self.files[file as usize];
        let late_error = state.late_error;
        let before = numbers.iter().map(|at| (*at, state.page(*at as usize).clone())).collect();
        self.remember(when, Undo::Pages { file, before, late_error });
    }

    /// A dirty page reaches the device on its own.
    fn write_back_some(&mut self, file: u32, when: When) {
        let Some(number) = self.random_dirty(file) else { return };
        self.change_pages(file, when, &[number]);
        let page = self.files[file as usize].page(number as usize);
        page.write_back(page.dirty);
        self.marks.hit(DiskMark::Writeback);
    }

    /// A dirty page fails to reach the device, and counts as clean.
    fn fail_writeback(&mut self, file: u32, when: When) {
        let Some(number) = self.random_dirty(file) else { return };
        self.change_pages(file, when, &[number]);
        let state = &mut self.files[file as usize];
        state.late_error = true;
        let page = state.page(number as usize);
        page.stale |= std::mem::take(&mut page.dirty);
        self.marks.hit(DiskMark::WritebackFailed);
    }

    /// Makes dirty pages durable that lie in a range.
    pub(super) fn sync(&mut self, file: u32, from: u64, to: u64) -> io::Result<()> {
        let busy = self.files[file as usize].busy_until;
        let when = self.operate(Kind::Sync, busy, u64::from(file))?;
        let keeps = self.chance.hits(self.faults.sync_keeps_cache);
        if keeps || self.chance.hits(self.faults.sync_reverts_cache) {
            self.fail_sync(file, when, from, to, keeps);
            return Err(failed());
        }
        let numbers = self.files[file as usize].dirty_in(from, to);
        let astray = self.draw_misdirected(file, &numbers);
        self.make_durable(file, when, &numbers, &astray);
        if self.files[file as usize].late_error {
            self.marks.hit(DiskMark::LateErrorReported);
            self.change_pages(file, when, &[]);
            self.files[file as usize].late_error = false;
            return Err(failed());
        }
        Ok(())
    }

    fn make_durable(&mut self, file: u32, when: When, numbers: &[u32], astray: &[u32]) {
        let before: Vec<(u32, Page)> = {
            let pages = &self.files[file as usize].pages;
            astray.iter().map(|number| (*number, pages[*number as usize].clone())).collect()
        };
        let state = &mut self.files[file as usize];
        if !state.lengths.is_empty() || !astray.is_empty() {
            let before = Box::new(state.clone());
            state.apply_lengths(state.lengths.len());
            self.remember(when, Undo::File { file, before });
        } else {
            let mut device = Vec::new();
            let mut masks = Vec::with_capacity(numbers.len());
            for number in numbers {
                let page = &state.pages[*number as usize];
                masks.push((*number, [page.dirty, page.bad, page.unreadable]));
                let held = page.held();
                sector_ranges(page.dirty).for_each(|at| device.extend_from_slice(&held[at]));
            }
            self.remember(when, Undo::Synced { file, masks, device });
        }
        let state = &mut self.files[file as usize];
        let mut healed = false;
        for number in numbers {
            let page = &mut state.pages[*number as usize];
            healed |= (page.bad | page.unreadable) & page.dirty != 0;
            page.write_back(page.dirty);
        }
        state.tidy_dirty();
        if healed {
            self.marks.hit(DiskMark::DamageHealed);
        }
        for (number, before) in before {
            self.misdirect(file, number, &before);
        }
    }

    fn fail_sync(&mut self, file: u32, when: When, from: u64, to: u64, keeps: bool) {
        let numbers = self.files[file as usize].dirty_in(from, to);
        self.change_pages(file, when, &numbers);
        for number in numbers {
            let lands = self.chance.coin();
            let state = &mut self.files[file as usize];
            let known = u64::from(number) * (PAGE as u64) < state.device_length;
            let page = state.page(number as usize);
            if lands && known {
                page.write_back(page.dirty);
            } else if keeps {
                page.stale |= std::mem::take(&mut page.dirty);
            } else {
                revert(page);
            }
        }
        self.files[file as usize].tidy_dirty();
        let mark = if keeps { DiskMark::SyncKeptCache } else { DiskMark::SyncRevertedCache };
        self.marks.hit(mark);
        self.perhaps_read_only();
    }

    pub(super) fn perhaps_read_only(&mut self) {
        if self.chance.hits(self.faults.read_only_after_error) {
            self.read_only = true;
            self.marks.hit(DiskMark::BecameReadOnly);
        }
    }

    /// Which of the pages that are to be written go elsewhere.
    fn draw_misdirected(&mut self, file: u32, numbers: &[u32]) -> Vec<u32> {
        if self.misdirect_next == Some(file) && !numbers.is_empty() {
            self.misdirect_next = None;
            return vec![numbers[self.chance.below(numbers.len() as u64) as usize]];
        }
        if self.faults.misdirect == 0 {
            return Vec::new();
        }
        numbers.iter().copied().filter(|_| self.chance.hits(self.faults.misdirect)).collect()
    }

    /// Has a page, whose state before the sync is `before`, written to another place instead.
    fn misdirect(&mut self, file: u32, number: u32, before: &Page) {
        let count = self.files[file as usize].device_length / PAGE as u64;
        let victim = if count > 1 { self.chance.below(count) } else { 0 };
        if count < 2 || victim == u64::from(number) {
            return;
        }
        let state = &mut self.files[file as usize];
        let sectors = before.dirty;
        let page = state.page(number as usize);
        page.hide(sectors);
        let written = page.held().to_owned();
        let old = before.held().to_owned();
        let target = page.device_mut();
        sector_ranges(sectors).for_each(|at| target[at.clone()].copy_from_slice(&old[at]));
        page.bad |= sectors;
        let page = state.page(victim as usize);
        page.hide(sectors);
        let target = page.device_mut();
        sector_ranges(sectors).for_each(|at| target[at.clone()].copy_from_slice(&written[at]));
        page.bad |= sectors;
        self.marks.hit(DiskMark::Misdirected);
        let page_bytes = PAGE as u64;
        self.injected.push((
            DamageKind::Unwritten,
            file,
            u64::from(number) * page_bytes,
            page_bytes,
        ));
        self.injected.push((DamageKind::Overwritten, file, victim * page_bytes, page_bytes));
    }

    pub(super) fn read(
        &mut self,
        file: u32,
        offset: u64,
        buffer: &mut [u8],
        past_cache: bool,
    ) -> io::Result<()> {
        let busy = self.files[file as usize].busy_until;
        let when = self.operate(Kind::Read, busy, u64::from(file))?;
        let state = &self.files[file as usize];
        let end = offset.checked_add(buffer.len() as u64);
        let Some(end) = end.filter(|end| *end <= state.length) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let mut device = past_cache && self.faults.direct_reads;
        if device && state.has_unsynced() {
            // Such a read first writes what the cache has of it. What the device doesn't know
            // the length of is read from the cache.
            device = state.lengths.is_empty();
            if device {
                let numbers = state.dirty_in(offset, end);
                self.change_pages(file, when, &numbers);
                let state = &mut self.files[file as usize];
                for number in numbers {
                    let page = state.page(number as usize);
                    page.write_back(page.dirty);
                }
                state.tidy_dirty();
            }
        }
        self.meet_damage(file, offset, end, device)?;
        self.files[file as usize].load(offset, buffer, device);
        Ok(())
    }

    /// Reads the pages of a range into the cache, or past it.
    fn meet_damage(&mut self, file: u32, from: u64, to: u64, device: bool) -> io::Result<()> {
        let state = &mut self.files[file as usize];
        let (first, end) = (from as usize / PAGE, (to as usize).div_ceil(PAGE));
        let mut met = false;
        let mut unreadable = false;
        for page in state.pages.iter_mut().take(end).skip(first) {
            let from_device = device || !page.resident;
            met |= from_device && page.bad != 0;
            unreadable |= from_device && page.unreadable != 0;
            page.resident |= !device && page.unreadable == 0;
        }
        if met {
            self.marks.hit(DiskMark::DamageRead);
        }
        if unreadable {
            self.marks.hit(DiskMark::ReadFailed);
            return Err(failed());
        }
        Ok(())
    }

    pub(super) fn drop_cache(&mut self, file: u32) -> io::Result<()> {
        let busy = self.files[file as usize].busy_until;
        let when = self.operate(Kind::Look, busy, u64::from(file))?;
        let state = &self.files[file as usize];
        // What somebody maps stays, and so does what the device doesn't have.
        if state.mapped > 0 || !state.lengths.is_empty() {
            return Ok(());
        }
        let stale: Vec<u32> = (0..state.pages.len() as u32)
            .filter(|at| state.pages[*at as usize].stale != 0)
            .collect();
        if !stale.is_empty() {
            self.change_pages(file, when, &stale);
            self.marks.hit(DiskMark::StalePageDropped);
        }
        for page in &mut self.files[file as usize].pages {
            if page.dirty == 0 {
                page.drop_cache();
            }
        }
        Ok(())
    }
}

/// Takes new bytes out of the cache.
fn revert(page: &mut Page) {
    let sectors = std::mem::take(&mut page.dirty);
    if let Some(mut cache) = page.cache.take() {
        let held = page.held();
        sector_ranges(sectors).for_each(|at| cache[at.clone()].copy_from_slice(&held[at]));
        page.cache = Some(cache);
    }
}
