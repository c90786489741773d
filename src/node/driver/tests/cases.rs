//! What whole nodes do.

use std::time::Duration;

use super::cluster::{Cluster, Shape, id, member};
use crate::kv::PointReport;
use crate::model::{Index, Time};
use crate::node::driver::{DriverInput, Halt, Notice};
use crate::wire::{Consistency, ReplyBody, RequestBody, StatusRole};

#[test]
fn a_write_is_done_when_a_majority_has_it_and_can_be_read_back() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    let put = cluster.put(leader, "k", "v");
    assert_eq!(cluster.outcome(put), None, "not before it is durable anywhere");
    assert_eq!(cluster.wait_for(put), "done");
    let get = cluster.get(leader, "k", Consistency::Linearizable);
    assert_eq!(cluster.wait_for(get), "v");
    cluster.converge();
    let follower = leader % 3 + 1;
    let stale = cluster.get(follower, "k", Consistency::Stale);
    assert_eq!(cluster.wait_for(stale), "v");
}

#[test]
fn one_node_alone_is_a_cluster() {
    let mut cluster = Cluster::new(Shape { nodes: 1, ..Shape::default() });
    let leader = cluster.elect();
    let put = cluster.put(leader, "k", "v");
    assert_eq!(cluster.wait_for(put), "done");
}

#[test]
fn all_that_comes_in_one_turn_is_one_write_and_one_read_round() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let before = cluster.node(leader).driver.raft().last().index;
    let puts: Vec<u64> = (0..100).map(|n| cluster.put(leader, &format!("k{n}"), "v")).collect();
    let gets: Vec<u64> = (0..100)
        .map(|n| cluster.get(leader, &format!("k{n}"), Consistency::Linearizable))
        .collect();
    cluster.step();
    let last = cluster.node(leader).driver.raft().last().index;
    assert_eq!(last.0 - before.0, 100);
    assert_eq!(cluster.blocks(leader), [100]);
    for put in puts {
        assert_eq!(cluster.wait_for(put), "done");
    }
    for get in gets {
        assert!(["v", "absent"].contains(&cluster.wait_for(get).as_str()));
    }
}

#[test]
fn a_follower_sends_its_clients_to_the_leader() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let follower = leader % 3 + 1;
    let put = cluster.put(follower, "k", "v");
    let get = cluster.get(follower, "k", Consistency::Linearizable);
    for request in [put, get] {
        assert_eq!(cluster.wait_for(request), "not_leader");
        let ReplyBody::Refused { leader: Some(hint), .. } = &cluster.replies[&request].body else {
            panic!("the leader is named");
        };
        assert_eq!((hint.id, hint.address.clone()), (id(leader), format!("host{leader}:3111")));
    }
}

#[test]
fn a_write_whose_leader_falls_is_unknown_and_never_called_failed() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.isolate(leader);
    let put = cluster.put(leader, "k", "lost");
    let get = cluster.get(leader, "k", Consistency::Linearizable);
    assert_eq!(cluster.wait_for(put), "unknown");
    assert_eq!(cluster.wait_for(get), "leadership_lost");
    cluster.until("another leader", |cluster| cluster.leader() != Some(leader));
    let next = cluster.elect();
    let put = cluster.put(next, "k", "new");
    assert_eq!(cluster.wait_for(put), "done");
    cluster.heal();
    cluster.converge();
    assert!(cluster.notices.iter().any(|(node, notice)| {
        *node == leader && matches!(notice, Notice::Core(crate::raft::Event::Replaced { .. }))
    }));
    let stale = cluster.get(leader, "k", Consistency::Stale);
    assert_eq!(cluster.wait_for(stale), "new");
}

#[test]
fn what_is_committed_is_answered_even_if_leadership_is_lost_in_the_same_turn() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    // The answers that commit the write and the end of leadership come close together.
    let put = cluster.put(leader, "k", "v");
    cluster.step();
    cluster.until("the entry is committed", |cluster| {
        let raft = cluster.nodes[&leader].driver.raft();
        raft.commit() == raft.last().index
    });
    cluster.isolate(leader);
    assert_eq!(cluster.wait_for(put), "done");
}

