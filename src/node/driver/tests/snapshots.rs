//! Snapshots of whole nodes: taken, kept, sent and installed.

use std::time::Duration;

use super::cluster::{Cluster, Shape};
use crate::model::{Hash128, Index, SnapshotId};
use crate::node::driver::{Notice, SnapshotRules};
use crate::raft::Event;
use crate::wire::{Consistency, KeptSnapshot, ReplyBody, RequestBody};

/// Snapshots are taken often, segments are small, and little stays in memory.
fn often() -> Shape {
    let rules = SnapshotRules {
        min_log_bytes: 10_000,
        log_ratio: 1,
        max_age: Duration::MAX,
        max_lag_bytes: 0,
    };
    Shape {
        recent_bytes: 4 << 10,
        segment_bytes: 16 << 10,
        snapshot_rules: rules,
        ..Shape::default()
    }
}

fn kept(cluster: &mut Cluster, number: u16) -> Vec<KeptSnapshot> {
    let request = cluster.ask(number, 0, RequestBody::Snapshots);
    cluster.until("a list of snapshots", |cluster| cluster.replies.contains_key(&request));
    match &cluster.replies[&request].body {
        ReplyBody::Snapshots(kept) => kept.clone(),
        other => panic!("{other:?}"),
    }
}

fn take(cluster: &mut Cluster, leader: u16) -> SnapshotId {
    let request = cluster.ask(leader, 0, RequestBody::TakeSnapshot);
    cluster.until("a snapshot", |cluster| cluster.replies.contains_key(&request));
    match &cluster.replies[&request].body {
        ReplyBody::Snapshots(taken) => taken[0].id,
        other => panic!("{other:?}"),
    }
}

fn put_many(cluster: &mut Cluster, leader: u16, keys: u32, bytes: usize) {
    let value = "v".repeat(bytes);
    for number in 0..keys {
        let put = cluster.put(leader, &format!("key{number}"), &value);
        assert_eq!(cluster.wait_for(put), "done");
    }
}

/// A follower that is cut off while so much is written, and the leader.
fn cut_off(cluster: &mut Cluster, keys: u32, bytes: usize) -> (u16, u16) {
    let leader = cluster.elect();
    let away = leader % 3 + 1;
    cluster.isolate(away);
    put_many(cluster, leader, keys, bytes);
    (leader, away)
}

fn first(cluster: &mut Cluster, number: u16) -> Index {
    cluster.node(number).driver.raft().status().base.index.next()
}

/// Where a node knows the hash of its state, and the hash.
fn state_hash(cluster: &mut Cluster, number: u16) -> (Index, u128) {
    let request = cluster.ask(number, 0, RequestBody::Status);
    cluster.until("its status", |cluster| cluster.replies.contains_key(&request));
    match &cluster.replies[&request].body {
        ReplyBody::Status(status) => (status.state_hash_index, status.state_hash),
        other => panic!("{other:?}"),
    }
}

fn installs(cluster: &Cluster, number: u16) -> usize {
    let installed = |notice: &&(u16, Notice)| {
        notice.0 == number && matches!(notice.1, Notice::Core(Event::Installed { .. }))
    };
    cluster.notices.iter().filter(installed).count()
}

#[test]
fn a_snapshot_on_request_is_taken_by_all_behind_the_same_entry_and_is_the_same_file() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    put_many(&mut cluster, leader, 10, 100);
    let taken = take(&mut cluster, leader);
    cluster.converge();
    cluster.run(20);
    for number in 1..=3 {
        let kept = kept(&mut cluster, number);
        assert_eq!(kept.iter().map(|kept| kept.id).collect::<Vec<_>>(), [taken], "node {number}");
    }
}

#[test]
fn a_snapshot_that_is_due_is_taken_once() {
    let rules = SnapshotRules { min_log_bytes: 5_000, ..often().snapshot_rules };
    let mut cluster = Cluster::new(Shape { snapshot_rules: rules, ..Shape::default() });
    let leader = cluster.elect();
    put_many(&mut cluster, leader, 20, 400);
    cluster.run(20);
    assert_eq!(kept(&mut cluster, leader).len(), 1);
}

#[test]
fn a_follower_does_not_take_snapshots_on_request() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    let request = cluster.ask(leader % 3 + 1, 0, RequestBody::TakeSnapshot);
    assert_eq!(cluster.wait_for(request), "not_leader");
}

#[test]
fn the_file_can_be_read_piece_by_piece_and_has_the_hash_of_its_name() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    put_many(&mut cluster, leader, 30, 10_000);
    let snapshot = take(&mut cluster, leader);
    let mut file = Vec::new();
    while (file.len() as u64) < snapshot.bytes {
        let offset = file.len() as u64;
        let request = cluster.ask(leader, 0, RequestBody::SnapshotPiece { snapshot, offset });
        cluster.until("a piece", |cluster| cluster.replies.contains_key(&request));
        let ReplyBody::Piece(bytes) = &cluster.replies[&request].body else { panic!("no piece") };
        file.extend_from_slice(bytes);
    }
    // The foot, which holds the hash, isn't hashed.
    let hashed = &file[..file.len() - 64];
    assert_eq!(Hash128::new().bytes(hashed).finish(), snapshot.hash);
    let other = SnapshotId { hash: 0, ..snapshot };
    let request = cluster.ask(leader, 0, RequestBody::SnapshotPiece { snapshot: other, offset: 0 });
    assert_eq!(cluster.wait_for(request), "snapshot_gone");
}

