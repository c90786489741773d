//! The commands that read a data directory, on one that the storage has written.

use std::fs;
use std::path::{Path, PathBuf};

use raft_node::kv::{Command, Expected, Operation, Settings};
use raft_node::model::{
    BatchBuilder, ClusterId, Configuration, EntryHeader, EntryKind, Epoch, Founding, FoundingEntry,
    HardState, Incarnation, Index, LogId, LogTime, NodeId, Seat, Standing, Term, WriteSeq,
};
use raft_node::storage::{
    Directory, LogWork, OpenOptions, Opened, RealDisk, SnapshotSink, SyncMode,
};

use crate::support::{Ran, member, raft_ctl};

fn time(index: u64) -> LogTime {
    LogTime((1_795_439_117 + index) * 1_000_000_000)
}

/// A directory with a founding entry and three commands in two blocks.
pub(crate) fn directory() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("3");
    let Opened::Unformed(unformed) = open(&path) else { panic!("the directory is new") };
    let mut batch = BatchBuilder::default();
    let mut payload = Vec::new();
    let founding = FoundingEntry::make(founding(), header(1, 0, EntryKind::FOUNDING).time);
    let mut recovered = unformed.found(&founding).unwrap();
    let put = Operation::Put { key: b"user:1", value: b"ann" };
    let cas =
        Operation::CompareAndSwap { key: b"cfg", expected: Expected::Value(b"v1"), value: b"v2" };
    let increment = Operation::Increment { key: b"n", by: -2 };
    let mut last = LogId::new(Term(0), Index(1));
    let mut index = 1;
    for (seq, operations) in [(1, vec![put, cas]), (2, vec![increment])] {
        for operation in operations {
            index += 1;
            payload.clear();
            Command::Change { session: None, operation }.encode(&mut payload);
            batch.push(header(index, 7, EntryKind::COMMAND), &payload);
        }
        let work = LogWork::Write {
            seq: WriteSeq(seq),
            hard_state: Some(HardState { term: Term(7), vote: Some(member(2)) }),
            keep: last,
            batches: vec![batch.take().unwrap()],
        };
        recovered.writer.perform(work).unwrap();
        last = LogId::new(Term(7), Index(index));
    }
    recovered.writer.perform(LogWork::Stop).unwrap();
    (parent, path)
}

/// Opens a directory without snapshots.
pub(crate) fn open(path: &Path) -> Opened<RealDisk> {
    let options = OpenOptions {
        node: NodeId::new(3).unwrap(),
        incarnation: Incarnation(0xabc),
        seed: 7,
        segment_bytes: 1 << 20,
        sync: SyncMode::Always,
        min_free_bytes: 0,
    };
    let mut sinks = || -> Box<dyn SnapshotSink> { unreachable!("there is none to be loaded") };
    Directory::open(RealDisk, path, options, &mut sinks).unwrap()
}

fn header(index: u64, term: u64, kind: EntryKind) -> EntryHeader {
    EntryHeader { kind, id: LogId::new(Term(term), Index(index)), time: time(index) }
}

pub(crate) fn founding() -> Founding {
    let seats = (1..=3)
        .map(|id| Seat {
            id: NodeId::new(id).unwrap(),
            incarnation: Some(Incarnation(u128::from(id))),
            standing: Standing::Voter,
            address: format!("10.0.0.{id}:3111"),
        })
        .collect();
    Founding {
        cluster: ClusterId(0x6f1d_2c00 << 96),
        epoch: Epoch(1),
        founder: NodeId::new(1).unwrap(),
        name: "raft".to_owned(),
        configuration: Configuration::new(seats),
        settings: Settings::default().encode(),
        restored: None,
    }
}

fn run(arguments: &[&str], path: &Path) -> Ran {
    let mut all = arguments.to_vec();
    let path = path.display().to_string();
    all.push(&path);
    raft_ctl(&all, b"")
}

/// The only segment that holds entries.
fn segment(path: &Path) -> PathBuf {
    let mut names: Vec<PathBuf> = fs::read_dir(path.join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    names.sort();
    names.remove(0)
}

#[test]
fn entries_are_printed_with_what_they_do() {
    let (_parent, path) = directory();
    let ran = run(&["log", "dump"], &path);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "# node 3  cluster 6f1d2c00  term 7  voted_for 2  first 1  last 4");
    assert!(lines[1].starts_with("index    term  time"), "{}", ran.out);
    assert!(lines[2].contains("founding") && lines[2].contains("2 10.0.0.2:3111"), "{}", ran.out);
    assert!(lines[3].starts_with("2        7     2026-11-23T13:05:19.000Z"), "{}", ran.out);
    assert!(lines[3].ends_with("put   \"user:1\" = \"ann\""), "{}", ran.out);
    assert!(lines[4].ends_with("cas   \"cfg\" \"v1\" -> \"v2\""), "{}", ran.out);
    assert!(lines[5].ends_with("incr  \"n\" -2"), "{}", ran.out);
    assert_eq!(lines.len(), 6);
}

#[test]
fn entries_are_objects_with_the_promised_keys() {
    let (_parent, path) = directory();
    let ran = run(&["log", "dump", "--from", "2", "--to", "3", "--json"], &path);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with(
            "{\"index\":2,\"term\":7,\"time\":\"2026-11-23T13:05:19.000Z\",\
             \"time_nanoseconds\":1795439119000000000,\"type\":\"put\",\"bytes\":"
        ),
        "{}",
        lines[0]
    );
    for key in ["\"crc\":\"", "\"segment\":\"", "\"offset\":", "\"ends_block\":false,"] {
        assert!(lines[0].contains(key), "{key}: {}", lines[0]);
    }
    assert!(lines[0].ends_with("\"key\":\"user:1\",\"value\":\"ann\"}"), "{}", lines[0]);
    assert!(
        lines[1].ends_with("\"expected_value\":\"v1\",\"key\":\"cfg\",\"value\":\"v2\"}"),
        "{}",
        lines[1]
    );
}

