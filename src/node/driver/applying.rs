//! Committed entries on their way to the state machine, from memory or from disk.

use super::files::{ReadWork, Reader};
use super::recent::Recent;
use crate::model::{Batch, Index, Span};

/// How much one read from disk asks for.
const READ_BYTES: u64 = 4 << 20;

/// What is to be applied, in order.
#[derive(Debug)]
pub(crate) struct Applying {
    /// Up to where the state machine is.
    applied: Index,
    /// Up to where it may go.
    committed: Index,
    /// Entries that were read from disk.
    fetched: Option<Batch>,
    /// Whether entries are being read from disk.
    is_reading: bool,
}

/// Where the next entries are.
#[derive(Debug)]
pub(crate) enum Next {
    /// Here.
    Entries(Batch),
    /// On disk: this is to be read.
    OnDisk(ReadWork),
    /// On their way from disk, or there are none.
    Nothing,
}

impl Applying {
    pub(crate) const fn new(applied: Index) -> Applying {
        Applying { applied, committed: applied, fetched: None, is_reading: false }
    }

    /// The entries of `span` are committed.
    pub(crate) fn extend(&mut self, span: Span) {
        assert!(span.first == self.committed.next(), "committed entries come in order");
        self.committed = span.last;
    }

    /// The next entries to be applied, at most `most` of them.
    pub(crate) fn next(&mut self, recent: &Recent, most: usize) -> Next {
        if self.applied == self.committed || most == 0 {
            return Next::Nothing;
        }
        let first = self.applied.next();
        let last = self.committed.min(self.applied + most as u64);
        if recent.holds(first) {
            let piece = recent.slices(Span { first, last }).next();
            return Next::Entries(piece.expect("the first entry is in memory"));
        }
        if let Some(piece) = self.fetched.as_ref().and_then(|batch| batch.slice(first, last)) {
            return Next::Entries(piece);
        }
        self.fetched = None;
        if self.is_reading {
            return Next::Nothing;
        }
        self.is_reading = true;
        let last = recent.first().map_or(self.committed, |memory| memory.previous());
        let last = last.min(self.committed);
        Next::OnDisk(ReadWork { reader: Reader::Machine, first, last, max_bytes: READ_BYTES })
    }

    /// The entry at `index` was applied.
    pub(crate) fn applied_to(&mut self, index: Index) {
        assert!(index == self.applied.next() && index <= self.committed, "in order, once");
        self.applied = index;
    }

    /// Entries were read from disk.
    pub(crate) fn fetched(&mut self, batch: Batch) {
        self.is_reading = false;
        self.fetched = Some(batch);
    }

    /// The entries that were to be read from disk won't come: they aren't there any more.
    pub(crate) fn not_fetched(&mut self) {
        self.is_reading = false;
    }

    /// The state machine has another state, that behind `index`. What was to be applied is void.
    pub(crate) fn jump_to(&mut self, index: Index) {
        assert!(index > self.applied, "the state never goes back");
        self.applied = index;
        self.committed = index;
    }

    /// Up to where the state machine is.
    pub(crate) const fn applied(&self) -> Index {
        self.applied
    }

    /// Up to where it may go.
    pub(crate) const fn committed(&self) -> Index {
        self.committed
    }

    /// Whether entries are at hand that aren't applied yet.
    pub(crate) fn has_entries(&self, recent: &Recent) -> bool {
        let first = self.applied.next();
        self.applied < self.committed
            && (recent.holds(first)
                || self.fetched.as_ref().is_some_and(|batch| batch.entry(first).is_some())
                || !self.is_reading)
    }
}
