//! Three nodes under every pattern of broken one-way links: where two nodes reach each other both
//! ways, something must be committed, and without terms that rise for ever.

use std::collections::BTreeSet;
use std::time::Duration;

use raft_node::model::{Configuration, Member, Standing};
use raft_node::raft::{Input, RoleKind, Token};

use super::host::{Host, config, founded, member, seat};

const STEP: Duration = Duration::from_millis(10);

struct Nodes {
    hosts: Vec<Host>,
    cut: BTreeSet<(Member, Member)>,
    next_token: u64,
}

impl Nodes {
    fn new(seed: u64) -> Nodes {
        let seats = (1..=3).map(|id| seat(id, Standing::Voter));
        let configuration = Configuration::new(seats.collect());
        let mut hosts: Vec<Host> =
            (1..=3).map(|id| Host::new(config(member(id)), founded(&configuration))).collect();
        for (host, number) in hosts.iter_mut().zip(1..) {
            host.start(seed * 10 + number);
        }
        Nodes { hosts, cut: BTreeSet::new(), next_token: 0 }
    }

    /// Time passes; a leader gets a proposal in each step.
    fn run(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / STEP.as_millis() {
            let mut sent = Vec::new();
            for host in &mut self.hosts {
                if host.raft().status().role == RoleKind::Leader {
                    self.next_token += 1;
                    host.propose(Token(self.next_token), b"entry".to_vec());
                }
                host.advance(STEP);
                host.persist(usize::MAX);
                host.read_log();
                host.drain(|_, _| {});
                sent.extend(host.outbox.drain(..));
            }
            for message in sent {
                if !self.cut.contains(&(message.from, message.to)) {
                    let to = usize::from(message.to.id.number()) - 1;
                    self.hosts[to].handle(Input::Message(message));
                    self.hosts[to].drain(|_, _| {});
                }
            }
        }
    }

    fn commit(&self) -> u64 {
        self.hosts.iter().map(|host| host.raft().status().commit.0).max().unwrap_or(0)
    }

    fn term(&self) -> u64 {
        self.hosts.iter().map(|host| host.raft().status().term.0).max().unwrap_or(0)
    }
}

#[test]
fn some_pair_that_is_connected_both_ways_goes_on_committing_and_terms_stay() {
    let links: Vec<(Member, Member)> = (1..=3)
        .flat_map(|from| (1..=3).map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
        .map(|(from, to)| (member(from), member(to)))
        .collect();
    for mask in 0..1_u32 << links.len() {
        let mut nodes = Nodes::new(u64::from(mask));
        nodes.run(Duration::from_millis(500));
        assert!(nodes.commit() > 1, "mask {mask}: no leader with all links whole");
        let is_cut = |at: &usize| mask >> at & 1 == 1;
        nodes.cut = (0..links.len()).filter(is_cut).map(|at| links[at]).collect();
        let can_commit = links.iter().any(|&(from, to)| {
            !nodes.cut.contains(&(from, to)) && !nodes.cut.contains(&(to, from))
        });
        // Long enough for the old leader to give up and for some elections.
        nodes.run(Duration::from_millis(1500));
        let (commit, term) = (nodes.commit(), nodes.term());
        nodes.run(Duration::from_millis(1500));
        let committed = nodes.commit() - commit;
        assert_eq!(committed > 0, can_commit, "links {mask:06b}: {committed} committed");
        let risen = nodes.term() - term;
        assert!(risen <= 1, "links {mask:06b}: the term rose by {risen}");
        nodes.cut.clear();
        nodes.run(Duration::from_millis(800));
        let levels: BTreeSet<u64> =
            nodes.hosts.iter().map(|host| host.raft().status().term.0).collect();
        assert_eq!(levels.len(), 1, "links {mask:06b}: no one term after healing");
    }
}
