//! What a snapshot is called, the same on every node.

use std::fmt;

use super::{ByteReader, Index, LogId, Malformed, PutBytes, Term};

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

/// Terms, indexes and lengths above it are never believed.
const MAX_COUNTER: u64 = 1 << 62;

impl SnapshotId {
    /// Appends the encoding to `out`: log id (16), length (8), hash (16).
    pub fn encode(&self, out: &mut impl PutBytes) {
        out.put_u64_le(self.last.term.0);
        out.put_u64_le(self.last.index.0);
        out.put_u64_le(self.bytes);
        out.put_u128_le(self.hash);
    }

    /// Reads what [`SnapshotId::encode`] wrote.
    pub fn decode(reader: &mut ByteReader<'_>) -> Result<SnapshotId, Malformed> {
        let term = Term(counter(reader, "snapshot term")?);
        let index = Index(counter(reader, "snapshot index")?);
        let bytes = counter(reader, "snapshot length")?;
        let hash = reader.u128("snapshot hash")?;
        Ok(SnapshotId { last: LogId { term, index }, bytes, hash })
    }
}

fn counter(reader: &mut ByteReader<'_>, field: &'static str) -> Result<u64, Malformed> {
    let offset = reader.offset();
    match reader.u64(field)? {
        found if found <= MAX_COUNTER => Ok(found),
        found => Err(Malformed::TooLarge { field, offset, found, bound: MAX_COUNTER }),
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.last, self.bytes)
    }
}