#[test]
fn a_log_with_snapshots_stays_short_and_a_node_starts_from_them() {
    let mut cluster = Cluster::new(often());
    let leader = cluster.elect();
    put_many(&mut cluster, leader, 200, 400);
    cluster.converge();
    cluster.run(100);
    for number in 1..=3 {
        assert!(first(&mut cluster, number) > Index(1), "node {number} keeps all of its log");
        assert_eq!(kept(&mut cluster, number).len(), 2);
        cluster.kill(number);
        cluster.start(number);
        cluster.elect();
        cluster.converge();
        assert_eq!(installs(&cluster, number), 0, "it has its own");
    }
    let leader = cluster.elect();
    let get = cluster.get(leader, "key199", Consistency::Linearizable);
    assert_eq!(cluster.wait_for(get), "v".repeat(400));
}

#[test]
fn who_was_away_for_longer_than_the_log_reaches_is_sent_a_snapshot() {
    let mut cluster = Cluster::new(often());
    let (leader, away) = cut_off(&mut cluster, 300, 400);
    cluster.run(50);
    assert!(first(&mut cluster, leader) > Index(2));
    cluster.heal();
    cluster.elect();
    cluster.converge();
    assert_eq!(installs(&cluster, away), 1);
    let (index, hash) = state_hash(&mut cluster, away);
    assert!(index > Index::ZERO && hash != 0, "a snapshot ends with a point");
    // What was installed is what it starts from.
    cluster.kill(away);
    cluster.start(away);
    cluster.elect();
    cluster.converge();
    assert_eq!(installs(&cluster, away), 1);
    assert!(cluster.halts.is_empty(), "{:?}", cluster.halts);
}

#[test]
fn who_was_away_for_100_000_entries_in_hundreds_of_segments_gets_them_all() {
    for (min_log_bytes, snapshots) in [(u64::MAX, 0), (100_000, 1)] {
        let rules = SnapshotRules { min_log_bytes, ..often().snapshot_rules };
        let mut cluster = Cluster::new(Shape { snapshot_rules: rules, ..often() });
        let (leader, away) = cut_off(&mut cluster, 1, 10);
        for round in 0..500 {
            let puts: Vec<_> = (0..200)
                .map(|number| cluster.put(leader, &format!("key{number}"), &round.to_string()))
                .collect();
            puts.into_iter().for_each(|put| assert_eq!(cluster.wait_for(put), "done"));
        }
        cluster.heal();
        let leader = cluster.elect();
        cluster.converge();
        assert_eq!(installs(&cluster, away), snapshots);
        let status = cluster.node(away).driver.raft().status();
        assert!(status.commit > Index(100_000), "{}", status.commit);
        assert_eq!(state_hash(&mut cluster, away), state_hash(&mut cluster, leader));
        assert!(cluster.halts.is_empty(), "{:?}", cluster.halts);
    }
}

#[test]
fn a_transfer_goes_on_where_it_was_cut() {
    let rules = SnapshotRules { min_log_bytes: 400_000, ..often().snapshot_rules };
    let mut cluster = Cluster::new(Shape { snapshot_rules: rules, ..often() });
    let (leader, away) = cut_off(&mut cluster, 100, 10_000);
    take(&mut cluster, leader);
    take(&mut cluster, leader);
    cluster.run(50);
    assert!(first(&mut cluster, leader) > Index(2));
    let mut reached = 0;
    for _ in 0..10 {
        cluster.heal();
        cluster.elect();
        cluster.run(12);
        let has = cluster.notices.iter().rev().find_map(|(number, notice)| match notice {
            Notice::Core(Event::Receiving { has, .. }) if *number == away => Some(*has),
            _ => None,
        });
        assert!(has.unwrap_or(0) >= reached, "it began again");
        reached = has.unwrap_or(0);
        if installs(&cluster, away) > 0 {
            break;
        }
        cluster.isolate(away);
        cluster.run(5);
    }
    cluster.heal();
    cluster.elect();
    cluster.converge();
    assert_eq!(installs(&cluster, away), 1);
}

#[test]
fn a_new_leader_goes_on_with_the_transfer_of_the_old_one() {
    let mut cluster = Cluster::new(often());
    let (leader, _) = cut_off(&mut cluster, 100, 10_000);
    cluster.run(50);
    cluster.heal();
    cluster.run(4);
    cluster.kill(leader);
    cluster.elect();
    cluster.start(leader);
    cluster.elect();
    cluster.converge();
    assert!(cluster.halts.is_empty(), "{:?}", cluster.halts);
}

#[test]
fn a_transfer_goes_on_when_the_disk_has_room_again() {
    let mut cluster = Cluster::new(often());
    let (leader, away) = cut_off(&mut cluster, 100, 10_000);
    cluster.run(50);
    assert!(first(&mut cluster, leader) > Index(2));
    cluster.full_of_pieces.insert(away);
    cluster.heal();
    cluster.elect();
    cluster.until("no room for a piece", |cluster| {
        let mut notices = cluster.notices.iter();
        notices.any(|notice| matches!(notice, (_, Notice::NoRoomForPiece(_))))
    });
    cluster.run(300);
    cluster.full_of_pieces.clear();
    cluster.converge();
    assert_eq!(installs(&cluster, away), 1);
}
