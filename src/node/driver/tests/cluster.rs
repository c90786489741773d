//! Some nodes and what is between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::kv::{Answer, Command, Operation, Query, Settings};
use crate::model::{
    Batch, Boot, ClusterId, Configuration, Epoch, Founding, FoundingEntry, Incarnation, Index,
    LogTime, Member, Message, NodeId, PeerLevel, Seat, SnapshotId, Standing, Time,
};
use crate::node::content::Loading;
use crate::node::driver::{
    About, ClientId, Driver, DriverInput, DriverOutput, Halt, Limits, Notice, Parts, SnapshotRules,
};
use crate::node::opening::{loaded, restored};
use crate::raft::{Config, Raft, RoleKind};
use crate::storage::{
    Directory, FileReport, FileWork, FileWorker, LogWork, LogWriter, MemoryDisk, OpenOptions,
    Opened, Recovered, StorageError, SyncMode,
};
use crate::wire::{
    Consistency, Frame, FrameReader, Incoming, Reply, ReplyBody, Request, RequestBody, StorageKind,
    Traffic,
};

const ELECTION: Duration = Duration::from_millis(100);
const HEARTBEAT: Duration = Duration::from_millis(10);
const STEP: Duration = Duration::from_millis(1);

/// The only client; each node knows it by the same name.
pub(super) const CLIENT: ClientId = ClientId(9);

/// What can be chosen about a cluster.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) nodes: u16,
    pub(super) seed: u64,
    /// Bytes of entries that stay in memory.
    pub(super) recent_bytes: u64,
    /// The most bytes of entries that wait for the disk.
    pub(super) max_unpersisted_bytes: u64,
    /// Bytes of a segment of the log.
    pub(super) segment_bytes: u64,
    pub(super) snapshot_rules: SnapshotRules,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            nodes: 3,
            seed: 1,
            recent_bytes: 1 << 20,
            max_unpersisted_bytes: 1 << 20,
            segment_bytes: 1 << 20,
            snapshot_rules: SnapshotRules {
                min_log_bytes: u64::MAX,
                log_ratio: 1,
                max_age: Duration::MAX,
                max_lag_bytes: 0,
            },
        }
    }
}

pub(super) struct Cluster {
    shape: Shape,
    pub(super) now: Time,
    pub(super) nodes: BTreeMap<u16, Node>,
    disks: BTreeMap<u16, MemoryDisk>,
    founding: FoundingEntry,
    /// Pairs that don't hear each other.
    cut: BTreeSet<(u16, u16)>,
    /// Nodes whose log thread doesn't get its work done.
    pub(super) still: BTreeSet<u16>,
    /// Nodes whose file thread doesn't get its work done.
    pub(super) files_still: BTreeSet<u16>,
    /// Nodes whose log thread finds no room for entries.
    pub(super) full: BTreeSet<u16>,
    /// Nodes whose file thread finds no room for pieces of snapshots.
    pub(super) full_of_pieces: BTreeSet<u16>,
    /// Nodes to which a connection is renewed, once, in a turn in which entries were read from
    /// disk; and whether the old one is first told to be gone.
    pub(super) renewed: Vec<(u16, bool)>,
    last_request: u64,
    pub(super) replies: BTreeMap<u64, Reply>,
    pub(super) notices: Vec<(u16, Notice)>,
    /// What each leader told of the members.
    pub(super) levels: Vec<(u16, PeerLevel)>,
    pub(super) halts: Vec<(u16, Halt)>,
    pub(super) stopped: BTreeSet<u16>,
}

pub(super) struct Node {
    pub(super) driver: Driver,
    writer: LogWriter<MemoryDisk>,
    files: FileWorker<MemoryDisk>,
    log_works: VecDeque<LogWork>,
    file_works: VecDeque<FileWork>,
    /// Bytes on their way from each other node, with what has been read of them.
    inbound: BTreeMap<u16, (BytesMut, FrameReader)>,
    replies: FrameReader,
}

pub(super) fn id(number: u16) -> NodeId {
    NodeId::new(number).expect("nodes are counted from 1")
}

pub(super) fn member(number: u16) -> Member {
    Member { id: id(number), incarnation: Incarnation(1000 + u128::from(number)) }
}

