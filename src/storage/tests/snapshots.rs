//! Snapshots: written, sent, received, loaded, dropped.

use bytes::Bytes;

use super::harness::{ROOT, append, commands, founded, id, options, start, start_with};
use super::images::{Image, Loaded, build, contents, file, head, id_of, path, payload, put, sink};
use super::losable::{LosableDisk, Trouble};
use crate::model::{Index, LogId, SnapshotId};
use crate::storage::{
    Disk, FileReport, FileWork, FileWorker, MemoryDisk, OpenOptions, Recovered, SnapshotFault,
};

/// A node with entries up to 9, of term 1.
fn node(disk: &LosableDisk) -> Recovered<LosableDisk> {
    let mut node = founded(disk, options());
    append(&mut node.writer, id(0, 1), commands(1, 2, 8, 100));
    node
}

/// All pieces of a snapshot, as a peer gets them.
fn pieces<D: Disk>(
    files: &mut FileWorker<D>,
    snapshot: SnapshotId,
    max_bytes: usize,
) -> Vec<(u64, Bytes)> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < snapshot.bytes {
        let work = FileWork::ReadPiece { ticket: 3, snapshot, offset, max_bytes };
        let FileReport::Piece { ticket: 3, bytes } = files.perform(work).unwrap() else {
            panic!("a piece at {offset}");
        };
        assert!(!bytes.is_empty() && bytes.len() <= max_bytes);
        found.push((offset, bytes.clone()));
        offset += bytes.len() as u64;
    }
    found
}

fn store<D: Disk>(
    files: &mut FileWorker<D>,
    snapshot: SnapshotId,
    offset: u64,
    bytes: Bytes,
) -> u64 {
    let work = FileWork::StorePiece { snapshot, offset, bytes };
    match files.perform(work).unwrap() {
        FileReport::PieceStored { snapshot: found, has } => {
            assert_eq!(found, snapshot);
            has
        }
        other => panic!("{other:?}"),
    }
}

fn load<D: Disk>(files: &mut FileWorker<D>, snapshot: SnapshotId) -> FileReport {
    let mut report = files.perform(FileWork::LoadReceived { snapshot, sink: sink() }).unwrap();
    while let FileReport::Loading { .. } = report {
        report = files.perform(FileWork::ContinueLoad { budget: 100_000 }).unwrap();
    }
    report
}

/// A snapshot of this many bytes up to `last`, as it comes from a peer.
fn from_peer(last: LogId, bytes: usize) -> (SnapshotId, Vec<u8>) {
    let file = file(&head(last), &payload(last, bytes));
    (id_of(&head(last), &file), file)
}

/// Stores all of a file, in pieces of this length.
fn receive<D: Disk>(files: &mut FileWorker<D>, (snapshot, file): &(SnapshotId, Vec<u8>)) {
    let mut has = 0;
    while has < snapshot.bytes {
        let end = (has as usize + 61_440).min(file.len());
        let bytes = Bytes::copy_from_slice(&file[has as usize..end]);
        assert_eq!(store(files, *snapshot, has, bytes), end as u64);
        has = end as u64;
    }
}

#[test]
fn a_snapshot_has_the_bytes_that_the_page_gives_however_its_payload_is_cut() {
    for bytes in [0, 1, 61_431, 61_432, 61_433, 500_000] {
        let disk = LosableDisk::new();
        let mut node = node(&disk);
        let snapshot = build(&mut node.files, id(1, 7), bytes).unwrap();
        let expected = file(&head(id(1, 7)), &payload(id(1, 7), bytes));
        assert!(disk.bytes(&path(id(1, 7))) == expected, "{bytes} bytes");
        assert_eq!(snapshot, id_of(&head(id(1, 7)), &expected));
        assert_eq!(disk.losable(), 0);
    }
}

#[test]
fn a_snapshot_is_written_and_read_back_in_short_steps() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let source = Image::new(id(1, 7), 2_000_000);
    let begin = FileWork::BeginSnapshot { head: head(id(1, 7)), source };
    let mut report = node.files.perform(begin).unwrap();
    let (mut steps, mut before, mut given_back) = (0, 0, 0);
    while let FileReport::SnapshotWritten { bytes, used } = report {
        assert!(bytes - before <= 200_000 + 61_440, "{before} {bytes}");
        given_back += usize::from(used.is_some());
        before = bytes;
        steps += 1;
        report = node.files.perform(FileWork::ContinueSnapshot { budget: 200_000 }).unwrap();
    }
    assert!((16..32).contains(&steps), "{steps}");
    assert_eq!(given_back, 1, "what it was made from, once");
    assert!(matches!(report, FileReport::SnapshotSaved { snapshot } if snapshot.bytes == before));
}

