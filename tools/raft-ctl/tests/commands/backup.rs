//! Snapshots saved from nodes: whole or not at all, whatever happens on the way.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use raft_node::model::MAX_PIECE_BYTES;
use raft_node::wire::{KeptSnapshot, RefusalCode};

use crate::snapshot_files::stored;
use crate::support::{FakeCluster, Giving, Mood, Ran, raft_ctl};

const PIECE: u64 = MAX_PIECE_BYTES as u64;

/// A directory to save into.
struct Place {
    directory: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("backup.snap");
        Place { directory, file }
    }

    /// Runs `snapshot save` of the file against the nodes.
    fn save(&self, nodes: &[&FakeCluster], more: &[&str]) -> Ran {
        let endpoints: Vec<String> =
            nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let (endpoints, file) = (endpoints.join(","), self.file.display().to_string());
        let command = ["-e", &endpoints, "-t", "600ms", "snapshot", "save", &file];
        raft_ctl(&[&command[..], more].concat(), b"")
    }

    /// The names of the files that are there.
    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// It fails with these codes, as an object and in words, and nothing is left of it.
    #[track_caller]
    fn refuses(&self, nodes: &[&FakeCluster], more: &[&str], exit: i32, code: &str) -> Ran {
        let before = self.names();
        let ran = self.save(nodes, &[more, &["--json"]].concat());
        assert_eq!(ran.code, exit, "{ran:?}");
        assert!(ran.out.contains(&format!("\"code\":\"{code}\"")), "{}", ran.out);
        assert!(ran.err.contains("  hint: "), "{}", ran.err);
        assert_eq!(self.names(), before, "something is left");
        ran
    }
}

fn file() -> (KeptSnapshot, Bytes) {
    let stored = stored(200, &[b'v'; 1000]);
    (stored.kept, stored.bytes())
}

fn leader(file: &(KeptSnapshot, Bytes), giving: Giving) -> FakeCluster {
    FakeCluster::giving(1, Mood::Good, std::slice::from_ref(file), giving)
}

fn follower(file: &(KeptSnapshot, Bytes)) -> FakeCluster {
    FakeCluster::giving(2, Mood::Leaderless, std::slice::from_ref(file), Giving::Whole)
}

