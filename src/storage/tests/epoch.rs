//! A new epoch, begun in a directory with crashes and errors at every operation.

use std::path::Path;

use super::crash::{Bits, outcomes};
use super::harness::{
    ROOT, all_entries, append, append_in_term, commands, configuration, entry_id, founded, id,
    node, options, root, start, vote,
};
use super::images::{file, head, id_of, path, payload, put, put_file};
use super::losable::{LosableDisk, Trouble};
use crate::model::{
    Batch, BatchBuilder, ClusterId, Configuration, EntryHeader, EntryKind, Epoch, HardState,
    Incarnation, Index, LogId, LogTime, Member, Term, WriteSeq,
};
use crate::storage::{
    Directory, EpochBegun, FileReport, FileWork, Inspection, LogWork, NewEpoch, Recovered,
    SnapshotHead, StorageError, Verdict,
};

const CLUSTER: ClusterId = ClusterId(5);
const OLD: Epoch = Epoch(0);
const NEW: Epoch = Epoch(1);
const RECORD: &[u8] = b"{\"why\":\"a majority is lost\"}\n";

fn new_configuration() -> Configuration {
    configuration("10.0.0.9:3111")
}

/// The first entry of the epoch, behind `last`.
fn first_entry(last: LogId, term: Term) -> Batch {
    let mut payload = Vec::new();
    new_configuration().encode(&mut payload);
    let id = LogId::new(term, last.index + 1);
    let mut builder = BatchBuilder::default();
    builder.push(EntryHeader { kind: EntryKind::CONFIGURATION, id, time: LogTime(5000) }, &payload);
    builder.take().unwrap()
}

const LAST: LogId = LogId::new(Term(2), Index(9));
const TERM: Term = Term(4);

fn order(first: bool) -> NewEpoch {
    NewEpoch {
        member: Member { id: node(1), incarnation: Incarnation(0xabcd) },
        cluster: CLUSTER,
        from: OLD,
        to: NEW,
        last: LAST,
        term: TERM,
        first: first.then(|| first_entry(LAST, TERM)),
        record: RECORD.to_vec(),
        seed: 99,
    }
}

/// A directory whose log ends with `9@2`, and whose node has voted in term 3.
fn before() -> LosableDisk {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 5, 900));
    append(&mut node.writer, id(1, 6), commands(2, 7, 3, 900));
    let seq = WriteSeq(9);
    let hard_state = Some(vote(3, 2));
    let work = LogWork::Write { seq, hard_state, keep: LAST, batches: Vec::new() };
    node.writer.perform(work).unwrap();
    drop(node);
    disk.after_process_end()
}

fn begin(disk: &LosableDisk, order: &NewEpoch) -> Result<EpochBegun, StorageError> {
    Directory::begin_epoch(disk.clone(), Path::new(ROOT), order)
}

fn epoch_of(node: &Recovered<LosableDisk>) -> Epoch {
    assert_eq!(node.identity.cluster, Some((CLUSTER, node.epoch)));
    node.epoch
}

/// What a start finds must be wholly of the old epoch or wholly of the new one.
fn check(node: &mut Recovered<LosableDisk>, first: bool) -> Epoch {
    let epoch = epoch_of(node);
    let entries = all_entries(&mut node.files, 1, node.last);
    let last = entry_id(entries.last().unwrap());
    match (epoch, first) {
        (NEW, true) => {
            assert_eq!(last, LogId::new(TERM, LAST.index + 1));
            assert_eq!(node.configurations.last(), Some(&(last.index, new_configuration())));
        }
        _ => {
            assert_eq!(last, LAST);
            assert_eq!(node.configurations.len(), 1);
        }
    }
    let raised = HardState { term: TERM, vote: None };
    let is_raised = node.hard_state == raised;
    assert!(is_raised || (epoch == OLD && node.hard_state == vote(3, 2)));
    epoch
}

