//! Which snapshots are kept, and what the log may do without (dissertation, chapter 5).

use super::core::{Raft, Role};
use super::io::Output;
use super::progress::Pace;
use crate::model::{Index, LogId, SnapshotId, Time};

/// How many are kept besides those that are being sent: the newest, and one to fall back to.
const KEPT: usize = 2;

/// The good snapshots on the disk.
#[derive(Clone, Debug)]
pub(super) struct Snapshots {
    /// The newest first.
    kept: Vec<SnapshotId>,
    /// Whether there are files that aren't among them and may go.
    has_stray: bool,
    /// Whether one was lost, whose file stays until a good one has come: it may be all that is
    /// left.
    has_lost: bool,
    /// What was last asked to be removed from the log.
    asked: Option<Compaction>,
}

#[derive(Clone, Copy, Debug)]
struct Compaction {
    through: Index,
    wanted: Index,
    at: Time,
}

impl Snapshots {
    pub(super) const fn new(kept: Vec<SnapshotId>) -> Snapshots {
        Snapshots { kept, has_stray: false, has_lost: false, asked: None }
    }

    pub(super) fn kept(&self) -> &[SnapshotId] {
        &self.kept
    }

    pub(super) fn newest(&self) -> Option<SnapshotId> {
        self.kept.first().copied()
    }

    pub(super) fn holds(&self, snapshot: &SnapshotId) -> bool {
        self.kept.contains(snapshot)
    }

    pub(super) fn add(&mut self, snapshot: SnapshotId) {
        self.kept.retain(|kept| kept.last != snapshot.last);
        let place = self.kept.partition_point(|kept| kept.last.index > snapshot.last.index);
        self.kept.insert(place, snapshot);
        self.has_stray |= std::mem::take(&mut self.has_lost);
    }

    /// A file that was made isn't to be kept.
    pub(super) const fn refuse(&mut self) {
        self.has_stray = true;
    }

    /// What is damaged counts no more. Says whether it did.
    pub(super) fn lose(&mut self, snapshot: &SnapshotId) -> bool {
        let before = self.kept.len();
        self.kept.retain(|kept| kept != snapshot);
        let was_kept = self.kept.len() < before;
        self.has_lost |= was_kept;
        was_kept
    }

    /// Leaves the newest ones and the `running`. One from below the `base` of the log is no
    /// fallback, and of no use to whoever is being sent it: the entries that would have to follow
    /// it aren't there. Says whether any went.
    fn prune(&mut self, base: Index, running: &[SnapshotId]) -> bool {
        let before = self.kept.len();
        self.kept.retain(|kept| kept.last.index >= base);
        let mut place = 0;
        self.kept.retain(|kept| {
            place += 1;
            place <= KEPT || running.contains(kept)
        });
        self.kept.len() < before || std::mem::take(&mut self.has_stray)
    }

    /// Up to where two snapshots cover the log. Should the newest turn out to be damaged, the
    /// older one and the entries behind it still give the state; so nothing goes before there are
    /// two, and after an install, which leaves one, not until there are two again.
    fn covered(&self, durable: Index) -> Option<Index> {
        match &self.kept[..] {
            [newest, older, ..] if newest.last.index <= durable => Some(older.last.index),
            _ => None,
        }
    }
}

impl Raft {
    /// A snapshot was taken here.
    pub(super) fn snapshot_saved(&mut self, snapshot: SnapshotId) {
        let LogId { term, index } = snapshot.last;
        let settled = self.applied.min(self.gates.durable_index());
        assert!(index <= settled, "a snapshot at {index} of what isn't applied and durable");
        let held = self.log.term(index);
        assert!(held.is_none_or(|held| held == term), "snapshot {snapshot} of another entry");
        self.snapshots.add(snapshot);
    }

    /// Says which snapshots may go, and what of the log.
    pub(super) fn settle_snapshots(&mut self) {
        let running: Vec<SnapshotId> = match &self.role {
            Role::Leader(leading) => {
                let peers = leading.peers.iter();
                peers.filter_map(|peer| peer.handing().map(|handing| handing.snapshot)).collect()
            }
            _ => Vec::new(),
        };
        if self.snapshots.prune(self.log.base().index, &running) {
            self.outputs.push_back(Output::KeepSnapshots(self.snapshots.kept.clone()));
        }
        self.compact();
    }

