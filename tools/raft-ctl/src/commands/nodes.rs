//! Every node as it stands: asked all at once, and compared.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use raft_node::client::{Client, Endpoint, Failure, Options, survey};
use raft_node::model::{Index, LogTime, NodeId};
use raft_node::wire::{PeerReport, StatusReply, StatusRole};

use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::explain::{self, one_reason};

/// How long a node gets to answer, where nobody says.
const USUAL_TIME: Duration = Duration::from_secs(2);

/// How often the nodes are asked who leads.
pub(super) const INTERVAL: Duration = Duration::from_millis(50);

/// How long a node gets each time, where they are asked again and again.
pub(super) const LONGEST_ANSWER: Duration = Duration::from_millis(500);

/// All nodes that are known, by number where they have one.
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
}

/// One node.
pub(super) struct Node {
    pub(super) endpoint: Endpoint,
    /// How it stands, or why it didn't say.
    pub(super) answer: Result<Box<StatusReply>, Failure>,
}

impl Node {
    pub(super) fn status(&self) -> Option<&StatusReply> {
        self.answer.as_deref().ok()
    }

    pub(super) fn id(&self) -> Option<NodeId> {
        self.status().map(|status| status.node.id).or(self.endpoint.node)
    }

    /// `node 3`, or its address where the number isn't known.
    pub(super) fn name(&self) -> String {
        self.id().map_or_else(|| self.endpoint.address.to_string(), |id| format!("node {id}"))
    }

    pub(super) fn label(&self) -> Option<&str> {
        let told = self.status().map(|status| status.label.as_str());
        told.filter(|label| !label.is_empty()).or(self.endpoint.label.as_deref())
    }

    /// Why it didn't answer.
    pub(super) fn reason(&self) -> Option<String> {
        self.answer.as_ref().err().map(one_reason)
    }
}

impl Nodes {
    /// Asks all nodes that the options name and, unless only one is meant, those that these name
    /// as members.
    pub(super) fn ask(context: &Context) -> Nodes {
        Nodes::ask_within(context, context.timeout_or(USUAL_TIME))
    }

