//! What goes into the core and what comes out.

use std::time::Duration;

use crate::model::{
    Batch, Boot, Configuration, EntryHeader, EntryKind, HardState, Index, LogId, LogTime, Member,
    Message, NodeId, Span, Term, TermRun, WriteSeq,
};

/// What the core is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who this node is.
    pub me: Member,
    /// E: election timeouts are drawn from [E, 2E].
    pub election_timeout: Duration,
    /// How often a leader says that it lives.
    pub heartbeat_interval: Duration,
    /// Whether a node asks if it would win before it raises its term.
    pub pre_vote: bool,
    /// Whether a leader steps down that heard no quorum for an election timeout.
    pub check_quorum: bool,
    /// The most bytes of entries on their way to one peer.
    pub max_inflight_bytes: u64,
    /// The most messages with entries on their way to one peer.
    pub max_inflight_messages: usize,
    /// The most bytes of entries in one message, unless a single entry is longer.
    pub max_batch_bytes: u64,
    /// The most bytes of entries that aren't durable here: above it a leader refuses proposals
    /// and a follower drops entries.
    pub max_unpersisted_bytes: u64,
    /// How many bytes of the latest entries the shell keeps in memory.
    pub recent_bytes: u64,
    /// The most reads that wait for a round.
    pub max_waiting_reads: usize,
}

/// What the disk held at the start. All of it is durable.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Term and vote.
    pub hard_state: HardState,
    /// The id before the first entry of the log: [`LogId::ORIGIN`], or where a snapshot ends.
    pub base: LogId,
    /// The terms of the entries behind `base`, in order.
    pub runs: Vec<TermRun>,
    /// The last index; `base.index` if there are no entries.
    pub last: Index,
    /// The log time of the last entry.
    pub last_time: LogTime,
    /// The configuration as of `base` and those in the log behind it, each with its index.
    pub configurations: Vec<(Index, Configuration)>,
    /// Up to where the state machine is: `base.index`.
    pub applied: Index,
    /// How often this directory was started, this start included.
    pub boot: Boot,
}

/// A name that the shell gives to a proposal, read or other request; the core only hands it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// What happens to the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed. A spurious one does nothing.
    Tick,
    /// A message came from a peer whose connection was checked.
    Message(Message),
    /// There is a new connection to this member: what was in flight may be lost.
    Connected {
        /// To whom.
        peer: Member,
        /// How often that node's directory was started, as its hello says.
        boot: Boot,
    },
    /// The connection to this member is gone.
    Disconnected(Member),
    /// A client wants an entry appended.
    Propose {
        /// Comes back in [`Output::Proposed`] or [`Output::Refused`].
        token: Token,
        /// What the entry is for: a command, settings, a point or a feature level.
        kind: EntryKind,
        /// The encoded length that the entry will have.
        bytes: u64,
    },
    /// A client wants to read what is committed by now (dissertation, section 6.4).
    Read(Token),
    /// Hand leadership over. It ends with [`Output::Transferred`] or [`Output::Refused`], at the
    /// latest an election timeout later; a node that doesn't lead refuses at once.
    Transfer {
        /// Comes back when it has ended.
        token: Token,
        /// To this node, or to the voter whose log is longest.
        to: Option<NodeId>,
    },
    /// Give the seat of `member.id` that has no incarnation yet to this one: a founder that was
    /// absent has come. Answered by [`Output::Proposed`] or [`Output::Refused`].
    Seat {
        /// Comes back in the answer.
        token: Token,
        /// Who has come.
        member: Member,
        /// Where it is reached, as `host:port`, in at most
        /// [`MAX_ADDRESS_BYTES`](crate::model::MAX_ADDRESS_BYTES): no file and no hello holds a
        /// longer one.
        address: String,
    },
    /// Stand for election without waiting for the timeout: nobody leads and this node knows it,
    /// as a founder does.
    Campaign,
    /// This write and all before it would survive a power cut.
    Persisted(WriteSeq),
    /// Term and vote of this write, and of all before it, would survive a power cut. Entries of
    /// theirs wait for room on the disk.
    VotePersisted(WriteSeq),
    /// The log thread has work that it got this long ago and hasn't finished: its disk may stand
    /// still. Sent whenever the shell looks, at least twice in an election timeout while there is
    /// such work; what was said counts for an election timeout, or until a write completes.
    DiskWaiting(Duration),
    /// The state machine has applied up to here.
    Applied(Index),
    /// Entries that [`Output::ReadLog`] asked for are at hand. One that came too late to be of
    /// use is ignored.
    LogRead {
        /// For whom they were read.
        peer: Member,
        /// The number of the [`Output::ReadLog`].
        ticket: u64,
        /// Which they are, and the encoded length of each.
        first: Index,
        /// The encoded length of each entry from `first` on; at least one.
        bytes: Vec<u32>,
    },
}

