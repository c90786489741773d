//! Members that join, leave, are replaced and move: the procedures of docs/operations.md, as an
//! operator carries them out, while clients write.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use raft_node::model::{Member, Seat, Standing};

use crate::bench::{Cluster, Load, Shape, raft_ctl, wait_for};

pub(crate) const GROWING: Shape = Shape { nodes: 3, spares: 2, name: "test", cluster: "" };

/// Runs `raft-ctl members` with these words.
pub(crate) fn members(cluster: &Cluster, words: &[&str]) -> Output {
    let mut command = raft_ctl(cluster);
    command.args(["--timeout", "60s", "members"]).args(words);
    command.output().expect("raft-ctl starts")
}

/// The same, which must be done.
#[track_caller]
pub(crate) fn change(cluster: &Cluster, words: &[&str]) -> String {
    let output = members(cluster, words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{words:?}: {text}{}", errors(&output));
    text
}

pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn place(cluster: &Cluster, id: u16) -> String {
    let (host, port) = cluster.address(id);
    format!("{host}:{port}")
}

/// The seats of the leader's configuration.
pub(crate) fn seats(cluster: &Cluster) -> Vec<Seat> {
    let leader = cluster.wait_for_leader();
    let status = wait_for("the leader to answer", || cluster.status(leader));
    status.configuration.seats().to_vec()
}

pub(crate) fn voters(cluster: &Cluster) -> Vec<u16> {
    let voters = seats(cluster).into_iter().filter(|seat| seat.standing == Standing::Voter);
    voters.map(|seat| seat.id.number()).collect()
}

/// Who a node is, once it answers.
pub(crate) fn identity(cluster: &Cluster, id: u16) -> Member {
    wait_for("the node to answer", || cluster.status(id)).node
}

#[test]
fn a_cluster_grows_from_three_to_five_while_clients_write() {
    let mut cluster = Cluster::start(&GROWING);
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(100);
    for id in [4, 5] {
        cluster.start_node_with(id, &["--join"]);
        identity(&cluster, id);
        change(&cluster, &["add", &place(&cluster, id)]);
        load.wait_for_writes(50);
    }
    assert_eq!(voters(&cluster), [1, 2, 3, 4, 5]);
    // Five go on without two, whichever they are.
    let leader = cluster.wait_for_leader();
    let other = if leader == 1 { 2 } else { 1 };
    cluster.node(leader).kill();
    cluster.node(other).kill();
    load.wait_for_writes(50);
    cluster.start_all();
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
}

#[test]
fn a_node_finds_the_cluster_through_one_address_alone() {
    let mut cluster = Cluster::start(&Shape { spares: 1, ..GROWING });
    cluster.wait_for_leader();
    let alone = cluster.only_in_a_file_of_its_own(4);
    let contact = place(&cluster, 2);
    cluster.start_node_from(4, &alone, &["--join", &contact]);
    let hint = format!("members add {}", place(&cluster, 4));
    cluster.node(4).wait_for_output(&hint);
    change(&cluster, &["add", &place(&cluster, 4), "--learner-only"]);
    wait_for("node 4 to have the members", || {
        let status = cluster.status(4)?;
        (status.configuration.seats().len() == 4).then_some(())
    });
    change(&cluster, &["promote", "4"]);
    assert_eq!(voters(&cluster), [1, 2, 3, 4]);
    change(&cluster, &["demote", "4"]);
    assert_eq!(voters(&cluster), [1, 2, 3]);
    change(&cluster, &["rm", "4"]);
    assert_eq!(seats(&cluster).len(), 3);
}

#[test]
fn a_node_that_joins_waits_and_says_what_to_run_and_one_that_does_not_is_refused() {
    let mut cluster = Cluster::start(&Shape { spares: 1, ..GROWING });
    cluster.wait_for_leader();
    cluster.start_node(4);
    assert_eq!(cluster.node(4).wait(), 6);
    let hint = format!("members add {}", place(&cluster, 4));
    assert!(cluster.node(4).output().contains(&hint), "{}", cluster.node(4).output());
    cluster.start_node_with(4, &["--join"]);
    wait_for("node 4 to say what to run", || {
        cluster.node(4).output().contains(&hint).then_some(())
    });
    assert!(cluster.runs(4));
    assert_eq!(seats(&cluster).len(), 3);
}

#[test]
fn a_machine_that_was_lost_is_replaced_while_clients_write() {
    let mut cluster = Cluster::start(&Shape::default());
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(100);
    let lost = identity(&cluster, 3);
    cluster.node(3).kill();
    let old = cluster.directory().join("old");
    fs::rename(cluster.data_directory(3), &old).expect("it can be moved");
    load.wait_for_writes(50);
    cluster.start_node_with(3, &["--join"]);
    let new = identity(&cluster, 3);
    assert_ne!(lost, new);
    change(&cluster, &["replace", "3"]);
    load.wait_for_writes(50);
    let now: Vec<Option<Member>> = seats(&cluster).iter().map(Seat::member).collect();
    assert!(now.contains(&Some(new)) && !now.contains(&Some(lost)), "{now:?}");
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
    // What was lost turns up again: it isn't let in any more.
    cluster.node(3).kill();
    fs::remove_dir_all(cluster.data_directory(3)).expect("it can be removed");
    fs::rename(&old, cluster.data_directory(3)).expect("it can be moved");
    cluster.start_node(3);
    assert_eq!(cluster.node(3).wait(), 6, "{}", cluster.node(3).output());
    cluster.client().put_until_done("after", "all");
}

#[test]
fn a_node_that_comes_back_elsewhere_is_found_again() {
    let mut cluster = Cluster::start(&Shape::default());
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    cluster.node(2).kill();
    let (host, _) = cluster.address(2);
    let listener = TcpListener::bind((host, 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    cluster.start_node_with(2, &["--port", &port.to_string()]);
    let moved = format!("{host}:{port}");
    wait_for("the new address to be written down", || {
        seats(&cluster).iter().any(|seat| seat.address == moved).then_some(())
    });
    // The others call it there, also those that are started only now.
    cluster.node(3).kill();
    cluster.start_node(3);
    cluster.node(1).kill();
    wait_for("the two to have a leader", || cluster.status(3)?.leader);
    cluster.start_node(1);
    load.wait_for_writes(50);
    load.stop_and_check(&cluster);
}

#[test]
fn a_leader_that_is_taken_out_finishes_the_change_and_another_one_leads() {
    let mut cluster = Cluster::start(&GROWING);
    let leader = cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(100);
    change(&cluster, &["rm", &leader.to_string()]);
    let rest: Vec<u16> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    wait_for("another leader", || {
        rest.iter().copied().find(|id| {
            cluster.status(*id).is_some_and(|status| status.leader == Some(status.node.id))
        })
    });
    load.wait_for_writes(50);
    assert_eq!(voters(&cluster), rest);
    load.stop_and_check(&cluster);
    // Whoever was taken out is told so, and is missed by nobody, though the file names it.
    assert_eq!(cluster.node(leader).wait(), 6);
    let health = raft_ctl(&cluster).arg("health").output().expect("raft-ctl starts");
    assert!(health.status.success(), "{}", String::from_utf8_lossy(&health.stdout));
    cluster.client().put_until_done("still", "led");
}

#[test]
fn all_members_are_replaced_by_others_in_one_change() {
    let mut cluster = Cluster::start(&Shape { nodes: 1, spares: 3, ..GROWING });
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    let places: Vec<String> = [2, 3, 4].map(|id| place(&cluster, id)).to_vec();
    for id in [2, 3, 4] {
        cluster.start_node_with(id, &["--join"]);
        identity(&cluster, id);
    }
    let words: Vec<&str> = ["set"].into_iter().chain(places.iter().map(String::as_str)).collect();
    change(&cluster, &words);
    assert_eq!(cluster.node(1).wait(), 6, "it is told that it was removed");
    load.wait_for_writes(50);
    assert_eq!(voters(&cluster), [2, 3, 4]);
    load.stop_and_check(&cluster);
}

#[test]
fn a_change_goes_on_when_its_leader_is_killed() {
    let mut cluster = Cluster::start(&GROWING);
    let leader = cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    cluster.start_node_with(4, &["--join"]);
    identity(&cluster, 4);
    change(&cluster, &["add", &place(&cluster, 4), "--no-wait"]);
    cluster.node(leader).kill();
    // Repeating it is the way to wait for it.
    change(&cluster, &["add", &place(&cluster, 4)]);
    assert_eq!(voters(&cluster), [1, 2, 3, 4]);
    load.wait_for_writes(50);
    load.stop_and_check(&cluster);
}

#[test]
fn of_two_operators_one_is_told_that_the_members_have_changed() {
    let mut cluster = Cluster::start(&GROWING);
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    for id in [4, 5] {
        cluster.start_node_with(id, &["--join"]);
        identity(&cluster, id);
    }
    let results = std::thread::scope(|scope| {
        let add = |id| {
            let cluster = &cluster;
            scope.spawn(move || members(cluster, &["add", &place(cluster, id)]))
        };
        [add(4), add(5)].map(|thread| thread.join().expect("it doesn't panic"))
    });
    for output in &results {
        let code = output.status.code();
        assert!([Some(0), Some(4), Some(6)].contains(&code), "{code:?}: {}", errors(output));
    }
    // Whoever was refused asks again.
    for id in [4, 5] {
        change(&cluster, &["add", &place(&cluster, id)]);
    }
    assert_eq!(voters(&cluster), [1, 2, 3, 4, 5]);
    load.stop_and_check(&cluster);
}

#[test]
fn what_would_leave_no_live_majority_is_refused_with_the_numbers() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let dead = if leader == 3 { 2 } else { 3 };
    cluster.node(dead).kill();
    let (leader, dead) = (leader.to_string(), dead.to_string());
    let refused = wait_for("the leader to notice", || {
        let output = members(&cluster, &["set", &leader, &dead, "--dry-run"]);
        assert!(output.status.success(), "{}", errors(&output));
        let output = members(&cluster, &["set", &leader, &dead]);
        (output.status.code() == Some(6)).then_some(output)
    });
    let text = errors(&refused);
    assert!(text.contains("of the 2 that would vote 1 are live, and 2 are needed"), "{text}");
    assert_eq!(voters(&cluster), [1, 2, 3]);
}

#[test]
fn a_dry_run_shows_what_would_be_and_changes_nothing() {
    let cluster = Cluster::start(&Shape::default());
    cluster.wait_for_leader();
    let shown = change(&cluster, &["rm", "3", "--dry-run", "--json"]);
    let figures = r#""voters_before":3,"voters_after":2,"tolerated_before":1,"tolerated_after":0"#;
    assert!(shown.contains(figures), "{shown}");
    let there = change(&cluster, &["rm", &place(&cluster, 3), "--dry-run", "--json"]);
    assert_eq!(there, shown, "an address names a member as well as its number");
    for (to, code, said) in [("2", 0, "node 2"), ("9", 2, "node 9 isn't a member")] {
        let mut command = raft_ctl(&cluster);
        let output = command.args(["transfer-leader", to, "--dry-run"]).output();
        let output = output.expect("raft-ctl starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(voters(&cluster), [1, 2, 3]);
}

#[test]
fn a_node_without_a_disk_that_was_stopped_comes_back_as_a_new_member_by_itself() {
    let shape = Shape { cluster: "StorageClass = InMemoryStorage", ..Shape::default() };
    let mut cluster = Cluster::start(&shape);
    cluster.wait_for_leader();
    let load = Load::start(&cluster, 2);
    load.wait_for_writes(50);
    for id in [1, 2, 3] {
        let before = identity(&cluster, id);
        cluster.node(id).kill();
        cluster.start_node(id);
        let after = identity(&cluster, id);
        assert_ne!(before, after);
        wait_for("it to vote again", || {
            let seats = seats(&cluster);
            let seat = seats.iter().find(|seat| seat.member() == Some(after))?;
            (seats.len() == 3 && seat.standing == Standing::Voter).then_some(())
        });
        load.wait_for_writes(50);
    }
    load.stop_and_check(&cluster);
    cluster.wait_until_all_have_caught_up();
}
