//! The driver: carries out what the core asks for, and turns what comes from sockets, threads and
//! clocks into what the core understands.
//!
//! Like the core it knows no socket, thread or clock: [`Driver::handle`] takes what happens,
//! [`Driver::poll`] gives what is to be done, [`Driver::deadline`] says when time alone has
//! something to do. So it runs under the event loop and under a simulator alike.
//!
//! A turn is: any inputs, then [`DriverInput::Tick`], then [`Driver::poll`] until it gives
//! nothing. All that came in between is one batch: one write for the log thread, one read round,
//! one piece of replies for each client.

mod applying;
mod carrying;
mod clients;
mod files;
mod gathering;
mod lending;
mod log;
mod members;
mod peers;
mod points;
mod proposals;
mod reads;
mod recent;
mod requests;
mod snapshots;
mod status;
mod stopping;
mod taking;
#[cfg(test)]
mod tests;
mod transfers;
mod working;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use self::applying::Applying;
use self::clients::Clients;
use self::files::Files;
use self::log::Log;
use self::peers::Peers;
use self::points::Points;
use self::proposals::Proposals;
use self::reads::Reads;
use self::recent::Recent;
use self::snapshots::Snapshots;
use self::stopping::{HandedOver, Stopping};
use crate::kv::{Machine, PointReport};
use crate::model::{
    BatchBuilder, Boot, FoundingEntry, Index, LogId, Member, Message, PeerLevel, Round, SnapshotId,
    Term, Time,
};
use crate::raft::{Event, Input, Raft, Token};
use crate::storage::{FileReport, FileWork, LogReport, LogWork};
use crate::wire::{KeptSnapshot, Request};

pub use self::clients::ClientId;
pub use self::requests::Limits;
pub use self::snapshots::SnapshotRules;
pub use self::status::{About, Waiting};

/// What happens to the driver.
#[derive(Debug)]
pub enum DriverInput {
    /// Time has passed; the last input of each turn.
    Tick,
    /// A member says something; its connection was checked.
    Message(Message),
    /// A member tells its state hash at a point.
    PointReport {
        /// Who.
        from: Member,
        /// What it tells.
        report: PointReport,
    },
    /// There is a new connection to a member.
    PeerConnected {
        /// To whom.
        peer: Member,
        /// How often its directory was started.
        boot: Boot,
        /// Where it is reached, as it says.
        address: String,
        /// The highest feature level that it supports.
        supports: u32,
    },
    /// There is no connection to a member any more.
    PeerDisconnected(Member),
    /// A client has connected.
    ClientConnected(ClientId),
    /// A client asks.
    Request {
        /// Who.
        client: ClientId,
        /// What.
        request: Request,
    },
    /// So many bytes of a client's replies were sent.
    ClientSent {
        /// To whom.
        client: ClientId,
        /// How many.
        bytes: usize,
    },
    /// A client's connection is gone.
    ClientGone(ClientId),
    /// The log thread has done what it was given.
    LogDone {
        /// What it reports.
        report: LogReport,
        /// How long that took.
        took: Duration,
    },
    /// The log thread found no room for the entries that it was given. Term and vote are durable.
    LogFull {
        /// What it says.
        text: String,
    },
    /// The file thread has done what it was given.
    FileDone(FileReport),
    /// Stand for election, if nobody leads: this node has just founded the cluster.
    Campaign,
    /// The node is to stop in good order, at this time at the latest.
    Stop {
        /// When.
        by: Time,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum DriverOutput {
    /// Send frames to a member, before all entries.
    ToPeer {
        /// To whom.
        peer: Member,
        /// Whole frames.
        frames: Bytes,
    },
    /// Send one frame with entries to a member.
    EntriesToPeer {
        /// To whom.
        peer: Member,
        /// What stands before the entries.
        head: Bytes,
        /// The entries, shared.
        entries: Bytes,
    },
    /// Send replies to a client.
    ToClient {
        /// To whom.
        client: ClientId,
        /// Whole frames.
        replies: Bytes,
    },
    /// Give this to the log thread. It has nothing else.
    Log(LogWork),
    /// Give this to the file thread. It has nothing else.
    File(FileWork),
    /// What this node, as the leader, tells all others of the members: the door learns it too.
    Levels {
        /// The leader's term.
        term: Term,
        /// Its commit index.
        commit: Index,
        /// What it knows of each member.
        levels: Vec<PeerLevel>,
    },
    /// Tell a person.
    Notice(Notice),
    /// There is nothing left to do: the node has stopped in good order.
    Stopped,
    /// The node can't go on.
    Halt(Halt),
}

/// Something that a person may want to know.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// A fact of the core's.
    Core(Event),
    /// A write to the log took long.
    SlowSync(Duration),
    /// The disk hasn't finished a write for so long.
    DiskWaits(Duration),
    /// The disk has no room for what is to be written.
    DiskFull(String),
    /// There is room on the disk again.
    DiskHasRoom,
    /// There is no room for a spare segment.
    NoSpare(String),
    /// The replicated settings have changed.
    Settings,
    /// The feature level was raised.
    FeatureLevel(u32),
    /// The state machine has applied what was committed when this node first knew.
    CaughtUp {
        /// How many entries that were.
        entries: u64,
    },
    /// The replicas differ and none has a majority.
    Disputed(PointReport),
    /// A snapshot of the own state is durable.
    SnapshotSaved {
        /// Its name.
        id: SnapshotId,
        /// How long it took since the point was applied.
        took: Duration,
    },
    /// There is no room on the disk for a snapshot.
    NoRoomForSnapshot {
        /// Behind which entry.
        index: Index,
        /// What the disk says.
        text: String,
    },
    /// There is no room on the disk for what the leader sends of a snapshot.
    NoRoomForPiece(String),
    /// A snapshot that was received is bad.
    SnapshotBad {
        /// Its name.
        id: SnapshotId,
        /// What is wrong.
        text: String,
    },
    /// Segments that nobody needs any more were removed.
    Compacted {
        /// How many.
        segments: usize,
        /// The log begins behind this entry now.
        base: LogId,
        /// How many bytes it takes.
        log_bytes: u64,
    },
}

/// Why a node can't go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Halt {
    /// An entry needs a newer version.
    Newer(String),
    /// The log doesn't hold an entry that is committed.
    Corrupt(String),
    /// The state differs from that of the majority.
    Differs(String),
    /// The disk didn't finish a write for too long.
    DiskStill(Duration),
}

