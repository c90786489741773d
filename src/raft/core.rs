//! The consensus core itself: its state, its two doors, and what is worked out between them.

use std::collections::{BTreeMap, VecDeque};

use super::disk::DiskReport;
use super::election::Canvass;
use super::event::Event;
use super::following::Following;
use super::gates::Gates;
use super::io::{Config, Input, Output, Refusal, Restored, RoleKind, Token};
use super::membership::Configurations;
use super::random::Chance;
use super::receiving::Receiving;
use super::replication::Leading;
use super::snapshots::Snapshots;
use super::stamp::LogClock;
use super::timers::{Timer, Timers};
use super::view::LogView;
use crate::model::{
    Boot, Configuration, EntryHeader, EntryKind, Index, LogId, Member, Span, Term, Time,
};

/// The consensus core of one node.
///
/// - Input: [`Raft::handle`], for each thing that happens. It can't fail and can't block.
/// - Output: [`Raft::poll`], until it gives `None`, after each batch of inputs. The outputs are
///   to be carried out in order. What the batch made necessary is worked out when the queue runs
///   empty, so that all proposals of a batch are one [`Output::Write`].
/// - Time: [`Raft::deadline`] says when [`Input::Tick`] is due at the latest.
/// - Looking: [`Raft::status`]; for simulators also [`Raft::check`] and [`Raft::check_delta`].
#[derive(Clone, Debug)]
pub struct Raft {
    pub(super) config: Config,
    /// How often this directory was started.
    pub(super) boot: Boot,
    /// The latest time that was given.
    pub(super) now: Time,
    pub(super) chance: Chance,
    pub(super) timers: Timers,
    pub(super) clock: LogClock,
    pub(super) log: LogView,
    pub(super) configurations: Configurations,
    pub(super) gates: Gates,
    pub(super) commit: Index,
    /// Up to where entries were given out to be applied.
    pub(super) apply_issued: Index,
    pub(super) applied: Index,
    pub(super) snapshots: Snapshots,
    /// The snapshot that is on its way here.
    pub(super) receiving: Option<Receiving>,
    pub(super) role: Role,
    /// When a leader's word was last heard.
    pub(super) leader_heard: Option<Time>,
    /// What is known of the own disk standing still.
    pub(super) disk: Option<DiskReport>,
    /// What is known of the starts of each member, and of whoever else is connected.
    pub(super) heard: BTreeMap<Member, Heard>,
    /// The number of the last read for a peer.
    pub(super) last_ticket: u64,
    pub(super) outputs: VecDeque<Output>,
    /// Whether something came in since the queue of outputs last ran empty.
    unsettled: bool,
}

/// How a node was heard.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Heard {
    /// The highest boot.
    pub(super) boot: Boot,
    /// Whether there is a connection to it.
    pub(super) is_connected: bool,
}

/// What a node does, with all that only matters while it does it.
#[derive(Clone, Debug)]
pub(super) enum Role {
    Follower(Following),
    PreCandidate(Canvass),
    Candidate(Canvass),
    Leader(Box<Leading>),
}

impl Role {
    pub(super) const fn kind(&self) -> RoleKind {
        match self {
            Role::Follower(_) => RoleKind::Follower,
            Role::PreCandidate(_) => RoleKind::PreCandidate,
            Role::Candidate(_) => RoleKind::Candidate,
            Role::Leader(_) => RoleKind::Leader,
        }
    }
}

impl Raft {
    /// A node as it starts, with what its disk held.
    ///
    /// # Panics
    ///
    /// If what was restored contradicts itself: recovery has checked it.
    #[must_use]
    pub fn new(config: Config, restored: Restored, now: Time, seed: u64) -> Raft {
        let log = LogView::new(restored.base, restored.runs, restored.last);
        let commit = restored.base.index.max(restored.applied);
        assert!(commit <= restored.last, "more was applied than the log holds");
        let receiving = restored.receiving.map(|(snapshot, has)| Receiving::left(snapshot, has));
        let mut raft = Raft {
            boot: restored.boot,
            now,
            chance: Chance::new(seed),
            timers: Timers::default(),
            clock: LogClock::new(restored.last_time, now),
            configurations: Configurations::new(restored.configurations),
            gates: Gates::new(restored.hard_state, log.last()),
            commit,
            apply_issued: commit,
            applied: commit,
            snapshots: Snapshots::new(restored.snapshots),
            receiving,
            role: Role::Follower(Following::new(None)),
            leader_heard: None,
            disk: None,
            heard: BTreeMap::new(),
            last_ticket: 0,
            outputs: VecDeque::new(),
            unsettled: false,
            log,
            config,
        };
        raft.set_first_election_timer();
        raft.check();
        raft
    }

