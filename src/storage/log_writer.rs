//! The log thread's part: blocks, hard state, rotation.

use std::sync::Arc;

use crate::model::{Batch, FoundingEntry, HardState, LogId, WriteSeq};

use super::block::BLOCK_HEAD_BYTES;
use super::directory::SyncMode;
use super::hard_state::{Floor, HardStateFile};
use super::identity;
use super::log_map::LogMap;
use super::open_segment::OpenSegment;
use super::segment::{BLOCK_ALIGNMENT, SegmentHead, salt};
use super::shared::{Shared, Spare};
use super::{Disk, ErrorClass, LogDone, LogReport, LogWork, Rotated, StorageError};

/// Writes the log and the hard state. One thread owns it; there is none inside.
#[derive(Debug)]
pub struct LogWriter<D: Disk> {
    shared: Arc<Shared<D>>,
    hard_state: HardStateFile<D>,
    open: OpenSegment<D>,
    /// Whether an error or a stop has ended the writing.
    ended: bool,
}

impl<D: Disk> LogWriter<D> {
    pub(super) fn new(
        shared: Arc<Shared<D>>,
        hard_state: HardStateFile<D>,
        open: OpenSegment<D>,
    ) -> LogWriter<D> {
        LogWriter { shared, hard_state, open, ended: false }
    }

    /// Does `work` and tells what is durable now.
    ///
    /// After an error of class [`NoSpace`](ErrorClass::NoSpace) nothing has changed but the hard
    /// state, for which there is always room: it is durable. The same work may be given again,
    /// also with a newer hard state. After any other the process is to end: nothing more is
    /// done, and every further call is an error.
    ///
    /// # Panics
    ///
    /// If the work can't follow what was written before: entries that aren't consecutive, a kept
    /// entry that the log doesn't hold, an entry of a term above the hard state's.
    pub fn perform(&mut self, work: LogWork) -> Result<LogReport, StorageError> {
        if self.ended {
            return Err(StorageError::Poisoned);
        }
        let done = match work {
            LogWork::Write { seq, hard_state, keep, batches } => {
                self.write(seq, hard_state, keep, &batches)
            }
            LogWork::Mark => self.mark().map(|()| LogDone::Marked),
            LogWork::Reset { seq, base } => self.reset(seq, base),
            LogWork::Refound { founding } => self.refound(&founding),
            LogWork::Stop => self.stop(),
        };
        match done {
            Ok(done) => Ok(LogReport { done, spares_wanted: self.shared.spares_wanted() }),
            Err(error) => {
                self.ended = error.class() != ErrorClass::NoSpace;
                Err(error)
            }
        }
    }

    fn write(
        &mut self,
        seq: WriteSeq,
        hard_state: Option<HardState>,
        keep: LogId,
        batches: &[Batch],
    ) -> Result<LogDone, StorageError> {
        self.check(hard_state, keep, batches);
        let last = self.shared.map().last();
        let bytes = batches.iter().map(|batch| batch.bytes_len() as u64).sum();
        let appends = !batches.is_empty() || keep != last;
        // A vote needs no room, so it doesn't wait for any.
        if let Some(hard_state) = hard_state
            && hard_state != self.hard_state.record().hard_state
        {
            self.hard_state.save(|record| record.hard_state = hard_state)?;
        }
        // What can be refused for want of room comes before the log is changed.
        let rotated = if appends { self.make_room(bytes)? } else { Rotated::No };
        if appends {
            let block = self.open.append(&self.shared, keep, batches)?;
            if self.shared.sync == SyncMode::Always {
                self.open.sync(&self.shared)?;
            }
            assert!(self.shared.map().add_block(&block), "the kept entry is held, as was checked");
            self.open.take_back(block);
        }
        Ok(LogDone::Written { seq, bytes, rotated })
    }

    fn check(&self, hard_state: Option<HardState>, keep: LogId, batches: &[Batch]) {
        let map = self.shared.map();
        assert!(map.holds(keep), "{keep} is kept, which isn't in the log up to {}", map.last());
        let before = self.hard_state.record().hard_state;
        let term = hard_state.unwrap_or(before).term;
        assert!(term >= before.term, "term {term} after {}", before.term);
        if let Some(new) = hard_state
            && new.term == before.term
            && before.vote.is_some()
        {
            assert_eq!(new.vote, before.vote, "a vote is given once in a term");
        }
        let mut previous = keep;
        for batch in batches {
            let (first, last) = (batch.first(), batch.last());
            assert_eq!(previous.index + 1, first.index, "{batch:?} behind {previous}");
            assert!(previous.term <= first.term, "{batch:?} behind {previous}");
            assert!(last.term <= term, "{batch:?} in term {term}");
            previous = last;
        }
    }

