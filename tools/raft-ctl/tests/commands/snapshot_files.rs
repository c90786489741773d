//! The commands that read the file of a snapshot, on files that the storage has written.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use raft_node::kv::{Command, Image, Machine, Operation};
use raft_node::model::{
    EntryHeader, EntryKind, EntryRef, FoundingEntry, Index, LogId, LogTime, Term,
};
use raft_node::storage::{FileReport, FileWork, Opened, SnapshotHead, SnapshotSource};
use raft_node::wire::KeptSnapshot;

use crate::offline::{directory, founding, open};
use crate::support::{Ran, raft_ctl};

/// A snapshot in the directory of a node.
pub(crate) struct Stored {
    _parent: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) kept: KeptSnapshot,
}

impl Stored {
    pub(crate) fn bytes(&self) -> Bytes {
        fs::read(&self.path).unwrap().into()
    }
}

#[derive(Debug)]
struct Content(Image);

impl SnapshotSource for Content {
    fn next(&mut self, out: &mut BytesMut, max_bytes: usize) -> bool {
        self.0.next(out, max_bytes)
    }
}

/// Content that no machine gives.
#[derive(Debug)]
struct Nonsense;

impl SnapshotSource for Nonsense {
    fn next(&mut self, out: &mut BytesMut, _: usize) -> bool {
        out.extend_from_slice(b"\x01nonsense");
        false
    }
}

/// The machine behind as many entries, each of which has put a key with such a value.
fn machine(entries: u64, value: &[u8]) -> Machine {
    let mut machine = Machine::new();
    for index in 1..=entries {
        let key = format!("key {index:06}");
        let mut payload = Vec::new();
        let operation = Operation::Put { key: key.as_bytes(), value };
        Command::Change { session: None, operation }.encode(&mut payload);
        let id = LogId::new(Term(4), Index(index));
        let header = EntryHeader { kind: EntryKind::COMMAND, id, time: time(index) };
        let mut entry = BytesMut::new();
        header.encode(&payload, &mut entry);
        machine.apply(EntryRef::read(&entry).unwrap(), &mut BytesMut::new()).unwrap();
    }
    machine
}

fn time(index: u64) -> LogTime {
    LogTime((1_795_431_917 + index) * 1_000_000_000)
}

/// A snapshot behind as many entries, each of which has put a key with such a value.
pub(crate) fn stored(entries: u64, value: &[u8]) -> Stored {
    let image = machine(entries, value).image();
    written(entries, Box::new(Content(image)))
}

fn written(index: u64, source: Box<dyn SnapshotSource>) -> Stored {
    let (parent, path) = directory();
    let Opened::Formed(mut recovered) = open(&path) else { panic!("it has a log") };
    let head = SnapshotHead {
        cluster: founding().cluster,
        epoch: founding().epoch,
        last: LogId::new(Term(4), Index(index)),
        time: time(index),
        configuration: (Index(1), founding().configuration),
        founding: FoundingEntry::make(founding(), time(1)),
    };
    let mut work = FileWork::BeginSnapshot { head, source };
    let id = loop {
        match recovered.files.perform(work).unwrap() {
            FileReport::SnapshotSaved { snapshot } => break snapshot,
            FileReport::SnapshotWritten { .. } => {
                work = FileWork::ContinueSnapshot { budget: 1 << 20 };
            }
            other => panic!("{other:?}"),
        }
    };
    let path = fs::read_dir(path.join("snapshots")).unwrap().next().unwrap().unwrap().path();
    let kept = KeptSnapshot { id, log_time: time(index) };
    Stored { _parent: parent, path, kept }
}

fn run(arguments: &[&str], path: &Path) -> Ran {
    let path = path.display().to_string();
    raft_ctl(&[arguments, &[&path]].concat(), b"")
}

#[test]
fn a_file_says_what_it_is() {
    let stored = stored(200, &[b'v'; 1000]);
    let ran = run(&["snapshot", "show"], &stored.path);
    assert_eq!(ran.code, 0, "{ran:?}");
    let expected = format!(
        "snapshot 200@4\n\
         \x20 cluster  6f1d2c00000000000000000000000000 epoch 1\n\
         \x20 time     2026-11-23T11:08:37.000Z\n\
         \x20 file     211,292 bytes, hash {:032x}\n\
         \x20 content  202.2 KiB in 4 chunks\n\
         \x20 members  as of entry 1\n\
         \x20   1      10.0.0.1:3111  voter\n\
         \x20   2      10.0.0.2:3111  voter\n\
         \x20   3      10.0.0.3:3111  voter\n",
        stored.kept.id.hash
    );
    assert_eq!(ran.out, expected);
    assert!(ran.out.lines().all(|line| line.len() <= 80), "{}", ran.out);
    let ran = run(&["snapshot", "show", "--json"], &stored.path);
    let expected = format!(
        "{{\"v\":1,\"file\":\"{}\",\"cluster\":\"6f1d2c00000000000000000000000000\",\"epoch\":1,\
         \"index\":200,\"term\":4,\"time\":\"2026-11-23T11:08:37.000Z\",\
         \"time_nanoseconds\":1795432117000000000,\"bytes\":{},\"hash\":\"{:032x}\",\"chunks\":4,\
         \"content_bytes\":",
        stored.path.display(),
        stored.kept.id.bytes,
        stored.kept.id.hash
    );
    assert!(ran.out.starts_with(&expected), "{}", ran.out);
    let seat = "\"configuration_index\":1,\"seats\":[{\"address\":\"10.0.0.1:3111\",\"id\":1,";
    assert!(ran.out.contains(seat), "{}", ran.out);
}

