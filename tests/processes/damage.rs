//! Files that aren't any more what was written: the node repairs itself out of what the others hold,
//! or refuses.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::bench::{Cluster, Shape, raft_ctl, wait_for};
use crate::snapshots::{NOTHING_STAYS, ctl};

/// Somewhere in the entries that a segment begins with.
const OFFSET: u64 = 4096 + 200;

/// Where the copies of the hard state and of the identity begin.
const COPIES: [(&str, u64); 2] = [("hardstate", 32_768), ("identity", 4096)];

/// The files of the log or of the snapshots that end so, the oldest first.
fn files(cluster: &Cluster, id: u16, folder: &str, end: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(cluster.data_directory(id).join(folder)).expect("it is there");
    let paths = names.map(|name| name.expect("it can be read").path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|found| found == end)).collect();
    found.sort();
    found
}

fn flip(path: &Path, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it can be opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("it can be read");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("it can be written");
}

/// Stops the node in good order.
fn stop(cluster: &mut Cluster, id: u16) {
    cluster.node(id).signal(Signal::TERM);
    assert_eq!(cluster.node(id).wait(), 0);
}

/// Writes a few keys, and waits until all nodes have them.
fn write(cluster: &Cluster, what: &str) {
    let mut client = cluster.client();
    for number in 0..20 {
        client.put_until_done(&format!("{what}-{number}"), "value");
    }
}

fn assert_written(cluster: &Cluster, whats: &[&str]) {
    let stored = cluster.client().scan();
    for what in whats {
        for number in 0..20 {
            let key = format!("{what}-{number}");
            assert_eq!(stored.get(&key).map(String::as_str), Some("value"), "{key}");
        }
    }
}

/// A cluster of three whose node 2 has several segments, and is stopped.
fn with_segments() -> Cluster {
    let mut cluster = Cluster::start(&Shape::default());
    for what in ["one", "two", "three"] {
        write(&cluster, what);
        cluster.wait_until_all_have_caught_up();
        stop(&mut cluster, 2);
        cluster.start_node(2);
    }
    write(&cluster, "four");
    cluster.wait_until_all_have_caught_up();
    stop(&mut cluster, 2);
    assert!(files(&cluster, 2, "log", "seg").len() >= 4);
    cluster
}

/// Node 2 is one again that counts: with it and one other the cluster goes on.
fn assert_counts(cluster: &mut Cluster) {
    cluster.wait_until_all_have_caught_up();
    cluster.node(3).kill();
    write(cluster, "with node 2");
    cluster.start_node(3);
    cluster.wait_until_all_have_caught_up();
    assert_written(cluster, &["with node 2"]);
}

#[test]
fn a_flipped_bit_is_refused_without_repair_and_repaired_with_it() {
    let mut cluster = with_segments();
    let segment = files(&cluster, 2, "log", "seg")[0].clone();
    flip(&segment, OFFSET);
    let damaged = fs::read(&segment).expect("it can be read");

    cluster.start_node_with(2, &["--no-repair"]);
    assert_eq!(cluster.node(2).wait(), 65);
    let output = cluster.node(2).output();
    let name = segment.file_name().expect("it has a name").to_string_lossy().into_owned();
    for part in [&name[..], "offset 0x1", "Nothing was changed", "raft-ctl log verify"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(fs::read(&segment).expect("it can be read") == damaged, "the file was changed");
    write(&cluster, "meanwhile");

    cluster.start_node(2);
    assert_counts(&mut cluster);
    assert_written(&cluster, &["one", "two", "three", "four", "meanwhile"]);
    assert!(cluster.node(2).output().contains("log_repaired"));
    let kept = files(&cluster, 2, "log", "bad");
    assert_eq!(kept.len(), 1);
    assert!(fs::read(&kept[0]).expect("it can be read") == damaged, "it isn't what was damaged");
    stop(&mut cluster, 2);
    let directory = cluster.data_directory(2).display().to_string();
    ctl(&cluster, &["log", "verify", &directory], 0);
}

/// The value of a key that is a text.
fn value<'a>(json: &'a str, key: &str) -> &'a str {
    let (_, rest) = json.split_once(&format!("\"{key}\":\"")).expect("the key is there");
    rest.split('"').next().expect("it ends")
}

