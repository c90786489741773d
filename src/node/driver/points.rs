//! Points: entries at which all replicas compare their states.

use std::time::Duration;

use crate::kv::{Machine, Point, PointKeeper, PointReport, Verdict};
use crate::model::{Configuration, EntryKind, Index, Member, Time};

/// After so many changes a point is proposed.
const CHANGES: u64 = 1024;

/// A point is proposed so long after the last change.
const QUIET: Duration = Duration::from_secs(1);

/// When to propose a point, and what the reports say.
#[derive(Debug, Default)]
pub(crate) struct Points {
    keeper: PointKeeper,
    /// Changes that were applied since the last point.
    changes: u64,
    /// When the last of them was.
    changed_at: Option<Time>,
    /// Whether a point was proposed and isn't applied.
    is_proposed: bool,
    /// Whether a snapshot is to be taken at the next point, and that soon.
    is_snapshot_wanted: bool,
    /// When it is next looked whether something falls due by log time.
    look_at: Option<Time>,
    latest: Option<PointReport>,
}

impl Points {
    /// Of a node that begins with this state: behind a snapshot, which ends with a point, or with
    /// nothing.
    pub(crate) fn behind(me: Member, machine: &Machine) -> Points {
        let mut points = Points::default();
        let index = machine.applied().index;
        if index > Index::ZERO {
            points.reached(me, PointReport { index, hash: machine.state_hash() });
        }
        points
    }

    /// An entry was applied.
    pub(crate) fn applied(&mut self, kind: EntryKind, now: Time) {
        if kind == EntryKind::POINT {
            self.changes = 0;
            self.changed_at = None;
            self.is_proposed = false;
        } else if is_change(kind) {
            self.changes += 1;
            self.changed_at = Some(now);
        }
    }

    /// A snapshot is to be taken at the next point, and that is to come soon.
    pub(crate) const fn want_snapshot(&mut self) {
        self.is_snapshot_wanted = true;
    }

    /// A snapshot was begun at a point, for all who wanted one.
    pub(crate) const fn snapshot_begun(&mut self) {
        self.is_snapshot_wanted = false;
    }

    /// The point that is to be proposed now, if there is one, and notes that it is. `due` tells
    /// whether something has fallen due by log time; it is asked at most once a second.
    pub(crate) fn propose(&mut self, now: Time, due: impl FnOnce() -> bool) -> Option<Point> {
        if self.is_proposed {
            return None;
        }
        if std::mem::take(&mut self.is_snapshot_wanted) {
            self.is_proposed = true;
            return Some(Point { snapshot: true });
        }
        let is_quiet = self.changed_at.is_some_and(|at| at + QUIET <= now);
        let mut wanted = self.changes >= CHANGES || is_quiet;
        if !wanted && self.look_at.is_none_or(|at| at <= now) {
            self.look_at = Some(now + QUIET);
            wanted = due();
        }
        self.is_proposed = wanted;
        wanted.then_some(Point { snapshot: false })
    }

    /// The point that was proposed won't come, or may not. Another is proposed in a while.
    pub(crate) fn give_up(&mut self, now: Time) {
        self.is_proposed = false;
        self.changed_at = self.changed_at.map(|_| now);
    }

    /// When [`Points::propose`] is to be asked again at the latest.
    pub(crate) fn deadline(&self) -> Option<Time> {
        if self.is_proposed {
            return None;
        }
        let quiet = self.changed_at.map(|at| at + QUIET);
        quiet.into_iter().chain(self.look_at).min()
    }

    /// Takes in what a member, maybe this node, reports.
    pub(crate) fn hear(&mut self, member: Member, report: PointReport) {
        self.keeper.hear(member, report);
    }

    /// This node has reached a point.
    pub(crate) fn reached(&mut self, me: Member, report: PointReport) {
        self.latest = Some(report);
        self.keeper.hear(me, report);
    }

    /// The state of this node was replaced: what it reported before says nothing of the new one.
    pub(crate) fn installed(&mut self, me: Member) {
        self.keeper.forget(me);
        self.changes = 0;
        self.changed_at = None;
        self.is_proposed = false;
    }

    /// What the reports say about this node at `index`.
    pub(crate) fn verdict(&self, me: Member, index: Index, members: &Configuration) -> Verdict {
        self.keeper.verdict(me, index, members)
    }

    /// What this node reported last.
    pub(crate) const fn latest(&self) -> Option<PointReport> {
        self.latest
    }
}

/// Whether entries of this kind change what replicas compare, and what a snapshot holds.
pub(crate) fn is_change(kind: EntryKind) -> bool {
    matches!(kind, EntryKind::COMMAND | EntryKind::SETTINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Option<Point> = Some(Point { snapshot: false });

    fn at(milliseconds: u64) -> Time {
        Time::ZERO + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_point_follows_many_changes_or_a_second_of_quiet() {
        let mut points = Points::default();
        assert_eq!(points.propose(at(0), || false), None);
        points.applied(EntryKind::COMMAND, at(100));
        assert_eq!(points.propose(at(1099), || false), None);
        assert_eq!(points.propose(at(1100), || false), PLAIN);
        assert_eq!(points.propose(at(1200), || true), None, "one at a time");
        points.applied(EntryKind::POINT, at(1200));
        for _ in 0..CHANGES {
            assert_eq!(points.propose(at(1300), || false), None);
            points.applied(EntryKind::COMMAND, at(1300));
        }
        assert_eq!(points.propose(at(1300), || false), PLAIN);
    }

    #[test]
    fn a_quiet_cluster_gets_a_point_only_when_something_falls_due() {
        let mut points = Points::default();
        assert_eq!(points.propose(at(5000), || false), None);
        assert_eq!(points.propose(at(5500), || true), None, "not looked at again so soon");
        assert_eq!(points.propose(at(6000), || true), PLAIN);
    }

    #[test]
    fn a_point_that_was_refused_is_tried_again_in_a_while() {
        let mut points = Points::default();
        points.applied(EntryKind::COMMAND, at(0));
        assert_eq!(points.propose(at(1000), || false), PLAIN);
        points.give_up(at(1000));
        assert_eq!(points.propose(at(1500), || false), None);
        assert_eq!(points.propose(at(2000), || false), PLAIN);
    }

    #[test]
    fn a_snapshot_that_is_wanted_brings_a_point_at_once() {
        let mut points = Points::default();
        points.want_snapshot();
        assert_eq!(points.propose(at(0), || false), Some(Point { snapshot: true }));
        points.want_snapshot();
        assert_eq!(points.propose(at(1), || false), None, "one at a time");
        points.applied(EntryKind::POINT, at(2));
        assert_eq!(points.propose(at(2), || false), Some(Point { snapshot: true }));
    }
}
