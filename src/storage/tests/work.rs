//! What the workers do with a healthy disk.

use super::harness::{
    all_entries, append, append_in_term, commands, founded, founding, id, options, start,
    start_with, vote,
};
use super::losable::LosableDisk;
use crate::model::{
    Batch, BatchBuilder, ClusterId, EntryHeader, EntryKind, Index, LogTime, Term, WriteSeq,
};
use crate::storage::{
    FileReport, FileWork, LogDone, LogWork, MemoryDisk, OpenOptions, Rotated, SyncMode,
};

use super::harness::configuration;

fn entries_of(batch: &Batch) -> Vec<Vec<u8>> {
    batch.iter().map(|entry| entry.bytes().to_vec()).collect()
}

#[test]
fn a_write_is_one_block_and_one_sync() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 1, 100));
    let before = disk.operations();
    append(&mut node.writer, id(1, 2), commands(1, 3, 5, 100));
    assert_eq!(disk.operations() - before, 3, "the head, the batch, the sync");
    assert_eq!(disk.losable(), 0);
}

#[test]
fn a_vote_is_durable_when_it_is_reported() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let (seq, keep) = (WriteSeq(12), id(0, 1));
    let work = LogWork::Write { seq, hard_state: Some(vote(9, 2)), keep, batches: Vec::new() };
    let report = node.writer.perform(work).unwrap();
    assert_eq!(report.done, LogDone::Written { seq, bytes: 0, rotated: Rotated::No });
    let after = disk.after_power_cut(&mut || false);
    assert_eq!(start(&after).unwrap().hard_state, vote(9, 2));
}

#[test]
fn reads_give_what_was_asked_for_within_the_bounds() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, OpenOptions { segment_bytes: 1 << 20, ..options() });
    let small = commands(1, 2, 30, 50);
    append(&mut node.writer, id(0, 1), small.clone());
    let large = commands(1, 32, 200, 2000);
    append(&mut node.writer, id(1, 31), large.clone());
    let mut read = |first: u64, last: u64, max_bytes: u64| {
        let (first, last) = (Index(first), Index(last));
        match node.files.perform(FileWork::Read { ticket: 3, first, last, max_bytes }).unwrap() {
            FileReport::Entries { ticket: 3, batch } => Some(batch),
            FileReport::NotHeld { ticket: 3 } => None,
            other => panic!("{other:?}"),
        }
    };
    let whole = read(2, 231, u64::MAX).unwrap();
    assert_eq!((whole.first(), whole.last()), (id(1, 2), id(1, 231)));
    assert_eq!(entries_of(&whole)[..30], entries_of(&small)[..]);
    assert_eq!(entries_of(&whole)[30..], entries_of(&large)[..]);
    for first in 1..=231 {
        let one = read(first, first, u64::MAX).unwrap();
        assert_eq!((one.first().index, one.len()), (Index(first), 1));
        let bounded = read(first, 231, 5000).unwrap();
        assert!(bounded.bytes_len() <= 5000 || bounded.len() == 1);
        assert_eq!(bounded.first().index, Index(first));
        assert_eq!(read(first, 231, 0).unwrap().len(), 1, "one entry at least");
    }
    assert_eq!(read(232, 300, 100), None);
    assert_eq!(read(0, 300, 100), None);
}

#[test]
fn a_replaced_suffix_is_gone_also_where_the_block_begins_a_segment() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 10, 300));
    append(&mut node.writer, id(1, 11), commands(1, 12, 10, 300));
    let new = commands(2, 6, 15, 600);
    append(&mut node.writer, id(1, 5), new.clone());
    let mut expected = entries_of(founding(5).batch());
    expected.extend(entries_of(&commands(1, 2, 4, 300)));
    expected.extend(entries_of(&new));
    assert_eq!(all_entries(&mut node.files, 1, Index(20)), expected);
    drop(node);
    let disk = disk.after_process_end();
    let mut node = start(&disk).unwrap();
    assert_eq!(node.last, Index(20));
    assert_eq!(all_entries(&mut node.files, 1, Index(20)), expected);
    let runs: Vec<_> = node.runs.iter().map(|run| (run.term, run.first)).collect();
    assert_eq!(runs, [(Term(0), Index(1)), (Term(1), Index(2)), (Term(2), Index(6))]);
}

