//! Serving: what the driver asks for, and what the threads report.

use std::time::Duration;

use super::Server;
use super::life::{Life, Serving};
use crate::config::{self, Config, StorageClass, SyncPolicy};
use crate::kv::Machine;
use crate::model::{Boot, ClusterId, Epoch, FoundingEntry, Index, Term};
use crate::node::Exit;
use crate::node::connection::{ConnectionId, Stage};
use crate::node::driver::{
    About, Driver, DriverInput, DriverOutput, Halt, Limits, Parts, SnapshotRules,
};
use crate::node::opening::{Formed, exit_of};
use crate::node::outside::Outside;
use crate::raft::{self, Raft, Restored};
use crate::storage::{ErrorClass, FileReport, LogDone, LogReport, StorageError};
use crate::wire::{KeptSnapshot, MAX_BULK_FRAME_BYTES, StorageKind};

/// The most messages with entries on their way to one member.
const INFLIGHT_MESSAGES: usize = 4096;

/// What a frame has beside its entries, generously.
const FRAME_OVERHEAD: u64 = 128;

/// The most reads, of any number of queries each, that wait for a round.
const WAITING_READS: usize = 4096;

/// The most that may wait for a member before all entries: who doesn't even take heartbeats isn't
/// there.
const URGENT_BYTES: usize = 1 << 20;

impl<O: Outside> Server<O> {
    /// Begins to serve with what the directory holds.
    pub(in crate::node) fn serve(&mut self, formed: Formed, is_founder: bool) -> Result<(), Exit> {
        let (cluster, epoch, founding) = (formed.cluster, formed.epoch, formed.founding.clone());
        let (log_bytes, segments) = (formed.log_bytes, formed.segments);
        let Formed { restored, workers, machine, snapshots, .. } = formed;
        self.outside
            .start_disk(workers)
            .map_err(|error| Exit::System { what: "to start a thread", error })?;
        let about = self.about(cluster, epoch, restored.boot, (log_bytes, segments));
        self.begin(restored, (machine, snapshots), about, founding, is_founder);
        Ok(())
    }

    pub(super) fn begin(
        &mut self,
        restored: Restored,
        (machine, snapshots): (Machine, Vec<KeptSnapshot>),
        about: About,
        founding: FoundingEntry,
        is_founder: bool,
    ) {
        let (cluster, epoch) = (about.cluster, about.epoch);
        // Those were refusals of a node that was no member.
        self.state.refusals.clear();
        self.journal.follows(restored.hard_state.term);
        let text = format!("cluster {cluster}, entries up to {}", restored.last);
        self.journal.info("serving", &text);
        let seed = self.outside.random() as u64;
        let raft = Raft::new(self.core_config(), restored, self.now, seed);
        let limits = limits(&self.config);
        let max_batch_bytes = self.config.cluster.max_batch_bytes;
        let snapshot_rules = snapshot_rules(&self.config.snapshot);
        let parts = Parts {
            about,
            limits,
            founding,
            raft,
            machine,
            max_batch_bytes,
            snapshot_rules,
            snapshots,
        };
        let mut driver = Driver::new(parts, self.now);
        for (id, connection) in &self.state.connections {
            if let Stage::Client(client) = connection.stage {
                debug_assert_eq!(client, super::reading::client_id(*id));
                driver.handle(self.now, DriverInput::ClientConnected(client));
            }
        }
        let serving = Serving {
            told: driver.raft().last().term,
            taken_at: Term::ZERO,
            settled: Index::ZERO,
            gives_way_to: None,
            driver,
            cluster,
            epoch,
            is_founder,
        };
        self.life = Life::Serving(Box::new(serving));
        self.state.called_as_of = None;
        self.call_the_members();
        self.campaign_if_founder();
    }

