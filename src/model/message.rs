//! What members say to each other.

use bytes::Bytes;

use super::{Batch, Boot, Index, LogId, Member, Round, SnapshotId, Term};

/// A message between two members. Messages may be lost, doubled, delayed and reordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Who sends it.
    pub from: Member,
    /// For whom it is. A message for another incarnation is dropped before its term is looked at.
    pub to: Member,
    /// The sender's term, which is durable before the message leaves.
    pub term: Term,
    /// What it says.
    pub body: Body,
}

/// What a [`Message`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Would the receiver vote for the sender in `candidate_term`? It promises nothing
    /// (dissertation, section 9.6).
    PreVote {
        /// The term that the sender would stand for.
        candidate_term: Term,
        /// The last entry of the sender's log.
        last: LogId,
    },
    /// The answer to a [`Body::PreVote`].
    PreVoteReply {
        /// The term that was asked about.
        candidate_term: Term,
        /// Whether the receiver would get the vote.
        granted: bool,
    },
    /// The sender stands for election in the message's term.
    Vote {
        /// The last entry of the candidate's log.
        last: LogId,
        /// Whether the leader itself asked for this election, so that having heard of a leader
        /// is no reason to refuse (dissertation, section 4.2.3).
        transfer: bool,
    },
    /// The answer to a [`Body::Vote`], in the voter's term.
    VoteReply {
        /// Whether the vote is given, durably.
        granted: bool,
    },
    /// Entries of the leader's log, or a probe where there are none.
    Append(Append),
    /// The answer to a [`Body::Append`], or that the level has risen since.
    AppendReply(AppendReply),
    /// The leader lives; also a round by which reads are confirmed.
    Heartbeat {
        /// Grows with each round of a leader.
        round: Round,
        /// The leader's commit index.
        commit: Index,
        /// What the leader knows of each member.
        levels: Vec<PeerLevel>,
    },
    /// The answer to a [`Body::Heartbeat`]: the sender follows the leader of this term, or is in
    /// a later term than the heartbeat.
    HeartbeatReply {
        /// The round that is answered; zero if the heartbeat was of an earlier term.
        round: Round,
        /// As in [`AppendReply::Accepted`]; zero where nothing matched yet in this term.
        matched: Index,
        /// As in [`AppendReply::Accepted`]; zero where nothing matched yet in this term.
        durable: Index,
    },
    /// The receiver is to stand for election at once (dissertation, section 3.10).
    TimeoutNow,
    /// Bytes of a snapshot, for a member that needs entries that the leader's log no longer holds
    /// (paper, section 7).
    Piece(Piece),
    /// The answer to a [`Body::Piece`], or that something has come of it since.
    PieceReply(PieceReply),
}

/// A piece of the leader's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    /// The entry before the first one sent.
    pub prev: LogId,
    /// The leader's commit index.
    pub commit: Index,
    /// The entries behind `prev`; `None` asks only whether `prev` matches.
    pub batch: Option<Batch>,
}

/// What a follower answers to an [`Append`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendReply {
    /// The follower's log equals the leader's up to `matched`.
    Accepted {
        /// The last index that is known to equal the leader's log in this term.
        matched: Index,
        /// How much of that would survive a power cut: at most `matched`. Only this counts for
        /// a commit.
        durable: Index,
    },
    /// The follower's log doesn't hold the entry before the ones sent.
    Conflict {
        /// The index of [`Append::prev`] that is answered.
        rejected: Index,
        /// The follower's last entry at or below `rejected` whose term isn't above the term of
        /// the rejected entry. The logs can't match between it and `rejected`.
        hint: LogId,
    },
    /// The follower has too much that isn't durable yet and dropped the entries. The leader
    /// sends again from `matched` when the follower's level rises or a heartbeat interval has
    /// passed.
    Busy {
        /// As in [`AppendReply::Accepted`].
        matched: Index,
        /// As in [`AppendReply::Accepted`].
        durable: Index,
    },
}

/// Bytes of the file of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// Where in the file they stand.
    pub offset: u64,
    /// At most [`MAX_PIECE_BYTES`](super::MAX_PIECE_BYTES). None: asks how much of this snapshot
    /// the receiver has.
    pub bytes: Bytes,
}

/// What a follower answers to a [`Piece`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceReply {
    /// Which snapshot.
    pub snapshot: SnapshotId,
    /// What the follower has of it.
    pub receipt: Receipt,
}

/// How far the transfer of a snapshot is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Receipt {
    /// The follower has the bytes before this offset, and wants those from there on. It may be
    /// below what it said earlier, where what it had turned out to be bad.
    Has(u64),
    /// The log of the follower is durable up to the snapshot's last entry, whether by this
    /// snapshot or without it, and equals the leader's up to there. Entries may follow.
    Done,
}

/// What the leader knows of a member, told to all with each heartbeat, so that whoever has
/// forgotten something can be recognised by the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerLevel {
    /// The member.
    pub member: Member,
    /// Up to where its log is known to equal the leader's, durably.
    pub matched: Index,
    /// The highest boot it was heard under.
    pub boot: Boot,
}
