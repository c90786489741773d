//! One file: the bytes that programs see, the bytes that the device holds, and what of the first
//! the second may not have.

pub(super) const PAGE: usize = 4096;
pub(super) const SECTOR: usize = 512;

type Bytes = Box<[u8; PAGE]>;

const ZEROS: [u8; PAGE] = [0; PAGE];

/// A page of a file. Masks have a bit for each sector.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// What the cache holds, where it may differ from the device.
    pub(super) cache: Option<Bytes>,
    /// What the device holds; zeros if there is nothing.
    pub(super) device: Option<Bytes>,
    /// Written, and not on the device for all that is known.
    pub(super) dirty: u8,
    /// Clean, though the cache and the device differ.
    pub(super) stale: u8,
    /// The device doesn't hold what was reported as durable.
    pub(super) bad: u8,
    /// The device reports an error for a read.
    pub(super) unreadable: u8,
    /// Whether reads find it in the cache.
    pub(super) resident: bool,
}

impl Page {
    pub(super) fn seen(&self) -> &[u8; PAGE] {
        self.cache.as_deref().unwrap_or_else(|| self.held())
    }

    pub(super) fn held(&self) -> &[u8; PAGE] {
        self.device.as_deref().unwrap_or(&ZEROS)
    }

    /// The cache's bytes, to be changed.
    pub(super) fn cache_mut(&mut self) -> &mut [u8; PAGE] {
        let device = &self.device;
        self.resident = true;
        self.cache.get_or_insert_with(|| match device {
            Some(device) => device.clone(),
            None => Box::new(ZEROS),
        })
    }

    pub(super) fn device_mut(&mut self) -> &mut [u8; PAGE] {
        self.device.get_or_insert_with(|| Box::new(ZEROS))
    }

    /// Copies these sectors from the cache to the device.
    pub(super) fn write_back(&mut self, sectors: u8) {
        if let Some(cache) = self.cache.take() {
            let device = self.device_mut();
            for range in sector_ranges(sectors) {
                device[range.clone()].copy_from_slice(&cache[range]);
            }
            self.cache = Some(cache);
        }
        self.dirty &= !sectors;
        self.stale &= !sectors;
        self.bad &= !sectors;
        self.unreadable &= !sectors;
    }

    /// Takes the page out of the cache.
    pub(super) fn drop_cache(&mut self) {
        self.cache = None;
        self.dirty = 0;
        self.stale = 0;
        self.resident = false;
    }

    /// Keeps what programs see as it is while the device is changed in these sectors.
    pub(super) fn hide(&mut self, sectors: u8) {
        if self.resident {
            self.cache_mut();
            self.stale |= sectors & !self.dirty;
        }
    }
}

/// The byte ranges of runs of sectors.
pub(super) fn sector_ranges(sectors: u8) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..8).filter(move |at| sectors >> at & 1 == 1).map(|at| at * SECTOR..(at + 1) * SECTOR)
}