/// The driver of one node that is part of a cluster.
#[derive(Debug)]
pub struct Driver {
    about: About,
    limits: Limits,
    /// The cluster's first entry, for its snapshots and for whoever missed it.
    founding: FoundingEntry,
    now: Time,
    started: Time,
    raft: Raft,
    /// The term that the core led when it was last looked at.
    leads: Option<Term>,
    /// The last round of heartbeats in which it told the members' levels.
    told: Option<(Term, Round)>,
    machine: Machine,
    recent: Recent,
    /// Entries that were proposed and aren't sealed in a batch.
    builder: BatchBuilder,
    log: Log,
    files: Files,
    applying: Applying,
    proposals: Proposals,
    reads: Reads,
    points: Points,
    snapshots: Snapshots,
    /// A state of which a snapshot is to be made.
    pending: Option<taking::Pending>,
    /// A state that was received and may be installed.
    received: Option<transfers::Received>,
    peers: Peers,
    clients: Clients,
    stopping: Stopping,
    handed_over: Vec<HandedOver>,
    changes: members::Changes,
    watch: working::Watch,
    facts: status::Facts,
    /// What is left of this turn's budgets.
    budget: working::Budget,
    /// The machine's answers are made here.
    scratch: BytesMut,
    outputs: VecDeque<DriverOutput>,
}

/// What a driver is made from.
#[derive(Debug)]
pub struct Parts {
    /// Who and what the node is.
    pub about: About,
    /// What it grants clients.
    pub limits: Limits,
    /// The cluster's first entry.
    pub founding: FoundingEntry,
    /// The core, as it was made from what the disk held.
    pub raft: Raft,
    /// The state machine up to the core's applied index.
    pub machine: Machine,
    /// The most bytes of one block of the log.
    pub max_batch_bytes: u64,
    /// When snapshots are taken.
    pub snapshot_rules: SnapshotRules,
    /// The snapshots that are good, the newest first.
    pub snapshots: Vec<KeptSnapshot>,
}

