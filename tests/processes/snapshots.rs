//! Snapshots: the same on every node, sent to who was away too long, begun with, and doubted.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use raft_node::client::Pipeline;
use raft_node::kv::Operation;
use raft_node::model::Index;
use rustix::process::Signal;

use crate::bench::{Cluster, Load, Shape, raft_ctl, wait_for};

/// How many keys the tests write to, over and over: the log grows, the state doesn't.
pub(crate) const KEYS: usize = 1000;

/// Nothing of the log stays for those who lag, nor below a snapshot for its own sake.
pub(crate) const NOTHING_STAYS: &str = "[Snapshot]\nKeepEntries = 0\nMaxLagSize = 0B";

/// Puts `count` times, with values of so many bytes, and waits until all of it is done.
pub(crate) fn put_many(pipeline: &mut Pipeline, count: usize, value_bytes: usize) {
    let mut value = vec![b'v'; value_bytes];
    for number in 0..count {
        let digits = number.to_string();
        value[..digits.len()].copy_from_slice(digits.as_bytes());
        let key = format!("key-{}", number % KEYS);
        let put = Operation::Put { key: key.as_bytes(), value: &value };
        while pipeline.submit(&put).is_none() {
            receive(pipeline).expect("it is full");
        }
    }
    while receive(pipeline).is_some() {}
}

fn receive(pipeline: &mut Pipeline) -> Option<()> {
    let received = wait_for("a change to be answered", || pipeline.receive().ok());
    received.map(|(_, result)| {
        result.expect("nothing stands in the way of a put");
    })
}

/// Runs `raft-ctl`, which must exit with `code`. Gives what it wrote to standard output.
#[track_caller]
pub(crate) fn ctl(cluster: &Cluster, arguments: &[&str], code: i32) -> String {
    let output = raft_ctl(cluster).args(arguments).output().expect("raft-ctl starts");
    let Output { status, stdout, stderr } = output;
    let errors = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(code), "raft-ctl {arguments:?}: {errors}");
    String::from_utf8(stdout).expect("it writes UTF-8")
}

/// The files in the directory of a node's snapshots that end so, the oldest first.
fn files(cluster: &Cluster, id: u16, end: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(cluster.data_directory(id).join("snapshots"));
    let paths = names.expect("the directory is there").flatten().map(|name| name.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|found| found == end)).collect();
    paths.sort();
    paths
}

/// The name of a file, without its directory.
fn name(path: &Path) -> String {
    path.file_name().expect("it has a name").to_string_lossy().into_owned()
}

/// Has every node take a snapshot, and waits until each node's newest one is that.
#[track_caller]
fn take_snapshot(cluster: &Cluster) -> Index {
    ctl(cluster, &["snapshot", "trigger"], 0);
    wait_for("all nodes to have the same newest snapshot", || {
        let newest = |id| Some(cluster.status(id)?.snapshot);
        let all: Option<Vec<Index>> = cluster.ids().map(newest).collect();
        let all = all?;
        all.iter().all(|index| *index == all[0]).then_some(all[0])
    })
}

fn flip(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it can be opened");
    let offset = file.metadata().expect("it has a length").len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("it can be read");
    file.write_all_at(&[byte[0] ^ 1], offset).expect("it can be written");
}

/// Waits until the logs of all nodes that run begin behind their first entry.
#[track_caller]
fn wait_until_compacted(cluster: &mut Cluster) {
    for id in cluster.ids() {
        if cluster.runs(id) {
            wait_for("the log to be compacted", || {
                (cluster.status(id)?.first > Index(1)).then_some(())
            });
        }
    }
}

#[test]
fn snapshots_of_one_entry_are_the_same_byte_for_byte_on_all_nodes() {
    let cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    client.put_until_done("greeting", "hello");
    put_many(&mut cluster.pipeline("loader"), 3000, 100);
    let index = take_snapshot(&cluster);
    let snapshots = cluster.ids().map(|id| files(&cluster, id, "snap"));
    let snapshots: Vec<Vec<PathBuf>> = snapshots.collect();
    let first = &snapshots[0][0];
    let bytes = fs::read(first).expect("it can be read");
    assert!(bytes.len() > 100 * KEYS, "{} bytes hold the state", bytes.len());
    for of_node in &snapshots {
        assert_eq!(of_node.len(), 1);
        assert_eq!(name(&of_node[0]), name(first));
        assert!(fs::read(&of_node[0]).expect("it can be read") == bytes, "they differ");
    }
    let listed = ctl(&cluster, &["snapshot", "ls", "--json"], 0);
    assert!(listed.contains("\"agree\":true"), "{listed}");
    assert_eq!(listed.matches(&format!("\"index\":{index},")).count(), 3, "{listed}");
}

