//! Reads entries where the map says that they lie, and verifies each.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use crate::model::{ENTRY_FORMAT, EntryError, EntryRef, Index};

use super::block::{BLOCK_HEAD_BYTES, BlockHead};
use super::layout::Layout;
use super::log_map::Piece;
use super::segment::SegmentHead;
use super::{Access, Corruption, Disk, DiskFile, StorageError};

/// How many files are kept open.
const OPEN_FILES: usize = 8;

/// Where an entry was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryPlace {
    /// Where it begins in its segment.
    pub(super) offset: u64,
    /// Whether it is the last of its block.
    pub(super) ends_block: bool,
}

/// Reads entries, keeping a few files open.
#[derive(Debug)]
pub(super) struct EntryReader<D: Disk> {
    /// Each with the salt of its segment: a number can stand for another file after a start.
    files: BTreeMap<u64, (u64, D::File)>,
    bytes: Vec<u8>,
}

impl<D: Disk> EntryReader<D> {
    pub(super) fn new() -> EntryReader<D> {
        EntryReader { files: BTreeMap::new(), bytes: Vec::new() }
    }

    /// Closes the file of a segment that is to be removed.
    pub(super) fn close(&mut self, ordinal: u64) {
        self.files.remove(&ordinal);
    }

    /// Calls `each` for the entries of a piece that lies in the segment with this head, in order.
    pub(super) fn read(
        &mut self,
        disk: &D,
        layout: &Layout,
        head: &SegmentHead,
        piece: &Piece,
        each: &mut dyn FnMut(&EntryRef<'_>, EntryPlace) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StorageError> {
        let path = layout.log.join(head.file_name());
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize((piece.end - piece.offset) as usize, 0);
        let file = self.file(disk, &path, head)?;
        file.read_at(piece.offset, &mut bytes).map_err(StorageError::disk("read", &path))?;
        let flow =
            walk(head, piece, &bytes, each).map_err(|fault| fault.report(layout, head, &path));
        self.bytes = bytes;
        flow
    }

    fn file(
        &mut self,
        disk: &D,
        path: &Path,
        head: &SegmentHead,
    ) -> Result<&D::File, StorageError> {
        let known = self.files.get(&head.ordinal).is_some_and(|(salt, _)| *salt == head.salt);
        if !known {
            if self.files.len() >= OPEN_FILES {
                self.files.pop_first();
            }
            let file = disk.open(path, Access::Read).map_err(StorageError::disk("open", path))?;
            self.files.insert(head.ordinal, (head.salt, file));
        }
        let (_, file) = self.files.get(&head.ordinal).expect("it was just put in");
        Ok(file)
    }
}

/// Why an entry can't be read.
struct ReadFault {
    offset: u64,
    what: String,
    entries: (Index, Index),
    newer: Option<u8>,
}

impl ReadFault {
    fn report(self, layout: &Layout, head: &SegmentHead, path: &Path) -> StorageError {
        if let Some(format) = self.newer {
            let (found, supported) = (u16::from(format), u16::from(ENTRY_FORMAT));
            let (path, what) = (path.to_owned(), "an entry");
            return StorageError::Newer { path, what, found, supported };
        }
        let (first, last) = self.entries;
        Corruption {
            directory: layout.root.clone(),
            file: Path::new("log").join(head.file_name()),
            offset: self.offset,
            what: self.what,
            entries: Some((first, Some(last))),
        }
        .into()
    }
}

/// Goes through the bytes of a piece.
fn walk(
    head: &SegmentHead,
    piece: &Piece,
    bytes: &[u8],
    each: &mut dyn FnMut(&EntryRef<'_>, EntryPlace) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, ReadFault> {
    let mut at = piece.offset;
    let mut block_end = if piece.at_head { at } else { piece.end };
    let mut index = piece.first;
    let from = |at: u64| bytes.get((at - piece.offset) as usize..).unwrap_or_default();
    while index <= piece.last {
        let fault = |what: String, newer| ReadFault {
            offset: at,
            what,
            entries: (index, piece.last),
            newer,
        };
        if at == block_end {
            let begin = head.aligned(at);
            let block = BlockHead::decode(from(begin), head.salt, begin)
                .ok_or_else(|| fault("the head of a block is bad".to_owned(), None))?;
            at = begin + BLOCK_HEAD_BYTES as u64;
            block_end = block.end();
            continue;
        }
        let entry = EntryRef::read(from(at)).map_err(|error| match error {
            EntryError::Format(format) => fault(String::new(), Some(format)),
            other => fault(format!("an entry can't be read: {other}"), None),
        })?;
        if entry.id().index != index {
            return Err(fault(format!("entry {} stands where {index} was", entry.id()), None));
        }
        let end = at + entry.bytes().len() as u64;
        let ends_block = if piece.at_head || piece.ends_block { end == block_end } else { false };
        let place = EntryPlace { offset: at, ends_block };
        if each(&entry, place).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        at = end;
        index = index + 1;
    }
    Ok(ControlFlow::Continue(()))
}
