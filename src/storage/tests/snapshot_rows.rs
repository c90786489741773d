//! The rows of the decision table in docs/file-formats.md that speak of snapshots.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::harness::{
    ROOT, all_entries, append, commands, configuration, founded, founding, id, options, start,
    start_with,
};
use super::images::{
    Loaded, contents, file, head, id_of, path, payload, put, put_file, seal_head, sink,
};
use super::losable::LosableDisk;
use crate::model::{
    BatchBuilder, ClusterId, EntryHeader, EntryKind, HardState, Index, LogId, LogTime, SnapshotId,
    Term,
};
use crate::storage::{
    Corruption, Directory, Disk, FileReport, FileWork, Finding, Inspection, Opened, Recovered,
    StorageError, Verdict,
};

/// A log up to 1@9 that begins at its first entry.
fn crashed() -> LosableDisk {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 8, 100));
    drop(node);
    disk.after_process_end()
}

/// A log that begins behind 1@11 and reaches to 1@40.
fn compacted() -> LosableDisk {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 10, 1000));
    append(&mut node.writer, id(1, 11), commands(1, 12, 9, 1000));
    append(&mut node.writer, id(1, 20), commands(1, 21, 10, 1000));
    append(&mut node.writer, id(1, 30), commands(1, 31, 10, 1000));
    for last in [id(1, 19), id(1, 25)] {
        super::images::build(&mut node.files, last, 10).unwrap();
    }
    let (through, wanted) = (Index(19), Index(19));
    let work = FileWork::RemoveThrough { through, wanted, max_bytes: u64::MAX };
    node.files.perform(work).unwrap();
    drop(node);
    let disk = disk.after_process_end();
    for last in [id(1, 19), id(1, 25)] {
        disk.take_away(&path(last));
    }
    disk
}

fn refusal(disk: &LosableDisk) -> Corruption {
    match start(disk) {
        Err(StorageError::Corrupt(damage)) => *damage,
        other => panic!("{other:?}"),
    }
}

fn damage(disk: &LosableDisk, last: LogId) {
    disk.damage(&path(last), |bytes| bytes[4096 + 20] ^= 4);
}

/// What a start has loaded, and that the log is there.
fn loaded(node: &mut Recovered<LosableDisk>) -> Option<LogId> {
    let last = node.last;
    let entries = all_entries(&mut node.files, node.base.index.0 + 1, last);
    assert_eq!(entries.len() as u64, last.0 - node.base.index.0);
    let loaded = node.snapshot.take()?;
    assert!(contents(loaded.sink) == payload(loaded.id.last, 100));
    Some(loaded.id.last)
}

fn snapshot_files(disk: &LosableDisk) -> Vec<PathBuf> {
    let below = Path::new(ROOT).join("snapshots");
    disk.files().into_iter().filter(|path| path.starts_with(&below)).collect()
}

#[test]
fn without_a_snapshot_the_state_is_made_from_the_log() {
    let mut node = start(&crashed()).unwrap();
    assert_eq!((loaded(&mut node), node.snapshots.len()), (None, 0));
}

#[test]
fn the_newest_whole_snapshot_is_loaded_and_one_before_it_is_kept() {
    let disk = compacted();
    let ids: Vec<SnapshotId> =
        [id(1, 14), id(1, 22), id(1, 33)].map(|last| put(&disk, last, 100)).into();
    let mut node = start(&disk).unwrap();
    assert_eq!(node.snapshots, [ids[2], ids[1]]);
    assert_eq!((loaded(&mut node), node.base, node.last), (Some(id(1, 33)), id(1, 11), Index(40)));
    assert_eq!(node.last_time, LogTime(1040));
    assert_eq!(snapshot_files(&disk), [path(id(1, 22)), path(id(1, 33))]);
}

#[test]
fn a_damaged_newest_one_is_set_aside_where_the_log_reaches_from_an_older_one_to_it() {
    let disk = compacted();
    let older = put(&disk, id(1, 14), 100);
    for newest in [id(1, 22), id(1, 40)] {
        let disk = disk.copy();
        put(&disk, newest, 100);
        damage(&disk, newest);
        let mut node = start(&disk).unwrap();
        assert_eq!((loaded(&mut node), &node.snapshots[..]), (Some(id(1, 14)), &[older][..]));
        let note = &node.report.notes[0];
        assert!(note.contains("offset 0x1000") && note.contains("14@1 was loaded"), "{note}");
        let bad = path(newest).with_extension("bad");
        assert_eq!(snapshot_files(&disk), [path(id(1, 14)), bad]);
        drop(node);
        let again = start(&disk.after_process_end()).unwrap();
        assert_eq!((&again.snapshots[..], again.report.notes.len()), (&[older][..], 0));
    }
}

