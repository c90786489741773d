//! Group commit: what waits for the log thread while it syncs.

use std::collections::VecDeque;
use std::mem;

use crate::model::{Batch, HardState, LogId, WriteSeq};

/// One write for the log thread: a hard state, a run of entries, or both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogWrite {
    /// This write and all before it are durable when it is done.
    pub(crate) seq: WriteSeq,
    /// Made durable before any of the entries is written.
    pub(crate) hard_state: Option<HardState>,
    /// The last entry that stays of what was written before.
    pub(crate) keep: LogId,
    /// Whether the log begins anew behind `keep`, which it doesn't hold.
    pub(crate) is_reset: bool,
    /// The entries behind `keep`; none if only the hard state is written, or the log begins anew.
    pub(crate) batches: Vec<Batch>,
}

/// Writes that the core has asked for and the log thread hasn't got yet.
///
/// They form one run: where a later one replaces entries of an earlier one, those are dropped
/// before they are ever written.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    writes: VecDeque<LogWrite>,
}

impl Gathering {
    /// Adds a write behind those that wait.
    pub(crate) fn push(&mut self, write: LogWrite) {
        if write.is_reset {
            self.void();
        } else if !write.batches.is_empty() {
            self.cut(write.keep);
        }
        self.writes.push_back(write);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Takes from the first one on what makes one block: all, unless it is more than
    /// `max_bytes`, but at least one write. One that begins the log anew is alone.
    pub(crate) fn take(&mut self, max_bytes: u64) -> Option<LogWrite> {
        let mut taken = self.writes.pop_front()?;
        let mut bytes = bytes_of(&taken.batches);
        while let Some(next) = self.writes.front_mut() {
            if taken.is_reset || next.is_reset {
                break;
            }
            let more = bytes_of(&next.batches);
            if bytes > 0 && more > 0 && bytes + more > max_bytes {
                break;
            }
            bytes += more;
            if taken.batches.is_empty() {
                taken.keep = next.keep;
            }
            taken.batches.append(&mut mem::take(&mut next.batches));
            taken.seq = next.seq;
            taken.hard_state = next.hard_state.or(taken.hard_state);
            self.writes.pop_front();
        }
        Some(taken)
    }

    /// Takes the latest hard state that waits, with the number of its write. The writes stay,
    /// without it.
    pub(crate) fn take_hard_state(&mut self) -> Option<(WriteSeq, HardState)> {
        let writes = self.writes.iter_mut();
        writes.filter_map(|write| Some((write.seq, write.hard_state.take()?))).last()
    }

    /// The log begins anew: of what waits, only the latest hard state is of use.
    fn void(&mut self) {
        let Some(LogWrite { keep, .. }) = self.writes.front() else { return };
        let keep = *keep;
        let latest = self.take_hard_state();
        self.writes.clear();
        if let Some((seq, hard_state)) = latest {
            let (hard_state, batches) = (Some(hard_state), Vec::new());
            self.writes.push_back(LogWrite { seq, hard_state, keep, is_reset: false, batches });
        }
    }

    /// Drops the entries above `keep`, which another write replaces.
    fn cut(&mut self, keep: LogId) {
        for write in self.writes.iter_mut().rev() {
            while let Some(last) = write.batches.pop() {
                if let Some(kept) = last.slice(last.first().index, keep.index) {
                    write.batches.push(kept);
                    break;
                }
            }
            if !write.batches.is_empty() || write.is_reset {
                return;
            }
        }
    }
}

fn bytes_of(batches: &[Batch]) -> u64 {
    batches.iter().map(|batch| batch.bytes_len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BatchBuilder, EntryHeader, EntryKind, Index, LogTime, Term};

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(Term(term), Index(index))
    }

