//! A disk that stands still. A leader with such a disk goes on sending heartbeats and entries,
//! and nobody would notice that it has become a burden.

use std::time::Duration;

use super::core::{Raft, Role};
use crate::model::{Index, Time};

/// What the shell last said of the work that its log thread hasn't finished.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskReport {
    age: Duration,
    at: Time,
}

impl Raft {
    pub(super) fn disk_waiting(&mut self, age: Duration) {
        self.disk = Some(DiskReport { age, at: self.now });
        if self.disk_stands_still() && self.others_are_ahead() {
            self.yield_leadership("the own disk stands still");
        }
    }

    /// Whether work has been with the disk for an election timeout. What was said longer ago than
    /// that says nothing any more.
    pub(super) fn disk_stands_still(&self) -> bool {
        let patience = self.config.election_timeout;
        self.disk.is_some_and(|disk| disk.age >= patience && self.now < disk.at + patience)
    }

    /// Whether a quorum of the others holds more than this leader's disk does, so that one of
    /// them would do better.
    fn others_are_ahead(&self) -> bool {
        let Role::Leader(leading) = &self.role else { return false };
        let level = self.configurations.voters().reached(Index::ZERO, |voter| {
            leading.peer(voter).map_or(Index::ZERO, |progress| progress.matched)
        });
        level > self.gates.durable_index()
    }
}