#[test]
fn a_damaged_newest_one_is_refused_where_the_log_does_not_reach_to_it() {
    let disk = compacted();
    put(&disk, id(1, 14), 100);
    put(&disk, id(1, 41), 100);
    damage(&disk, id(1, 41));
    let before: Vec<_> = disk.files().iter().map(|path| disk.bytes(path)).collect();
    let damage = refusal(&disk);
    assert_eq!(Path::new(ROOT).join(&damage.file), path(id(1, 41)));
    assert_eq!(damage.offset, 4096);
    assert!(damage.to_string().contains("raft-ctl snapshot verify"), "{damage}");
    let after: Vec<_> = disk.files().iter().map(|path| disk.bytes(path)).collect();
    assert_eq!(before, after, "nothing was changed");
}

#[test]
fn a_damaged_newest_one_is_refused_where_the_log_does_not_hold_the_older_one() {
    for older in [id(1, 9), id(2, 14)] {
        let disk = compacted();
        put(&disk, older, 100);
        put(&disk, id(1, 22), 100);
        damage(&disk, id(1, 22));
        assert_eq!(Path::new(ROOT).join(refusal(&disk).file), path(id(1, 22)));
    }
}

#[test]
fn two_damaged_ones_are_refused_where_the_log_does_not_begin_at_its_first_entry() {
    let disk = compacted();
    for last in [id(1, 14), id(1, 22)] {
        put(&disk, last, 100);
        damage(&disk, last);
    }
    assert_eq!(Path::new(ROOT).join(refusal(&disk).file), path(id(1, 22)));
}

#[test]
fn damaged_ones_are_set_aside_where_the_log_holds_everything() {
    let disk = crashed();
    for last in [id(1, 4), id(1, 7)] {
        put(&disk, last, 100);
        damage(&disk, last);
    }
    let mut node = start(&disk).unwrap();
    assert_eq!((loaded(&mut node), node.last), (None, Index(9)));
    assert_eq!(node.report.notes.len(), 2);
    assert!(node.report.notes[0].contains("from the log alone"), "{:?}", node.report.notes);
    assert!(snapshot_files(&disk).iter().all(|path| path.extension().unwrap() == "bad"));
}

#[test]
fn an_older_one_with_a_bad_head_or_foot_is_set_aside() {
    let disk = compacted();
    put(&disk, id(1, 14), 100);
    let newest = put(&disk, id(1, 22), 100);
    for at in [40, 4096 + 108 + 20] {
        let disk = disk.copy();
        disk.damage(&path(id(1, 14)), |bytes| bytes[at] ^= 4);
        let mut node = start(&disk).unwrap();
        assert_eq!((loaded(&mut node), &node.snapshots[..]), (Some(id(1, 22)), &[newest][..]));
        assert!(node.report.notes[0].contains("is damaged"), "{:?}", node.report.notes);
    }
}

#[test]
fn older_ones_that_the_log_can_not_be_gone_on_with_are_removed() {
    let disk = compacted();
    for older in [id(1, 3), id(1, 9), id(2, 13)] {
        put(&disk, older, 100);
    }
    let newest = put(&disk, id(1, 22), 100);
    let node = start(&disk).unwrap();
    assert_eq!(node.snapshots, [newest]);
    assert_eq!(snapshot_files(&disk), [path(id(1, 22))]);
}

#[test]
fn a_snapshot_under_the_name_of_another_is_a_damaged_one() {
    let disk = compacted();
    put(&disk, id(1, 14), 100);
    let other = file(&head(id(1, 21)), &payload(id(1, 21), 100));
    put_file(&disk, &path(id(1, 22)), &other);
    let node = start(&disk).unwrap();
    assert!(node.report.notes[0].contains("it is the snapshot up to"), "{:?}", node.report.notes);
}

#[test]
fn a_snapshot_of_another_cluster_is_refused() {
    let disk = crashed();
    put(&disk, id(1, 4), 100);
    let other = super::images::head(id(1, 7));
    let other =
        crate::storage::SnapshotHead { cluster: ClusterId(6), founding: founding(6), ..other };
    put_file(&disk, &path(id(1, 7)), &file(&other, &payload(id(1, 7), 100)));
    let damage = refusal(&disk);
    assert!(damage.what.contains("another cluster"), "{damage}");
}

#[test]
fn a_log_that_does_not_hold_the_snapshots_last_entry_is_begun_anew_behind_it() {
    for last in [id(1, 40), id(2, 5)] {
        let disk = crashed();
        put(&disk, id(1, 3), 100);
        let kept = put(&disk, last, 100);
        let mut node = start(&disk).unwrap();
        assert_eq!((node.base, node.last), (last, last.index));
        assert_eq!(loaded(&mut node), Some(last));
        assert_eq!(node.last_time, LogTime(1000 + last.index.0));
        assert_eq!((&node.snapshots[..], snapshot_files(&disk)), (&[kept][..], vec![path(last)]));
        assert!(node.report.notes.iter().any(|note| note.contains("begun anew")));
    }
}

