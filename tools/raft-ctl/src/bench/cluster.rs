//! The cluster under load, as far as the load generator must know it.

use std::time::Duration;

use raft_node::client::{Client, Endpoint, Options, survey};
use raft_node::model::Term;
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

    /// Where the connections of a thread go.
    pub(super) fn targets(&self, plan: &Plan) -> Targets {
        Targets::new(self.endpoints.clone(), self.leader.clone(), plan.needs_leader())
    }
}