/// The sectors that a part of a page touches.
pub(super) fn sectors_of(from: usize, to: usize) -> u8 {
    let (first, end) = (from / SECTOR, to.div_ceil(SECTOR));
    ((1_u16 << end) - (1_u16 << first)) as u8
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileState {
    pub(super) pages: Vec<Page>,
    pub(super) length: u64,
    /// The length that the device knows.
    pub(super) device_length: u64,
    /// Changes of the length that the device may not know, in order.
    pub(super) lengths: Vec<u64>,
    /// Numbers of dirty pages; clean ones may stand among them.
    pub(super) dirty: Vec<u32>,
    /// A writeback failed, and no sync has said so.
    pub(super) late_error: bool,
    pub(super) mapped: u32,
    pub(super) handles: u32,
    /// Until when it is busy with operations that were run already.
    pub(super) busy_until: u64,
}

impl FileState {
    pub(super) fn page(&mut self, number: usize) -> &mut Page {
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, Page::default);
        }
        &mut self.pages[number]
    }

    /// Stores bytes within the length.
    pub(super) fn store(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset as usize;
        let mut left = bytes;
        while !left.is_empty() {
            let (number, from) = (at / PAGE, at % PAGE);
            let count = left.len().min(PAGE - from);
            let page = self.page(number);
            let was_dirty = page.dirty != 0;
            page.cache_mut()[from..from + count].copy_from_slice(&left[..count]);
            // The kernel writes whole pages: what it had let go goes out with the rest.
            page.dirty |= sectors_of(from, from + count) | page.stale;
            page.stale = 0;
            if !was_dirty {
                self.dirty.push(number as u32);
            }
            at += count;
            left = &left[count..];
        }
    }

    /// Reads what programs see, or what the device holds, within the length.
    pub(super) fn load(&self, offset: u64, buffer: &mut [u8], device: bool) {
        let mut at = offset as usize;
        let mut left = buffer;
        while !left.is_empty() {
            let (number, from) = (at / PAGE, at % PAGE);
            let count = left.len().min(PAGE - from);
            let page = self.pages.get(number);
            let bytes = match page {
                Some(page) if device => page.held(),
                Some(page) => page.seen(),
                None => &ZEROS,
            };
            let (now, later) = left.split_at_mut(count);
            now.copy_from_slice(&bytes[from..from + count]);
            left = later;
            at += count;
        }
    }

    /// Changes the length that programs see.
    pub(super) fn set_length(&mut self, length: u64) {
        if length < self.length {
            self.hide_behind(length);
        }
        self.length = length;
        self.lengths.push(length);
    }

    /// Makes programs see zeros behind `length`, if the file grows again.
    fn hide_behind(&mut self, length: u64) {
        let (first, part) = (length as usize / PAGE, length as usize % PAGE);
        for (at, page) in self.pages.iter_mut().enumerate().skip(first) {
            let from = if at == first { part } else { 0 };
            page.cache_mut()[from..].fill(0);
            let gone = sectors_of(from.next_multiple_of(SECTOR), PAGE);
            page.dirty &= !gone;
            page.stale &= !gone;
        }
    }

    /// Lets the device know the first `count` changes of the length.
    pub(super) fn apply_lengths(&mut self, count: usize) {
        for at in 0..count {
            let length = self.lengths[at];
            if length < self.device_length {
                let (first, part) = (length as usize / PAGE, length as usize % PAGE);
                for (at, page) in self.pages.iter_mut().enumerate().skip(first) {
                    let from = if at == first { part } else { 0 };
                    if from == 0 {
                        page.device = None;
                    } else if let Some(device) = &mut page.device {
                        device[from..].fill(0);
                    }
                    let gone = sectors_of(from.next_multiple_of(SECTOR), PAGE);
                    page.bad &= !gone;
                    page.unreadable &= !gone;
                }
            }
            self.device_length = length;
        }
        self.lengths.clear();
    }

    /// The dirty pages that lie in a range of bytes, with their number.
    pub(super) fn dirty_in(&self, from: u64, to: u64) -> Vec<u32> {
        let (first, end) = (from / PAGE as u64, to.div_ceil(PAGE as u64));
        let mut found: Vec<u32> = self
            .dirty
            .iter()
            .copied()
            .filter(|number| (first..end).contains(&u64::from(*number)))
            .filter(|number| self.pages[*number as usize].dirty != 0)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Forgets the numbers of pages that are clean.
    pub(super) fn tidy_dirty(&mut self) {
        let pages = &self.pages;
        self.dirty.retain(|number| pages[*number as usize].dirty != 0);
    }

    pub(super) fn has_unsynced(&self) -> bool {
        !self.lengths.is_empty() || self.has_dirty_pages()
    }

    pub(super) fn has_dirty_pages(&self) -> bool {
        self.dirty.iter().any(|at| self.pages[*at as usize].dirty != 0)
    }

    /// Whether the device holds in a range of bytes what was reported as durable.
    pub(super) fn is_intact(&self, from: u64, to: u64) -> bool {
        let (first, end) = (from as usize / PAGE, (to as usize).div_ceil(PAGE));
        let pages = self.pages.iter().enumerate().take(end).skip(first);
        pages.into_iter().all(|(at, page)| {
            let begin = (from as usize).saturating_sub(at * PAGE);
            let stop = (to as usize - at * PAGE).min(PAGE);
            (page.bad | page.unreadable) & sectors_of(begin, stop) == 0
        })
    }
}
