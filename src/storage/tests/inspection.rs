//! Looking at a directory from outside.

use std::path::Path;

use super::harness::{ROOT, all_entries, append, commands, founded, id, options, start, vote};
use super::losable::{LosableDisk, Trouble};
use crate::model::{EntryKind, Index, WriteSeq};
use crate::storage::{Finding, Floor, Inspection, LogWork, StorageError, StoredEntry, Verdict};

fn look(disk: &LosableDisk) -> Inspection<LosableDisk> {
    Inspection::open(disk.clone(), Path::new(ROOT)).unwrap()
}

fn dump(inspection: &Inspection<LosableDisk>, first: u64, last: u64) -> Vec<StoredEntry> {
    let mut found = Vec::new();
    inspection
        .entries(Index(first), Index(last), &mut |entry| {
            found.push(entry);
            true
        })
        .unwrap();
    found
}

#[test]
fn entries_are_shown_where_they_lie() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 100));
    append(&mut node.writer, id(1, 3), commands(2, 4, 2, 4000));
    append(&mut node.writer, id(2, 5), commands(2, 6, 2, 4000));
    let expected = all_entries(&mut node.files, 1, Index(7));
    drop(node);
    let disk = disk.after_process_end();
    let inspection = look(&disk);
    assert!(!inspection.is_live());
    assert_eq!(inspection.range().unwrap(), Some((Index(1), Index(7))));
    let entries = dump(&inspection, 0, u64::MAX);
    assert_eq!(entries.len(), 7);
    for (entry, bytes) in entries.iter().zip(&expected) {
        let path = Path::new(ROOT).join("log").join(&entry.segment);
        let at = entry.offset as usize;
        let stored = &disk.bytes(&path)[at..at + entry.encoded_bytes as usize];
        assert_eq!(stored, bytes);
        assert_eq!(entry.payload, bytes[36..]);
    }
    assert_eq!(entries[0].header.kind, EntryKind::FOUNDING);
    let ends: Vec<bool> = entries.iter().map(|entry| entry.ends_block).collect();
    assert_eq!(ends, [true, false, false, false, true, false, true]);
    let middle = dump(&inspection, 3, 4);
    assert_eq!(
        middle.iter().map(|entry| entry.header.id).collect::<Vec<_>>(),
        [id(1, 3), id(2, 4)]
    );
    assert!(dump(&inspection, 8, 20).is_empty());
}

#[test]
fn a_live_directory_is_read_to_its_last_whole_block_and_says_that_it_is_live() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 100));
    let inspection = look(&disk);
    assert!(inspection.is_live());
    assert_eq!(dump(&inspection, 1, 100).len(), 4);
    append(&mut node.writer, id(1, 4), commands(1, 5, 3, 100));
    assert_eq!(dump(&inspection, 1, 100).len(), 7);
    let verification = inspection.verify().unwrap();
    assert_eq!((verification.verdict, verification.findings), (Verdict::Ok, Vec::new()));
}

#[test]
fn looking_changes_nothing() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 100));
    drop(node);
    let disk = disk.after_process_end();
    let operations = disk.operations();
    let inspection = look(&disk);
    inspection.meta().unwrap();
    inspection.verify().unwrap();
    dump(&inspection, 1, 100);
    assert_eq!(disk.operations(), operations);
}

#[test]
fn meta_tells_identity_hard_state_and_floor() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let (seq, keep) = (WriteSeq(1), id(0, 1));
    let work = LogWork::Write { seq, hard_state: Some(vote(3, 2)), keep, batches: Vec::new() };
    node.writer.perform(work).unwrap();
    let meta = look(&disk).meta().unwrap();
    assert_eq!((meta.hard_state, meta.boot, meta.clean), (vote(3, 2), node.boot, false));
    assert_eq!(meta.identity, node.identity);
    let founding_block = 64 + dump(&look(&disk), 1, 1)[0].encoded_bytes as u64;
    assert_eq!(meta.floor, Floor { ordinal: 1, offset: 4096 + founding_block });
    assert_eq!((meta.hard_state_copies, meta.identity_copies), ([true, true], [true, true]));
    disk.damage(&Path::new(ROOT).join("hardstate"), |bytes| bytes[50] ^= 1);
    let meta = look(&disk).meta().unwrap();
    assert_eq!((meta.hard_state, meta.hard_state_copies), (vote(3, 2), [false, true]));
}

#[test]
fn a_torn_end_is_told_from_damage() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 100));
    disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + 3)));
    let batches = vec![commands(1, 5, 3, 1000)];
    let seq = WriteSeq(2);
    let work = LogWork::Write { seq, hard_state: None, keep: id(1, 4), batches };
    node.writer.perform(work).unwrap_err();
    drop(node);
    let mut kept = 0;
    let torn = disk.after_power_cut(&mut || {
        kept += 1;
        kept < 4
    });
    let verification = look(&torn).verify().unwrap();
    assert_eq!(verification.verdict, Verdict::Torn);
    assert_eq!(verification.entries, Some((Index(1), Index(4))));
    let [Finding::Torn(tail)] = &verification.findings[..] else { panic!("{verification:?}") };
    assert_eq!(tail.entries, Some((Index(5), Index(7))));
    let segment = Path::new(ROOT).join("log").join(&tail.segment);
    let damaged = torn;
    damaged.damage(&segment, |bytes| bytes[4096 + 80] ^= 1);
    let verification = look(&damaged).verify().unwrap();
    assert_eq!(verification.verdict, Verdict::Corrupt);
    let [Finding::Damage(damage)] = &verification.findings[..] else { panic!("{verification:?}") };
    assert_eq!(damage.entries.map(|(first, _)| first), Some(Index(1)));
    assert!(start(&damaged).is_err());
}

#[test]
fn entries_before_the_damage_are_shown_and_then_the_damage() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 100));
    append(&mut node.writer, id(1, 4), commands(1, 5, 3, 100));
    append(&mut node.writer, id(1, 7), commands(1, 8, 3, 100));
    let segment = dump(&look(&disk), 5, 5)[0].clone();
    drop(node);
    let disk = disk.after_process_end();
    let path = Path::new(ROOT).join("log").join(&segment.segment);
    disk.damage(&path, |bytes| bytes[segment.offset as usize + 40] ^= 1);
    let mut shown = Vec::new();
    let error = look(&disk)
        .entries(Index(2), Index(100), &mut |entry| {
            shown.push(entry.header.id.index.0);
            true
        })
        .unwrap_err();
    assert_eq!(shown, [2, 3, 4]);
    let StorageError::Corrupt(damage) = error else { panic!("{error}") };
    assert_eq!(damage.offset, segment.offset);
    assert_eq!(damage.entries, Some((Index(5), Some(Index(7)))));
}

#[test]
fn a_log_can_be_looked_at_without_its_hard_state() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 3, 100));
    drop(node);
    let disk = disk.after_process_end();
    disk.take_away(&Path::new(ROOT).join("hardstate"));
    let verification = look(&disk).verify().unwrap();
    assert_eq!(verification.verdict, Verdict::Corrupt);
    assert_eq!(verification.entries, Some((Index(1), Index(4))));
    assert_eq!(dump(&look(&disk), 1, 9).len(), 4);
}

#[test]
fn a_directory_that_is_none_is_said_to_be_none() {
    let error = Inspection::open(LosableDisk::new(), Path::new(ROOT)).unwrap_err();
    assert_eq!(error.class().exit_code(), 78, "{error}");
}
