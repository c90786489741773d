//! The log thread as the driver sees it: what it has, what waits for it, and for how long.

use std::mem;
use std::time::Duration;

use super::gathering::{Gathering, LogWrite};
use crate::model::{Batch, Time, WriteSeq};
use crate::storage::{LogDone, LogReport, LogWork};

/// How long nothing is to be done before it is noted that everything is durable.
const IDLE: Duration = Duration::from_millis(50);

/// A sync that took longer is worth a warning.
pub(crate) const SLOW_SYNC: Duration = Duration::from_millis(100);

/// How long a disk may stand still before the process ends.
pub(crate) const STILL: Duration = Duration::from_secs(20);

/// How long the disk is left alone after it was found full.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// How many of the latest syncs the quantile is taken from.
const KEPT_SYNCS: usize = 256;

/// At most one work is with the log thread, and one is being gathered.
#[derive(Debug)]
pub(crate) struct Log {
    gathering: Gathering,
    max_bytes: u64,
    /// What the log thread has, and since when.
    given: Option<(LogWork, Time)>,
    /// The list of an earlier write, whose room is used again.
    used: Vec<Batch>,
    /// The latest write whose hard state the log thread was given, unless that is told.
    votes: Option<WriteSeq>,
    /// When a mark is due.
    mark_at: Option<Time>,
    /// What couldn't be done for want of space, and when it is tried again.
    full: Option<(LogWork, Time)>,
    /// Since when there is no room for it.
    full_since: Option<Time>,
    stop: Stop,
    /// The durations of the latest writes, in microseconds.
    syncs: Vec<u32>,
    sync_next: usize,
}

/// How far the clean stop is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stop {
    No,
    Wanted,
    Done,
}

/// What became of the work that the log thread had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Finished {
    /// This write and all before it are durable.
    Written(WriteSeq),
    /// Something without a number.
    Other,
}

impl Log {
    pub(crate) fn new(max_bytes: u64) -> Log {
        Log {
            gathering: Gathering::default(),
            max_bytes,
            given: None,
            used: Vec::new(),
            votes: None,
            mark_at: None,
            full: None,
            full_since: None,
            stop: Stop::No,
            syncs: Vec::with_capacity(KEPT_SYNCS),
            sync_next: 0,
        }
    }

    pub(crate) fn push(&mut self, write: LogWrite) {
        self.gathering.push(write);
    }

    /// The work to be handed over now, if the log thread is free and there is some.
    pub(crate) fn next_work(&mut self, now: Time) -> Option<LogWork> {
        if self.given.is_some() || self.stop == Stop::Done {
            return None;
        }
        let work = match self.full.take() {
            Some((work, retry_at)) => self.refused_work(work, retry_at, now)?,
            None => self.fresh_work(now)?,
        };
        self.mark_at = None;
        let copy = self.copy(&work);
        self.given = Some((copy, now));
        Some(work)
    }

    /// The log thread has done what it had.
    pub(crate) fn finished(&mut self, now: Time, report: LogReport, took: Duration) -> Finished {
        let (had, _) = self.given.take().expect("the log thread reports on what it was given");
        if let LogWork::Write { mut batches, .. } = had {
            batches.clear();
            self.used = batches;
        }
        self.full_since = None;
        match report.done {
            LogDone::Written { seq, .. } => {
                self.note_sync(took);
                self.mark_at = Some(now + IDLE);
                Finished::Written(seq)
            }
            LogDone::Stopped => {
                self.stop = Stop::Done;
                Finished::Other
            }
            LogDone::Marked | LogDone::Refounded => Finished::Other,
        }
    }

    /// The log thread found no room for what it had; it is tried again in a while. Tells up to
    /// which write term and vote are durable all the same, if that is news.
    pub(crate) fn found_full(&mut self, now: Time) -> Option<WriteSeq> {
        let (work, _) = self.given.take().expect("the log thread reports on what it was given");
        self.full = Some((work, now + FULL_RETRY));
        self.full_since.get_or_insert(now);
        self.votes.take()
    }

    /// Whether writes wait for room on the disk.
    pub(crate) const fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// Asks for the clean stop, behind everything that waits.
    pub(crate) fn stop(&mut self) {
        if self.stop == Stop::No {
            self.stop = Stop::Wanted;
        }
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.stop == Stop::Done
    }

    /// Whether something was written just now or is being written.
    pub(crate) fn is_in_use(&self) -> bool {
        self.given.is_some() || self.mark_at.is_some()
    }

    /// How long the log thread has had its work.
    pub(crate) fn busy_for(&self, now: Time) -> Option<Duration> {
        self.given.as_ref().map(|(_, since)| now.since(*since))
    }

    /// What the log thread has counts as given to it now.
    pub(crate) fn give_time(&mut self, now: Time) {
        if let Some((_, since)) = &mut self.given {
            *since = now;
        }
    }

