//! Changes of members while nodes stand still, come back from the past, or are lost once more.

use std::fs;
use std::path::Path;
use std::process::Command;

use raft_node::model::{Seat, Standing};
use rustix::process::Signal;

use crate::bench::{Cluster, Load, Shape, wait_for};
use crate::members::{GROWING, change, identity, place, seats, voters};

/// Who of the members doesn't lead, the one with the lowest number first.
fn followers(cluster: &Cluster) -> [u16; 2] {
    let leader = cluster.wait_for_leader();
    let mut others = [1, 2, 3].into_iter().filter(|id| *id != leader);
    [others.next(), others.next()].map(|id| id.expect("three have two others"))
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().expect("cp starts");
    assert!(status.success(), "{} can't be copied", from.display());
}

#[test]
fn all_who_are_taken_out_at_once_are_told_so() {
    let mut cluster = Cluster::start(&Shape { spares: 3, ..GROWING });
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    let places = [4, 5, 6].map(|id| {
        start_empty(&mut cluster, id);
        place(&cluster, id)
    });
    change(&cluster, &["set", &places[0], &places[1], &places[2]]);
    assert_eq!(voters(&cluster), [4, 5, 6]);
    for id in [1, 2, 3] {
        assert_eq!(cluster.node(id).wait(), 6, "{}", cluster.node(id).output());
    }
    load.wait_for_writes(50);
    load.stop_and_check(&cluster);
}

/// Starts a node that waits to be taken in.
fn start_empty(cluster: &mut Cluster, id: u16) {
    cluster.start_node_with(id, &["--join"]);
    identity(cluster, id);
}

#[test]
fn an_older_copy_of_a_directory_that_is_put_back_is_noticed_and_the_node_comes_in_anew() {
    let mut cluster = Cluster::start(&Shape::default());
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    let [_, node] = followers(&cluster);
    cluster.node(node).signal(Signal::TERM);
    assert_eq!(cluster.node(node).wait(), 0);
    let (data, backup) = (cluster.data_directory(node), cluster.directory().join("backup"));
    copy(&data, &backup);
    for _ in 0..2 {
        cluster.start_node(node);
        identity(&cluster, node);
        load.wait_for_writes(50);
        cluster.node(node).kill();
    }
    fs::remove_dir_all(&data).expect("it can be removed");
    fs::rename(&backup, &data).expect("it can be moved");
    cluster.start_node(node);
    assert_eq!(cluster.node(node).wait(), 6, "{}", cluster.node(node).output());
    let output = cluster.node(node).output();
    for said in ["regressed", "An older copy of its directory was put back"] {
        assert!(output.contains(said), "{said}: {output}");
    }
    // There is no newer one.
    fs::remove_dir_all(&data).expect("it can be removed");
    start_empty(&mut cluster, node);
    change(&cluster, &["replace", &node.to_string()]);
    load.wait_for_writes(50);
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn a_follower_that_stands_still_holds_no_change_up_and_hears_of_its_end() {
    let mut cluster = Cluster::start(&Shape { spares: 1, ..GROWING });
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    start_empty(&mut cluster, 4);
    let [goes_on, stopped] = followers(&cluster);
    cluster.node(stopped).signal(Signal::STOP);
    change(&cluster, &["add", &place(&cluster, 4)]);
    load.wait_for_writes(50);
    change(&cluster, &["rm", &stopped.to_string()]);
    load.wait_for_writes(50);
    cluster.node(stopped).signal(Signal::CONT);
    assert_eq!(cluster.node(stopped).wait(), 6, "{}", cluster.node(stopped).output());
    let now = voters(&cluster);
    assert!(now.len() == 3 && now.contains(&goes_on) && now.contains(&4), "{now:?}");
    load.wait_for_writes(50);
    load.stop_and_check(&cluster);
}

#[test]
fn a_leader_that_stands_still_in_a_change_finds_it_done_when_it_goes_on() {
    let mut cluster = Cluster::start(&Shape { spares: 1, ..GROWING });
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    start_empty(&mut cluster, 4);
    let leader = cluster.wait_for_leader();
    change(&cluster, &["add", &place(&cluster, 4), "--no-wait"]);
    cluster.node(leader).signal(Signal::STOP);
    wait_for("another leader to finish the change", || {
        let others = [1, 2, 3].into_iter().filter(|id| *id != leader);
        let mut leaders = others.filter_map(|id| cluster.status(id));
        let leads = leaders.find(|status| status.leader == Some(status.node.id))?;
        let seats = leads.configuration.seats();
        let is_over = seats.len() == 4 && seats.iter().all(|it| it.standing == Standing::Voter);
        (is_over && leads.commit >= leads.configuration_index).then_some(())
    });
    load.wait_for_writes(50);
    cluster.node(leader).signal(Signal::CONT);
    load.wait_for_writes(50);
    assert_eq!(voters(&cluster), [1, 2, 3, 4]);
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn a_node_that_is_taken_out_while_it_comes_in_is_told_so_and_comes_in_with_an_empty_directory() {
    let mut cluster = Cluster::start(&Shape { spares: 1, ..GROWING });
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    start_empty(&mut cluster, 4);
    let first = identity(&cluster, 4);
    let is_there = |cluster: &Cluster| seats(cluster).iter().any(|it| it.member() == Some(first));
    change(&cluster, &["add", &place(&cluster, 4), "--no-wait"]);
    cluster.node(4).signal(Signal::STOP);
    assert!(is_there(&cluster));
    change(&cluster, &["rm", "4"]);
    assert!(!is_there(&cluster));
    assert_eq!(voters(&cluster), [1, 2, 3]);
    cluster.node(4).signal(Signal::CONT);
    assert_eq!(cluster.node(4).wait(), 6, "{}", cluster.node(4).output());
    // Nothing is to be done a second time.
    change(&cluster, &["rm", "4"]);
    fs::remove_dir_all(cluster.data_directory(4)).expect("it can be removed");
    start_empty(&mut cluster, 4);
    change(&cluster, &["add", &place(&cluster, 4)]);
    assert_eq!(voters(&cluster), [1, 2, 3, 4]);
    load.stop_and_check(&cluster);
}

#[test]
fn a_node_that_is_lost_again_while_it_comes_in_is_replaced_again() {
    let mut cluster = Cluster::start(&Shape::default());
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    let [_, lost] = followers(&cluster);
    let number = lost.to_string();
    let mut lives = vec![identity(&cluster, lost)];
    for flags in [&["--no-wait"][..], &[]] {
        cluster.node(lost).kill();
        fs::remove_dir_all(cluster.data_directory(lost)).expect("it can be removed");
        start_empty(&mut cluster, lost);
        lives.push(identity(&cluster, lost));
        change(&cluster, &[&["replace", &number], flags].concat());
    }
    let last = lives.pop();
    let now: Vec<_> = seats(&cluster).iter().map(Seat::member).collect();
    assert!(now.len() == 3 && now.contains(&last), "{now:?}");
    load.wait_for_writes(50);
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
}