    /// Sees to it that a block with so many bytes of entries fits.
    fn make_room(&mut self, bytes: u64) -> Result<Rotated, StorageError> {
        if self.open.fits(bytes) {
            return Ok(Rotated::No);
        }
        let needed = self.shared.segment_bytes_for(BLOCK_HEAD_BYTES as u64 + bytes);
        let (spare, rotated) = self.spare(needed)?;
        // The next head says that all before it is durable.
        self.open.sync(&self.shared)?;
        let before = self.shared.map().last();
        self.begin_segment(spare, before, false, None)?;
        Ok(rotated)
    }

    fn spare(&self, bytes: u64) -> Result<(Spare<D>, Rotated), StorageError> {
        match self.shared.take_spare(bytes) {
            Some(spare) => Ok((spare, Rotated::OntoSpare)),
            None => Ok((self.shared.make_spare(bytes)?, Rotated::WithoutSpare)),
        }
    }

    /// Goes on in a new segment, and raises the floor to it before it gets a block.
    fn begin_segment(
        &mut self,
        spare: Spare<D>,
        before: LogId,
        reset: bool,
        founding: Option<&FoundingEntry>,
    ) -> Result<(), StorageError> {
        let record = self.hard_state.record();
        let ordinal = self.open.head.ordinal + 1;
        let head = SegmentHead {
            identity: founding.map_or(record.identity, |entry| record.identity.founded(entry)),
            ordinal,
            before,
            salt: salt(self.shared.seed, record.boot.0, ordinal),
            file_bytes: spare.bytes,
            alignment: BLOCK_ALIGNMENT,
            reset,
        };
        let batch = founding.map(FoundingEntry::batch);
        let (open, block) = OpenSegment::publish(&self.shared, spare, head, batch)?;
        self.open = open;
        let mut map = self.shared.map();
        if reset {
            let old = std::mem::replace(&mut *map, LogMap::new(before));
            let paths = old.segments().iter().map(|old| old.head.file_name());
            self.shared.void().extend(paths.map(|name| self.shared.layout.log.join(name)));
        }
        map.add_segment(head);
        if let Some(block) = block {
            assert!(map.add_block(&block), "the founding entry follows the origin");
        }
        drop(map);
        let floor = Floor { ordinal, offset: self.open.end() };
        self.hard_state.save(|record| {
            record.floor = floor;
            record.identity = head.identity;
        })
    }

    /// Notes durably that what was written is durable. It costs a block, so it is left out where
    /// it would say nothing new, and where it would need a segment of its own.
    fn mark(&mut self) -> Result<(), StorageError> {
        self.open.sync(&self.shared)?;
        if !self.open.is_unmarked() || !self.open.fits(0) {
            return Ok(());
        }
        let last = self.shared.map().last();
        let block = self.open.append(&self.shared, last, &[])?;
        self.open.sync(&self.shared)?;
        assert!(self.shared.map().add_block(&block), "a mark follows the last entry");
        Ok(())
    }

    fn reset(&mut self, seq: WriteSeq, base: LogId) -> Result<LogDone, StorageError> {
        let term = self.hard_state.record().hard_state.term;
        assert!(base.term <= term, "{base} in term {term}");
        let (spare, rotated) = self.spare(self.shared.segment_bytes)?;
        self.begin_segment(spare, base, true, None)?;
        Ok(LogDone::Written { seq, bytes: 0, rotated })
    }

    fn refound(&mut self, founding: &FoundingEntry) -> Result<LogDone, StorageError> {
        {
            let map = self.shared.map();
            let (base, last, terms) = (map.base(), map.last(), map.runs().len() as u64);
            let only = base == LogId::ORIGIN && terms == last.index.0;
            assert!(only, "a log up to {last} with {terms} terms isn't given up");
        }
        let needed = BLOCK_HEAD_BYTES + founding.batch().bytes_len();
        let (spare, _) = self.spare(self.shared.segment_bytes_for(needed as u64))?;
        self.begin_segment(spare, LogId::ORIGIN, true, Some(founding))?;
        let identity = self.hard_state.record().identity;
        identity::write(&self.shared.disk, &self.shared.layout, &identity)?;
        Ok(LogDone::Refounded)
    }

    fn stop(&mut self) -> Result<LogDone, StorageError> {
        self.mark()?;
        let floor = Floor { ordinal: self.open.head.ordinal, offset: self.open.end() };
        self.hard_state.save(|record| {
            record.floor = floor;
            record.clean = true;
        })?;
        self.ended = true;
        Ok(LogDone::Stopped)
    }
}
