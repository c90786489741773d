//! How a node stands, as it tells clients.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::fields;
use crate::model::{
    Boot, ByteReader, ClusterId, Configuration, Epoch, Index, LogTime, MAX_SEATS, Malformed,
    Member, NodeId, PutBytes, Term,
};

/// The most reasons for being unhealthy that one status tells.
const MAX_REASONS: u32 = 16;

/// How a node stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusReply {
    /// Who answers.
    pub node: Member,
    /// Its label in its file.
    pub label: String,
    /// Where it is reached, as `host:port`.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// How often its directory was started.
    pub boot: Boot,
    /// How long it has run.
    pub uptime: Duration,
    /// The name of its cluster.
    pub cluster_name: String,
    /// Its cluster; `None` if it hasn't formed.
    pub cluster: Option<ClusterId>,
    /// The cluster's generation.
    pub epoch: Epoch,
    /// What it does at the moment.
    pub role: StatusRole,
    /// How long it has done that.
    pub role_for: Duration,
    /// Its term.
    pub term: Term,
    /// Who leads, if it knows.
    pub leader: Option<NodeId>,
    /// How long ago it last heard from a leader: zero if it leads, `None` if it hasn't since it
    /// was started.
    pub heard_ago: Option<Duration>,
    /// Whether it votes.
    pub voter: bool,
    /// The first index of its log.
    pub first: Index,
    /// The last index of its log.
    pub last: Index,
    /// Up to where its log is durable.
    pub durable: Index,
    /// Up to where the log is committed, as far as it knows.
    pub commit: Index,
    /// Up to where its state machine has applied.
    pub applied: Index,
    /// The log time of the last entry that it has applied.
    pub applied_time: LogTime,
    /// The time that an entry made now would carry, as far as it knows.
    pub log_time: LogTime,
    /// Where its newest snapshot ends; 0 without one.
    pub snapshot: Index,
    /// The log time of that.
    pub snapshot_time: LogTime,
    /// How many bytes its log takes.
    pub log_bytes: u64,
    /// In how many segments.
    pub segments: u32,
    /// How many writes of its log were made since it was started; each makes everything durable
    /// that was ready by then.
    pub writes: u64,
    /// What keeps its log.
    pub storage: StorageKind,
    /// Whether its disk does what it should.
    pub disk_ok: bool,
    /// The time below which 99 of 100 recent syncs of its log stayed; `None` if there were none.
    pub sync_p99: Option<Duration>,
    /// The feature level of the cluster.
    pub feature_level: u32,
    /// The state hash at the latest point.
    pub state_hash: u128,
    /// The index of that point; 0 before the first.
    pub state_hash_index: Index,
    /// How many keys there are.
    pub keys: u64,
    /// How many bytes keys and values have.
    pub state_bytes: u64,
    /// How many clients are connected.
    pub clients: u32,
    /// Where the configuration in force stands in the log.
    pub configuration_index: Index,
    /// The configuration in force: members, their standing and addresses.
    pub configuration: Configuration,
    /// Of each other member, where this node leads.
    pub peers: Vec<PeerReport>,
    /// For whom the node waits to form a cluster.
    pub waits_for: Vec<Awaited>,
    /// What is wrong, as far as this node knows.
    pub reasons: Vec<HealthReason>,
}

/// What a node does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StatusRole {
    /// Waits for the others, to form a cluster.
    Forming = 0,
    /// Follows a leader or waits for one.
    Follower = 1,
    /// Asks whether it would win an election.
    PreCandidate = 2,
    /// Stands for election.
    Candidate = 3,
    /// Leads.
    Leader = 4,
    /// Receives the log and doesn't vote.
    Learner = 5,
}

impl StatusRole {
    /// The name that JSON and documentation use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StatusRole::Forming => "forming",
            StatusRole::Follower => "follower",
            StatusRole::PreCandidate => "pre_candidate",
            StatusRole::Candidate => "candidate",
            StatusRole::Leader => "leader",
            StatusRole::Learner => "learner",
        }
    }
}

/// What keeps a node's log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StorageKind {
    /// Files, synced before anything is acknowledged.
    Synced = 0,
    /// Files that are never synced: a power cut may lose what was acknowledged.
    Unsynced = 1,
    /// Memory: a restart loses everything.
    Memory = 2,
}

impl StorageKind {
    /// The name that JSON and documentation use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StorageKind::Synced => "synced",
            StorageKind::Unsynced => "unsynced",
            StorageKind::Memory => "memory",
        }
    }
}