#[test]
fn a_suffix_can_be_removed_without_anything_in_its_place() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 10, 30));
    let (seq, keep) = (WriteSeq(2), id(1, 4));
    let work = LogWork::Write { seq, hard_state: None, keep, batches: Vec::new() };
    node.writer.perform(work).unwrap();
    drop(node);
    let recovered = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!((recovered.last, recovered.last_time), (Index(4), LogTime(1004)));
}

#[test]
fn configurations_come_back_and_those_of_a_replaced_suffix_do_not() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let configured = |term: u64, index: u64, address: &str| {
        let mut payload = Vec::new();
        configuration(address).encode(&mut payload);
        let mut builder = BatchBuilder::default();
        let (kind, id) = (EntryKind::CONFIGURATION, id(term, index));
        builder.push(EntryHeader { kind, id, time: LogTime(1) }, &payload);
        builder.take().unwrap()
    };
    append(&mut node.writer, id(0, 1), configured(1, 2, "one:1"));
    append(&mut node.writer, id(1, 2), configured(1, 3, "two:2"));
    append(&mut node.writer, id(1, 2), configured(2, 3, "three:3"));
    drop(node);
    let recovered = start(&disk.after_process_end()).unwrap();
    let found: Vec<_> = recovered
        .configurations
        .iter()
        .map(|(index, found)| (index.0, found.seats()[0].address.clone()))
        .collect();
    let expected = [(1, "127.0.0.1:3111"), (2, "one:1"), (3, "three:3")];
    assert_eq!(found, expected.map(|(index, address)| (index, address.to_owned())));
}

#[test]
fn a_mark_is_written_once_and_an_idle_log_does_not_grow() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 1, 100));
    node.writer.perform(LogWork::Mark).unwrap();
    let before = disk.operations();
    for _ in 0..3 {
        assert_eq!(node.writer.perform(LogWork::Mark).unwrap().done, LogDone::Marked);
    }
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_write_longer_than_a_segment_gets_one_of_its_own_length() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let long = commands(1, 2, 3, 100_000);
    append(&mut node.writer, id(0, 1), long.clone());
    append(&mut node.writer, id(1, 4), commands(1, 5, 1, 10));
    drop(node);
    let mut node = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!(node.last, Index(5));
    assert_eq!(all_entries(&mut node.files, 2, Index(4)), entries_of(&long));
}

#[test]
fn a_rotation_takes_a_spare_and_asks_for_another() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let write = |keep, batch| {
        let hard_state = Some(crate::model::HardState { term: Term(1), vote: None });
        LogWork::Write { seq: WriteSeq(1), hard_state, keep, batches: vec![batch] }
    };
    let report = node.writer.perform(write(id(0, 1), commands(1, 2, 1, 100))).unwrap();
    assert_eq!(report.spares_wanted, 2);
    for _ in 0..3 {
        let made = node.files.perform(FileWork::MakeSpare).unwrap();
        assert!(matches!(made, FileReport::SpareReady));
    }
    let report = node.writer.perform(write(id(1, 2), commands(1, 3, 1, 9000))).unwrap();
    let LogDone::Written { rotated, .. } = report.done else { panic!("{report:?}") };
    assert_eq!((rotated, report.spares_wanted), (Rotated::No, 0));
    let report = node.writer.perform(write(id(1, 3), commands(1, 4, 1, 9000))).unwrap();
    let LogDone::Written { rotated, .. } = report.done else { panic!("{report:?}") };
    assert_eq!((rotated, report.spares_wanted), (Rotated::OntoSpare, 1));
    let report = node.writer.perform(write(id(1, 4), commands(1, 5, 1, 100))).unwrap();
    assert_eq!(report.spares_wanted, 0, "each is asked for once");
}

