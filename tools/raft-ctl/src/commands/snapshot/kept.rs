//! The snapshots that the nodes keep: asked all at once, and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use raft_node::client::Endpoint;
use raft_node::model::{Index, NodeId, SnapshotId};
use raft_node::wire::KeptSnapshot;

use crate::commands::nodes::{Node, Nodes};
use crate::context::Context;
use crate::error::CliError;
use crate::explain::one_reason;

/// What all nodes keep.
pub(super) struct Kept {
    pub(super) nodes: Nodes,
    /// What each of the nodes keeps, or why it didn't say, in their order.
    answers: Vec<Result<Vec<KeptSnapshot>, String>>,
}

/// A node that keeps a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) id: Option<NodeId>,
    pub(super) endpoint: Endpoint,
}

impl Source {
    /// `node 3`, or its address where the number isn't known.
    pub(super) fn name(&self) -> String {
        self.id.map_or_else(|| self.endpoint.address.to_string(), |id| format!("node {id}"))
    }
}

impl Kept {
    /// Asks the nodes. An error where none answers at all.
    pub(super) fn ask(context: &Context) -> Result<Kept, CliError> {
        let nodes = Nodes::ask(context);
        nodes.require_any()?;
        let asked = nodes.ask_further(context, |client| client.snapshots());
        let answers = nodes
            .nodes
            .iter()
            .zip(asked)
            .map(|(node, answer)| match answer {
                Some(answer) => answer.map_err(|failure| one_reason(&failure)),
                None => Err(node.reason().unwrap_or_default()),
            })
            .collect();
        Ok(Kept { nodes, answers })
    }

    /// Each node with what it keeps, or why it didn't say.
    pub(super) fn by_node(&self) -> impl Iterator<Item = (&Node, Result<&[KeptSnapshot], &str>)> {
        let answers = self.answers.iter();
        self.nodes.nodes.iter().zip(answers.map(|answer| match answer {
            Ok(kept) => Ok(kept.as_slice()),
            Err(reason) => Err(reason.as_str()),
        }))
    }

    /// Each snapshot with the node that keeps it.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Node, KeptSnapshot)> {
        self.by_node().flat_map(|(node, kept)| {
            kept.unwrap_or_default().iter().map(move |snapshot| (node, *snapshot))
        })
    }

    /// The nodes that keep this snapshot, the leader first.
    pub(super) fn sources(&self, id: SnapshotId) -> Vec<Source> {
        let leader = self.nodes.leader().map(|leader| leader.node.id);
        let keeps = self.all().filter(|(_, snapshot)| snapshot.id == id);
        let mut nodes: Vec<&Node> = keeps.map(|(node, _)| node).collect();
        nodes.sort_by_key(|node| node.id() != leader);
        let source = |node: &&Node| Source { id: node.id(), endpoint: node.endpoint.clone() };
        nodes.iter().map(source).collect()
    }

    /// Whether nodes that keep a snapshot of the same entry keep the same one; `None` where there
    /// is nothing to be compared. And the entries of which they keep different ones.
    pub(super) fn compare(&self) -> (Option<bool>, BTreeSet<Index>) {
        let mut kinds: BTreeMap<Index, Vec<SnapshotId>> = BTreeMap::new();
        for (_, snapshot) in self.all() {
            kinds.entry(snapshot.id.last.index).or_default().push(snapshot.id);
        }
        let differ = |ids: &[SnapshotId]| ids.iter().any(|id| *id != ids[0]);
        let differing: BTreeSet<Index> =
            kinds.iter().filter(|(_, ids)| differ(ids)).map(|(index, _)| *index).collect();
        let compared = kinds.values().any(|ids| ids.len() > 1);
        (compared.then_some(differing.is_empty()), differing)
    }

    /// How much of the log's time has passed since the snapshot's last entry.
    pub(super) fn age(&self, snapshot: &KeptSnapshot) -> Duration {
        let now = self.nodes.up().map(|status| status.log_time.0).max().unwrap_or(0);
        Duration::from_nanos(now.saturating_sub(snapshot.log_time.0))
    }
}