    /// Something has happened.
    pub fn handle(&mut self, now: Time, input: Input) {
        let before = self.marks();
        self.now = self.now.max(now);
        self.unsettled = true;
        match input {
            Input::Tick => self.tick(),
            Input::Message(message) => self.step(message),
            Input::Connected { peer, boot } => self.connected(peer, boot),
            Input::Disconnected(peer) => self.disconnected(peer),
            Input::Propose { token, kind, bytes } => self.propose(token, kind, bytes),
            Input::Read(token) => self.read(token),
            Input::Transfer { token, to } => self.transfer(token, to),
            Input::Seat { token, member, address } => self.seat(token, member, address),
            Input::ChangeMembers { token, expected, seats } => {
                self.change_members(token, expected, seats);
            }
            Input::Campaign => self.stand_if_allowed("asked to stand"),
            Input::Persisted(seq) => self.persisted(seq),
            Input::VotePersisted(seq) => self.vote_persisted(seq),
            Input::DiskWaiting(age) => self.disk_waiting(age),
            Input::Applied(index) => self.applied_to(index),
            Input::LogRead { peer, ticket, first, bytes } => {
                self.log_read(peer, ticket, first, &bytes);
            }
            Input::SnapshotSaved(snapshot) => self.snapshot_saved(snapshot),
            Input::PieceRead { peer, ticket, bytes } => self.piece_read(peer, ticket, bytes),
            Input::PieceLost { peer, ticket } => self.piece_lost(peer, ticket),
            Input::PieceStored { snapshot, has } => self.piece_stored(snapshot, has),
            Input::SnapshotReceived { snapshot, configuration, log_time } => {
                self.snapshot_received(snapshot, configuration, log_time);
            }
            Input::SnapshotRefused { snapshot, has } => self.snapshot_refused(snapshot, has),
            Input::Compacted { base } => self.compacted(base),
        }
        self.verify(&before);
    }