#[test]
fn who_was_away_for_longer_than_the_log_reaches_is_sent_the_state_and_starts_from_it() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.configure(&format!("{NOTHING_STAYS}\nMinLogSize = 1MiB\nLogRatio = 1"));
    cluster.start_all();
    let mut pipeline = cluster.pipeline("loader");
    put_many(&mut pipeline, KEYS, 200);
    let leader = cluster.wait_for_leader();
    let away = cluster.ids().find(|id| *id != leader).expect("others follow");
    cluster.wait_until_all_have_caught_up();
    let had = cluster.status(away).expect("it answers").last;
    cluster.node(away).signal(Signal::TERM);
    assert_eq!(cluster.node(away).wait(), 0);
    put_many(&mut pipeline, 100_000, 200);
    for id in cluster.ids().filter(|id| *id != away) {
        wait_for("what the other one needs to be gone", || {
            (cluster.status(id)?.first > had.next()).then_some(())
        });
    }

    cluster.start_node(away);
    cluster.node(away).wait_for_output("snapshot_installed");
    cluster.wait_until_all_have_caught_up();
    cluster.node(away).kill();
    cluster.client().put_until_done("greeting", "hello");
    cluster.start_node(away);
    cluster.node(away).wait_for_output(" bytes) loaded");
    cluster.wait_until_all_have_caught_up();
    let output = cluster.node(away).output();
    assert!(!output.contains("snapshot_installed"), "what it had was enough: {output}");
}

#[test]
fn a_transfer_that_a_kill_of_the_receiver_cuts_goes_on_where_it_was() {
    // Small pieces, so that it takes a while.
    let settings = "MaxInflightBytes = 64KiB";
    let mut cluster = Cluster::new(&Shape { cluster: settings, ..Shape::default() });
    cluster.configure(NOTHING_STAYS);
    cluster.start_all();
    let leader = cluster.wait_for_leader();
    let away = cluster.ids().find(|id| *id != leader).expect("others follow");
    cluster.wait_until_all_have_caught_up();
    cluster.node(away).kill();
    let mut pipeline = cluster.pipeline("loader");
    for _ in 0..2 {
        put_many(&mut pipeline, KEYS, 40_000);
        ctl(&cluster, &["snapshot", "trigger"], 0);
    }
    wait_until_compacted(&mut cluster);

    cluster.start_node(away);
    let part = wait_for("a part of the snapshot to be there", || {
        let part = files(&cluster, away, "part").pop()?;
        (fs::metadata(&part).ok()?.len() > 2 << 20).then_some(part)
    });
    cluster.node(away).kill();
    assert!(part.exists(), "it was killed in the middle of the transfer");
    cluster.start_node(away);
    cluster.node(away).wait_for_output("snapshot_installed");
    cluster.wait_until_all_have_caught_up();
    let output = cluster.node(away).output();
    assert!(output.contains("what=\"goes on\""), "{output}");
    assert!(!output.contains("what=begins"), "{output}");
    assert!(!part.exists());
}

#[test]
fn a_damaged_snapshot_is_never_served_an_older_one_does_where_the_log_goes_on_from_it() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.configure(NOTHING_STAYS);
    cluster.start_all();
    let mut pipeline = cluster.pipeline("loader");
    for _ in 0..2 {
        put_many(&mut pipeline, 400, 60_000);
        take_snapshot(&cluster);
    }
    wait_until_compacted(&mut cluster);
    cluster.wait_until_all_have_caught_up();
    cluster.node(2).signal(Signal::TERM);
    assert_eq!(cluster.node(2).wait(), 0);
    let kept = files(&cluster, 2, "snap");
    let [older, newest] = &kept[..] else { panic!("two are kept, not {kept:?}") };
    flip(newest);
    flip(older);
    let damaged = fs::read(newest).expect("it can be read");

    cluster.start_node_with(2, &["--no-repair"]);
    assert_eq!(cluster.node(2).wait(), 65);
    let output = cluster.node(2).output();
    let verify = format!("`raft-ctl snapshot verify {}`", newest.display());
    for part in [&name(newest)[..], "offset 0x", "Nothing was changed", &verify] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(fs::read(newest).expect("it can be read") == damaged, "the file was changed");
    let found = ctl(&cluster, &["snapshot", "verify", "--json", &newest.display().to_string()], 7);
    assert!(found.contains("\"kind\":\"corrupt\""), "{found}");
    cluster.client_of([1, 3]).put_until_done("greeting", "the others go on");

    flip(older);
    cluster.start_node(2);
    cluster.wait_until_all_have_caught_up();
    let output = cluster.node(2).output();
    for part in ["is damaged", "it is now", "was loaded"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert!(!newest.exists() && newest.with_extension("bad").exists());
}

#[test]
fn a_backup_under_load_is_whole_and_one_flipped_byte_of_it_is_found() {
    let cluster = Cluster::start(&Shape::default());
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(100);
    let file = cluster.directory().join("backup.snap");
    let path = file.display().to_string();
    let saved = ctl(&cluster, &["snapshot", "save", "--trigger", "--json", &path], 0);
    load.wait_for_writes(100);
    let verified = ctl(&cluster, &["snapshot", "verify", "--json", &path], 0);
    let (_, hash) = saved.split_once("\"hash\":").expect("it tells the hash");
    assert!(
        verified.contains("\"verdict\":\"ok\"") && verified.contains(&hash[..34]),
        "{verified}"
    );
    flip(&file);
    let found = ctl(&cluster, &["snapshot", "verify", "--json", &path], 7);
    assert!(found.contains("\"offset\":"), "{found}");
    load.stop_and_check(&cluster);
}
