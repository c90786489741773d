//! The latest entries, in memory.

use std::collections::VecDeque;

use crate::model::{Batch, Index, Span};

/// The entries that are in memory: one run without a gap, in the batches in which they came.
///
/// The core decides what stays ([`crate::raft::Output::Release`]) and what is replaced.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl Recent {
    /// Adds `batch` behind the entry `keep`, in place of what stood there.
    pub(crate) fn extend(&mut self, keep: Index, batch: Batch) {
        self.cut(keep);
        if let Some(last) = self.batches.back() {
            assert!(last.last().index.next() == batch.first().index, "entries without a gap");
        }
        self.push(batch);
    }

    /// How many bytes of entries there are.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops the entries up to `index`.
    pub(crate) fn release(&mut self, index: Index) {
        while let Some(first) = self.batches.front()
            && first.last().index <= index
        {
            self.bytes -= first.bytes_len();
            self.batches.pop_front();
        }
    }

    /// Drops all entries.
    pub(crate) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }

    /// The first entry in memory.
    pub(crate) fn first(&self) -> Option<Index> {
        self.batches.front().map(|batch| batch.first().index)
    }

    /// Whether the entry at `index` is in memory.
    pub(crate) fn holds(&self, index: Index) -> bool {
        self.first().is_some_and(|first| first <= index)
            && self.batches.back().is_some_and(|last| index <= last.last().index)
    }

    /// The entries of `span` that are in memory, in order, in the pieces that share a buffer.
    pub(crate) fn slices(&self, span: Span) -> impl Iterator<Item = Batch> {
        let from = self.batches.partition_point(|batch| batch.last().index < span.first);
        self.batches
            .range(from..)
            .take_while(move |batch| batch.first().index <= span.last)
            .filter_map(move |batch| batch.slice(span.first, span.last))
    }

    fn push(&mut self, batch: Batch) {
        self.bytes += batch.bytes_len();
        self.batches.push_back(batch);
    }

    /// Drops the entries above `keep`.
    fn cut(&mut self, keep: Index) {
        while let Some(last) = self.batches.pop_back() {
            self.bytes -= last.bytes_len();
            if last.last().index <= keep {
                return self.push(last);
            }
            if let Some(kept) = last.slice(last.first().index, keep) {
                return self.push(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BatchBuilder, EntryHeader, EntryKind, LogId, LogTime, Term};

    fn batch(term: u64, indexes: std::ops::RangeInclusive<u64>) -> Batch {
        let mut builder = BatchBuilder::default();
        for index in indexes {
            let id = LogId::new(Term(term), Index(index));
            builder.push(EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(0) }, b"x");
        }
        builder.take().unwrap()
    }

    fn held(recent: &Recent, first: u64, last: u64) -> Vec<(u64, u64, u64)> {
        let span = Span { first: Index(first), last: Index(last) };
        let names =
            |batch: Batch| (batch.first().index.0, batch.last().index.0, batch.last().term.0);
        recent.slices(span).map(names).collect()
    }

    #[test]
    fn entries_come_back_in_pieces_that_cover_the_span() {
        let mut recent = Recent::default();
        recent.extend(Index(0), batch(1, 1..=3));
        recent.extend(Index(3), batch(1, 4..=4));
        recent.extend(Index(4), batch(2, 5..=9));
        assert_eq!(held(&recent, 2, 6), [(2, 3, 1), (4, 4, 1), (5, 6, 2)]);
        assert_eq!(held(&recent, 10, 12), []);
        assert!(recent.holds(Index(1)) && recent.holds(Index(9)) && !recent.holds(Index(10)));
    }

    #[test]
    fn a_replaced_end_is_gone() {
        let mut recent = Recent::default();
        recent.extend(Index(0), batch(1, 1..=3));
        recent.extend(Index(3), batch(1, 4..=8));
        recent.extend(Index(5), batch(3, 6..=7));
        assert_eq!(held(&recent, 1, 99), [(1, 3, 1), (4, 5, 1), (6, 7, 3)]);
    }

    #[test]
    fn bytes_are_those_of_the_entries_that_are_there() {
        let mut recent = Recent::default();
        let entry = batch(1, 1..=1).bytes_len();
        recent.extend(Index(0), batch(1, 1..=3));
        recent.extend(Index(3), batch(1, 4..=8));
        assert_eq!(recent.bytes(), 8 * entry);
        recent.extend(Index(5), batch(3, 6..=7));
        assert_eq!(recent.bytes(), 7 * entry);
        recent.release(Index(4));
        assert_eq!(recent.bytes(), 4 * entry);
        recent.extend(Index(3), batch(4, 4..=4));
        assert_eq!(recent.bytes(), entry);
        recent.clear();
        assert_eq!(recent.bytes(), 0);
    }

    #[test]
    fn released_batches_are_gone_when_all_of_them_is() {
        let mut recent = Recent::default();
        recent.extend(Index(0), batch(1, 1..=3));
        recent.extend(Index(3), batch(1, 4..=8));
        recent.release(Index(5));
        assert_eq!(recent.first(), Some(Index(4)));
        recent.release(Index(8));
        assert_eq!(recent.first(), None);
        recent.extend(Index(8), batch(1, 9..=9));
        assert_eq!(held(&recent, 1, 99), [(9, 9, 1)]);
    }
}
