//! Logs that don't begin at the first entry.

use super::harness::{all_entries, append, commands, founded, founding, id, options, start};
use super::images::{build, head, path, put};
use super::losable::{LosableDisk, Trouble};
use crate::model::{HardState, Index, LogId, LogTime, Term, WriteSeq};
use crate::storage::{ErrorClass, FileReport, FileWork, LogDone, LogWork, Recovered, StorageError};

/// Starts with a durable snapshot up to `last` in the directory.
fn start_behind(disk: &LosableDisk, last: LogId) -> Result<Recovered<LosableDisk>, StorageError> {
    put(disk, last, 100);
    start(disk)
}

/// Lets the segments go that hold only entries up to this one.
fn remove_through(through: u64) -> FileWork {
    FileWork::RemoveThrough { through: Index(through), wanted: Index(u64::MAX), max_bytes: 0 }
}

fn reset(node: &mut Recovered<LosableDisk>, base: LogId) -> Result<(), StorageError> {
    let hard_state = Some(HardState { term: base.term, vote: None });
    let keep = LogId::new(node.runs[0].term, node.last);
    let seq = WriteSeq(1);
    node.writer.perform(LogWork::Write { seq, hard_state, keep, batches: Vec::new() })?;
    let report = node.writer.perform(LogWork::Reset { seq: WriteSeq(2), base })?;
    assert!(matches!(report.done, LogDone::Written { seq: WriteSeq(2), .. }));
    Ok(())
}

#[test]
fn a_reset_voids_what_was_before_and_the_log_goes_on_behind_its_base() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    reset(&mut node, id(4, 500)).unwrap();
    let gone = FileWork::Read { ticket: 1, first: Index(1), last: Index(1), max_bytes: 10 };
    assert!(matches!(node.files.perform(gone).unwrap(), FileReport::NotHeld { ticket: 1 }));
    append(&mut node.writer, id(4, 500), commands(4, 501, 3, 100));
    let removed = node.files.perform(remove_through(500)).unwrap();
    assert!(matches!(removed, FileReport::Removed { segments: 1, more: false, .. }));
    drop(node);
    let disk = disk.after_power_cut(&mut || false);
    let mut node = start_behind(&disk, id(4, 500)).unwrap();
    assert_eq!((node.base, node.last), (id(4, 500), Index(503)));
    assert_eq!(node.configurations, [head(id(4, 500)).configuration]);
    assert_eq!(node.last_time, LogTime(1503));
    assert_eq!(all_entries(&mut node.files, 501, Index(503)).len(), 3);
    drop(node);
    let disk = disk.after_process_end();
    disk.take_away(&path(id(4, 500)));
    let error = start(&disk).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Corrupt, "{error}");
}

#[test]
fn a_reset_without_entries_is_kept_by_later_starts() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    reset(&mut node, id(4, 500)).unwrap();
    drop(node);
    for _ in 0..3 {
        let disk = disk.after_process_end();
        let node = start_behind(&disk, id(4, 500)).unwrap();
        assert_eq!((node.base, node.last, node.segments), (id(4, 500), Index(500), 1));
        assert_eq!(node.last_time, LogTime(1500));
    }
}

#[test]
fn a_crash_at_every_operation_of_the_start_after_a_reset_keeps_the_reset() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    reset(&mut node, id(4, 500)).unwrap();
    drop(node);
    put(&disk, id(4, 500), 100);
    for number in 1.. {
        let disk = disk.after_process_end();
        disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + number)));
        let done = start(&disk).is_ok();
        for keep in [false, true] {
            let after = disk.after_power_cut(&mut || keep);
            let node = start(&after).unwrap();
            assert_eq!((node.base, node.last), (id(4, 500), Index(500)));
        }
        if done {
            break;
        }
    }
}