/// What is to be done, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// The proposal `token` (`None`: the core's own no-op, which has no payload) is the entry
    /// with this header, the next of the log: encode it and keep it at hand.
    Proposed {
        /// The proposal's name.
        token: Option<Token>,
        /// Kind, name and time of the entry.
        header: EntryHeader,
        /// What a configuration entry says: its encoding is the payload.
        configuration: Option<Box<Configuration>>,
    },
    /// The request `token` isn't carried out and will have no effect.
    Refused {
        /// The request's name.
        token: Token,
        /// Why.
        reason: Refusal,
    },
    /// Drop from memory what stands above `keep` and put `batch` in its place.
    Extend {
        /// The last index that stays.
        keep: Index,
        /// The entries from `keep + 1` on.
        batch: Batch,
    },
    /// To be made durable; answered by [`Input::Persisted`].
    Write(Write),
    /// A message without entries.
    Send(Message),
    /// A [`crate::model::Body::Append`] with the entries of `span`, which are in memory or were
    /// just read for this peer.
    Replicate {
        /// For whom.
        to: Member,
        /// The sender's term.
        term: Term,
        /// The entry before the span.
        prev: LogId,
        /// The leader's commit index.
        commit: Index,
        /// The entries.
        span: Span,
    },
    /// Entries that are no longer in memory are needed for a peer: read from `first` on, at
    /// least one entry, and no more than `max_bytes` unless the first is longer. One at a time
    /// for each peer; answered by [`Input::LogRead`].
    ReadLog {
        /// For whom.
        peer: Member,
        /// Grows with each of them; comes back in [`Input::LogRead`].
        ticket: u64,
        /// The first entry.
        first: Index,
        /// The last entry that may be wanted.
        last: Index,
        /// The budget.
        max_bytes: u64,
    },
    /// These entries are committed: apply them in order, those in memory and those only on disk.
    Apply(Span),
    /// The read `token` may be answered from the state machine once it has applied `index`.
    ReadAt {
        /// The read's name.
        token: Token,
        /// The commit index when the read was confirmed.
        index: Index,
    },
    /// Another node has taken over what [`Input::Transfer`] asked to hand over.
    Transferred(Token),
    /// Entries up to here may be dropped from memory: they are applied and durable here.
    Release(Index),
    /// Something that a person may want to know.
    Event(Event),
}

/// A numbered write. `hard_state` is made durable before any entry of `span` is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    /// Grows by one with each write.
    pub seq: WriteSeq,
    /// The new term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// The last entry that the log keeps of what was written before; entries above are replaced.
    pub keep: LogId,
    /// The entries to append behind `keep`, from memory.
    pub span: Option<Span>,
}

/// Why a request isn't carried out. It certainly has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// This node doesn't lead. It may know who does.
    NotLeader(Option<Member>),
    /// Too much isn't durable yet, or too many reads wait.
    Busy,
    /// Leadership is being handed over.
    Transferring,
    /// This node stopped leading before the read was confirmed.
    LeadershipLost,
    /// Nobody can take over leadership: no other voter's log is complete and at hand.
    NoTarget,
    /// The other node didn't take over in time; this one goes on leading.
    TransferFailed,
    /// Another change of members, or the first entry of this leader's term, isn't committed yet.
    NotYet,
    /// The configuration has no vacant seat of this id.
    NoSeat,
}

/// What a node does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoleKind {
    /// Follows a leader or waits for one.
    Follower,
    /// Asks whether it would win an election.
    PreCandidate,
    /// Stands for election.
    Candidate,
    /// Leads.
    Leader,
}

/// A fact for the log lines and counters of the shell. Nothing depends on it being read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The role or the term changed.
    Role {
        /// The role it has now.
        role: RoleKind,
        /// The term.
        term: Term,
        /// Why, in a few words.
        reason: &'static str,
    },
    /// There is a leader, or another one, or (`None`) none that is known.
    Leader {
        /// Who leads.
        leader: Option<Member>,
        /// In which term.
        term: Term,
    },
    /// A vote was given.
    Voted {
        /// To whom.
        candidate: Member,
        /// In which term.
        term: Term,
    },
    /// The log's end was replaced by another leader's entries.
    Replaced {
        /// The last index that stayed.
        keep: Index,
        /// The last index that was dropped.
        dropped: Index,
    },
    /// Another configuration is in force.
    Configuration {
        /// The index it stands at.
        index: Index,
        /// The configuration.
        configuration: Configuration,
    },
    /// A handing-over of leadership began, ended or failed.
    Transfer {
        /// To whom.
        to: Member,
        /// What happened, in a few words.
        what: &'static str,
    },
    /// A member needs entries that the log no longer holds.
    Behind {
        /// Who.
        peer: Member,
        /// The entry before the first of the log.
        base: LogId,
    },
    /// A message was dropped.
    Dropped {
        /// From whom.
        from: Member,
        /// Why, in a few words.
        reason: &'static str,
    },
}

/// How many bytes of encoded entries are in memory. Those that are neither unpersisted nor
/// unapplied stay as long as [`Config::recent_bytes`] allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// All of them.
    pub bytes: u64,
    /// Those that aren't durable here; [`Config::max_unpersisted_bytes`] bounds them.
    pub unpersisted_bytes: u64,
    /// Those that aren't applied here.
    pub unapplied_bytes: u64,
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
    /// Bytes of entries on their way.
    pub inflight_bytes: u64,
    /// How long ago it was heard; `None` if not since leadership began.
    pub heard_ago: Option<Duration>,
    /// The last round trip of a heartbeat.
    pub round_trip: Option<Duration>,
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
    /// The time that an entry made now would carry.
    pub log_time: LogTime,
    /// The configuration in force and its index.
    pub configuration: (Index, Configuration),
    /// Whether an entry of the own term is committed, so that reads are served (leaders only).
    pub committed_in_term: bool,
    /// To whom leadership is being handed over (leaders only).
    pub transferring: Option<Member>,
    /// Of each other member (leaders only).
    pub peers: Vec<PeerStatus>,
}
