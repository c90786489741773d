//! The disk of a machine, and what a seed lets go wrong with it.

use std::path::PathBuf;

use super::random::Random;
use super::scenario::{Fault, Scenario};
use crate::disk::{DiskFaults, DiskMark, SimulatedDisk, Span};

/// A disk, in the world's time.
pub(crate) struct HostDisk {
    disk: SimulatedDisk,
}

impl HostDisk {
    pub(crate) fn new(scenario: &Scenario, machine: usize) -> HostDisk {
        let mut random = Random::stream(scenario.seed, &format!("disk {machine}"));
        let seed = random.next();
        HostDisk { disk: SimulatedDisk::new(seed, draw(scenario, &mut random)) }
    }

    pub(crate) fn disk(&self) -> SimulatedDisk {
        self.disk.clone()
    }

    /// What is done from now on begins at this time.
    pub(crate) fn begin(&self, now: u64) {
        self.disk.begin(now / 1000);
    }

    /// Whether something was done since then.
    pub(crate) fn is_used(&self) -> bool {
        self.disk.is_used()
    }

    /// When what was done since then has ended.
    pub(crate) fn end(&self, now: u64) -> u64 {
        (self.disk.end() * 1000).max(now)
    }

    /// A moment behind `now` just before or after something is done, if something is being done.
    pub(crate) fn moment_after(&self, now: u64, random: &mut Random) -> Option<u64> {
        let moments = self.disk.moments_after(now / 1000);
        let moment = random.pick(&moments)? - random.below(2);
        Some((moment * 1000).max(now))
    }

    /// Nothing of it goes wrong any more.
    pub(crate) fn heal(&self, now: u64) {
        let latency = DiskFaults::default().latency;
        self.disk.set_faults(DiskFaults { latency, ..DiskFaults::default() });
        self.disk.stall_until(now / 1000);
    }

    /// Whether only a power cut makes it usable again.
    pub(crate) fn is_read_only(&self) -> bool {
        self.disk.is_read_only()
    }

    pub(crate) fn process_crash(&self, now: u64) {
        self.disk.process_crash(now / 1000);
    }

    pub(crate) fn power_cut(&self, now: u64) {
        self.disk.power_cut(now / 1000);
    }

    pub(crate) fn wipe(&self) {
        self.disk.wipe();
    }

    pub(crate) fn stall(&self, until: u64) {
        self.disk.stall_until(until / 1000);
    }

    /// Flips a bit somewhere, but not in the segment that was begun last: where a log ends, rot
    /// can't be told from what a crash has left.
    pub(crate) fn rot(&self, random: &mut Random) -> Option<PathBuf> {
        let mut files = self.disk.files();
        let is_segment = |path: &PathBuf| path.extension().is_some_and(|name| name == "seg");
        let newest = files.iter().map(|(path, _)| path).filter(|path| is_segment(path)).max();
        let newest = newest.cloned();
        files.retain(|(path, length)| *length > 0 && Some(path) != newest.as_ref());
        let (path, length) = random.pick(&files)?;
        let (offset, bit) = (random.below(*length), random.below(8) as u8);
        self.disk.rot(path, offset, bit).ok().map(|()| path.clone())
    }

    pub(crate) fn trace(&self) -> u64 {
        self.disk.trace()
    }

    /// How often each rare state was reached.
    pub(crate) fn marks(&self) -> impl Iterator<Item = (DiskMark, u64)> {
        let marks = self.disk.marks();
        DiskMark::ALL.iter().map(move |mark| (*mark, marks.count(*mark)))
    }
}

fn draw(scenario: &Scenario, random: &mut Random) -> DiskFaults {
    let mut faults = DiskFaults::default();
    let (least, most) = scenario.sync_us;
    faults.latency.sync = Span::new(least as u32, most as u32);
    faults.writeback = random.spread(1000, 300_000) as u32;
    faults.direct_reads = random.permille(800);
    if scenario.has(Fault::SlowDisks) {
        faults.stall = random.spread(10, 3000) as u32;
        faults.longest_stall_us = random.spread(200_000, 60_000_000);
    }
    if scenario.has(Fault::DiskErrors) {
        let mut rate = || if random.permille(500) { random.spread(10, 2000) as u32 } else { 0 };
        faults.sync_keeps_cache = rate();
        faults.sync_reverts_cache = rate();
        faults.late_error = rate();
        faults.read_error = rate();
        faults.write_error = rate();
        faults.name_error = rate();
        faults.read_only_after_error = 100 * rate();
    }
    if scenario.has(Fault::FullDisks) {
        if random.permille(500) {
            faults.no_space = random.spread(1000, 300_000) as u32;
        } else {
            faults.capacity_bytes = scenario.segment_bytes * random.between(4, 30);
        }
    }
    faults
}