#[test]
fn the_newest_snapshot_is_saved_from_the_leader() {
    let (file, place) = (file(), Place::new());
    let older = stored(100, b"v");
    let files = [file.clone(), (older.kept, older.bytes())];
    let (leader, other) =
        (FakeCluster::giving(1, Mood::Good, &files, Giving::Whole), follower(&file));
    let ran = place.save(&[&other, &leader], &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read(&place.file).unwrap(), file.1);
    assert_eq!(place.names(), ["backup.snap"]);
    assert_eq!(other.offsets(), []);
    let head = format!(
        "{{\"v\":1,\"outcome\":\"ok\",\"dry_run\":false,\"file\":\"{}\",\"index\":200,\"term\":4,\
         \"time\":\"2026-11-23T11:08:37.000Z\",\"time_nanoseconds\":1795432117000000000,\
         \"bytes\":{},\"hash\":\"{:032x}\",\"nodes\":[1],\"seconds\":",
        place.file.display(),
        file.1.len(),
        file.0.id.hash
    );
    assert!(ran.out.starts_with(&head), "{}", ran.out);

    let place = Place::new();
    let ran = place.save(&[&other, &leader], &["--index", "100"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read(&place.file).unwrap(), older.bytes());
    assert!(ran.out.starts_with("saved 100@4 from node 1  "), "{}", ran.out);
    assert!(ran.out.ends_with(", verified\n"), "{}", ran.out);
    let name = place.file.display().to_string();
    assert_eq!(raft_ctl(&["snapshot", "verify", &name], b"").code, 0);
}

#[test]
fn without_a_leader_any_node_will_do() {
    let (file, place) = (file(), Place::new());
    let ran = place.save(&[&follower(&file)], &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read(&place.file).unwrap(), file.1);
}

#[test]
fn a_broken_connection_is_gone_on_from_at_the_same_node() {
    let (file, place) = (file(), Place::new());
    let leader = leader(&file, Giving::CutAt(PIECE * 3 / 2));
    let ran = place.save(&[&leader], &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read(&place.file).unwrap(), file.1);
    assert_eq!(leader.offsets(), [0, PIECE, PIECE, 2 * PIECE, 3 * PIECE]);
}

#[test]
fn where_a_node_goes_away_another_one_with_the_same_snapshot_gives_the_rest() {
    let file = file();
    for trouble in [Giving::DeadFrom, Giving::GoneFrom, Giving::SilentFrom] {
        let place = Place::new();
        let (leader, other) = (leader(&file, trouble(PIECE * 3 / 2)), follower(&file));
        let ran = place.save(&[&leader, &other], &["--json", "-t", "3s"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(fs::read(&place.file).unwrap(), file.1);
        assert_eq!(other.offsets(), [PIECE, 2 * PIECE, 3 * PIECE]);
        assert!(ran.out.contains("\"nodes\":[1,2],"), "{}", ran.out);
    }
}

#[test]
fn a_node_that_gets_the_snapshot_only_meanwhile_gives_the_rest() {
    let file = file();
    for trouble in [Giving::DeadFrom, Giving::GoneFrom] {
        let place = Place::new();
        let leader = leader(&file, trouble(PIECE * 3 / 2));
        let late =
            FakeCluster::giving(2, Mood::Leaderless, std::slice::from_ref(&file), Giving::Late);
        let ran = place.save(&[&leader, &late], &["--trigger", "--json", "-t", "10s"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(fs::read(&place.file).unwrap(), file.1);
        assert_eq!(late.offsets(), [PIECE, 2 * PIECE, 3 * PIECE]);
    }
}

#[test]
fn a_snapshot_that_goes_meanwhile_leaves_nothing() {
    let (file, place) = (file(), Place::new());
    let leader = leader(&file, Giving::GoneFrom(PIECE * 3 / 2));
    // The other one keeps another one only.
    let older = stored(100, b"v");
    let files = [(older.kept, older.bytes())];
    let other = FakeCluster::giving(2, Mood::Leaderless, &files, Giving::Whole);
    let ran = place.refuses(&[&leader, &other], &[], 4, "snapshot_gone");
    assert!(ran.err.contains("60.0 KiB of 206.3 KiB were read until then"), "{}", ran.err);
    assert!(ran.out.contains("\"retry_safe\":true"), "{}", ran.out);
}

#[test]
fn nodes_that_stop_giving_leave_nothing() {
    let (file, place) = (file(), Place::new());
    let silent = leader(&file, Giving::SilentFrom(PIECE));
    place.refuses(&[&silent], &[], 4, "timed_out");
    let dead = leader(&file, Giving::DeadFrom(PIECE));
    let ran = place.refuses(&[&dead], &[], 4, "timed_out");
    assert!(ran.err.contains("60.0 KiB of 206.3 KiB were read until then"), "{}", ran.err);
}

#[test]
fn bytes_that_are_not_the_snapshots_are_refused() {
    let (file, place) = (file(), Place::new());
    for at in [20, PIECE, file.1.len() as u64 - 1] {
        let ran = place.refuses(&[&leader(&file, Giving::WrongAt(at))], &[], 7, "corrupt");
        assert!(ran.err.contains("what node 1 sent isn't snapshot 200@4"), "{}", ran.err);
    }
    place.refuses(&[&leader(&file, Giving::TooMuch)], &[], 7, "corrupt");
    // A file that is good, and another one than the node has said.
    let another = stored(200, &[b'w'; 1000]);
    let wrong = leader(&(file.0, another.bytes()), Giving::Whole);
    place.refuses(&[&wrong], &[], 7, "corrupt");
    fs::write(&place.file, "before").unwrap();
    place.refuses(&[&wrong], &["--force"], 7, "corrupt");
    assert_eq!(fs::read(&place.file).unwrap(), b"before");
}

#[test]
fn a_file_that_is_there_is_replaced_only_by_force() {
    let (file, place) = (file(), Place::new());
    let leader = leader(&file, Giving::Whole);
    fs::write(&place.file, "before").unwrap();
    place.refuses(&[&leader], &[], 6, "file_exists");
    place.refuses(&[&leader], &["--dry-run"], 6, "file_exists");
    assert_eq!(fs::read(&place.file).unwrap(), b"before");
    assert_eq!(leader.offsets(), []);
    assert_eq!(place.save(&[&leader], &["--force"]).code, 0);
    assert_eq!(fs::read(&place.file).unwrap(), file.1);
    assert_eq!(place.names(), ["backup.snap"]);
}

#[test]
fn what_is_no_place_for_a_file_is_refused() {
    let place = Place::new();
    let directory = place.directory.path().display().to_string();
    for (name, exit) in [("-", 2), (&directory, 2), ("..", 2), ("/nowhere/at/all", 8)] {
        let ran = raft_ctl(&["-e", "127.0.0.1:1", "snapshot", "save", name, "--json"], b"");
        assert_eq!(ran.code, exit, "{name}: {ran:?}");
    }
}

#[test]
fn where_nothing_is_kept_nothing_is_saved() {
    let (file, place) = (file(), Place::new());
    let none = FakeCluster::start(Mood::Good);
    let ran = place.refuses(&[&none], &[], 1, "no_snapshot");
    assert!(ran.err.contains("--trigger has one taken first"), "{}", ran.err);
    let ran = place.refuses(&[&leader(&file, Giving::Whole)], &["--index", "7"], 1, "no_snapshot");
    assert!(ran.err.contains("doesn't keep a snapshot of entry 7"), "{}", ran.err);
}

#[test]
fn different_snapshots_of_one_entry_are_not_chosen_from() {
    let (file, place) = (file(), Place::new());
    let another = stored(200, &[b'w'; 1000]);
    let leader = leader(&file, Giving::Whole);
    let other = follower(&(another.kept, another.bytes()));
    let ran = place.refuses(&[&leader, &other], &[], 6, "snapshots_differ");
    assert!(ran.err.contains("node 2  200@4  206.3 KiB  hash "), "{}", ran.err);
    // Whoever names one has chosen.
    assert_eq!(place.save(&[&other], &["--node", "2"]).code, 0);
    assert_eq!(fs::read(&place.file).unwrap(), another.bytes());
}

#[test]
fn a_snapshot_is_taken_first_where_that_is_wanted() {
    let (file, place) = (file(), Place::new());
    let leader = leader(&file, Giving::Whole);
    let ran = place.save(&[&leader], &["--trigger", "--dry-run", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("\"dry_run\":true,") && ran.out.contains("\"index\":null,"));
    assert_eq!(place.save(&[&leader], &["--trigger"]).code, 0);
    assert_eq!(fs::read(&place.file).unwrap(), file.1);
    let place = Place::new();
    place.refuses(&[&follower(&file)], &["--trigger"], 4, "no_leader");
    let leaderless = FakeCluster::start(Mood::Refusing(RefusalCode::NoLeader));
    place.refuses(&[&leaderless], &["--trigger", "--dry-run"], 4, "no_leader");
}

#[test]
fn a_dry_run_says_what_would_be_saved() {
    let (file, place) = (file(), Place::new());
    let leader = leader(&file, Giving::Whole);
    let ran = place.save(&[&leader], &["--dry-run"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "would save 200@4 from node 1  206.3 KiB\n"));
    let ran = place.save(&[&leader], &["--dry-run", "--json"]);
    assert!(ran.out.ends_with("\"nodes\":[1],\"seconds\":null}\n"), "{}", ran.out);
    assert_eq!((place.names(), leader.offsets()), (Vec::new(), Vec::new()));
}
