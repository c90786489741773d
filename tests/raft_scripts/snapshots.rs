//! Snapshots as a test keeps them: whole files of bytes, on a disk and on their way between two.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, BufMut, Bytes};
use raft_node::model::{
    Body, ByteReader, Configuration, Hash128, Index, LogId, LogTime, Member, Message, Piece,
    SnapshotId, Span, Term,
};
use raft_node::raft::Input;

use super::host::Host;

/// The state machine: it remembers all that it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Machine {
    /// The last entry that was applied.
    pub(super) last: LogId,
    pub(super) time: LogTime,
    /// The entries' names and payloads.
    pub(super) applied: Vec<(LogId, Vec<u8>)>,
}

impl Machine {
    pub(super) const fn new(last: LogId) -> Machine {
        Machine { last, time: LogTime(0), applied: Vec::new() }
    }
}

/// A file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Snapshot {
    pub(super) id: SnapshotId,
    pub(super) configuration: (Index, Configuration),
    pub(super) machine: Machine,
    bytes: Bytes,
}

impl Snapshot {
    pub(super) fn new(machine: &Machine, configuration: (Index, Configuration)) -> Snapshot {
        let mut bytes = Vec::new();
        bytes.put_u64(machine.last.term.0);
        bytes.put_u64(machine.last.index.0);
        bytes.put_u64(machine.time.0);
        bytes.put_u64(configuration.0.0);
        let mut encoded = Vec::new();
        configuration.1.encode(&mut encoded);
        bytes.put_u64(encoded.len() as u64);
        bytes.put_slice(&encoded);
        for (id, payload) in &machine.applied {
            bytes.put_u64(id.term.0);
            bytes.put_u64(id.index.0);
            bytes.put_u64(payload.len() as u64);
            bytes.put_slice(payload);
        }
        let hash = Hash128::new().bytes(&bytes).finish();
        let id = SnapshotId { last: machine.last, bytes: bytes.len() as u64, hash };
        Snapshot { id, configuration, machine: machine.clone(), bytes: bytes.into() }
    }

    /// At most `bytes` of it.
    pub(super) fn piece(&self, offset: u64, bytes: u64) -> Piece {
        let end = (offset + bytes).min(self.id.bytes);
        let bytes = self.bytes.slice(offset as usize..end as usize);
        Piece { snapshot: self.id, offset, bytes }
    }

    /// What a file says, if it is the one with this name.
    fn read(id: SnapshotId, file: &[u8]) -> Option<Snapshot> {
        if file.len() as u64 != id.bytes || Hash128::new().bytes(file).finish() != id.hash {
            return None;
        }
        let mut rest = file;
        let last = LogId::new(Term(rest.get_u64()), Index(rest.get_u64()));
        let time = LogTime(rest.get_u64());
        let index = Index(rest.get_u64());
        let length = rest.get_u64() as usize;
        let configuration = Configuration::decode(&mut ByteReader::new(&rest[..length])).ok()?;
        rest.advance(length);
        let mut applied = Vec::new();
        while !rest.is_empty() {
            let id = LogId::new(Term(rest.get_u64()), Index(rest.get_u64()));
            let length = rest.get_u64() as usize;
            applied.push((id, rest[..length].to_vec()));
            rest.advance(length);
        }
        let (machine, bytes) = (Machine { last, time, applied }, file.to_vec().into());
        Some(Snapshot { id, configuration: (index, configuration), machine, bytes })
    }
}

/// What there is of a file that is being received.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) snapshot: SnapshotId,
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct PieceRead {
    peer: Member,
    ticket: u64,
    snapshot: SnapshotId,
    offset: u64,
    max_bytes: u64,
}

/// What the file thread has to do, in order for each kind, and what it did last.
#[derive(Default)]
pub(super) struct Files {
    pub(super) reads: VecDeque<PieceRead>,
    pub(super) stores: VecDeque<Piece>,
    pub(super) loading: Option<SnapshotId>,
    pub(super) compactions: VecDeque<(Index, Index)>,
    /// What was loaded last, until it is installed.
    pub(super) loaded: Option<Snapshot>,
    at_hand: BTreeMap<Member, Piece>,
}

impl Files {
    pub(super) fn read(
        &mut self,
        (peer, ticket): (Member, u64),
        snapshot: SnapshotId,
        (offset, max_bytes): (u64, u64),
    ) {
        self.reads.push_back(PieceRead { peer, ticket, snapshot, offset, max_bytes });
    }

    pub(super) fn has_work(&self) -> bool {
        !self.reads.is_empty() || !self.stores.is_empty() || self.loading.is_some()
    }
}

impl Host {
    /// Takes a snapshot of what is applied. Says whether there is a new one: only what is durable
    /// in the log may be in it.
    pub(super) fn take_snapshot(&mut self) -> Option<SnapshotId> {
        let last = self.machine.last;
        let known = self.disk.snapshots.first().is_some_and(|newest| newest.id.last >= last);
        if known || last.index > self.raft().durable() || last == LogId::ORIGIN {
            return None;
        }
        let configuration = self.raft().configuration_as_of(last.index);
        let (at, configuration) = configuration.expect("the latest is remembered");
        let snapshot = Snapshot::new(&self.machine, (at, configuration.clone()));
        let id = snapshot.id;
        self.disk.keep(snapshot);
        self.handle(Input::SnapshotSaved(id));
        Some(id)
    }

