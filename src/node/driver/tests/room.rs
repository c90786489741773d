//! Nodes whose disks have no room.

use std::time::Duration;

use super::cluster::{Cluster, Shape};
use crate::node::driver::DriverInput;

#[test]
fn a_node_without_room_on_its_disk_waits_instead_of_spinning() {
    let mut cluster = Cluster::new(Shape { nodes: 1, ..Shape::default() });
    let leader = cluster.elect();
    cluster.full.insert(leader);
    let put = cluster.put(leader, "k", "v");
    cluster.run(200);
    let now = cluster.now;
    let deadline = cluster.node(leader).driver.deadline().expect("it tries again");
    assert!(deadline > now, "{deadline:?} {now:?}");
    cluster.full.clear();
    assert_eq!(cluster.wait_for(put), "done");
}

#[test]
fn a_leader_without_room_refuses_writes_and_hands_over_to_one_that_has_some() {
    let mut cluster = Cluster::new(Shape::default());
    let old = cluster.elect();
    cluster.run(20);
    cluster.full.insert(old);
    let first = cluster.put(old, "k", "v");
    cluster.run(5);
    let refused = cluster.put(old, "k", "w");
    assert_eq!(cluster.wait_for(refused), "disk_full");
    cluster.until("another leader", |cluster| cluster.leader().is_some_and(|leader| leader != old));
    assert_eq!(cluster.wait_for(first), "done", "the others had it durably");
    let misled = cluster.put(old, "k", "w");
    assert_eq!(cluster.wait_for(misled), "not_leader", "the new one has room");
    let term = cluster.node(old).driver.raft().term_and_leader().0;
    let new = cluster.leader().unwrap();
    let put = cluster.put(new, "k", "x");
    assert_eq!(cluster.wait_for(put), "done");
    cluster.run(1000);
    assert_eq!(cluster.node(new).driver.raft().leads(), Some(term), "nobody disturbs it");
    cluster.full.clear();
    cluster.converge();
}

#[test]
fn nodes_without_room_vote_and_follow_and_go_on_when_there_is_some() {
    let mut cluster = Cluster::new(Shape::default());
    let old = cluster.elect();
    cluster.run(20);
    let full = if old == 1 { 2 } else { 1 };
    let new = 6 - old - full;
    cluster.full.insert(full);
    let put = cluster.put(old, "k", "v");
    assert_eq!(cluster.wait_for(put), "done");
    cluster.run(20);
    cluster.kill(old);
    cluster.until("the full one has voted", |cluster| cluster.leader() == Some(new));
    let term = cluster.node(new).driver.raft().leads();
    cluster.run(1000);
    assert_eq!(cluster.node(new).driver.raft().leads(), term, "the full one answers heartbeats");
    let put = cluster.put(new, "k", "w");
    cluster.run(100);
    assert_eq!(cluster.outcome(put), None);
    cluster.full.clear();
    assert_eq!(cluster.wait_for(put), "done");
}

#[test]
fn where_no_node_has_room_the_leader_stays_and_refuses_until_there_is_some() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    cluster.full.extend([1, 2, 3]);
    let first = cluster.put(leader, "k", "v");
    cluster.run(3000);
    for _ in 0..1100 {
        let refused = cluster.put(leader, "k", "w");
        assert_eq!(cluster.wait_for(refused), "disk_full", "also while it tries again");
        cluster.step();
    }
    assert_eq!(cluster.leader(), Some(leader));
    cluster.full.clear();
    assert_eq!(cluster.wait_for(first), "done");
}

#[test]
fn a_node_without_room_stops_in_good_order() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    cluster.full.extend([1, 2, 3]);
    cluster.put(leader, "k", "v");
    cluster.run(20);
    let follower = if leader == 1 { 2 } else { 1 };
    let (now, by) = (cluster.now, cluster.now + Duration::from_secs(5));
    cluster.node(follower).driver.handle(now, DriverInput::Stop { by });
    cluster.run(100);
    assert!(cluster.stopped.contains(&follower));
}
