//! What the core sees of the log: which terms its entries have, and how long those in memory are.

use std::collections::VecDeque;

use crate::model::{Index, LogId, Span, Term, TermRun};

/// The log without its payloads: one run for each term, and the lengths of the latest entries.
#[derive(Clone, Debug)]
pub(super) struct LogView {
    /// The id before the first entry.
    base: LogId,
    /// Where each term begins, with rising terms and indexes, all behind `base`.
    runs: VecDeque<TermRun>,
    last: Index,
    memory: Memory,
}

/// The latest entries, which the shell holds in memory.
#[derive(Clone, Debug)]
struct Memory {
    /// The index before the first of them.
    before: Index,
    /// Where the first of them begins, counting the bytes of all entries ever held.
    begin: u64,
    /// Where each of them ends.
    ends: VecDeque<u64>,
}

impl LogView {
    /// The log as the disk holds it, with nothing in memory.
    ///
    /// # Panics
    ///
    /// If the runs don't follow each other behind `base`.
    pub(super) fn new(base: LogId, runs: Vec<TermRun>, last: Index) -> LogView {
        let mut previous = TermRun { term: base.term, first: base.index };
        for run in &runs {
            let rises = run.term > previous.term
                || (run.term == base.term && run.first.previous() == base.index);
            assert!(rises && run.first > previous.first, "run {run:?} behind {previous:?}");
            previous = *run;
        }
        assert!(last >= previous.first, "the log ends at {last}, before {previous:?}");
        assert!(
            (last > base.index) != runs.is_empty()
                && runs.first().is_none_or(|run| run.first == base.index.next()),
            "the runs don't begin behind the base {base}"
        );
        let memory = Memory { before: last, begin: 0, ends: VecDeque::new() };
        LogView { base, runs: runs.into(), last, memory }
    }

    pub(super) const fn base(&self) -> LogId {
        self.base
    }

    pub(super) const fn last_index(&self) -> Index {
        self.last
    }

    /// The id of the last entry, or the base if there is none.
    pub(super) fn last(&self) -> LogId {
        LogId::new(self.runs.back().map_or(self.base.term, |run| run.term), self.last)
    }

    /// The term of the entry at `index`, which may be the base.
    pub(super) fn term(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        if index > self.last || index < self.base.index {
            return None;
        }
        match self.runs.back() {
            Some(run) if run.first <= index => Some(run.term),
            _ => {
                let behind = self.runs.partition_point(|run| run.first <= index);
                Some(self.runs[behind - 1].term)
            }
        }
    }

    /// The id of the entry at `index`, which may be the base.
    pub(super) fn id(&self, index: Index) -> Option<LogId> {
        self.term(index).map(|term| LogId::new(term, index))
    }

    /// Whether the log holds the entry `id`, the base included.
    pub(super) fn holds(&self, id: LogId) -> bool {
        self.term(id.index) == Some(id.term)
    }

    /// The last entry whose index isn't above `bound.index` and whose term isn't above
    /// `bound.term`. `None` if it would stand below the base.
    pub(super) fn last_within(&self, bound: LogId) -> Option<LogId> {
        let behind = self.runs.partition_point(|run| run.term <= bound.term);
        let end = self.runs.get(behind).map_or(self.last, |next| next.first.previous());
        let index = end.min(bound.index);
        if index > self.base.index {
            return self.id(index);
        }
        (index == self.base.index && self.base.term <= bound.term).then_some(self.base)
    }

    /// Whether the log begins with a founding entry, and behind it each term has one entry, its
    /// leader's first.
    pub(super) fn holds_only_elections(&self) -> bool {
        self.base == LogId::ORIGIN && self.runs.len() as u64 == self.last.0
    }

    /// Appends an entry of `bytes` encoded bytes and gives its index.
    pub(super) fn push(&mut self, term: Term, bytes: u64) -> Index {
        let last = self.last();
        assert!(term >= last.term, "an entry of term {term} behind {last}");
        self.last = last.index.next();
        if self.runs.back().is_none_or(|run| run.term < term) {
            self.runs.push_back(TermRun { term, first: self.last });
        }
        self.memory.push(bytes);
        self.last
    }

    /// Drops what stands above `keep`.
    pub(super) fn truncate(&mut self, keep: Index) {
        assert!(keep >= self.base.index && keep <= self.last, "truncation to {keep}");
        while self.runs.back().is_some_and(|run| run.first > keep) {
            self.runs.pop_back();
        }
        self.last = keep;
        self.memory.truncate(keep);
    }

