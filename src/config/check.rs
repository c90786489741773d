//! What no key can see alone: how the values fit together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::report::{Origin, Origins, Report};
use super::settings::{Config, Node, Role};
use super::table::SEGMENT_RESERVE;
use super::values::{show_duration, show_size};
use crate::model::MAX_SEATS;

/// Fewer heartbeats than these in an election timeout are an error: one that is lost or late
/// would begin an election.
const FEWEST_HEARTBEATS: u32 = 3;

/// Fewer heartbeats than these are worth a warning.
const FEW_HEARTBEATS: u32 = 5;

/// Election timeouts outside of these are worth a warning: disks stand still for about the
/// shorter one now and then, and a cluster is without a leader for up to twice the longer one.
const SHORT_ELECTION_TIMEOUT: Duration = Duration::from_millis(100);
const LONG_ELECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The most nodes, as one configuration can seat.
pub(super) const MOST_NODES: usize = MAX_SEATS as usize;

/// More voters than these make each write slower and survive no failure that is likely.
const MANY_VOTERS: usize = 7;

/// Checks how the values fit together. `named` is how many nodes the file means to name,
/// those with mistakes included.
pub(super) fn check(config: &Config, named: usize, origins: &Origins, report: &mut Report<'_>) {
    let mut checker = Checker { config, origins, report };
    checker.timing();
    checker.lease_reads();
    checker.sizes();
    checker.node_count(named);
    checker.voters(named);
    checker.addresses();
    checker.directories();
}

struct Checker<'a, 'b> {
    config: &'a Config,
    origins: &'a Origins,
    report: &'a mut Report<'b>,
}

impl Checker<'_, '_> {
    fn timing(&mut self) {
        let cluster = &self.config.cluster;
        let (election, heartbeat) = (cluster.election_timeout, cluster.heartbeat_interval);
        if self.any_broken("Cluster", &["ElectionTimeout", "HeartbeatInterval"]) {
            return;
        }
        let origin = self.first_given("Cluster", &["ElectionTimeout", "HeartbeatInterval"]);
        let shown = format!(
            "ElectionTimeout = {} with HeartbeatInterval = {}",
            show_duration(election),
            show_duration(heartbeat)
        );
        if election < heartbeat * FEWEST_HEARTBEATS {
            let message = format!(
                "{shown}: must be at least {FEWEST_HEARTBEATS} heartbeats, {}",
                show_duration(heartbeat * FEWEST_HEARTBEATS)
            );
            self.report.error(&origin, message);
        } else if election < heartbeat * FEW_HEARTBEATS {
            let message = format!("{shown}: two late heartbeats begin an election; 10 are good");
            self.report.warning(&origin, message);
        }
        let origin = self.origin("Cluster", "ElectionTimeout");
        let shown = format!("ElectionTimeout = {}", show_duration(election));
        if election > LONG_ELECTION_TIMEOUT {
            let message = format!(
                "{shown}: when the leader fails, nothing is written for up to {} and more",
                show_duration(election * 2)
            );
            self.report.warning(&origin, message);
        } else if election < SHORT_ELECTION_TIMEOUT {
            let message = format!("{shown}: a slow sync or a busy host will begin elections");
            self.report.warning(&origin, message);
        }
    }

    fn lease_reads(&mut self) {
        let cluster = &self.config.cluster;
        let broken = self.any_broken("Cluster", &["LeaseReads", "CheckQuorum"]);
        if cluster.lease_reads && !cluster.check_quorum && !broken {
            let origin = self.origin("Cluster", "LeaseReads");
            let message = "LeaseReads = True: needs CheckQuorum = True, without which a leader \
                           that was cut off holds its lease for ever";
            self.report.error(&origin, message.to_owned());
        }
    }

    fn sizes(&mut self) {
        let batch = self.config.cluster.max_batch_bytes;
        let segment = self.config.storage.segment_size;
        if self.any_broken("Cluster", &["MaxBatchBytes"]) {
            return;
        }
        if segment < batch + SEGMENT_RESERVE && !self.any_broken("Storage", &["SegmentSize"]) {
            let message = format!(
                "SegmentSize = {} with MaxBatchBytes = {}: must be at least {}, a batch and {}",
                show_size(segment),
                show_size(batch),
                show_size(batch + SEGMENT_RESERVE),
                show_size(SEGMENT_RESERVE)
            );
            let origin = match self.origin("Storage", "SegmentSize") {
                Origin::Default => self.origin("Cluster", "MaxBatchBytes"),
                given => given,
            };
            self.report.error(&origin, message);
        }
        let unpersisted = self.config.cluster.max_unpersisted_bytes;
        if unpersisted < batch && !self.any_broken("Cluster", &["MaxUnpersistedBytes"]) {
            let message = format!(
                "MaxUnpersistedBytes = {}: must be at least MaxBatchBytes = {}",
                show_size(unpersisted),
                show_size(batch)
            );
            let origin = self.first_given("Cluster", &["MaxUnpersistedBytes", "MaxBatchBytes"]);
            self.report.error(&origin, message);
        }
    }

