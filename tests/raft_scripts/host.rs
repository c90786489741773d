//! One node under test: the core, and a shell around it that carries out what the core says with
//! a disk and a network that are plain data.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use raft_node::model::{
    Append, Batch, BatchBuilder, Body, Boot, ClusterId, Configuration, ENTRY_HEADER_BYTES,
    EntryHeader, EntryKind, Epoch, Founding, HardState, Incarnation, Index, LogId, LogTime, Member,
    Message, NodeId, Piece, Seat, Span, Standing, Term, TermRun, Time, WriteSeq,
};
use raft_node::raft::{Config, Input, Output, Raft, Restored, Token, Write};

use super::snapshots::{Files, Machine, Part, Snapshot};

/// An entry as a test keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stored {
    pub(super) header: EntryHeader,
    pub(super) payload: Vec<u8>,
}

impl Stored {
    pub(super) fn bytes(&self) -> u64 {
        (ENTRY_HEADER_BYTES + self.payload.len()) as u64
    }
}

/// What would survive a power cut.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    pub(super) hard_state: HardState,
    pub(super) base: LogId,
    pub(super) entries: Vec<Stored>,
    /// The newest first.
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) part: Option<Part>,
    pub(super) boot: Boot,
}

impl Disk {
    pub(super) fn last(&self) -> LogId {
        self.entries.last().map_or(self.base, |entry| entry.header.id)
    }

    pub(super) fn holds(&self, id: LogId) -> bool {
        let position = id.index.0.checked_sub(self.base.index.0 + 1);
        position.is_none_or(|position| {
            self.entries.get(position as usize).is_some_and(|entry| entry.header.id == id)
        })
    }

    /// Nothing but a snapshot that ends with `base`.
    pub(super) fn begin_behind(&mut self, base: LogId, configuration: Configuration) {
        let snapshot = Snapshot::new(&Machine::new(base), (base.index, configuration));
        (self.base, self.entries, self.snapshots) = (base, Vec::new(), vec![snapshot]);
    }

    pub(super) fn keep(&mut self, snapshot: Snapshot) {
        self.snapshots.retain(|kept| kept.id.last != snapshot.id.last);
        let newer = |kept: &Snapshot| kept.id.last.index > snapshot.id.last.index;
        let place = self.snapshots.partition_point(newer);
        self.snapshots.insert(place, snapshot);
    }

    /// What a start does first: a snapshot whose last entry the log lacks takes its place.
    fn recover(&mut self) {
        if let Some(newest) = self.snapshots.first().map(|newest| newest.id.last)
            && !self.holds(newest)
        {
            (self.base, self.entries) = (newest, Vec::new());
        }
    }

    fn write(&mut self, write: &PendingWrite) {
        if let Some(base) = write.write.reset {
            assert_eq!((write.write.hard_state, write.entries.len()), (None, 0));
            assert!(self.snapshots.iter().any(|kept| kept.id.last == base), "no such snapshot");
            (self.base, self.entries) = (base, Vec::new());
        }
        self.hard_state = write.write.hard_state.unwrap_or(self.hard_state);
        self.entries.truncate((write.write.keep.index.0 - self.base.index.0) as usize);
        assert_eq!(self.last(), write.write.keep, "what is kept isn't on the disk");
        assert!(write.entries.iter().all(|entry| entry.header.id.term <= self.hard_state.term));
        self.entries.extend(write.entries.iter().cloned());
    }

    fn restored(&self) -> Restored {
        let mut runs: Vec<TermRun> = Vec::new();
        let newest = self.snapshots.first();
        let (last, last_time) = newest
            .map_or((LogId::ORIGIN, LogTime(0)), |newest| (newest.id.last, newest.machine.time));
        let mut configurations =
            newest.map_or_else(Vec::new, |newest| vec![newest.configuration.clone()]);
        for entry in &self.entries {
            let LogId { term, index } = entry.header.id;
            if runs.last().is_none_or(|run| run.term < term) {
                runs.push(TermRun { term, first: index });
            }
            if index > last.index
                && let Some(configuration) = configuration_in(entry)
            {
                configurations.push((index, configuration));
            }
        }
        Restored {
            hard_state: self.hard_state,
            base: self.base,
            runs,
            last: self.last().index,
            last_time: self.entries.last().map_or(last_time, |entry| entry.header.time),
            configurations,
            applied: last.index,
            snapshots: self.snapshots.iter().map(|kept| kept.id).collect(),
            receiving: self.part.as_ref().map(|part| (part.snapshot, part.bytes.len() as u64)),
            boot: self.boot,
        }
    }
}

