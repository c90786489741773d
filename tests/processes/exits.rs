//! How a node ends where it can't go on, and what the tools say of what it leaves.

use std::fs;

use rustix::process::Signal;

use crate::bench::{Cluster, Shape, raft_ctl, wait_for};

#[test]
fn a_node_whose_log_is_damaged_refuses_and_names_the_place() {
    let mut cluster = Cluster::start(&Shape { nodes: 1, ..Shape::default() });
    cluster.wait_for_leader();
    let mut client = cluster.client();
    client.put_until_done("first", "what is damaged later");
    for number in 0..10 {
        client.put_until_done("next", &number.to_string());
    }
    cluster.node(1).signal(Signal::TERM);
    assert_eq!(cluster.node(1).wait(), 0);
    let (path, mut bytes) = fs::read_dir(cluster.data_directory(1).join("log"))
        .expect("there is a log")
        .map(|entry| entry.expect("it can be read").path())
        .map(|path| (path.clone(), fs::read(path).expect("it can be read")))
        .find(|(_, bytes)| place_of(bytes).is_some())
        .expect("the entry is in a segment");
    let place = place_of(&bytes).expect("as found");
    bytes[place] ^= 1;
    fs::write(&path, bytes).expect("it can be written");

    cluster.start_node(1);
    assert_eq!(cluster.node(1).wait(), 65, "{}", cluster.node(1).output());
    let output = cluster.node(1).output();
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    assert!(output.contains(&name) && output.contains("offset"), "{output}");
    let mut verify = raft_ctl(&cluster);
    verify.args(["log", "verify"]).arg(cluster.data_directory(1));
    let verified = verify.output().expect("raft-ctl starts");
    let said = String::from_utf8_lossy(&verified.stdout);
    assert_eq!(verified.status.code(), Some(7), "{said}");
    assert!(said.contains("BAD") && said.contains("offset 0x"), "{said}");
}

fn place_of(bytes: &[u8]) -> Option<usize> {
    let value = b"what is damaged later";
    bytes.windows(value.len()).position(|window| window == value)
}

#[test]
fn two_signals_at_once_are_one_request_to_stop_in_good_order() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let node = cluster.node(leader);
    // Both wait until the process goes on.
    for signal in [Signal::STOP, Signal::TERM, Signal::INT, Signal::CONT] {
        node.signal(signal);
    }
    assert_eq!(node.wait(), 0, "{}", node.output());
    wait_for("another leader", || (cluster.wait_for_leader() != leader).then_some(()));
}