    fn write(seq: u64, keep: LogId, term: u64, last: u64) -> LogWrite {
        let mut builder = BatchBuilder::default();
        for index in keep.index.0 + 1..=last {
            let id = LogId::new(Term(term), Index(index));
            builder.push(EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(0) }, b"x");
        }
        let batches = builder.take().into_iter().collect();
        LogWrite { seq: WriteSeq(seq), hard_state: None, keep, is_reset: false, batches }
    }

    fn hard_state(seq: u64, keep: LogId, term: u64) -> LogWrite {
        let state = HardState { term: Term(term), vote: None };
        let (seq, hard_state) = (WriteSeq(seq), Some(state));
        LogWrite { seq, hard_state, keep, is_reset: false, batches: Vec::new() }
    }

    /// What a write holds: up to where it keeps, and its entries as (term, index).
    fn shape(write: &LogWrite) -> (LogId, Vec<LogId>) {
        let ids = write.batches.iter().flat_map(|batch| batch.marks().iter().map(|mark| mark.id));
        (write.keep, ids.collect())
    }

    #[test]
    fn all_that_was_gathered_is_one_run_with_the_last_number_and_hard_state() {
        let mut gathering = Gathering::default();
        gathering.push(write(5, id(1, 3), 1, 4));
        gathering.push(hard_state(6, id(1, 4), 2));
        gathering.push(write(7, id(1, 4), 2, 6));
        let taken = gathering.take(1 << 20).unwrap();
        assert_eq!(taken.seq, WriteSeq(7));
        assert_eq!(taken.hard_state.unwrap().term, Term(2));
        assert_eq!(shape(&taken), (id(1, 3), vec![id(1, 4), id(2, 5), id(2, 6)]));
        assert!(gathering.take(1 << 20).is_none());
    }

    #[test]
    fn what_a_later_write_replaces_is_never_written() {
        let mut gathering = Gathering::default();
        gathering.push(write(1, id(1, 3), 1, 6));
        gathering.push(write(2, id(1, 6), 1, 7));
        gathering.push(write(3, id(1, 4), 2, 5));
        let taken = gathering.take(1 << 20).unwrap();
        assert_eq!(shape(&taken), (id(1, 3), vec![id(1, 4), id(2, 5)]));
        assert_eq!(taken.seq, WriteSeq(3));
    }

    #[test]
    fn a_write_that_replaces_more_than_was_gathered_says_so() {
        let mut gathering = Gathering::default();
        gathering.push(write(1, id(1, 9), 1, 12));
        gathering.push(write(2, id(1, 5), 3, 6));
        let taken = gathering.take(1 << 20).unwrap();
        assert_eq!(shape(&taken), (id(1, 5), vec![id(3, 6)]));
    }

    #[test]
    fn a_reset_voids_the_entries_before_it_and_is_a_write_of_its_own() {
        let mut gathering = Gathering::default();
        gathering.push(write(1, id(1, 3), 1, 6));
        gathering.push(hard_state(2, id(1, 6), 4));
        let (seq, keep) = (WriteSeq(3), id(3, 90));
        let reset = LogWrite { seq, hard_state: None, keep, is_reset: true, batches: Vec::new() };
        gathering.push(reset.clone());
        gathering.push(write(4, id(3, 90), 4, 91));
        let first = gathering.take(1 << 20).unwrap();
        assert_eq!((first.seq, first.hard_state.unwrap().term), (WriteSeq(2), Term(4)));
        assert_eq!(shape(&first).1, []);
        assert_eq!(gathering.take(1 << 20), Some(reset));
        assert_eq!(shape(&gathering.take(1 << 20).unwrap()), (id(3, 90), vec![id(4, 91)]));
    }

    #[test]
    fn a_block_has_no_more_than_its_bytes_but_at_least_one_write() {
        let mut gathering = Gathering::default();
        gathering.push(write(1, id(1, 0), 1, 4));
        gathering.push(write(2, id(1, 4), 1, 5));
        gathering.push(hard_state(3, id(1, 5), 2));
        let first = gathering.take(1).unwrap();
        assert_eq!((first.seq, first.hard_state), (WriteSeq(1), None));
        assert_eq!(shape(&first).1.len(), 4);
        let second = gathering.take(1).unwrap();
        assert_eq!((second.seq, second.keep), (WriteSeq(3), id(1, 4)));
        assert!(gathering.is_empty());
    }
}