    fn compact(&mut self) {
        let settled = self.applied.min(self.gates.durable_index());
        let Some(covered) = self.snapshots.covered(settled) else { return };
        let through = Index(covered.0.saturating_sub(self.config.keep_entries)).min(settled);
        if through <= self.log.base().index {
            return;
        }
        let wanted = self.wanted().min(through);
        let patience = self.config.election_timeout;
        let is_due = self.snapshots.asked.is_none_or(|asked| {
            through > asked.through || wanted > asked.wanted && self.now >= asked.at + patience
        });
        if is_due {
            self.snapshots.asked = Some(Compaction { through, wanted, at: self.now });
            self.outputs.push_back(Output::Compact { through, wanted });
        }
    }

    /// Above which entry the log is needed to bring the others up to date: behind what they have,
    /// or will have by the snapshot that they are being sent. Else one that takes as long to
    /// receive a snapshot as the log takes to be compacted would need the next one at once.
    fn wanted(&self) -> Index {
        let Role::Leader(leading) = &self.role else { return Index(u64::MAX) };
        let needs = leading.peers.iter().map(|peer| match peer.pace {
            Pace::Snapshot(handing) => handing.snapshot.last.index.max(peer.matched),
            _ => peer.matched,
        });
        needs.min().unwrap_or(Index(u64::MAX))
    }

    /// The log on the disk begins behind `base` now, unless it began anew since.
    pub(super) fn compacted(&mut self, base: LogId) {
        if base.index <= self.log.base().index {
            return;
        }
        let settled = self.applied.min(self.gates.durable_index());
        assert!(base.index <= settled, "entries up to {base} are still needed");
        let newest = self.snapshots.newest();
        assert!(
            newest.is_none_or(|newest| newest.last.index >= base.index),
            "the log was compacted up to {base}, beyond the newest snapshot"
        );
        let released = self.log.compact(base);
        self.outputs.extend(released.map(Output::Release));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Term;

    fn snapshot(index: u64) -> SnapshotId {
        SnapshotId { last: LogId::new(Term(1), Index(index)), bytes: 100, hash: index.into() }
    }

    fn kept(snapshots: &Snapshots) -> Vec<u64> {
        snapshots.kept().iter().map(|kept| kept.last.index.0).collect()
    }

    #[test]
    fn the_two_newest_stay_and_those_that_are_being_sent() {
        let mut snapshots = Snapshots::new(vec![snapshot(30), snapshot(20)]);
        assert!(!snapshots.prune(Index(10), &[]));
        snapshots.add(snapshot(40));
        assert!(!snapshots.prune(Index(10), &[snapshot(20)]));
        assert_eq!(kept(&snapshots), [40, 30, 20]);
        assert!(snapshots.prune(Index(10), &[]));
        assert_eq!(kept(&snapshots), [40, 30]);
    }

    #[test]
    fn one_that_comes_late_takes_its_place_among_the_others() {
        let mut snapshots = Snapshots::new(vec![snapshot(30), snapshot(20)]);
        snapshots.add(snapshot(10));
        assert_eq!(kept(&snapshots), [30, 20, 10]);
        snapshots.add(snapshot(25));
        assert!(snapshots.prune(Index(0), &[]));
        assert_eq!(kept(&snapshots), [30, 25]);
    }

    #[test]
    fn behind_an_install_the_older_one_is_no_fallback() {
        let mut snapshots = Snapshots::new(vec![snapshot(30), snapshot(20)]);
        assert_eq!(snapshots.covered(Index(50)), Some(Index(20)));
        snapshots.add(snapshot(50));
        assert!(snapshots.prune(Index(50), &[]));
        assert_eq!((kept(&snapshots), snapshots.covered(Index(50))), (vec![50], None));
        snapshots.add(snapshot(60));
        assert_eq!(snapshots.covered(Index(60)), Some(Index(50)));
    }

    #[test]
    fn nothing_is_covered_twice_before_the_newest_is_durable_in_the_log_too() {
        let snapshots = Snapshots::new(vec![snapshot(30), snapshot(20)]);
        assert_eq!(snapshots.covered(Index(29)), None);
    }

    #[test]
    fn one_that_is_damaged_covers_nothing_and_goes_when_a_good_one_has_come() {
        let mut snapshots = Snapshots::new(vec![snapshot(30), snapshot(20)]);
        assert!(snapshots.lose(&snapshot(30)));
        assert!(!snapshots.lose(&snapshot(30)), "once");
        assert_eq!(snapshots.covered(Index(50)), None);
        assert!(!snapshots.prune(Index(0), &[]));
        snapshots.add(snapshot(40));
        assert!(snapshots.prune(Index(0), &[]));
        assert_eq!(kept(&snapshots), [40, 20]);
        assert_eq!(snapshots.covered(Index(50)), Some(Index(20)));
    }
}
