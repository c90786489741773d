//! Term, vote, boot counter and floor: a small file with two copies.
//!
//! A change is written to the first copy and synced, then to the second and synced. So at every
//! moment one copy is whole, and a copy that rots later takes nothing with it.

use bytes::BufMut;

use crate::model::{Boot, ByteReader, HardState, Incarnation, Member, NodeId, Term};

use super::identity::{Identity, replace_file};
use super::layout::Layout;
use super::page::{PAGE_BYTES, PageFault, PageKind, counter};
use super::{Access, Corruption, Disk, DiskFile, StorageError};

/// The page's kind.
pub(super) const PAGE: PageKind = PageKind { magic: "RAFTHARD", format: 1 };

/// The length of the file.
pub(super) const FILE_BYTES: usize = 65_536;

/// Where the copies begin: far enough apart to share no block of the device.
pub(super) const COPIES: [usize; 2] = [0, 32_768];

/// The page's flag that the node's last stop was a clean one.
const CLEAN: u16 = 2;

/// A place in the log that is known durable outside of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Floor {
    /// The ordinal of a segment; 0: there was none yet.
    pub ordinal: u64,
    /// An offset in it.
    pub offset: u64,
}

/// All that the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Record {
    /// Grows by one with each change.
    pub(super) sequence: u64,
    /// Whose it is.
    pub(super) identity: Identity,
    pub(super) boot: Boot,
    pub(super) hard_state: HardState,
    pub(super) floor: Floor,
    pub(super) clean: bool,
}

impl Record {
    /// What a fresh directory has.
    pub(super) fn fresh(identity: Identity) -> Record {
        Record {
            sequence: 1,
            identity,
            boot: Boot(0),
            hard_state: HardState::default(),
            floor: Floor::default(),
            clean: true,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.identity.put(&mut body);
        body.put_u64_le(self.sequence);
        body.put_u64_le(self.boot.0);
        body.put_u64_le(self.hard_state.term.0);
        let vote = self.hard_state.vote;
        body.put_u128_le(vote.map_or(0, |vote| vote.incarnation.0));
        body.put_u16_le(vote.map_or(0, |vote| vote.id.number()));
        body.put_slice(&[0; 6]);
        body.put_u64_le(self.floor.ordinal);
        body.put_u64_le(self.floor.offset);
        let clean = if self.clean { CLEAN } else { 0 };
        PAGE.seal(self.identity.flags() | clean, &body)
    }

    pub(super) fn decode(page: &[u8]) -> Result<Record, PageFault> {
        let (flags, body) = PAGE.open(page)?;
        let mut reader = ByteReader::new(body);
        let identity = Identity::take(flags, &mut reader)?;
        let sequence = counter(&mut reader, "sequence")?;
        let boot = Boot(counter(&mut reader, "boot")?);
        let term = Term(counter(&mut reader, "term")?);
        let incarnation = Incarnation(reader.u128("vote's incarnation")?);
        let vote = NodeId::new(reader.u16("vote's node")?).map(|id| Member { id, incarnation });
        reader.take("reserved", 6)?;
        let ordinal = counter(&mut reader, "floor's ordinal")?;
        let floor = Floor { ordinal, offset: reader.u64("floor's offset")? };
        let hard_state = HardState { term, vote };
        Ok(Record { sequence, identity, boot, hard_state, floor, clean: flags & CLEAN != 0 })
    }
}

/// What the file was found to hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordFound {
    /// The newest copy.
    pub(super) record: Record,
    /// Which copies are good.
    pub(super) copies: [bool; 2],
    /// The copy that is bad or older, if one is.
    pub(super) behind: Option<usize>,
}

