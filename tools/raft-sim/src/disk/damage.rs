//! Damage to what is durable.

use super::DamageKind;
use super::file::{PAGE, SECTOR, sector_ranges, sectors_of};
use super::marks::DiskMark;
use super::state::State;

impl State {
    /// Flips a bit of any page that the device holds.
    pub(super) fn rot_anywhere(&mut self) {
        let mut count = 0;
        let holds = |page: &&super::file::Page| page.device.is_some();
        for file in &self.files {
            count += file.pages.iter().filter(holds).count() as u64;
        }
        if count == 0 {
            return;
        }
        let mut chosen = self.chance.below(count) as usize;
        for at in 0..self.files.len() {
            let pages = self.files[at].pages.iter().enumerate();
            let held: Vec<usize> =
                pages.filter(|(_, page)| page.device.is_some()).map(|(number, _)| number).collect();
            if let Some(number) = held.get(chosen) {
                let bit = self.chance.below(PAGE as u64 * 8);
                let start = (number * PAGE) as u64;
                self.rot(at as u32, start * 8 + bit);
                return;
            }
            chosen -= held.len();
        }
    }

    /// Flips one bit of a file on the device.
    pub(super) fn rot(&mut self, file: u32, bit: u64) {
        let offset = bit / 8;
        let sector = 1 << (offset as usize % PAGE / SECTOR);
        let page = self.files[file as usize].page(offset as usize / PAGE);
        let hidden = page.resident;
        page.hide(sector);
        page.device_mut()[offset as usize % PAGE] ^= 1 << (bit % 8);
        page.bad |= sector;
        self.marks.hit(DiskMark::Rotted);
        if hidden {
            self.marks.hit(DiskMark::RotHidden);
        }
        self.injure(DamageKind::Rot, file, offset);
    }

    /// The sectors of a range of a file are on the device as if they had never been written.
    pub(super) fn lose_written(&mut self, file: u32, from: u64, to: u64) {
        let end = to.min(self.files[file as usize].device_length) as usize;
        let mut at = from as usize;
        while at < end {
            let (number, begin) = (at / PAGE, at % PAGE);
            let stop = PAGE.min(begin + end - at);
            let sectors = sectors_of(begin, stop);
            let page = self.files[file as usize].page(number);
            page.hide(sectors);
            sector_ranges(sectors).for_each(|range| page.device_mut()[range].fill(0));
            page.bad |= sectors;
            at += stop - begin;
        }
        self.marks.hit(DiskMark::WriteLost);
        self.injured(DamageKind::Lost, file, from, to - from);
    }

    /// Makes the device report an error for the sector at `offset`.
    pub(super) fn make_unreadable(&mut self, file: u32, offset: u64) {
        let sector = 1 << (offset as usize % PAGE / SECTOR);
        self.files[file as usize].page(offset as usize / PAGE).unreadable |= sector;
        self.injure(DamageKind::Unreadable, file, offset);
    }

    fn injure(&mut self, kind: DamageKind, file: u32, offset: u64) {
        let sector = SECTOR as u64;
        self.injured(kind, file, offset / sector * sector, sector);
    }

    fn injured(&mut self, kind: DamageKind, file: u32, offset: u64, length: u64) {
        self.injected.push((kind, file, offset, length));
        self.note(offset);
    }
}
