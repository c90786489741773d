//! Where the entries of the log lie: the one picture that recovery makes, the log thread keeps
//! up to date and the file thread reads by.

use std::collections::VecDeque;

use crate::model::{Index, LogId, Term, TermRun};

use super::block::BlockHead;
use super::segment::{FIRST_BLOCK, SegmentHead};

/// A piece is closed when its entries take so many bytes: a read takes whole pieces.
pub(super) const PIECE_BYTES: u64 = 65_536;

/// Consecutive entries that lie together in one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    pub(super) first: Index,
    pub(super) last: Index,
    /// The segment's ordinal.
    pub(super) ordinal: u64,
    /// Where it begins: at the head of a block, else at an entry.
    pub(super) offset: u64,
    /// Where its last entry ends. After a cut the entries behind `last` lie there too.
    pub(super) end: u64,
    /// Whether it begins at the head of a block. It may then hold several whole blocks, else it
    /// ends within one.
    pub(super) at_head: bool,
    /// Whether it ends where a block ends.
    pub(super) ends_block: bool,
    /// Whether a cut has left entries behind `last`, so that nothing may be added.
    pub(super) cut: bool,
}

/// What is known of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentPlace {
    pub(super) head: SegmentHead,
    /// Where its last block ends.
    pub(super) end: u64,
    /// The lowest entry that its head or a block of it builds on.
    pub(super) lowest_before: Index,
}

/// How many segments can go from the first on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Removable {
    /// Each count of segments that leaves a log behind it, in order.
    counts: Vec<usize>,
}

impl Removable {
    /// All of them.
    pub(super) fn all(&self) -> usize {
        self.counts.last().copied().unwrap_or(0)
    }

    /// At least `few` of them, and no more than it takes to leave a log, if there are so many.
    pub(super) fn at_once(&self, few: usize) -> usize {
        self.counts.iter().copied().find(|count| *count >= few).unwrap_or(self.all())
    }
}

/// One block as it is added to the map.
#[derive(Clone, Debug)]
pub(super) struct BlockPlace {
    pub(super) head: BlockHead,
    /// The last entry of the log after the block.
    pub(super) last: LogId,
    /// Where a new term begins within it. Empty if it has no entries.
    pub(super) runs: Vec<TermRun>,
    /// Its entries.
    pub(super) pieces: Vec<Piece>,
}

/// Where the entries lie.
#[derive(Clone, Debug)]
pub(super) struct LogMap {
    base: LogId,
    last: LogId,
    runs: Vec<TermRun>,
    pieces: VecDeque<Piece>,
    segments: VecDeque<SegmentPlace>,
}

impl LogMap {
    /// An empty log behind `base`.
    pub(super) const fn new(base: LogId) -> LogMap {
        LogMap {
            base,
            last: base,
            runs: Vec::new(),
            pieces: VecDeque::new(),
            segments: VecDeque::new(),
        }
    }

    pub(super) fn base(&self) -> LogId {
        self.base
    }

    pub(super) fn last(&self) -> LogId {
        self.last
    }

    pub(super) fn runs(&self) -> &[TermRun] {
        &self.runs
    }

    pub(super) fn segments(&self) -> &VecDeque<SegmentPlace> {
        &self.segments
    }