#[test]
fn a_stopped_node_is_repaired_by_hand_as_planned_and_starts_without_any_repair() {
    let mut cluster = with_segments();
    let segments = files(&cluster, 2, "log", "seg");
    flip(&segments[0], OFFSET);
    flip(&segments[2], OFFSET);
    let directory = cluster.data_directory(2).display().to_string();
    let verified = ctl(&cluster, &["log", "verify", "--json", &directory], 7);
    assert_eq!(verified.matches("\"kind\":\"corrupt\"").count(), 2, "{verified}");
    let planned = ctl(&cluster, &["repair", "plan", "--json", &directory], 0);
    assert!(planned.contains("\"possible\":true"), "{planned}");
    let hash = value(&planned, "hash").to_owned();
    let shown = ctl(&cluster, &["repair", "plan", &directory], 0);
    assert!(shown.contains(&format!("raft-ctl repair apply --plan {hash}")), "{shown}");
    ctl(&cluster, &["repair", "apply", "--plan", "0123456789abcdef", &directory], 6);
    ctl(&cluster, &["repair", "apply", "--dry-run", "--plan", &hash, &directory], 0);
    assert!(files(&cluster, 2, "log", "bad").is_empty(), "nothing was done yet");
    let done = ctl(&cluster, &["repair", "apply", "--plan", &hash, &directory], 0);
    assert_eq!(done.matches("repaired").count(), 2, "{done}");
    assert_eq!(files(&cluster, 2, "log", "bad").len(), 2);
    ctl(&cluster, &["log", "verify", &directory], 0);
    let nothing = ctl(&cluster, &["repair", "plan", &directory], 0);
    assert!(nothing.contains("nothing is damaged"), "{nothing}");
    cluster.start_node_with(2, &["--no-repair"]);
    assert_counts(&mut cluster);
    assert_written(&cluster, &["one", "two", "three", "four"]);
    ctl(&cluster, &["repair", "plan", &directory], 6);
}

#[test]
fn a_segment_that_is_gone_is_made_anew_whichever_it_is() {
    for which in 0..4 {
        let mut cluster = with_segments();
        let segments = files(&cluster, 2, "log", "seg");
        fs::remove_file(&segments[which]).expect("it is there");
        cluster.start_node(2);
        assert_counts(&mut cluster);
        assert_written(&cluster, &["one", "two", "three", "four"]);
    }
}

#[test]
fn where_the_others_have_let_the_entries_go_a_snapshot_takes_their_place() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.configure(NOTHING_STAYS);
    cluster.start_all();
    write(&cluster, "one");
    cluster.wait_until_all_have_caught_up();
    stop(&mut cluster, 2);
    let first = files(&cluster, 2, "log", "seg")[0].clone();
    for what in ["two", "three", "four"] {
        write(&cluster, what);
        ctl(&cluster, &["snapshot", "trigger"], 0);
        for id in [1, 3] {
            stop(&mut cluster, id);
            cluster.start_node(id);
        }
        cluster.wait_for_leader();
    }
    wait_for("the others to let their first entries go", || {
        let first = |id| cluster.status(id).map(|status| status.first.0);
        (first(1)? > 1 && first(3)? > 1).then_some(())
    });
    flip(&first, OFFSET);
    cluster.start_node(2);
    assert_counts(&mut cluster);
    assert_written(&cluster, &["one", "two", "three", "four"]);
    assert!(cluster.node(2).output().contains("log_repaired"));
}

#[test]
fn two_of_three_that_are_damaged_at_different_places_are_repaired_out_of_the_third() {
    let mut cluster = with_segments();
    cluster.start_node(2);
    cluster.wait_until_all_have_caught_up();
    for id in [1, 2, 3] {
        cluster.node(id).kill();
    }
    let last = files(&cluster, 1, "log", "seg").pop().expect("it has one");
    flip(&last, OFFSET);
    flip(&files(&cluster, 2, "log", "seg")[1], OFFSET);
    cluster.start_all();
    cluster.wait_until_all_have_caught_up();
    assert_written(&cluster, &["one", "two", "three", "four"]);
}