#[test]
fn a_start_loads_the_newest_snapshot_and_keeps_the_one_before() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let older = build(&mut node.files, id(1, 4), 70_000).unwrap();
    let newest = build(&mut node.files, id(1, 7), 80_000).unwrap();
    drop(node);
    let node = start(&disk.after_power_cut(&mut || false)).unwrap();
    assert_eq!(node.snapshots, [newest, older]);
    assert_eq!((node.base, node.last), (LogId::ORIGIN, Index(9)));
    assert_eq!(node.report.snapshot, Some(newest));
    let loaded = node.snapshot.unwrap();
    assert_eq!((loaded.id, loaded.head), (newest, head(id(1, 7))));
    assert!(contents(loaded.sink) == payload(id(1, 7), 80_000));
}

#[test]
fn the_pieces_of_a_snapshot_are_the_file_whatever_their_length() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let snapshot = build(&mut node.files, id(1, 7), 150_000).unwrap();
    for max_bytes in [61_440, 1_000_000, 10_000, 7777] {
        let found: Vec<u8> = pieces(&mut node.files, snapshot, max_bytes.min(61_440))
            .into_iter()
            .flat_map(|(_, bytes)| bytes)
            .collect();
        assert!(found == disk.bytes(&path(id(1, 7))), "pieces of {max_bytes}");
    }
}

#[test]
fn a_piece_that_is_damaged_or_gone_is_lost_and_those_before_it_are_not() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let snapshot = build(&mut node.files, id(1, 7), 150_000).unwrap();
    disk.damage(&path(id(1, 7)), |bytes| bytes[4096 + 61_440 + 500] ^= 1);
    let mut read = |snapshot, offset| {
        let work = FileWork::ReadPiece { ticket: 8, snapshot, offset, max_bytes: 61_440 };
        matches!(node.files.perform(work).unwrap(), FileReport::Piece { .. })
    };
    assert!(read(snapshot, 0));
    assert!(read(snapshot, 4096));
    assert!(!read(snapshot, 4096 + 61_440));
    assert!(read(snapshot, 4096 + 2 * 61_440));
    assert!(!read(snapshot, snapshot.bytes));
    assert!(!read(SnapshotId { hash: 1, ..snapshot }, 0));
}

#[test]
fn a_dropped_snapshot_that_is_being_read_is_readable_until_others_are_dropped() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let first = build(&mut node.files, id(1, 3), 70_000).unwrap();
    let second = build(&mut node.files, id(1, 4), 70_000).unwrap();
    let third = build(&mut node.files, id(1, 5), 70_000).unwrap();
    assert_eq!(pieces(&mut node.files, first, 61_440).len(), 4);
    let drop = |keep: Vec<SnapshotId>| FileWork::DropSnapshots { keep };
    let report = node.files.perform(drop(vec![third, second])).unwrap();
    assert!(matches!(report, FileReport::SnapshotsDropped { snapshots: 1 }));
    assert!(!disk.files().contains(&path(id(1, 3))));
    assert_eq!(pieces(&mut node.files, first, 61_440).len(), 4);
    // Nobody has read it since then.
    node.files.perform(drop(vec![third, second])).unwrap();
    node.files.perform(drop(vec![third, second])).unwrap();
    let work = FileWork::ReadPiece { ticket: 1, snapshot: first, offset: 0, max_bytes: 10 };
    assert!(matches!(node.files.perform(work).unwrap(), FileReport::PieceLost { ticket: 1 }));
    assert_eq!(pieces(&mut node.files, second, 61_440).len(), 4);
}

#[test]
fn what_is_received_is_loaded_named_and_goes_on_from_there() {
    for length in [61_440, 5000, 70] {
        let disk = LosableDisk::new();
        let mut node = node(&disk);
        let (snapshot, file) = from_peer(id(1, 500), 200_000);
        let mut has = 0;
        while has < snapshot.bytes {
            let end = (has as usize + length).min(file.len());
            let bytes = Bytes::copy_from_slice(&file[has as usize..end]);
            assert_eq!(store(&mut node.files, snapshot, has, bytes.clone()), end as u64);
            assert_eq!(store(&mut node.files, snapshot, has, bytes), end as u64, "once more");
            has = end as u64;
        }
        let report = load(&mut node.files, snapshot);
        let FileReport::Received { snapshot: found, head: found_head, sink } = report else {
            panic!("{report:?}")
        };
        assert_eq!((found, found_head), (snapshot, head(id(1, 500))));
        assert!(contents(sink) == payload(id(1, 500), 200_000));
        assert_eq!(disk.losable(), 0);
        let names: Vec<_> =
            disk.files().into_iter().filter(|p| p.parent() == path(id(1, 1)).parent()).collect();
        assert_eq!(names, [path(id(1, 500))]);
        assert_eq!(pieces(&mut node.files, snapshot, 61_440).len(), 6);
    }
}

