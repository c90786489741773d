//! What a leader knows of one other member's log, and what is on its way there.

use std::collections::VecDeque;
use std::time::Duration;

use super::handing::Handing;
use crate::model::{Index, Member, Round, Span, Time};

/// One member as the leader sees it.
///
/// At all times `matched < next`, and `matched` never falls while this node leads.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) member: Member,
    /// Up to where its log equals the leader's, durably.
    pub(super) matched: Index,
    /// The next entry to be sent.
    pub(super) next: Index,
    pub(super) pace: Pace,
    pub(super) window: Window,
    /// The number of the read from disk, of entries or of a snapshot, that is under way for it.
    pub(super) reading: Option<u64>,
    /// When it was last heard, or when leadership began.
    pub(super) heard: Time,
    pub(super) was_heard: bool,
    /// Whether the connection to it has ended since it was heard.
    pub(super) is_gone: bool,
    /// The latest round that it answered.
    pub(super) round: Round,
    pub(super) round_trip: Option<Duration>,
    /// Whether the shell was told that neither the log nor a snapshot holds what it needs.
    pub(super) behind: bool,
    lap: Lap,
}

/// How fast it gets to where the log ended when it was last looked (dissertation, 4.2.1). Who does
/// that within an election timeout doesn't hold up commits for longer when it votes.
#[derive(Clone, Copy, Debug)]
struct Lap {
    /// Where the log ended when this lap began.
    goal: Index,
    began: Time,
    /// How long the last one took.
    took: Option<Duration>,
}

/// How entries, or what stands in their place, are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// Where the logs meet isn't known: one question at a time, again after a heartbeat interval.
    Probe { asked: Option<Time> },
    /// Entries are sent as long as the window has room.
    Replicate,
    /// It drops entries, because its disk is behind: one message in each heartbeat interval until
    /// its level rises.
    Busy { asked: Time },
    /// It needs entries that the log no longer holds, and is sent a snapshot.
    Snapshot(Handing),
}

/// Messages with entries that are on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Window {
    /// The last entry and the bytes of each message, in order.
    messages: VecDeque<(Index, u64)>,
    bytes: u64,
    /// When the first was sent, or when the level last rose since.
    moved: Time,
}

impl Progress {
    pub(super) fn new(member: Member, next: Index, now: Time) -> Progress {
        Progress {
            member,
            matched: Index::ZERO,
            next,
            pace: Pace::Probe { asked: None },
            window: Window::default(),
            reading: None,
            heard: now,
            was_heard: false,
            is_gone: false,
            round: Round::ZERO,
            round_trip: None,
            behind: false,
            lap: Lap { goal: next.previous(), began: now, took: None },
        }
    }

    /// Whether it was heard less than `patience` ago, and its connection hasn't ended since.
    pub(super) fn is_live(&self, now: Time, patience: Duration) -> bool {
        self.was_heard && !self.is_gone && now < self.heard + patience
    }

    /// It was heard, and the log ends at `last`: a lap that it has finished is followed by the
    /// next.
    pub(super) fn count_laps(&mut self, last: Index, now: Time) {
        if self.matched >= self.lap.goal {
            let took = Some(now.since(self.lap.began));
            self.lap = Lap { goal: last, began: now, took };
        }
    }

    /// Whether it is live, its last lap took less than `patience`, and the present one hasn't
    /// taken longer yet.
    pub(super) fn has_caught_up(&self, now: Time, patience: Duration) -> bool {
        let Lap { began, took, .. } = self.lap;
        let was_fast = took.is_some_and(|took| took < patience);
        was_fast && now < began + patience && self.is_live(now, patience)
    }

    pub(super) const fn hear(&mut self, now: Time) {
        self.heard = now;
        self.was_heard = true;
        self.is_gone = false;
    }

    /// Its log equals the leader's up to `matched`, and up to `durable` durably. Says whether the
    /// durable level has risen.
    pub(super) fn levels(&mut self, matched: Index, durable: Index, now: Time) -> bool {
        let risen = durable > self.matched;
        self.matched = self.matched.max(durable);
        let goes_on = match self.pace {
            Pace::Probe { .. } => matched.next() >= self.next,
            Pace::Busy { .. } => risen || matched >= self.next,
            Pace::Replicate => true,
            Pace::Snapshot(handing) => matched >= handing.snapshot.last.index,
        };
        if goes_on {
            if self.handing().is_some() {
                self.reading = None;
            }
            self.pace = Pace::Replicate;
        }
        if self.pace == Pace::Replicate {
            self.next = self.next.max(matched.next());
        }
        self.next = self.next.max(self.matched.next());
        self.window.free(matched.max(self.matched), now);
        risen
    }

