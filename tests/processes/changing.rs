//! The leader dies at each step of a change of members: the change goes on, or was never begun.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::process::Stdio;

use raft_node::model::{Seat, Standing};
use raft_node::wire::{StatusReply, StatusRole};

use crate::bench::{Cluster, Load, Shape, Tap, Taps, Withheld, raft_ctl, wait_for};

/// A change as an operator asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Procedure {
    /// Node 4 comes in.
    Add,
    /// The follower with the highest number leaves.
    Remove,
    /// The disk of the follower with the highest number is lost.
    Replace,
}

/// What becomes of a change whose leader dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// Nobody else has heard of it.
    NeverBegun,
    /// Whoever leads next finishes it, while the dead leader stays dead.
    GoesOn,
    /// The same, but the dead leader's vote is needed.
    GoesOnWithIt,
}

/// A cluster whose members hear each other through taps.
struct Tapped {
    taps: Taps,
    /// Of each node the tap at its address, and the flag by which it listens elsewhere.
    nodes: BTreeMap<u16, (Tap, String)>,
    cluster: Cluster,
}

impl Tapped {
    fn start(nodes: u16) -> Tapped {
        let cluster = Cluster::new(&Shape { nodes, spares: 1, ..Shape::default() });
        let taps = Taps::default();
        let tap = |id| {
            let (host, port) = cluster.address(id);
            let listener = TcpListener::bind((host, 0)).expect("a free port");
            let behind = listener.local_addr().expect("it is bound").port();
            let listen = format!("Node.{}.Listen={host}:{behind}", char::from(b'A' + id as u8 - 1));
            (id, (taps.tap((host, port), (host, behind)), listen))
        };
        let tapped = cluster.ids().map(tap).collect();
        let mut tapped = Tapped { taps, nodes: tapped, cluster };
        for id in 1..=nodes {
            tapped.start_node(id, &[]);
        }
        tapped.cluster.wait_for_leader();
        tapped
    }

    fn start_node(&mut self, id: u16, flags: &[&str]) {
        let (_, listen) = &self.nodes[&id];
        let flags = [&["--set", listen], flags].concat();
        self.cluster.start_node_with(id, &flags);
    }

    /// Who leads, and how it stands.
    fn leader(&self) -> Option<StatusReply> {
        let all = self.cluster.ids().filter_map(|id| self.cluster.status(id));
        let leaders = all.filter(|status| status.role == StatusRole::Leader);
        leaders.max_by_key(|status| status.term)
    }

    /// The configuration that is in force and committed, once a leader is sure of it.
    fn committed_seats(&self) -> Vec<Seat> {
        wait_for("a leader to be sure of the members", || {
            let leader = self.leader()?;
            let is_sure = leader.commit == leader.last && leader.applied == leader.commit;
            (is_sure || leader.commit > leader.configuration_index).then_some(leader)
        })
        .configuration
        .seats()
        .to_vec()
    }

    fn wait_for_voters(&self, voters: &[u16]) {
        wait_for("the change to be over", || {
            let leader = self.leader()?;
            let seats = leader.configuration.seats();
            let is_over = seats.iter().all(|seat| seat.standing == Standing::Voter)
                && seats.iter().map(|seat| seat.id.number()).eq(voters.iter().copied());
            (is_over && leader.commit >= leader.configuration_index).then_some(())
        });
    }
}

impl Procedure {
    /// Makes everything ready; gives what is to be told to `raft-ctl members`, and who votes when
    /// it is done.
    fn prepare(self, tapped: &mut Tapped) -> (Vec<String>, Vec<u16>) {
        let leader = tapped.cluster.wait_for_leader();
        let (all, newcomer) = (1..newcomer(tapped), newcomer(tapped));
        let follower = all.clone().rfind(|id| *id != leader).expect("there are several");
        match self {
            Procedure::Add => {
                tapped.start_node(newcomer, &["--join"]);
                wait_for("the new one to answer", || tapped.cluster.status(newcomer));
                let (host, port) = tapped.cluster.address(newcomer);
                (vec!["add".to_owned(), format!("{host}:{port}")], (1..=newcomer).collect())
            }
            Procedure::Remove => {
                let rest = all.filter(|id| *id != follower);
                (vec!["rm".to_owned(), follower.to_string()], rest.collect())
            }
            Procedure::Replace => {
                tapped.cluster.node(follower).kill();
                let lost = tapped.cluster.data_directory(follower);
                fs::remove_dir_all(lost).expect("it can be removed");
                tapped.start_node(follower, &["--join"]);
                wait_for("the new one to answer", || tapped.cluster.status(follower));
                (vec!["replace".to_owned(), follower.to_string()], all.collect())
            }
        }
    }
}

