//! Bytes that change on the device behind everybody's back.

use std::path::{Path, PathBuf};

use super::harness::{
    all_entries, append, append_in_term, commands, founded, id, options, start_with, vote,
};
use super::losable::LosableDisk;
use crate::model::{HardState, Index, WriteSeq};
use crate::storage::{ErrorClass, Inspection, LogWork, OpenOptions, Recovered, Verdict};

/// Segments as short as they can be, so that every byte can have its turn.
fn small() -> OpenOptions {
    OpenOptions { segment_bytes: 8192, ..options() }
}

/// A directory with a few segments, blocks and a replaced suffix, and what its log holds.
fn small_directory(clean: bool) -> (LosableDisk, HardState, Vec<Vec<u8>>) {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, small());
    let writer = &mut node.writer;
    append(writer, id(0, 1), commands(1, 2, 3, 500));
    append(writer, id(1, 4), commands(1, 5, 2, 800));
    append(writer, id(1, 3), commands(2, 4, 2, 600));
    let hard_state = vote(3, 2);
    let (seq, keep) = (WriteSeq(9), id(2, 5));
    let work = LogWork::Write { seq, hard_state: Some(hard_state), keep, batches: Vec::new() };
    writer.perform(work).unwrap();
    drop(node);
    let mut node = start_with(&disk.after_process_end(), small()).unwrap();
    drop(node);
    let disk = disk.after_process_end();
    node = start_with(&disk, small()).unwrap();
    append_in_term(&mut node.writer, id(2, 5), commands(3, 6, 2, 300));
    append(&mut node.writer, id(3, 7), commands(3, 8, 2, 300));
    let last = if clean {
        node.writer.perform(LogWork::Stop).unwrap();
        9
    } else {
        node.writer.perform(LogWork::Mark).unwrap();
        append(&mut node.writer, id(3, 9), commands(3, 10, 1, 100));
        10
    };
    let log = all_entries(&mut node.files, 1, Index(last));
    drop(node);
    let disk = disk.after_process_end();
    (disk, hard_state, log)
}

/// What a start makes of a directory: hard state and log, or the class of the refusal.
type Outcome = Result<(HardState, Vec<Vec<u8>>), ErrorClass>;

fn outcome(disk: &LosableDisk) -> Outcome {
    match start_with(disk, small()) {
        Ok(Recovered { mut files, last, hard_state, .. }) => {
            Ok((hard_state, all_entries(&mut files, 1, last)))
        }
        Err(error) => Err(error.class()),
    }
}

/// Flips one bit in each byte of each file in turn, and hands what a start makes of it to `judge`.
fn flip_every_byte(disk: &LosableDisk, judge: &mut dyn FnMut(&Path, usize, Outcome)) {
    let names: Vec<PathBuf> = disk.files();
    for path in names {
        // Between the two copies of the hard state nothing is ever read.
        let unread = |at: usize| {
            path.ends_with("hardstate") && at % 32_768 >= 4096 && !at.is_multiple_of(97)
        };
        for at in (0..disk.bytes(&path).len()).filter(|at| !unread(*at)) {
            let damaged = disk.copy();
            damaged.damage(&path, |bytes| bytes[at] ^= 1 << (at % 8));
            judge(&path, at, outcome(&damaged));
        }
    }
}

#[test]
fn after_a_clean_stop_no_flipped_bit_changes_or_drops_an_entry() {
    let (disk, hard_state, log) = small_directory(true);
    assert_eq!(outcome(&disk.copy()), Ok((hard_state, log.clone())));
    let mut refused = 0;
    flip_every_byte(&disk, &mut |path, at, outcome| match outcome {
        Ok(found) => {
            assert_eq!(found, (hard_state, log.clone()), "{} byte {at}", path.display());
        }
        Err(class) => {
            assert_eq!(class, ErrorClass::Corrupt, "{} byte {at}", path.display());
            refused += 1;
        }
    });
    // At the least the bytes of all entries.
    let entry_bytes: usize = log.iter().map(Vec::len).sum();
    assert!(refused > entry_bytes, "{refused}");
}

#[test]
fn after_a_crash_only_the_last_unmarked_block_can_be_taken_for_torn() {
    let (disk, hard_state, log) = small_directory(false);
    let shorter = log[..9].to_vec();
    assert_eq!(outcome(&disk.copy()), Ok((hard_state, log.clone())));
    let mut dropped = 0;
    flip_every_byte(&disk, &mut |path, at, outcome| match outcome {
        Ok((found_state, found)) => {
            assert_eq!(found_state, hard_state);
            assert!(found == log || found == shorter, "{} byte {at}", path.display());
            dropped += usize::from(found == shorter);
        }
        Err(class) => assert_eq!(class, ErrorClass::Corrupt, "{} byte {at}", path.display()),
    });
    let block = 64 + log[9].len();
    assert_eq!(dropped, block, "each byte of the last block and no other");
}

