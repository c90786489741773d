//! File threads that stand still.

use std::time::Duration;

use super::cluster::{Cluster, Shape};
use crate::node::driver::{Halt, Notice};

/// A follower was away for so long that the leader has to read for it from its disk, which stands
/// still.
fn leader_that_cannot_read() -> (Cluster, u16) {
    let shape = Shape { recent_bytes: 4 << 10, ..Shape::default() };
    let mut cluster = Cluster::new(shape);
    let leader = cluster.elect();
    let away = if leader == 1 { 2 } else { 1 };
    cluster.isolate(away);
    for n in 0..100 {
        let put = cluster.put(leader, &format!("k{n}"), &"v".repeat(200));
        assert_eq!(cluster.wait_for(put), "done");
    }
    cluster.files_still.insert(leader);
    cluster.heal();
    (cluster, leader)
}

#[test]
fn a_read_from_disk_that_stands_still_is_told_of_and_then_ends_the_node() {
    let (mut cluster, leader) = leader_that_cannot_read();
    cluster.run(5000);
    let told =
        |(who, notice): &&(u16, Notice)| *who == leader && matches!(notice, Notice::DiskWaits(_));
    assert_eq!(cluster.notices.iter().filter(told).count(), 1);
    assert_eq!(cluster.halts, []);
    cluster.run(20_000);
    assert!(matches!(cluster.halts[..], [(who, Halt::DiskStill(_)), ..] if who == leader));
}

#[test]
fn a_read_from_disk_that_comes_back_in_time_is_no_harm() {
    let (mut cluster, leader) = leader_that_cannot_read();
    cluster.run(15_000);
    cluster.files_still.remove(&leader);
    cluster.converge();
    cluster.run(15_000);
    assert_eq!(cluster.halts, []);
}

#[test]
fn time_in_which_the_process_did_not_run_is_not_held_against_its_disk() {
    let (mut cluster, leader) = leader_that_cannot_read();
    cluster.still.insert(leader);
    cluster.put(leader, "k", "v");
    cluster.run(15);
    cluster.now = cluster.now + Duration::from_secs(25);
    let now = cluster.now;
    cluster.node(leader).driver.was_away(now);
    cluster.run(15);
    let told =
        |(who, notice): &(u16, Notice)| *who == leader && matches!(notice, Notice::DiskWaits(_));
    assert!(!cluster.notices.iter().any(told));
    assert!(!cluster.halts.iter().any(|(who, _)| *who == leader));
}

#[test]
fn a_spare_that_is_not_made_holds_nobody_up() {
    let mut cluster = Cluster::new(Shape { nodes: 1, ..Shape::default() });
    let leader = cluster.elect();
    cluster.run(50);
    cluster.files_still.insert(leader);
    for n in 0..100 {
        let put = cluster.put(leader, &format!("k{n}"), &"v".repeat(60 << 10));
        assert_eq!(cluster.wait_for(put), "done", "put {n}");
    }
    cluster.run(25_000);
    let told = |(_, notice): &(u16, Notice)| matches!(notice, Notice::DiskWaits(_));
    assert!(cluster.notices.iter().any(told), "a spare is being made");
    assert_eq!(cluster.halts, []);
    let now = cluster.now;
    let deadline = cluster.node(leader).driver.deadline();
    assert!(deadline.is_some_and(|at| at > now), "it doesn't spin");
}
