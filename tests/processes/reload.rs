//! SIGHUP: the configuration is read again.

use std::fs;

use rustix::process::Signal;

use crate::bench::{Cluster, Outcome, Shape};

#[test]
fn limits_change_while_a_node_runs_and_what_needs_a_restart_is_told() {
    let mut cluster = Cluster::start(&Shape { nodes: 1, ..Shape::default() });
    let mut client = cluster.client();
    let value = "v".repeat(2000);
    client.put_until_done("key", &value);
    cluster.configure("[Client]\nMaxValueSize = 1KiB");
    cluster.node(1).signal(Signal::HUP);
    cluster.node(1).wait_for_output("reloaded detail=\"limits of clients");
    assert!(!cluster.node(1).output().contains("other changes need a restart"));
    assert_eq!(client.put("key", &value), Outcome::Refused);
    assert_eq!(client.put("key", "short"), Outcome::Done);

    let text = fs::read_to_string(cluster.config_path()).expect("the file is there");
    let text = text.replace("ElectionTimeout = 500ms", "ElectionTimeout = 900ms");
    let text = text.replace("MaxValueSize = 1KiB", "MaxValueSize = 4KiB");
    fs::write(cluster.config_path(), text).expect("the file can be written");
    cluster.node(1).signal(Signal::HUP);
    cluster.node(1).wait_for_output("other changes need a restart");
    assert_eq!(client.put("key", &value), Outcome::Done);
}

#[test]
fn a_wrong_file_is_reported_and_the_old_one_stays_in_force() {
    let mut cluster = Cluster::new(&Shape { nodes: 1, ..Shape::default() });
    cluster.configure("[Client]\nMaxValueSize = 1KiB");
    cluster.start_all();
    let mut client = cluster.client();
    client.put_until_done("key", "short");
    let good = fs::read_to_string(cluster.config_path()).expect("the file is there");

    let wrong = good.replace("MaxValueSize = 1KiB", "MaxValueSize = 4KiB\nMaxConections = 1");
    fs::write(cluster.config_path(), wrong).expect("the file can be written");
    cluster.node(1).signal(Signal::HUP);
    cluster.node(1).wait_for_output("not_reloaded");
    let output = cluster.node(1).output();
    assert!(output.contains("MaxConections") && output.contains("MaxConnections"), "{output}");

    let without = good.replace("Node1 = A", "Node7 = A");
    fs::write(cluster.config_path(), without).expect("the file can be written");
    cluster.node(1).signal(Signal::HUP);
    cluster.node(1).wait_for_output("there is no node 1 in it any more");

    let value = "v".repeat(2000);
    assert_eq!(client.put("key", &value), Outcome::Refused, "the old limit holds");
    assert_eq!(client.put("key", "short again"), Outcome::Done);
}