#[test]
fn a_zeroed_sector_anywhere_changes_and_drops_nothing_below_the_watermark() {
    let (disk, hard_state, log) = small_directory(true);
    for path in disk.files() {
        for sector in 0..disk.bytes(&path).len() / 512 {
            let damaged = disk.copy();
            damaged.damage(&path, |bytes| bytes[sector * 512..][..512].fill(0));
            match outcome(&damaged) {
                Ok(found) => assert_eq!(found, (hard_state, log.clone())),
                Err(class) => assert_eq!(class, ErrorClass::Corrupt, "{}", path.display()),
            }
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_or_changes_nothing() {
    let (disk, hard_state, log) = small_directory(true);
    for path in disk.files() {
        for length in (0..disk.bytes(&path).len()).step_by(64) {
            let damaged = disk.copy();
            damaged.damage(&path, |bytes| bytes.truncate(length));
            match outcome(&damaged) {
                Ok(found) => assert_eq!(found, (hard_state, log.clone()), "{}", path.display()),
                Err(class) => assert_eq!(class, ErrorClass::Corrupt, "{}", path.display()),
            }
        }
    }
}

#[test]
fn a_file_that_is_taken_away_is_missed() {
    let (disk, _, _) = small_directory(true);
    for path in disk.files() {
        let damaged = disk.copy();
        damaged.take_away(&path);
        assert_eq!(outcome(&damaged), Err(ErrorClass::Corrupt), "{}", path.display());
    }
}

#[test]
fn stale_bytes_of_another_segment_behind_the_end_are_no_blocks() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, small());
    for index in 2..8 {
        let before = id(u64::from(index > 2), index - 1);
        append(&mut node.writer, before, commands(1, index, 1, 100));
    }
    drop(node);
    let disk = disk.after_process_end();
    let mut node = start_with(&disk, small()).unwrap();
    append(&mut node.writer, id(1, 7), commands(1, 8, 1, 100));
    let log = all_entries(&mut node.files, 1, Index(8));
    drop(node);
    let disk = disk.after_process_end();
    let names = disk.files();
    let [old, new] = &names[names.len() - 2..] else { unreachable!("there are two segments") };
    // Both have a block at each of the first places; what the new one hasn't is the old one's.
    let stale = disk.bytes(old);
    disk.damage(new, |bytes| bytes[4608..stale.len()].copy_from_slice(&stale[4608..]));
    let (_, found) = outcome(&disk).unwrap();
    assert_eq!(found, log);
}

#[test]
fn a_block_that_lies_at_another_place_than_it_was_written_for_is_none() {
    let (disk, hard_state, log) = small_directory(true);
    let last = disk.files().into_iter().rfind(|path| path.to_str().unwrap().ends_with(".seg"));
    let last = last.unwrap();
    let moved = disk.copy();
    moved.damage(&last, |bytes| {
        let block = bytes[4096..5120].to_vec();
        let free = bytes.iter().rposition(|&byte| byte != 0).unwrap().next_multiple_of(512);
        bytes[free..free + 1024].copy_from_slice(&block);
    });
    assert_eq!(outcome(&moved), Ok((hard_state, log)));
}

/// Puts the right checksum on a page of 4 KiB, or on the head of a block.
fn reseal(bytes: &mut [u8], at: usize, crc_at: usize, length: usize) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[at..at + crc_at]);
    hasher.update(&bytes[at + crc_at + 4..at + length]);
    let crc = hasher.finalize();
    bytes[at + crc_at..at + crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn absurd_numbers_with_right_checksums_end_in_an_answer() {
    let (disk, _, _) = small_directory(false);
    let values = [u64::MAX, u64::MAX / 2, 1 << 62, 1 << 40, 4096, 1, 0];
    let mut sealed = Vec::new();
    for path in disk.files() {
        let bytes = disk.bytes(&path);
        let pages = (0..bytes.len()).step_by(4096).filter(|&at| bytes[at..].starts_with(b"RAFT"));
        sealed.extend(pages.map(|at| (path.clone(), at, 12, 4096, 16..136)));
        if path.to_str().unwrap().ends_with(".seg") {
            let blocks = (4096..bytes.len()).step_by(512);
            let blocks = blocks.filter(|&at| bytes.get(at..at + 64).is_some_and(|b| b[0] != 0));
            sealed.extend(blocks.map(|at| (path.clone(), at, 8, 64, 12..56)));
        }
    }
    assert!(sealed.len() > 10);
    for (path, at, crc_at, length, fields) in sealed {
        for field in fields.step_by(4) {
            for value in values {
                let absurd = disk.copy();
                absurd.damage(&path, |bytes| {
                    bytes[at + field..at + field + 8].copy_from_slice(&value.to_le_bytes());
                    reseal(bytes, at, crc_at, length);
                });
                let root = Path::new(super::harness::ROOT);
                let inspection = Inspection::open(absurd.clone(), root).unwrap();
                let verdict = inspection.verify().map(|found| found.verdict);
                let refused = outcome(&absurd) == Err(ErrorClass::Corrupt);
                // What files say of each other is judged by a start alone.
                if refused && length == 64 {
                    let note = format!("{} at {at}: field {field} = {value}", path.display());
                    assert_eq!(verdict.unwrap(), Verdict::Corrupt, "{note}");
                }
            }
        }
    }
}