fn found(nodes: u16) -> FoundingEntry {
    let seat = |number| Seat {
        id: id(number),
        incarnation: Some(member(number).incarnation),
        standing: Standing::Voter,
        address: format!("host{number}:3111"),
    };
    let founding = Founding {
        cluster: ClusterId(7),
        epoch: Epoch(1),
        founder: id(1),
        name: "raft".to_owned(),
        configuration: Configuration::new((1..=nodes).map(seat).collect()),
        settings: Settings::default().encode(),
        restored: None,
    };
    FoundingEntry::make(founding, LogTime(1_000_000_000))
}

fn open(
    disk: &MemoryDisk,
    number: u16,
    founding: &FoundingEntry,
    segment_bytes: u64,
) -> Recovered<MemoryDisk> {
    let options = OpenOptions {
        node: id(number),
        incarnation: member(number).incarnation,
        seed: u64::from(number),
        segment_bytes,
        sync: SyncMode::Always,
        min_free_bytes: 0,
    };
    let opened = Directory::open(disk.clone(), Path::new("/data"), options, &mut Loading::sink);
    match opened.expect("the disk is good") {
        Opened::Unformed(unformed) => unformed.found(founding).expect("the disk is good"),
        Opened::Formed(recovered) => *recovered,
    }
}

impl Cluster {
    pub(super) fn new(shape: Shape) -> Cluster {
        let mut cluster = Cluster {
            shape,
            now: Time::ZERO,
            nodes: BTreeMap::new(),
            disks: (1..=shape.nodes).map(|number| (number, MemoryDisk::default())).collect(),
            founding: found(shape.nodes),
            cut: BTreeSet::new(),
            still: BTreeSet::new(),
            files_still: BTreeSet::new(),
            full: BTreeSet::new(),
            full_of_pieces: BTreeSet::new(),
            renewed: Vec::new(),
            last_request: 0,
            replies: BTreeMap::new(),
            notices: Vec::new(),
            levels: Vec::new(),
            halts: Vec::new(),
            stopped: BTreeSet::new(),
        };
        for number in 1..=shape.nodes {
            cluster.start(number);
        }
        cluster
    }

    /// Starts a node with what its disk holds, and connects it to those that run.
    pub(super) fn start(&mut self, number: u16) {
        let recovered =
            open(&self.disks[&number], number, &self.founding, self.shape.segment_bytes);
        let boot = recovered.boot;
        let node = self.make(number, recovered);
        self.nodes.insert(number, node);
        let (now, client) = (self.now, DriverInput::ClientConnected(CLIENT));
        self.node(number).driver.handle(now, client);
        let others: Vec<u16> =
            self.nodes.keys().copied().filter(|other| *other != number).collect();
        for other in others {
            self.connect(number, other, Boot(1));
            self.connect(other, number, boot);
        }
    }

    fn make(&self, number: u16, recovered: Recovered<MemoryDisk>) -> Node {
        let config = Config {
            me: member(number),
            election_timeout: ELECTION,
            heartbeat_interval: HEARTBEAT,
            pre_vote: true,
            check_quorum: true,
            max_inflight_bytes: 64 << 10,
            max_inflight_messages: 64,
            max_batch_bytes: 4 << 10,
            max_unpersisted_bytes: self.shape.max_unpersisted_bytes,
            recent_bytes: self.shape.recent_bytes,
            max_waiting_reads: 100,
            keep_entries: 0,
        };
        let restored = restored(&recovered);
        let about = About {
            me: member(number),
            label: number.to_string(),
            address: format!("host{number}:3111"),
            version: "0".to_owned(),
            boot: recovered.boot,
            cluster_name: "raft".to_owned(),
            cluster: recovered.cluster,
            epoch: recovered.epoch,
            storage: StorageKind::Memory,
            election_timeout: ELECTION,
            log_bytes: recovered.log_bytes,
            segments: 1,
        };
        let limits = Limits { max_value_bytes: 64 << 10, request_timeout: Duration::from_secs(10) };
        let seed = self.shape.seed.wrapping_mul(31) + u64::from(number) + recovered.boot.0;
        let raft = Raft::new(config, restored, self.now, seed);
        let (machine, snapshots) =
            loaded(recovered.snapshot, &recovered.snapshots, recovered.older_time);
        let parts = Parts {
            about,
            limits,
            founding: recovered.founding.clone(),
            raft,
            machine,
            max_batch_bytes: 256 << 10,
            snapshot_rules: self.shape.snapshot_rules,
            snapshots,
        };
        Node {
            driver: Driver::new(parts, self.now),
            writer: recovered.writer,
            files: recovered.files,
            log_works: VecDeque::new(),
            file_works: VecDeque::new(),
            inbound: BTreeMap::new(),
            replies: FrameReader::behind_greeting(Traffic::Replies),
        }
    }

