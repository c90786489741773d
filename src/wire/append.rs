//! Frames with entries: the head is written for each receiver, the entries are shared.

use bytes::{BufMut, BytesMut};

use super::{FRAME_HEADER_BYTES, Kind, MAX_BULK_FRAME_BYTES, OpenFrame, fields};
use crate::model::{Append, Batch, Index, LogId, Term};

/// The body of an append before its entries: term, log id before them, commit index.
pub(super) const APPEND_HEAD_BYTES: usize = 8 + 16 + 8;

/// The most bytes of entries in a frame with more than one.
const MOST_ENTRY_BYTES: usize = MAX_BULK_FRAME_BYTES - FRAME_HEADER_BYTES - APPEND_HEAD_BYTES;

/// How much room for heads is made at a time.
const HEADS_BYTES: usize = 4 << 10;

/// Appends the head of an append's frame to `out`: everything but the entries.
///
/// The bytes of the batch are to be sent right behind it. They carry their own checksums, made
/// once by the leader, and are neither copied nor summed here.
///
/// ```
/// use bytes::BytesMut;
/// use raft_node::model::{
///     BatchBuilder, EntryHeader, EntryKind, Index, LogId, LogTime, Term,
/// };
/// use raft_node::wire::{encode_append_head, split_append};
///
/// let mut builder = BatchBuilder::default();
/// let id = LogId::new(Term(1), Index(1));
/// builder.push(EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(0) }, b"x");
/// let batch = builder.take().unwrap();
///
/// let mut heads = BytesMut::new();
/// let mut queue = Vec::new();
/// for append in split_append(LogId::ORIGIN, Index(0), batch) {
///     encode_append_head(Term(1), &append, &mut heads);
///     queue.push(heads.split().freeze());
///     queue.push(append.batch.unwrap().bytes());
/// }
/// assert_eq!(queue.len(), 2);
/// ```
///
/// # Panics
///
/// If the batch is longer than a frame may be: [`split_append`] gives none of those.
pub fn encode_append_head(term: Term, append: &Append, out: &mut BytesMut) {
    // Heads are split off one by one, so room for many of them is made at a time.
    if out.capacity() - out.len() < FRAME_HEADER_BYTES + APPEND_HEAD_BYTES {
        out.reserve(HEADS_BYTES);
    }
    let frame = OpenFrame::begin(Kind::Append, out);
    out.put_u64_le(term.0);
    fields::put_log_id(append.prev, out);
    out.put_u64_le(append.commit.0);
    frame.seal_before(append.batch.as_ref().map_or(0, Batch::bytes_len), out);
}

/// Cuts `batch`, which stands behind `prev`, into appends whose frames hold at most
/// [`MAX_BULK_FRAME_BYTES`], or one entry. Nothing is copied.
#[must_use]
pub fn split_append(prev: LogId, commit: Index, batch: Batch) -> SplitAppend {
    SplitAppend { prev, commit, rest: Some(batch) }
}

/// The appends that [`split_append`] makes, in order.
#[derive(Clone, Debug)]
pub struct SplitAppend {
    prev: LogId,
    commit: Index,
    rest: Option<Batch>,
}

impl Iterator for SplitAppend {
    type Item = Append;

    fn next(&mut self) -> Option<Append> {
        let rest = self.rest.take()?;
        let count = fitting(&rest);
        let (first, last) = (rest.first().index, rest.last().index);
        let middle = first + (count as u64 - 1);
        let piece = rest.slice(first, middle).expect("at least the first entry fits");
        self.rest = rest.slice(middle.next(), last);
        let append = Append { prev: self.prev, commit: self.commit, batch: Some(piece) };
        self.prev = rest.marks()[count - 1].id;
        Some(append)
    }
}

/// How many entries from the first on fit into a frame, at least one.
fn fitting(batch: &Batch) -> usize {
    if batch.bytes_len() <= MOST_ENTRY_BYTES {
        return batch.len();
    }
    let mut bytes = 0;
    let fits = |position: &usize| {
        bytes += batch.entry_bytes(*position);
        bytes <= MOST_ENTRY_BYTES
    };
    (0..batch.len()).take_while(fits).count().max(1)
}
