//! A run of consecutive entries in one shared buffer.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{ENTRY_HEADER_BYTES, EntryError, EntryHeader, EntryKind, EntryRef, Index, LogId};

/// What is known of an entry in a [`Batch`] without reading its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryMark {
    /// The entry's name.
    pub id: LogId,
    /// What it is for.
    pub kind: EntryKind,
    /// Where it ends in the buffer it was made in.
    end: u32,
}

/// One or more consecutive entries, encoded one behind the other in a shared buffer.
///
/// A batch is made once and then shared: the log thread copies it into the segment, the peers'
/// sockets send it, the state machine reads from it. Cloning and slicing copy no entry. Every
/// entry's checksum was verified or computed when the batch was made.
#[derive(Clone)]
pub struct Batch {
    buffer: Bytes,
    marks: Arc<[EntryMark]>,
    range: Range<usize>,
}

/// Bytes that aren't a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BatchError {
    /// There isn't a single entry.
    #[error("no entry")]
    Empty,
    /// An entry can't be read.
    #[error("entry at offset {offset}: {error}")]
    Entry {
        /// Where the entry begins.
        offset: usize,
        /// What is wrong with it.
        error: EntryError,
    },
    /// An entry doesn't follow the one before: its index isn't the next, or its term is lower.
    #[error("entry at offset {offset}: {found} doesn't follow {previous}")]
    Sequence {
        /// Where the entry begins.
        offset: usize,
        /// The entry before.
        previous: LogId,
        /// The entry.
        found: LogId,
    },
}

impl Batch {
    /// Reads entries from `buffer`, which must hold them and nothing else: every checksum is
    /// verified, indexes must be consecutive and terms never fall.
    pub fn parse(buffer: Bytes) -> Result<Batch, BatchError> {
        let mut marks: Vec<EntryMark> = Vec::new();
        let mut offset = 0;
        while offset < buffer.len() {
            let entry = EntryRef::read(&buffer[offset..])
                .map_err(|error| BatchError::Entry { offset, error })?;
            let found = entry.id();
            if let Some(previous) = marks.last().map(|mark| mark.id)
                && !follows(previous, found)
            {
                return Err(BatchError::Sequence { offset, previous, found });
            }
            offset += entry.bytes().len();
            marks.push(EntryMark { id: found, kind: entry.kind(), end: offset as u32 });
        }
        if marks.is_empty() {
            return Err(BatchError::Empty);
        }
        let range = 0..marks.len();
        Ok(Batch { buffer, marks: marks.into(), range })
    }

    /// How many entries there are, at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// The name of the first entry.
    #[must_use]
    pub fn first(&self) -> LogId {
        self.marks[self.range.start].id
    }

    /// The name of the last entry.
    #[must_use]
    pub fn last(&self) -> LogId {
        self.marks[self.range.end - 1].id
    }

    /// Name and kind of each entry, in order.
    #[must_use]
    pub fn marks(&self) -> &[EntryMark] {
        &self.marks[self.range.clone()]
    }

    /// The encoded length of the entry at `position` of [`Batch::marks`].
    ///
    /// # Panics
    ///
    /// If there is no such position.
    #[must_use]
    pub fn entry_bytes(&self, position: usize) -> usize {
        assert!(position < self.len(), "position {position} of {}", self.len());
        let at = self.range.start + position;
        self.marks[at].end as usize - self.offset(at)
    }

    /// The encoding of all entries, sharing the buffer.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.buffer.slice(self.offset(self.range.start)..self.offset(self.range.end))
    }

    /// The encoded length of all entries.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.offset(self.range.end) - self.offset(self.range.start)
    }

    /// The entries from `first` to `last`, both included, sharing the buffer; `None` where the
    /// batch holds none of them.
    #[must_use]
    pub fn slice(&self, first: Index, last: Index) -> Option<Batch> {
        let own = self.first().index;
        let from = first.0.max(own.0);
        let to = last.0.min(self.last().index.0);
        if from > to {
            return None;
        }
        let start = self.range.start + (from - own.0) as usize;
        let range = start..start + (to - from + 1) as usize;
        Some(Batch { buffer: self.buffer.clone(), marks: self.marks.clone(), range })
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.range.clone().map(|at| {
            let bytes = &self.buffer[self.offset(at)..self.marks[at].end as usize];
            EntryRef::read_unchecked(bytes).expect("the batch was verified when it was made")
        })
    }

    /// The entry at `index`, if the batch holds it.
    #[must_use]
    pub fn entry(&self, index: Index) -> Option<EntryRef<'_>> {
        let position = index.0.checked_sub(self.first().index.0)? as usize;
        if position >= self.len() {
            return None;
        }
        let at = self.range.start + position;
        let bytes = &self.buffer[self.offset(at)..self.marks[at].end as usize];
        Some(EntryRef::read_unchecked(bytes).expect("the batch was verified when it was made"))
    }

    /// Where the entry at `at` of all marks begins in the buffer.
    fn offset(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.marks[at - 1].end as usize }
    }
}

