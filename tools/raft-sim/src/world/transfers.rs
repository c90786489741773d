//! What goes wrong while a node is sent a snapshot. That is rare and soon over, so what goes wrong
//! by chance alone seldom meets it.

use raft_node::storage::FileWork;

use super::queue::Event;
use super::{Fault, Phase, World};

/// What may make another node lead.
const UPSETS: [Fault; 5] =
    [Fault::Crashes, Fault::PowerCuts, Fault::Pauses, Fault::Cuts, Fault::Stops];

impl World {
    /// A node begins to receive a snapshot.
    pub(super) fn receives(&mut self, machine: usize) {
        if self.phase != Phase::Faulty {
            return;
        }
        self.trouble(machine);
        if self.has_slow_files() && self.faults.random().permille(500) {
            let until = self.now + self.length();
            self.hosts[machine].files_slow_until = until;
            self.note(Some(machine), || {
                format!("is slow with all files but its log until {until}")
            });
        }
        if let Some((leader, _)) = self.leader().filter(|_| self.faults.random().permille(500)) {
            self.rot_snapshot(leader);
        }
    }

    /// How much longer than its disk the file thread takes for this work.
    pub(super) fn delay_of_files(&mut self, machine: usize, work: &FileWork) -> u64 {
        if self.phase != Phase::Faulty {
            return 0;
        }
        let election = self.scenario.election_timeout.as_nanos() as u64;
        if matches!(work, FileWork::LoadReceived { .. }) && self.loads_slowly(machine) {
            return self.faults.random().spread(election, 12 * election);
        }
        match self.now < self.hosts[machine].files_slow_until {
            true => self.faults.random().spread(election / 20, 3 * election),
            false => 0,
        }
    }

    /// A node begins to load what it has received: whether that takes long. Another leader may
    /// have kept more of its log meanwhile, and send entries that overtake it.
    fn loads_slowly(&mut self, machine: usize) -> bool {
        if self.faults.random().permille(300) {
            self.rot_snapshot(machine);
        }
        let is_slow = self.has_slow_files() && self.faults.random().permille(500);
        if is_slow && self.faults.random().permille(700) {
            let election = self.scenario.election_timeout.as_nanos() as u64;
            let soon = self.faults.random().spread(100_000, election);
            self.queue.push(self.now + soon, Event::Upset);
        }
        is_slow
    }

    /// Whether the file thread may be slow: where snapshots are sent often it always may.
    fn has_slow_files(&self) -> bool {
        let is_slow = |fault: &Fault| self.scenario.has(*fault);
        self.scenario.has_short_logs || [Fault::SlowDisks, Fault::Pauses].iter().any(is_slow)
    }

    /// Whoever leads is struck by something that may make another node lead.
    pub(super) fn upset(&mut self) {
        let kinds: Vec<Fault> =
            UPSETS.into_iter().filter(|fault| self.scenario.has(*fault)).collect();
        let Some((leader, _)) = self.leader().filter(|_| self.phase == Phase::Faulty) else {
            return;
        };
        if let Some(kind) = self.faults.random().pick(&kinds).copied() {
            self.strike(kind, leader);
        }
    }

    /// A bit of a snapshot flips, whole or not yet, if this disk may lose what is durable.
    fn rot_snapshot(&mut self, machine: usize) {
        if !self.scenario.has(Fault::Rot) || !self.faults.is_victim(machine) {
            return;
        }
        let random = self.faults.random();
        let Some(path) = self.hosts[machine].disk.rot_snapshot(self.now, random) else { return };
        self.hosts[machine].may_end = true;
        self.note(Some(machine), || format!("has a bit flipped in {}", path.display()));
    }
}
