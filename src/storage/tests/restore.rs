//! A directory that begins with the state of another cluster.

use std::path::Path;

use super::crash::{Bits, outcomes};
use super::harness::{ROOT, all_entries, append, commands, founding_that, node, options, start};
use super::images::{Image, contents, file, path, payload, sink};
use super::losable::{LosableDisk, Trouble};
use crate::model::{ClusterId, HardState, Incarnation, Index, LogId, LogTime, SnapshotId, Term};
use crate::storage::{
    Beginning, Directory, ErrorClass, OpenOptions, Opened, Recovered, SnapshotHead, StorageError,
    Unformed,
};

const BYTES: usize = 150_000;

/// The last entry of the cluster that was saved.
const LAST: LogId = LogId::new(Term(3), Index(500));

/// The snapshot that was saved, as all nodes of the new cluster know it.
fn saved() -> SnapshotId {
    SnapshotId { last: LAST, bytes: 999, hash: 0x1234 }
}

fn beginning() -> Beginning {
    let mut sink = sink();
    sink.take(&payload(LAST, BYTES)).unwrap();
    sink.finish().unwrap();
    Beginning { last: LAST, time: LogTime(1500), source: Image::new(LAST, BYTES), sink }
}

fn open(disk: &LosableDisk, options: OpenOptions) -> Result<Opened<LosableDisk>, StorageError> {
    Directory::open(disk.clone(), Path::new(ROOT), options, &mut sink)
}

fn unformed(disk: &LosableDisk) -> Result<Box<Unformed<LosableDisk>>, StorageError> {
    match open(disk, options())? {
        Opened::Unformed(unformed) => Ok(unformed),
        Opened::Formed(_) => panic!("the directory has a log"),
    }
}

/// Opens an empty directory and makes it one of the cluster with this id.
fn restore(disk: &LosableDisk, cluster: u128) -> Result<Recovered<LosableDisk>, StorageError> {
    unformed(disk)?.restore(beginning(), &founding_that(cluster, Some(saved())))
}

/// The head of the snapshot that the cluster with this id begins with.
fn head(cluster: u128) -> SnapshotHead {
    let founding = founding_that(cluster, Some(saved()));
    let configuration = (Index(1), founding.founding().configuration.clone());
    let (last, time, epoch) = (LAST, LogTime(1500), founding.founding().epoch);
    SnapshotHead { cluster: ClusterId(cluster), epoch, last, time, configuration, founding }
}

/// All of a restored directory is there, and the work can begin.
fn check(mut found: Recovered<LosableDisk>, cluster: u128) {
    assert_eq!((found.cluster, found.identity.cluster), {
        let id = ClusterId(cluster);
        (id, Some((id, found.epoch)))
    });
    assert_eq!(found.founding, founding_that(cluster, Some(saved())));
    assert_eq!((found.base, found.last, found.runs.len()), (LAST, LAST.index, 0));
    assert_eq!(found.hard_state, HardState { term: LAST.term, vote: None });
    assert_eq!(found.last_time, LogTime(1500));
    assert_eq!(found.configurations, [head(cluster).configuration]);
    let loaded = found.snapshot.take().expect("the cluster begins with a snapshot");
    assert_eq!((loaded.id, &loaded.head), (found.snapshots[0], &head(cluster)));
    assert!(contents(loaded.sink) == payload(LAST, BYTES));
    append(&mut found.writer, LAST, commands(4, 501, 3, 100));
}

#[test]
fn a_restored_directory_has_the_state_and_goes_on_behind_it() {
    let disk = LosableDisk::new();
    check(restore(&disk, 5).unwrap(), 5);
    let disk = disk.after_power_cut(&mut || false);
    assert!(disk.bytes(&path(LAST)) == file(&head(5), &payload(LAST, BYTES)));
    let mut node = start(&disk).unwrap();
    assert_eq!((node.base, node.last, node.snapshots.len()), (LAST, Index(503), 1));
    assert_eq!(all_entries(&mut node.files, 501, Index(503)).len(), 3);
}

#[test]
fn all_nodes_of_a_restored_cluster_have_the_same_bytes_of_its_snapshot() {
    let of_node = |number: u16| {
        let disk = LosableDisk::new();
        let (id, incarnation) = (node(number), Incarnation(number.into()));
        let options = OpenOptions { node: id, incarnation, seed: number.into(), ..options() };
        let Opened::Unformed(unformed) = open(&disk, options).unwrap() else { panic!("a log") };
        unformed.restore(beginning(), &founding_that(5, Some(saved()))).unwrap();
        disk.bytes(&path(LAST))
    };
    assert!(of_node(1) == of_node(2));
}

