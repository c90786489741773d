//! Bytes of snapshots that change on the device behind everybody's back.

use std::path::Path;

use super::harness::{append, commands, founded, id, options, start};
use super::images::{build, contents, path, payload};
use super::losable::LosableDisk;
use crate::model::{Index, LogId};
use crate::storage::{ErrorClass, FileWork, Inspection, Verdict};

const OLDER: LogId = LogId::new(crate::model::Term(1), Index(14));
const NEWEST: LogId = LogId::new(crate::model::Term(1), Index(25));

/// Two snapshots, and a log that begins below the older one and reaches behind the newest, or
/// only to where nothing but the newest reaches.
fn directory(bytes: usize) -> LosableDisk {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 11, 1000));
    append(&mut node.writer, id(1, 12), commands(1, 13, 11, 1000));
    append(&mut node.writer, id(1, 23), commands(1, 24, 5, 1000));
    build(&mut node.files, OLDER, bytes).unwrap();
    build(&mut node.files, NEWEST, bytes).unwrap();
    let (through, wanted) = (OLDER.index, OLDER.index);
    node.files.perform(FileWork::RemoveThrough { through, wanted, max_bytes: 0 }).unwrap();
    drop(node);
    disk.after_process_end()
}

/// Which snapshot a start loads, all of it right.
fn outcome(disk: &LosableDisk, bytes: usize) -> Result<LogId, ErrorClass> {
    let node = start(disk).map_err(|error| error.class())?;
    let loaded = node.snapshot.expect("the log begins behind one");
    assert!(contents(loaded.sink) == payload(loaded.id.last, bytes), "{}", loaded.id);
    assert_eq!(node.last, Index(28));
    Ok(loaded.id.last)
}

fn verdict(disk: &LosableDisk) -> Verdict {
    let inspection = Inspection::open(disk.clone(), Path::new(super::harness::ROOT)).unwrap();
    inspection.verify_snapshots().unwrap().verdict
}

/// Damages a copy of the directory and looks at what comes of it.
fn damaged(disk: &LosableDisk, last: LogId, change: impl FnOnce(&mut Vec<u8>)) -> LosableDisk {
    let damaged = disk.copy();
    damaged.damage(&path(last), change);
    assert_eq!(verdict(&damaged), Verdict::Corrupt);
    damaged
}

#[test]
fn no_flipped_bit_is_ever_loaded_whichever_byte_it_is_in() {
    for (bytes, step) in [(300, 1), (150_000, 331)] {
        let disk = directory(bytes);
        let length = disk.bytes(&path(NEWEST)).len();
        assert_eq!(outcome(&disk.copy(), bytes), Ok(NEWEST));
        for at in (0..length).step_by(step) {
            let flip = |file: &mut Vec<u8>| file[at] ^= 1 << (at % 8);
            let newest = damaged(&disk, NEWEST, flip);
            let both = newest.copy();
            assert_eq!(outcome(&newest, bytes), Ok(OLDER), "byte {at} of {bytes}");
            if at % 16 == 0 {
                assert_eq!(outcome(&damaged(&disk, OLDER, flip), bytes), Ok(NEWEST), "byte {at}");
                let both = damaged(&both, OLDER, flip);
                assert_eq!(outcome(&both, bytes), Err(ErrorClass::Corrupt), "byte {at}");
            }
        }
    }
}

#[test]
fn no_page_that_is_zero_or_another_one_is_ever_loaded() {
    let disk = directory(150_000);
    let whole = disk.bytes(&path(NEWEST));
    for page in 0..whole.len() / 4096 {
        let at = page * 4096;
        let zeroed = damaged(&disk, NEWEST, |file| file[at..at + 4096].fill(0));
        assert_eq!(outcome(&zeroed, 150_000), Ok(OLDER), "page {page}");
        let other = (page + 17) % (whole.len() / 4096) * 4096;
        let moved = damaged(&disk, NEWEST, |file| file.copy_within(other..other + 4096, at));
        assert_eq!(outcome(&moved, 150_000), Ok(OLDER), "page {page}");
    }
}

#[test]
fn chunks_in_another_order_are_not_loaded() {
    let disk = directory(150_000);
    let swapped = damaged(&disk, NEWEST, |file| {
        let (first, second) = file[4096..4096 + 2 * 61_440].split_at_mut(61_440);
        first.swap_with_slice(second);
    });
    assert_eq!(outcome(&swapped, 150_000), Ok(OLDER));
}

#[test]
fn a_snapshot_that_is_cut_or_longer_than_it_was_is_not_loaded() {
    let disk = directory(150_000);
    let length = disk.bytes(&path(NEWEST)).len();
    for cut in (0..length).step_by(509).chain(length - 70..length) {
        let cut = damaged(&disk, NEWEST, |file| file.truncate(cut));
        assert_eq!(outcome(&cut, 150_000), Ok(OLDER));
    }
    for more in [1, 64, 61_440] {
        let longer = damaged(&disk, NEWEST, |file| file.resize(length + more, 0));
        assert_eq!(outcome(&longer, 150_000), Ok(OLDER));
    }
}

#[test]
fn a_snapshot_that_vanished_leaves_the_other_one_and_without_both_nothing_starts() {
    let disk = directory(300);
    let no_newest = disk.copy();
    no_newest.take_away(&path(NEWEST));
    assert_eq!(outcome(&no_newest.copy(), 300), Ok(OLDER));
    let no_older = disk.copy();
    no_older.take_away(&path(OLDER));
    assert_eq!(outcome(&no_older, 300), Ok(NEWEST));
    no_newest.take_away(&path(OLDER));
    assert_eq!(start(&no_newest).unwrap_err().class(), ErrorClass::Corrupt);
}

#[test]
fn absurd_numbers_with_right_checksums_end_in_an_answer() {
    let disk = directory(300);
    let values = [u64::MAX, u64::MAX / 2, 1 << 62, 1 << 40, 65_536, 8192, 4096, 1, 0];
    for field in (16..120).step_by(4) {
        for value in values {
            let absurd = disk.copy();
            absurd.damage(&path(NEWEST), |file| {
                file[field..field + 8].copy_from_slice(&value.to_le_bytes());
                super::images::seal_head(&mut file[..4096]);
            });
            let _ = verdict(&absurd);
            let found = start(&absurd).map(|node| node.snapshots[0].last);
            match found {
                Ok(last) => assert!(last == OLDER || last == NEWEST),
                Err(error) => assert_eq!(error.class(), ErrorClass::Corrupt, "{field} {value}"),
            }
        }
    }
}