#[test]
fn one_entry_is_shown_with_its_bytes() {
    let (_parent, path) = directory();
    let path = path.display().to_string();
    let ran = raft_ctl(&["log", "show", &path, "2"], b"");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with("entry 2  put\n  term      7\n"), "{}", ran.out);
    assert!(ran.out.contains("\npayload, "), "{}", ran.out);
    let ran = raft_ctl(&["log", "show", &path, "99", "--json"], b"");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("\"code\":\"not_found\""), "{}", ran.out);
    assert!(ran.err.contains("the log holds 1..4"), "{}", ran.err);
}

#[test]
fn the_last_entries_and_their_kinds_are_told() {
    let (_parent, path) = directory();
    let ran = run(&["log", "tail", "--lines", "2", "--json"], &path);
    let indexes: Vec<&str> = ran.out.lines().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(indexes, ["{\"index\":3", "{\"index\":4"]);
    let ran = run(&["log", "stat", "--json"], &path);
    assert!(
        ran.out
            .starts_with("{\"v\":1,\"live\":false,\"first\":1,\"last\":4,\"entries\":4,\"bytes\":"),
        "{}",
        ran.out
    );
    for kind in ["\"founding\":{", "\"put\":{", "\"cas\":{", "\"incr\":{"] {
        assert!(ran.out.contains(kind), "{kind}: {}", ran.out);
    }
    let ran = run(&["log", "stat"], &path);
    assert!(ran.out.contains("TYPE"), "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.len() <= 80), "{}", ran.out);
}

#[test]
fn segments_are_listed() {
    let (_parent, path) = directory();
    let ran = run(&["log", "ls", "--json"], &path);
    assert_eq!(ran.code, 0, "{ran:?}");
    let head = "{\"v\":1,\"live\":false,\"segments\":[{\"name\":\"";
    assert!(ran.out.starts_with(head), "{}", ran.out);
    assert!(ran.out.contains("\"first\":1,\"last\":4,\"entries\":4,"), "{}", ran.out);
    let ran = run(&["log", "ls"], &path);
    assert!(ran.out.lines().all(|line| line.len() <= 80), "{}", ran.out);
}

#[test]
fn a_whole_log_is_verified() {
    let (_parent, path) = directory();
    let ran = run(&["log", "verify", "--json"], &path);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.starts_with("{\"v\":1,\"verdict\":\"ok\",\"live\":false,\"first\":1,\"last\":4,"),
        "{}",
        ran.out
    );
    let ran = run(&["log", "verify"], &path);
    assert!(ran.out.starts_with("segment 0000000000000001  4 entries  1..4  "), "{}", ran.out);
    assert!(ran.out.ends_with("ok: entries 1..4 are as they were written\n"), "{}", ran.out);
}

#[test]
fn damage_below_what_was_durable_is_told_from_a_torn_end() {
    let (_parent, path) = directory();
    let segment = segment(&path);
    let mut bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(6).position(|window| window == b"user:1").unwrap();
    bytes[at] ^= 0x40;
    fs::write(&segment, &bytes).unwrap();
    let ran = run(&["log", "verify", "--json"], &path);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.contains("\"verdict\":\"corrupt\""), "{}", ran.out);
    assert!(ran.out.contains("\"kind\":\"corrupt\",\"file\":\""), "{}", ran.out);
    let ran = run(&["log", "verify"], &path);
    assert_eq!(ran.code, 7);
    assert!(ran.out.contains("\nBAD  "), "{}", ran.out);
    assert!(ran.out.contains("\ndamaged: "), "{}", ran.out);
    let ran = run(&["log", "dump", "--json"], &path);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.contains("\"code\":\"corrupt\""), "{}", ran.out);
}

#[test]
fn what_a_node_must_never_forget_is_shown() {
    let (_parent, path) = directory();
    let ran = run(&["meta", "show", "--json"], &path);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.starts_with(
            "{\"v\":1,\"live\":false,\"node\":3,\
             \"incarnation\":\"00000000000000000000000000000abc\",\
             \"cluster\":\"6f1d2c00000000000000000000000000\",\"epoch\":1,\"term\":7,\
             \"voted_for\":2,\"voted_for_incarnation\":\"00000000000000000000000000000002\",\
             \"boot\":1,\"clean\":true,"
        ),
        "{}",
        ran.out
    );
    let ran = run(&["meta", "show"], &path);
    assert!(ran.out.starts_with("node 3\n  incarnation  0000"), "{}", ran.out);
}

#[test]
fn what_is_no_directory_of_a_node_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    for path in [parent.path().to_owned(), parent.path().join("nowhere")] {
        for command in [["log", "verify"], ["meta", "show"]] {
            let mut arguments = command.to_vec();
            arguments.push("--json");
            let ran = run(&arguments, &path);
            assert_eq!(ran.code, 2, "{ran:?}");
            assert!(ran.out.contains("\"code\":\"usage\""), "{}", ran.out);
            assert!(ran.err.contains("hint: give the directory of one node"), "{}", ran.err);
        }
    }
}

#[test]
fn a_disk_is_measured_and_nothing_is_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let told = raft_ctl(&["check", "disk", "--time", "300ms", "--json", &path], b"");
    assert!(told.code == 0 || told.code == 1, "{told:?}");
    for part in ["\"fit\":", "\"blocks\":\"small\",\"bytes\":320", "\"election_timeout_ms\":"] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let nowhere = raft_ctl(&["check", "disk", &format!("{path}/nowhere")], b"");
    assert_eq!(nowhere.code, 8, "{nowhere:?}");
}
