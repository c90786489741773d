//! How the node stands, for whoever asks.

use std::time::Duration;

use super::Driver;
use crate::kv::PointReport;
use crate::model::{Boot, ClusterId, Epoch, Index, Member, Time};
use crate::raft::RoleKind;
use crate::storage::{LogDone, LogReport, Rotated};
use crate::wire::{HealthReason, PeerReport, StatusReply, StatusRole, StorageKind};

/// Who and what a node is: what doesn't change while it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct About {
    /// The node.
    pub me: Member,
    /// Its label in the file.
    pub label: String,
    /// Where it is reached, as `host:port`.
    pub address: String,
    /// The version of the program.
    pub version: String,
    /// How often its directory was started.
    pub boot: Boot,
    /// The cluster's name.
    pub cluster_name: String,
    /// The cluster.
    pub cluster: ClusterId,
    /// Its generation.
    pub epoch: Epoch,
    /// What keeps the log.
    pub storage: StorageKind,
    /// E.
    pub election_timeout: Duration,
    /// Bytes that the log takes on disk at the start.
    pub log_bytes: u64,
    /// Segments at the start.
    pub segments: u32,
}

/// What waits in a node for its disk, for a quorum or for its clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Bytes of entries in memory, those included that aren't needed any more but for members
    /// that are a little behind.
    pub entry_bytes: usize,
    /// Commands whose end isn't known yet and somebody waits for.
    pub proposals: usize,
    /// Queries that aren't answered.
    pub queries: usize,
    /// Bytes of those queries, and of those that wait until their clients take what was
    /// answered.
    pub query_bytes: usize,
}

/// What changes and isn't known elsewhere.
#[derive(Debug)]
pub(super) struct Facts {
    role: RoleKind,
    role_since: Time,
    log_bytes: u64,
    segments: u32,
    writes: u64,
}

impl Facts {
    pub(super) fn new(about: &About, now: Time) -> Facts {
        Facts {
            role: RoleKind::Follower,
            role_since: now,
            log_bytes: about.log_bytes,
            segments: about.segments,
            writes: 0,
        }
    }

    pub(super) fn role_changed(&mut self, role: RoleKind, now: Time) {
        if role != self.role {
            self.role = role;
            self.role_since = now;
        }
    }

    pub(super) fn log_done(&mut self, report: &LogReport) {
        if let LogDone::Written { bytes, rotated, .. } = report.done {
            self.log_bytes += bytes;
            self.writes += 1;
            self.segments += u32::from(rotated != Rotated::No);
        }
    }

    /// Segments were removed; the log takes so many bytes.
    pub(super) fn log_removed(&mut self, segments: usize, log_bytes: u64) {
        self.segments = self.segments.saturating_sub(segments as u32);
        self.log_bytes = log_bytes;
    }
}

impl Driver {
    /// What waits in this node.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        Waiting {
            entry_bytes: self.recent.bytes(),
            proposals: self.proposals.pending(),
            queries: self.reads.unanswered(),
            query_bytes: self.reads.bytes() + self.clients.parked_bytes(),
        }
    }

    pub(super) fn status(&self) -> StatusReply {
        let core = self.raft.status();
        let (snapshot, snapshot_time) = self.newest_snapshot();
        let point = self.points.latest().unwrap_or(PointReport { index: Index::ZERO, hash: 0 });
        let role = match core.role {
            RoleKind::Leader => StatusRole::Leader,
            RoleKind::Candidate => StatusRole::Candidate,
            RoleKind::PreCandidate => StatusRole::PreCandidate,
            RoleKind::Follower if core.voter => StatusRole::Follower,
            RoleKind::Follower => StatusRole::Learner,
        };
        let peers = core.peers.iter().map(|peer| PeerReport {
            member: peer.member,
            connected: self.peers.is_connected(peer.member),
            matched: peer.matched,
            next: peer.next,
            inflight_bytes: peer.inflight_bytes,
            round_trip: peer.round_trip,
            heard_ago: peer.heard_ago,
        });
        StatusReply {
            node: self.about.me,
            label: self.about.label.clone(),
            address: self.about.address.clone(),
            version: self.about.version.clone(),
            boot: self.about.boot,
            uptime: self.now.since(self.started),
            cluster_name: self.about.cluster_name.clone(),
            cluster: Some(self.about.cluster),
            epoch: self.about.epoch,
            role,
            role_for: self.now.since(self.facts.role_since),
            term: core.term,
            leader: core.leader.map(|leader| leader.id),
            heard_ago: self.raft.leader_heard_ago(),
            voter: core.voter,
            first: core.base.index.next(),
            last: core.last.index,
            durable: core.durable,
            commit: core.commit,
            applied: core.applied,
            applied_time: self.machine.log_time(),
            log_time: core.log_time,
            snapshot,
            snapshot_time,
            log_bytes: self.facts.log_bytes,
            segments: self.facts.segments,
            writes: self.facts.writes,
            storage: self.about.storage,
            disk_ok: self.disk_is_ok(),
            sync_p99: self.log.sync_p99(),
            feature_level: self.machine.feature_level(),
            state_hash: point.hash,
            state_hash_index: point.index,
            keys: self.machine.keys(),
            state_bytes: self.machine.bytes(),
            clients: self.clients.count(),
            configuration_index: core.configuration.0,
            configuration: core.configuration.1,
            peers: peers.collect(),
            waits_for: Vec::new(),
            reasons: self.reasons(),
        }
    }

    fn disk_is_ok(&self) -> bool {
        let waits = self.log.busy_for(self.now).unwrap_or_default();
        !self.log.is_full() && waits < self.about.election_timeout.max(Duration::from_secs(1))
    }

    fn reasons(&self) -> Vec<HealthReason> {
        let mut reasons = Vec::new();
        let mut tell = |code: &str, message: String| {
            let node = Some(self.about.me.id);
            reasons.push(HealthReason { code: code.to_owned(), node, message });
        };
        let (_, leader) = self.raft.term_and_leader();
        if leader.is_none() {
            tell("no_leader", "the node knows of no leader".to_owned());
        }
        if self.log.is_full() {
            tell("disk_full", "the disk has no room for the log".to_owned());
        } else if !self.disk_is_ok() {
            let age = self.log.busy_for(self.now).unwrap_or_default();
            tell("disk_still", format!("the disk hasn't finished a write for {age:.1?}"));
        }
        if let Some(index) = self.watch.disputed {
            tell("state_disputed", format!("the states of the nodes differ at entry {index}"));
        }
        if self.about.storage == StorageKind::Unsynced {
            tell("sync_none", "writes aren't synced: a power cut may lose some".to_owned());
        }
        reasons
    }
}
