//! What the log thread and the file thread are asked and what they answer.

use std::any::Any;

use bytes::Bytes;

use crate::model::{Batch, FoundingEntry, HardState, Index, LogId, SnapshotId, WriteSeq};

use super::{SnapshotFault, SnapshotHead, SnapshotSink, SnapshotSource, StorageError};

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
        /// The new beginning.
        founding: FoundingEntry,
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
///
/// Each is one short step, so that more urgent work can go between the steps of what is long: a
/// snapshot that is built, and one that is loaded. The worker keeps one of each at a time.
#[derive(Debug)]
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
    /// Begin to write a snapshot, in place of one that isn't finished.
    BeginSnapshot {
        /// What it says of itself.
        head: SnapshotHead,
        /// What it is made from.
        source: Box<dyn SnapshotSource>,
    },
    /// Go on with the snapshot that was begun.
    ContinueSnapshot {
        /// About how many bytes to write, or to read back.
        budget: u64,
    },
    /// Read a piece of a snapshot.
    ReadPiece {
        /// The caller's number for it.
        ticket: u64,
        /// Which one.
        snapshot: SnapshotId,
        /// Where the piece begins in the file.
        offset: u64,
        /// How many bytes at most; never more than
        /// [`MAX_PIECE_BYTES`](crate::model::MAX_PIECE_BYTES).
        max_bytes: usize,
    },
    /// Store a piece of a snapshot that is being received. A piece of another one than before
    /// begins it, and gives up the one before unless that is being loaded. An empty piece only
    /// asks how much is there.
    StorePiece {
        /// Which one.
        snapshot: SnapshotId,
        /// Where the piece begins in the file.
        offset: u64,
        /// The piece. It is stored if it is the next one.
        bytes: Bytes,
    },
    /// Begin to verify and to load the snapshot that was received.
    LoadReceived {
        /// Which one.
        snapshot: SnapshotId,
        /// What it is loaded into.
        sink: Box<dyn SnapshotSink>,
    },
    /// Go on with loading.
    ContinueLoad {
        /// About how many bytes to read.
        budget: u64,
    },
    /// Remove all snapshots but these, the oldest first. Those that are being sent to a peer must
    /// be among these, and one that reaches to where the log begins.
    DropSnapshots {
        /// Those that stay. What isn't there (any more) is passed over.
        keep: Vec<SnapshotId>,
    },
    /// Remove the segments that hold only entries up to `through`, as far as nobody wants them,
    /// and those that a [`LogWork::Reset`] or [`LogWork::Refound`] has voided.
    RemoveThrough {
        /// The two newest snapshots cover the entries up to this one.
        through: Index,
        /// Entries above this one are still wanted.
        wanted: Index,
        /// What is wanted stays only while the log takes no more than so many bytes.
        max_bytes: u64,
    },
    /// Drop this. It may be large, and freeing its memory takes its time.
    Free(Box<dyn Any + Send>),
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
    /// The snapshot that was begun is written so far, and isn't finished.
    SnapshotWritten {
        /// How long its file is by now.
        bytes: u64,
        /// What it is made from, once all of that was read. To free it may take long.
        used: Option<Box<dyn SnapshotSource>>,
    },
    /// There is no room for the snapshot; nothing is left of it.
    NoRoomForSnapshot(StorageError),
    /// The snapshot is durable, was read back, and counts.
    SnapshotSaved {
        /// Its name.
        snapshot: SnapshotId,
    },
    /// A piece, verified.
    Piece {
        /// The number of the request.
        ticket: u64,
        /// At least one byte, and less than was asked for where a chunk ends.
        bytes: Bytes,
    },
    /// The snapshot is gone, damaged, or shorter.
    PieceLost {
        /// The number of the request.
        ticket: u64,
    },
    /// A piece was stored, or wasn't the next one.
    PieceStored {
        /// Of which snapshot.
        snapshot: SnapshotId,
        /// The offset of the next byte that is wanted. After a crash it may be lower.
        has: u64,
    },
    /// There is no room for a piece. What came in before stays.
    NoRoomForPiece {
        /// Of which snapshot.
        snapshot: SnapshotId,
        /// The offset of the next byte that is wanted.
        has: u64,
        /// What the system said.
        error: StorageError,
    },
    /// What was received is loaded so far.
    Loading {
        /// How much of its file was read.
        bytes: u64,
    },
    /// What was received is verified, loaded and durable, and counts.
    Received {
        /// Its name.
        snapshot: SnapshotId,
        /// What it says of itself.
        head: SnapshotHead,
        /// What it was loaded into.
        sink: Box<dyn SnapshotSink>,
    },
    /// What was received is bad, and doesn't count.
    ReceivedBad {
        /// Its name.
        snapshot: SnapshotId,
        /// What is wrong with it.
        reason: SnapshotFault,
        /// The offset of the next byte that is wanted. 0: all of it was given up.
        has: u64,
    },
    /// So many snapshots were removed.
    SnapshotsDropped {
        /// How many.
        snapshots: usize,
    },
    /// Segments were removed.
    Removed {
        /// How many.
        segments: usize,
        /// Whether more of them can go at once: give the same work again.
        more: bool,
        /// The log begins behind this entry now.
        base: LogId,
        /// How many bytes it takes.
        log_bytes: u64,
    },
    /// What was given is dropped.
    Freed,
}
