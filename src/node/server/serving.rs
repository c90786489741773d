//! The node's life: it forms a cluster, or waits to be taken into one; then it serves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Server;
use crate::config::{Config, StorageClass, SyncPolicy};
use crate::kv::Machine;
use crate::model::{
    Boot, ClusterId, EntryKind, Epoch, HardState, Index, LogId, LogTime, Member, NodeId, Term,
    TermRun, Time,
};
use crate::node::Exit;
use crate::node::connection::{ConnectionId, Stage};
use crate::node::door::Standpoint;
use crate::node::driver::{About, Driver, DriverInput, DriverOutput, Halt, Limits, Parts};
use crate::node::forming::{Forming, gives_way, may_join};
use crate::node::opening::{Formed, Unfounded, exit_of};
use crate::node::threads::DiskThreads;
use crate::raft::{self, Raft, Restored};
use crate::storage::{ErrorClass, FileReport, LogDone, LogReport, LogWork, StorageError};
use crate::wire::{
    FoundingOffer, FoundingReply, Incoming, MAX_BULK_FRAME_BYTES, RefusalCode, Reply, ReplyBody,
    Request, RequestBody, StatusReply, StatusRole, StorageKind,
};

/// The most messages with entries on their way to one member.
const INFLIGHT_MESSAGES: usize = 4096;

/// What a frame has beside its entries, generously.
const FRAME_OVERHEAD: u64 = 128;

/// The most reads, of any number of queries each, that wait for a round.
const WAITING_READS: usize = 4096;

/// The most that may wait for a member before all entries: who doesn't even take heartbeats isn't
/// there.
const URGENT_BYTES: usize = 1 << 20;

/// What the node does.
pub(in crate::node) enum Life {
    /// It is part of no cluster yet.
    Forming { forming: Forming, unfounded: Unfounded },
    /// It is a member.
    Serving(Box<Serving>),
    /// It gives up its founding entry for another one.
    Refounding(Box<Refounding>),
    /// It is passing from one to the other.
    Between,
}

/// A member of a cluster.
pub(in crate::node) struct Serving {
    pub(super) driver: Driver,
    threads: DiskThreads,
    cluster: ClusterId,
    epoch: Epoch,
    /// The first entry, for those who haven't got it.
    founding: Option<FoundingOffer>,
    /// A founding entry for which this node gives up its own, as soon as its disk is idle.
    gives_way_to: Option<FoundingOffer>,
    /// Whether this node has just founded the cluster and stands for election once a quorum is
    /// there.
    is_founder: bool,
}

/// What is kept while the founding entry is replaced.
pub(in crate::node) struct Refounding {
    threads: DiskThreads,
    hard_state: HardState,
    offer: FoundingOffer,
}

impl Life {
    pub(super) const fn is_forming(&self) -> bool {
        matches!(self, Life::Forming { .. })
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Life::Forming { forming, .. } => forming.deadline(),
            Life::Serving(serving) => serving.driver.deadline(),
            Life::Refounding(_) | Life::Between => None,
        }
    }

    /// What the node says of itself in a hello, and judges others by.
    pub(super) fn standpoint(&self, is_stopping: bool) -> Standpoint<'_> {
        let Life::Serving(serving) = self else {
            return Standpoint {
                cluster: None,
                term: Term::ZERO,
                last: LogId::ORIGIN,
                commit: Index::ZERO,
                members: None,
                feature_level: 0,
                is_stopping,
            };
        };
        let raft = serving.driver.raft();
        let (term, last) = raft.durable();
        Standpoint {
            cluster: Some((serving.cluster, serving.epoch)),
            term,
            last,
            commit: raft.commit(),
            members: Some(raft.configuration()),
            feature_level: serving.driver.machine().feature_level(),
            is_stopping,
        }
    }

    pub(super) fn came(&mut self, member: Member, has_formed: bool, now: Time) {
        if let Life::Forming { forming, .. } = self {
            forming.came(member, has_formed, now);
        }
    }

    pub(super) fn is_missing(&mut self, id: NodeId, why: &str, now: Time) {
        if let Life::Forming { forming, .. } = self {
            forming.is_missing(id, why.to_owned(), now);
        }
    }
}

impl Serving {
    /// Whether nothing binds this node to its cluster: its log holds only the founding entry.
    fn is_lonely(&self) -> bool {
        let raft = self.driver.raft();
        raft.last().index <= Index(1)
    }
}