#[test]
fn a_piece_that_is_not_the_next_one_is_answered_with_what_is_there() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let (snapshot, file) = from_peer(id(1, 500), 200_000);
    let piece = |from: usize, to: usize| Bytes::copy_from_slice(&file[from..to]);
    let files = &mut node.files;
    assert_eq!(store(files, snapshot, 0, Bytes::new()), 0);
    assert_eq!(store(files, snapshot, 4096, piece(4096, 8192)), 0);
    assert_eq!(store(files, snapshot, 0, piece(0, 4096)), 4096);
    assert_eq!(store(files, snapshot, 4096, piece(4096, 10_000)), 10_000);
    assert_eq!(store(files, snapshot, 4096, piece(4096, 10_000)), 10_000);
    assert_eq!(store(files, snapshot, u64::MAX, piece(0, 10)), 10_000);
    // A chunk that came in damaged is wanted again from its beginning.
    let mut bad = file[10_000..4096 + 61_440].to_vec();
    bad[77] ^= 1;
    assert_eq!(store(files, snapshot, 10_000, bad.into()), 4096);
    // Another one takes its place, and nothing of the first is left.
    let (other, _) = from_peer(id(1, 600), 100);
    assert_eq!(store(files, other, 0, Bytes::new()), 0);
    assert_eq!(store(files, snapshot, 0, Bytes::new()), 0);
    assert_eq!(disk.files().iter().filter(|p| p.to_str().unwrap().ends_with(".part")).count(), 1);
}

#[test]
fn a_head_of_another_cluster_or_another_snapshot_is_not_taken() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let (snapshot, _) = from_peer(id(1, 500), 100);
    let mut other = head(id(1, 500));
    other.cluster = crate::model::ClusterId(6);
    for head in [other, head(id(1, 501))] {
        let file = file(&head, &payload(id(1, 500), 100));
        let bytes = Bytes::copy_from_slice(&file[..4096]);
        assert_eq!(store(&mut node.files, snapshot, 0, bytes), 0);
    }
}

#[test]
fn a_receipt_is_gone_on_with_after_a_restart_from_its_last_whole_chunk() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let from = from_peer(id(1, 500), 3_000_000);
    let (snapshot, file) = &from;
    let mut has = 0;
    while has < 2_000_000 {
        let end = (has as usize + 61_440).min(file.len());
        let bytes = Bytes::copy_from_slice(&file[has as usize..end]);
        has = store(&mut node.files, *snapshot, has, bytes);
    }
    drop(node);
    let killed = start(&disk.after_process_end()).unwrap();
    let kept = (has - 4096) / 61_440 * 61_440 + 4096;
    assert_eq!(killed.receiving, Some((*snapshot, kept)), "the cache has it all");
    let mut node = start(&disk.after_power_cut(&mut || false)).unwrap();
    let (found, durable) = node.receiving.unwrap();
    assert_eq!(found, *snapshot);
    assert!(durable <= kept && durable + (1 << 20) + 61_440 > kept, "{durable} of {kept}");
    assert_eq!(store(&mut node.files, *snapshot, 0, Bytes::new()), durable);
    let mut has = durable;
    while has < snapshot.bytes {
        let end = (has as usize + 61_440).min(file.len());
        has = store(
            &mut node.files,
            *snapshot,
            has,
            Bytes::copy_from_slice(&file[has as usize..end]),
        );
    }
    assert!(matches!(load(&mut node.files, *snapshot), FileReport::Received { .. }));
}

#[test]
fn what_was_received_and_rots_is_wanted_again_from_where_it_is_bad() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let from = from_peer(id(1, 500), 200_000);
    receive(&mut node.files, &from);
    let part = path(id(1, 500)).with_extension("part");
    let second = 4096 + 61_440;
    disk.damage(&part, |bytes| bytes[second + 9] ^= 1);
    let report = load(&mut node.files, from.0);
    let FileReport::ReceivedBad { reason, has, .. } = report else { panic!("{report:?}") };
    assert!(matches!(reason, SnapshotFault::Damaged { offset, .. } if offset == second as u64));
    assert_eq!(has, second as u64);
    let mut has = has as usize;
    while has < from.1.len() {
        let end = (has + 61_440).min(from.1.len());
        let bytes = Bytes::copy_from_slice(&from.1[has..end]);
        has = store(&mut node.files, from.0, has as u64, bytes) as usize;
    }
    assert!(matches!(load(&mut node.files, from.0), FileReport::Received { .. }));
}