    /// The node's process is killed: what wasn't synced may be gone, what was is there.
    pub(super) fn kill(&mut self, number: u16) {
        self.nodes.remove(&number);
        for (other, node) in &mut self.nodes {
            if *other != number {
                node.inbound.remove(&number);
                node.driver.handle(self.now, DriverInput::PeerDisconnected(member(number)));
            }
        }
    }

    /// `number` has a new connection to `other`.
    fn connect(&mut self, number: u16, other: u16, boot: Boot) {
        let now = self.now;
        let reader = FrameReader::behind_greeting(Traffic::Peers);
        let node = self.node(number);
        node.inbound.insert(other, (BytesMut::new(), reader));
        let address = format!("host{other}:3111");
        let input = DriverInput::PeerConnected { peer: member(other), boot, address, supports: 1 };
        node.driver.handle(now, input);
    }

    /// The two don't hear each other until they are [`Cluster::heal`]ed.
    pub(super) fn cut(&mut self, one: u16, other: u16) {
        self.cut.extend([(one, other), (other, one)]);
        for (number, gone) in [(one, other), (other, one)] {
            let now = self.now;
            let node = self.node(number);
            node.inbound.remove(&gone);
            node.driver.handle(now, DriverInput::PeerDisconnected(member(gone)));
        }
    }

    pub(super) fn isolate(&mut self, number: u16) {
        let others: Vec<u16> =
            self.nodes.keys().copied().filter(|other| *other != number).collect();
        for other in others {
            self.cut(number, other);
        }
    }

    pub(super) fn heal(&mut self) {
        for (one, other) in std::mem::take(&mut self.cut) {
            if self.nodes.contains_key(&one) && self.nodes.contains_key(&other) {
                self.connect(one, other, Boot(1));
            }
        }
    }

    pub(super) fn node(&mut self, number: u16) -> &mut Node {
        self.nodes.get_mut(&number).expect("the node runs")
    }

    /// A millisecond passes: each node gets what was on its way, and has one turn.
    pub(super) fn step(&mut self) {
        self.now = self.now + STEP;
        let numbers: Vec<u16> = self.nodes.keys().copied().collect();
        for number in numbers {
            self.deliver(number);
            if self.work(number)
                && let Some((other, is_told)) = self.renewed.pop()
            {
                if is_told {
                    let (now, gone) = (self.now, DriverInput::PeerDisconnected(member(other)));
                    self.node(number).driver.handle(now, gone);
                }
                self.connect(number, other, Boot(2));
            }
            let now = self.now;
            self.node(number).driver.handle(now, DriverInput::Tick);
            self.drain(number);
        }
    }

