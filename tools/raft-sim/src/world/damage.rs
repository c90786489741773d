//! Damage to what is durable, on the machines of the atlas: rot, writes that go astray, files that
//! vanish, directories that are lost.

use raft_node::model::Index;

use super::host::State;
use super::process::Death;
use super::queue::Event;
use super::{Fault, Phase, World, journal};

/// How long a write is the last one, as a rule, in nanoseconds.
const LAST_WRITE: u64 = 5_000_000;

impl World {
    /// A machine whose disk may be damaged. Before there is a cluster all nodes are needed.
    pub(super) fn victim(&mut self) -> Option<usize> {
        if self.cluster.committed() <= Index(1) {
            return None;
        }
        let victim = self.faults.draw_victim()?;
        (!self.hosts[victim].is_gone()).then_some(victim)
    }

    pub(super) fn rot(&mut self) {
        let Some(machine) = self.victim() else { return };
        let random = self.faults.random();
        let Some(path) = self.hosts[machine].disk.rot(self.now, random) else { return };
        self.hosts[machine].may_end = true;
        self.note(Some(machine), || format!("has a bit flipped in {}", path.display()));
    }

    /// The next write to a file lands at another page of it.
    pub(super) fn misdirect(&mut self) {
        let Some(machine) = self.victim() else { return };
        let random = self.faults.random();
        let Some(path) = self.hosts[machine].disk.misdirect(random) else { return };
        self.hosts[machine].may_end = true;
        self.note(Some(machine), || format!("will write astray in {}", path.display()));
    }

    /// If the last write went astray, the process is killed soon in half of the cases: nothing
    /// behind it then says that it was durable.
    pub(super) fn note_astray(&mut self, machine: usize) {
        if !self.scenario.has(Fault::Misdirects) {
            return;
        }
        let host = &mut self.hosts[machine];
        let astray = host.disk.take_astray();
        host.astray += astray;
        if astray > 0 && self.faults.random().permille(500) {
            let at = self.now + self.faults.random().below(LAST_WRITE);
            let epoch = self.hosts[machine].epoch;
            self.queue.push(at, Event::Kill { machine, epoch, death: Death::Killed });
        }
    }

    /// A file is gone when the node is started the next time.
    pub(super) fn lose_file(&mut self) {
        let Some(machine) = self.victim() else { return };
        self.crash(machine, Death::Killed);
        let random = self.faults.random();
        let Some(path) = self.hosts[machine].disk.lose_file(random) else { return };
        let host = &mut self.hosts[machine];
        (host.may_end, host.lacks_file) = (true, true);
        journal::mark("world", "file lost");
        self.note(Some(machine), || format!("has lost {}", path.display()));
    }

    /// A process has stopped in good order. Its disk may lose the end of its log behind that: only
    /// the floor in the hard state then says that there was more.
    pub(super) fn lose_end(&mut self, machine: usize) {
        let is_victim = self.faults.is_victim(machine);
        let may_lose = self.scenario.has(Fault::LostFiles) && self.phase == Phase::Faulty;
        if !may_lose || !is_victim || self.cluster.committed() <= Index(1) {
            return;
        }
        let random = self.faults.random();
        if !random.permille(300) {
            return;
        }
        let Some(path) = self.hosts[machine].disk.lose_end(self.now, random) else { return };
        self.hosts[machine].may_end = true;
        journal::mark("world", "end of a log lost");
        self.note(Some(machine), || format!("has lost the end of {}", path.display()));
    }

    /// A machine loses all that was on its disk.
    pub(super) fn wipe(&mut self) {
        // Where nodes found beside each other, one that seems to be there may have entered nothing yet.
        if self.scenario.has(Fault::Changes) && !self.scenario.has(Fault::Foundings) {
            return self.wipe_a_member();
        }
        let Some(machine) = self.victim() else { return };
        if self.hosts[machine].state == State::Off {
            return;
        }
        self.crash(machine, Death::Killed);
        self.empty(machine);
        self.hosts[machine].may_end = true;
    }
}
