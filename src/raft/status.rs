//! How the core stands, for people and for the shell.

use std::time::Duration;

use super::core::{Raft, Role};
use super::io::RoleKind;
use super::progress::Progress;
use crate::model::{Configuration, Index, LogId, LogTime, Member, SnapshotId, Term, TermRun};

/// How many bytes of encoded entries are in memory. Those that are neither unpersisted nor
/// unapplied stay as long as [`Config::recent_bytes`](super::Config::recent_bytes) allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// All of them.
    pub bytes: u64,
    /// Those that aren't durable here;
    /// [`Config::max_unpersisted_bytes`](super::Config::max_unpersisted_bytes) bounds them.
    pub unpersisted_bytes: u64,
    /// Those that aren't applied here.
    pub unapplied_bytes: u64,
}

/// How far a change of members is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeStage {
    /// The configuration in force isn't known to be committed here, and is the last of the change.
    Ending,
    /// It goes on when those that join have caught up.
    Prepared,
    /// There are two sets of voters.
    Joint,
}

/// What a leader knows of another member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerStatus {
    /// The member.
    pub member: Member,
    /// Up to where its log is known to equal the leader's, durably.
    pub matched: Index,
    /// The next entry to be sent.
    pub next: Index,
    /// Bytes on their way, of entries or of a snapshot.
    pub inflight_bytes: u64,
    /// The snapshot that it is being sent, and how many bytes of it it has.
    pub snapshot: Option<(SnapshotId, u64)>,
    /// How long ago it was heard; `None` if not since leadership began.
    pub heard_ago: Option<Duration>,
    /// The last round trip of a heartbeat.
    pub round_trip: Option<Duration>,
    /// How many entries its log is behind the leader's.
    pub behind: u64,
    /// Whether it is so little behind that it may be made a voter.
    pub caught_up: bool,
}

/// How the core stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The role.
    pub role: RoleKind,
    /// The term.
    pub term: Term,
    /// Who got this node's vote in the term.
    pub vote: Option<Member>,
    /// Who leads, if known.
    pub leader: Option<Member>,
    /// Whether this node votes in the configuration in force.
    pub voter: bool,
    /// The entry before the first of the log.
    pub base: LogId,
    /// The last entry.
    pub last: LogId,
    /// Up to where the log is durable here.
    pub durable: Index,
    /// Up to where the log is committed, as far as this node knows.
    pub commit: Index,
    /// Up to where the state machine has applied.
    pub applied: Index,
    /// The good snapshots that are kept, the newest first.
    pub snapshots: Vec<SnapshotId>,
    /// The snapshot that is being received, and how many bytes of it are there.
    pub receiving: Option<(SnapshotId, u64)>,
    /// The time that an entry made now would carry.
    pub log_time: LogTime,
    /// The configuration in force and its index.
    pub configuration: (Index, Configuration),
    /// How far the change of members is that is under way, if one is.
    pub change: Option<ChangeStage>,
    /// Whether an entry of the own term is committed, so that reads are served (leaders only).
    pub committed_in_term: bool,
    /// To whom leadership is being handed over (leaders only).
    pub transferring: Option<Member>,
    /// Of each other member (leaders only).
    pub peers: Vec<PeerStatus>,
}

impl Raft {
    /// The term that this node leads, if it leads. What was proposed under it and isn't
    /// committed is undecided once this says something else.
    #[must_use]
    pub const fn leads(&self) -> Option<Term> {
        match self.role {
            Role::Leader(_) => Some(self.gates.term()),
            _ => None,
        }
    }

    /// The term, and who leads in it, if known.
    #[must_use]
    pub const fn term_and_leader(&self) -> (Term, Option<Member>) {
        (self.gates.term(), self.leader())
    }

    /// The configuration in force and the index that it stands at.
    #[must_use]
    pub fn configuration(&self) -> (Index, &Configuration) {
        (self.configurations.index(), self.configurations.current())
    }

    /// The latest configuration that is known to be committed, and where it stands; right after a
    /// start perhaps an earlier one. It is the one that says who was removed: what isn't committed
    /// may yet be taken back.
    #[must_use]
    pub fn committed_configuration(&self) -> (Index, &Configuration) {
        self.configurations.settled(self.commit)
    }

    /// The configuration as of the entry at `index`, and the index that it stands at: what a
    /// snapshot behind that entry holds, whatever was appended since. To be asked before
    /// [`Input::Applied`](super::Input::Applied) tells of a later entry; `None` if it was
    /// forgotten.
    #[must_use]
    pub fn configuration_as_of(&self, index: Index) -> Option<(Index, &Configuration)> {
        self.configurations.as_of(index)
    }