    /// Answers the oldest read of a piece; `lost`: the file is found to be damaged.
    pub(super) fn read_piece(&mut self, lost: bool) {
        let Some(read) = self.files.reads.pop_front() else { return };
        let PieceRead { peer, ticket, snapshot, offset, max_bytes } = read;
        let found = self.disk.snapshots.iter().find(|kept| kept.id == snapshot);
        let Some(file) = found.filter(|_| !lost) else {
            return self.handle(Input::PieceLost { peer, ticket });
        };
        let piece = file.piece(offset, max_bytes);
        let length = piece.bytes.len() as u64;
        self.files.at_hand.insert(peer, piece);
        self.handle(Input::PieceRead { peer, ticket, bytes: length });
    }

    pub(super) fn send_piece(
        &mut self,
        (to, term): (Member, Term),
        snapshot: SnapshotId,
        (offset, bytes): (u64, u64),
    ) {
        let piece = self.files.at_hand.remove(&to).expect("it was read for this member");
        assert_eq!((piece.snapshot, piece.offset), (snapshot, offset), "what was read last");
        assert_eq!(piece.bytes.len() as u64, bytes);
        self.outbox.push_back(Message { from: self.me(), to, term, body: Body::Piece(piece) });
    }

    /// Stores the oldest piece that came.
    pub(super) fn store_piece(&mut self) {
        let Some(Piece { snapshot, offset, bytes }) = self.files.stores.pop_front() else { return };
        let fresh = Part { snapshot, bytes: Vec::new() };
        let part = self.disk.part.take().filter(|part| part.snapshot == snapshot);
        let mut part = part.unwrap_or(fresh);
        assert!(offset as usize <= part.bytes.len(), "a hole in what was received");
        part.bytes.truncate(offset as usize);
        part.bytes.extend_from_slice(&bytes);
        let has = part.bytes.len() as u64;
        self.disk.part = Some(part);
        self.handle(Input::PieceStored { snapshot, has });
    }

    /// Verifies what was received and gives it its name; `bad`: it is found to be damaged from
    /// there on.
    pub(super) fn load(&mut self, bad: Option<u64>) {
        let Some(snapshot) = self.files.loading.take() else { return };
        let mut part = self.disk.part.take().expect("all of it was stored");
        assert_eq!(part.snapshot, snapshot);
        match Snapshot::read(snapshot, &part.bytes).filter(|_| bad.is_none()) {
            Some(file) => {
                self.files.loaded = Some(file.clone());
                self.disk.keep(file.clone());
                let (configuration, log_time) = (file.configuration, file.machine.time);
                self.handle(Input::SnapshotReceived { snapshot, configuration, log_time });
            }
            None => {
                let has = bad.unwrap_or(0);
                part.bytes.truncate(has as usize);
                self.disk.part = Some(part);
                self.handle(Input::SnapshotRefused { snapshot, has });
            }
        }
    }

    /// What was received passes for good, whatever it is: whoever sent it lied.
    pub(super) fn load_lie(&mut self, configuration: (Index, Configuration)) {
        let Some(snapshot) = self.files.loading.take() else { return };
        let part = self.disk.part.take().expect("all of it was stored");
        let (machine, bytes) = (Machine::new(snapshot.last), part.bytes.into());
        let id = snapshot;
        let file = Snapshot { id, configuration: configuration.clone(), machine, bytes };
        self.files.loaded = Some(file.clone());
        self.disk.keep(file);
        self.handle(Input::SnapshotReceived { snapshot, configuration, log_time: LogTime(0) });
    }

    /// Does one thing of each kind.
    pub(super) fn work_on_files(&mut self) {
        self.read_piece(false);
        self.store_piece();
        self.load(None);
    }

    /// The loaded state takes the place of the machine's. It must be what comes of going on.
    pub(super) fn install(&mut self, snapshot: SnapshotId, begins_anew: bool) {
        let loaded = self.files.loaded.take().expect("it was loaded");
        assert_eq!(loaded.id, snapshot);
        assert!(loaded.machine.last.index > self.machine.last.index, "the state goes back");
        self.machine = loaded.machine;
        if begins_anew {
            self.entries.clear();
            self.base = snapshot.last;
            self.released = snapshot.last.index;
        }
    }

    /// Removes entries from the log up to `to`, or as far as the oldest request goes.
    pub(super) fn compact(&mut self, to: Option<Index>) {
        let Some((through, wanted)) = self.files.compactions.pop_front() else { return };
        let base = to.unwrap_or(wanted).min(through);
        let before = self.disk.base.index.0;
        if base.0 > before && self.disk.last().index >= base {
            let count = (base.0 - before) as usize;
            self.disk.base = self.disk.entries[count - 1].header.id;
            self.disk.entries.drain(..count);
        }
        let base = self.disk.base;
        if base.index > self.base.index {
            let count = (base.index.0 - self.base.index.0) as usize;
            assert_eq!(self.entries[count - 1].header.id, base);
            self.entries.drain(..count);
            self.base = base;
            self.released = self.released.max(base.index);
        }
        self.at_hand.retain(|_, span: &mut Span| span.first > base.index);
        self.handle(Input::Compacted { base });
    }
}