    fn core_config(&self) -> raft::Config {
        let cluster = &self.config.cluster;
        raft::Config {
            me: self.door.me().member,
            election_timeout: cluster.election_timeout,
            heartbeat_interval: cluster.heartbeat_interval,
            pre_vote: cluster.pre_vote,
            check_quorum: cluster.check_quorum,
            max_inflight_bytes: cluster.max_inflight_bytes,
            max_inflight_messages: INFLIGHT_MESSAGES,
            max_batch_bytes: MAX_BULK_FRAME_BYTES as u64 - FRAME_OVERHEAD,
            max_unpersisted_bytes: cluster.max_unpersisted_bytes,
            recent_bytes: cluster.recent_bytes,
            max_waiting_reads: WAITING_READS,
            keep_entries: self.config.snapshot.keep_entries,
        }
    }

    pub(super) fn about(
        &self,
        cluster: ClusterId,
        epoch: Epoch,
        boot: Boot,
        (log_bytes, segments): (u64, usize),
    ) -> About {
        let me = self.door.me();
        let node = self.config.node_by_id(self.me);
        About {
            me: me.member,
            label: node.map(|node| node.label.clone()).unwrap_or_default(),
            address: me.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot,
            cluster_name: me.cluster_name.clone(),
            cluster,
            epoch,
            storage: storage_kind(&self.config),
            election_timeout: self.config.cluster.election_timeout,
            log_bytes,
            segments: u32::try_from(segments).unwrap_or(u32::MAX),
        }
    }

    /// A founder stands for election as soon as a quorum is there, without waiting for a timeout.
    pub(super) fn campaign_if_founder(&mut self) {
        let Life::Serving(serving) = &mut self.life else { return };
        if !serving.is_founder {
            return;
        }
        let (_, members) = serving.driver.raft().configuration();
        let me = self.door.me().member;
        let is_there = |member| member == me || self.state.links.to(member).is_some();
        let voters = || members.seats().iter().filter(|seat| seat.standing.votes());
        let there = voters().filter(|seat| seat.member().is_some_and(is_there)).count();
        if there > voters().count() / 2 {
            serving.is_founder = false;
            serving.driver.handle(self.now, DriverInput::Campaign);
        }
    }

    pub(super) fn log_reports(
        &mut self,
        result: Result<LogReport, StorageError>,
        took: Duration,
    ) -> Result<(), Exit> {
        let report = match result {
            Ok(report) => report,
            Err(error) if error.class() == ErrorClass::NoSpace => {
                let Life::Serving(serving) = &mut self.life else { return Err(exit_of(error)) };
                let text = error.to_string();
                serving.driver.handle(self.now, DriverInput::LogFull { text });
                return Ok(());
            }
            Err(error) => return Err(exit_of(error)),
        };
        if report.done == LogDone::Refounded {
            self.refounded();
        } else if let Life::Serving(serving) = &mut self.life {
            serving.driver.handle(self.now, DriverInput::LogDone { report, took });
        }
        Ok(())
    }

    pub(super) fn files_report(
        &mut self,
        result: Result<FileReport, StorageError>,
    ) -> Result<(), Exit> {
        let report = result.map_err(exit_of)?;
        if let Life::Serving(serving) = &mut self.life {
            serving.driver.handle(self.now, DriverInput::FileDone(report));
        }
        Ok(())
    }