    /// How long ago a leader's word was heard: zero on the leader itself, `None` if it never was.
    #[must_use]
    pub fn leader_heard_ago(&self) -> Option<Duration> {
        match self.role {
            Role::Leader(_) => Some(Duration::ZERO),
            _ => self.leader_heard.map(|heard| self.now.since(heard)),
        }
    }

    /// The entry before the first of the log.
    #[must_use]
    pub const fn base(&self) -> LogId {
        self.log.base()
    }

    /// The last entry of the log.
    #[must_use]
    pub fn last(&self) -> LogId {
        self.log.last()
    }

    /// The terms of the log's entries behind its base, in order.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = TermRun> {
        self.log.runs().iter().copied()
    }

    /// The id of the entry at `index`, if the log holds it or it is the one before the first.
    #[must_use]
    pub fn id(&self, index: Index) -> Option<LogId> {
        self.log.id(index)
    }

    /// Up to where the log is durable as it is now.
    #[must_use]
    pub const fn durable(&self) -> Index {
        self.gates.durable_index()
    }

    /// Up to where the log is committed, as far as this node knows.
    #[must_use]
    pub const fn commit(&self) -> Index {
        self.commit
    }

    /// What a power cut would leave at least: the term, and the last entry of the log, as the
    /// last completed write left them. That entry may have been replaced in memory since.
    #[must_use]
    pub const fn written(&self) -> (Term, LogId) {
        self.gates.written()
    }

    /// Whether the log and the term are durable as they are.
    #[must_use]
    pub fn is_all_durable(&self) -> bool {
        self.gates.vote_is_durable() && self.gates.durable_index() == self.log.last_index()
    }

    /// Whether nothing binds this node to its cluster: behind the founding entry stand at most the
    /// first entries of leaders, none of which is known to be committed. Until one is, nothing
    /// else is taken into the log.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.commit <= Index(1) && self.log.holds_only_elections()
    }

    /// How many bytes of entries are in memory, and why.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            bytes: self.log.bytes_in_memory(),
            unpersisted_bytes: self.log.bytes_above(self.gates.durable_index()),
            unapplied_bytes: self.log.bytes_above(self.applied),
        }
    }

    /// The time that an entry made now would carry.
    #[must_use]
    pub fn log_time(&self) -> LogTime {
        self.clock.read(self.now)
    }

    /// How the core stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let leading = match &self.role {
            Role::Leader(leading) => Some(leading),
            _ => None,
        };
        Status {
            role: self.role.kind(),
            term: self.gates.term(),
            vote: self.gates.vote(),
            leader: self.leader(),
            voter: self.is_voter(),
            base: self.log.base(),
            last: self.log.last(),
            durable: self.gates.durable_index(),
            commit: self.commit,
            applied: self.applied,
            snapshots: self.snapshots.kept().to_vec(),
            receiving: self.receiving.map(|receiving| receiving.progress()),
            log_time: self.clock.read(self.now),
            configuration: (self.configurations.index(), self.configurations.current().clone()),
            change: self.change_stage(),
            committed_in_term: leading.is_some_and(|leading| self.commit >= leading.term_start),
            transferring: leading
                .and_then(|leading| leading.handover.as_ref())
                .map(|handover| handover.target),
            peers: leading.map_or_else(Vec::new, |leading| {
                leading.peers.iter().map(|progress| self.peer_status(progress)).collect()
            }),
        }
    }

    fn change_stage(&self) -> Option<ChangeStage> {
        let current = self.configurations.current();
        if current.is_joint() {
            Some(ChangeStage::Joint)
        } else if current.is_prepared() {
            Some(ChangeStage::Prepared)
        } else {
            (self.commit < self.configurations.index()).then_some(ChangeStage::Ending)
        }
    }

    fn peer_status(&self, progress: &Progress) -> PeerStatus {
        let handing = progress.handing();
        let pieces = handing.map_or(0, |handing| handing.sent - handing.has);
        PeerStatus {
            member: progress.member,
            matched: progress.matched,
            next: progress.next,
            inflight_bytes: progress.window.bytes() + pieces,
            snapshot: handing.map(|handing| (handing.snapshot, handing.has)),
            heard_ago: progress.was_heard.then(|| self.now.since(progress.heard)),
            round_trip: progress.round_trip,
            behind: self.log.last_index().0 - progress.matched.0,
            caught_up: progress.has_caught_up(self.now, self.config.election_timeout),
        }
    }
}
