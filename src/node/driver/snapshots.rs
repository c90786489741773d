//! The snapshots of this node: when the leader wants one, the one that is being made, those that
//! are kept, and who waits for one.

use std::time::Duration;

use super::proposals::Waiter;
use crate::model::{Index, LogTime, SnapshotId, Time};
use crate::wire::KeptSnapshot;

/// When a leader has a snapshot taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotRules {
    /// Not for its size, as long as the log behind the last one has fewer bytes.
    pub min_log_bytes: u64,
    /// When the log behind the last one has so many times its bytes.
    pub log_ratio: u64,
    /// When the last one is so old, by log time, and something has changed since.
    pub max_age: Duration,
    /// The most bytes of log that stay for a member that lags.
    pub max_lag_bytes: u64,
}

/// The snapshots of this node.
#[derive(Debug)]
pub(crate) struct Snapshots {
    rules: SnapshotRules,
    /// Durable and verified, the newest first.
    kept: Vec<KeptSnapshot>,
    /// The entries applied since the last point at which one was to be taken, in bytes.
    bytes: u64,
    /// The log time of that point, or of the first entry.
    since: Option<LogTime>,
    /// Whether any of those entries changed something.
    has_changed: bool,
    making: Option<Making>,
    /// Clients that wait for the next one, or for the one that is being made.
    waiting: Vec<(Option<Index>, Waiter)>,
}

/// A snapshot that is being made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Making {
    pub(crate) index: Index,
    pub(crate) log_time: LogTime,
    pub(crate) begun: Time,
}

impl Snapshots {
    pub(crate) fn new(rules: SnapshotRules, kept: Vec<KeptSnapshot>) -> Snapshots {
        let since = kept.first().map(|newest| newest.log_time);
        Snapshots {
            rules,
            kept,
            bytes: 0,
            since,
            has_changed: false,
            making: None,
            waiting: Vec::new(),
        }
    }

    pub(crate) const fn rules(&self) -> &SnapshotRules {
        &self.rules
    }

    /// Durable and verified, the newest first.
    pub(crate) fn kept(&self) -> &[KeptSnapshot] {
        &self.kept
    }

    /// An entry of so many bytes was applied.
    pub(crate) fn applied(&mut self, bytes: usize, changes: bool, log_time: LogTime) {
        self.bytes += bytes as u64;
        self.has_changed |= changes;
        self.since.get_or_insert(log_time);
    }

    /// Whether the leader should have one taken, by the rules.
    pub(crate) fn is_due(&self, log_time: LogTime) -> bool {
        let last = self.kept.first().map_or(0, |newest| newest.id.bytes);
        let enough = self.rules.min_log_bytes.max(last.saturating_mul(self.rules.log_ratio));
        let age = self.since.map_or(0, |since| log_time.0.saturating_sub(since.0));
        let is_old = self.has_changed && u128::from(age) >= self.rules.max_age.as_nanos();
        self.making.is_none() && (self.bytes >= enough || is_old)
    }

    /// A point was applied at which one is to be taken. Tells whether to begin, which is not so
    /// while another is being made.
    pub(crate) fn reached_point(&mut self, index: Index, log_time: LogTime, now: Time) -> bool {
        self.bytes = 0;
        self.has_changed = false;
        self.since = Some(log_time);
        if self.making.is_some() {
            return false;
        }
        self.making = Some(Making { index, log_time, begun: now });
        for (wanted, _) in &mut self.waiting {
            wanted.get_or_insert(index);
        }
        true
    }

    /// A client waits for the next one.
    pub(crate) fn wait(&mut self, waiter: Waiter) {
        self.waiting.push((None, waiter));
    }

    /// Whether a client waits for one that isn't being made.
    pub(crate) fn is_wanted(&self) -> bool {
        self.waiting.iter().any(|(wanted, _)| wanted.is_none())
    }

    /// The one that is being made.
    pub(crate) const fn making(&self) -> Option<&Making> {
        self.making.as_ref()
    }

    /// The one that was being made is durable. Gives it and who waited for it.
    pub(crate) fn saved(&mut self, id: SnapshotId) -> (Making, KeptSnapshot, Vec<Waiter>) {
        let (making, waiters) = self.stop_making();
        let kept = KeptSnapshot { id, log_time: making.log_time };
        self.keep(kept);
        (making, kept, waiters)
    }

    /// The one that was being made won't be. Gives who waited for it.
    pub(crate) fn given_up(&mut self) -> (Making, Vec<Waiter>) {
        self.stop_making()
    }

    /// One that came from elsewhere is durable.
    pub(crate) fn keep(&mut self, snapshot: KeptSnapshot) {
        let place = self.kept.partition_point(|other| other.id.last.index > snapshot.id.last.index);
        if self.kept.get(place) != Some(&snapshot) {
            self.kept.insert(place, snapshot);
        }
    }

