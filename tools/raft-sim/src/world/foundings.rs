//! Clusters that form as soon as a quorum is there, while much goes wrong: founders crash before
//! they have told anybody, links are cut, and others found anew. One founding must be left.

use raft_node::node::Begin;

use super::queue::Event;
use super::{Fault, Phase, Scenario, World};

/// Within which time most of it goes wrong, in nanoseconds.
const TIME: u64 = 2_000_000_000;

/// How long a founder is away: others wait for a second before they found.
const LONG_FOR_A_FOUNDER: (u64, u64) = (2_500_000_000, 8_000_000_000);

/// What goes wrong.
const KINDS: [Fault; 4] = [Fault::Cuts, Fault::Crashes, Fault::PowerCuts, Fault::Pauses];

/// How a founder begins whose directory is empty.
pub(super) fn founders_begin(scenario: &Scenario) -> Begin {
    match scenario.has(Fault::Foundings) {
        true => Begin::Quorum,
        false => Begin::Together,
    }
}

impl World {
    /// By when the first processes have been started.
    pub(super) fn all_started_by(&self) -> u64 {
        if self.scenario.has(Fault::Foundings) { TIME / 2 } else { 50_000_000 }
    }

    pub(super) fn plan_foundings(&mut self) {
        if !self.scenario.has(Fault::Foundings) {
            return;
        }
        for _ in 0..self.random.between(0, 3) {
            let at = self.random.below(TIME.min(self.scenario.time.as_nanos() as u64));
            self.queue.push(at, Event::Founding);
        }
    }

    pub(super) fn trouble_a_founding(&mut self) {
        if self.phase != Phase::Faulty {
            return;
        }
        let machine = self.faults.random().below(self.scenario.nodes as u64) as usize;
        if let Some(kind) = self.faults.random().pick(&KINDS).copied() {
            self.strike(kind, machine);
        }
    }

    /// A node founds: often it can't tell anybody for so long that others do as well.
    pub(super) fn founds(&mut self, machine: usize) {
        let is_troubled = self.scenario.has(Fault::Foundings) && self.phase == Phase::Faulty;
        if !is_troubled || !self.faults.random().permille(800) {
            return;
        }
        let length = self.faults.random().spread(LONG_FOR_A_FOUNDER.0, LONG_FOR_A_FOUNDER.1);
        if self.faults.random().permille(200) {
            return self.strike_for(Fault::Pauses, machine, length);
        }
        for other in (0..self.scenario.nodes).filter(|other| *other != machine) {
            self.cut(machine, other, self.now + length);
            self.cut(other, machine, self.now + length);
        }
    }
}
