//! The rows of the decision table in docs/file-formats.md.

use std::path::{Path, PathBuf};

use super::harness::{
    ROOT, all_entries, append, commands, founded, founding, id, node, options, start, start_with,
    vote,
};
use super::images::sink;
use super::losable::{LosableDisk, Trouble};
use crate::model::{HardState, Incarnation, Index, LogId, Term, WriteSeq};
use crate::storage::{
    Corruption, Directory, Disk, ErrorClass, LogWork, OpenOptions, Recovered, StorageError,
    TornTail,
};

fn segments(disk: &LosableDisk) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|end| end == "seg");
    disk.files().into_iter().filter(is_segment).collect()
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(ROOT).join(name)
}

/// A log of 9 entries in blocks of 2, the last one acknowledged and not marked.
fn crashed() -> LosableDisk {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    for block in 0..4 {
        let keep = if block == 0 { id(0, 1) } else { id(1, 1 + 2 * block) };
        append(&mut node.writer, keep, commands(1, 2 + 2 * block, 2, 100));
    }
    drop(node);
    disk.after_process_end()
}

/// Where the blocks of the last segment begin.
const BLOCKS: [usize; 5] = [4096, 4608, 5120, 5632, 6144];

fn refusal(disk: &LosableDisk) -> Corruption {
    match start(disk) {
        Err(StorageError::Corrupt(damage)) => *damage,
        other => panic!("{other:?}"),
    }
}

fn last_of(recovered: &mut Recovered<LosableDisk>) -> Index {
    let all = all_entries(&mut recovered.files, 1, recovered.last);
    assert_eq!(all.len() as u64, recovered.last.0);
    recovered.last
}

fn flip(disk: &LosableDisk, path: &Path, at: usize) {
    disk.damage(path, |bytes| bytes[at] ^= 0x10);
}

#[test]
fn a_bad_last_block_with_nothing_behind_it_is_a_torn_end_and_is_cut() {
    let disk = crashed();
    let segment = segments(&disk)[0].clone();
    flip(&disk, &segment, BLOCKS[4] + 70);
    let mut recovered = start(&disk).unwrap();
    assert_eq!(last_of(&mut recovered), Index(7));
    assert!(!recovered.report.clean);
    let torn = recovered.report.torn.clone().unwrap();
    let TornTail { offset, bytes, entries, .. } = torn;
    assert_eq!(entries, Some((Index(8), Index(9))));
    assert_eq!((offset, bytes), (5632 + 64 + 2 * 136, 6144 + 336 - 5632 - 336));
    drop(recovered);
    assert_eq!(disk.bytes(&segment).len() as u64, offset, "the unused end is given back");
    let mut again = start(&disk.after_process_end()).unwrap();
    assert_eq!(last_of(&mut again), Index(7));
    assert_eq!(again.report.torn, None);
}

#[test]
fn a_bad_last_block_with_a_mark_behind_it_is_damage() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 2, 100));
    append(&mut node.writer, id(1, 3), commands(1, 4, 2, 100));
    node.writer.perform(LogWork::Mark).unwrap();
    drop(node);
    let disk = disk.after_process_end();
    let segment = segments(&disk)[0].clone();
    flip(&disk, &segment, BLOCKS[2] + 64 + 140);
    let damage = refusal(&disk);
    assert_eq!(PathBuf::from(ROOT).join(&damage.file), segment);
    assert_eq!(damage.offset as usize, BLOCKS[2] + 64 + 136, "where the bad entry begins");
    assert_eq!(damage.entries, Some((Index(4), Some(Index(5)))));
    let text = damage.to_string();
    assert!(text.contains("raft-ctl log verify /data/1"), "{text}");
    assert!(text.contains("durable up to 0x"), "{text}");
}

#[test]
fn a_bad_block_between_good_ones_is_damage_whichever_of_its_bytes_is_bad() {
    let disk = crashed();
    let segment = segments(&disk)[0].clone();
    for at in [0, 8, 13, 20, 40, 50, 64, 110, 64 + 140] {
        let damaged = disk.copy();
        flip(&damaged, &segment, BLOCKS[2] + at);
        let damage = refusal(&damaged);
        assert_eq!(damage.entries, Some((Index(4), Some(Index(5)))), "byte {at}: {damage}");
    }
}

