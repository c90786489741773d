//! The vocabulary that all rooms share. It depends on none of them.
//!
//! - ids: [`NodeId`], [`Member`], [`Term`], [`Index`], [`LogId`] and the other numbers;
//! - time: [`Time`] that a process measures, [`LogTime`] that the log carries;
//! - the log: [`EntryHeader`], [`EntryRef`] and [`Batch`], one encoding for wire and disk;
//! - the cluster: [`Configuration`], made for joint configurations;
//! - what peers say to each other: [`Message`];
//! - snapshots by their name: [`SnapshotId`]; and [`Hash128`], by which replicas compare.

mod batch;
mod codec;
mod configuration;
mod entry;
mod founding;
mod hash;
mod ids;
mod message;
mod snapshot;
mod span;
mod time;

pub use batch::{Batch, BatchBuilder, BatchError, EntryMark};
pub use codec::{ByteReader, Malformed, PutBytes};
pub use configuration::{Configuration, MAX_ADDRESS_BYTES, MAX_REMOVED, MAX_SEATS, Seat, Standing};
pub use entry::{
    ENTRY_FORMAT, ENTRY_HEADER_BYTES, EntryError, EntryHeader, EntryKind, EntryRef, MAX_ENTRY_BYTES,
};
pub use founding::Founding;
pub use hash::Hash128;
pub use ids::{
    Boot, ClusterId, Epoch, Incarnation, Index, LogId, Member, NodeId, Round, StartNumber, Term,
    WriteSeq,
};
pub use message::{Append, AppendReply, Body, Message, PeerLevel, Piece, PieceReply, Receipt};
pub use snapshot::{MAX_PIECE_BYTES, SnapshotId};
pub use span::{Span, TermRun};
pub use time::{LogTime, Time};

/// What a node must never forget: its term and whom it voted for in it (paper, figure 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HardState {
    /// The latest term that the node has seen.
    pub term: Term,
    /// Who got the node's vote in `term`, if anybody did.
    pub vote: Option<Member>,
}