    /// Steps until `done` says so, at most ten seconds.
    #[track_caller]
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Cluster) -> bool) {
        for _ in 0..10_000 {
            if done(self) {
                return;
            }
            self.step();
        }
        panic!("not within ten seconds: {what}");
    }

    pub(super) fn run(&mut self, milliseconds: u32) {
        for _ in 0..milliseconds {
            self.step();
        }
    }

    fn deliver(&mut self, number: u16) {
        let now = self.now;
        let Node { driver, inbound, .. } = self.node(number);
        for (from, (bytes, reader)) in inbound {
            while let Some(frame) = next_frame(reader, bytes) {
                let input = match frame.decode().expect("drivers send good frames") {
                    Incoming::Message { term, body } => DriverInput::Message(Message {
                        from: member(*from),
                        to: member(number),
                        term,
                        body,
                    }),
                    Incoming::PointReport { index, hash } => {
                        let report = crate::kv::PointReport { index, hash };
                        DriverInput::PointReport { from: member(*from), report }
                    }
                    other => panic!("members don't send {other:?}"),
                };
                driver.handle(now, input);
            }
        }
    }

    /// The threads do what they have. Says whether entries were read from disk.
    fn work(&mut self, number: u16) -> bool {
        let mut has_read = false;
        let (now, is_still) = (self.now, self.still.contains(&number));
        let are_files_still = self.files_still.contains(&number);
        let is_full = self.full.contains(&number);
        let takes_no_pieces = self.full_of_pieces.contains(&number);
        let Node { driver, writer, files, log_works, file_works, .. } = self.node(number);
        while !is_still && let Some(work) = log_works.pop_front() {
            if is_full && matches!(&work, LogWork::Write { batches, .. } if !batches.is_empty()) {
                driver.handle(now, DriverInput::LogFull { text: "no room".to_owned() });
                continue;
            }
            let report = writer.perform(work).expect("the disk is good");
            driver.handle(now, DriverInput::LogDone { report, took: Duration::ZERO });
        }
        while !are_files_still && let Some(work) = file_works.pop_front() {
            let report = match work {
                FileWork::StorePiece { snapshot, offset, .. } if takes_no_pieces => {
                    no_room_for_piece(files, snapshot, offset)
                }
                work => files.perform(work).expect("the disk is good"),
            };
            has_read |= matches!(report, FileReport::Entries { .. });
            driver.handle(now, DriverInput::FileDone(report));
        }
        has_read
    }

    fn drain(&mut self, number: u16) {
        while let Some(output) = self.node(number).driver.poll() {
            match output {
                DriverOutput::ToPeer { peer, frames } => self.carry(number, peer, [frames]),
                DriverOutput::EntriesToPeer { peer, head, entries } => {
                    self.carry(number, peer, [head, entries]);
                }
                DriverOutput::ToClient { client, replies } => {
                    assert_eq!(client, CLIENT);
                    self.read_replies(number, &replies);
                }
                DriverOutput::Log(work) => self.node(number).log_works.push_back(work),
                DriverOutput::File(work) => self.node(number).file_works.push_back(work),
                DriverOutput::Levels { term, levels, .. } => {
                    assert_eq!(self.node(number).driver.raft().leads(), Some(term));
                    self.levels.extend(levels.into_iter().map(|level| (number, level)));
                }
                DriverOutput::Notice(notice) => self.notices.push((number, notice)),
                DriverOutput::Stopped => {
                    self.stopped.insert(number);
                }
                DriverOutput::Halt(halt) => self.halts.push((number, halt)),
            }
        }
    }

    fn carry<const N: usize>(&mut self, from: u16, to: Member, pieces: [Bytes; N]) {
        if self.cut.contains(&(from, to.id.number())) {
            return;
        }
        let Some(node) = self.nodes.get_mut(&to.id.number()) else { return };
        let Some((bytes, _)) = node.inbound.get_mut(&from) else { return };
        for piece in pieces {
            bytes.extend_from_slice(&piece);
        }
    }

    /// Replies that were held back reach the client.
    pub(super) fn deliver_replies(&mut self, number: u16, replies: &[Bytes]) {
        for piece in replies {
            self.read_replies(number, piece);
        }
    }

    /// The writes that the log thread has, by how many entries each has.
    pub(super) fn blocks(&mut self, number: u16) -> Vec<usize> {
        let works = self.node(number).log_works.iter();
        works
            .filter_map(|work| match work {
                LogWork::Write { batches, .. } => Some(batches.iter().map(Batch::len).sum()),
                _ => None,
            })
            .collect()
    }

    fn read_replies(&mut self, number: u16, bytes: &[u8]) {
        let now = self.now;
        let node = self.node(number);
        let sent = DriverInput::ClientSent { client: CLIENT, bytes: bytes.len() };
        node.driver.handle(now, sent);
        let mut bytes = BytesMut::from(bytes);
        while let Some(frame) = next_frame(&mut self.node(number).replies, &mut bytes) {
            let Ok(Incoming::Reply(reply)) = frame.decode() else { panic!("nodes send replies") };
            let before = self.replies.insert(reply.id, reply);
            assert!(before.is_none(), "a request was answered twice: {before:?}");
        }
    }

    /// Sends a request to a node; tells its number.
    pub(super) fn ask(&mut self, number: u16, timeout_ms: u32, body: RequestBody) -> u64 {
        self.last_request += 1;
        let request = Request { id: self.last_request, timeout_ms, body };
        let now = self.now;
        let input = DriverInput::Request { client: CLIENT, request };
        self.node(number).driver.handle(now, input);
        self.last_request
    }

    pub(super) fn put(&mut self, number: u16, key: &str, value: &str) -> u64 {
        let operation = Operation::Put { key: key.as_bytes(), value: value.as_bytes() };
        let mut command = BytesMut::new();
        Command::Change { session: None, operation }.encode(&mut command);
        self.ask(number, 0, RequestBody::Write(command.freeze()))
    }

    pub(super) fn get(&mut self, number: u16, key: &str, consistency: Consistency) -> u64 {
        let mut query = BytesMut::new();
        Query::Get { keys: vec![key.as_bytes()] }.encode(&mut query);
        self.ask(number, 0, RequestBody::Read { consistency, query: query.freeze() })
    }

    /// What became of a request, if that is known yet, in a word: `done`, the value that was read
    /// (`absent` without one), `unknown`, or the name of the refusal.
    pub(super) fn outcome(&self, request: u64) -> Option<String> {
        Some(match &self.replies.get(&request)?.body {
            ReplyBody::Done { .. } => "done".to_owned(),
            ReplyBody::Answer { answer, .. } => value_of(answer),
            ReplyBody::Refused { code, .. } => code.name().to_owned(),
            ReplyBody::Unknown { .. } => "unknown".to_owned(),
            ReplyBody::Transferred { leader, .. } => format!("leader {leader}"),
            other => format!("{other:?}"),
        })
    }

    #[track_caller]
    pub(super) fn wait_for(&mut self, request: u64) -> String {
        self.until("a reply", |cluster| cluster.replies.contains_key(&request));
        self.outcome(request).expect("there is a reply")
    }

    /// The index that the answer to a get tells, and the one at which what it shows was written.
    pub(super) fn indexes(&self, request: u64) -> (Index, Index) {
        let ReplyBody::Answer { read_index, answer, .. } = &self.replies[&request].body else {
            panic!("it was a read that was answered")
        };
        let Ok(Answer::Values(items)) = Answer::decode(answer) else { panic!("it was a get") };
        (*read_index, items[0].expect("the key is there").mod_index)
    }

    /// Who leads the latest term, once somebody does.
    pub(super) fn leader(&self) -> Option<u16> {
        let leads = |(number, node): (&u16, &Node)| Some((node.driver.raft().leads()?, *number));
        self.nodes.iter().filter_map(leads).max().map(|(_, number)| number)
    }

    #[track_caller]
    pub(super) fn elect(&mut self) -> u16 {
        self.until("a leader that can commit", |cluster| {
            cluster.leader().is_some_and(|leader| {
                let status = cluster.nodes[&leader].driver.raft().status();
                status.role == RoleKind::Leader && status.committed_in_term
            })
        });
        self.leader().expect("there is one")
    }

    /// Waits until all that run have applied the same, and checks that their states are equal.
    #[track_caller]
    pub(super) fn converge(&mut self) {
        self.until("all have applied what the leader has", |cluster| {
            let Some(leader) = cluster.leader() else { return false };
            let last = cluster.nodes[&leader].driver.raft().last();
            cluster.nodes.values().all(|node| node.driver.machine().applied() == last)
        });
        let hashes: BTreeSet<u128> =
            self.nodes.values().map(|node| node.driver.machine().state_hash()).collect();
        assert_eq!(hashes.len(), 1, "the states differ");
    }

    pub(super) fn applied(&self, number: u16) -> Index {
        self.nodes[&number].driver.machine().applied().index
    }
}