#[test]
fn damage_below_the_floor_is_never_cut() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 2, 100));
    node.writer.perform(LogWork::Stop).unwrap();
    drop(node);
    let disk = disk.after_process_end();
    let segment = segments(&disk)[0].clone();
    // Both the block and the mark behind it are gone: nothing in the log speaks of them.
    disk.damage(&segment, |bytes| bytes[BLOCKS[1]..].fill(0));
    assert_eq!(refusal(&disk).entries, Some((Index(2), None)));
}

#[test]
fn after_a_clean_stop_a_start_says_so() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 2, 100));
    node.writer.perform(LogWork::Stop).unwrap();
    drop(node);
    let disk = disk.after_process_end();
    assert!(start(&disk).unwrap().report.clean);
    assert!(!start(&disk.after_process_end()).unwrap().report.clean);
}

/// A log over several segments; the last holds entries.
fn several_segments() -> (LosableDisk, Vec<PathBuf>) {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    let mut keep = id(0, 1);
    for block in 0..8 {
        append(&mut node.writer, keep, commands(1, 2 + 2 * block, 2, 2500));
        keep = id(1, 3 + 2 * block);
    }
    drop(node);
    let disk = disk.after_process_end();
    let segments = segments(&disk);
    assert!(segments.len() >= 4, "{segments:?}");
    (disk, segments)
}

#[test]
fn damage_in_a_segment_before_the_last_is_named_up_to_what_the_next_head_names() {
    let (disk, segments) = several_segments();
    let good = disk.copy();
    assert_eq!(last_of(&mut start(&good).unwrap()), Index(17));
    let last_byte = disk.bytes(&segments[1]).iter().rposition(|&byte| byte != 0).unwrap();
    flip(&disk, &segments[1], last_byte);
    let damage = refusal(&disk);
    assert_eq!(PathBuf::from(ROOT).join(&damage.file), segments[1]);
    let (first, last) = damage.entries.unwrap();
    let next = segments[2].file_name().unwrap().to_str().unwrap();
    let named: u64 = next[17..37].parse().unwrap();
    assert_eq!(last, Some(Index(named - 1)));
    assert!(first <= Index(named - 1));
}

#[test]
fn a_missing_segment_is_named_wherever_it_was() {
    let (disk, segments) = several_segments();
    for (at, missing) in segments.iter().enumerate() {
        let damaged = disk.copy();
        damaged.take_away(missing);
        let damage = refusal(&damaged);
        if at == 0 {
            assert!(damage.what.contains("no snapshot reaches"), "{damage}");
        } else {
            let ordinal = &missing.file_name().unwrap().to_str().unwrap()[..16];
            assert!(damage.what.contains(ordinal), "{damage}");
            assert!(damage.entries.is_some());
        }
    }
    for segment in &segments {
        disk.take_away(segment);
    }
    assert!(refusal(&disk).what.contains("missing"));
}

#[test]
fn a_bad_head_is_damage_from_the_entry_behind_the_last_good_one() {
    let (disk, segments) = several_segments();
    for (at, segment) in segments.iter().enumerate() {
        let damaged = disk.copy();
        flip(&damaged, segment, 70);
        let damage = refusal(&damaged);
        assert_eq!(PathBuf::from(ROOT).join(&damage.file), *segment);
        assert!(damage.what.contains("head is bad"), "{damage}");
        let first: u64 = segment.file_name().unwrap().to_str().unwrap()[17..37].parse().unwrap();
        assert_eq!(damage.entries, Some((Index(first), None)), "segment {at}");
    }
}