    /// It knows of `matched` only, although it took more: it has started again, or stopped
    /// following for a while. Without being asked it would never learn what it may commit, nor be
    /// sent again what it took and lost before it was durable.
    pub(super) fn remind(&mut self, matched: Index) {
        let took_all = self.window.messages() == 0;
        let has_lost = matched < self.matched || took_all && matched < self.next.previous();
        if self.pace == Pace::Replicate && has_lost {
            self.probe(None);
        }
    }

    /// Its log doesn't hold the entry at `rejected`; `next` is what may follow where the logs
    /// meet. An answer that was overtaken changes nothing.
    pub(super) fn conflict(&mut self, rejected: Index, next: Index) {
        let next = next.max(self.matched.next());
        if rejected > self.matched && next < self.next && self.handing().is_none() {
            self.next = next;
            self.probe(None);
        }
    }

    /// It dropped what was sent behind `matched`.
    pub(super) fn busy(&mut self, matched: Index, now: Time) {
        if self.handing().is_some() {
            return;
        }
        self.next = matched.max(self.matched).next();
        self.window.clear();
        self.pace = Pace::Busy { asked: now };
    }

    /// What was on its way may be lost: ask whether all of it came, at once or where it was last
    /// `asked`. If it didn't, the answer says where to go on; nothing is asked below `base`.
    pub(super) fn reset(&mut self, base: Index, asked: Option<Time>) {
        self.reading = None;
        if let Pace::Snapshot(handing) = &mut self.pace {
            return handing.ask_again(asked);
        }
        self.next = self.next.max(base.next());
        self.behind = false;
        self.probe(asked);
    }

    /// It is to be sent a snapshot.
    pub(super) fn hand(&mut self, handing: Handing) {
        self.pace = Pace::Snapshot(handing);
        self.reading = None;
        self.behind = false;
        self.window.clear();
    }

    /// No snapshot can be sent any more; where the logs meet isn't known either.
    pub(super) fn give_up_handing(&mut self, now: Time) {
        self.reading = None;
        self.probe(Some(now));
    }

    /// The transfer of a snapshot to it that is under way.
    pub(super) const fn handing(&self) -> Option<Handing> {
        match self.pace {
            Pace::Snapshot(handing) => Some(handing),
            _ => None,
        }
    }

    fn probe(&mut self, asked: Option<Time>) {
        self.pace = Pace::Probe { asked };
        self.window.clear();
    }
}

impl Window {
    pub(super) fn push(&mut self, span: Span, bytes: u64, now: Time) {
        if self.messages.is_empty() {
            self.moved = now;
        }
        self.messages.push_back((span.last, bytes));
        self.bytes += bytes;
    }