impl Server {
    /// Founds the cluster, if that is this node's part and the time has come.
    pub(super) fn form(&mut self) -> Result<(), Exit> {
        let Life::Forming { forming, .. } = &self.life else { return Ok(()) };
        let offer = forming.found(self.now, wall_time(), rand::random());
        let Some(offer) = offer else {
            let waits = forming.waits_for();
            self.journal.waits(self.now, waits);
            return Ok(());
        };
        let text = format!("cluster {}", offer.founding.cluster);
        self.journal.info("founding", &text);
        self.store_founding(offer, true)?;
        let founders: Vec<ConnectionId> = self.nodes().collect();
        for id in founders {
            self.offer_founding(id);
        }
        Ok(())
    }

    /// Stores the first entry, and begins to serve.
    fn store_founding(&mut self, offer: FoundingOffer, is_founder: bool) -> Result<(), Exit> {
        let Life::Forming { unfounded, .. } = std::mem::replace(&mut self.life, Life::Between)
        else {
            unreachable!("only a node without a log stores a founding")
        };
        let formed = unfounded.found(&offer.batch).map_err(exit_of)?;
        self.serve(formed, is_founder)
    }

    /// Begins to serve with what the directory holds.
    pub(in crate::node) fn serve(&mut self, formed: Formed, is_founder: bool) -> Result<(), Exit> {
        let (cluster, epoch, founding) = (formed.cluster, formed.epoch, formed.founding.clone());
        let (log_bytes, segments) = (formed.log_bytes, formed.segments);
        let restored = formed.restored.clone();
        let threads = formed
            .start(self.mailbox.clone())
            .map_err(|error| Exit::System { what: "to start a thread", error })?;
        let about = self.about(cluster, epoch, restored.boot, (log_bytes, segments));
        self.begin(restored, about, threads, founding, is_founder);
        Ok(())
    }

    fn begin(
        &mut self,
        restored: Restored,
        about: About,
        threads: DiskThreads,
        founding: Option<FoundingOffer>,
        is_founder: bool,
    ) {
        let (cluster, epoch) = (about.cluster, about.epoch);
        self.journal.follows(restored.hard_state.term);
        let text = format!("cluster {cluster}, entries up to {}", restored.last);
        self.journal.info("serving", &text);
        for seat in restored.configurations.last().iter().flat_map(|(_, now)| now.seats()) {
            self.call_member(seat.id, &seat.address);
        }
        let raft = Raft::new(self.core_config(), restored, self.now, rand::random());
        let machine = Machine::new();
        let limits = limits(&self.config);
        let max_batch_bytes = self.config.cluster.max_batch_bytes;
        let parts = Parts { about, limits, raft, machine, max_batch_bytes };
        let mut driver = Driver::new(parts, self.now);
        for (id, connection) in &self.state.connections {
            if let Stage::Client(client) = connection.stage {
                debug_assert_eq!(client, super::reading::client_id(*id));
                driver.handle(self.now, DriverInput::ClientConnected(client));
            }
        }
        let gives_way_to = None;
        let serving =
            Serving { driver, threads, cluster, epoch, founding, gives_way_to, is_founder };
        self.life = Life::Serving(Box::new(serving));
        self.campaign_if_founder();
    }

