//! Looking at a data directory without changing it, also while its node runs.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;

use crate::model::{Boot, EntryHeader, HardState, Index, LogId, Term};

use super::hard_state::{self, Record, RecordFound};
use super::identity::{self, IdentityFound};
use super::layout::Layout;
use super::reader::EntryReader;
use super::recover::{LogFound, SegmentRead, read_log};
use super::{Access, Corruption, Disk, Floor, Identity, StorageError, TornTail};

/// A data directory that is only read. A live one is never mapped, and read to its last whole
/// block.
#[derive(Debug)]
pub struct Inspection<D: Disk> {
    pub(super) disk: D,
    pub(super) layout: Layout,
    live: bool,
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

/// One entry where it lies.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// Kind, name and time.
    pub header: EntryHeader,
    /// What stands behind the header.
    pub payload: Bytes,
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
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
    Torn(TornTail),
    /// Damage.
    Damage(Corruption),
    /// Something that does no harm, such as one bad copy of two.
    Note(String),
}

/// How often a live log is read again when it seems damaged: its node may have written meanwhile.
const LIVE_READS: usize = 4;

impl<D: Disk> Inspection<D> {
    /// Looks at the directory at `path`.
    pub fn open(disk: D, path: &Path) -> Result<Inspection<D>, StorageError> {
        let layout = Layout::new(path);
        let live = disk
            .is_locked(&layout.lock)
            .map_err(StorageError::disk("look at the lock of", path))?;
        match disk.open(&layout.identity, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StorageError::NoDirectory { path: path.to_owned() })
            }
            Err(source) => Err(StorageError::disk("open", &layout.identity)(source)),
            Ok(_) => Ok(Inspection { disk, layout, live }),
        }
    }

    /// Whether a process has the directory in use. What is read beyond the durable end may then
    /// be lost yet.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Identity, hard state and floor.
    pub fn meta(&self) -> Result<Meta, StorageError> {
        let identity = self.identity()?;
        let found = hard_state::read(&self.disk, &self.layout, self.access())?;
        let record = found.record;
        Ok(Meta {
            identity: identity.identity,
            hard_state: record.hard_state,
            boot: record.boot,
            floor: record.floor,
            clean: record.clean,
            hard_state_copies: found.copies,
            identity_copies: identity.copies,
        })
    }

    /// Reads everything and says how it is. Damage is a finding, not an error.
    pub fn verify(&self) -> Result<Verification, StorageError> {
        let mut findings = Vec::new();
        match self.identity() {
            Ok(found) => note_copies(&mut findings, "identity", found.copies),
            Err(StorageError::Corrupt(damage)) => findings.push(Finding::Damage(*damage)),
            Err(error) => return Err(error),
        }
        match hard_state::read(&self.disk, &self.layout, self.access()) {
            Ok(found) => note_copies(&mut findings, "hard state", found.copies),
            Err(StorageError::Corrupt(damage)) => findings.push(Finding::Damage(*damage)),
            Err(error) => return Err(error),
        }
        let log = self.log()?;
        for name in &log.strange {
            findings.push(Finding::Note(format!("log/{name} isn't a file of the log")));
        }
        for name in &log.void {
            let text = format!("log/{name} is void: a later segment begins the log anew");
            findings.push(Finding::Note(text));
        }
        if log.map.base() != LogId::ORIGIN {
            let text =
                format!("the log begins behind {}: a snapshot holds the rest", log.map.base());
            findings.push(Finding::Note(text));
        }
        if !self.live {
            // What stands behind the last whole block of a live log is a write under way.
            findings.extend(log.torn.clone().map(Finding::Torn));
        }
        for name in &log.kept {
            let text = format!("log/{name} is a damaged segment that was kept; it doesn't count");
            findings.push(Finding::Note(text));
        }
        let damage = self.all_damage(&log, &self.record()?)?;
        findings.extend(damage.into_iter().map(Finding::Damage));
        let verdict = findings.iter().map(Finding::verdict).max().unwrap_or(Verdict::Ok);
        let segments = log.segments.iter().map(summary).collect();
        Ok(Verification { verdict, entries: range_of(&log), segments, findings })
    }

    /// The first and last index that the log holds, up to the first damage.
    pub fn range(&self) -> Result<Option<(Index, Index)>, StorageError> {
        Ok(range_of(&self.log()?))
    }

    /// Calls `each` for the entries from `first` to `last` that the log holds, in order, until it
    /// says false. Damage is an error, after the entries before it.
    pub fn entries(
        &self,
        first: Index,
        last: Index,
        each: &mut dyn FnMut(StoredEntry) -> bool,
    ) -> Result<(), StorageError> {
        let log = self.log()?;
        let mut next = first.max(log.map.base().index + 1);
        let mut reader = EntryReader::new();
        while next <= last
            && let Some(piece) = log.map.pieces_from(next, last, 1).first()
        {
            let head = log.map.head(piece.ordinal).expect("a piece lies in a segment of the map");
            let segment = head.file_name();
            let flow =
                reader.read(&self.disk, &self.layout, &head, piece, &mut |entry, place| {
                    let index = entry.id().index;
                    if index < next {
                        return ControlFlow::Continue(());
                    }
                    let wanted = index <= last
                        && each(StoredEntry {
                            header: entry.header(),
                            payload: Bytes::copy_from_slice(entry.payload()),
                            checksum: entry.checksum(),
                            encoded_bytes: entry.bytes().len() as u32,
                            segment: segment.clone(),
                            offset: place.offset,
                            ends_block: place.ends_block,
                        });
                    if wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
            if flow.is_break() {
                return Ok(());
            }
            next = piece.last + 1;
        }
        match log.damage {
            Some(damage) if next <= last => Err(damage.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn access(&self) -> Access {
        if self.live { Access::Read } else { Access::ReadDevice }
    }

    fn identity(&self) -> Result<IdentityFound, StorageError> {
        let found = identity::read(&self.disk, &self.layout, self.access())?;
        found.ok_or_else(|| StorageError::NoDirectory { path: self.layout.root.clone() })
    }

    /// Reads the log. Of a live one, damage counts when it is found twice at the same place.
    pub(super) fn log(&self) -> Result<LogFound, StorageError> {
        let mut seen = None;
        for _ in 1..LIVE_READS {
            match self.read_log() {
                Ok(log) if !self.live || log.damage.is_none() || log.damage == seen => {
                    return Ok(log);
                }
                Ok(log) => seen = log.damage,
                Err(StorageError::Disk { source, .. })
                    if self.live && source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.read_log()
    }

    fn read_log(&self) -> Result<LogFound, StorageError> {
        // The hard state first: what it says of the log was so when it was written.
        let record = self.record()?;
        read_log(&self.disk, &self.layout, self.access(), &record)
    }

    fn record(&self) -> Result<Record, StorageError> {
        Ok(match hard_state::read(&self.disk, &self.layout, self.access()) {
            Ok(RecordFound { record, .. }) => record,
            // Without it nothing is known of terms and of the floor, but the log can be read.
            Err(StorageError::Corrupt(_)) => {
                let mut record = Record::fresh(self.identity()?.identity);
                record.hard_state.term = Term(u64::MAX);
                record
            }
            Err(error) => return Err(error),
        })
    }
}

impl Finding {
    pub(super) fn verdict(&self) -> Verdict {
        match self {
            Finding::Torn(_) => Verdict::Torn,
            Finding::Damage(_) => Verdict::Corrupt,
            Finding::Note(_) => Verdict::Ok,
        }
    }
}

fn note_copies(findings: &mut Vec<Finding>, name: &str, copies: [bool; 2]) {
    for (copy, good) in copies.iter().enumerate() {
        if !good {
            let text = format!("copy {} of the {name} is bad; the other is used", copy + 1);
            findings.push(Finding::Note(text));
        }
    }
}

fn range_of(log: &LogFound) -> Option<(Index, Index)> {
    let (base, last) = (log.map.base().index, log.map.last().index);
    (last > base).then(|| (base + 1, last))
}

fn summary(read: &SegmentRead) -> SegmentSummary {
    SegmentSummary {
        name: read.name.clone(),
        ordinal: read.head.ordinal,
        before: read.head.before,
        reset: read.head.reset,
        file_bytes: read.file_bytes,
        end: read.end,
        blocks: read.blocks,
        entries: read.entries,
        entry_count: read.entry_count,
    }
}