/// A write that was issued.
#[derive(Clone, Debug)]
pub(super) struct PendingWrite {
    pub(super) write: Write,
    pub(super) entries: Vec<Stored>,
}

/// A read of entries that are on the disk only.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingRead {
    peer: Member,
    ticket: u64,
    first: Index,
    last: Index,
    max_bytes: u64,
}

pub(super) struct Host {
    pub(super) config: Config,
    pub(super) disk: Disk,
    pub(super) raft: Option<Raft>,
    pub(super) now: Time,
    pub(super) writes: VecDeque<PendingWrite>,
    pub(super) reads: VecDeque<PendingRead>,
    pub(super) files: Files,
    pub(super) outbox: VecDeque<Message>,
    pub(super) machine: Machine,
    /// The log as this process sees it, all of it behind `base`.
    pub(super) entries: Vec<Stored>,
    pub(super) base: LogId,
    /// Payloads of proposals that aren't in the log yet.
    pub(super) proposals: BTreeMap<Token, Vec<u8>>,
    /// Entries up to here aren't in memory.
    pub(super) released: Index,
    /// What was read for a peer last.
    pub(super) at_hand: BTreeMap<Member, Span>,
    /// The configuration that was in force when its outputs were last carried out: under that one
    /// it commits what it is told of next.
    pub(super) in_force: Configuration,
}

impl Host {
    pub(super) fn new(config: Config, disk: Disk) -> Host {
        Host {
            config,
            disk,
            raft: None,
            now: Time::ZERO,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            files: Files::default(),
            outbox: VecDeque::new(),
            machine: Machine::new(LogId::ORIGIN),
            entries: Vec::new(),
            base: LogId::ORIGIN,
            proposals: BTreeMap::new(),
            released: Index::ZERO,
            at_hand: BTreeMap::new(),
            in_force: Configuration::default(),
        }
    }

    pub(super) fn me(&self) -> Member {
        self.config.me
    }

    pub(super) fn start(&mut self, seed: u64) {
        assert!(self.raft.is_none(), "it runs already");
        self.disk.boot = self.disk.boot.next();
        self.disk.recover();
        (self.entries, self.base) = (self.disk.entries.clone(), self.disk.base);
        self.released = self.disk.last().index;
        let newest = self.disk.snapshots.first();
        self.machine = newest.map_or(Machine::new(LogId::ORIGIN), |newest| newest.machine.clone());
        let restored = self.disk.restored();
        let raft = Raft::new(self.config.clone(), restored, self.now, seed);
        self.in_force = raft.configuration().1.clone();
        self.raft = Some(raft);
    }

    /// The process dies. Of the writes that weren't reported, the first `survived` had reached
    /// the disk, and of the next one perhaps the hard state.
    pub(super) fn crash(&mut self, survived: usize, then_hard_state: bool) {
        self.raft = None;
        for write in self.writes.drain(..survived.min(self.writes.len())) {
            self.disk.write(&write);
        }
        if let Some(next) = self.writes.front().filter(|_| then_hard_state) {
            self.disk.hard_state = next.write.hard_state.unwrap_or(self.disk.hard_state);
        }
        self.writes.clear();
        self.reads.clear();
        self.files = Files::default();
        self.outbox.clear();
        self.proposals.clear();
        self.at_hand.clear();
    }

    pub(super) fn raft(&self) -> &Raft {
        self.raft.as_ref().expect("it runs")
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.raft.as_mut().expect("it runs").handle(self.now, input);
    }

    pub(super) fn propose(&mut self, token: Token, payload: Vec<u8>) {
        let bytes = (ENTRY_HEADER_BYTES + payload.len()) as u64;
        self.proposals.insert(token, payload);
        self.handle(Input::Propose { token, kind: EntryKind::COMMAND, bytes });
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        self.handle(Input::Tick);
    }