/// What a leader knows of another member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerReport {
    /// The member.
    pub member: Member,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// Up to where its log is known to equal the leader's, durably.
    pub matched: Index,
    /// The next entry to be sent.
    pub next: Index,
    /// Bytes of entries on their way.
    pub inflight_bytes: u64,
    /// The last round trip of a heartbeat.
    pub round_trip: Option<Duration>,
    /// How long ago it was heard; `None` if not since leadership began.
    pub heard_ago: Option<Duration>,
}

/// A node that is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Awaited {
    /// The node.
    pub id: NodeId,
    /// Where it should be reached.
    pub address: String,
    /// What it lacks, for a person.
    pub why: String,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HealthReason {
    /// Its name, in snake_case.
    pub code: String,
    /// The node that it concerns, if it concerns one.
    pub node: Option<NodeId>,
    /// What is wrong, for a person.
    pub message: String,
}

/// Appends the fields of a status to `out`; lists that are longer than a status holds are cut.
pub(super) fn put(status: &StatusReply, out: &mut BytesMut) {
    put_identity(status, out);
    put_log(status, out);
    put_storage_and_state(status, out);
    out.put_u64_le(status.configuration_index.0);
    status.configuration.encode(out);
    for peer in put_count(&status.peers, MAX_SEATS, out) {
        put_peer(peer, out);
    }
    for awaited in put_count(&status.waits_for, MAX_SEATS, out) {
        out.put_u16_le(awaited.id.number());
        fields::put_short_text(&awaited.address, out);
        fields::put_text(&awaited.why, out);
    }
    for reason in put_count(&status.reasons, MAX_REASONS, out) {
        fields::put_short_text(&reason.code, out);
        fields::put_node_or_none(reason.node, out);
        fields::put_text(&reason.message, out);
    }
}

/// Writes the count of what is told of `list`, and gives that part.
fn put_count<'a, T>(list: &'a [T], most: u32, out: &mut BytesMut) -> &'a [T] {
    let told = &list[..list.len().min(most as usize)];
    out.put_u32_le(told.len() as u32);
    told
}

fn put_identity(status: &StatusReply, out: &mut BytesMut) {
    fields::put_member(status.node, out);
    fields::put_short_text(&status.label, out);
    fields::put_short_text(&status.address, out);
    fields::put_short_text(&status.version, out);
    out.put_u64_le(status.boot.0);
    fields::put_duration(status.uptime, out);
    fields::put_short_text(&status.cluster_name, out);
    out.put_u128_le(status.cluster.map_or(0, |cluster| cluster.0));
    out.put_u64_le(status.epoch.0);
    out.put_u8(status.role as u8);
    fields::put_duration(status.role_for, out);
    out.put_u64_le(status.term.0);
    fields::put_node_or_none(status.leader, out);
    fields::put_duration_or_none(status.heard_ago, out);
    out.put_bool(status.voter);
}

fn put_log(status: &StatusReply, out: &mut BytesMut) {
    for index in [status.first, status.last, status.durable, status.commit, status.applied] {
        out.put_u64_le(index.0);
    }
    out.put_u64_le(status.applied_time.0);
    out.put_u64_le(status.log_time.0);
    out.put_u64_le(status.snapshot.0);
    out.put_u64_le(status.snapshot_time.0);
    out.put_u64_le(status.log_bytes);
    out.put_u32_le(status.segments);
    out.put_u64_le(status.writes);
}

fn put_storage_and_state(status: &StatusReply, out: &mut BytesMut) {
    out.put_u8(status.storage as u8);
    out.put_bool(status.disk_ok);
    fields::put_duration_or_none(status.sync_p99, out);
    out.put_u32_le(status.feature_level);
    out.put_u128_le(status.state_hash);
    out.put_u64_le(status.state_hash_index.0);
    out.put_u64_le(status.keys);
    out.put_u64_le(status.state_bytes);
    out.put_u32_le(status.clients);
}

/// One peer: node, incarnation, connected, match, next, bytes on their way, two durations that
/// may be absent.
const PEER_BYTES: usize = 2 + 16 + 1 + 8 + 8 + 8 + 9 + 9;

fn put_peer(peer: &PeerReport, out: &mut BytesMut) {
    fields::put_member(peer.member, out);
    out.put_bool(peer.connected);
    out.put_u64_le(peer.matched.0);
    out.put_u64_le(peer.next.0);
    out.put_u64_le(peer.inflight_bytes);
    fields::put_duration_or_none(peer.round_trip, out);
    fields::put_duration_or_none(peer.heard_ago, out);
}