    /// Calls a member that the file doesn't name, at the address that the log has.
    fn call_member(&mut self, id: NodeId, address: &str) {
        if id == self.me || self.calls.address(id).is_some() {
            return;
        }
        let Some((host, port)) = address.rsplit_once(':') else { return };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if let Ok(port) = port.parse() {
            self.calls.set(id, &crate::config::Address { host, port }, self.now);
        }
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
        }
    }

    fn about(
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

    /// Offers the first entry to a node that is of no cluster or of another one.
    pub(super) fn offer_founding(&mut self, id: ConnectionId) {
        let Life::Serving(serving) = &self.life else { return };
        let Some(offer) = &serving.founding else { return };
        offer.encode(&mut self.state.scratch);
        let frames = self.state.scratch.split().freeze();
        self.send(id, frames);
    }

    /// A node offers a first entry, or answers to one.
    pub(super) fn from_founder(
        &mut self,
        id: ConnectionId,
        from: Member,
        incoming: Incoming,
    ) -> Result<(), Exit> {
        match incoming {
            Incoming::Founding(offer) => {
                let reply = self.consider(id, offer)?;
                reply.encode(&mut self.state.scratch);
                let frames = self.state.scratch.split().freeze();
                self.send(id, frames);
                if let FoundingReply::Stored { .. } = reply {
                    // Both sides say hello anew, as members.
                    self.leave(id);
                }
                Ok(())
            }
            Incoming::FoundingReply(FoundingReply::Prefers(offer)) => {
                self.consider(id, *offer).map(|_| ())
            }
            Incoming::FoundingReply(FoundingReply::Stored { .. }) => {
                self.journal.info("founding_stored", &format!("by node {}", from.id));
                Ok(())
            }
            Incoming::FoundingReply(FoundingReply::Refused { text }) => {
                let reason = format!("it does not store the founding entry: {text}");
                let remote = self.state.connections.get(&id).map(|one| one.remote);
                self.journal.dropped(self.now, remote, Some(from.id), &reason);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn consider(&mut self, id: ConnectionId, offer: FoundingOffer) -> Result<FoundingReply, Exit> {
        let has_more = self.state.connections.get(&id).is_some_and(|connection| {
            matches!(connection.stage, Stage::Node { has_more: true, .. })
        });
        let cluster = offer.founding.cluster;
        match &mut self.life {
            Life::Forming { forming, .. } => {
                if let Err(text) = forming.accepts(&offer) {
                    return Ok(FoundingReply::Refused { text });
                }
                self.journal.info("founding_accepted", &format!("cluster {cluster}"));
                self.store_founding(offer, false)?;
                self.part_from_founders(id);
                Ok(FoundingReply::Stored { cluster })
            }
            Life::Serving(serving) if serving.cluster == cluster => {
                Ok(FoundingReply::Stored { cluster })
            }
            Life::Serving(serving) => {
                let own = serving.founding.clone();
                let me = self.door.me().member;
                let yields = serving.is_lonely()
                    && own
                        .as_ref()
                        .is_some_and(|own| gives_way(&own.founding, &offer.founding, has_more));
                let may = may_join(me, &self.plan, &offer.founding);
                match (yields, may, own) {
                    (true, Ok(()), _) => {
                        serving.gives_way_to = Some(offer);
                        let text = "the own founding entry gives way to another one; try again";
                        Ok(FoundingReply::Refused { text: text.to_owned() })
                    }
                    (true, Err(text), _) => Ok(FoundingReply::Refused { text }),
                    (false, _, Some(own)) => Ok(FoundingReply::Prefers(Box::new(own))),
                    (false, _, None) => Ok(FoundingReply::Refused {
                        text: "the node is a member of another cluster".to_owned(),
                    }),
                }
            }
            Life::Refounding(_) | Life::Between => Ok(FoundingReply::Refused {
                text: "the node is changing its cluster; try again".to_owned(),
            }),
        }
    }

    /// Gives up the own founding entry for another, once nothing is on its way to the disk.
    pub(super) fn refound(&mut self) {
        let Life::Serving(serving) = &mut self.life else { return };
        if serving.gives_way_to.is_none() {
            return;
        }
        if !serving.is_lonely() {
            serving.gives_way_to = None;
            return;
        }
        if !serving.driver.is_log_idle() || !serving.driver.raft().is_all_durable() {
            return;
        }
        let Life::Serving(serving) = std::mem::replace(&mut self.life, Life::Between) else {
            unreachable!("it was seen")
        };
        let Serving { driver, threads, gives_way_to, .. } = *serving;
        let offer = gives_way_to.expect("it was seen");
        let status = driver.raft().status();
        let hard_state = HardState { term: status.term, vote: status.vote };
        let text = format!("cluster {}", offer.founding.cluster);
        self.journal.info("founding_given_up_for", &text);
        threads.log(LogWork::Refound { founding: offer.batch.clone() });
        self.life = Life::Refounding(Box::new(Refounding { threads, hard_state, offer }));
        let all: Vec<ConnectionId> = self.state.connections.keys().copied().collect();
        for id in all {
            self.close(id, "this node changes its cluster");
        }
    }

    fn refounded(&mut self) {
        let Life::Refounding(refounding) = std::mem::replace(&mut self.life, Life::Between) else {
            unreachable!("only a node that changes its cluster is told so")
        };
        let Refounding { threads, hard_state, offer } = *refounding;
        let entry = offer.batch.entry(Index(1)).expect("a founding is entry 1");
        let restored = Restored {
            hard_state,
            base: LogId::ORIGIN,
            runs: vec![TermRun { term: Term::ZERO, first: Index(1) }],
            last: Index(1),
            last_time: entry.header().time,
            configurations: vec![(Index(1), offer.founding.configuration.clone())],
            applied: Index::ZERO,
            boot: self.door.me().boot,
        };
        debug_assert_eq!(entry.kind(), EntryKind::FOUNDING);
        self.door.forget_levels();
        let (cluster, epoch) = (offer.founding.cluster, offer.founding.epoch);
        let about = self.about(cluster, epoch, restored.boot, (0, 1));
        self.begin(restored, about, threads, Some(offer), false);
    }

    /// All nodes say hello anew, except on the connection `but`, which has an answer to send.
    fn part_from_founders(&mut self, but: ConnectionId) {
        let others: Vec<ConnectionId> = self.nodes().filter(|id| *id != but).collect();
        for id in others {
            self.close(id, "this node has become a member and says hello anew");
        }
    }

    fn nodes(&self) -> impl Iterator<Item = ConnectionId> {
        let connections = self.state.connections.iter();
        connections
            .filter(|(_, connection)| matches!(connection.stage, Stage::Node { .. }))
            .map(|(id, _)| *id)
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
                    serving.threads.log(work);
                    continue;
                }
                DriverOutput::File(work) => {
                    serving.threads.file(work);
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
            if let Some((head, entries)) = bulk {
                connection.out.push_bulk(head, [entries]);
            }
            let is_node = matches!(connection.stage, Stage::Node { .. });
            if is_node && connection.out.urgent_bytes() > URGENT_BYTES {
                slow.push(id);
            }
            if !connection.is_dirty {
                connection.is_dirty = true;
                self.state.dirty.push(id);
            }
        }
        if end.is_err() {
            self.write_dirty();
        }
        for id in slow {
            self.close(id, "it does not even take heartbeats");
        }
        end
    }

    /// The reply to a client that came before there is a cluster.
    pub(super) fn early_reply(&self, request: &Request) -> Reply {
        let waits = match &self.life {
            Life::Forming { forming, .. } => forming.waits_for(),
            _ => Vec::new(),
        };
        let body = match request.body {
            RequestBody::Ping => ReplyBody::Pong,
            RequestBody::Status => ReplyBody::Status(Box::new(self.early_status(waits))),
            _ => {
                let missing = waits.iter().map(|node| format!("node {} ({})", node.id, node.why));
                let missing: Vec<String> = missing.collect();
                ReplyBody::Refused {
                    code: RefusalCode::NotFormed,
                    leader: None,
                    text: match missing.is_empty() {
                        true => "the cluster is just forming".to_owned(),
                        false => format!("the cluster waits for {}", missing.join(", ")),
                    },
                }
            }
        };
        Reply { id: request.id, body }
    }

    fn early_status(&self, waits_for: Vec<crate::wire::Awaited>) -> StatusReply {
        let me = self.door.me();
        let about = self.about(ClusterId(0), Epoch::ZERO, me.boot, (0, 0));
        let clients = self.state.connections.values();
        let clients = clients.filter(|one| matches!(one.stage, Stage::Client(_))).count();
        StatusReply {
            node: about.me,
            label: about.label,
            address: about.address,
            version: about.version,
            boot: about.boot,
            uptime: self.now.since(Time::ZERO),
            cluster_name: about.cluster_name,
            cluster: None,
            epoch: Epoch::ZERO,
            role: StatusRole::Forming,
            role_for: self.now.since(Time::ZERO),
            term: Term::ZERO,
            leader: None,
            heard_ago: None,
            voter: false,
            first: Index(1),
            last: Index::ZERO,
            durable: Index::ZERO,
            commit: Index::ZERO,
            applied: Index::ZERO,
            applied_time: LogTime(0),
            log_time: LogTime(0),
            snapshot: Index::ZERO,
            snapshot_time: LogTime(0),
            log_bytes: 0,
            segments: 0,
            storage: about.storage,
            disk_ok: true,
            sync_p99: None,
            feature_level: 0,
            state_hash: 0,
            state_hash_index: Index::ZERO,
            keys: 0,
            state_bytes: 0,
            clients: u32::try_from(clients).unwrap_or(u32::MAX),
            configuration_index: Index::ZERO,
            configuration: crate::model::Configuration::default(),
            peers: Vec::new(),
            waits_for,
            reasons: Vec::new(),
        }
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

/// The wall time, from which log time starts.
fn wall_time() -> LogTime {
    let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    LogTime(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
}