#[test]
fn a_segment_under_another_name_is_damage() {
    let (disk, segments) = several_segments();
    let (first, second) = (&segments[1], &segments[2]);
    let (of_first, of_second) = (disk.bytes(first), disk.bytes(second));
    disk.damage(first, |bytes| *bytes = of_second);
    disk.damage(second, |bytes| *bytes = of_first);
    let damage = refusal(&disk);
    assert!(damage.what.contains("it is the head of the segment"), "{damage}");
}

/// A log that was founded anew, with the voided segment still there.
fn founded_anew() -> (LosableDisk, Vec<PathBuf>) {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    node.writer.perform(LogWork::Refound { founding: founding(6) }).unwrap();
    append(&mut node.writer, id(0, 1), commands(1, 2, 2, 100));
    drop(node);
    let disk = disk.after_process_end();
    let segments = segments(&disk);
    assert_eq!(segments.len(), 2);
    (disk, segments)
}

#[test]
fn what_lies_below_a_reset_does_not_count_whatever_it_is() {
    let (disk, segments) = founded_anew();
    flip(&disk, &segments[0], 70);
    assert_eq!(last_of(&mut start(&disk).unwrap()), Index(3));
    assert!(!disk.files().contains(&segments[0]), "it is removed");
}

#[test]
fn a_log_of_another_cluster_than_the_identitys_is_damage() {
    let (disk, segments) = founded_anew();
    disk.take_away(&segments[1]);
    // The floor speaks of the segment that is missing; with an older hard state the cluster does.
    assert!(refusal(&disk).what.contains("missing"));
    let older = LosableDisk::new();
    let mut node = founded(&older, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 2, 100));
    drop(node);
    let (newer, segments) = founded_anew();
    for name in [path("hardstate"), segments[0].clone()] {
        let bytes = older.bytes(&name);
        newer.damage(&name, |old| *old = bytes);
    }
    newer.take_away(&segments[1]);
    let damage = refusal(&newer);
    assert!(damage.what.contains("its cluster is"), "{damage}");
}

#[test]
fn a_last_segment_that_was_cut_is_damage() {
    let disk = crashed();
    let segment = segments(&disk)[0].clone();
    disk.damage(&segment, |bytes| bytes.truncate(BLOCKS[4]));
    let damage = refusal(&disk);
    assert_eq!((damage.offset as usize, damage.entries), (BLOCKS[4], Some((Index(8), None))));
}

#[test]
fn a_block_of_a_term_above_the_hard_states_is_damage() {
    let disk = crashed();
    let fresh = LosableDisk::new();
    let mut node = founded(&fresh, options());
    let (seq, keep) = (WriteSeq(1), id(0, 1));
    let hard_state = Some(HardState { term: Term(1), vote: None });
    let work = LogWork::Write { seq, hard_state, keep, batches: Vec::new() };
    node.writer.perform(work).unwrap();
    drop(node);
    // The hard state of a node that never saw term 1.
    let older = LosableDisk::new();
    drop(founded(&older, options()));
    let (from, to) = (path("hardstate"), path("hardstate"));
    let bytes = older.bytes(&from);
    disk.damage(&to, |old| *old = bytes);
    let damage = refusal(&disk);
    assert!(damage.what.contains("term 1"), "{damage}");
}

#[test]
fn one_bad_copy_of_the_hard_state_is_written_anew_and_loses_nothing() {
    for copy in [0, 32_768] {
        let disk = LosableDisk::new();
        let mut node = founded(&disk, options());
        let (seq, keep) = (WriteSeq(1), id(0, 1));
        let hard_state = Some(vote(7, 3));
        let work = LogWork::Write { seq, hard_state, keep, batches: Vec::new() };
        node.writer.perform(work).unwrap();
        drop(node);
        let disk = disk.after_process_end();
        flip(&disk, &path("hardstate"), copy + 90);
        let recovered = start(&disk).unwrap();
        assert_eq!(recovered.hard_state, vote(7, 3));
        assert!(recovered.report.notes[0].contains("hard state was bad"));
        drop(recovered);
        flip(&disk, &path("hardstate"), 32_768 - copy + 90);
        assert_eq!(start(&disk.after_process_end()).unwrap().hard_state, vote(7, 3));
    }
}

