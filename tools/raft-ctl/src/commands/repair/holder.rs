//! The other nodes, asked for what is lost.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use raft_node::client::{Client, Failure, Options};
use raft_node::model::{ClusterId, Epoch, LogId, NodeId, SnapshotId};
use raft_node::storage::{HeldLog, Holder};
use raft_node::wire::LogQuestion;

use crate::commands::nodes::Nodes;
use crate::context::Context;
use crate::explain::one_reason;

/// How long another disk is given before it is asked again.
const MOMENT: Duration = Duration::from_millis(10);

/// A node that answers and is one of the cluster.
pub(super) struct Other {
    name: String,
    client: Client,
}

impl Other {
    /// Those of the cluster that are up, and why the others can't help.
    pub(super) fn all(
        context: &Context,
        me: NodeId,
        cluster: (ClusterId, Epoch),
    ) -> (Vec<Other>, Vec<String>) {
        let (mut others, mut said) = (Vec::new(), Vec::new());
        for node in &Nodes::ask(context).nodes {
            let name = node.name();
            match node.status() {
                None => said.push(format!("{name}: {}", node.reason().unwrap_or_default())),
                Some(status) if status.node.id == me => {}
                Some(status) if (status.cluster, status.epoch) != (Some(cluster.0), cluster.1) => {
                    said.push(format!("{name}: isn't in the same cluster and epoch"));
                }
                Some(_) => {
                    let endpoints = vec![node.endpoint.clone()];
                    let options = Options { endpoints, fixed: true, ..context.options() };
                    others.push(Other { name, client: Client::new(options) });
                }
            }
        }
        (others, said)
    }
}

fn reason(failure: Failure) -> String {
    one_reason(&failure)
}

impl Holder for Other {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn log(&mut self, behind: &[LogId], until: Option<LogId>) -> Result<HeldLog, String> {
        let question = LogQuestion { behind: behind.to_vec(), until };
        let part = self.client.log(question).map_err(reason)?;
        Ok(HeldLog {
            term: part.term,
            leads: part.leads,
            last: part.last,
            behind: part.behind,
            entries: part.entries,
        })
    }

    fn newest_snapshot(&mut self) -> Result<Option<SnapshotId>, String> {
        let kept = self.client.snapshots().map_err(reason)?;
        Ok(kept.first().map(|kept| kept.id))
    }

    fn piece(&mut self, snapshot: SnapshotId, offset: u64) -> Result<Bytes, String> {
        self.client.snapshot_piece(snapshot, offset).map_err(reason)
    }

    fn wait(&mut self) {
        thread::sleep(MOMENT);
    }
}
