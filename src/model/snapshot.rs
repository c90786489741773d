//! What a snapshot is called, the same on every node.

use std::fmt;

use super::LogId;

/// The most bytes of a snapshot's file that are sent, stored or read at a time: with its head, a
/// piece fits into a frame of 64 KiB, and it is a whole number of pages.
pub const MAX_PIECE_BYTES: usize = 60 << 10;

/// Names the file of a snapshot. Replicas that take a snapshot behind the same entry make the
/// same bytes, so a transfer may go on at any node that holds a snapshot of the same name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SnapshotId {
    /// The last entry whose effects it holds.
    pub last: LogId,
    /// How long the file is.
    pub bytes: u64,
    /// The hash of what the file holds, as its foot says.
    pub hash: u128,
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.last, self.bytes)
    }
}