#[test]
fn a_read_never_shows_less_than_what_was_done_before_it() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    for number in 0..50 {
        let value = number.to_string();
        let put = cluster.put(leader, "k", &value);
        assert_eq!(cluster.wait_for(put), "done");
        let get = cluster.get(leader, "k", Consistency::Linearizable);
        assert_eq!(cluster.wait_for(get), value);
    }
}

#[test]
fn an_answer_shows_nothing_behind_the_index_that_it_tells() {
    let mut cluster = Cluster::new(Shape { nodes: 1, ..Shape::default() });
    let leader = cluster.elect();
    let first = cluster.put(leader, "k", "v");
    cluster.wait_for(first);
    for consistency in [Consistency::Stale, Consistency::Linearizable] {
        // The machine goes on in the turn in which the query is answered.
        cluster.put(leader, "k", "w");
        let get = cluster.get(leader, "k", consistency);
        cluster.wait_for(get);
        let (read_index, written) = cluster.indexes(get);
        assert!(written <= read_index, "written at {written}, read at {read_index}");
    }
}

#[test]
fn a_deposed_leader_that_does_not_know_it_answers_no_read() {
    let mut cluster = Cluster::new(Shape::default());
    let old = cluster.elect();
    let put = cluster.put(old, "k", "old");
    assert_eq!(cluster.wait_for(put), "done");
    cluster.isolate(old);
    cluster.until("another leader", |cluster| cluster.leader() != Some(old));
    let new = cluster.elect();
    let put = cluster.put(new, "k", "new");
    assert_eq!(cluster.wait_for(put), "done");
    let get = cluster.get(old, "k", Consistency::Linearizable);
    assert!(
        ["no_leader", "leadership_lost", "not_leader"].contains(&cluster.wait_for(get).as_str())
    );
}

#[test]
fn a_restarted_node_applies_its_log_again_and_goes_on() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    for number in 0..200 {
        cluster.put(leader, &format!("k{number}"), "v");
    }
    cluster.converge();
    for number in 1..=3 {
        cluster.kill(number);
        cluster.start(number);
        assert_eq!(cluster.applied(number), Index::ZERO);
        cluster.elect();
        cluster.converge();
        assert!(cluster.applied(number) > Index(200));
    }
    let leader = cluster.elect();
    let get = cluster.get(leader, "k199", Consistency::Linearizable);
    assert_eq!(cluster.wait_for(get), "v");
}

#[test]
fn all_nodes_killed_at_once_lose_nothing_that_was_acknowledged() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    let puts: Vec<u64> = (0..300).map(|n| cluster.put(leader, &format!("k{n}"), "v")).collect();
    cluster.run(3);
    let done: Vec<usize> =
        (0..300).filter(|n| cluster.outcome(puts[*n]).as_deref() == Some("done")).collect();
    assert!(!done.is_empty());
    for number in 1..=3 {
        cluster.kill(number);
    }
    for number in 1..=3 {
        cluster.start(number);
    }
    let leader = cluster.elect();
    for number in done {
        let get = cluster.get(leader, &format!("k{number}"), Consistency::Linearizable);
        assert_eq!(cluster.wait_for(get), "v");
    }
}

/// A cluster with a member that has just come back, behind what the others hold in memory.
fn back_after_long() -> (Cluster, u16) {
    let mut cluster = Cluster::new(Shape { recent_bytes: 8 << 10, ..Shape::default() });
    let leader = cluster.elect();
    let away = leader % 3 + 1;
    cluster.kill(away);
    let value = "x".repeat(200);
    for number in 0..500 {
        cluster.put(leader, &format!("k{number}"), &value);
        cluster.step();
    }
    cluster.until("the log went on", |cluster| cluster.applied(leader) > Index(500));
    cluster.start(away);
    (cluster, away)
}

#[test]
fn a_member_that_was_away_for_long_is_served_from_disk() {
    let (mut cluster, away) = back_after_long();
    cluster.converge();
    assert!(cluster.applied(away) > Index(500));
}

#[test]
fn a_member_whose_connection_is_renewed_while_it_is_served_from_disk_is_served_on() {
    let (mut cluster, away) = back_after_long();
    cluster.renewed = [(away, true), (away, false)].repeat(2);
    cluster.until("the connection was renewed", |cluster| cluster.renewed.is_empty());
    cluster.converge();
    assert!(cluster.applied(away) > Index(500));
}

