//! A new cluster out of a backup, as docs/operations.md tells to make one.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;

use rustix::process::Signal;

use crate::bench::{Cluster, Load, Process, Shape, raft, raft_ctl, wait_for};

/// Runs `raft-ctl`, which must succeed. Gives what it wrote to standard output.
#[track_caller]
fn ctl(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = raft_ctl(cluster).args(arguments).output().expect("raft-ctl starts");
    let Output { status, stdout, stderr } = output;
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "raft-ctl {arguments:?}: {errors}");
    String::from_utf8(stdout).expect("it writes UTF-8")
}

/// A cluster that has a few keys, and the name of a backup of it, which is in its directory.
fn saved() -> (Cluster, String) {
    let cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    for number in 0..50 {
        client.put_until_done(&format!("key-{}", number % 40), &format!("value-{number}"));
    }
    let file = save(&cluster, "raft.snap");
    (cluster, file)
}

fn save(cluster: &Cluster, name: &str) -> String {
    let file = cluster.directory().join(name).display().to_string();
    ctl(cluster, &["snapshot", "save", "--trigger", &file]);
    file
}

/// A new cluster, each node of which is started with this backup.
fn restored(file: &str) -> Cluster {
    let mut cluster = Cluster::new(&Shape::default());
    for id in cluster.ids() {
        cluster.start_node_with(id, &["--restore", file]);
    }
    cluster.wait_until_all_have_caught_up();
    cluster
}

#[track_caller]
fn ends_with(cluster: &mut Cluster, id: u16, code: i32, parts: &[&str]) {
    assert_eq!(cluster.node(id).wait(), code, "{}", cluster.node(id).output());
    let output = cluster.node(id).output();
    for part in parts {
        assert!(output.contains(part), "{part}: {output}");
    }
}

fn flip(path: &str, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it can be opened");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("it can be read");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("it can be written");
}