/// The node goes on in the epoch that it is in.
fn go_on(mut node: Recovered<LosableDisk>, disk: &LosableDisk) {
    let epoch = epoch_of(&node);
    let last = all_entries(&mut node.files, 1, node.last).pop().unwrap();
    let last = entry_id(&last);
    append(&mut node.writer, last, commands(6, last.index.0 + 1, 30, 900));
    append_in_term(
        &mut node.writer,
        id(6, last.index.0 + 30),
        commands(6, last.index.0 + 31, 1, 9),
    );
    drop(node);
    let mut node = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!(epoch_of(&node), epoch);
    assert_eq!(node.last, last.index + 31);
    all_entries(&mut node.files, 1, node.last);
}

#[test]
fn the_log_is_kept_and_goes_on_in_the_new_epoch() {
    for first in [true, false] {
        let disk = before();
        let inspection = Inspection::open(disk.clone(), &root()).unwrap();
        let survey = inspection.survey().unwrap();
        assert_eq!((survey.last, survey.last_time), (LAST, LogTime(1009)));
        assert_eq!(survey.cut_short, None);
        assert_eq!(begin(&disk, &order(first)).unwrap(), EpochBegun::Now);
        assert_eq!(inspection.verify().unwrap().verdict, Verdict::Ok);
        let survey = inspection.survey().unwrap();
        assert_eq!(survey.meta.identity.cluster, Some((CLUSTER, NEW)));
        assert_eq!(survey.meta.hard_state, HardState { term: TERM, vote: None });
        let mut node = start(&disk).unwrap();
        assert_eq!(check(&mut node, first), NEW);
        assert_eq!(node.report.notes, [] as [&str; 0]);
        go_on(node, &disk);
    }
}

#[test]
fn the_files_that_are_changed_are_kept_and_so_is_why_they_were() {
    let disk = before();
    let files = ["identity", "hardstate"].map(|name| root().join(name));
    let old = files.clone().map(|path| disk.bytes(&path));
    begin(&disk, &order(true)).unwrap();
    assert_eq!(begin(&disk, &order(true)).unwrap(), EpochBegun::Before);
    let disk = disk.after_power_cut(&mut || false);
    for (path, old) in files.iter().zip(old) {
        assert!(disk.bytes(path) != old, "{path:?}");
        assert!(disk.bytes(&path.with_extension("epoch-0")) == old, "{path:?}");
    }
    assert_eq!(disk.bytes(&root().join("recovery-1.json")), RECORD);
}

#[test]
fn going_back_by_hand_as_the_page_says_leads_to_the_old_epoch() {
    let disk = before();
    begin(&disk, &order(true)).unwrap();
    for name in ["identity", "hardstate"] {
        let path = root().join(name);
        put_file(&disk, &path, &disk.bytes(&path.with_extension("epoch-0")));
    }
    let segments = disk.files().into_iter().filter(|path| path.extension() == Some("seg".as_ref()));
    disk.take_away(&segments.max().unwrap());
    let mut node = start(&disk).unwrap();
    assert_eq!(check(&mut node, true), OLD);
    assert_eq!(node.hard_state, vote(3, 2));
}

/// The new epoch is begun, and meets trouble at its operation `number`.
fn run_into(before: &LosableDisk, trouble: Trouble, first: bool) -> (LosableDisk, bool) {
    let disk = before.copy();
    disk.set_trouble(Some(trouble));
    let failed = begin(&disk, &order(first)).is_err();
    (disk, failed)
}

fn operations(before: &LosableDisk, first: bool) -> u64 {
    let disk = before.copy();
    let begun = disk.operations();
    begin(&disk, &order(first)).unwrap();
    disk.operations() - begun
}

#[test]
fn after_a_crash_at_every_operation_a_start_finds_the_old_epoch_or_the_new_one() {
    for first in [true, false] {
        let before = before();
        let (begun, count) = (before.operations(), operations(&before, first));
        assert!(count > 30, "{count}");
        let mut found = [0, 0];
        for number in 1..=count {
            let (disk, failed) = run_into(&before, Trouble::PowerGoes(begun + number), first);
            assert!(failed, "operation {number}");
            for after in outcomes(&disk, 0..12) {
                let mut node =
                    start(&after).unwrap_or_else(|error| panic!("operation {number}: {error}"));
                found[check(&mut node, first).0 as usize] += 1;
                go_on(node, &after);
            }
        }
        assert!(found[0] > 0 && found[1] > 0, "{found:?}");
    }
}