#[test]
fn a_snapshot_of_a_term_above_the_hard_states_raises_the_term() {
    let disk = crashed();
    put(&disk, id(9, 40), 100);
    let node = start(&disk).unwrap();
    assert_eq!(node.hard_state, HardState { term: Term(9), vote: None });
    assert!(node.report.notes.iter().any(|note| note.contains("the term was raised")));
    drop(node);
    assert_eq!(start(&disk.after_power_cut(&mut || false)).unwrap().hard_state.term, Term(9));
}

#[test]
fn a_snapshot_without_a_log_is_refused() {
    let disk = crashed();
    put(&disk, id(1, 4), 100);
    let segments = disk.files();
    for segment in segments.iter().filter(|path| path.extension().is_some_and(|end| end == "seg")) {
        disk.take_away(segment);
    }
    assert!(refusal(&disk).what.contains("missing"));
    let fresh = LosableDisk::new();
    drop(Directory::open(fresh.clone(), Path::new(ROOT), options(), &mut sink).unwrap());
    let fresh = fresh.after_process_end();
    put(&fresh, id(1, 4), 100);
    let error = start(&fresh).unwrap_err();
    assert!(error.to_string().contains("part of no cluster"), "{error}");
    fresh.take_away(&Path::new(ROOT).join("identity"));
    fresh.take_away(&Path::new(ROOT).join("hardstate"));
    let error = start(&fresh).unwrap_err();
    assert!(error.to_string().contains("there is a snapshot"), "{error}");
}

#[test]
fn a_newest_one_that_is_gone_is_missed_where_the_log_begins_behind_the_older_one() {
    let disk = compacted();
    put(&disk, id(1, 9), 100);
    let damage = refusal(&disk);
    assert!(damage.what.contains("no snapshot reaches"), "{damage}");
}

#[test]
fn configurations_are_those_of_the_snapshot_and_of_what_follows_it() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let configured = |index: u64, address: &str| {
        let mut payload = Vec::new();
        configuration(address).encode(&mut payload);
        let mut builder = BatchBuilder::default();
        let (kind, id) = (EntryKind::CONFIGURATION, id(1, index));
        builder.push(EntryHeader { kind, id, time: LogTime(1) }, &payload);
        builder.take().unwrap()
    };
    append(&mut node.writer, id(0, 1), configured(2, "one:1"));
    append(&mut node.writer, id(1, 2), configured(3, "two:2"));
    append(&mut node.writer, id(1, 3), configured(4, "three:3"));
    drop(node);
    let disk = disk.after_process_end();
    let mut head = head(id(1, 3));
    head.configuration = (Index(3), configuration("two:2"));
    put_file(&disk, &path(id(1, 3)), &file(&head, b"state"));
    let node = start(&disk).unwrap();
    let expected = vec![(Index(3), configuration("two:2")), (Index(4), configuration("three:3"))];
    assert_eq!(node.configurations, expected);
}

#[test]
fn newer_snapshots_are_named_and_nothing_is_touched() {
    let disk = crashed();
    put(&disk, id(1, 4), 100);
    put(&disk, id(1, 7), 100);
    disk.damage(&path(id(1, 7)), |bytes| {
        bytes[8] = 2;
        seal_head(&mut bytes[..4096]);
    });
    let before: Vec<_> = disk.files().iter().map(|path| disk.bytes(path)).collect();
    let error = start(&disk).unwrap_err();
    assert_eq!(error.class().exit_code(), 78, "{error}");
    let after: Vec<_> = disk.files().iter().map(|path| disk.bytes(path)).collect();
    assert_eq!(before, after);
}

#[test]
fn a_state_that_can_not_be_understood_is_a_damaged_snapshot() {
    let disk = crashed();
    put(&disk, id(1, 4), 100);
    put(&disk, id(1, 7), 100);
    let mut first = true;
    let mut sinks = || -> Box<dyn crate::storage::SnapshotSink> {
        Box::new(Loaded { refuses: std::mem::take(&mut first), ..Loaded::default() })
    };
    let opened = Directory::open(disk.clone(), Path::new(ROOT), options(), &mut sinks).unwrap();
    let Opened::Formed(mut node) = opened else { panic!("it has a log") };
    assert_eq!(loaded(&mut node), Some(id(1, 4)));
    assert!(node.report.notes[0].contains("a key is missing"), "{:?}", node.report.notes);
}

/// A receipt of which so many bytes came in.
fn receiving(disk: &LosableDisk, last: LogId, bytes: usize) -> SnapshotId {
    let mut node = start(disk).unwrap();
    let file = file(&head(last), &payload(last, 200_000));
    let snapshot = id_of(&head(last), &file);
    let mut has = 0;
    while has < bytes {
        let end = (has + 60_000).min(bytes);
        let bytes = Bytes::copy_from_slice(&file[has..end]);
        node.files.perform(FileWork::StorePiece { snapshot, offset: has as u64, bytes }).unwrap();
        has = end;
    }
    snapshot
}