#[test]
fn without_a_good_copy_of_the_hard_state_nothing_starts() {
    let disk = crashed();
    for copy in [0, 32_768] {
        flip(&disk, &path("hardstate"), copy + 90);
    }
    assert!(refusal(&disk).what.contains("term and vote are lost"));
    disk.take_away(&path("hardstate"));
    assert!(refusal(&disk).what.contains("isn't there"));
}

#[test]
fn the_copy_of_the_hard_state_that_is_bad_is_put_right_before_the_good_one_is_touched() {
    let disk = crashed();
    flip(&disk, &path("hardstate"), 32_768 + 90);
    let (good, bad) = {
        let bytes = disk.bytes(&path("hardstate"));
        (bytes[..4096].to_vec(), bytes[32_768..36_864].to_vec())
    };
    for number in 1.. {
        let cut = disk.copy();
        cut.set_trouble(Some(Trouble::PowerGoes(cut.operations() + number)));
        let done = start(&cut).is_ok();
        let bytes = cut.after_power_cut(&mut || true).bytes(&path("hardstate"));
        assert!(bytes[..4096] == good || bytes[32_768..36_864] != bad, "operation {number}");
        if done {
            break;
        }
    }
}

#[test]
fn a_last_block_that_says_what_no_torn_write_can_say_is_damage() {
    let disk = crashed();
    let segment = segments(&disk)[0].clone();
    for (field, value) in [(12, 1), (12, 3), (32, 6), (48, 136)] {
        let damaged = disk.copy();
        damaged.damage(&segment, |bytes| {
            let head = &mut bytes[BLOCKS[4]..BLOCKS[4] + 64];
            head[field] = value;
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&head[..8]);
            hasher.update(&head[12..]);
            let crc = hasher.finalize();
            head[8..12].copy_from_slice(&crc.to_le_bytes());
        });
        let damage = refusal(&damaged);
        assert!(damage.offset as usize >= BLOCKS[4], "{damage}");
    }
}

#[test]
fn one_bad_copy_of_the_identity_is_written_anew_and_two_are_refused() {
    let disk = crashed();
    flip(&disk, &path("identity"), 40);
    let recovered = start(&disk).unwrap();
    assert!(recovered.report.notes[0].contains("identity was bad"), "{:?}", recovered.report);
    drop(recovered);
    let disk = disk.after_process_end();
    assert!(start(&disk).unwrap().report.notes.is_empty());
    let disk = disk.after_process_end();
    flip(&disk, &path("identity"), 40);
    flip(&disk, &path("identity"), 4096 + 40);
    assert!(refusal(&disk).what.contains("both copies are bad"));
}

#[test]
fn a_log_or_a_used_hard_state_without_an_identity_is_never_formatted_over() {
    let disk = crashed();
    disk.take_away(&path("identity"));
    assert!(refusal(&disk).what.contains("there is a log"));
    for segment in segments(&disk) {
        disk.take_away(&segment);
    }
    assert!(refusal(&disk).what.contains("a node that ran"));
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let disk = crashed();
    let error = start_with(&disk, OpenOptions { node: node(2), ..options() }).unwrap_err();
    assert_eq!((error.class(), error.class().exit_code()), (ErrorClass::Identity, 6));
    assert!(error.to_string().contains("of node 1"), "{error}");
}

#[test]
fn files_of_two_lives_are_never_mixed() {
    let disk = crashed();
    let other = LosableDisk::new();
    let incarnation = Incarnation(0x1234);
    drop(founded(&other, OpenOptions { incarnation, ..options() }));
    for name in ["hardstate", "identity"] {
        let mixed = disk.copy();
        let bytes = other.bytes(&path(name));
        mixed.damage(&path(name), |old| *old = bytes);
        assert!(refusal(&mixed).what.contains("another life"));
    }
    let segment = segments(&disk)[0].clone();
    let bytes = other.bytes(&segments(&other)[0]);
    disk.damage(&segment, |old| *old = bytes);
    assert!(refusal(&disk).what.contains("another life"));
}