    fn free(&mut self, matched: Index, now: Time) {
        while let Some((_, bytes)) = self.messages.front().filter(|(last, _)| *last <= matched) {
            self.bytes -= bytes;
            self.moved = now;
            self.messages.pop_front();
        }
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Since when nothing was acknowledged of what is on its way.
    pub(super) fn waiting_since(&self) -> Option<Time> {
        (!self.messages.is_empty()).then_some(self.moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, LogId, NodeId, SnapshotId, Term};

    const NOW: Time = Time::ZERO;

    fn progress(next: u64) -> Progress {
        let member = Member { id: NodeId::new(2).unwrap(), incarnation: Incarnation(2) };
        Progress::new(member, Index(next), NOW)
    }

    fn levels(progress: &mut Progress, matched: u64, durable: u64) {
        progress.levels(Index(matched), Index(durable), NOW);
    }

    fn send(progress: &mut Progress, last: u64) {
        let span = Span { first: progress.next, last: Index(last) };
        progress.window.push(span, 10, NOW);
        progress.next = Index(last + 1);
    }

    #[test]
    fn an_answered_probe_opens_the_window() {
        let mut progress = progress(10);
        levels(&mut progress, 4, 4);
        assert_eq!(progress.pace, Pace::Probe { asked: None }, "an older answer says too little");
        levels(&mut progress, 9, 6);
        assert_eq!(
            (progress.pace, progress.matched, progress.next),
            (Pace::Replicate, Index(6), Index(10))
        );
    }

    #[test]
    fn who_catches_up_takes_less_than_the_patience_and_doesnt_fall_behind_again() {
        let patience = Duration::from_millis(100);
        let at = |millis| NOW + Duration::from_millis(millis);
        let mut progress = progress(9);
        let mut hear = |matched, last, millis| {
            progress.hear(at(millis));
            progress.levels(Index(matched), Index(matched), at(millis));
            progress.count_laps(Index(last), at(millis));
            progress.has_caught_up(at(millis), patience)
        };
        assert!(!hear(7, 20, 50), "it isn't where the log ended at first");
        assert!(!hear(8, 30, 120), "that took too long");
        assert!(!hear(29, 40, 200));
        assert!(hear(30, 50, 210));
        assert!(hear(45, 60, 300), "a new lap has begun");
        assert!(!hear(49, 60, 310), "which takes too long");
        assert!(!hear(70, 70, 395));
        assert!(hear(70, 70, 400));
        assert!(!progress.has_caught_up(at(600), patience), "it isn't heard any more");
    }

    #[test]
    fn reordered_answers_never_move_levels_back() {
        let mut progress = progress(1);
        levels(&mut progress, 0, 0);
        send(&mut progress, 5);
        send(&mut progress, 9);
        levels(&mut progress, 9, 9);
        levels(&mut progress, 5, 5);
        progress.conflict(Index(4), Index(2));
        assert_eq!((progress.matched, progress.next), (Index(9), Index(10)));
        assert_eq!((progress.window.bytes(), progress.pace), (0, Pace::Replicate));
    }

    #[test]
    fn a_conflict_below_what_is_durable_is_an_old_one() {
        let mut progress = progress(1);
        levels(&mut progress, 0, 0);
        send(&mut progress, 9);
        levels(&mut progress, 5, 5);
        progress.conflict(Index(4), Index(2));
        assert_eq!((progress.next, progress.pace), (Index(10), Pace::Replicate));
    }

    #[test]
    fn a_conflict_steps_back_once_and_its_double_changes_nothing() {
        let mut progress = progress(100);
        progress.pace = Pace::Probe { asked: Some(NOW) };
        progress.conflict(Index(99), Index(40));
        assert_eq!((progress.next, progress.pace), (Index(40), Pace::Probe { asked: None }));
        progress.pace = Pace::Probe { asked: Some(NOW) };
        progress.conflict(Index(99), Index(40));
        assert_eq!(progress.pace, Pace::Probe { asked: Some(NOW) });
    }

    #[test]
    fn late_answers_about_entries_do_not_end_a_transfer_but_reaching_its_end_does() {
        let mut progress = progress(10);
        let last = LogId::new(Term(1), Index(8));
        progress.hand(Handing::new(SnapshotId { last, bytes: 100, hash: 0 }));
        progress.conflict(Index(9), Index(4));
        progress.busy(Index(3), NOW);
        progress.remind(Index(0));
        levels(&mut progress, 7, 7);
        assert!(progress.handing().is_some());
        progress.reading = Some(1);
        levels(&mut progress, 8, 2);
        assert_eq!((progress.pace, progress.reading), (Pace::Replicate, None));
    }

    #[test]
    fn who_is_busy_is_left_alone_until_its_level_rises() {
        let mut progress = progress(5);
        progress.busy(Index(4), NOW);
        levels(&mut progress, 4, 0);
        assert_eq!(progress.pace, Pace::Busy { asked: NOW });
        levels(&mut progress, 4, 1);
        assert_eq!((progress.pace, progress.next), (Pace::Replicate, Index(5)));
        progress.busy(Index(4), NOW);
        levels(&mut progress, 6, 1);
        assert_eq!((progress.pace, progress.next), (Pace::Replicate, Index(7)));
    }

    #[test]
    fn what_is_on_its_way_is_late_only_if_none_of_it_is_acknowledged() {
        let later = NOW + Duration::from_millis(30);
        let mut progress = progress(1);
        levels(&mut progress, 0, 0);
        assert_eq!(progress.window.waiting_since(), None);
        send(&mut progress, 4);
        send(&mut progress, 8);
        assert_eq!(progress.window.waiting_since(), Some(NOW));
        progress.levels(Index(4), Index(0), later);
        assert_eq!(progress.window.waiting_since(), Some(later));
        progress.levels(Index(8), Index(0), later);
        assert_eq!(progress.window.waiting_since(), None);
    }

    #[test]
    fn who_took_more_than_it_knows_of_now_is_asked() {
        let replicating = || {
            let mut progress = progress(1);
            levels(&mut progress, 0, 0);
            send(&mut progress, 8);
            progress
        };
        let mut underway = replicating();
        underway.remind(Index(5));
        assert_eq!(underway.pace, Pace::Replicate, "the rest may be on its way");
        let mut taken = replicating();
        levels(&mut taken, 8, 3);
        taken.remind(Index(8));
        assert_eq!(taken.pace, Pace::Replicate);
        taken.remind(Index(5));
        assert_eq!(taken.pace, Pace::Probe { asked: None }, "6 to 8 were lost with a power cut");
        taken.conflict(Index(8), Index(6));
        assert_eq!(taken.next, Index(6));
    }

    #[test]
    fn a_new_connection_asks_whether_all_came_and_goes_back_to_what_did() {
        let mut progress = progress(1);
        levels(&mut progress, 0, 0);
        send(&mut progress, 8);
        levels(&mut progress, 8, 3);
        progress.reset(Index(0), None);
        assert_eq!((progress.next, progress.window.messages()), (Index(9), 0));
        progress.conflict(Index(8), Index(6));
        assert_eq!((progress.next, progress.pace), (Index(6), Pace::Probe { asked: None }));
        progress.conflict(Index(8), Index(2));
        assert_eq!(progress.next, Index(4), "what is durable stays");
    }
}
