//! Where connections go: to the leader, wherever it is, or to all nodes in turn.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use raft_node::client::{Endpoint, resolve};
use raft_node::model::{NodeId, Term};
use raft_node::wire::LeaderHint;

/// How long looking up a name may take.
const LOOK_UP_TIME: Duration = Duration::from_secs(1);

/// Where connections go.
pub(super) struct Targets {
    endpoints: Vec<Endpoint>,
    /// Whether all go to the leader.
    to_leader: bool,
    leader: Option<(Term, Endpoint)>,
    /// Whose turn it is.
    turn: usize,
    resolved: HashMap<Endpoint, SocketAddr>,
}

impl Targets {
    pub(super) fn new(
        endpoints: Vec<Endpoint>,
        leader: Option<(Term, Endpoint)>,
        to_leader: bool,
    ) -> Targets {
        Targets { endpoints, to_leader, leader, turn: 0, resolved: HashMap::new() }
    }

    /// Where the next connection goes, and for which node it is.
    pub(super) fn next(&mut self) -> io::Result<(SocketAddr, Option<NodeId>)> {
        let endpoint = match &self.leader {
            Some((_, leader)) if self.to_leader => leader.clone(),
            _ => {
                self.turn += 1;
                self.endpoints[self.turn % self.endpoints.len()].clone()
            }
        };
        let node = endpoint.node;
        Ok((self.address(endpoint)?, node))
    }

    /// A node names its leader.
    pub(super) fn told(&mut self, hint: &LeaderHint) {
        if self.leader.as_ref().is_some_and(|(term, _)| *term > hint.term) {
            return;
        }
        if let Ok(endpoint) = Endpoint::parse(&hint.address) {
            self.leader = Some((hint.term, Endpoint { node: Some(hint.id), ..endpoint }));
        }
    }

    /// A connection failed: the leader may be another one by now.
    pub(super) fn failed(&mut self) {
        self.leader = None;
    }

    fn address(&mut self, endpoint: Endpoint) -> io::Result<SocketAddr> {
        if let Some(address) = self.resolved.get(&endpoint) {
            return Ok(*address);
        }
        let found = resolve(&endpoint.address, Instant::now() + LOOK_UP_TIME)?;
        let first = *found.first().ok_or(io::ErrorKind::NotFound)?;
        self.resolved.insert(endpoint, first);
        Ok(first)
    }
}