#[test]
fn a_backup_becomes_a_new_cluster_with_all_keys_while_the_old_nodes_are_kept_out() {
    let (mut old, file) = saved();
    let exported = ctl(&old, &["export"]);
    assert_eq!(exported.lines().count(), 40);
    let before = old.status(1).expect("it answers");
    for id in old.ids() {
        old.node(id).signal(Signal::TERM);
    }
    for id in old.ids() {
        assert_eq!(old.node(id).wait(), 0);
    }

    ctl(&old, &["snapshot", "verify", &file]);
    let mut new = restored(&file);
    assert_eq!(ctl(&new, &["export"]), exported);
    let after = new.status(1).expect("it answers");
    assert_ne!(after.cluster, before.cluster);
    assert!(after.log_time >= before.applied_time, "{:?}", after.log_time);
    ctl(&new, &["health"]);

    // What is changed from here on stands behind all that was there.
    let mut client = new.client();
    client.put_until_done("key-1", "changed");
    let scanned = ctl(&new, &["scan", "--json"]);
    let index = |key: &str| -> u64 {
        let line = scanned.lines().find(|line| line.contains(&format!("\"key\":\"{key}\"")));
        let (_, rest) = line.expect("it is there").split_once("\"mod_index\":").expect("it tells");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    assert!(index("key-1") > before.last.0 && index("key-2") < before.last.0, "{scanned}");

    // A node of the old cluster in the place of one of the new.
    new.node(3).signal(Signal::TERM);
    assert_eq!(new.node(3).wait(), 0);
    let data = old.data_directory(3).display().to_string();
    new.start_node_with(3, &["--data", &data]);
    new.node(3).wait_for_output("refuses this one, wrong_cluster");
    client.put_until_done("key-2", "changed");
    new.node(3).kill();

    // A supervisor starts the same command line again, whatever was done with it.
    new.start_node_with(3, &["--restore", &file]);
    new.node(3).wait_for_output("has nothing left to do");
    new.wait_until_all_have_caught_up();
    for id in new.ids() {
        new.node(id).kill();
    }
    new.start_all();
    assert_eq!(new.client().get("key-1").as_deref(), Some("changed"));
    new.wait_until_all_have_caught_up();
}

#[test]
fn a_restored_cluster_goes_on_under_load_and_is_saved_and_restored_again() {
    let (_old, file) = saved();
    let new = restored(&file);
    let load = Load::start(&new, 2);
    load.wait_for_writes(100);
    let again = save(&new, "again.snap");
    load.stop_and_check(&new);
    let third = restored(&again);
    assert_eq!(third.client().get("key-3").as_deref(), Some("value-43"));
}

#[test]
fn a_bad_backup_is_refused_before_anything_is_restored() {
    let (old, file) = saved();
    let length = fs::metadata(&file).expect("it is there").len();
    let mut new = Cluster::new(&Shape::default());
    for offset in [200, 4200, length - 60] {
        flip(&file, offset);
        new.start_node_with(1, &["--restore", &file]);
        ends_with(
            &mut new,
            1,
            65,
            &[&file, "offset 0x", "nothing was restored", "snapshot verify"],
        );
        flip(&file, offset);
    }
    let nowhere = format!("{file}.gone");
    new.start_node_with(1, &["--restore", &nowhere]);
    ends_with(&mut new, 1, 78, &[&nowhere, "nothing was restored"]);
    new.start_node_with(1, &["--restore", &file, "--form"]);
    ends_with(&mut new, 1, 2, &["cannot be used with"]);
    new.start_node_with(1, &["--restore", &file, "--set", "Cluster.StorageClass=InMemoryStorage"]);
    ends_with(&mut new, 1, 78, &["keeps nothing"]);
    let id = old.status(1).and_then(|status| status.cluster).expect("it has formed");
    let same = format!("Cluster.ClusterId={id}");
    new.start_node_with(1, &["--restore", &file, "--set", &same]);
    ends_with(&mut new, 1, 78, &["must have another id"]);
    // Nothing of that stands in the way of a good one.
    for id in new.ids() {
        new.start_node_with(id, &["--restore", &file]);
    }
    assert_eq!(new.client().get("key-3").as_deref(), Some("value-43"));
}

#[test]
fn nodes_with_another_backup_or_with_none_are_told_so_and_form_nothing() {
    let (old, file) = saved();
    old.client().put_until_done("key-1", "later");
    let later = save(&old, "later.snap");
    let mut new = Cluster::new(&Shape::default());
    new.start_node_with(1, &["--restore", &file]);
    new.start_node_with(2, &["--restore", &later]);
    new.start_node(3);
    for id in new.ids() {
        new.node(id).wait_for_output("wrong_snapshot");
        new.node(id).wait_for_output("--restore and the same file");
    }
    for id in new.ids() {
        assert_eq!(new.status(id).and_then(|status| status.cluster), None);
    }
    for id in [2, 3] {
        new.node(id).kill();
        new.start_node_with(id, &["--restore", &file]);
    }
    assert_eq!(new.client().get("key-1").as_deref(), Some("value-41"));
}

#[test]
fn a_directory_that_holds_a_cluster_is_never_restored_into() {
    let (mut old, file) = saved();
    old.node(2).kill();
    old.start_node_with(2, &["--restore", &file]);
    ends_with(&mut old, 2, 6, &["wasn't restored from", "nothing was changed"]);
    old.start_node(2);
    old.wait_until_all_have_caught_up();
}

#[test]
fn an_empty_node_that_comes_to_a_cluster_which_was_not_restored_is_told_so() {
    let (_old, file) = saved();
    let mut new = Cluster::new(&Shape::default());
    new.start_node_with(1, &["--form"]);
    new.start_node_with(2, &["--form"]);
    new.client().put_until_done("greeting", "hello");
    new.start_node_with(3, &["--restore", &file]);
    new.node(3).wait_for_output("wasn't restored from a snapshot");
    new.node(3).kill();
    new.start_node(3);
    new.wait_until_all_have_caught_up();
}

#[test]
fn all_nodes_of_a_host_are_restored_together() {
    let (old, file) = saved();
    let exported = ctl(&old, &["export"]);
    let new = Cluster::new(&Shape::default());
    let mut command = raft();
    command.current_dir(new.directory()).args(["-c", "raft.ini", "--all", "--restore", &file]);
    let output = new.directory().join("output-all");
    let mut supervisor = Process::start(command, "all nodes", output);
    new.wait_for_leader();
    assert_eq!(ctl(&new, &["export"]), exported);
    supervisor.signal(Signal::INT);
    assert_eq!(supervisor.wait(), 0);
}

#[test]
fn a_founder_that_comes_when_the_log_has_let_the_beginning_go_gets_all_of_it() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.configure("[Snapshot]\nKeepEntries = 0\nMaxLagSize = 0B");
    cluster.start_node_with(1, &["--form"]);
    cluster.start_node_with(2, &["--form"]);
    let mut client = cluster.client();
    for round in 0..2 {
        for number in 0..300 {
            client.put_until_done(&format!("key-{number}"), &"v".repeat(60_000 + round));
        }
        ctl(&cluster, &["snapshot", "trigger"]);
    }
    for id in [1, 2] {
        wait_for("the beginning of the log to be gone", || {
            (cluster.status(id)?.first.0 > 1).then_some(())
        });
    }
    cluster.start_node(3);
    cluster.node(3).wait_for_output("snapshot_installed");
    cluster.wait_until_all_have_caught_up();
    let part = Path::new("snapshots").join("receipt");
    assert!(!cluster.data_directory(3).join(part).exists());
}
