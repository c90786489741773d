//! What goes into the core and what comes out.

use std::time::Duration;

use bytes::Bytes;

use super::changing::ChangeRefusal;
use super::event::Event;
use crate::model::{
    Batch, Boot, Configuration, EntryHeader, EntryKind, HardState, Index, LogId, LogTime, Member,
    Message, NodeId, Seat, SnapshotId, Span, Term, TermRun, WriteSeq,
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
    /// How many entries stay in the log below what two snapshots cover.
    pub keep_entries: u64,
}

/// What the disk held at the start. All of it is durable.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Term and vote.
    pub hard_state: HardState,
    /// The id before the first entry of the log: [`LogId::ORIGIN`], or one that a snapshot covers.
    pub base: LogId,
    /// The terms of the entries behind `base`, in order.
    pub runs: Vec<TermRun>,
    /// The last index; `base.index` if there are no entries.
    pub last: Index,
    /// The log time of the last entry.
    pub last_time: LogTime,
    /// The configuration as of `applied` and those in the log behind it, each with its index.
    pub configurations: Vec<(Index, Configuration)>,
    /// Up to where the state machine is: where the newest snapshot ends, or zero.
    pub applied: Index,
    /// The snapshots that are good, the newest first. The log holds what each of them ends with,
    /// or begins behind it.
    pub snapshots: Vec<SnapshotId>,
    /// What a transfer that was cut off has left: which snapshot, and how many bytes of it.
    pub receiving: Option<(SnapshotId, u64)>,
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
    /// latest an election timeout later; a node that doesn't lead refuses at once. A leader that
    /// is asked to hand over to itself has done so.
    Transfer {
        /// Comes back when it has ended.
        token: Token,
        /// To this node, or to the voter whose log is longest. Only voters that stay count.
        to: Option<NodeId>,
    },
    /// Make these the members. Answered at once: by [`Output::Proposed`] with the first
    /// configuration of the change, by [`Output::Unchanged`], or by [`Output::Refused`]. Once that
    /// configuration is committed, the change goes on by itself, whoever leads, as its seats say.
    ChangeMembers {
        /// Comes back in the answer.
        token: Token,
        /// Where the configuration stands that whoever asks has seen. If another one is in force,
        /// the change is refused, unless it is to the same members.
        expected: Index,
        /// The members to be, each a [`Voter`](crate::model::Standing::Voter) or a
        /// [`Learner`](crate::model::Standing::Learner), in any order. Those that are to vote and
        /// don't yet are learners first, and vote once all of them have caught up.
        seats: Vec<Seat>,
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
    /// This node took a snapshot behind an entry that is applied and durable here. Its name is
    /// durable and its file was read back and is good.
    SnapshotSaved(SnapshotId),
    /// What [`Output::ReadPiece`] asked for is at hand. One that came too late to be of use is
    /// ignored.
    PieceRead {
        /// For whom it was read.
        peer: Member,
        /// The number of the [`Output::ReadPiece`].
        ticket: u64,
        /// How many bytes there are, at least one. Fewer than were asked for only at the end.
        bytes: u64,
    },
    /// The file that [`Output::ReadPiece`] named is gone or damaged.
    PieceLost {
        /// For whom it was to be read.
        peer: Member,
        /// The number of the [`Output::ReadPiece`].
        ticket: u64,
    },
    /// What [`Output::StorePiece`] brought is in the file, or was damaged or found no room: then
    /// `has` says so, and it is wanted again. There is one for each.
    PieceStored {
        /// Of which snapshot.
        snapshot: SnapshotId,
        /// How many bytes of it are there, from its beginning.
        has: u64,
    },
    /// What [`Output::LoadReceived`] asked for is done: the snapshot's name is durable, its file is
    /// good, and its state stands ready. Before, everything that the state machine has applied
    /// was told by [`Input::Applied`], and nothing is applied until the outputs are carried out:
    /// among them may be [`Output::Install`].
    SnapshotReceived {
        /// Which.
        snapshot: SnapshotId,
        /// The configuration as of its last entry and the index that it stands at.
        configuration: (Index, Configuration),
        /// The log time of its last entry.
        log_time: LogTime,
    },
    /// What was received is damaged; it counts for nothing.
    SnapshotRefused {
        /// Which.
        snapshot: SnapshotId,
        /// How many bytes of it, from its beginning, are good.
        has: u64,
    },
    /// The answer to [`Output::Compact`].
    Compacted {
        /// The entry before the first that the log still holds.
        base: LogId,
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
    /// The members are, or are becoming, what [`Input::ChangeMembers`] asks for.
    Unchanged {
        /// The request's name.
        token: Token,
        /// Where the configuration in force stands, which is committed.
        index: Index,
    },
    /// Entries up to here may be dropped from memory: they are applied and durable here.
    Release(Index),
    /// Bytes of a snapshot are needed for a peer: read and verify them. One at a time for each
    /// peer, in one sequence of numbers with [`Output::ReadLog`]; answered by
    /// [`Input::PieceRead`] or [`Input::PieceLost`].
    ReadPiece {
        /// For whom.
        peer: Member,
        /// Grows with each of them; comes back in the answer.
        ticket: u64,
        /// Of which snapshot.
        snapshot: SnapshotId,
        /// The first byte of its file.
        offset: u64,
        /// How many: less only where the file ends. At most
        /// [`MAX_PIECE_BYTES`](crate::model::MAX_PIECE_BYTES).
        max_bytes: u64,
    },
    /// A [`crate::model::Body::Piece`] with bytes that were just read for this peer.
    SendPiece {
        /// For whom.
        to: Member,
        /// The sender's term.
        term: Term,
        /// Of which snapshot.
        snapshot: SnapshotId,
        /// The first byte of its file.
        offset: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// Put these bytes into the file of the snapshot that is being received; of another one
    /// nothing needs to stay. Answered by [`Input::PieceStored`].
    StorePiece {
        /// Of which snapshot.
        snapshot: SnapshotId,
        /// Where they belong: where the last ones ended, or lower where those were damaged.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// All bytes of this snapshot were stored: verify the file, load the state, give the file its
    /// durable name. Answered by [`Input::SnapshotReceived`] or [`Input::SnapshotRefused`].
    LoadReceived(SnapshotId),
    /// Put the state of this snapshot in the place of the state machine's. What is still to be
    /// applied is void.
    Install {
        /// Which: the one that [`Input::SnapshotReceived`] told of.
        snapshot: SnapshotId,
        /// Whether the log begins anew behind the snapshot's last entry, which it doesn't hold:
        /// all entries in memory are void, and a [`Write::reset`] follows.
        begins_anew: bool,
    },
    /// Remove from the log on the disk what nobody needs; answered by [`Input::Compacted`].
    /// Entries above `wanted` go only where the log has too many bytes, those above `through`
    /// never.
    Compact {
        /// Two snapshots cover the entries up to here.
        through: Index,
        /// Members need the entries above this one, at most `through`.
        wanted: Index,
    },
    /// All snapshots but these may go.
    KeepSnapshots(Vec<SnapshotId>),
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
    /// The log is to begin anew behind this entry, which it doesn't hold and which the newest
    /// snapshot ends with. Then it is `keep` too, and the write brings nothing else.
    pub reset: Option<LogId>,
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
    /// A vacant seat can't be filled yet: another change of members, or the first entry of this
    /// leader's term, isn't committed.
    NotYet,
    /// The configuration has no vacant seat of this id, or this member was removed.
    NoSeat,
    /// The members can't be changed so.
    Change(ChangeRefusal),
}

impl From<ChangeRefusal> for Refusal {
    fn from(reason: ChangeRefusal) -> Refusal {
        Refusal::Change(reason)
    }
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