    /// The leader, once somebody leads: as long as any other command would wait for that.
    pub(super) fn led(context: &Context) -> Result<StatusReply, CliError> {
        let deadline = Instant::now() + context.timeout();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let nodes = Nodes::ask_within(context, left.min(LONGEST_ANSWER).max(INTERVAL));
            if let Some(leader) = nodes.leader() {
                return Ok(leader.clone());
            }
            if let (true, Some(leader)) = (context.fixed, nodes.up().find_map(|node| node.leader)) {
                let node = context.global.node.as_deref().unwrap_or_default();
                let message = format!("node {node} doesn't lead: node {leader} does");
                return Err(CliError::new(Code::NotLeader, message)
                    .hint("without --node the leader is found; nothing was written"));
            }
            if Instant::now() + INTERVAL >= deadline {
                nodes.require_any()?;
                return Err(explain::no_leader(context));
            }
            thread::sleep(INTERVAL);
        }
    }

    pub(super) fn ask_within(context: &Context, timeout: Duration) -> Nodes {
        let options = Options { timeout, ..context.options() };
        let mut nodes = asked(&options);
        if !context.fixed {
            let others = unasked_members(&nodes);
            if !others.is_empty() {
                nodes.extend(asked(&Options { endpoints: others, ..options }));
            }
        }
        nodes.sort_by_key(Node::id);
        Nodes { nodes }
    }

    /// Asks the nodes that answered for something more, all at once; in the order of the nodes.
    pub(super) fn ask_further<T: Send>(
        &self,
        context: &Context,
        ask: impl Fn(&mut Client) -> Result<T, Failure> + Sync,
    ) -> Vec<Option<Result<T, Failure>>> {
        let options = Options {
            timeout: context.timeout_or(USUAL_TIME),
            fixed: true,
            patient: false,
            ..context.options()
        };
        let asked = |node: &Node| {
            node.status()?;
            let endpoints = vec![node.endpoint.clone()];
            Some(ask(&mut Client::new(Options { endpoints, ..options.clone() })))
        };
        thread::scope(|scope| {
            let threads: Vec<_> =
                self.nodes.iter().map(|node| scope.spawn(|| asked(node))).collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.map(|answer| answer.expect("a client's thread doesn't panic")).collect()
        })
    }

    /// Those that answered.
    pub(super) fn up(&self) -> impl Iterator<Item = &StatusReply> {
        self.nodes.iter().filter_map(Node::status)
    }

    /// The leader: of those that say so, the one of the highest term.
    pub(super) fn leader(&self) -> Option<&StatusReply> {
        self.up().filter(|status| status.role == StatusRole::Leader).max_by_key(|s| s.term)
    }

    /// The node that knows most about the members.
    pub(super) fn best(&self) -> Option<&StatusReply> {
        self.leader().or_else(|| self.up().max_by_key(|s| (s.configuration_index, s.term)))
    }

    /// What the leader knows of a node.
    pub(super) fn peer(&self, id: Option<NodeId>) -> Option<&PeerReport> {
        self.leader()?.peers.iter().find(|peer| Some(peer.member.id) == id)
    }

    /// The voters of the configuration, and those of them that answered.
    pub(super) fn voters(&self) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
        let seats = self.best().map(|status| status.configuration.seats()).unwrap_or_default();
        let mut voters: BTreeSet<NodeId> =
            seats.iter().filter(|seat| seat.standing.votes()).map(|seat| seat.id).collect();
        if voters.is_empty() {
            voters = self.nodes.iter().filter_map(Node::id).collect();
        }
        let up = self.up().map(|status| status.node.id).filter(|id| voters.contains(id)).collect();
        (voters, up)
    }

    /// Whether a quorum of the voters follows the leader.
    pub(super) fn has_quorum(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let (voters, _) = self.voters();
        let follows = |status: &&StatusReply| {
            status.term == leader.term
                && status.leader == Some(leader.node.id)
                && voters.contains(&status.node.id)
        };
        self.up().filter(follows).count() > voters.len() / 2
    }

    /// The highest index that any node knows as committed.
    pub(super) fn commit(&self) -> Option<Index> {
        self.up().map(|status| status.commit).max()
    }

    /// How far a node is behind: committed entries that it isn't known to hold, and the log time
    /// that they took.
    pub(super) fn behind(&self, status: &StatusReply) -> (u64, Duration) {
        let commit = self.commit().unwrap_or_default();
        // A follower hears of a commit only with the next heartbeat; the leader knows sooner
        // what it holds.
        let matched = self.peer(Some(status.node.id)).map_or(Index::ZERO, |peer| peer.matched);
        let held = matched.max(status.applied).max(status.commit);
        let entries = commit.0.saturating_sub(held.0);
        let newest = self.up().map(|status| status.applied_time).max().unwrap_or(LogTime(0));
        // A node that has applied nothing yet is behind by no time that could be told.
        let time = match (entries, status.applied_time) {
            (0, _) | (_, LogTime(0)) => 0,
            (_, applied) => newest.0.saturating_sub(applied.0),
        };
        (entries, Duration::from_nanos(time))
    }

    /// An error where no node answered at all.
    pub(super) fn require_any(&self) -> Result<(), CliError> {
        if self.up().next().is_some() {
            return Ok(());
        }
        let lines = self
            .nodes
            .iter()
            .map(|node| format!("{}  {}", node.endpoint, node.reason().unwrap_or_default()));
        let message = match self.nodes.len() {
            1 => "the node doesn't answer".to_owned(),
            count => format!("none of {count} nodes answers"),
        };
        Err(CliError::new(Code::CannotConnect, message)
            .details(lines)
            .hint("start raft on them, or see --config and --endpoints"))
    }
}

fn asked(options: &Options) -> Vec<Node> {
    survey(options).into_iter().map(|(endpoint, answer)| Node { endpoint, answer }).collect()
}

/// The members that the nodes name and that weren't asked.
fn unasked_members(nodes: &[Node]) -> Vec<Endpoint> {
    let best = nodes
        .iter()
        .filter_map(Node::status)
        .max_by_key(|status| (status.role == StatusRole::Leader, status.configuration_index));
    let Some(best) = best else { return Vec::new() };
    let mut others: Vec<Endpoint> = Vec::new();
    for seat in best.configuration.seats() {
        let known = nodes.iter().any(|node| node.id() == Some(seat.id));
        if let (false, Ok(endpoint)) = (known, Endpoint::parse(&seat.address)) {
            let same = |other: &Endpoint| other.address == endpoint.address;
            if !others.iter().any(same) && !nodes.iter().any(|node| same(&node.endpoint)) {
                others.push(Endpoint { node: Some(seat.id), ..endpoint });
            }
        }
    }
    others
}
