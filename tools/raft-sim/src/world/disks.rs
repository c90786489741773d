//! The disk of a machine, and what a seed lets go wrong with it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::invariants::Vote;
use super::random::Random;
use super::scenario::{Fault, Scenario};
use crate::disk::{DamageKind, DiskFaults, DiskMark, SimulatedDisk, Span};

/// A disk, in the world's time.
pub(crate) struct HostDisk {
    disk: SimulatedDisk,
}

/// The layout of a segment, from docs/file-formats.md.
const FIRST_BLOCK: usize = 4096;
const BLOCK_HEAD_BYTES: usize = 64;
const BLOCK_ALIGNMENT: usize = 512;

/// The directory in which each node has one by its number.
pub(crate) const DATA: &str = "/data";

/// Where the two copies of the hard state begin in their file.
const HARD_STATE_COPIES: [usize; 2] = [0, 32_768];

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

    /// A copy of all its files at this time.
    pub(crate) fn copy(&self, now: u64, seed: u64) -> SimulatedDisk {
        self.disk.clone_files(now / 1000, seed)
    }

    /// It has these files from now on. No process uses it.
    pub(crate) fn put_back(&self, copy: &SimulatedDisk) {
        self.disk.put_back(copy);
    }

    /// Lets the next write to some file land elsewhere: half of the time to the segment that was
    /// begun last.
    pub(crate) fn misdirect(&self, random: &mut Random) -> Option<PathBuf> {
        let files: Vec<PathBuf> = self.disk.files().into_iter().map(|(path, _)| path).collect();
        let newest = files.iter().filter(|path| is_segment(path)).max();
        let path = newest.filter(|_| random.permille(500)).or_else(|| random.pick(&files))?;
        self.disk.misdirect_next(path).ok().map(|()| path.clone())
    }

    /// How many bytes its segments take.
    pub(crate) fn log_bytes(&self) -> u64 {
        let files = self.disk.files().into_iter();
        files.filter(|(path, _)| is_segment(path)).map(|(_, length)| length).sum()
    }

    /// Some file is gone. No process uses it.
    pub(crate) fn lose_file(&self, random: &mut Random) -> Option<PathBuf> {
        let files: Vec<PathBuf> = self.disk.files().into_iter().map(|(path, _)| path).collect();
        let segments: Vec<PathBuf> =
            files.iter().filter(|path| is_segment(path)).cloned().collect();
        let some = if random.permille(700) { &segments } else { &files };
        let path = random.pick(some)?;
        self.disk.vanish(path).ok().map(|()| path.clone())
    }

    /// How many writes to segments went astray since this was asked last.
    pub(crate) fn take_astray(&self) -> usize {
        let astray = self.disk.take_damage().into_iter().filter(|damage| {
            damage.kind == DamageKind::Unwritten
                && damage.path.as_ref().is_none_or(|path| is_segment(path))
        });
        astray.count()
    }

    pub(crate) fn stall(&self, until: u64) {
        self.disk.stall_until(until / 1000);
    }

    /// Flips a bit somewhere, in the segment that was begun last only where a later block or the
    /// floor proves that it was durable: where a log ends, rot can't be told from what a crash
    /// has left. It is the newest whose name is durable: what the process has asked for and isn't
    /// done yet proves nothing. Now and then it is the last that is proven.
    pub(crate) fn rot(&self, now: u64, random: &mut Random) -> Option<PathBuf> {
        let mut files = self.disk.device_files(now / 1000);
        let newest = files.iter().map(|(path, _)| path).filter(|path| is_segment(path)).max();
        let newest = newest.cloned();
        files.retain(|(_, length)| *length > 0);
        let (path, length) = random.pick(&files)?;
        let range =
            if Some(path) == newest.as_ref() { self.proven(path, now)? } else { 0..*length };
        if range.is_empty() {
            return None;
        }
        let begin = match random.permille(300) {
            true => range.start.max(range.end.saturating_sub(2 * BLOCK_ALIGNMENT as u64)),
            false => range.start,
        };
        let offset = begin + random.below(range.end - begin);
        let bit = random.below(8) as u8;
        self.disk.rot(path, now / 1000, offset, bit).ok().map(|()| path.clone())
    }

    /// Flips a bit of a snapshot, or of what was received of one.
    pub(crate) fn rot_snapshot(&self, now: u64, random: &mut Random) -> Option<PathBuf> {
        let mut files = self.disk.device_files(now / 1000);
        files.retain(|(path, length)| *length > 0 && is_snapshot(path));
        let (path, length) = random.pick(&files)?;
        let (offset, bit) = (random.below(*length), random.below(8) as u8);
        self.disk.rot(path, now / 1000, offset, bit).ok().map(|()| path.clone())
    }

    /// Where a segment that is still written has what is known to be durable.
    fn proven(&self, path: &Path, now: u64) -> Option<Range<u64>> {
        let segment = self.disk.device_at(path, now / 1000).ok()?;
        let by_blocks = proven_by_blocks(&blocks(&segment));
        let end = by_blocks.max(self.floor(path, &segment, now)?);
        Some(FIRST_BLOCK as u64..end.min(segment.len() as u64))
    }

    /// Up to where the hard state says that a segment is durable, with what that segment holds.
    fn floor(&self, path: &Path, segment: &[u8], now: u64) -> Option<u64> {
        let hard_state = path.parent()?.parent()?.join("hardstate");
        let hard_state = self.disk.device_at(&hard_state, now / 1000).ok()?;
        let floors = HARD_STATE_COPIES.map(|copy| {
            let is_in_it = number(&hard_state, copy + 112, 8) == number(segment, 64, 8);
            number(&hard_state, copy + 120, 8).filter(|_| is_in_it)
        });
        // One that only one copy has may have rotten.
        Some(floors[0].filter(|_| floors[0] == floors[1]).unwrap_or_default())
    }

    /// The device has lost the last blocks of the log, and the mark that says that they were
    /// durable, of all that the floor covers. No process uses it.
    pub(crate) fn lose_end(&self, now: u64, random: &mut Random) -> Option<PathBuf> {
        let files = self.disk.device_files(now / 1000).into_iter().map(|(path, _)| path);
        let path = files.filter(|path| is_segment(path)).max()?;
        let segment = self.disk.device_at(&path, now / 1000).ok()?;
        let floor = self.floor(&path, &segment, now)?;
        let mut blocks = blocks(&segment);
        blocks.retain(|block| *block < floor);
        let from = blocks.iter().rev().nth(random.below(4) as usize).or(blocks.first())?;
        self.disk.lose_written(&path, now / 1000, *from..segment.len() as u64).ok()?;
        Some(path)
    }

    /// Whether the device holds at `now` that its node has voted for a machine in a term, or has
    /// come to a later term: in both copies, so that either may rot.
    pub(crate) fn holds_vote(&self, now: u64, vote: &Vote) -> bool {
        let path = PathBuf::from(format!("{DATA}/{}/hardstate", vote.voter.id));
        let device = self.disk.device_at(&path, now / 1000).unwrap_or_default();
        HARD_STATE_COPIES.iter().all(|copy| {
            let term = number(&device, copy + 80, 8).unwrap_or_default();
            let candidate = number(&device, copy + 104, 2).unwrap_or_default();
            let wanted = (vote.term.0, u64::from(vote.candidate.id.number()));
            term > vote.term.0 || (term, candidate) == wanted
        })
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

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|name| name == "seg")
}

fn is_snapshot(path: &Path) -> bool {
    path.extension().is_some_and(|name| name == "snap" || name == "part")
}

/// Where the blocks of a segment begin.
fn blocks(segment: &[u8]) -> Vec<u64> {
    let mut blocks = Vec::new();
    let mut at = FIRST_BLOCK;
    while number(segment, at + 16, 8) == Some(at as u64) {
        blocks.push(at as u64);
        let length = number(segment, at + 48, 4).unwrap_or_default() as usize;
        at = (at + BLOCK_HEAD_BYTES + length).next_multiple_of(BLOCK_ALIGNMENT);
    }
    blocks
}

/// Up to where a segment has blocks of which a later one says that they are durable: damage there
/// can be told from what a crash leaves.
fn proven_by_blocks(blocks: &[u64]) -> u64 {
    // The last one may not be durable, and what the one before it says may not be either.
    blocks.len().checked_sub(2).map_or(0, |place| blocks[place])
}

/// A field of a file: a number, its lowest byte first.
fn number(file: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let field = file.get(at..at + bytes)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
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
    if scenario.has(Fault::PowerCuts) {
        faults.garble = random.spread(10_000, 1_000_000) as u32;
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
