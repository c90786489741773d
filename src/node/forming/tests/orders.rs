//! Every order of events, up to bounds, of three nodes of which two have founded.
//!
//! A small model of the protocol around the rule under test: votes, entries and offers may be
//! late, doubled or lost, nodes crash, and whoever is offered a founding that goes before its own
//! moves. Elections are held without PreVote, which only makes them rarer.

use std::collections::{BTreeSet, HashSet};

use super::founding;
use crate::model::{Founding, Term};
use crate::node::forming::Claim;

/// Who has founded, as a founder and a cluster id.
type Cluster = u8;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Role {
    Follower,
    /// Bits of those who have voted for it.
    Candidate(u8),
    Leader,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Node {
    cluster: Option<Cluster>,
    term: u8,
    vote: Option<usize>,
    /// The terms of what stands behind the founding entry: the first entries of leaders. Others
    /// come only when one of these is committed.
    log: Vec<u8>,
    /// How many of them are durable. Only a leader sends what isn't.
    durable: usize,
    role: Role,
    /// How many of them it knows to be committed.
    commit: usize,
    /// The last term behind the founding when it was taken.
    taken_at: u8,
}

/// What somebody said. Whoever it is meant for may hear it at any time, twice, or never.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Said {
    /// A founding and the last term behind it.
    Offer(Cluster, u8),
    /// A candidate's question: cluster, term, who, its log's last term and length.
    Ask(Cluster, u8, usize, (u8, usize)),
    /// A vote: cluster, term, for whom, by whom.
    Vote(Cluster, u8, usize, usize),
    /// A leader's log: cluster, term.
    Append(Cluster, u8, Vec<u8>),
    /// So many entries are durable: cluster, term, by whom.
    Stored(Cluster, u8, usize, usize),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct World {
    nodes: [Node; 3],
    said: BTreeSet<Said>,
    /// What was committed, and in which cluster.
    committed: Option<(Cluster, Vec<u8>)>,
    /// How many more crashes and elections there may be.
    crashes: u8,
    elections: u8,
}

impl Node {
    fn new(cluster: Option<Cluster>) -> Node {
        let (log, role) = (Vec::new(), Role::Follower);
        Node { cluster, term: 0, vote: None, log, durable: 0, role, commit: 0, taken_at: 0 }
    }

    fn last_term(&self) -> u8 {
        self.log.last().copied().unwrap_or(0)
    }

    fn claim(&self) -> u8 {
        self.last_term().max(self.taken_at)
    }

    fn last(&self) -> (u8, usize) {
        (self.last_term(), self.log.len())
    }

    fn gives_way_to(&self, cluster: Cluster, last_term: u8) -> bool {
        let Some(own) = self.cluster else { return true };
        let (own, other) = (known(own), known(cluster));
        let own = Claim { founding: &own, last_term: Term(self.claim().into()) };
        let other = Claim { founding: &other, last_term: Term(last_term.into()) };
        self.commit == 0 && own.gives_way_to(&other)
    }

    fn join(&mut self, cluster: Cluster, taken_at: u8) {
        let (term, vote) = (self.term, self.vote);
        *self = Node { term, vote, taken_at, ..Node::new(Some(cluster)) };
    }

    fn enter(&mut self, term: u8) {
        if term > self.term {
            (self.term, self.vote, self.role) = (term, None, Role::Follower);
        }
    }

    fn stand(&mut self, me: usize) {
        self.enter(self.term + 1);
        (self.vote, self.role) = (Some(me), Role::Candidate(1 << me));
    }

    fn crash(&mut self) {
        self.log.truncate(self.durable);
        (self.role, self.commit, self.taken_at) = (Role::Follower, 0, 0);
    }
}

fn known(cluster: Cluster) -> Founding {
    founding(cluster.into(), cluster.into())
}

impl World {
    /// Nodes 1 and 2 have founded, node 3 is empty. They are counted from 0 here.
    fn new(crashes: u8, elections: u8) -> World {
        let nodes = [Some(1), Some(2), None].map(Node::new);
        let mut world = World { nodes, said: BTreeSet::new(), committed: None, crashes, elections };
        world.tidy();
        world
    }

    /// Everybody says anew which founding it holds; what can't change anything any more is
    /// forgotten.
    fn tidy(&mut self) {
        for node in &self.nodes {
            let claim = node.cluster.map(|cluster| Said::Offer(cluster, node.last_term()));
            self.said.extend(claim);
        }
        let (nodes, all) = (&self.nodes, self.said.clone());
        let is_late = |term: u8, by: usize| (0..3).all(|at| at == by || nodes[at].term > term);
        self.said.retain(|said| match said {
            Said::Offer(cluster, last_term) => all.range(said..).skip(1).all(
                |later| !matches!(later, Said::Offer(of, more) if of == cluster && more > last_term),
            ),
            Said::Ask(_, term, from, _) => !is_late(*term, *from),
            Said::Vote(cluster, term, candidate, by) => {
                let node = &nodes[*candidate];
                let counts = (node.cluster, node.term) == (Some(*cluster), *term);
                counts && matches!(node.role, Role::Candidate(votes) if votes & 1 << by == 0)
            }
            Said::Append(_, term, _) => !is_late(*term, 3),
            Said::Stored(cluster, term, ..) => nodes.iter().any(|node| {
                node.role == Role::Leader
                    && (node.cluster, node.term) == (Some(*cluster), *term)
                    && node.commit < node.log.len()
            }),
        });
    }

    /// What may happen next.
    fn next(&self) -> Vec<World> {
        let mut worlds = Vec::new();
        for at in 0..3 {
            if self.crashes > 0 {
                let crashed = self.with(at, |node, _| node.crash());
                worlds.extend(crashed.map(|world| World { crashes: self.crashes - 1, ..world }));
            }
            if self.elections > 0 {
                let elections = self.elections - 1;
                let stands = self.with(at, |node, said| {
                    if let (Some(cluster), true) = (node.cluster, node.role != Role::Leader) {
                        node.stand(at);
                        said.insert(Said::Ask(cluster, node.term, at, node.last()));
                    }
                });
                worlds.extend(stands.map(|world| World { elections, ..world }));
            }
            worlds.extend(self.with(at, |node, said| {
                if let (Some(cluster), Role::Leader) = (node.cluster, &node.role) {
                    node.durable = node.log.len();
                    said.insert(Said::Stored(cluster, node.term, at, node.durable));
                }
            }));
            worlds.extend(self.commit(at));
            for said in &self.said {
                worlds.extend(self.with(at, |node, replies| hear(node, at, said, replies)));
            }
        }
        worlds
    }

    /// The world after something has happened to one node, if it changes anything.
    fn with(
        &self,
        at: usize,
        happens: impl FnOnce(&mut Node, &mut BTreeSet<Said>),
    ) -> Option<World> {
        let mut world = self.clone();
        happens(&mut world.nodes[at], &mut world.said);
        world.tidy();
        (world != *self).then_some(world)
    }

    /// A leader finds that its log is on a majority.
    fn commit(&self, at: usize) -> Option<World> {
        let leader = &self.nodes[at];
        let (cluster, length) = (leader.cluster?, leader.log.len());
        let stored = |by: usize| {
            self.said.iter().any(|said| {
                matches!(said, Said::Stored(of, term, who, count)
                    if (*of, *term, *who) == (cluster, leader.term, by) && *count >= length)
            })
        };
        let is_new = leader.role == Role::Leader && leader.commit < length;
        if !is_new || (0..3).filter(|by| stored(*by)).count() < 2 {
            return None;
        }
        let mut world = self.clone();
        world.nodes[at].commit = length;
        if let Some((before, entries)) = &self.committed {
            assert_eq!(*before, cluster, "two clusters have committed: {self:#?}");
            let both = entries.len().min(length);
            assert_eq!(
                entries[..both],
                leader.log[..both],
                "a committed entry was lost: {self:#?}"
            );
        }
        let is_longer = self.committed.as_ref().is_none_or(|(_, known)| known.len() < length);
        if is_longer {
            world.committed = Some((cluster, leader.log.clone()));
        }
        world.tidy();
        Some(world)
    }

    /// Everybody stays up and can talk to everybody: nobody may be left alone, and nothing that
    /// was committed may be missing in the next leader's log.
    fn heal(&self) {
        let mut nodes = self.nodes.clone();
        for node in &mut nodes {
            node.crash();
        }
        while let Some((at, cluster, last_term)) = moves(&nodes) {
            nodes[at].join(cluster, last_term);
        }
        let cluster = nodes[0].cluster;
        assert!(nodes.iter().all(|node| node.cluster == cluster), "somebody is alone: {self:#?}");
        let next = nodes.iter().max_by_key(|node| node.last()).expect("there are three");
        if let Some((of, entries)) = &self.committed {
            assert_eq!(Some(*of), cluster, "what was committed is given up: {self:#?}");
            assert!(next.log.starts_with(entries), "what was committed is lost: {self:#?}");
        }
    }
}

/// Who gives its founding up for which, now that all know all.
fn moves(nodes: &[Node]) -> Option<(usize, Cluster, u8)> {
    let offers = nodes.iter().filter_map(|node| Some((node.cluster?, node.last_term())));
    let mut pairs = offers.flat_map(|offer| (0..nodes.len()).map(move |at| (at, offer)));
    pairs
        .find(|(at, (cluster, last_term))| nodes[*at].gives_way_to(*cluster, *last_term))
        .map(|(at, (cluster, last_term))| (at, cluster, last_term))
}

/// A node hears what was said, on a connection of its own cluster unless it is an offer.
fn hear(node: &mut Node, me: usize, said: &Said, replies: &mut BTreeSet<Said>) {
    match said {
        Said::Offer(cluster, last_term) => {
            if node.gives_way_to(*cluster, *last_term) {
                node.join(*cluster, *last_term);
            }
        }
        Said::Ask(cluster, term, from, last) => {
            if node.cluster != Some(*cluster) || *term < node.term || *from == me {
                return;
            }
            node.enter(*term);
            if node.vote.is_none_or(|vote| vote == *from) && *last >= node.last() {
                node.vote = Some(*from);
                replies.insert(Said::Vote(*cluster, *term, *from, me));
            }
        }
        Said::Vote(cluster, term, candidate, by) => {
            let Role::Candidate(votes) = &mut node.role else { return };
            if (node.cluster, node.term, me) != (Some(*cluster), *term, *candidate) {
                return;
            }
            *votes |= 1 << by;
            if votes.count_ones() >= 2 {
                node.role = Role::Leader;
                node.log.push(*term);
                replies.insert(Said::Append(*cluster, *term, node.log.clone()));
            }
        }
        Said::Append(cluster, term, log) => {
            let of_another = node.cluster != Some(*cluster) || *term < node.term;
            if of_another || node.role == Role::Leader && *term == node.term {
                return;
            }
            node.enter(*term);
            node.role = Role::Follower;
            if !node.log.starts_with(log) {
                (node.log, node.durable) = (log.clone(), log.len());
            }
            replies.insert(Said::Stored(*cluster, *term, me, log.len()));
        }
        Said::Stored(..) => {}
    }
}

/// Goes through all orders. Gives the clusters that have committed something in one of them.
fn explore(crashes: u8, elections: u8) -> BTreeSet<Cluster> {
    let begin = World::new(crashes, elections);
    let mut seen = HashSet::from([begin.clone()]);
    let mut left = vec![begin];
    let mut commits = BTreeSet::new();
    while let Some(world) = left.pop() {
        world.heal();
        commits.extend(world.committed.as_ref().map(|(cluster, _)| *cluster));
        for next in world.next() {
            if seen.insert(next.clone()) {
                left.push(next);
            }
        }
    }
    commits
}

#[test]
fn whatever_happens_while_a_cluster_forms_one_commits_and_nobody_is_left_alone() {
    for (crashes, elections) in [(1, 2), (0, 3)] {
        assert_eq!(explore(crashes, elections), BTreeSet::from([1, 2]), "either may be the one");
    }
}
