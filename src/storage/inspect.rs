//! Looking at a data directory without changing it, also while its node runs.

use std::path::Path;

use crate::model::{Boot, EntryHeader, HardState, Index, LogId};

use super::{Corruption, Disk, Identity, StorageError};

/// A data directory that is only read. A live one is never mapped, and read to its last whole
/// block.
#[derive(Debug)]
pub struct Inspection<D: Disk> {
    disk: D,
}

/// What a directory says beside its log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meta {
    /// Who it belongs to.
    pub identity: Identity,
    /// Term and vote.
    pub hard_state: HardState,
    /// How often it was started.
    pub boot: Boot,
    /// The floor: up to where the log is known durable.
    pub floor: Floor,
    /// Whether the last stop was a clean one.
    pub clean: bool,
    /// Which copies of the hard state are good, in the order of the file.
    pub hard_state_copies: [bool; 2],
    /// Which copies of the identity are good, in the order of the file.
    pub identity_copies: [bool; 2],
}

/// A place in the log that is known durable outside of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Floor {
    /// The ordinal of a segment; 0: there was none yet.
    pub ordinal: u64,
    /// An offset in it.
    pub offset: u64,
}

/// One entry where it lies.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// Kind, name and time.
    pub header: EntryHeader,
    /// What stands behind the header.
    pub payload: bytes::Bytes,
    /// The checksum that it carries.
    pub checksum: u32,
    /// The encoded length.
    pub encoded_bytes: u32,
    /// The segment's file name.
    pub segment: String,
    /// Where it begins in the segment.
    pub offset: u64,
    /// Whether it is the last entry of its block.
    pub ends_block: bool,
}

/// One segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentSummary {
    /// Its file name.
    pub name: String,
    /// Its ordinal.
    pub ordinal: u64,
    /// The last entry of the log when it was made.
    pub before: LogId,
    /// Whether it voids all segments before it.
    pub reset: bool,
    /// How long the file is.
    pub file_bytes: u64,
    /// Where its last whole block ends.
    pub end: u64,
    /// How many whole blocks it has.
    pub blocks: u64,
    /// The first and last index of the entries in it, replaced ones included.
    pub entries: Option<(Index, Index)>,
    /// How many entries lie in it, replaced ones included.
    pub entry_count: u64,
}

/// What a verification says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every byte that counts is as it was written.
    Ok,
    /// The log ends in a block that a crash left unfinished; nothing acknowledged is lost.
    Torn,
    /// Something that was durable is damaged.
    Corrupt,
}

/// What was found in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    /// The worst of the findings.
    pub verdict: Verdict,
    /// The first and last entry that the log holds.
    pub entries: Option<(Index, Index)>,
    /// The segments, in order.
    pub segments: Vec<SegmentSummary>,
    /// What isn't as it should be.
    pub findings: Vec<Finding>,
}

/// One thing that isn't as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// An unfinished block at the end.
    Torn(super::TornTail),
    /// Damage.
    Damage(Corruption),
    /// Something that does no harm, such as one bad copy of two.
    Note(String),
}

impl<D: Disk> Inspection<D> {
    /// Looks at the directory at `path`.
    pub fn open(disk: D, path: &Path) -> Result<Inspection<D>, StorageError> {
        let _ = disk;
        Err(StorageError::NoDirectory { path: path.to_owned() })
    }

    /// Whether a process has the directory in use. What is read beyond the durable end may then
    /// be lost yet.
    #[must_use]
    pub fn is_live(&self) -> bool {
        let _ = &self.disk;
        false
    }

    /// Identity, hard state and floor.
    pub fn meta(&self) -> Result<Meta, StorageError> {
        Err(StorageError::Poisoned)
    }

    /// Reads everything and says how it is. Damage is a finding, not an error.
    pub fn verify(&self) -> Result<Verification, StorageError> {
        Err(StorageError::Poisoned)
    }

    /// The first and last index that the log holds, up to the first damage.
    pub fn range(&self) -> Result<Option<(Index, Index)>, StorageError> {
        Ok(None)
    }

    /// Calls `each` for the entries from `first` to `last` that the log holds, in order, until it
    /// says false. Damage is an error, after the entries before it.
    pub fn entries(
        &self,
        first: Index,
        last: Index,
        each: &mut dyn FnMut(StoredEntry) -> bool,
    ) -> Result<(), StorageError> {
        let _ = (first, last, each);
        Err(StorageError::Poisoned)
    }
}
