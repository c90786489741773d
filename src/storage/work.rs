//! What the log thread and the file thread are asked and what they answer.

use crate::model::{Batch, HardState, Index, LogId, WriteSeq};

use super::StorageError;

/// Work for [`LogWriter::perform`](super::LogWriter::perform).
#[derive(Clone, Debug)]
pub enum LogWork {
    /// Make this durable: the hard state first, then one block.
    Write {
        /// The number by which completion is reported.
        seq: WriteSeq,
        /// Term and vote, if they changed.
        hard_state: Option<HardState>,
        /// The last entry that stays; those above it are replaced.
        keep: LogId,
        /// The entries behind `keep`, consecutive over all batches. None and `keep` the last
        /// entry: only the hard state is written.
        batches: Vec<Batch>,
    },
    /// Nothing was to be done for a while: note durably how far the log is durable.
    Mark,
    /// The state up to `base`, which this log doesn't hold, is durable elsewhere: begin the log
    /// anew behind it.
    Reset {
        /// The number by which completion is reported.
        seq: WriteSeq,
        /// The last entry of that state.
        base: LogId,
    },
    /// Give up the founding entry for this one, and what stands behind it: at most one entry of
    /// each term. Term and vote stay.
    Refound {
        /// One entry, a [`Founding`](crate::model::Founding) at index 1.
        founding: Batch,
    },
    /// The node stops: note durably that everything is durable.
    Stop,
}

/// What [`LogWriter::perform`](super::LogWriter::perform) did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogReport {
    /// What became durable.
    pub done: LogDone,
    /// How many spares are to be made, each by a [`FileWork::MakeSpare`]. It counts those that
    /// were asked for in earlier reports and aren't there yet.
    pub spares_wanted: usize,
}

/// What became durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogDone {
    /// The write with this number and all before it.
    Written {
        /// The number.
        seq: WriteSeq,
        /// How many bytes of entries it had.
        bytes: u64,
        /// Whether a new segment was begun.
        rotated: Rotated,
    },
    /// Nothing new; how far the log is durable is noted.
    Marked,
    /// The log begins at its new founding entry.
    Refounded,
    /// Everything is noted; there is nothing to do any more.
    Stopped,
}

/// Whether a write began a new segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotated {
    /// It went into the open one.
    No,
    /// A spare stood ready.
    OntoSpare,
    /// There was no spare, and the log thread had to make one: slow.
    WithoutSpare,
}

/// Work for [`FileWorker::perform`](super::FileWorker::perform).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileWork {
    /// Make a spare segment and put it where the log thread finds it.
    MakeSpare,
    /// Read entries that were reported as written.
    Read {
        /// The caller's number for it.
        ticket: u64,
        /// The first entry.
        first: Index,
        /// The last entry wanted.
        last: Index,
        /// Stop before the entries exceed so many bytes, but give one at least.
        max_bytes: u64,
    },
    /// Remove the segments that hold only entries up to this one, which a durable snapshot
    /// covers, and those that a [`LogWork::Reset`] or [`LogWork::Refound`] has voided.
    RemoveThrough(Index),
}

/// What [`FileWorker::perform`](super::FileWorker::perform) did.
#[derive(Debug)]
pub enum FileReport {
    /// A spare stands ready, or enough were there.
    SpareReady,
    /// There is no room for a spare; the log goes on in the segments it has.
    NoRoomForSpare(StorageError),
    /// Entries, verified.
    Entries {
        /// The number of the request.
        ticket: u64,
        /// At least one entry, from the first that was asked for.
        batch: Batch,
    },
    /// The log doesn't hold the first entry that was asked for (any more).
    NotHeld {
        /// The number of the request.
        ticket: u64,
    },
    /// So many segments were removed.
    Removed {
        /// How many.
        segments: usize,
    },
}