impl Driver {
    /// A driver at the start of a node.
    #[must_use]
    pub fn new(parts: Parts, now: Time) -> Driver {
        let applied = parts.machine.applied().index;
        let points = Points::behind(parts.about.me, &parts.machine);
        Driver {
            watch: working::Watch::new(
                parts.about.election_timeout,
                parts.raft.status().last.index,
            ),
            facts: status::Facts::new(&parts.about, now),
            about: parts.about,
            limits: parts.limits,
            founding: parts.founding,
            now,
            started: now,
            leads: None,
            told: None,
            raft: parts.raft,
            machine: parts.machine,
            recent: Recent::default(),
            builder: BatchBuilder::default(),
            log: Log::new(parts.max_batch_bytes),
            files: Files::default(),
            applying: Applying::new(applied),
            proposals: Proposals::default(),
            reads: Reads::default(),
            points,
            snapshots: Snapshots::new(parts.snapshot_rules, parts.snapshots),
            pending: None,
            received: None,
            peers: Peers::default(),
            clients: Clients::default(),
            stopping: Stopping::No,
            handed_over: Vec::new(),
            changes: members::Changes::default(),
            budget: working::Budget::default(),
            scratch: BytesMut::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Something has happened.
    pub fn handle(&mut self, now: Time, input: DriverInput) {
        self.now = self.now.max(now);
        match input {
            DriverInput::Tick => self.tick(),
            DriverInput::Message(message) => self.hear(message),
            DriverInput::PointReport { from, report } => self.hear_report(from, report),
            DriverInput::PeerConnected { peer, boot, address, supports } => {
                self.peers.connect(peer, address, supports);
                self.watch.look_for_arrivals();
                self.core(Input::Connected { peer, boot });
            }
            DriverInput::PeerDisconnected(peer) => {
                self.peers.disconnect(peer);
                self.files.forget(peer);
                self.watch.look_for_arrivals();
                self.core(Input::Disconnected(peer));
            }
            DriverInput::ClientConnected(client) => self.clients.connect(client),
            DriverInput::Request { client, request } => self.request(client, request),
            DriverInput::ClientSent { client, bytes } => {
                for ask in self.clients.sent(client, bytes) {
                    self.reads.push_answerable(ask);
                }
            }
            DriverInput::ClientGone(client) => self.clients.remove(client),
            DriverInput::LogDone { report, took } => self.log_done(report, took),
            DriverInput::LogFull { text } => self.log_full(text),
            DriverInput::FileDone(report) => self.file_done(report),
            DriverInput::Campaign => self.core(Input::Campaign),
            DriverInput::Stop { by } => self.stop(by),
        }
    }

    /// The next thing to be done, or `None` if there is nothing left to do in this turn.
    #[must_use]
    pub fn poll(&mut self) -> Option<DriverOutput> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            while let Some(output) = self.raft.poll() {
                self.carry_out(output);
            }
            // What wasn't installed came too late.
            if let Some(received) = self.received.take() {
                self.files.free(Box::new(received));
            }
            self.seal();
            self.look_at_leadership();
            self.answer_handed_over();
            if self.outputs.is_empty() && !self.work() {
                return None;
            }
        }
    }

    /// When the next turn is due at the latest; the present time if work is left from this one.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        if self.has_work_left() {
            return Some(self.now);
        }
        let leader_only = self.leads.and(self.points.deadline());
        [
            self.raft.deadline(),
            self.proposals.deadline(),
            self.reads.deadline(),
            self.log.deadline(),
            self.watch.deadline(),
            self.files_deadline(),
            self.snapshots_deadline(),
            self.stopping.deadline(),
            self.handed_over.iter().map(|waits| waits.until).min(),
            leader_only,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether more of this client's requests should be read.
    #[must_use]
    pub fn has_room(&self, client: ClientId) -> bool {
        self.clients.has_room(client)
    }

    /// The core, to be looked at.
    #[must_use]
    pub const fn raft(&self) -> &Raft {
        &self.raft
    }

    /// The cluster's first entry.
    #[must_use]
    pub const fn founding(&self) -> &FoundingEntry {
        &self.founding
    }

    /// The state machine, to be looked at.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Whether nothing is with the threads of the disk, all is durable, and nothing that was
    /// worked out waits to be done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.log.is_idle()
            && self.files.is_idle()
            && self.outputs.is_empty()
            && self.raft.is_all_durable()
    }

    /// The process didn't run for a while, and the threads of the disk didn't either: what they have
    /// counts as given to them now.
    pub fn was_away(&mut self, now: Time) {
        self.log.give_time(now);
        self.files.give_time(now);
    }

    /// Other limits hold from now on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn core(&mut self, input: Input) {
        self.raft.handle(self.now, input);
    }

    fn notice(&mut self, notice: Notice) {
        self.outputs.push_back(DriverOutput::Notice(notice));
    }

    fn halt(&mut self, halt: Halt) {
        self.outputs.push_back(DriverOutput::Halt(halt));
    }
}

/// What a token of the core's stands for. The kind is in its lowest bits, the number above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Proposal(u64),
    Read(u64),
    Transfer(u64),
    /// What a client wants of the members, or (0) what the node itself does.
    Change(u64),
}

impl Asked {
    const fn token(self) -> Token {
        Token(match self {
            Asked::Proposal(number) => number << 2,
            Asked::Read(number) => number << 2 | 1,
            Asked::Transfer(number) => number << 2 | 2,
            Asked::Change(number) => number << 2 | 3,
        })
    }

    const fn of(token: Token) -> Asked {
        let number = token.0 >> 2;
        match token.0 & 3 {
            0 => Asked::Proposal(number),
            1 => Asked::Read(number),
            2 => Asked::Transfer(number),
            _ => Asked::Change(number),
        }
    }
}
