//! The raft.ini of the Python project that this one grew from, unchanged.

use std::fs;

use crate::bench::{Cluster, Process, Shape, raft};

#[test]
fn the_original_file_starts_a_cluster_unchanged() {
    // Only the addresses come from outside, so that the test doesn't meet another one on them.
    let cluster = Cluster::new(&Shape { nodes: 5, ..Shape::default() });
    let original = include_str!("../../src/config/tests/original.ini");
    let path = cluster.directory().join("original.ini");
    fs::write(&path, original).expect("a file can be written");
    let mut command = raft();
    command.current_dir(cluster.directory()).args(["-c", "original.ini", "--all"]);
    for id in cluster.ids() {
        let (host, port) = cluster.address(id);
        let label = char::from(b'A' + u8::try_from(id).expect("few nodes") - 1);
        command.args(["--set", &format!("Node.{label}.Host={host}")]);
        command.args(["--set", &format!("Node.{label}.Port={port}")]);
    }
    let mut nodes = Process::start(command, "all nodes", cluster.directory().join("output-all"));
    nodes.wait_for_output("debug");
    // Its election timeout is 12 to 24 seconds.
    let mut client = cluster.client();
    client.put_until_done("greeting", "hello");
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
}