#[test]
fn without_syncs_the_log_is_still_whole_up_to_its_last_rotation_mark_or_stop() {
    let rarely = OpenOptions { sync: SyncMode::Rarely, ..options() };
    let disk = LosableDisk::new();
    let mut node = founded(&disk, rarely.clone());
    append(&mut node.writer, id(0, 1), commands(1, 2, 5, 100));
    append(&mut node.writer, id(1, 6), commands(1, 7, 5, 100));
    assert!(disk.losable() > 0);
    let lost = disk.after_power_cut(&mut || false);
    assert_eq!(start_with(&lost, rarely.clone()).unwrap().last, Index(1));
    // The first block is lost and the second is there: no sync had come between, so no damage.
    let mut sectors = 0;
    let holed = disk.after_power_cut(&mut || {
        sectors += 1;
        sectors > 2
    });
    assert_eq!(start_with(&holed, rarely.clone()).unwrap().last, Index(1));
    node.writer.perform(LogWork::Mark).unwrap();
    let marked = disk.after_power_cut(&mut || false);
    assert_eq!(start_with(&marked, rarely).unwrap().last, Index(11));
}

#[test]
fn without_syncs_a_new_segment_still_stands_on_a_durable_one() {
    let rarely = OpenOptions { sync: SyncMode::Rarely, ..options() };
    let disk = LosableDisk::new();
    let mut node = founded(&disk, rarely.clone());
    append(&mut node.writer, id(0, 1), commands(1, 2, 5, 1000));
    append(&mut node.writer, id(1, 6), commands(1, 7, 5, 1000));
    append(&mut node.writer, id(1, 11), commands(1, 12, 5, 1000));
    let lost = disk.after_power_cut(&mut || false);
    let recovered = start_with(&lost, rarely).unwrap();
    assert_eq!((recovered.last, recovered.segments), (Index(11), 2));
}

#[test]
fn a_founding_can_be_given_up_for_another_while_only_elections_follow_it() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 1, 10));
    append(&mut node.writer, id(1, 2), commands(3, 3, 1, 10));
    let (seq, keep) = (WriteSeq(12), id(3, 3));
    let work = LogWork::Write { seq, hard_state: Some(vote(9, 2)), keep, batches: Vec::new() };
    node.writer.perform(work).unwrap();
    let work = LogWork::Refound { founding: founding(3) };
    assert_eq!(node.writer.perform(work).unwrap().done, LogDone::Refounded);
    assert_eq!(all_entries(&mut node.files, 1, Index(1)), entries_of(founding(3).batch()));
    append_in_term(&mut node.writer, id(0, 1), commands(9, 2, 1, 10));
    drop(node);
    let recovered = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!(recovered.cluster, ClusterId(3));
    assert_eq!((recovered.hard_state, recovered.last), (vote(9, 2), Index(2)));
}

#[test]
#[should_panic(expected = "isn't given up")]
fn a_founding_that_something_follows_is_not_given_up() {
    let mut node = founded(&LosableDisk::new(), options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 2, 10));
    let _ = node.writer.perform(LogWork::Refound { founding: founding(3) });
}

#[test]
#[should_panic(expected = "isn't in the log")]
fn a_kept_entry_must_be_one_of_the_log() {
    let mut node = founded(&LosableDisk::new(), options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 10));
    append(&mut node.writer, id(2, 3), commands(2, 4, 1, 10));
}

#[test]
fn the_memory_disk_runs_the_same_code() {
    let disk = MemoryDisk::default();
    let mut node = founded(&disk, options());
    let batch = commands(1, 2, 40, 900);
    append(&mut node.writer, id(0, 1), batch.clone());
    assert!(matches!(node.files.perform(FileWork::MakeSpare).unwrap(), FileReport::SpareReady));
    append(&mut node.writer, id(1, 41), commands(1, 42, 1, 900));
    assert_eq!(all_entries(&mut node.files, 2, Index(41)), entries_of(&batch));
    node.writer.perform(LogWork::Stop).unwrap();
    drop(node);
    let node = start(&disk).unwrap();
    assert_eq!((node.last, node.report.clean), (Index(42), true));
}