/// The next frame of what the reader has and of the bytes that are on their way to it.
/// What the file thread says of a piece for which there is no room.
fn no_room_for_piece(
    files: &mut FileWorker<MemoryDisk>,
    snapshot: SnapshotId,
    offset: u64,
) -> FileReport {
    let nothing = FileWork::StorePiece { snapshot, offset, bytes: Bytes::new() };
    let Ok(FileReport::PieceStored { snapshot, has }) = files.perform(nothing) else {
        panic!("it tells what it has");
    };
    let source = io::Error::from(io::ErrorKind::StorageFull);
    let error = StorageError::NoSpace { path: "snapshots".into(), bytes: 1, source };
    FileReport::NoRoomForPiece { snapshot, has, error }
}

fn next_frame(reader: &mut FrameReader, bytes: &mut BytesMut) -> Option<Frame> {
    loop {
        if let Some(frame) = reader.frame().expect("drivers send good frames") {
            return Some(frame);
        }
        let filled = reader.fill(&mut &bytes[..], usize::MAX).expect("memory can be read");
        bytes.advance(filled.bytes);
        if filled.bytes == 0 {
            return None;
        }
    }
}

fn value_of(answer: &[u8]) -> String {
    let Ok(Answer::Values(items)) = Answer::decode(answer) else {
        panic!("a get is answered with items")
    };
    match items.first() {
        Some(Some(item)) => String::from_utf8_lossy(item.value).into_owned(),
        _ => "absent".to_owned(),
    }
}
