//! Crashes and errors at every operation of what is done with snapshots.

use bytes::Bytes;

use super::crash::{Bits, outcomes};
use super::harness::{all_entries, append, append_in_term, commands, founded, id, options, start};
use super::images::{build, contents, file, head, id_of, path, payload, put, sink};
use super::losable::{LosableDisk, Trouble};
use crate::model::{HardState, Index, LogId, SnapshotId, Term, WriteSeq};
use crate::storage::{
    FileReport, FileWork, FileWorker, LogWork, LogWriter, Recovered, StorageError,
};

const BYTES: usize = 100_000;

/// The snapshots that count one after the other: the first stands there before, two are built,
/// the last one is received, and the log doesn't reach to it.
fn stages() -> [LogId; 4] {
    [id(1, 10), id(2, 20), id(2, 30), id(3, 500)]
}

/// A directory with a log of several segments up to 2@30, and the first snapshot.
fn before() -> LosableDisk {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 12, 1000));
    append(&mut node.writer, id(1, 13), commands(1, 14, 8, 1000));
    append(&mut node.writer, id(1, 18), commands(2, 19, 3, 1000));
    append(&mut node.writer, id(1, 18), commands(2, 19, 12, 1000));
    node.writer.perform(LogWork::Mark).unwrap();
    drop(node);
    let disk = disk.after_process_end();
    put(&disk, stages()[0], BYTES);
    disk
}

/// What was reported as done.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// Which of the stages counts.
    stage: usize,
    /// The last entry that is durable.
    last: LogId,
    /// Whether the log begins behind the last stage for certain.
    is_reset: bool,
}

/// Goes from one stage to the next until something fails.
fn go_through(node: Recovered<LosableDisk>, told: &mut Told) -> Result<(), StorageError> {
    let Recovered { mut writer, mut files, mut snapshots, .. } = node;
    for stage in [1, 2] {
        snapshots.insert(0, build(&mut files, stages()[stage], BYTES)?);
        told.stage = stage;
        snapshots.truncate(2);
        files.perform(FileWork::DropSnapshots { keep: snapshots.clone() })?;
        compact(&mut files, snapshots[1].last.index)?;
    }
    let base = stages()[3];
    let snapshot = receive(&mut files, base, 0)?;
    told.stage = 3;
    let (seq, keep) = (WriteSeq(1), told.last);
    let hard_state = Some(HardState { term: Term(3), vote: None });
    writer.perform(LogWork::Write { seq, hard_state, keep, batches: Vec::new() })?;
    writer.perform(LogWork::Reset { seq, base })?;
    (told.last, told.is_reset) = (base, true);
    files.perform(FileWork::DropSnapshots { keep: vec![snapshot] })?;
    compact(&mut files, base.index)?;
    let batches = vec![commands(3, 501, 3, 1000)];
    writer.perform(LogWork::Write { seq, hard_state: None, keep: base, batches })?;
    told.last = id(3, 503);
    Ok(())
}

fn compact(files: &mut FileWorker<LosableDisk>, through: Index) -> Result<(), StorageError> {
    let wanted = Index(u64::MAX);
    loop {
        let work = FileWork::RemoveThrough { through, wanted, max_bytes: 0 };
        match files.perform(work)? {
            FileReport::Removed { more: true, .. } => {}
            FileReport::Removed { .. } => return Ok(()),
            other => panic!("{other:?}"),
        }
    }
}

/// Receives the snapshot up to `last` from `from` on, and loads it.
fn receive(
    files: &mut FileWorker<LosableDisk>,
    last: LogId,
    from: u64,
) -> Result<SnapshotId, StorageError> {
    let file = file(&head(last), &payload(last, BYTES));
    let snapshot = id_of(&head(last), &file);
    let mut has = from;
    while has < snapshot.bytes {
        let end = (has as usize + 40_000).min(file.len());
        let bytes = Bytes::copy_from_slice(&file[has as usize..end]);
        match files.perform(FileWork::StorePiece { snapshot, offset: has, bytes })? {
            FileReport::PieceStored { has: now, .. } => assert_eq!(now, end as u64),
            other => panic!("{other:?}"),
        }
        has = end as u64;
    }
    let mut report = files.perform(FileWork::LoadReceived { snapshot, sink: sink() })?;
    loop {
        match report {
            FileReport::Loading { .. } => {}
            FileReport::Received { sink, .. } => {
                assert!(contents(sink) == payload(last, BYTES));
                return Ok(snapshot);
            }
            other => panic!("{other:?}"),
        }
        report = files.perform(FileWork::ContinueLoad { budget: 70_000 })?;
    }
}