#[test]
fn after_a_crash_or_an_error_at_every_operation_the_same_order_finishes_it() {
    for first in [true, false] {
        let before = before();
        let begun = before.operations();
        for number in 1..=operations(&before, first) {
            for trouble in [Trouble::PowerGoes(begun + number), Trouble::Fails(begun + number)] {
                let (disk, failed) = run_into(&before, trouble, first);
                assert!(failed, "operation {number}");
                for after in outcomes(&disk, 0..6) {
                    begin(&after, &order(first))
                        .unwrap_or_else(|error| panic!("operation {number}: {error}"));
                    let mut node = start(&after.after_power_cut(&mut || false)).unwrap();
                    assert_eq!(check(&mut node, first), NEW);
                }
            }
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_the_start_that_follows_a_crash_changes_nothing() {
    let before = before();
    let begun = before.operations();
    for number in (1..=operations(&before, true)).step_by(3) {
        let (disk, _) = run_into(&before, Trouble::PowerGoes(begun + number), true);
        for crashed in outcomes(&disk, number % 5..number % 5 + 2) {
            for second in 1.. {
                let disk = crashed.copy();
                disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + second)));
                if start(&disk).is_ok() {
                    break;
                }
                let after = disk.after_power_cut(&mut Bits::keeper(number + second));
                check(&mut start(&after).unwrap(), true);
            }
        }
    }
}

#[test]
fn a_directory_that_is_not_what_was_planned_for_is_left_as_it_is() {
    let disk = before();
    let other_life = Member { id: node(1), incarnation: Incarnation(7) };
    let other_node = Member { id: node(2), incarnation: Incarnation(0xabcd) };
    let orders = [
        NewEpoch { member: other_life, ..order(true) },
        NewEpoch { member: other_node, ..order(true) },
        NewEpoch { cluster: ClusterId(6), ..order(true) },
        NewEpoch { from: Epoch(1), to: Epoch(2), ..order(true) },
        NewEpoch { last: id(2, 8), first: None, ..order(true) },
        NewEpoch { last: id(1, 9), first: None, ..order(true) },
    ];
    for order in orders {
        let error = begin(&disk, &order).unwrap_err();
        assert!(matches!(error, StorageError::Changed { .. }), "{error}");
        assert!(error.to_string().contains("nothing was changed here"), "{error}");
        assert!(Directory::check_epoch(disk.clone(), &root(), &order).is_err());
    }
    assert_eq!(check(&mut start(&disk).unwrap(), true), OLD);
}

#[test]
fn what_another_plan_has_begun_is_not_taken_for_done() {
    let disk = before();
    begin(&disk, &order(true)).unwrap();
    let other = NewEpoch { record: b"another".to_vec(), ..order(true) };
    let error = begin(&disk, &other).unwrap_err();
    assert!(error.to_string().contains("by another plan"), "{error}");
    assert_eq!(disk.bytes(&root().join("recovery-1.json")), RECORD);
    assert_eq!(begin(&disk, &order(true)).unwrap(), EpochBegun::Before);
}

#[test]
fn a_directory_in_use_is_neither_looked_at_nor_changed() {
    let disk = before();
    let node = start(&disk).unwrap();
    let error = begin(&disk, &order(true)).unwrap_err();
    assert!(matches!(error, StorageError::InUse { .. }), "{error}");
    let error = Inspection::open(disk.clone(), &root()).unwrap().survey().unwrap_err();
    assert!(matches!(error, StorageError::InUse { .. }), "{error}");
    drop(node);
    assert_eq!(begin(&disk, &order(true)).unwrap(), EpochBegun::Now);
}

#[test]
fn a_look_whether_it_can_be_done_changes_nothing() {
    let disk = before();
    let check =
        |disk: &LosableDisk| Directory::check_epoch(disk.clone(), &root(), &order(true)).unwrap();
    assert_eq!(check(&disk), EpochBegun::Now);
    assert_eq!(epoch_of(&start(&disk).unwrap()), OLD);
    begin(&disk, &order(true)).unwrap();
    assert_eq!(check(&disk), EpochBegun::Before);
}