/// Two batches are equal if they hold the same entries, whatever buffers these are slices of.
impl PartialEq for Batch {
    fn eq(&self, other: &Batch) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Batch {}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}..{}]", self.first(), self.last())
    }
}

fn follows(previous: LogId, next: LogId) -> bool {
    previous.index.0.checked_add(1) == Some(next.index.0) && previous.term <= next.term
}

/// Gathers entries for a [`Batch`].
///
/// ```
/// use raft_node::model::{BatchBuilder, EntryHeader, EntryKind, Index, LogId, LogTime, Term};
/// let mut builder = BatchBuilder::default();
/// for index in 1..=3 {
///     let id = LogId::new(Term(1), Index(index));
///     builder.push(EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(0) }, b"x");
/// }
/// let batch = builder.take().unwrap();
/// assert_eq!(batch.slice(Index(2), Index(9)).unwrap().first().index, Index(2));
/// assert!(builder.take().is_none());
/// ```
#[derive(Default, Debug)]
pub struct BatchBuilder {
    buffer: BytesMut,
    marks: Vec<EntryMark>,
}

impl BatchBuilder {
    /// Encodes one more entry.
    ///
    /// # Panics
    ///
    /// If it doesn't follow the one before.
    pub fn push(&mut self, header: EntryHeader, payload: &[u8]) {
        if let Some(previous) = self.marks.last() {
            assert!(follows(previous.id, header.id), "{} after {}", header.id, previous.id);
        }
        header.encode(payload, &mut self.buffer);
        let end = u32::try_from(self.buffer.len()).expect("batches are cut far below 4 GiB");
        self.marks.push(EntryMark { id: header.id, kind: header.kind, end });
    }

    /// The encoded length of what was gathered.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.buffer.len()
    }

    /// The room that one more entry with this payload takes.
    #[must_use]
    pub const fn entry_bytes(payload: &[u8]) -> usize {
        ENTRY_HEADER_BYTES + payload.len()
    }

    /// What was gathered, or `None` if nothing was. The builder is empty afterwards and keeps
    /// the rest of its buffer for the next batch.
    pub fn take(&mut self) -> Option<Batch> {
        if self.marks.is_empty() {
            return None;
        }
        let buffer = self.buffer.split().freeze();
        let marks: Arc<[EntryMark]> = self.marks.as_slice().into();
        self.marks.clear();
        Some(Batch { buffer, range: 0..marks.len(), marks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogTime, Term};

    fn header(term: u64, index: u64) -> EntryHeader {
        let id = LogId::new(Term(term), Index(index));
        EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(index) }
    }

    fn batch(ids: &[(u64, u64)]) -> Batch {
        let mut builder = BatchBuilder::default();
        for &(term, index) in ids {
            builder.push(header(term, index), format!("entry {index}").as_bytes());
        }
        builder.take().unwrap()
    }

    #[test]
    fn a_batch_reads_back_from_its_bytes() {
        let made = batch(&[(1, 5), (1, 6), (3, 7)]);
        let read = Batch::parse(made.bytes()).unwrap();
        assert_eq!(read, made);
        let payloads: Vec<_> = read.iter().map(|entry| entry.payload().to_vec()).collect();
        assert_eq!(payloads, [b"entry 5".to_vec(), b"entry 6".to_vec(), b"entry 7".to_vec()]);
    }

    #[test]
    fn a_slice_holds_the_entries_asked_for_and_no_others() {
        let whole = batch(&[(1, 5), (1, 6), (3, 7), (3, 8)]);
        let middle = whole.slice(Index(6), Index(7)).unwrap();
        assert_eq!((middle.first(), middle.last()), (whole.marks()[1].id, whole.marks()[2].id));
        assert_eq!(Batch::parse(middle.bytes()).unwrap().marks().len(), 2);
        assert_eq!(middle.bytes_len(), middle.bytes().len());
        assert_eq!(middle, Batch::parse(middle.bytes()).unwrap());
        assert_eq!(middle.entry(Index(7)).unwrap().payload(), b"entry 7");
        assert!(middle.entry(Index(5)).is_none() && middle.entry(Index(8)).is_none());
        let last = middle.slice(Index(7), Index(100)).unwrap();
        assert_eq!((last.len(), last.entry_bytes(0)), (1, ENTRY_HEADER_BYTES + 7));
        assert!(whole.slice(Index(9), Index(12)).is_none());
        assert!(whole.slice(Index(1), Index(4)).is_none());
    }

    #[test]
    fn entries_that_do_not_follow_each_other_are_refused() {
        for ids in [[(1, 5), (1, 7)], [(1, 5), (1, 5)], [(2, 5), (1, 6)]] {
            let mut buffer = BytesMut::new();
            for (term, index) in ids {
                header(term, index).encode(b"", &mut buffer);
            }
            let error = Batch::parse(buffer.freeze()).unwrap_err();
            assert!(matches!(error, BatchError::Sequence { offset: 36, .. }), "{ids:?}");
        }
    }

    #[test]
    fn nothing_is_not_a_batch() {
        assert_eq!(Batch::parse(Bytes::new()), Err(BatchError::Empty));
    }
}