    /// The next thing to be done, or `None` if there is nothing left to do.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && self.unsettled {
            self.unsettled = false;
            let before = self.marks();
            self.settle();
            self.verify(&before);
        }
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Works out what the inputs since the last time made necessary. The writes come before the
    /// messages: they seal the entries that those send.
    fn settle(&mut self) {
        self.go_on_with_change();
        while let Some(write) = self.gates.next_write(&self.log) {
            self.outputs.push_back(Output::Write(write));
        }
        self.open_gates();
        self.start_round();
        self.replicate();
        self.urge_successor();
        self.load_received();
        self.answer_about_snapshot();
        self.answer_leader();
        self.issue_apply();
        self.answer_reads();
        self.release_memory();
        self.settle_snapshots();
    }

    fn tick(&mut self) {
        if self.timers.take(Timer::Election, self.now) {
            self.election_timeout();
        }
        if self.timers.take(Timer::Heartbeat, self.now) {
            self.heartbeat_due();
        }
        if self.timers.take(Timer::Quorum, self.now) {
            self.check_quorum();
        }
        if self.timers.take(Timer::Handover, self.now) {
            self.handover_timeout();
        }
    }

    /// A client's entry joins the log.
    fn propose(&mut self, token: Token, kind: EntryKind, bytes: u64) {
        let owned =
            matches!(kind, EntryKind::NOOP | EntryKind::FOUNDING | EntryKind::CONFIGURATION);
        assert!(!owned, "entries of kind {kind:?} aren't proposed");
        match self.proposal_refusal(bytes) {
            Some(reason) => self.outputs.push_back(Output::Refused { token, reason }),
            None => {
                self.append_own(Some(token), kind, bytes, None);
            }
        }
    }

    fn proposal_refusal(&self, bytes: u64) -> Option<Refusal> {
        let Role::Leader(leading) = &self.role else {
            return Some(Refusal::NotLeader(self.leader()));
        };
        if leading.handover.is_some() {
            return Some(Refusal::Transferring);
        }
        if self.is_undecided() {
            return Some(Refusal::NotYet);
        }
        // What waits for the own disk, and what waits for a quorum.
        let settled = self.gates.durable_index().min(self.commit);
        let waiting = self.log.bytes_above(settled);
        (waiting > 0 && waiting + bytes > self.config.max_unpersisted_bytes)
            .then_some(Refusal::Busy)
    }

    /// Appends an entry as the leader and says so to the shell.
    pub(super) fn append_own(
        &mut self,
        token: Option<Token>,
        kind: EntryKind,
        bytes: u64,
        configuration: Option<Box<Configuration>>,
    ) -> Index {
        let term = self.gates.term();
        let index = self.log.push(term, bytes);
        let time = self.clock.stamp(self.now);
        let header = EntryHeader { kind, id: LogId::new(term, index), time };
        self.outputs.push_back(Output::Proposed { token, header, configuration });
        index
    }

    fn issue_apply(&mut self) {
        if self.apply_issued < self.commit {
            let span = Span { first: self.apply_issued.next(), last: self.commit };
            self.apply_issued = self.commit;
            self.outputs.push_back(Output::Apply(span));
        }
    }

    pub(super) fn applied_to(&mut self, index: Index) {
        assert!(index <= self.apply_issued, "{index} was applied without being asked for");
        self.applied = self.applied.max(index);
        self.configurations.prune(self.applied);
    }

    /// Once too much is in memory, an eighth of the bound more is let go, so that it doesn't
    /// happen every time.
    fn release_memory(&mut self) {
        let bound = self.config.recent_bytes;
        if self.log.bytes_in_memory() > bound {
            let settled = self.applied.min(self.gates.durable_index());
            let released = self.log.release(bound - bound / 8, settled);
            self.outputs.extend(released.map(Output::Release));
        }
    }

    /// Returns to following in `term`: that of a message, or the own one.
    pub(super) fn become_follower(
        &mut self,
        term: Term,
        leader: Option<Member>,
        reason: &'static str,
    ) {
        let leader_before = self.leader();
        let (kind_before, term_before) = (self.role.kind(), self.gates.term());
        if term > term_before {
            self.gates.enter(term);
        }
        let role = Role::Follower(Following::new(leader));
        let Role::Leader(leading) = std::mem::replace(&mut self.role, role) else {
            self.report_role(kind_before, term_before, leader_before, reason);
            return;
        };
        for timer in [Timer::Heartbeat, Timer::Quorum, Timer::Handover] {
            self.timers.stop(timer);
        }
        self.set_election_timer();
        self.report_role(kind_before, term_before, leader_before, reason);
        self.close_leadership(*leading, term > term_before);
    }

    /// Answers whoever waits for something that only a leader can do.
    fn close_leadership(&mut self, leading: Leading, succeeded: bool) {
        for read in leading.reads {
            let reason = Refusal::LeadershipLost;
            self.outputs.push_back(Output::Refused { token: read.token, reason });
        }
        if let Some(handover) = leading.handover {
            self.close_handover(&handover, succeeded);
        }
    }

    /// Tells the shell what changed in role, term and leader.
    pub(super) fn report_role(
        &mut self,
        kind_before: RoleKind,
        term_before: Term,
        leader_before: Option<Member>,
        reason: &'static str,
    ) {
        let (role, term) = (self.role.kind(), self.gates.term());
        if role != kind_before || term != term_before {
            self.event(Event::Role { role, term, reason });
        }
        let leader = self.leader();
        if leader != leader_before {
            self.event(Event::Leader { leader, term });
        }
    }

    /// Who leads in the current term, if known.
    pub(super) const fn leader(&self) -> Option<Member> {
        match &self.role {
            Role::Follower(following) => following.leader,
            Role::Leader(_) => Some(self.config.me),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn dropped(&mut self, from: Member, reason: &'static str) {
        self.event(Event::Dropped { from, reason });
    }
}