    /// The state was replaced by that behind `snapshot`.
    pub(crate) fn installed(&mut self, log_time: LogTime) {
        self.bytes = 0;
        self.has_changed = false;
        self.since = Some(log_time);
    }

    /// Only these stay.
    pub(crate) fn retain(&mut self, keep: &[SnapshotId]) {
        self.kept.retain(|kept| keep.contains(&kept.id));
    }

    /// This node leads no more. Gives who waits for a point that may never come.
    pub(crate) fn lost_leadership(&mut self) -> Vec<Waiter> {
        let unbound = self.waiting.extract_if(.., |(wanted, _)| wanted.is_none());
        unbound.map(|(_, waiter)| waiter).collect()
    }

    /// Those that have waited for as long as they wanted to.
    pub(crate) fn expired(&mut self, now: Time) -> Vec<Waiter> {
        let late = self.waiting.extract_if(.., |(_, waiter)| waiter.deadline <= now);
        late.map(|(_, waiter)| waiter).collect()
    }

    /// When [`Snapshots::expired`] may give somebody.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.waiting.iter().map(|(_, waiter)| waiter.deadline).min()
    }

    fn stop_making(&mut self) -> (Making, Vec<Waiter>) {
        let making = self.making.take().expect("the file thread reports on what it was given");
        let bound = self.waiting.extract_if(.., |(wanted, _)| *wanted == Some(making.index));
        let waiters = bound.map(|(_, waiter)| waiter).collect();
        (making, waiters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{LogId, Term};
    use crate::node::driver::ClientId;

    const SECOND: u64 = 1_000_000_000;

    fn rules() -> SnapshotRules {
        SnapshotRules {
            min_log_bytes: 1000,
            log_ratio: 4,
            max_age: Duration::from_secs(60),
            max_lag_bytes: 0,
        }
    }

    fn kept(index: u64, bytes: u64) -> KeptSnapshot {
        let last = LogId::new(Term(1), Index(index));
        KeptSnapshot { id: SnapshotId { last, bytes, hash: 7 }, log_time: LogTime(0) }
    }

    fn waiter(request: u64) -> Waiter {
        Waiter { client: ClientId(1), request, deadline: Time::from_nanos(99) }
    }

    #[test]
    fn one_is_due_when_the_log_is_long_and_long_compared_with_the_last_one() {
        let mut snapshots = Snapshots::new(rules(), Vec::new());
        snapshots.applied(999, true, LogTime(0));
        assert!(!snapshots.is_due(LogTime(0)));
        snapshots.applied(1, true, LogTime(0));
        assert!(snapshots.is_due(LogTime(0)));
        let mut snapshots = Snapshots::new(rules(), vec![kept(5, 500)]);
        snapshots.applied(1999, true, LogTime(0));
        assert!(!snapshots.is_due(LogTime(0)));
        snapshots.applied(1, true, LogTime(0));
        assert!(snapshots.is_due(LogTime(0)));
    }

    #[test]
    fn an_old_one_is_followed_by_another_only_if_something_has_changed() {
        let mut snapshots = Snapshots::new(rules(), vec![kept(5, 500)]);
        snapshots.applied(10, false, LogTime(SECOND));
        assert!(!snapshots.is_due(LogTime(600 * SECOND)));
        snapshots.applied(10, true, LogTime(2 * SECOND));
        assert!(!snapshots.is_due(LogTime(59 * SECOND)));
        assert!(snapshots.is_due(LogTime(60 * SECOND)));
    }

    #[test]
    fn while_one_is_made_no_other_is_begun_and_who_asks_waits_for_the_next() {
        let mut snapshots = Snapshots::new(rules(), Vec::new());
        snapshots.wait(waiter(1));
        assert!(snapshots.reached_point(Index(7), LogTime(3), Time::ZERO));
        snapshots.wait(waiter(2));
        assert!(!snapshots.reached_point(Index(9), LogTime(4), Time::ZERO));
        let (making, saved, told) = snapshots.saved(kept(7, 100).id);
        assert_eq!((making.index, saved.log_time, told), (Index(7), LogTime(3), vec![waiter(1)]));
        assert!(snapshots.is_wanted());
        assert_eq!(snapshots.lost_leadership(), [waiter(2)]);
    }

    #[test]
    fn kept_ones_stand_in_order_whichever_way_they_came() {
        let mut snapshots = Snapshots::new(rules(), vec![kept(5, 500)]);
        snapshots.keep(kept(9, 500));
        snapshots.keep(kept(7, 500));
        snapshots.keep(kept(7, 500));
        assert_eq!(snapshots.kept(), [kept(9, 500), kept(7, 500), kept(5, 500)]);
        snapshots.retain(&[kept(9, 500).id, kept(7, 500).id]);
        assert_eq!(snapshots.kept(), [kept(9, 500), kept(7, 500)]);
    }
}