/// The spare node.
fn newcomer(tapped: &Tapped) -> u16 {
    tapped.cluster.ids().last().expect("there are several")
}

/// Has the leader die when it has appended the entry that is withheld and nobody else has it.
fn the_leader_dies(procedure: Procedure, withheld: Withheld, end: End) {
    the_leader_dies_of(3, procedure, withheld, end);
}

fn the_leader_dies_of(nodes: u16, procedure: Procedure, withheld: Withheld, end: End) {
    let mut tapped = Tapped::start(nodes);
    let load = Load::start(&tapped.cluster, 2);
    load.wait_for_writes(30);
    let (words, voters) = procedure.prepare(&mut tapped);
    let before = tapped.committed_seats();
    tapped.taps.withhold(Some(withheld));
    let mut asked = raft_ctl(&tapped.cluster);
    asked.arg("members").args(&words).arg("--no-wait");
    let asked = asked.stdout(Stdio::null()).stderr(Stdio::null());
    let mut operator = asked.spawn().expect("raft-ctl starts");
    let leader = wait_for("an entry to be withheld", || tapped.taps.withheld_from());
    if matches!(withheld, Withheld::EntriesFor(_)) {
        wait_for("the change to be prepared", || {
            let leader = tapped.leader().filter(|leader| leader.configuration.is_prepared())?;
            (leader.commit >= leader.configuration_index).then_some(())
        });
    }
    if (procedure, end) == (Procedure::Replace, End::NeverBegun) {
        let new = voters.iter().copied().rfind(|id| *id != leader).expect("there are several");
        tapped.cluster.node(new).wait_for_output(" serving ");
    }
    // It isn't to ask again of its own accord.
    let _ = operator.kill();
    operator.wait().expect("a child of ours can be waited for");
    tapped.cluster.node(leader).kill();
    tapped.taps.withhold(None);
    match end {
        End::NeverBegun => {
            assert_eq!(tapped.committed_seats(), before, "{procedure:?} {withheld:?}");
            tapped.start_node(leader, &[]);
            ask_again(&tapped, &words);
        }
        End::GoesOn => {
            tapped.wait_for_voters(&voters);
            load.wait_for_writes(30);
            tapped.start_node(leader, &[]);
        }
        End::GoesOnWithIt => tapped.start_node(leader, &[]),
    }
    tapped.wait_for_voters(&voters);
    load.wait_for_writes(30);
    load.stop_and_check(&tapped.cluster);
    // Whoever asks again is told that it is done.
    ask_again(&tapped, &words);
}

fn ask_again(tapped: &Tapped, words: &[String]) {
    wait_for("the change to be done", || {
        let mut command = raft_ctl(&tapped.cluster);
        let output = command.arg("members").args(words).output().expect("raft-ctl starts");
        output.status.success().then_some(())
    });
}

#[test]
fn a_leader_that_dies_before_anybody_has_heard_of_a_new_node_leaves_no_change_behind() {
    the_leader_dies(Procedure::Add, Withheld::Prepared, End::NeverBegun);
}

#[test]
fn a_new_node_that_had_begun_to_catch_up_is_taken_in_by_the_next_leader() {
    the_leader_dies(Procedure::Add, Withheld::EntriesFor(4), End::GoesOn);
}

#[test]
fn a_new_node_whose_leader_has_died_with_the_joint_configuration_is_taken_in_by_the_next() {
    the_leader_dies(Procedure::Add, Withheld::Joint, End::GoesOn);
}

#[test]
fn a_new_node_whose_leader_has_died_with_the_last_configuration_is_taken_in_by_the_next() {
    the_leader_dies(Procedure::Add, Withheld::Over, End::GoesOn);
}

#[test]
fn a_leader_that_dies_before_anybody_has_heard_that_a_node_leaves_leaves_no_change_behind() {
    the_leader_dies(Procedure::Remove, Withheld::Joint, End::NeverBegun);
}

#[test]
fn a_node_whose_leaving_both_sets_have_decided_leaves_though_the_leader_has_died() {
    the_leader_dies(Procedure::Remove, Withheld::Over, End::GoesOnWithIt);
}

#[test]
fn a_node_that_one_member_alone_has_taken_in_waits_until_the_others_do() {
    the_leader_dies_of(5, Procedure::Replace, Withheld::Prepared, End::NeverBegun);
}

#[test]
fn a_lost_node_is_replaced_though_the_leader_has_died_at_each_step() {
    for withheld in [Withheld::Prepared, Withheld::Joint, Withheld::Over] {
        the_leader_dies(Procedure::Replace, withheld, End::GoesOnWithIt);
    }
}