#[test]
fn above_its_bound_a_leader_says_that_it_is_busy_and_forgets_nothing() {
    let mut cluster = Cluster::new(Shape { max_unpersisted_bytes: 16 << 10, ..Shape::default() });
    let leader = cluster.elect();
    cluster.run(20);
    let value = "x".repeat(1000);
    let puts: Vec<u64> = (0..50).map(|n| cluster.put(leader, &format!("k{n}"), &value)).collect();
    let outcomes: Vec<String> = puts.into_iter().map(|put| cluster.wait_for(put)).collect();
    let done = outcomes.iter().filter(|outcome| *outcome == "done").count();
    let busy = outcomes.iter().filter(|outcome| *outcome == "busy").count();
    assert!(done >= 10 && busy >= 10 && done + busy == 50, "{done} done, {busy} busy");
    cluster.run(50);
    let put = cluster.put(leader, "later", "v");
    assert_eq!(cluster.wait_for(put), "done");
}

#[test]
fn queries_that_wait_are_bounded_by_their_bytes() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    cluster.isolate(leader);
    let query = bytes::Bytes::from(vec![0; 1 << 20]);
    let ask = |cluster: &mut Cluster| {
        let (consistency, query) = (Consistency::Linearizable, query.clone());
        cluster.ask(leader, 50, RequestBody::Read { consistency, query })
    };
    let asked: Vec<u64> = (0..65).map(|_| ask(&mut cluster)).collect();
    cluster.step();
    assert_eq!(cluster.outcome(asked[63]), None);
    assert_eq!(cluster.outcome(asked[64]).as_deref(), Some("busy"));
    assert_eq!(cluster.wait_for(asked[0]), "timed_out");
    let later = ask(&mut cluster);
    cluster.step();
    assert_eq!(cluster.outcome(later), None, "there is room again");
}

#[test]
fn a_leader_whose_disk_stands_still_hands_over() {
    let mut cluster = Cluster::new(Shape::default());
    let old = cluster.elect();
    cluster.run(20);
    cluster.still.insert(old);
    let put = cluster.put(old, "k", "v");
    cluster.until("another leader", |cluster| cluster.leader().is_some_and(|leader| leader != old));
    // The others had it durably: it was committed before, or by the next leader.
    assert!(["done", "unknown"].contains(&cluster.wait_for(put).as_str()));
    cluster.still.clear();
    cluster.converge();
}

#[test]
fn a_disk_that_stands_still_for_twenty_seconds_ends_the_node() {
    let mut cluster = Cluster::new(Shape::default());
    let node = cluster.elect();
    cluster.still.insert(node);
    cluster.put(node, "k", "v");
    cluster.run(5000);
    assert!(
        cluster
            .notices
            .iter()
            .any(|(who, notice)| { *who == node && matches!(notice, Notice::DiskWaits(_)) })
    );
    assert_eq!(cluster.halts, []);
    cluster.run(20_000);
    assert!(matches!(cluster.halts[..], [(who, Halt::DiskStill(_)), ..] if who == node));
}

#[test]
fn nobody_waits_for_longer_than_he_said() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    for other in (1..=3).filter(|other| *other != leader) {
        cluster.still.insert(other);
    }
    let mut command = bytes::BytesMut::new();
    let operation = crate::kv::Operation::Put { key: b"k", value: b"v" };
    crate::kv::Command::Change { session: None, operation }.encode(&mut command);
    let begun = cluster.now;
    let put = cluster.ask(leader, 30, RequestBody::Write(command.freeze()));
    assert_eq!(cluster.wait_for(put), "unknown");
    let waited = cluster.now.since(begun);
    assert!(waited >= Duration::from_millis(30) && waited < Duration::from_millis(40));
}

#[test]
fn what_is_not_a_command_never_gets_into_the_log() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let before = cluster.node(leader).driver.raft().last();
    let garbage = RequestBody::Write(bytes::Bytes::from_static(b"\xff\xff"));
    let request = cluster.ask(leader, 0, garbage);
    assert_eq!(cluster.wait_for(request), "bad_request");
    let value = "x".repeat(65 << 10);
    let request = cluster.put(leader, "k", &value);
    assert_eq!(cluster.wait_for(request), "too_large");
    let query = bytes::Bytes::from_static(b"\xff");
    let consistency = Consistency::Stale;
    let request = cluster.ask(leader, 0, RequestBody::Read { consistency, query });
    assert_eq!(cluster.wait_for(request), "bad_request");
    assert_eq!(cluster.node(leader).driver.raft().last(), before);
}