#[test]
fn what_can_not_be_understood_or_is_not_whole_does_not_count() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let from = from_peer(id(1, 500), 1000);
    let report = load(&mut node.files, from.0);
    assert!(matches!(report, FileReport::ReceivedBad { has: 0, .. }), "{report:?}");
    store(&mut node.files, from.0, 0, Bytes::copy_from_slice(&from.1[..4096]));
    let report = load(&mut node.files, from.0);
    assert!(matches!(report, FileReport::ReceivedBad { has: 4096, .. }), "{report:?}");
    receive_rest(&mut node.files, &from);
    let sink = Box::new(Loaded { refuses: true, ..Loaded::default() });
    node.files.perform(FileWork::LoadReceived { snapshot: from.0, sink }).unwrap();
    let mut report = node.files.perform(FileWork::ContinueLoad { budget: 1 }).unwrap();
    while let FileReport::Loading { .. } = report {
        report = node.files.perform(FileWork::ContinueLoad { budget: 1 }).unwrap();
    }
    let FileReport::ReceivedBad { reason, has: 0, .. } = report else { panic!("{report:?}") };
    assert!(reason.to_string().contains("a key is missing"), "{reason}");
    assert!(!disk.files().iter().any(|path| path.parent().unwrap().ends_with("snapshots")));
}

fn receive_rest<D: Disk>(files: &mut FileWorker<D>, (snapshot, file): &(SnapshotId, Vec<u8>)) {
    let has = store(files, *snapshot, 0, Bytes::new()) as usize;
    store(files, *snapshot, has as u64, Bytes::copy_from_slice(&file[has..]));
}

#[test]
fn a_full_disk_ends_a_snapshot_and_nothing_else() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    let before = disk.files();
    for room in [0, 3000, 10_000, 200_000] {
        let used: usize = disk.files().iter().map(|path| disk.seen_bytes(path).len()).sum();
        disk.set_trouble(Some(Trouble::Full(used as u64 + room)));
        let error = build(&mut node.files, id(1, 7), 500_000).unwrap_err();
        assert!(error.to_string().contains("nothing is lost"), "{error}");
        assert_eq!(disk.files(), before);
        let snapshot = from_peer(id(1, 500), 500_000).0;
        let work = FileWork::StorePiece { snapshot, offset: 0, bytes: Bytes::new() };
        let report = node.files.perform(work).unwrap();
        assert!(matches!(report, FileReport::NoRoomForPiece { has: 0, .. }), "{report:?}");
        assert_eq!(disk.files(), before);
    }
    disk.set_trouble(None);
    build(&mut node.files, id(1, 7), 500_000).unwrap();
}

#[test]
fn no_snapshot_is_made_when_too_little_would_be_left() {
    let disk = LosableDisk::new();
    let mut node = founded(&disk, OpenOptions { min_free_bytes: 50_000, ..options() });
    let used: usize = disk.files().iter().map(|path| disk.seen_bytes(path).len()).sum();
    disk.set_trouble(Some(Trouble::Full(used as u64 + 150_000)));
    build(&mut node.files, id(0, 1), 120_000).unwrap_err();
    disk.set_trouble(Some(Trouble::Full(used as u64 + 300_000)));
    build(&mut node.files, id(0, 1), 120_000).unwrap();
}

#[test]
#[should_panic(expected = "the log begins behind")]
fn the_snapshot_that_reaches_to_the_log_is_never_dropped() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    drop(build(&mut node.files, id(1, 9), 10));
    drop(node);
    put(&disk.after_process_end(), id(1, 9), 10);
    let disk = disk.after_process_end();
    put(&disk, id(1, 300), 10);
    let mut node = start_with(&disk, options()).unwrap();
    assert_eq!(node.base, id(1, 300));
    let _ = node.files.perform(FileWork::DropSnapshots { keep: Vec::new() });
}

#[test]
#[should_panic(expected = "is to go, and snapshots cover")]
fn no_more_of_the_log_goes_than_the_older_of_two_snapshots_covers() {
    let disk = LosableDisk::new();
    let mut node = node(&disk);
    build(&mut node.files, id(1, 4), 10).unwrap();
    build(&mut node.files, id(1, 7), 10).unwrap();
    let through = |index| FileWork::RemoveThrough {
        through: Index(index),
        wanted: Index(u64::MAX),
        max_bytes: 0,
    };
    node.files.perform(through(4)).unwrap();
    let _ = node.files.perform(through(5));
}

#[test]
fn the_memory_disk_keeps_and_receives_snapshots_too() {
    let disk = MemoryDisk::default();
    let mut node = founded(&disk, options());
    let snapshot = build(&mut node.files, id(0, 1), 300_000).unwrap();
    let read = pieces(&mut node.files, snapshot, 61_440);
    let other = MemoryDisk::default();
    let mut receiver = founded(&other, options());
    for (offset, bytes) in read {
        store(&mut receiver.files, snapshot, offset, bytes);
    }
    assert!(matches!(load(&mut receiver.files, snapshot), FileReport::Received { .. }));
    let root = std::path::Path::new(ROOT);
    assert_eq!(other.list(&root.join("snapshots")).unwrap().len(), 1);
}