#[test]
fn a_torn_end_is_cut_off_and_an_empty_last_segment_is_left_behind() {
    let disk = before();
    drop(start(&disk).unwrap());
    let crashed = disk.after_process_end();
    let mut node = start(&crashed).unwrap();
    append(&mut node.writer, LAST, commands(4, 10, 1, 2000));
    drop(node);
    // The block of the last entry is torn: it never was.
    let (path, offset) = last_block(&crashed);
    crashed.damage(&path, |bytes| bytes[offset + 1000] ^= 1);
    for disk in [disk.after_process_end(), crashed] {
        begin(&disk, &order(true)).unwrap();
        let mut node = start(&disk.after_power_cut(&mut || false)).unwrap();
        assert_eq!(check(&mut node, true), NEW);
    }
}

/// The last segment that has a block, and where its first one begins.
fn last_block(disk: &LosableDisk) -> (std::path::PathBuf, usize) {
    let inspection = Inspection::open(disk.clone(), &root()).unwrap();
    let segments = inspection.verify().unwrap().segments;
    let last = segments.iter().rfind(|segment| segment.blocks > 0).unwrap();
    (root().join("log").join(&last.name), 4096)
}

#[test]
fn snapshots_of_the_epoch_before_go_on_counting_and_those_of_a_later_one_do_not() {
    let disk = before();
    put(&disk, id(1, 5), 100);
    begin(&disk, &order(true)).unwrap();
    let mut node = start(&disk).unwrap();
    assert_eq!(node.snapshot.take().map(|loaded| loaded.id.last), Some(id(1, 5)));
    // A member that was far behind is sent one of the old epoch, too.
    let file = file(&head(id(3, 500)), &payload(id(3, 500), 100));
    let snapshot = id_of(&head(id(3, 500)), &file);
    let store = FileWork::StorePiece { snapshot, offset: 0, bytes: file.into() };
    let stored = node.files.perform(store).unwrap();
    assert!(matches!(stored, FileReport::PieceStored { has, .. } if has == snapshot.bytes));
    drop(node);
    let inspection = Inspection::open(disk.clone(), &root()).unwrap();
    assert_eq!(inspection.verify_snapshots().unwrap().verdict, Verdict::Ok);

    let old = before();
    let later = SnapshotHead { epoch: NEW, ..head(id(1, 5)) };
    put_file(&old, &path(id(1, 5)), &super::images::file(&later, &payload(id(1, 5), 100)));
    let error = start(&old).unwrap_err();
    assert!(error.to_string().contains("of another cluster"), "{error}");
}

#[test]
fn a_survey_tells_the_configuration_in_force_and_what_was_cut_short() {
    let disk = before();
    let survey = |disk: &LosableDisk| Inspection::open(disk.clone(), &root()).unwrap().survey();
    let found = survey(&disk).unwrap();
    assert_eq!(found.configuration, Some((Index(1), configuration("127.0.0.1:3111"))));
    assert_eq!(found.runs.len(), 3);
    let snapshot = put(&disk, id(1, 5), 100);
    assert_eq!(survey(&disk).unwrap().snapshots, [snapshot]);
    begin(&disk, &order(true)).unwrap();
    let found = survey(&disk).unwrap();
    assert_eq!(found.configuration, Some((LAST.index + 1, new_configuration())));
    assert_eq!((found.last, found.last_time), (LogId::new(TERM, Index(10)), LogTime(5000)));
    // One that the log doesn't hold has come in, and a start would begin the log anew behind it.
    put(&disk, id(5, 50), 100);
    let found = survey(&disk).unwrap();
    assert!(found.cut_short.is_some_and(|what| what.contains("snapshot")), "{found:?}");
    // What is damaged is told instead.
    disk.damage(&path(id(5, 50)), |bytes| bytes[4096 + 20] ^= 4);
    let error = survey(&disk).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt(_)), "{error}");
}