    fn node_count(&mut self, named: usize) {
        if let Some(count) = self.config.cluster.node_count
            && count != named as u64
        {
            let origin = self.origin("Cluster", "NodeCount");
            let message = format!("NodeCount = {count}: must be {named}, as [Nodes] lists");
            self.report.error(&origin, message);
        }
    }

    fn voters(&mut self, named: usize) {
        let voters = self.config.nodes.iter().filter(|node| node.role == Role::Voter).count();
        let complete = named == self.config.nodes.len();
        if named == 0 {
            let message = "there are no nodes; [Nodes] must list one at least, as \"Node1 = A\"";
            self.report.error(&Origin::Default, message.to_owned());
        } else if named > MOST_NODES {
            let message = format!("there are {named} nodes; at most {MOST_NODES} are possible");
            self.report.error(&Origin::Default, message);
        } else if complete && voters == 0 {
            let message = "there are no voters; one node at least needs Role = voter";
            self.report.error(&Origin::Default, message.to_owned());
        } else if complete && voters.is_multiple_of(2) {
            let message = format!(
                "{voters} voters survive no more failures than {} do; an odd number is better",
                voters - 1
            );
            self.report.warning(&Origin::Default, message);
        } else if complete && voters > MANY_VOTERS {
            let message = format!("{voters} voters make each write slow; make some learners");
            self.report.warning(&Origin::Default, message);
        }
    }

    fn addresses(&mut self) {
        let mut seen: BTreeMap<String, &Node> = BTreeMap::new();
        let loopback = |node: &&Node| is_loopback(&node.host);
        let local = self.config.nodes.iter().filter(loopback).count();
        for node in &self.config.nodes {
            let address = node.address().to_string();
            let section = format!("Node.{}", node.label);
            if let Some(first) = seen.get(&address) {
                let origin = self.first_given(&section, &["Port", "Host"]);
                let message = format!(
                    "nodes {} and {} have the same address, {address}",
                    first.label, node.label
                );
                self.report.error(&origin, message);
            }
            seen.entry(address).or_insert(node);
            let origin = self.origin(&section, "Host");
            if ["0.0.0.0", "::"].contains(&node.host.as_str()) {
                let message = format!(
                    "Host = {}: nobody can connect to that; give the host's address, and this in \
                     Listen",
                    node.host
                );
                self.report.warning(&origin, message);
            } else if is_loopback(&node.host) && local < self.config.nodes.len() {
                let message =
                    format!("Host = {}: the nodes on other hosts can't reach that", node.host);
                self.report.warning(&origin, message);
            }
        }
    }

    fn directories(&mut self) {
        let mut seen = BTreeMap::new();
        for node in &self.config.nodes {
            let directory = self.config.data_directory(node);
            let first = seen.entry((&node.host, directory.clone())).or_insert(node);
            if first.id != node.id {
                let sections = [format!("Node.{}", node.label), format!("Node.{}", first.label)];
                let given = sections
                    .iter()
                    .map(|section| self.origin(section, "DataDirectory"))
                    .find(|origin| *origin != Origin::Default)
                    .unwrap_or(Origin::Default);
                let message = format!(
                    "nodes {} and {} on {} have the same data directory, {}",
                    first.label,
                    node.label,
                    node.host,
                    directory.display()
                );
                self.report.error(&given, message);
            }
        }
    }

    fn any_broken(&self, section: &str, keys: &[&'static str]) -> bool {
        keys.iter().any(|key| self.report.is_broken(section, key))
    }

    fn origin(&self, section: &str, key: &'static str) -> Origin {
        self.origins.get(&(section.to_owned(), key)).cloned().unwrap_or(Origin::Default)
    }

    /// The place of the first of these keys that isn't a default.
    fn first_given(&self, section: &str, keys: &[&'static str]) -> Origin {
        keys.iter()
            .map(|key| self.origin(section, key))
            .find(|origin| *origin != Origin::Default)
            .unwrap_or(Origin::Default)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}
