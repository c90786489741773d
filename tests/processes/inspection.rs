//! What shows a cluster while it runs, on a real one.

use std::process::Command;

use crate::bench::{Cluster, Process, Shape, raft_ctl};

fn start(cluster: &Cluster, name: &str, arguments: &[&str]) -> Process {
    let mut command: Command = raft_ctl(cluster);
    command.args(arguments);
    Process::start(command, name, cluster.directory().join(name))
}

#[test]
fn a_log_is_followed_while_its_node_writes_it_and_after_it_was_killed() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let directory = cluster.data_directory(leader).display().to_string();
    let arguments = ["log", "tail", "--lines", "1", "--follow", "--json", &directory];
    let mut follower = start(&cluster, "tail", &arguments);
    follower.wait_for_output("\"index\":");
    cluster.client().put_until_done("first", "1");
    follower.wait_for_output("\"key\":\"first\",\"value\":\"1\"");
    cluster.node(leader).kill();
    cluster.start_node(leader);
    cluster.wait_until_all_answer();
    cluster.client().put_until_done("second", "2");
    follower.wait_for_output("\"key\":\"second\",\"value\":\"2\"");
    let indexes: Vec<u64> = follower
        .output()
        .lines()
        .filter_map(|line| line.strip_prefix("{\"index\":")?.split(',').next()?.parse().ok())
        .collect();
    assert!(indexes.is_sorted_by(|one, next| one + 1 == *next), "{indexes:?}");
}

#[test]
fn the_cluster_is_watched_through_the_loss_of_nodes_and_of_the_quorum() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let mut watch = start(&cluster, "watch", &["status", "--watch=50ms"]);
    watch.wait_for_output("healthy");
    watch.wait_for_output(&format!("leader {leader} \""));
    cluster.node(leader).kill();
    watch.wait_for_output("voters 2/3 up");
    watch.wait_for_output("DOWN");
    let next = cluster.wait_for_leader();
    // Whoever leads now has never heard from the one that is down.
    let status = raft_ctl(&cluster).args(["status", "--json"]).output().expect("it starts");
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    let down = status.split("\"up\":false").nth(1).expect("one is down");
    let down = down.split("waits_for").next().expect("it has fields");
    assert!(down.contains("\"matched\":null,\"round_trip_seconds\":null"), "{status}");
    watch.wait_for_output(&format!("leader {next} \""));
    cluster.node(next).kill();
    watch.wait_for_output("voters 1/3 up");
    watch.wait_for_output("no leader");
    let last = cluster.ids().find(|id| ![leader, next].contains(id)).expect("one is left");
    cluster.node(last).kill();
    watch.wait_for_output("no node answers");
    cluster.start_all();
    cluster.wait_for_leader();
    let before = watch.output().len();
    crate::bench::wait_for("it to be well again", || {
        watch.output()[before..].contains("voters 3/3 up").then_some(())
    });
    assert!(watch.runs(), "{}", watch.output());
}