/// What a start finds must be what was reported, perhaps with what was under way. Gives the last
/// entry of the log.
fn check(node: &mut Recovered<LosableDisk>, told: &Told) -> LogId {
    let loaded = node.snapshot.take().expect("there was a snapshot all the time");
    let stage = stages().iter().position(|last| *last == loaded.id.last).unwrap();
    assert!((told.stage..=told.stage + 1).contains(&stage), "{stage} after {told:?}");
    assert_eq!(loaded.head, head(loaded.id.last));
    assert!(contents(loaded.sink) == payload(loaded.id.last, BYTES));
    assert_eq!(node.configurations, [head(loaded.id.last).configuration]);
    assert_eq!(node.snapshots[0], loaded.id);
    for older in &node.snapshots {
        assert!(node.base.index <= older.last.index, "{} {older}", node.base);
    }
    let last = LogId::new(node.runs.last().map_or(node.base.term, |run| run.term), node.last);
    if stage == 3 {
        assert_eq!(node.base, stages()[3]);
        assert!(node.last >= told.last.index || !told.is_reset, "{last} {told:?}");
    } else {
        let covered = stages()[stage.saturating_sub(1)].index;
        assert!(
            node.base.index <= covered,
            "{:?} {stage} {told:?} {:?}",
            node.base,
            node.snapshots
        );
        assert_eq!(last, told.last);
    }
    if node.last > node.base.index {
        let entries = all_entries(&mut node.files, node.base.index.0 + 1, node.last);
        assert_eq!(entries.len() as u64, node.last.0 - node.base.index.0);
    }
    last
}

/// The directory goes on working after what happened: what was being received comes in, a
/// snapshot is made, entries are appended, and all of that is there at the next start.
fn go_on(mut node: Recovered<LosableDisk>, told: &Told, disk: &LosableDisk) {
    let mut last = check(&mut node, told);
    let built = build(&mut node.files, last, BYTES).unwrap();
    if let Some((snapshot, has)) = node.receiving {
        assert!(has <= snapshot.bytes && last.index < snapshot.last.index);
        assert_eq!(receive(&mut node.files, snapshot.last, has).unwrap(), snapshot);
        let (seq, keep) = (WriteSeq(1), last);
        let hard_state = Some(HardState { term: Term(3), vote: None });
        let work = LogWork::Write { seq, hard_state, keep, batches: Vec::new() };
        node.writer.perform(work).unwrap();
        last = snapshot.last;
        node.writer.perform(LogWork::Reset { seq, base: last }).unwrap();
        append_in_term(&mut node.writer, last, commands(3, last.index.0 + 1, 2, 100));
    } else {
        append_next(&mut node.writer, last);
    }
    drop(node);
    let mut node = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!(node.last, last.index + 2);
    assert_eq!(node.receiving, None);
    let newest = node.snapshots[0];
    assert!(newest == built || newest.last == stages()[3], "{newest} {built}");
    all_entries(&mut node.files, node.base.index.0 + 1, node.last);
}

fn append_next(writer: &mut LogWriter<LosableDisk>, last: LogId) {
    let hard_state = Some(HardState { term: Term(4), vote: None });
    let batches = vec![commands(4, last.index.0 + 1, 2, 100)];
    let work = LogWork::Write { seq: WriteSeq(7), hard_state, keep: last, batches };
    writer.perform(work).unwrap();
}

const AT_FIRST: Told = Told { stage: 0, last: LogId::new(Term(2), Index(30)), is_reset: false };