#[test]
fn a_receipt_goes_on_while_it_is_newer_than_the_newest_snapshot() {
    let disk = crashed();
    let snapshot = receiving(&disk, id(1, 500), 190_000);
    let disk = disk.after_process_end();
    let node = start(&disk).unwrap();
    assert_eq!(node.receiving, Some((snapshot, 4096 + 3 * 61_440)));
    drop(node);
    for newest in [id(1, 500), id(1, 501)] {
        let disk = disk.after_process_end();
        put(&disk, newest, 100);
        assert_eq!(start(&disk).unwrap().receiving, None);
        assert_eq!(snapshot_files(&disk), [path(newest)]);
    }
}

#[test]
fn what_is_left_of_a_receipt_is_removed() {
    let disk = crashed();
    receiving(&disk, id(1, 500), 100_000);
    let disk = disk.after_process_end();
    let part = path(id(1, 500)).with_extension("part");
    let record = Path::new(ROOT).join("snapshots/receipt");
    for gone in [&part, &record] {
        let disk = disk.copy();
        disk.take_away(gone);
        assert_eq!(start(&disk).unwrap().receiving, None);
        assert_eq!(snapshot_files(&disk), [] as [PathBuf; 0]);
    }
    let rotten = disk.copy();
    rotten.damage(&record, |bytes| (0..2).for_each(|copy| bytes[copy * 4096 + 30] ^= 1));
    assert_eq!(start(&rotten).unwrap().receiving, None);
    assert_eq!(snapshot_files(&rotten), [] as [PathBuf; 0]);
    // With one good copy it is known what is there, at the least.
    for copy in [0, 4096] {
        let disk = disk.copy();
        disk.damage(&record, |bytes| bytes[copy + 30] ^= 1);
        assert!(start(&disk).unwrap().receiving.is_some());
    }
}

#[test]
fn unfinished_files_are_removed_and_strange_ones_are_told_of() {
    let disk = crashed();
    let below = Path::new(ROOT).join("snapshots");
    put_file(&disk, &below.join("00000000000000000004-1.snap.tmp"), b"RAFTSNAP");
    put_file(&disk, &below.join("notes.txt"), b"hello");
    let node = start(&disk).unwrap();
    assert!(node.report.notes[0].contains("snapshots/notes.txt"), "{:?}", node.report.notes);
    assert_eq!(snapshot_files(&disk), [below.join("notes.txt")]);
}

#[test]
fn snapshots_can_be_looked_at_and_verified_while_their_node_runs() {
    let disk = crashed();
    let snapshot = put(&disk, id(1, 4), 100);
    put(&disk, id(1, 7), 100);
    let mut node = start(&disk).unwrap();
    let inspection = Inspection::open(disk.clone(), Path::new(ROOT)).unwrap();
    assert!(inspection.is_live());
    let operations = disk.operations();
    let stored = inspection.snapshots().unwrap();
    assert_eq!(stored.iter().map(|stored| stored.last).collect::<Vec<_>>(), [id(1, 7), id(1, 4)]);
    assert_eq!(stored[1].name, "00000000000000000004-1.snap");
    assert_eq!(stored[1].about, Ok((snapshot, head(id(1, 4)))));
    let verification = inspection.verify_snapshots().unwrap();
    assert_eq!((verification.verdict, verification.findings), (Verdict::Ok, Vec::new()));
    assert_eq!(disk.operations(), operations, "looking changes nothing");
    let from = file(&head(id(1, 500)), &payload(id(1, 500), 100));
    let (snapshot, bytes) =
        (id_of(&head(id(1, 500)), &from), Bytes::copy_from_slice(&from[..4096]));
    let report = node.files.perform(FileWork::StorePiece { snapshot, offset: 0, bytes }).unwrap();
    assert!(matches!(report, FileReport::PieceStored { has: 4096, .. }));
    damage(&disk, id(1, 4));
    let verification = inspection.verify_snapshots().unwrap();
    assert_eq!(verification.verdict, Verdict::Corrupt);
    let [Finding::Damage(damage), Finding::Note(note)] = &verification.findings[..] else {
        panic!("{verification:?}")
    };
    assert_eq!(Path::new(ROOT).join(&damage.file), path(id(1, 4)));
    assert_eq!(damage.offset, 4096);
    assert!(note.contains("is being received, 4096 bytes"), "{note}");
    let list = disk.list(&Path::new(ROOT).join("snapshots")).unwrap();
    assert_eq!(list.len(), 4);
    drop(node);
    drop(start_with(&disk.after_process_end(), options()).unwrap());
}
