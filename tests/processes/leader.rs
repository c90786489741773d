//! The leader is killed, stopped, told to go, while clients write.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::bench::{Cluster, Load, Outcome, PATIENCE, Shape, wait_for};

/// How many writes each round of a test waits for before and after it does harm.
const WRITES: usize = 200;

#[test]
fn every_acknowledged_write_outlives_the_leaders_that_are_killed_under_load() {
    let mut cluster = Cluster::start(&Shape::default());
    let load = Load::start(&cluster, 4);
    for _ in 0..3 {
        load.wait_for_writes(WRITES);
        let leader = cluster.wait_for_leader();
        cluster.node(leader).kill();
        load.wait_for_writes(WRITES);
        cluster.start_node(leader);
        cluster.wait_until_all_answer();
    }
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn every_acknowledged_write_outlives_a_kill_of_all_nodes_at_once() {
    let mut cluster = Cluster::start(&Shape::default());
    let load = Load::start(&cluster, 4);
    load.wait_for_writes(WRITES);
    for id in cluster.ids() {
        cluster.node(id).signal(Signal::KILL);
    }
    for id in cluster.ids() {
        cluster.node(id).wait();
    }
    cluster.start_all();
    load.wait_for_writes(WRITES);
    load.stop_and_check(&cluster);
}

#[test]
fn a_leader_that_stands_still_is_replaced_and_follows_when_it_goes_on() {
    let mut cluster = Cluster::start(&Shape::default());
    let mut client = cluster.client();
    assert_eq!(client.put("key", "before"), Outcome::Done);
    let stopped = cluster.wait_for_leader();
    cluster.node(stopped).signal(Signal::STOP);
    let mut others = cluster.client_of(cluster.ids().filter(|id| *id != stopped));
    others.put_until_done("key", "while it stood still");
    // What the old leader is asked while it still believes that it leads waits in its socket.
    let mut old = cluster.client_of([stopped]);
    cluster.node(stopped).signal(Signal::CONT);
    if let Ok(value) = old.try_get("key") {
        assert_eq!(value.as_deref(), Some("while it stood still"), "it answers from its past");
    }
    cluster.wait_until_all_have_caught_up();
    let mut client = cluster.client();
    assert_eq!(client.get("key").as_deref(), Some("while it stood still"));
}

#[test]
fn a_leader_that_is_told_to_stop_hands_over_and_exits_in_good_order() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(WRITES);
    cluster.node(leader).signal(Signal::TERM);
    assert_eq!(cluster.node(leader).wait(), 0);
    load.wait_for_writes(WRITES);
    load.stop_and_check(&cluster);
    let output = cluster.node(leader).output();
    assert!(output.contains("transfer"), "leadership was handed over: {output}");
}

#[test]
fn a_node_that_is_told_to_stop_while_it_starts_does_so_in_good_order() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.start_node(1);
    let data = cluster.data_directory(1);
    let deadline = Instant::now() + PATIENCE;
    // The directory is made early in a start, and it takes a while until all is in it.
    while !data.exists() {
        assert!(Instant::now() < deadline, "the node makes its directory");
        thread::yield_now();
    }
    cluster.node(1).signal(Signal::TERM);
    assert_eq!(cluster.node(1).wait(), 0, "{}", cluster.node(1).output());
}

#[test]
fn two_signals_at_once_are_one_request_to_stop_in_good_order() {
    // As `timeout` sends them: to the process and to its group.
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let process = cluster.node(leader);
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        let _ = kill_process(process.pid(), signal);
    }
    assert_eq!(process.wait(), 0, "{}", process.output());
    assert!(process.output().contains("transfer"), "{}", process.output());
}

#[test]
fn a_second_signal_ends_a_node_at_once() {
    // Alone it can neither hand over nor answer what is in flight.
    let mut cluster =
        Cluster::start(&Shape { cluster: "ShutdownTimeout = 10m", ..Shape::default() });
    let leader = cluster.wait_for_leader();
    for id in cluster.ids().filter(|id| *id != leader) {
        cluster.node(id).signal(Signal::STOP);
    }
    let before = Instant::now();
    cluster.node(leader).signal(Signal::TERM);
    cluster.node(leader).wait_for_output("stop");
    // What comes a moment after the first is the same request, so it is said again and again.
    wait_for("the node to end", || {
        let runs = cluster.runs(leader);
        if runs {
            cluster.node(leader).signal(Signal::TERM);
        }
        (!runs).then_some(())
    });
    assert_eq!(cluster.node(leader).wait(), 143);
    assert!(before.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_page_that_the_disk_cannot_back_ends_a_node_as_a_disk_error_does() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    cluster.node(leader).signal(Signal::BUS);
    assert_eq!(cluster.node(leader).wait(), 74, "{}", cluster.node(leader).output());
}
