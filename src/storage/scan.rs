//! Reads one segment from its first block on, and looks behind the end for what tells damage
//! from a torn end.

use std::path::PathBuf;

use bytes::Bytes;

use crate::model::{
    Batch, ByteReader, Configuration, ENTRY_FORMAT, EntryError, EntryKind, EntryRef, FoundingEntry,
    Index, LogId, LogTime, MAX_ENTRY_BYTES, Term, TermRun,
};

use super::block::{BLOCK_HEAD_BYTES, BlockHead};
use super::hard_state::Floor;
use super::log_map::{BlockPlace, PieceCutter};
use super::segment::{FIRST_BLOCK, SegmentHead};
use super::{DiskFile, StorageError};

/// How much is read at once.
const READ_BYTES: usize = 1 << 20;

/// A block that was found whole.
#[derive(Debug)]
pub(super) struct BlockFound {
    pub(super) place: BlockPlace,
    /// The log time of its last entry.
    pub(super) last_time: Option<LogTime>,
    /// The configurations in it.
    pub(super) configurations: Vec<(Index, Configuration)>,
    /// The founding entry, if it is in it.
    pub(super) founding: Option<FoundingEntry>,
}

/// What a segment holds.
#[derive(Debug)]
pub(super) struct SegmentScan {
    /// The whole blocks, up to the first place where there is none.
    pub(super) blocks: Vec<BlockFound>,
    /// That place.
    pub(super) end: u64,
    /// What stands there instead of a block.
    pub(super) fault: Fault,
    /// The last byte behind `end` that isn't zero, plus one; `end` if there is none.
    pub(super) written_to: u64,
    /// The highest watermark of a good head behind `end`, the head at `end` included.
    pub(super) watermark: u64,
    /// The entry before the first good head behind `end`, and where that head stands.
    pub(super) resumes_behind: Option<LogId>,
    pub(super) resumes_at: Option<u64>,
}

impl SegmentScan {
    /// Whether something durable stood behind the last whole block of the last segment, as what
    /// was found behind it tells.
    pub(super) fn is_end_lost(&self, head: &SegmentHead, floor: Floor) -> bool {
        let at = head.aligned(self.end);
        let below_floor = floor.ordinal == head.ordinal && floor.offset > at;
        let certain = matches!(self.fault, Fault::Entries { certain: true, .. });
        below_floor || self.watermark > at || certain
    }
}

/// Why there is no whole block at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// No head of a block.
    NoHead,
    /// A good head whose entries aren't good.
    Entries {
        /// The first and last index that the block was to give.
        entries: Option<(Index, Index)>,
        /// Where the fault begins.
        offset: u64,
        /// What is wrong.
        what: String,
        /// Whether a write that a crash cut short can't have left it so.
        certain: bool,
    },
}

/// What is done in between while a log is read.
pub(super) type Meanwhile<'a> = dyn Fn() -> Result<(), StorageError> + 'a;

/// Nothing else is done in between.
pub(super) const NOTHING: &Meanwhile<'static> = &|| Ok(());

/// A file that is read forward, in large steps.
pub(super) struct Window<'a, F: DiskFile> {
    file: &'a F,
    path: PathBuf,
    meanwhile: &'a Meanwhile<'a>,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
    /// Bytes that were read so far.
    pub(super) read: u64,
}