    /// The bytes that heads and blocks take.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end).sum()
    }

    /// Whether the log holds this entry, or begins behind it.
    pub(super) fn holds(&self, id: LogId) -> bool {
        id == self.base || self.term_at(id.index) == Some(id.term)
    }

    /// The entry at `index`, if the log holds it.
    pub(super) fn id_at(&self, index: Index) -> Option<LogId> {
        match index == self.base.index {
            true => Some(self.base),
            false => self.term_at(index).map(|term| LogId { term, index }),
        }
    }

    fn term_at(&self, index: Index) -> Option<Term> {
        if index <= self.base.index || index > self.last.index {
            return None;
        }
        let after = self.runs.partition_point(|run| run.first <= index);
        Some(self.runs[after.checked_sub(1)?].term)
    }

    /// Adds a segment at the end. One of the same ordinal is replaced.
    pub(super) fn add_segment(&mut self, head: SegmentHead) {
        if self.segments.back().is_some_and(|last| last.head.ordinal == head.ordinal) {
            self.segments.pop_back();
        }
        let lowest_before = head.before.index;
        self.segments.push_back(SegmentPlace { head, end: FIRST_BLOCK, lowest_before });
    }

    /// Adds a block to the last segment. `false` if the log doesn't hold the entry that it builds
    /// on; nothing is changed then.
    pub(super) fn add_block(&mut self, block: &BlockPlace) -> bool {
        let before = block.head.before;
        if before.index < self.base.index && self.begins_anywhere() {
            self.rebase(before);
        }
        if !self.holds(before) {
            return false;
        }
        self.cut(before);
        for run in &block.runs {
            if self.runs.last().is_none_or(|last| last.term != run.term) {
                self.runs.push(*run);
            }
        }
        for piece in &block.pieces {
            self.add_piece(*piece);
        }
        self.last = block.last;
        let segment = self.segments.back_mut().expect("a block lies in a segment");
        segment.end = block.head.end();
        segment.lowest_before = segment.lowest_before.min(before.index);
        true
    }

    /// Whether earlier segments were removed, so that the first that is left may hold blocks that
    /// build on entries before its own.
    fn begins_anywhere(&self) -> bool {
        self.segments
            .front()
            .is_some_and(|segment| !segment.head.reset && segment.head.before != LogId::ORIGIN)
    }

    /// Begins the log anew behind `base`, in the segments that it has.
    fn rebase(&mut self, base: LogId) {
        self.base = base;
        self.last = base;
        self.runs.clear();
        self.pieces.clear();
    }

    /// Forgets the entries behind `keep`, which the log holds.
    fn cut(&mut self, keep: LogId) {
        if keep == self.last {
            return;
        }
        self.runs.retain(|run| run.first <= keep.index);
        while let Some(piece) = self.pieces.back_mut() {
            if piece.last <= keep.index {
                break;
            }
            if piece.first > keep.index {
                self.pieces.pop_back();
                continue;
            }
            piece.last = keep.index;
            piece.cut = true;
            break;
        }
        self.last = keep;
    }

    fn add_piece(&mut self, piece: Piece) {
        if let Some(last) = self.pieces.back_mut()
            && last.at_head
            && last.ends_block
            && !last.cut
            && piece.at_head
            && last.ordinal == piece.ordinal
            && last.last.0 + 1 == piece.first.0
            && piece.end - last.offset <= PIECE_BYTES
            && self.segments.back().is_some_and(|segment| {
                // Nothing lies between.
                segment.end == last.end && segment.head.aligned(last.end) == piece.offset
            })
        {
            last.last = piece.last;
            last.end = piece.end;
            last.ends_block = piece.ends_block;
            return;
        }
        self.pieces.push_back(piece);
    }

    /// The pieces that hold the entries from `first` on, at most `limit` of them; empty if the
    /// log doesn't hold `first`.
    pub(super) fn pieces_from(&self, first: Index, last: Index, limit: usize) -> Vec<Piece> {
        let from = self.pieces.partition_point(|piece| piece.last < first);
        if self.pieces.get(from).is_none_or(|piece| piece.first > first) {
            return Vec::new();
        }
        let wanted = self.pieces.iter().skip(from).take_while(|piece| piece.first <= last);
        wanted.take(limit).copied().collect()
    }

    /// The head of the segment with this ordinal.
    pub(super) fn head(&self, ordinal: u64) -> Option<SegmentHead> {
        let at = self.segments.partition_point(|segment| segment.head.ordinal < ordinal);
        let segment = self.segments.get(at)?;
        (segment.head.ordinal == ordinal).then_some(segment.head)
    }

    /// How many segments from the first can go when the entries up to `through` aren't needed.
    /// Those above `wanted` stay as long as the log takes no more than `max_bytes` with them.
    ///
    /// The log would then begin behind the entry that the head of the next segment names. So no
    /// later block may build on one before it: replaced entries reach across segments.
    pub(super) fn removable(&self, through: Index, wanted: Index, max_bytes: u64) -> Removable {
        let (mut lowest, mut bytes) = (Index(u64::MAX), 0);
        let mut places = Vec::new();
        for (count, segment) in self.segments.iter().enumerate().skip(1).rev() {
            lowest = lowest.min(segment.lowest_before);
            bytes += segment.end;
            let before = segment.head.before;
            if before.index <= through && lowest >= before.index && self.holds(before) {
                places.push((count, before.index, bytes));
            }
        }
        places.reverse();
        let unwanted = places.partition_point(|(_, before, _)| *before <= wanted);
        let left = unwanted.checked_sub(1).map_or(self.bytes(), |last| places[last].2);
        let mut end = unwanted;
        if left > max_bytes {
            let behind = places[unwanted..].iter().position(|(_, _, left)| *left <= max_bytes);
            end = behind.map_or(places.len(), |at| unwanted + at + 1);
        }
        Removable { counts: places[..end].iter().map(|(count, _, _)| *count).collect() }
    }

    /// Forgets the first segments, as many as can go, and tells which they were: the log begins
    /// behind the entry that the next one's head names.
    pub(super) fn remove_first_segments(&mut self, count: usize) -> Vec<SegmentHead> {
        let removed: Vec<SegmentHead> =
            self.segments.drain(..count).map(|segment| segment.head).collect();
        if removed.is_empty() {
            return removed;
        }
        let next = self.segments.front().expect("the open segment is never removed");
        self.base = next.head.before;
        let ordinal = next.head.ordinal;
        while self.pieces.front().is_some_and(|piece| piece.ordinal < ordinal) {
            self.pieces.pop_front();
        }
        let first = self.base.index + 1;
        let under = self.runs.partition_point(|run| run.first <= first);
        self.runs.drain(..under.saturating_sub(1));
        if let Some(run) = self.runs.first_mut() {
            run.first = run.first.max(first);
        }
        if self.last.index < first {
            self.runs.clear();
        }
        removed
    }
}