#[test]
fn a_snapshot_that_the_log_does_not_hold_makes_a_start_reset_the_log() {
    for snapshot in [id(1, 40), id(3, 5), id(2, 9)] {
        let disk = LosableDisk::new();
        let mut node = founded(&disk, options());
        append(&mut node.writer, id(0, 1), commands(1, 2, 8, 100));
        let hard_state = Some(HardState { term: Term(3), vote: None });
        let (seq, keep) = (WriteSeq(1), id(1, 9));
        node.writer.perform(LogWork::Write { seq, hard_state, keep, batches: Vec::new() }).unwrap();
        drop(node);
        let disk = disk.after_process_end();
        let node = start_behind(&disk, snapshot).unwrap();
        assert_eq!((node.base, node.last), (snapshot, snapshot.index));
        assert!(node.report.notes[0].contains("begun anew"));
    }
}

#[test]
fn a_snapshot_that_the_log_holds_changes_nothing() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 8, 100));
    drop(node);
    let node = start_behind(&disk.after_process_end(), id(1, 5)).unwrap();
    assert_eq!((node.base, node.last), (LogId::ORIGIN, Index(9)));
}

/// A log of several segments, in which a block reaches back over the head of its segment.
fn reaching_back() -> (LosableDisk, Recovered<LosableDisk>) {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 10, 1000));
    append(&mut node.writer, id(1, 11), commands(1, 12, 5, 1000));
    append(&mut node.writer, id(1, 12), commands(2, 13, 2, 1000));
    append(&mut node.writer, id(2, 14), commands(2, 15, 9, 1000));
    append(&mut node.writer, id(2, 20), commands(3, 21, 9, 1000));
    append(&mut node.writer, id(3, 29), commands(3, 30, 9, 1000));
    for last in [id(3, 37), id(3, 38)] {
        build(&mut node.files, last, 100).unwrap();
    }
    (disk, node)
}

#[test]
fn segments_are_removed_in_order_and_only_when_nothing_builds_on_them() {
    let (disk, mut node) = reaching_back();
    let mut before = all_entries(&mut node.files, 1, Index(38));
    let mut removed = 0;
    for through in 1..=37 {
        let report = node.files.perform(remove_through(through)).unwrap();
        let FileReport::Removed { segments, base, log_bytes, .. } = report else {
            panic!("{report:?}")
        };
        removed += segments;
        let after = disk.after_power_cut(&mut || false);
        let mut again = start(&after).unwrap();
        assert_eq!((again.base, again.snapshots.len()), (base, 2));
        assert_eq!(again.log_bytes - 4096, log_bytes, "a start adds the head of a segment");
        assert!(again.base.index <= Index(through), "{:?} through {through}", again.base);
        assert_eq!(again.last, Index(38));
        let kept = all_entries(&mut again.files, again.base.index.0 + 1, Index(38));
        assert_eq!(kept, before[before.len() - kept.len()..]);
    }
    assert!(removed >= 3, "{removed}");
    let base = start(&disk.after_process_end()).unwrap().base;
    before.drain(..base.index.0 as usize);
    assert_eq!(all_entries(&mut node.files, base.index.0 + 1, Index(38)), before);
}

/// A log in which a segment's head names an entry above that of the next one, since a block
/// between them has replaced it.
fn shrinking() -> (LosableDisk, Recovered<LosableDisk>) {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 10, 1000));
    append(&mut node.writer, id(1, 11), commands(1, 12, 10, 1000));
    append(&mut node.writer, id(1, 5), commands(2, 6, 10, 1000));
    append(&mut node.writer, id(2, 15), commands(2, 16, 10, 1000));
    append(&mut node.writer, id(2, 25), commands(2, 26, 13, 100));
    (disk, node)
}

#[test]
fn the_terms_of_what_stays_are_known_when_several_segments_are_removed() {
    let (disk, mut node) = shrinking();
    for last in [id(2, 16), id(2, 17)] {
        build(&mut node.files, last, 100).unwrap();
    }
    node.files.perform(remove_through(16)).unwrap();
    append(&mut node.writer, id(2, 18), commands(3, 19, 5, 100));
    drop(node);
    let node = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!((node.base, node.last), (id(2, 15), Index(23)));
}

