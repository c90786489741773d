//! How a client behaves.

use std::time::Duration;

use super::Endpoint;
use crate::config::Config;
use crate::wire::Consistency;

/// How a client behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The nodes to speak to, at least one. The leader may be another one: it is found through
    /// any of them.
    pub endpoints: Vec<Endpoint>,
    /// Speak to these nodes only, whatever they say of a leader.
    pub fixed: bool,
    /// The name that the cluster must have; without one, any.
    pub cluster: Option<String>,
    /// How long each call may take, everything included. No call takes longer.
    pub timeout: Duration,
    /// Whether to go on trying, until the time is over, where no node can do it at the moment.
    pub patient: bool,
    /// How fresh reads must be.
    pub consistency: Consistency,
}

impl Options {
    /// For these endpoints: 5 seconds for each call, linearizable reads.
    #[must_use]
    pub fn new(endpoints: Vec<Endpoint>) -> Options {
        Options {
            endpoints,
            fixed: false,
            cluster: None,
            timeout: Duration::from_secs(5),
            patient: true,
            consistency: Consistency::Linearizable,
        }
    }

    /// For the nodes of a raft.ini.
    #[must_use]
    pub fn from_config(config: &Config) -> Options {
        let endpoints = config
            .nodes
            .iter()
            .map(|node| Endpoint {
                node: Some(node.id),
                label: Some(node.label.clone()),
                address: node.address(),
            })
            .collect();
        Options { cluster: Some(config.cluster.name.clone()), ..Options::new(endpoints) }
    }
}
