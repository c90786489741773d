//! Changes of the members: by operators, and by the leader on its own when nodes come.

use super::cluster::{Cluster, Shape, id, member};
use crate::model::{Boot, Configuration, Incarnation, Index, Member, Seat, Standing};
use crate::node::driver::DriverInput;
use crate::wire::{ReplyBody, RequestBody};

fn voter(number: u16) -> Seat {
    Seat {
        id: id(number),
        incarnation: Some(member(number).incarnation),
        standing: Standing::Voter,
        address: format!("host{number}:3111"),
    }
}

/// Asks `number` to make these nodes the voters.
fn ask(cluster: &mut Cluster, number: u16, expected: u64, voters: &[u16]) -> u64 {
    let members = Configuration::new(voters.iter().map(|number| voter(*number)).collect());
    let expected = Index(expected);
    cluster.ask(number, 0, RequestBody::ChangeMembers { expected, members })
}

fn voters(cluster: &Cluster, number: u16) -> Vec<u16> {
    let (_, configuration) = cluster.nodes[&number].driver.raft().configuration();
    configuration.seats().iter().map(|seat| seat.id.number()).collect()
}

#[track_caller]
fn until_changed(cluster: &mut Cluster, number: u16, expected: &[u16]) {
    cluster.until("the change is over", |cluster| {
        let status = cluster.nodes[&number].driver.raft().status();
        status.change.is_none() && voters(cluster, number) == expected
    });
}

/// The node whose connection to `number` tells of `peer`.
fn arrives(cluster: &mut Cluster, number: u16, peer: Member, address: &str) {
    let now = cluster.now;
    let (boot, address, supports) = (Boot(1), address.to_owned(), 1);
    let input = DriverInput::PeerConnected { peer, boot, address, supports };
    cluster.node(number).driver.handle(now, input);
}

#[test]
fn a_member_is_removed_and_who_asks_again_is_told_where_that_stands() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let stays = leader % 3 + 1;
    let mut rest = [leader, stays];
    rest.sort_unstable();
    let request = ask(&mut cluster, leader, 1, &rest);
    cluster.wait_for(request);
    let ReplyBody::Members { index } = cluster.replies[&request].body else {
        panic!("{:?}", cluster.replies[&request])
    };
    until_changed(&mut cluster, leader, &rest);
    let again = ask(&mut cluster, leader, 1, &rest);
    cluster.wait_for(again);
    let done = index.next();
    assert_eq!(cluster.replies[&again].body, ReplyBody::Members { index: done });
    let put = cluster.put(leader, "k", "v");
    assert_eq!(cluster.wait_for(put), "done");
}

#[test]
fn what_cannot_be_is_refused_with_its_code() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    for (number, expected, nodes, code) in [
        (leader % 3 + 1, 1, &[1, 2][..], "not_leader"),
        (leader, 9, &[1, 2], "members_changed"),
        (leader, 1, &[], "bad_members"),
    ] {
        let request = ask(&mut cluster, number, expected, nodes);
        assert_eq!(cluster.wait_for(request), code);
    }
    let down = leader % 3 + 1;
    cluster.kill(down);
    let request = ask(&mut cluster, leader, 1, &[leader, down]);
    assert_eq!(cluster.wait_for(request), "no_live_quorum");
    assert_eq!(voters(&cluster, leader), [1, 2, 3]);
}

#[test]
fn a_leader_that_is_removed_answers_and_another_one_leads() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let rest: Vec<u16> = (1..=3).filter(|number| *number != leader).collect();
    let request = ask(&mut cluster, leader, 1, &rest);
    cluster.wait_for(request);
    assert!(matches!(cluster.replies[&request].body, ReplyBody::Members { .. }));
    cluster.until("another one leads", |cluster| {
        let leads = |number: &u16| {
            let status = cluster.nodes[number].driver.raft().status();
            status.committed_in_term && status.change.is_none()
        };
        rest.iter().any(leads) && cluster.nodes[&leader].driver.raft().leads().is_none()
    });
    for number in rest.clone() {
        until_changed(&mut cluster, number, &rest);
    }
}

#[test]
fn a_member_that_is_reached_elsewhere_is_written_down_there() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let moved = leader % 3 + 1;
    arrives(&mut cluster, leader, member(moved), "elsewhere:3111");
    cluster.until("all know where it is", |cluster| {
        cluster.nodes.values().all(|node| {
            let (_, configuration) = node.driver.raft().committed_configuration();
            let seat = configuration.seat(member(moved)).expect("it is a member");
            seat.address == "elsewhere:3111"
        })
    });
    assert_eq!(voters(&cluster, leader), [1, 2, 3]);
}

#[test]
fn with_memory_only_a_node_that_comes_back_is_to_take_the_place_of_its_life_before() {
    let mut cluster = Cluster::new(Shape::default());
    let leader = cluster.elect();
    cluster.run(20);
    let gone = leader % 3 + 1;
    let back = Member { incarnation: Incarnation(77), ..member(gone) };
    let goal = |cluster: &Cluster| {
        let (_, configuration) = cluster.nodes[&leader].driver.raft().committed_configuration();
        (configuration.goal(), configuration.is_prepared())
    };
    arrives(&mut cluster, leader, back, "host:3111");
    cluster.run(1500);
    let (seats, _) = goal(&cluster);
    assert!(seats.contains(&voter(gone)), "the old life is connected still: {seats:?}");
    cluster.kill(gone);
    cluster.until("its place is prepared", |cluster| {
        let (seats, is_prepared) = goal(cluster);
        is_prepared && seats.iter().any(|seat| seat.member() == Some(back))
    });
    let (seats, _) = goal(&cluster);
    assert!(!seats.contains(&voter(gone)));
}
