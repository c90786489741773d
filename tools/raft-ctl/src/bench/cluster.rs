//! The cluster under load, as far as the load generator must know it.

use std::time::Duration;

use raft_node::client::{Client, Endpoint, Options, survey};
use raft_node::model::{Boot, Index, Term};
use raft_node::wire::StatusRole;

use super::plan::Plan;
use super::targets::Targets;
use crate::context::Context;
use crate::error::CliError;
use crate::explain;

/// How long nodes get to say how they stand.
const SURVEY_TIME: Duration = Duration::from_secs(1);

/// The cluster under load.
pub(super) struct Cluster {
    endpoints: Vec<Endpoint>,
    leader: Option<(Term, Endpoint)>,
    /// How many vote.
    pub(super) voters: Option<usize>,
    /// What keeps its log.
    pub(super) storage: Option<&'static str>,
}

/// How far a node has written its log.
#[derive(Clone, Copy)]
pub(super) struct Written {
    boot: Boot,
    last: Index,
    writes: u64,
}

impl Written {
    /// How many entries each write held since `before`.
    pub(super) fn entries_per_write(self, before: Written) -> Option<f64> {
        if self.boot != before.boot {
            return None;
        }
        let entries = self.last.0.checked_sub(before.last.0)?;
        let writes = self.writes.checked_sub(before.writes).filter(|writes| *writes > 0)?;
        Some(entries as f64 / writes as f64)
    }
}

impl Cluster {
    /// Finds out who leads; an error where the load couldn't be carried out at all.
    pub(super) fn find(plan: &Plan, context: &Context) -> Result<Cluster, CliError> {
        // One read by the same rules as the load's meets the same obstacles.
        let mut options = context.options();
        if plan.read_ratio < 1.0 {
            options.consistency = raft_node::wire::Consistency::Linearizable;
        }
        let mut client = Client::new(options);
        client.get(&[b"bench:"]).map_err(|failure| explain::failed(&failure, context))?;
        let options = Options { timeout: SURVEY_TIME, ..context.options() };
        let mut endpoints = Vec::new();
        let mut leader: Option<(Term, Endpoint)> = None;
        let (mut voters, mut storage) = (None, None);
        for (mut endpoint, answer) in survey(&options) {
            let Ok(status) = answer else { continue };
            endpoint.node = Some(status.node.id);
            if status.role == StatusRole::Leader
                && leader.as_ref().is_none_or(|(term, _)| *term < status.term)
            {
                leader = Some((status.term, endpoint.clone()));
                let seats = status.configuration.seats().iter();
                voters = Some(seats.filter(|seat| seat.standing.votes()).count());
                storage = Some(status.storage.name());
            }
            endpoints.push(endpoint);
        }
        if endpoints.is_empty() {
            endpoints.clone_from(&context.endpoints);
        }
        Ok(Cluster { endpoints, leader, voters, storage })
    }

    /// The leader's last entry and how often it has written its log.
    pub(super) fn written(&self, context: &Context) -> Option<Written> {
        let (_, leader) = self.leader.as_ref()?;
        let endpoints = vec![leader.clone()];
        let (fixed, timeout) = (true, SURVEY_TIME);
        let options = Options { endpoints, fixed, timeout, ..context.options() };
        let status = Client::new(options).status().ok()?;
        Some(Written { boot: status.boot, last: status.last, writes: status.writes })
    }

    /// Where the connections of a thread go.
    pub(super) fn targets(&self, plan: &Plan) -> Targets {
        Targets::new(self.endpoints.clone(), self.leader.clone(), plan.needs_leader())
    }
}