    /// Carries out what the driver asks for.
    pub(super) fn carry_out(&mut self) -> Result<(), Exit> {
        let mut slow = Vec::new();
        // The core counts anew what is on its way whenever it has asked a member where it is, so
        // what waits here has a bound of its own.
        let window = usize::try_from(self.config.cluster.max_inflight_bytes).unwrap_or(usize::MAX);
        let bulk_bytes = window.saturating_mul(2).saturating_add(MAX_BULK_FRAME_BYTES);
        let Life::Serving(serving) = &mut self.life else { return Ok(()) };
        let mut end = Ok(());
        while let Some(output) = serving.driver.poll() {
            let (id, urgent, bulk) = match output {
                DriverOutput::ToPeer { peer, frames } => {
                    (self.state.links.to(peer), Some(frames), None)
                }
                DriverOutput::EntriesToPeer { peer, head, entries } => {
                    (self.state.links.to(peer), None, Some((head, entries)))
                }
                DriverOutput::ToClient { client, replies } => {
                    (Some(ConnectionId(client.0 as usize)), Some(replies), None)
                }
                DriverOutput::Log(work) => {
                    self.outside.log(work);
                    continue;
                }
                DriverOutput::File(work) => {
                    self.outside.file(work);
                    continue;
                }
                DriverOutput::Levels { term, commit, levels } => {
                    let (_, members) = serving.driver.raft().configuration();
                    self.door.learn((term, commit), &levels, members);
                    continue;
                }
                DriverOutput::Notice(notice) => {
                    self.journal.notice(self.now, &notice);
                    continue;
                }
                DriverOutput::Stopped => {
                    end = Err(Exit::Clean);
                    continue;
                }
                DriverOutput::Halt(halt) => {
                    end = end.and(Err(exit_for(halt)));
                    continue;
                }
            };
            let Some(id) = id else { continue };
            let Some(connection) = self.state.connections.get_mut(&id) else { continue };
            if let Some(frames) = urgent {
                connection.out.push_urgent(frames);
            }
            // One frame, however long, is never too much.
            let is_behind = connection.out.bulk_bytes() > bulk_bytes;
            if let Some((head, entries)) = bulk {
                connection.out.push_bulk(head, [entries]);
            }
            let is_node = matches!(connection.stage, Stage::Node { .. });
            if is_node && connection.out.urgent_bytes() > URGENT_BYTES {
                slow.push((id, "it does not even take heartbeats"));
            } else if is_node && is_behind {
                slow.push((id, "it takes entries too slowly"));
            }
            if !connection.is_dirty {
                connection.is_dirty = true;
                self.state.dirty.push(id);
            }
        }
        if end.is_err() {
            self.write_dirty();
        }
        for (id, reason) in slow {
            self.close(id, reason);
        }
        for id in self.removed_connections() {
            self.close(id, "the node was removed from the cluster");
        }
        end
    }

    /// The connections to nodes that were removed since it was last looked. When they call again,
    /// they are told.
    fn removed_connections(&mut self) -> Vec<ConnectionId> {
        let Life::Serving(serving) = &mut self.life else { return Vec::new() };
        let (index, settled) = serving.driver.raft().committed_configuration();
        if serving.settled == index {
            return Vec::new();
        }
        serving.settled = index;
        let removed = settled.removed().iter();
        removed.flat_map(|member| self.state.links.all_to(*member)).collect()
    }
}

fn exit_for(halt: Halt) -> Exit {
    match halt {
        Halt::Newer(text) => Exit::Newer(text),
        Halt::Corrupt(text) => Exit::Corrupt(text),
        Halt::Differs(text) => Exit::Differs(text),
        Halt::DiskStill(age) => Exit::DiskStill(age),
    }
}

/// What the node grants clients.
pub(super) fn limits(config: &Config) -> Limits {
    Limits {
        max_value_bytes: config.client.max_value_size,
        request_timeout: config.client.request_timeout,
    }
}

fn storage_kind(config: &Config) -> StorageKind {
    match (config.cluster.storage_class, config.storage.sync) {
        (StorageClass::Memory, _) => StorageKind::Memory,
        (StorageClass::File, SyncPolicy::Always) => StorageKind::Synced,
        (StorageClass::File, SyncPolicy::None) => StorageKind::Unsynced,
    }
}

fn snapshot_rules(snapshot: &config::Snapshot) -> SnapshotRules {
    SnapshotRules {
        min_log_bytes: snapshot.min_log_size,
        log_ratio: snapshot.log_ratio,
        max_age: snapshot.max_age,
        max_lag_bytes: snapshot.max_lag_size,
    }
}