    /// Entries up to `base`, which are settled, aren't held any more. Says up to where they are to
    /// be dropped from memory, if some of them are there.
    pub(super) fn compact(&mut self, base: LogId) -> Option<Index> {
        assert!(self.holds(base), "{base} isn't in the log");
        let behind = self.runs.partition_point(|run| run.first <= base.index);
        let cut = self.runs.drain(..behind).next_back();
        // The run in which the base stands goes on behind it.
        let next = self.runs.front().map_or(self.last.next(), |run| run.first);
        if let Some(run) = cut
            && next > base.index.next()
        {
            self.runs.push_front(TermRun { first: base.index.next(), ..run });
        }
        self.base = base;
        let is_in_memory = self.memory.before < base.index;
        is_in_memory.then(|| {
            self.memory.release(base.index);
            base.index
        })
    }

    /// Nothing stays: the log is empty, and its next entry is the one behind `base`.
    pub(super) fn begin_anew(&mut self, base: LogId) {
        *self = LogView::new(base, Vec::new(), base.index);
    }

    /// The first index that is in memory; the one behind the last if none is.
    pub(super) const fn memory_first(&self) -> Index {
        self.memory.before.next()
    }

    /// The encoded length of the entries above `index`, of those in memory.
    pub(super) fn bytes_above(&self, index: Index) -> u64 {
        self.memory.end(self.last) - self.memory.end(index.min(self.last))
    }

    pub(super) fn bytes_in_memory(&self) -> u64 {
        self.bytes_above(self.memory.before)
    }

    /// As many entries in memory from `first` on as fit into `max_bytes`, at least one, and
    /// their encoded length.
    pub(super) fn cut(&self, first: Index, max_bytes: u64) -> (Span, u64) {
        let begin = self.memory.end(first.previous());
        let fitting = self.memory.ends.partition_point(|end| *end <= begin + max_bytes);
        let last = (self.memory.before + fitting as u64).max(first);
        (Span { first, last }, self.memory.end(last) - begin)
    }

    /// Up to where entries must be dropped so that no more than `max_bytes` stay in memory, but
    /// not above `bound`; `None` if nothing is to be dropped.
    pub(super) fn release(&mut self, max_bytes: u64, bound: Index) -> Option<Index> {
        let too_many = self.bytes_in_memory().checked_sub(max_bytes)?;
        let begin = self.memory.begin;
        let dropped = self.memory.ends.partition_point(|end| *end < begin + too_many) + 1;
        let index = (self.memory.before + dropped as u64).min(bound).min(self.last);
        if index <= self.memory.before || too_many == 0 {
            return None;
        }
        self.memory.release(index);
        Some(index)
    }

    /// Runs, for the invariants.
    pub(super) const fn runs(&self) -> &VecDeque<TermRun> {
        &self.runs
    }
}

impl Memory {
    fn push(&mut self, bytes: u64) {
        let end = self.ends.back().copied().unwrap_or(self.begin);
        self.ends.push_back(end + bytes);
    }

    fn truncate(&mut self, keep: Index) {
        match keep.0.checked_sub(self.before.0) {
            Some(kept) => self.ends.truncate(kept as usize),
            None => {
                self.ends.clear();
                self.before = keep;
            }
        }
    }

    fn release(&mut self, index: Index) {
        self.begin = self.end(index);
        self.ends.drain(..(index.0 - self.before.0) as usize);
        self.before = index;
    }