#[test]
fn a_directory_that_holds_something_else_is_not_formatted() {
    let disk = LosableDisk::new();
    disk.create_directory(&PathBuf::from(ROOT)).unwrap();
    disk.open(&path("letters.txt"), crate::storage::Access::Create).unwrap();
    let error =
        Directory::open(disk.clone(), &PathBuf::from(ROOT), options(), &mut sink).unwrap_err();
    assert_eq!(error.class().exit_code(), 78);
    assert_eq!(disk.files(), [path("letters.txt")]);
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let disk = LosableDisk::new();
    let node = founded(&disk, options());
    let error = start(&disk).unwrap_err();
    assert_eq!((error.class(), error.class().exit_code()), (ErrorClass::InUse, 75));
    let Recovered { writer, files, .. } = node;
    drop(writer);
    assert_eq!(start(&disk).unwrap_err().class(), ErrorClass::InUse);
    drop(files);
    start(&disk).unwrap();
}

#[test]
fn newer_formats_are_named_and_nothing_is_touched() {
    let disk = crashed();
    let segment = segments(&disk)[0].clone();
    let reseal = |bytes: &mut Vec<u8>, at: usize| {
        let page = &mut bytes[at..at + 4096];
        page[8] = 2;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&page[..12]);
        hasher.update(&page[16..]);
        let crc = hasher.finalize();
        page[12..16].copy_from_slice(&crc.to_le_bytes());
    };
    for (file, at) in [(path("identity"), 0), (path("hardstate"), 32_768), (segment.clone(), 0)] {
        let newer = disk.copy();
        newer.damage(&file, |bytes| reseal(bytes, at));
        let before: Vec<_> = newer.files().iter().map(|path| newer.bytes(path)).collect();
        let error = start(&newer).unwrap_err();
        assert_eq!(error.class().exit_code(), 78, "{error}");
        assert!(error.to_string().contains("format 2"), "{error}");
        let after: Vec<_> = newer.files().iter().map(|path| newer.bytes(path)).collect();
        assert_eq!(before, after);
    }
    disk.damage(&segment, |bytes| {
        let entry = &mut bytes[BLOCKS[1] + 64..][..136];
        entry[8] = 2;
        let crc = crc32fast::hash(&entry[8..]);
        entry[4..8].copy_from_slice(&crc.to_le_bytes());
    });
    assert_eq!(start(&disk).unwrap_err().class().exit_code(), 78);
}

#[test]
fn starts_without_work_between_them_do_not_pile_up_segments() {
    let disk = crashed();
    let mut count = 0;
    for _ in 0..5 {
        let recovered = start(&disk).unwrap();
        assert_eq!(recovered.last, Index(9));
        drop(recovered);
        let now = segments(&disk).len();
        assert!(count == 0 || now == count, "{now} segments after {count}");
        count = now;
    }
    assert_eq!(count, 2);
    let longest = disk.bytes(&segments(&disk)[0]).len();
    assert!(longest < 16_384, "the unused end of the one that was left is given back");
}

#[test]
fn what_stands_behind_the_entry_that_the_next_head_names_does_not_count() {
    let disk = crashed();
    let first = segments(&disk)[0].clone();
    let full = disk.bytes(&first);
    drop(start(&disk).unwrap());
    let disk = disk.after_process_end();
    // The start was cut short before the end was given back, and garbage comes to light there.
    disk.damage(&first, |bytes| {
        *bytes = full;
        bytes[6656..8000].fill(0x5a);
    });
    assert_eq!(last_of(&mut start(&disk).unwrap()), Index(9));
}

#[test]
fn a_strange_file_in_the_log_is_told_of_and_left_alone() {
    let disk = crashed();
    disk.open(&path("log/notes.txt"), crate::storage::Access::Create).unwrap();
    let recovered = start(&disk).unwrap();
    assert!(recovered.report.notes[0].contains("log/notes.txt"), "{:?}", recovered.report);
    assert!(disk.files().contains(&path("log/notes.txt")));
    assert_eq!(recovered.base, LogId::ORIGIN);
}
