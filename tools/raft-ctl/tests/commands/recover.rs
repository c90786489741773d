//! `recover`, on directories that the storage has written.

use std::fs;
use std::path::Path;

use raft_node::model::{Incarnation, NodeId};
use raft_node::storage::{Directory, OpenOptions, RealDisk, SnapshotSink, SyncMode};

use crate::offline::{directory, open};
use crate::support::{Ran, raft_ctl};

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn run(arguments: &[&str]) -> Ran {
    raft_ctl(&[&["recover"], arguments].concat(), b"")
}

/// The value of a key that is a text.
fn value<'a>(json: &'a str, key: &str) -> &'a str {
    let (_, rest) = json.split_once(&format!("\"{key}\":\"")).expect("the key is there");
    rest.split('"').next().expect("it ends")
}

#[test]
fn a_plan_is_shown_named_and_carried_out_once() {
    let (parent, path) = directory();
    let path = text(&path);
    let shown = run(&["plan", "--no-probe", &path]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let told = run(&["plan", "--no-probe", "--json", &path]);
    let hash = value(&told.out, "hash").to_owned();
    for part in [
        &format!("plan {hash}"),
        "epoch 1 ends, epoch 2 begins in term 8",
        "4@7",
        "10.0.0.3:3111",
        "entries 1..4 may have been committed or not",
        "1 voter, of which 0 may fail",
        &format!("next: raft-ctl recover apply --plan {hash} {path}"),
    ] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    let dry = run(&["apply", "--no-probe", "--plan", &hash, "--dry-run", "--json", &path]);
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.out.contains("\"dry_run\":true"), "{}", dry.out);
    assert!(!parent.path().join("3/recovery-2.json").exists());
    for before in [false, true] {
        let applied = run(&["apply", "--no-probe", "--plan", &hash, "--json", &path]);
        assert_eq!(applied.code, 0, "{applied:?}");
        assert!(applied.out.contains(&format!("\"before\":{before}}}")), "{}", applied.out);
        assert!(applied.out.contains("\"epoch\":2,\"nodes\":[{\"node\":3,"), "{}", applied.out);
    }
    let meta = raft_ctl(&["meta", "show", "--json", &path], b"");
    assert!(meta.out.contains("\"epoch\":2,\"term\":8"), "{}", meta.out);
    let dumped = raft_ctl(&["log", "dump", "--from", "5", "--json", &path], b"");
    assert!(dumped.out.contains("\"type\":\"configuration\""), "{}", dumped.out);
    // A node whose epoch has passed can be given up again, with the next one.
    let again = run(&["plan", "--no-probe", "--json", &path]);
    assert_eq!(again.code, 6, "{again:?}");
    assert!(again.out.contains("1 of 1 voters are left"), "{}", again.out);
}

#[test]
fn a_survey_does_in_the_place_of_a_directory_and_files_are_never_overwritten() {
    let (parent, path) = directory();
    let path = text(&path);
    let [survey, plan] = ["survey.json", "plan.json"].map(|name| text(&parent.path().join(name)));
    assert_eq!(run(&["survey", &path, "--save", &survey]).code, 0);
    let refused = run(&["survey", &path, "--save", &survey, "--json"]);
    assert_eq!((refused.code, value(&refused.out, "code")), (6, "file_exists"));
    let of_directory = run(&["plan", "--no-probe", "--json", &path]);
    let of_survey = run(&["plan", "--no-probe", "--json", &survey, "--save", &plan]);
    assert_eq!(of_survey.out, of_directory.out);
    let hash = value(&of_survey.out, "hash").to_owned();
    let from = ["apply", "--no-probe", "--plan", &hash, "--from", &plan, &path];
    assert_eq!(run(&from).code, 0);
    // Neither of the two files does in the place of the other.
    let wrong = run(&["plan", "--no-probe", &plan]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let wrong = run(&["apply", "--plan", &hash, "--from", &survey, &path]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[test]
fn a_directory_that_has_changed_since_is_left_as_it_is() {
    let (parent, path) = directory();
    let saved = text(&parent.path().join("plan.json"));
    let planned = run(&["plan", "--no-probe", "--json", "--save", &saved, &text(&path)]);
    let hash = value(&planned.out, "hash").to_owned();
    // A start makes the plan another one, but the log that it is for is still the same.
    drop(open(&path));
    let refused = run(&["apply", "--no-probe", "--plan", &hash, "--json", &text(&path)]);
    assert_eq!((refused.code, value(&refused.out, "code")), (6, "plan_changed"));
    assert!(!path.join("recovery-2.json").exists());
    let from = ["apply", "--no-probe", "--plan", &hash, "--from", &saved, &text(&path)];
    assert_eq!(run(&from).code, 0);
}

#[test]
fn damage_and_directories_without_a_cluster_are_told() {
    let (_parent, path) = directory();
    let segments = fs::read_dir(path.join("log")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segments.filter(|path| path.extension().is_some_and(|end| end == "seg")).min();
    let segment = segment.expect("there is one");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4096 + 200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let damaged = run(&["plan", "--no-probe", "--json", &text(&path)]);
    assert_eq!((damaged.code, value(&damaged.out, "code")), (7, "corrupt"), "{damaged:?}");
    assert!(damaged.err.contains("leave this directory out"), "{}", damaged.err);

    let parent = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        node: NodeId::new(1).unwrap(),
        incarnation: Incarnation(5),
        seed: 7,
        segment_bytes: 1 << 20,
        sync: SyncMode::Always,
        min_free_bytes: 0,
    };
    let mut sinks = || -> Box<dyn SnapshotSink> { unreachable!("there is none to be loaded") };
    drop(Directory::open(RealDisk, parent.path(), options, &mut sinks).unwrap());
    let empty = run(&["plan", "--no-probe", "--json", &text(parent.path())]);
    assert_eq!((empty.code, value(&empty.out, "code")), (6, "no_plan"), "{empty:?}");
    let nothing = run(&["plan", "--no-probe", "--json", &text(&parent.path().join("log"))]);
    assert_eq!(nothing.code, 2, "{nothing:?}");
}
