//! A cluster from its first start on.

use rustix::process::Signal;

use crate::bench::{Cluster, Outcome, Shape};

#[test]
fn three_nodes_form_a_cluster_elect_a_leader_and_keep_what_is_put() {
    let cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
    assert_eq!(client.get("nothing"), None);
}

#[test]
fn one_node_alone_is_a_cluster() {
    let cluster = Cluster::start(&Shape { nodes: 1, ..Shape::default() });
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
}

#[test]
fn a_new_cluster_waits_for_all_of_its_nodes_and_says_for_whom() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.start_node(1);
    cluster.start_node(2);
    cluster.node(1).wait_for_output("waiting");
    cluster.start_node(3);
    cluster.wait_for_leader();
}

#[test]
fn a_quorum_forms_a_cluster_where_it_is_told_to() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.start_node_with(1, &["--form"]);
    cluster.start_node_with(2, &["--form"]);
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    cluster.start_node(3);
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn all_nodes_come_back_with_all_they_had() {
    let mut cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    for number in 0..100 {
        assert_eq!(client.put(&format!("key-{number}"), &format!("value-{number}")), Outcome::Done);
    }
    for signal in [Signal::KILL, Signal::TERM] {
        for id in cluster.ids() {
            cluster.node(id).signal(signal);
        }
        for id in cluster.ids() {
            cluster.node(id).wait();
        }
        cluster.start_all();
        let mut client = cluster.client();
        for number in 0..100 {
            let value = client.get(&format!("key-{number}"));
            assert_eq!(value, Some(format!("value-{number}")));
        }
    }
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn nodes_without_a_disk_form_a_cluster_and_say_that_they_keep_nothing() {
    let shape = Shape { cluster: "StorageClass = InMemoryStorage", ..Shape::default() };
    let mut cluster = Cluster::start(&shape);
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
    assert!(cluster.node(1).output().contains("InMemoryStorage"));
    assert!(!cluster.data_directory(1).exists());
}

#[test]
fn nodes_that_form_and_stop_together_give_no_reason_to_worry() {
    let mut cluster = Cluster::start(&Shape::default());
    cluster.wait_for_leader();
    let mut client = cluster.client();
    assert_eq!(client.put("greeting", "hello"), Outcome::Done);
    for id in cluster.ids() {
        cluster.node(id).signal(Signal::TERM);
    }
    for id in cluster.ids() {
        assert_eq!(cluster.node(id).wait(), 0);
        let output = cluster.node(id).output();
        let is_worrying = |line: &&str| {
            let level = line.split_whitespace().nth(1);
            level == Some("error") || level == Some("warn") && line.contains("dropped")
        };
        assert_eq!(output.lines().filter(is_worrying).collect::<Vec<_>>(), [""; 0]);
    }
}