#[test]
fn who_is_alone_refuses_and_says_so() {
    let mut cluster = Cluster::start(&Shape { nodes: 1, ..Shape::default() });
    write(&cluster, "one");
    cluster.node(1).kill();
    let segment = files(&cluster, 1, "log", "seg")[0].clone();
    flip(&segment, OFFSET);
    let damaged = fs::read(&segment).expect("it can be read");
    cluster.start_node(1);
    assert_eq!(cluster.node(1).wait(), 65);
    let output = cluster.node(1).output();
    assert!(output.contains("It wasn't repaired: no other node"), "{output}");
    assert!(fs::read(&segment).expect("it can be read") == damaged, "the file was changed");
    flip(&segment, OFFSET);
    cluster.start_node(1);
    cluster.wait_for_leader();
    assert_written(&cluster, &["one"]);
}

#[test]
fn who_waits_for_others_that_are_not_there_can_be_told_to_stop() {
    let mut cluster = with_segments();
    for id in [1, 3] {
        cluster.node(id).kill();
    }
    flip(&files(&cluster, 2, "log", "seg")[0], OFFSET);
    cluster.start_node(2);
    cluster.node(2).wait_for_output("repair_waits");
    stop(&mut cluster, 2);
    cluster.start_all();
    cluster.wait_until_all_have_caught_up();
    assert_written(&cluster, &["one", "two", "three", "four"]);
}

#[test]
fn one_bad_copy_of_the_hard_state_or_the_identity_does_no_harm_and_two_are_refused() {
    let mut cluster = with_segments();
    for (name, second) in COPIES {
        let path = cluster.data_directory(2).join(name);
        for offset in [70, second + 70] {
            flip(&path, offset);
            cluster.start_node(2);
            cluster.wait_until_all_have_caught_up();
            stop(&mut cluster, 2);
        }
        for offset in [70, second + 70] {
            flip(&path, offset);
        }
        cluster.start_node(2);
        assert_eq!(cluster.node(2).wait(), 65, "{name}");
        for offset in [70, second + 70] {
            flip(&path, offset);
        }
    }
    cluster.start_node(2);
    cluster.wait_until_all_have_caught_up();
    assert_written(&cluster, &["one", "two", "three", "four"]);
}

#[test]
fn whichever_snapshots_are_damaged_the_node_comes_back() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.configure(NOTHING_STAYS);
    cluster.start_all();
    for what in ["one", "two", "three"] {
        write(&cluster, what);
        ctl(&cluster, &["snapshot", "trigger"], 0);
        cluster.wait_until_all_have_caught_up();
        for id in 1..=3 {
            stop(&mut cluster, id);
            cluster.start_node(id);
        }
        cluster.wait_until_all_have_caught_up();
    }
    for which in ["the newest", "the others", "all"] {
        stop(&mut cluster, 2);
        let snapshots = files(&cluster, 2, "snapshots", "snap");
        let (newest, others) = snapshots.split_last().expect("there are some");
        assert!(!others.is_empty(), "{snapshots:?}");
        if which != "the others" {
            flip(newest, 5000);
        }
        if which != "the newest" {
            others.iter().for_each(|path| flip(path, 5000));
        }
        cluster.start_node(2);
        cluster.wait_until_all_have_caught_up();
        assert_written(&cluster, &["one", "two", "three"]);
        // There are two again afterwards.
        for what in ["more", "and more"] {
            write(&cluster, what);
            ctl(&cluster, &["snapshot", "trigger"], 0);
        }
        wait_for("two snapshots", || {
            (files(&cluster, 2, "snapshots", "snap").len() >= 2).then_some(())
        });
        cluster.wait_until_all_have_caught_up();
    }
    let output = raft_ctl(&cluster).arg("health").output().expect("raft-ctl starts");
    assert!(output.status.success());
}