/// Reads both copies and takes the newest.
pub(super) fn read<D: Disk>(
    disk: &D,
    layout: &Layout,
    access: Access,
) -> Result<RecordFound, StorageError> {
    let path = &layout.hard_state;
    let file = match disk.open(path, access) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(layout, 0, "it isn't there".to_owned()));
        }
        Err(source) => return Err(StorageError::disk("open", path)(source)),
    };
    let length = file.length().map_err(StorageError::disk("look at", path))?;
    if length < FILE_BYTES as u64 {
        return Err(damaged(layout, length, "it is too short".to_owned()));
    }
    let mut copies = [Err(PageFault::Empty); 2];
    for (copy, offset) in copies.iter_mut().zip(COPIES) {
        let mut page = vec![0; PAGE_BYTES];
        file.read_at(offset as u64, &mut page).map_err(StorageError::disk("read", path))?;
        *copy = Record::decode(&page);
        if let Err(PageFault::Newer { found, supported }) = *copy {
            let (path, what) = (path.clone(), "the hard state");
            return Err(StorageError::Newer { path, what, found, supported });
        }
    }
    choose(layout, copies)
}

fn choose(
    layout: &Layout,
    copies: [Result<Record, PageFault>; 2],
) -> Result<RecordFound, StorageError> {
    let good = copies.map(|copy| copy.is_ok());
    let (record, behind) = match copies {
        [Ok(first), Ok(second)] if first == second => (first, None),
        [Ok(first), Ok(second)] if first.sequence == second.sequence => {
            let what = "its two copies of one number say different things".to_owned();
            return Err(damaged(layout, COPIES[1] as u64, what));
        }
        [Ok(first), Ok(second)] if first.sequence < second.sequence => (second, Some(0)),
        [Ok(first), _] => (first, Some(1)),
        [_, Ok(second)] => (second, Some(0)),
        [Err(fault), Err(_)] => {
            let what = format!("both copies are bad ({fault}): term and vote are lost");
            return Err(damaged(layout, 0, what));
        }
    };
    Ok(RecordFound { record, copies: good, behind })
}

fn damaged(layout: &Layout, offset: u64, what: String) -> StorageError {
    let file = "hardstate".into();
    Corruption { directory: layout.root.clone(), file, offset, what, entries: None }.into()
}

/// Makes the file, durably, in both copies.
pub(super) fn create<D: Disk>(
    disk: &D,
    layout: &Layout,
    record: &Record,
) -> Result<(), StorageError> {
    let mut contents = vec![0; FILE_BYTES];
    for copy in COPIES {
        contents[copy..copy + PAGE_BYTES].copy_from_slice(&record.encode());
    }
    replace_file(disk, &layout.root, &layout.hard_state, &contents)
}

/// The open file, and what both copies say.
#[derive(Debug)]
pub(super) struct HardStateFile<D: Disk> {
    file: D::File,
    layout: Layout,
    record: Record,
}

impl<D: Disk> HardStateFile<D> {
    /// Opens the file for writing and brings a copy that is behind up to date, before anything
    /// else is written to the file.
    pub(super) fn open(
        disk: &D,
        layout: &Layout,
        found: &RecordFound,
    ) -> Result<HardStateFile<D>, StorageError> {
        let path = &layout.hard_state;
        let file = disk.open(path, Access::Write).map_err(StorageError::disk("open", path))?;
        let opened = HardStateFile { file, layout: layout.clone(), record: found.record };
        if let Some(copy) = found.behind {
            opened.write(copy)?;
        }
        Ok(opened)
    }

    /// What is durable.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Makes a change durable in both copies.
    pub(super) fn save(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), StorageError> {
        change(&mut self.record);
        self.record.sequence += 1;
        self.write(0)?;
        self.write(1)
    }

    fn write(&self, copy: usize) -> Result<(), StorageError> {
        let path = &self.layout.hard_state;
        let page = self.record.encode();
        self.file
            .write_at(COPIES[copy] as u64, &page)
            .map_err(StorageError::disk("write", path))?;
        self.file.sync().map_err(StorageError::disk("sync", path))
    }
}