    /// Completes the first `count` writes and reports the last of them.
    pub(super) fn persist(&mut self, count: usize) {
        let mut seq = WriteSeq::ZERO;
        for write in self.writes.drain(..count.min(self.writes.len())) {
            self.disk.write(&write);
            seq = write.write.seq;
        }
        self.handle(Input::Persisted(seq));
    }

    /// Answers the oldest read of entries.
    pub(super) fn read_log(&mut self) {
        let Some(read) = self.reads.pop_front() else { return };
        let mut bytes = Vec::new();
        let mut total = 0;
        for index in read.first.0..=read.last.0 {
            // A read may come too late: what it was for has gone.
            let Some(entry) = self.entry(Index(index)) else { break };
            total += entry.bytes();
            if total > read.max_bytes && !bytes.is_empty() {
                break;
            }
            bytes.push(entry.bytes() as u32);
        }
        if bytes.is_empty() {
            return;
        }
        let last = Index(read.first.0 + bytes.len() as u64 - 1);
        self.at_hand.insert(read.peer, Span { first: read.first, last });
        let (peer, ticket, first) = (read.peer, read.ticket, read.first);
        self.handle(Input::LogRead { peer, ticket, first, bytes });
    }

    /// Carries out all outputs and gives them back, for printing and checking.
    pub(super) fn drain(&mut self, mut look: impl FnMut(&Host, &Output)) {
        while let Some(output) = self.raft.as_mut().and_then(Raft::poll) {
            look(self, &output);
            self.carry_out(output);
        }
        if let Some(raft) = &self.raft {
            self.in_force = raft.configuration().1.clone();
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Proposed { token, header, configuration } => {
                let payload = match (token, configuration) {
                    (_, Some(configuration)) => encode(&configuration),
                    (Some(token), None) => self.proposals.remove(&token).expect("it was proposed"),
                    (None, None) => Vec::new(),
                };
                assert_eq!(header.id.index, self.last_index().next(), "not the next entry");
                self.entries.push(Stored { header, payload });
            }
            Output::Refused { token, .. } => {
                self.proposals.remove(&token);
            }
            Output::Extend { keep, batch } => {
                self.entries.truncate((keep.0 - self.base.index.0) as usize);
                self.released = self.released.min(keep);
                assert_eq!(batch.first().index, self.last_index().next());
                self.entries.extend(batch.iter().map(|entry| Stored {
                    header: entry.header(),
                    payload: entry.payload().to_vec(),
                }));
            }
            Output::Write(write) => {
                let entries = write.span.map_or_else(Vec::new, |span| {
                    assert!(span.first > self.released, "a write of what isn't in memory");
                    self.slice(span).to_vec()
                });
                self.writes.push_back(PendingWrite { write, entries });
            }
            Output::Send(message) => self.outbox.push_back(message),
            Output::Replicate { to, term, prev, commit, span } => {
                let read = self.at_hand.get(&to);
                let is_read =
                    read.is_some_and(|read| read.first <= span.first && span.last <= read.last);
                assert!(span.first > self.released || is_read, "{span:?} isn't at hand");
                let batch = Some(batch_of(self.slice(span)));
                let body = Body::Append(Append { prev, commit, batch });
                self.outbox.push_back(Message { from: self.me(), to, term, body });
            }
            Output::ReadLog { peer, ticket, first, last, max_bytes } => {
                self.reads.push_back(PendingRead { peer, ticket, first, last, max_bytes });
            }
            Output::Apply(span) => {
                for entry in self.slice(span).to_vec() {
                    let id = entry.header.id;
                    assert_eq!(id.index, self.machine.last.index.next(), "applied in order");
                    (self.machine.last, self.machine.time) = (id, entry.header.time);
                    self.machine.applied.push((id, entry.payload));
                }
                self.handle(Input::Applied(span.last));
            }
            Output::Release(index) => {
                assert!(self.disk.last().index >= index);
                assert!(self.machine.last.index >= index, "released before it was applied");
                self.released = self.released.max(index);
            }
            Output::ReadPiece { peer, ticket, snapshot, offset, max_bytes } => {
                self.files.read((peer, ticket), snapshot, (offset, max_bytes));
            }
            Output::SendPiece { to, term, snapshot, offset, bytes } => {
                self.send_piece((to, term), snapshot, (offset, bytes));
            }
            Output::StorePiece { snapshot, offset, bytes } => {
                self.files.stores.push_back(Piece { snapshot, offset, bytes });
            }
            Output::LoadReceived(snapshot) => {
                assert_eq!(self.files.loading.replace(snapshot), None, "one at a time");
            }
            Output::Install { snapshot, begins_anew } => self.install(snapshot, begins_anew),
            Output::Compact { through, wanted } => {
                self.files.compactions.push_back((through, wanted));
            }
            Output::KeepSnapshots(kept) => {
                self.disk.snapshots.retain(|snapshot| kept.contains(&snapshot.id));
            }
            Output::ReadAt { .. }
            | Output::Transferred(_)
            | Output::Unchanged { .. }
            | Output::Event(_) => {}
        }
    }