/// Reads the fields of a status, and skips tagged fields behind them.
pub(super) fn read(reader: &mut ByteReader<'_>) -> Result<StatusReply, Malformed> {
    let status = StatusReply {
        node: fields::member(reader, ["node", "incarnation"])?,
        label: fields::short_text(reader, "label")?,
        address: fields::short_text(reader, "address")?,
        version: fields::short_text(reader, "version")?,
        boot: Boot(fields::counter(reader, "boot")?),
        uptime: fields::duration(reader, "uptime")?,
        cluster_name: fields::short_text(reader, "cluster name")?,
        cluster: Some(ClusterId(reader.u128("cluster id")?)).filter(|cluster| cluster.0 != 0),
        epoch: Epoch(fields::counter(reader, "epoch")?),
        role: read_role(reader)?,
        role_for: fields::duration(reader, "time in role")?,
        term: fields::term(reader, "term")?,
        leader: fields::node_or_none(reader, "leader")?,
        heard_ago: fields::duration_or_none(reader, ["heard at all", "heard ago"])?,
        voter: reader.bool("voter")?,
        first: fields::index(reader, "first index")?,
        last: fields::index(reader, "last index")?,
        durable: fields::index(reader, "durable index")?,
        commit: fields::index(reader, "commit index")?,
        applied: fields::index(reader, "applied index")?,
        applied_time: fields::log_time(reader, "applied time")?,
        log_time: fields::log_time(reader, "log time")?,
        snapshot: fields::index(reader, "snapshot index")?,
        snapshot_time: fields::log_time(reader, "snapshot time")?,
        log_bytes: reader.u64("log bytes")?,
        segments: reader.u32("segments")?,
        writes: reader.u64("writes")?,
        storage: read_storage(reader)?,
        disk_ok: reader.bool("disk ok")?,
        sync_p99: fields::duration_or_none(reader, ["synced at all", "sync p99"])?,
        feature_level: reader.u32("feature level")?,
        state_hash: reader.u128("state hash")?,
        state_hash_index: fields::index(reader, "state hash index")?,
        keys: reader.u64("keys")?,
        state_bytes: reader.u64("state bytes")?,
        clients: reader.u32("clients")?,
        configuration_index: fields::index(reader, "configuration index")?,
        configuration: Configuration::decode(reader)?,
        peers: read_list(reader, "peers", MAX_SEATS, PEER_BYTES, read_peer)?,
        waits_for: read_list(reader, "awaited nodes", MAX_SEATS, 2 + 1 + 2, read_awaited)?,
        reasons: read_list(reader, "reasons", MAX_REASONS, 1 + 2 + 2, read_reason)?,
    };
    fields::tagged(reader, |_, _| Ok(()))?;
    Ok(status)
}

fn read_list<T>(
    reader: &mut ByteReader<'_>,
    field: &'static str,
    bound: u32,
    least_bytes: usize,
    read_one: impl Fn(&mut ByteReader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = reader.count(field, bound, least_bytes)?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(read_one(reader)?);
    }
    Ok(list)
}

fn read_role(reader: &mut ByteReader<'_>) -> Result<StatusRole, Malformed> {
    Ok(match reader.u8("role")? {
        0 => StatusRole::Forming,
        1 => StatusRole::Follower,
        2 => StatusRole::PreCandidate,
        3 => StatusRole::Candidate,
        4 => StatusRole::Leader,
        5 => StatusRole::Learner,
        other => return Err(reader.invalid("role", 1, u64::from(other))),
    })
}

fn read_storage(reader: &mut ByteReader<'_>) -> Result<StorageKind, Malformed> {
    Ok(match reader.u8("storage")? {
        0 => StorageKind::Synced,
        1 => StorageKind::Unsynced,
        2 => StorageKind::Memory,
        other => return Err(reader.invalid("storage", 1, u64::from(other))),
    })
}

fn read_peer(reader: &mut ByteReader<'_>) -> Result<PeerReport, Malformed> {
    Ok(PeerReport {
        member: fields::member(reader, ["peer", "peer incarnation"])?,
        connected: reader.bool("peer connected")?,
        matched: fields::index(reader, "peer match")?,
        next: fields::index(reader, "peer next")?,
        inflight_bytes: reader.u64("peer bytes in flight")?,
        round_trip: fields::duration_or_none(reader, ["peer timed at all", "peer round trip"])?,
        heard_ago: fields::duration_or_none(reader, ["peer heard at all", "peer heard ago"])?,
    })
}

fn read_awaited(reader: &mut ByteReader<'_>) -> Result<Awaited, Malformed> {
    Ok(Awaited {
        id: fields::node(reader, "awaited node")?,
        address: fields::short_text(reader, "awaited address")?,
        why: fields::text(reader, "awaited reason")?,
    })
}

fn read_reason(reader: &mut ByteReader<'_>) -> Result<HealthReason, Malformed> {
    Ok(HealthReason {
        code: fields::short_text(reader, "reason code")?,
        node: fields::node_or_none(reader, "reason node")?,
        message: fields::text(reader, "reason message")?,
    })
}