#[test]
fn all_replicas_report_the_same_state_at_points() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.put(leader, "k", "v");
    cluster.run(1500);
    cluster.converge();
    for number in 1..=3 {
        let request = cluster.ask(number, 0, RequestBody::Status);
        cluster.wait_for(request);
    }
    let points: Vec<(Index, u128)> = cluster
        .replies
        .values()
        .filter_map(|reply| match &reply.body {
            ReplyBody::Status(status) => Some((status.state_hash_index, status.state_hash)),
            _ => None,
        })
        .collect();
    assert_eq!(points.len(), 3);
    assert!(points.iter().all(|point| *point == points[0] && point.0 > Index::ZERO));
    assert_eq!(cluster.halts, []);
}

#[test]
fn a_node_whose_state_differs_from_the_others_hands_over_and_stops() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.until("the feature level is raised", |cluster| {
        cluster.node(leader).driver.machine().feature_level() > 0
    });
    cluster.put(leader, "k", "v");
    cluster.converge();
    // The others report another state at the leader's next point.
    let others: Vec<u16> = (1..=3).filter(|other| *other != leader).collect();
    let point = cluster.node(leader).driver.raft().last().index.next();
    for other in others {
        let (now, report) = (cluster.now, PointReport { index: point, hash: 4711 });
        let input = DriverInput::PointReport { from: member(other), report };
        cluster.node(leader).driver.handle(now, input);
    }
    cluster.until("the node stops", |cluster| !cluster.halts.is_empty());
    assert!(matches!(&cluster.halts[..], [(who, Halt::Differs(_))] if *who == leader));
    assert_ne!(cluster.leader(), Some(leader));
}

#[test]
fn a_node_that_is_told_to_stop_answers_hands_over_and_notes_that_all_is_durable() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let put = cluster.put(leader, "k", "v");
    let (now, by) = (cluster.now, cluster.now + Duration::from_secs(5));
    cluster.node(leader).driver.handle(now, DriverInput::Stop { by });
    let late = cluster.put(leader, "late", "v");
    assert_eq!(cluster.wait_for(late), "stopping");
    assert_eq!(cluster.wait_for(put), "done");
    cluster.until("it has stopped", |cluster| cluster.stopped.contains(&leader));
    let next = cluster.leader().expect("another one leads");
    assert_ne!(next, leader);
    assert!(cluster.now.since(now) < Duration::from_millis(100), "nobody waited for a timeout");
}

#[test]
fn nodes_that_are_told_to_stop_together_do_not_wait_for_each_other() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(50);
    let term = cluster.node(leader).driver.raft().term_and_leader().0;
    let (now, by) = (cluster.now, cluster.now + Duration::from_secs(600));
    for number in [1, 2, 3] {
        cluster.node(number).driver.handle(now, DriverInput::Stop { by });
    }
    cluster.until("all have stopped", |cluster| {
        for number in cluster.stopped.clone() {
            if cluster.nodes.contains_key(&number) {
                let status = cluster.node(number).driver.raft().status();
                assert_eq!(status.term, term, "nobody stood for election");
                cluster.kill(number);
            }
        }
        cluster.stopped.len() == 3
    });
    assert!(cluster.now < now + Duration::from_millis(50), "{:?}", cluster.now.since(now));
}

#[test]
fn leadership_goes_to_another_when_the_one_that_should_take_over_is_gone() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(50);
    let (now, by) = (cluster.now, cluster.now + Duration::from_secs(5));
    cluster.node(leader).driver.handle(now, DriverInput::Stop { by });
    cluster.node(leader).driver.handle(now, DriverInput::Tick);
    while cluster.node(leader).driver.poll().is_some() {}
    let target = cluster.node(leader).driver.raft().status().transferring.expect("it hands over");
    cluster.kill(target.id.number());
    let last = 6 - leader - target.id.number();
    cluster.until("the last one leads", |cluster| cluster.leader() == Some(last));
    let took = cluster.now.since(now);
    assert!(took < Duration::from_millis(100), "it was handed over, not lost: {took:?}");
    cluster.until("the old one has stopped", |cluster| cluster.stopped.contains(&leader));
}

