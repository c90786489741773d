//! A disk without room.

use super::harness::{all_entries, append, commands, founded, id, options, start};
use super::images::sink;
use super::losable::{LosableDisk, Trouble};
use crate::model::{HardState, Index, Term, WriteSeq};
use crate::storage::{
    Directory, ErrorClass, FileReport, FileWork, LogDone, LogWork, OpenOptions, Rotated,
};

fn write(hard_state: HardState, keep: crate::model::LogId, first: u64, bytes: usize) -> LogWork {
    let batches = vec![commands(1, first, 1, bytes)];
    LogWork::Write { seq: WriteSeq(first), hard_state: Some(hard_state), keep, batches }
}

#[test]
fn a_full_disk_refuses_entries_but_no_vote_and_takes_them_when_there_is_room() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 1, 9000));
    disk.set_trouble(Some(Trouble::Full(100_000)));
    let before = disk.files();
    let mut hard_state = HardState { term: Term(1), vote: None };
    for _ in 0..3 {
        hard_state.term = hard_state.term.next();
        let error = node.writer.perform(write(hard_state, id(1, 2), 3, 9000)).unwrap_err();
        assert_eq!(error.class(), ErrorClass::NoSpace, "{error}");
        assert!(error.to_string().contains("nothing is lost"), "{error}");
    }
    assert_eq!(disk.files(), before, "what was begun is taken away again");
    let started = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!((started.last, started.hard_state.term), (Index(2), Term(4)));
    // What fits still goes.
    node.writer.perform(write(hard_state, id(1, 2), 3, 100)).unwrap();
    disk.set_trouble(None);
    let report = node.writer.perform(write(hard_state, id(1, 3), 4, 9000)).unwrap();
    let LogDone::Written { rotated, .. } = report.done else { panic!("{report:?}") };
    assert_eq!(rotated, Rotated::WithoutSpare);
    assert_eq!(all_entries(&mut node.files, 2, Index(4)).len(), 3);
}

#[test]
fn no_spare_is_made_when_too_little_would_be_left() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, OpenOptions { min_free_bytes: 50_000, ..options() });
    append(&mut node.writer, id(0, 1), commands(1, 2, 1, 10));
    disk.set_trouble(Some(Trouble::Full(150_000)));
    let report = node.files.perform(FileWork::MakeSpare).unwrap();
    assert!(matches!(report, FileReport::NoRoomForSpare(_)), "{report:?}");
    disk.set_trouble(Some(Trouble::Full(170_000)));
    let report = node.files.perform(FileWork::MakeSpare).unwrap();
    assert!(matches!(report, FileReport::SpareReady), "{report:?}");
}

#[test]
fn a_start_on_a_full_disk_says_so_and_loses_nothing() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 1, 10));
    drop(node);
    let disk = disk.after_process_end();
    disk.set_trouble(Some(Trouble::Full(85_000)));
    let error = start(&disk).unwrap_err();
    assert_eq!((error.class(), error.class().exit_code()), (ErrorClass::NoSpace, 74));
    disk.set_trouble(None);
    assert_eq!(start(&disk).unwrap().last, Index(2));
}

#[test]
fn a_fresh_directory_on_a_full_disk_is_formatted_when_there_is_room() {
    let disk = LosableDisk::new();
    disk.set_trouble(Some(Trouble::Full(10_000)));
    let root = super::harness::root();
    let error = Directory::open(disk.clone(), &root, options(), &mut sink).unwrap_err();
    assert_eq!(error.class().exit_code(), 74);
    disk.set_trouble(None);
    drop(founded(&disk, options()));
}