/// Restores with trouble, and gives the disk and whether that ended it.
fn run_into(trouble: Trouble) -> (LosableDisk, bool) {
    let disk = LosableDisk::new();
    disk.set_trouble(Some(trouble));
    let failed = restore(&disk, 5).is_err();
    (disk, failed)
}

fn operations() -> u64 {
    let disk = LosableDisk::new();
    restore(&disk, 5).unwrap();
    disk.operations()
}

/// What a crash has left is an empty directory, which is restored again, or a restored one.
/// Says which.
fn go_on(after: &LosableDisk, what: &str) -> bool {
    let is_formed = match open(after, options()).unwrap_or_else(|error| panic!("{what}: {error}")) {
        Opened::Formed(found) => {
            check(*found, 5);
            true
        }
        Opened::Unformed(unformed) => {
            let founding = founding_that(6, Some(saved()));
            check(unformed.restore(beginning(), &founding).unwrap(), 6);
            false
        }
    };
    let again = start(&after.after_power_cut(&mut || false)).unwrap();
    assert_eq!((again.base, again.last), (LAST, Index(503)), "{what}");
    is_formed
}

#[test]
fn a_crash_at_every_operation_leaves_an_empty_directory_or_a_restored_one() {
    let (mut empty, mut formed) = (0, 0);
    for number in 1..=operations() {
        let (disk, failed) = run_into(Trouble::PowerGoes(number));
        assert!(failed, "operation {number}");
        for after in outcomes(&disk, 0..8) {
            match go_on(&after, &format!("operation {number}")) {
                true => formed += 1,
                false => empty += 1,
            }
        }
    }
    assert!(empty > 50 && formed > 50, "{empty} {formed}");
}

#[test]
fn an_error_of_any_operation_is_reported_and_leaves_an_empty_directory_or_a_restored_one() {
    for number in 1..=operations() {
        let (disk, failed) = run_into(Trouble::Fails(number));
        assert!(failed, "operation {number} failed, and nobody noticed");
        for after in outcomes(&disk, 0..3) {
            go_on(&after, &format!("operation {number}"));
        }
    }
}

#[test]
fn a_crash_at_every_operation_of_the_start_that_finishes_a_restore_changes_nothing() {
    for number in 1..=operations() {
        let (disk, _) = run_into(Trouble::PowerGoes(number));
        for crashed in outcomes(&disk, number % 5..number % 5 + 1) {
            for second in 1.. {
                let disk = crashed.copy();
                disk.set_trouble(Some(Trouble::PowerGoes(disk.operations() + second)));
                if open(&disk, options()).is_ok() {
                    break;
                }
                let after = disk.after_power_cut(&mut Bits::keeper(number + second));
                go_on(&after, &format!("operations {number} and {second}"));
            }
        }
    }
}

/// A directory whose restore was cut short behind the snapshot's name.
fn cut_short() -> LosableDisk {
    let found = (1..=operations()).find_map(|number| {
        let (disk, _) = run_into(Trouble::PowerGoes(number));
        let after = disk.after_power_cut(&mut || true);
        let names = after.files();
        let has = |end: &str| names.iter().any(|path| path.to_string_lossy().ends_with(end));
        (has(".snap") && !has(".seg")).then_some(after)
    });
    found.expect("the snapshot is there before the log")
}

#[test]
fn a_restore_that_was_cut_short_is_finished_and_said_so() {
    let node = start(&cut_short()).unwrap();
    let says = |note: &String| note.contains("a founding that was cut short is finished");
    assert!(node.report.notes.iter().any(says), "{:?}", node.report.notes);
    check(node, 5);
}

#[test]
fn a_damaged_snapshot_of_a_restore_that_was_cut_short_is_refused() {
    for offset in [100, 5000, 150_000] {
        let disk = cut_short();
        disk.damage(&path(LAST), |bytes| bytes[offset] ^= 1);
        let error = start(&disk).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Corrupt, "{error}");
        assert_eq!(start(&disk).unwrap_err().to_string(), error.to_string());
    }
}

#[test]
fn a_disk_without_room_for_the_state_leaves_an_empty_directory() {
    let disk = LosableDisk::new();
    disk.set_trouble(Some(Trouble::Full(150_000)));
    let Err(error) = restore(&disk, 5) else { panic!("there was room") };
    assert_eq!(error.class(), ErrorClass::NoSpace, "{error}");
    disk.set_trouble(None);
    let after = disk.after_process_end();
    assert!(!go_on(&after, "without room"));
}