    /// Where the entry at `index` ends; of entries no longer in memory, where those in memory
    /// begin.
    fn end(&self, index: Index) -> u64 {
        match index.0.checked_sub(self.before.0) {
            None | Some(0) => self.begin,
            Some(position) => self.ends[position as usize - 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(Term(term), Index(index))
    }

    /// A log of entries with these terms, each of 10 bytes, behind `base`.
    fn log(base: LogId, terms: &[u64]) -> LogView {
        let mut log = LogView::new(base, Vec::new(), base.index);
        for term in terms {
            log.push(Term(*term), 10);
        }
        log
    }

    #[test]
    fn every_index_has_the_term_it_was_pushed_with() {
        let terms = [1, 1, 3, 3, 3, 4, 7];
        let log = log(id(1, 5), &terms);
        assert_eq!(log.term(Index(4)), None);
        assert_eq!(log.term(Index(5)), Some(Term(1)));
        for (term, index) in terms.into_iter().zip(6..) {
            assert_eq!(log.term(Index(index)), Some(Term(term)), "{index}");
        }
        assert_eq!(log.term(Index(13)), None);
        assert_eq!(log.last(), id(7, 12));
    }

    #[test]
    fn the_last_entry_within_a_bound_is_the_one_that_looking_at_all_finds() {
        let terms = [2, 2, 4, 4, 4, 6, 9];
        let base = id(2, 3);
        let log = log(base, &terms);
        for index in 0..14 {
            for term in 0..11 {
                let bound = id(term, index);
                let expected = (base.index.0..=log.last_index().0)
                    .filter_map(|at| log.id(Index(at)))
                    .rfind(|entry| entry.index <= bound.index && entry.term <= bound.term);
                assert_eq!(log.last_within(bound), expected, "{bound}");
            }
        }
    }

    #[test]
    fn truncation_forgets_terms_and_bytes() {
        let mut log = log(LogId::ORIGIN, &[1, 1, 2, 2]);
        log.truncate(Index(2));
        assert_eq!((log.last(), log.bytes_above(Index(0))), (id(1, 2), 20));
        log.push(Term(5), 7);
        assert_eq!((log.last(), log.bytes_above(Index(2))), (id(5, 3), 7));
        log.truncate(Index(0));
        assert_eq!(log.last(), LogId::ORIGIN);
    }

    #[test]
    fn a_log_from_disk_has_nothing_in_memory_and_can_lose_its_end() {
        let runs = vec![TermRun { term: Term(2), first: Index(8) }];
        let mut log = LogView::new(id(2, 7), runs, Index(20));
        assert_eq!(log.memory_first(), Index(21));
        assert_eq!(log.bytes_above(Index(7)), 0);
        log.truncate(Index(15));
        assert_eq!(log.push(Term(3), 40), Index(16));
        assert_eq!((log.memory_first(), log.bytes_above(Index(10))), (Index(16), 40));
    }

    #[test]
    fn a_cut_takes_what_fits_and_at_least_one_entry() {
        let log = log(LogId::ORIGIN, &[1; 10]);
        let cut = |first, bytes| {
            let (span, length) = log.cut(Index(first), bytes);
            (span.first.0, span.last.0, length)
        };
        assert_eq!(cut(1, 1000), (1, 10, 100));
        assert_eq!(cut(3, 35), (3, 5, 30));
        assert_eq!(cut(3, 40), (3, 6, 40));
        assert_eq!(cut(10, 1), (10, 10, 10));
    }

    #[test]
    fn a_compacted_log_is_the_one_that_never_held_what_went() {
        let terms = [1, 1, 3, 3, 3, 4, 7];
        for base in 0..=terms.len() as u64 {
            let mut compacted = log(LogId::ORIGIN, &terms);
            let id = compacted.id(Index(base)).unwrap();
            let released = compacted.compact(id);
            assert_eq!(released, (base > 0).then_some(Index(base)));
            let mut same = log(id, &terms[base as usize..]);
            assert_eq!((compacted.base(), compacted.runs()), (same.base(), same.runs()));
            assert_eq!(compacted.bytes_in_memory(), same.bytes_in_memory());
            assert_eq!(compacted.push(Term(7), 10), same.push(Term(7), 10));
            assert_eq!(compacted.runs(), same.runs());
        }
    }

    #[test]
    fn what_has_left_memory_is_not_let_go_again() {
        let mut log = log(LogId::ORIGIN, &[1; 10]);
        assert_eq!(log.release(55, Index(10)), Some(Index(5)));
        assert_eq!(log.compact(id(1, 3)), None);
        assert_eq!(log.compact(id(1, 7)), Some(Index(7)));
        assert_eq!((log.memory_first(), log.bytes_in_memory()), (Index(8), 30));
        log.begin_anew(id(4, 90));
        assert_eq!((log.last(), log.bytes_in_memory()), (id(4, 90), 0));
        assert_eq!(log.push(Term(4), 10), Index(91));
    }

    #[test]
    fn releasing_keeps_what_is_bounded_and_the_bytes_of_the_rest() {
        let mut log = log(LogId::ORIGIN, &[1; 10]);
        assert_eq!(log.release(100, Index(10)), None);
        assert_eq!(log.release(55, Index(0)), None);
        assert_eq!(log.release(55, Index(3)), Some(Index(3)));
        assert_eq!(log.release(55, Index(10)), Some(Index(5)));
        assert_eq!((log.memory_first(), log.bytes_above(Index(0))), (Index(6), 50));
        assert_eq!(log.cut(Index(6), 25), (Span { first: Index(6), last: Index(7) }, 20));
        assert_eq!(log.release(0, Index(10)), Some(Index(10)));
        assert_eq!(log.memory_first(), Index(11));
    }
}