impl<'a, F: DiskFile> Window<'a, F> {
    pub(super) fn new(file: &'a F, path: PathBuf) -> Result<Window<'a, F>, StorageError> {
        let length = file.length().map_err(StorageError::disk("look at", &path))?;
        let (meanwhile, bytes) = (NOTHING, Vec::new());
        Ok(Window { file, path, meanwhile, length, start: 0, bytes, read: 0 })
    }

    /// The same; `meanwhile` is done behind each read.
    pub(super) fn with(self, meanwhile: &'a Meanwhile<'a>) -> Window<'a, F> {
        Window { meanwhile, ..self }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The bytes from `offset` on, up to `wanted`, fewer only where the file ends.
    pub(super) fn get(&mut self, offset: u64, wanted: usize) -> Result<&[u8], StorageError> {
        let wanted = (self.length.saturating_sub(offset)).min(wanted as u64) as usize;
        if wanted == 0 {
            return Ok(&[]);
        }
        let held = self.start..self.start + self.bytes.len() as u64;
        if !(held.start <= offset && offset + wanted as u64 <= held.end) {
            let length = (self.length - offset).min(READ_BYTES.max(wanted) as u64);
            self.bytes.resize(length as usize, 0);
            self.file
                .read_at(offset, &mut self.bytes)
                .map_err(StorageError::disk("read", &self.path))?;
            self.start = offset;
            self.read += length;
            (self.meanwhile)()?;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.bytes[from..from + wanted])
    }
}

/// Reads the segment with this head.
pub(super) fn scan<F: DiskFile>(
    window: &mut Window<'_, F>,
    head: &SegmentHead,
) -> Result<SegmentScan, StorageError> {
    scan_from(window, head, FIRST_BLOCK)
}

/// Reads the segment with this head from an offset on, where a block begins.
pub(super) fn scan_from<F: DiskFile>(
    window: &mut Window<'_, F>,
    head: &SegmentHead,
    from: u64,
) -> Result<SegmentScan, StorageError> {
    let mut blocks = Vec::new();
    let mut end = from;
    let fault = loop {
        let at = head.aligned(end);
        let bytes = window.get(at, BLOCK_HEAD_BYTES)?;
        let Some(block) = BlockHead::decode(bytes, head.salt, at) else { break Fault::NoHead };
        match read_block(window, head.ordinal, block)? {
            Ok(found) => {
                end = found.place.head.end();
                blocks.push(found);
            }
            Err(fault) => break fault,
        }
    };
    Ok(SegmentScan {
        blocks,
        end,
        fault,
        written_to: end,
        watermark: 0,
        resumes_behind: None,
        resumes_at: None,
    })
}

/// Reads the entries of a block and verifies each.
fn read_block<F: DiskFile>(
    window: &mut Window<'_, F>,
    ordinal: u64,
    head: BlockHead,
) -> Result<Result<BlockFound, Fault>, StorageError> {
    let entries = (head.count > 0).then(|| (head.before.index + 1, head.last_index()));
    let fault =
        |offset, what: String, certain| Ok(Err(Fault::Entries { entries, offset, what, certain }));
    if head.end() > window.length() {
        return fault(head.offset, "its entries reach beyond the file".to_owned(), true);
    }
    let mut cutter = PieceCutter::new(ordinal, &head);
    let mut found = BlockFound {
        place: BlockPlace { head, last: head.before, runs: Vec::new(), pieces: Vec::new() },
        last_time: None,
        configurations: Vec::new(),
        founding: None,
    };
    let mut at = head.entries_at();
    for _ in 0..head.count {
        let left = (head.end() - at) as usize;
        let length = match window.get(at, left.min(4))? {
            [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
            _ => return fault(at, "its entries end too early".to_owned(), true),
        };
        let entry = match EntryRef::read(window.get(at, left.min(length).min(MAX_ENTRY_BYTES))?) {
            Ok(entry) => entry,
            Err(EntryError::Format(found)) => {
                let (found, supported) = (u16::from(found), u16::from(ENTRY_FORMAT));
                let (path, what) = (window.path.clone(), "an entry");
                return Err(StorageError::Newer { path, what, found, supported });
            }
            Err(error) => return fault(at, format!("an entry can't be read: {error}"), false),
        };
        if let Err(what) = found.add(&entry) {
            return fault(at, what, true);
        }
        let end = at + length as u64;
        cutter.push(entry.id().index, entry.id().index, at, end);
        at = end;
    }
    if at != head.end() {
        return fault(at, "bytes follow its last entry".to_owned(), true);
    }
    found.place.pieces = cutter.finish();
    Ok(Ok(found))
}

impl BlockFound {
    /// Adds the next entry, or says why it can't be the next.
    fn add(&mut self, entry: &EntryRef<'_>) -> Result<(), String> {
        let (last, id) = (self.place.last, entry.id());
        if last.index.0.checked_add(1) != Some(id.index.0) || id.term < last.term {
            return Err(format!("entry {id} can't follow {last}"));
        }
        if self.place.runs.last().is_none_or(|run| run.term != id.term) {
            self.place.runs.push(TermRun { term: id.term, first: id.index });
        }
        let malformed = |error| format!("entry {id} can't be understood: {error}");
        match entry.kind() {
            EntryKind::FOUNDING => {
                let batch = Batch::parse(Bytes::copy_from_slice(entry.bytes()));
                let founding = batch.and_then(FoundingEntry::new);
                let founding =
                    founding.map_err(|error| format!("entry {id} can't be understood: {error}"))?;
                let configuration = founding.founding().configuration.clone();
                self.configurations.push((id.index, configuration));
                self.founding = Some(founding);
            }
            EntryKind::CONFIGURATION => {
                let mut reader = ByteReader::new(entry.payload());
                let configuration = Configuration::decode(&mut reader).map_err(malformed)?;
                reader.finish().map_err(malformed)?;
                self.configurations.push((id.index, configuration));
            }
            _ => {}
        }
        self.last_time = Some(entry.time());
        self.place.last = id;
        Ok(())
    }

    /// The highest term in the block.
    pub(super) fn term(&self) -> Term {
        self.place.last.term
    }
}

/// Looks from the end on for written bytes and for good heads.
pub(super) fn look_behind<F: DiskFile>(
    window: &mut Window<'_, F>,
    head: &SegmentHead,
    scan: &mut SegmentScan,
) -> Result<(), StorageError> {
    let step = u64::from(head.alignment);
    let mut at = scan.end;
    while at < window.length() {
        let next = (at / step + 1) * step;
        let bytes = window.get(at, (next - at) as usize)?;
        if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
            scan.written_to = at + last as u64 + 1;
            if at.is_multiple_of(step)
                && let Some(block) = BlockHead::decode(bytes, head.salt, at)
            {
                scan.watermark = scan.watermark.max(block.watermark);
                if at > head.aligned(scan.end) && scan.resumes_behind.is_none() {
                    scan.resumes_behind = Some(block.before);
                    scan.resumes_at = Some(at);
                }
            }
        }
        at = next;
    }
    Ok(())
}