#[test]
fn a_whole_file_is_verified_with_what_it_holds() {
    let stored = stored(200, &[b'v'; 1000]);
    let state_hash = machine(200, &[b'v'; 1000]).state_hash();
    let ran = run(&["snapshot", "verify"], &stored.path);
    assert_eq!(ran.code, 0, "{ran:?}");
    let expected = format!(
        "snapshot 200@4  206.3 KiB  ok\n\
         ok: 200 keys and 0 sessions are as they were written, state hash {state_hash:032x}\n"
    );
    assert_eq!(ran.out, expected);
    let ran = run(&["snapshot", "verify", "--json"], &stored.path);
    let tail = format!(
        "\"hash\":\"{:032x}\",\"keys\":200,\"sessions\":0,\"state_hash\":\"{state_hash:032x}\",\
         \"findings\":[]}}\n",
        stored.kept.id.hash
    );
    assert!(ran.out.starts_with("{\"v\":1,\"verdict\":\"ok\",\"file\":\""), "{}", ran.out);
    assert!(ran.out.ends_with(&tail), "{}", ran.out);
}

#[test]
fn every_damage_of_a_file_is_found() {
    let stored = stored(200, &[b'v'; 1000]);
    let whole = stored.bytes();
    let last = whole.len() - 1;
    // In the head, in the first and the last chunk, in the foot.
    for (offset, part) in [(20, 0), (5000, 4096), (last - 100, 0x2e000), (last, 0)] {
        let mut bytes = whole.to_vec();
        bytes[offset] ^= 0x10;
        fs::write(&stored.path, &bytes).unwrap();
        let ran = run(&["snapshot", "verify", "--json"], &stored.path);
        assert_eq!(ran.code, 7, "{offset}: {ran:?}");
        assert!(ran.out.starts_with("{\"v\":1,\"verdict\":\"corrupt\","), "{}", ran.out);
        let finding = "\"findings\":[{\"kind\":\"corrupt\",\"file\":\"";
        assert!(ran.out.contains(finding), "{}", ran.out);
        let ran = run(&["snapshot", "verify"], &stored.path);
        assert_eq!(ran.code, 7, "{offset}: {ran:?}");
        let place = format!("  offset {part:#x}  ");
        assert!(ran.out.contains("BAD  ") && ran.out.contains("\ndamaged: "), "{}", ran.out);
        assert!(part == 0 || ran.out.contains(&place), "{place}: {}", ran.out);
    }
    for length in [0, 100, 4096, whole.len() - 1] {
        fs::write(&stored.path, &whole[..length]).unwrap();
        let ran = run(&["snapshot", "verify"], &stored.path);
        assert_eq!(ran.code, 7, "{length}: {ran:?}");
        let ran = run(&["snapshot", "show", "--json"], &stored.path);
        assert_eq!(ran.code, 7, "{length}: {ran:?}");
        assert!(ran.out.contains("\"code\":\"corrupt\""), "{}", ran.out);
    }
}

#[test]
fn good_bytes_that_mean_nothing_are_no_snapshot() {
    let stored = written(200, Box::new(Nonsense));
    let ran = run(&["snapshot", "verify", "--json"], &stored.path);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.contains("\"index\":200,"), "{}", ran.out);
    assert!(ran.out.contains("\"keys\":null,\"sessions\":null,"), "{}", ran.out);
    assert!(
        ran.out.contains("\"offset\":null,\"message\":\"the snapshot's content"),
        "{}",
        ran.out
    );
    // The content of another entry than the head tells of.
    let image = machine(3, b"v").image();
    let stored = written(200, Box::new(Content(image)));
    let ran = run(&["snapshot", "verify"], &stored.path);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.contains("the head tells of entry "), "{}", ran.out);
}

#[test]
fn a_file_that_is_not_there_cannot_be_read() {
    for command in ["show", "verify"] {
        let ran = run(&["snapshot", command, "--json"], Path::new("/nowhere/at/all.snap"));
        assert_eq!(ran.code, 8, "{ran:?}");
        assert!(ran.out.contains("\"code\":\"local_io\""), "{}", ran.out);
    }
}

#[test]
fn a_directory_names_its_snapshots() {
    let stored = stored(200, b"v");
    let node = stored.path.parent().unwrap().parent().unwrap();
    let ran = run(&["log", "dump"], node);
    assert_eq!(ran.code, 0, "{ran:?}");
    let head = "# node 3  cluster 6f1d2c00  term 7  voted_for 2  first 1  last 4  snapshot 200@4\n";
    assert!(ran.out.starts_with(head), "{}", ran.out);
    let ran = run(&["meta", "show"], node);
    assert!(ran.out.contains("\n  snapshots    200@4\n"), "{}", ran.out);
    let ran = run(&["meta", "show", "--json"], node);
    assert!(ran.out.ends_with("\"snapshots\":[{\"index\":200,\"term\":4}]}\n"), "{}", ran.out);
}