    pub(super) fn last_index(&self) -> Index {
        self.base.index + self.entries.len() as u64
    }

    pub(super) fn entry(&self, index: Index) -> Option<&Stored> {
        let position = index.0.checked_sub(self.base.index.0 + 1)?;
        self.entries.get(position as usize)
    }

    fn slice(&self, span: Span) -> &[Stored] {
        let before = self.base.index.0 + 1;
        &self.entries[(span.first.0 - before) as usize..=(span.last.0 - before) as usize]
    }
}

pub(super) fn batch_of(entries: &[Stored]) -> Batch {
    let mut builder = BatchBuilder::default();
    for entry in entries {
        builder.push(entry.header, &entry.payload);
    }
    builder.take().expect("a span is never empty")
}

fn configuration_in(entry: &Stored) -> Option<Configuration> {
    match entry.header.kind {
        EntryKind::FOUNDING => {
            Some(Founding::decode(&entry.payload).expect("a founding").configuration)
        }
        EntryKind::CONFIGURATION => {
            let mut reader = raft_node::model::ByteReader::new(&entry.payload);
            Some(Configuration::decode(&mut reader).expect("a configuration"))
        }
        _ => None,
    }
}

pub(super) fn encode(configuration: &Configuration) -> Vec<u8> {
    let mut payload = Vec::new();
    configuration.encode(&mut payload);
    payload
}

/// Member `id` in its first life.
pub(super) fn member(id: u16) -> Member {
    Member { id: NodeId::new(id).expect("ids begin at 1"), incarnation: Incarnation(id.into()) }
}

pub(super) fn seat(id: u16, standing: Standing) -> Seat {
    let Member { id, incarnation } = member(id);
    Seat { id, incarnation: Some(incarnation), standing, address: format!("host{id}:3111") }
}

pub(super) fn founding(configuration: &Configuration) -> Stored {
    let founding = Founding {
        cluster: ClusterId(1),
        epoch: Epoch(0),
        founder: NodeId::new(1).expect("not 0"),
        name: "test".to_owned(),
        configuration: configuration.clone(),
        settings: Vec::new(),
    };
    let mut payload = Vec::new();
    founding.encode(&mut payload);
    let id = LogId::new(Term(0), Index(1));
    Stored { header: EntryHeader { kind: EntryKind::FOUNDING, id, time: LogTime(0) }, payload }
}

/// A disk that holds nothing.
pub(super) fn empty() -> Disk {
    Disk { entries: Vec::new(), ..founded(&Configuration::default()) }
}

/// A disk that holds the founding entry and nothing else.
pub(super) fn founded(configuration: &Configuration) -> Disk {
    Disk {
        hard_state: HardState::default(),
        base: LogId::ORIGIN,
        entries: vec![founding(configuration)],
        snapshots: Vec::new(),
        part: None,
        boot: Boot(0),
    }
}

/// Timings and bounds that most tests use.
pub(super) fn config(me: Member) -> Config {
    Config {
        me,
        election_timeout: Duration::from_millis(100),
        heartbeat_interval: Duration::from_millis(20),
        pre_vote: true,
        check_quorum: true,
        max_inflight_bytes: 1 << 20,
        max_inflight_messages: 16,
        max_batch_bytes: 64 << 10,
        max_unpersisted_bytes: 1 << 20,
        recent_bytes: 1 << 20,
        max_waiting_reads: 64,
        keep_entries: 0,
    }
}