    /// How long there has been something to write that isn't written, for want of time or room.
    pub(crate) fn stuck_for(&self, now: Time) -> Option<Duration> {
        let full = self.full_since.map(|since| now.since(since));
        full.into_iter().chain(self.busy_for(now)).max()
    }

    /// Whether nothing is with the log thread and nothing waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.given.is_none() && self.full.is_none() && self.gathering.is_empty()
    }

    /// When [`Log::next_work`] may have something without any further input.
    pub(crate) fn deadline(&self) -> Option<Time> {
        if self.given.is_some() {
            return None;
        }
        self.full.as_ref().map(|(_, retry_at)| *retry_at).or(self.mark_at)
    }

    /// The time below which 99 of 100 of the latest writes were durable.
    pub(crate) fn sync_p99(&self) -> Option<Duration> {
        let mut sorted = self.syncs.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * 99).div_ceil(100).checked_sub(1)?;
        Some(Duration::from_micros(u64::from(sorted[place])))
    }

    /// What is to be done while there is no room: term and vote, for which there always is, at
    /// once; what found none, from time to time. A node that stops leaves that undone: nobody was
    /// told of it.
    fn refused_work(&mut self, mut work: LogWork, retry_at: Time, now: Time) -> Option<LogWork> {
        if self.stop == Stop::Wanted {
            self.gathering = Gathering::default();
            return Some(LogWork::Stop);
        }
        if let LogWork::Write { hard_state, .. } = &mut work
            && let Some((seq, newest)) = self.gathering.take_hard_state()
        {
            *hard_state = Some(newest);
            self.votes = Some(seq);
        } else if retry_at > now {
            self.full = Some((work, retry_at));
            return None;
        }
        Some(work)
    }

    /// What is kept of a work in case that there is no room for it.
    fn copy(&mut self, work: &LogWork) -> LogWork {
        let LogWork::Write { seq, hard_state, keep, batches } = work else { return work.clone() };
        let mut copies = mem::take(&mut self.used);
        copies.extend_from_slice(batches);
        LogWork::Write { seq: *seq, hard_state: *hard_state, keep: *keep, batches: copies }
    }

    fn fresh_work(&mut self, now: Time) -> Option<LogWork> {
        if let Some(write) = self.gathering.take(self.max_bytes) {
            let LogWrite { seq, hard_state, keep, is_reset, batches } = write;
            if is_reset {
                return Some(LogWork::Reset { seq, base: keep });
            }
            if hard_state.is_some() {
                // Else a newer one than that of this write may have gone ahead with an earlier one.
                self.votes = Some(seq);
            }
            return Some(LogWork::Write { seq, hard_state, keep, batches });
        }
        if self.stop == Stop::Wanted {
            return Some(LogWork::Stop);
        }
        self.mark_at.is_some_and(|at| at <= now).then_some(LogWork::Mark)
    }

    fn note_sync(&mut self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if self.syncs.len() < KEPT_SYNCS {
            self.syncs.push(micros);
        } else {
            self.syncs[self.sync_next] = micros;
        }
        self.sync_next = (self.sync_next + 1) % KEPT_SYNCS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        BatchBuilder, EntryHeader, EntryKind, HardState, Index, LogId, LogTime, Term,
    };
    use crate::storage::Rotated;

    fn entry(term: u64, index: u64) -> Vec<Batch> {
        let mut builder = BatchBuilder::default();
        let id = LogId::new(Term(term), Index(index));
        builder.push(EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(0) }, b"x");
        builder.take().into_iter().collect()
    }

    /// A write of one entry in a term that begins with it.
    fn write(seq: u64, keep: (u64, u64), term: u64) -> LogWrite {
        LogWrite {
            seq: WriteSeq(seq),
            hard_state: Some(HardState { term: Term(term), vote: None }),
            keep: LogId::new(Term(keep.0), Index(keep.1)),
            is_reset: false,
            batches: entry(term, keep.1 + 1),
        }
    }

    #[test]
    fn a_vote_that_went_ahead_of_its_entries_is_told_of_if_there_is_no_room_for_them() {
        let mut log = Log::new(1 << 20);
        let mut now = Time::ZERO;
        log.push(write(1, (0, 1), 1));
        assert!(log.next_work(now).is_some());
        log.push(write(2, (1, 2), 2));
        assert_eq!(log.found_full(now), Some(WriteSeq(1)));
        let Some(LogWork::Write { seq, hard_state, .. }) = log.next_work(now) else {
            panic!("the vote goes with the write that found no room");
        };
        assert_eq!((seq, hard_state.unwrap().term), (WriteSeq(1), Term(2)));
        now = now + FULL_RETRY;
        let done = LogDone::Written { seq, bytes: 1, rotated: Rotated::No };
        let report = LogReport { done, spares_wanted: 0 };
        assert_eq!(log.finished(now, report, Duration::ZERO), Finished::Written(seq));
        assert!(log.next_work(now).is_some(), "the entries are next");
        assert_eq!(log.found_full(now), Some(WriteSeq(2)), "the vote is durable");
    }
}