/// Goes through all with trouble, and gives the disk and what was reported until then.
fn run_into(disk: &LosableDisk, trouble: Trouble) -> (LosableDisk, Told, bool) {
    let disk = disk.copy();
    disk.set_trouble(Some(trouble));
    let mut told = AT_FIRST;
    let done = start(&disk).and_then(|node| go_through(node, &mut told));
    (disk, told, done.is_err())
}

/// How many operations there are from the start to the end.
fn operations(disk: &LosableDisk) -> u64 {
    let disk = disk.copy();
    let first = disk.operations();
    go_through(start(&disk).unwrap(), &mut AT_FIRST.clone()).unwrap();
    disk.operations() - first
}

#[test]
fn what_counts_after_a_crash_at_every_operation_is_the_old_or_the_new() {
    let before = before();
    let (first, count) = (before.operations(), operations(&before));
    assert!(count > 80, "{count}");
    for number in 1..=count {
        let (disk, told, failed) = run_into(&before, Trouble::PowerGoes(first + number));
        assert!(failed, "operation {number}");
        for after in outcomes(&disk, 0..6) {
            let node = start(&after).unwrap_or_else(|error| panic!("operation {number}: {error}"));
            go_on(node, &told, &after);
        }
    }
}

#[test]
fn an_error_of_any_operation_is_reported_and_what_counts_is_the_old_or_the_new() {
    let before = before();
    let (first, count) = (before.operations(), operations(&before));
    for number in 1..=count {
        let (disk, told, failed) = run_into(&before, Trouble::Fails(first + number));
        assert!(failed, "operation {number} failed, and nobody noticed");
        for after in outcomes(&disk, 0..3) {
            let node = start(&after).unwrap_or_else(|error| panic!("operation {number}: {error}"));
            go_on(node, &told, &after);
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_the_start_that_follows_changes_nothing() {
    let before = before();
    let first = before.operations();
    for number in (1..=operations(&before)).step_by(3) {
        let (disk, told, _) = run_into(&before, Trouble::PowerGoes(first + number));
        for crashed in outcomes(&disk, number % 5..number % 5 + 1) {
            for second in 1.. {
                let disk = crashed.copy();
                disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + second)));
                if start(&disk).is_ok() {
                    break;
                }
                let after = disk.after_power_cut(&mut Bits::keeper(number + second));
                let mut node = start(&after).unwrap();
                check(&mut node, &told);
            }
        }
    }
}

#[test]
fn a_crash_while_a_damaged_snapshot_is_set_aside_leaves_one_to_start_from() {
    let before = before();
    put(&before, stages()[1], BYTES);
    before.damage(&path(stages()[1]), |bytes| bytes[5000] ^= 1);
    for number in 1.. {
        let disk = before.copy();
        disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + number)));
        let done = start(&disk).is_ok();
        for after in outcomes(&disk, 0..6) {
            let node = start(&after).unwrap();
            assert_eq!(node.snapshots.len(), 1);
            go_on(node, &AT_FIRST, &after);
        }
        if done {
            break;
        }
    }
}

#[test]
fn a_long_receipt_never_comes_back_with_bytes_that_it_did_not_get() {
    let last = id(3, 500);
    let file = file(&head(last), &payload(last, 2_500_000));
    let snapshot = id_of(&head(last), &file);
    let before = before();
    let first = before.operations();
    for number in (20..110).step_by(3) {
        let disk = before.copy();
        disk.set_trouble(Some(Trouble::PowerGoes(first + number)));
        let Ok(mut node) = start(&disk) else { continue };
        let mut has = 0;
        while has < snapshot.bytes {
            let end = (has as usize + 61_440).min(file.len());
            let bytes = Bytes::copy_from_slice(&file[has as usize..end]);
            match node.files.perform(FileWork::StorePiece { snapshot, offset: has, bytes }) {
                Ok(FileReport::PieceStored { has: now, .. }) => has = now,
                _ => break,
            }
        }
        drop(node);
        for after in outcomes(&disk, number..number + 3) {
            let node = start(&after).unwrap();
            let Some((found, there)) = node.receiving else { continue };
            assert!(found == snapshot && there <= has + 61_440);
            let part = path(last).with_extension("part");
            let there = there as usize;
            assert!(after.bytes(&part)[..there] == file[..there], "operation {number}");
        }
    }
}