#[test]
fn leadership_goes_to_the_node_that_was_asked_for() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let target = leader % 3 + 1;
    let request = cluster.ask(leader, 0, RequestBody::Transfer(Some(id(target))));
    assert_eq!(cluster.wait_for(request), format!("leader {target}"));
    assert_eq!(cluster.elect(), target);
}

#[test]
fn a_leader_learns_itself_what_it_tells_of_the_members() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(50);
    let last = cluster.nodes[&leader].driver.raft().last().index;
    let told = |other: u16| {
        cluster.levels.iter().any(|(from, level)| {
            *from == leader && level.member.id == id(other) && level.matched == last
        })
    };
    assert!((1..=3).all(told));
}

#[test]
fn a_node_tells_how_it_stands() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(50);
    let request = cluster.ask(leader, 0, RequestBody::Status);
    cluster.wait_for(request);
    let ReplyBody::Status(status) = &cluster.replies[&request].body else {
        panic!("a status is asked for");
    };
    assert_eq!(status.role, StatusRole::Leader);
    assert_eq!(status.leader, Some(id(leader)));
    assert_eq!((status.peers.len(), status.configuration.seats().len()), (2, 3));
    assert!(status.peers.iter().all(|peer| peer.connected && peer.matched == status.last));
    assert!(status.disk_ok && status.reasons.is_empty());
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    let value = "x".repeat(60 << 10);
    let put = cluster.put(leader, "k", &value);
    assert_eq!(cluster.wait_for(put), "done");
    let gets: Vec<u64> = (0..200).map(|_| cluster.get(leader, "k", Consistency::Stale)).collect();
    let now = cluster.now;
    let driver = &mut cluster.node(leader).driver;
    driver.handle(now, DriverInput::Tick);
    // Nothing of it is sent: the driver makes no more than it should.
    let mut made = 0;
    let mut held = Vec::new();
    while let Some(output) = driver.poll() {
        if let crate::node::driver::DriverOutput::ToClient { replies, .. } = output {
            made += replies.len();
            held.push(replies);
        }
    }
    assert!(made > 1 << 20 && made < 2 << 20, "{made} bytes");
    assert!(!driver.has_room(super::cluster::CLIENT));
    // Once it reads, the rest follows.
    cluster.deliver_replies(leader, &held);
    for get in gets {
        assert_eq!(cluster.wait_for(get), value);
    }
    assert!(cluster.node(leader).driver.has_room(super::cluster::CLIENT));
}

#[test]
fn a_cluster_in_which_links_come_and_go_loses_nothing_and_ends_with_one_state() {
    for seed in 1..=8 {
        let mut cluster = Cluster::new(Shape { seed, recent_bytes: 4 << 10, ..Shape::default() });
        let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |bound: u64| {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance % bound
        };
        let mut puts = Vec::new();
        for round in 0..60 {
            match draw(6) {
                0 => {
                    let node = draw(3) as u16 + 1;
                    cluster.isolate(node);
                }
                1 => {
                    let node = draw(3) as u16 + 1;
                    cluster.heal();
                    cluster.kill(node);
                    cluster.run(draw(50) as u32);
                    cluster.start(node);
                }
                2 => {
                    cluster.still.insert(draw(3) as u16 + 1);
                }
                _ => {
                    cluster.heal();
                    cluster.still.clear();
                }
            }
            for number in 0..5 {
                if let Some(leader) = cluster.leader() {
                    let key = format!("{round}-{number}");
                    puts.push((key.clone(), cluster.put(leader, &key, &key)));
                }
                cluster.run(draw(20) as u32);
            }
        }
        cluster.heal();
        cluster.still.clear();
        let leader = cluster.elect();
        cluster.converge();
        assert_eq!(cluster.halts, []);
        for (key, put) in puts {
            if cluster.outcome(put).as_deref() == Some("done") {
                let leader = cluster.leader().unwrap_or(leader);
                let get = cluster.get(leader, &key, Consistency::Linearizable);
                assert_eq!(cluster.wait_for(get), key, "seed {seed}");
            }
        }
    }
}

#[test]
fn a_driver_that_has_nothing_to_do_says_when_it_has() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(200);
    let now = cluster.now;
    let deadline = cluster.node(leader).driver.deadline().expect("a heartbeat is due");
    assert!(deadline > now && deadline <= now + Duration::from_millis(10), "{deadline:?} {now:?}");
    assert!(deadline > Time::ZERO);
}