#[test]
fn what_is_wanted_stays_while_the_log_is_short_enough() {
    let (_, mut node) = reaching_back();
    let mut remove = |wanted, max_bytes| {
        let (through, wanted) = (Index(37), Index(wanted));
        let work = FileWork::RemoveThrough { through, wanted, max_bytes };
        match node.files.perform(work).unwrap() {
            FileReport::Removed { segments, base, log_bytes, more: false } => {
                (segments, base.index.0, log_bytes)
            }
            other => panic!("{other:?}"),
        }
    };
    let (segments, base, whole) = remove(10, u64::MAX);
    assert_eq!((segments, base), (0, 0));
    assert_eq!(remove(13, u64::MAX).1, 11, "segments go whole");
    // One segment too long: the next place where the log can begin is behind 14.
    let (segments, base, bytes) = remove(13, whole - 16_384 + 1);
    assert_eq!((segments, base), (1, 14));
    assert_eq!(remove(13, bytes), (0, 14, bytes));
    // And then there is none before the last segment.
    assert_eq!(remove(13, bytes - 1).1, 29);
    assert_eq!(remove(13, 0).0, 0, "the open segment stays");
}

#[test]
fn many_segments_are_removed_in_several_steps() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let mut keep = id(0, 1);
    for block in 0..9 {
        append(&mut node.writer, keep, commands(1, 2 + block * 10, 10, 1000));
        keep = id(1, 11 + block * 10);
    }
    for last in [id(1, 90), id(1, 91)] {
        build(&mut node.files, last, 100).unwrap();
    }
    let mut steps = Vec::new();
    loop {
        let report = node.files.perform(remove_through(90)).unwrap();
        let FileReport::Removed { segments, more, .. } = report else { panic!("{report:?}") };
        steps.push(segments);
        if !more {
            break;
        }
    }
    assert_eq!(steps, [4, 4]);
}

#[test]
fn a_crash_while_segments_are_removed_leaves_a_log_that_starts() {
    for number in 1.. {
        let (disk, node) = reaching_back();
        if remove_into(&disk, node, number) {
            break;
        }
    }
    for number in 1.. {
        let (disk, mut node) = shrinking();
        for last in [id(2, 37), id(2, 38)] {
            build(&mut node.files, last, 100).unwrap();
        }
        if remove_into(&disk, node, number) {
            break;
        }
    }
}

/// Removes segments until the power goes before the operation of this number.
fn remove_into(disk: &LosableDisk, mut node: Recovered<LosableDisk>, number: u64) -> bool {
    let before = all_entries(&mut node.files, 1, Index(38));
    disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + number)));
    let done = node.files.perform(remove_through(37)).is_ok();
    drop(node);
    for pattern in 0..8_u32 {
        let mut next = pattern;
        let after = disk.after_power_cut(&mut || {
            next = next.rotate_right(1);
            next >> 31 == 1
        });
        let mut again = start(&after).unwrap();
        assert_eq!(again.last, Index(38));
        let kept = all_entries(&mut again.files, again.base.index.0 + 1, Index(38));
        assert_eq!(kept, before[before.len() - kept.len()..]);
    }
    done
}

#[test]
fn a_crash_at_every_operation_of_a_reset_gives_the_old_log_or_the_new_one() {
    let base = id(4, 500);
    for number in 1.. {
        let disk = LosableDisk::new();
        let mut node = founded(&disk, options());
        let first = disk.operations();
        disk.set_trouble(Some(Trouble::PowerGoes(first + number)));
        let done = reset(&mut node, base).is_ok();
        drop(node);
        for keep in [false, true] {
            let after = disk.after_power_cut(&mut || keep);
            // Without the snapshot, which isn't durable then, only the old log is right.
            if let Ok(mut old) = start(&after.copy()) {
                assert!(!done);
                let log = all_entries(&mut old.files, 1, old.last);
                assert_eq!(log, [founding(5).batch().bytes().to_vec()]);
            }
            let after = start_behind(&after, base);
            match after {
                Ok(new) => assert_eq!((new.base, new.last), (base, Index(500))),
                Err(error) => panic!("operation {number}: {error}"),
            }
        }
        if done {
            break;
        }
    }
}