/// Cuts the entries of one block into pieces.
#[derive(Debug)]
pub(super) struct PieceCutter {
    ordinal: u64,
    pieces: Vec<Piece>,
    open: Option<Piece>,
    next_at_head: Option<u64>,
}

impl PieceCutter {
    pub(super) fn new(ordinal: u64, head: &BlockHead) -> PieceCutter {
        PieceCutter::into(Vec::new(), ordinal, head)
    }

    /// Puts the pieces into the room of `pieces`.
    pub(super) fn into(mut pieces: Vec<Piece>, ordinal: u64, head: &BlockHead) -> PieceCutter {
        pieces.clear();
        PieceCutter { ordinal, pieces, open: None, next_at_head: Some(head.offset) }
    }

    /// Adds entries that lie from `offset` to `end`.
    pub(super) fn push(&mut self, first: Index, last: Index, offset: u64, end: u64) {
        let piece = self.open.get_or_insert_with(|| {
            let head = self.next_at_head.take();
            let offset = head.unwrap_or(offset);
            let (ordinal, at_head) = (self.ordinal, head.is_some());
            Piece { first, last, ordinal, offset, end, at_head, ends_block: false, cut: false }
        });
        piece.last = last;
        piece.end = end;
        if piece.end - piece.offset >= PIECE_BYTES {
            self.pieces.extend(self.open.take());
        }
    }

    pub(super) fn finish(mut self) -> Vec<Piece> {
        self.pieces.extend(self.open);
        if let Some(last) = self.pieces.last_mut() {
            last.ends_block = true;
        }
        self.pieces
    }
}
