//! A founder that crashes before it has stored the founding entry, and comes back when the others
//! have long gone on.

use super::process::Death;
use super::queue::Event;
use super::random::Random;
use super::{Fault, Phase, Scenario, World};

/// Which machine it is, and what has become of it.
#[derive(Debug)]
pub(super) struct Latecomer {
    machine: usize,
    /// For which share of the time that is left it stays away, in thousandths.
    share: u64,
    /// Until when it stays away, once the others have founded without it.
    until: Option<u64>,
}

impl Latecomer {
    /// Draws one where the world has any. The lowest node founds, so it is one of the others.
    pub(super) fn draw(scenario: &Scenario) -> Option<Latecomer> {
        let mut random = Random::stream(scenario.seed, "latecomer");
        let machine = random.between(1, scenario.nodes as u64 - 1) as usize;
        let share = random.between(300, 990);
        scenario.has(Fault::Latecomers).then_some(Latecomer { machine, share, until: None })
    }
}

impl World {
    /// Whether a machine isn't to be started yet.
    pub(super) fn is_late(&self, machine: usize) -> bool {
        let late = self.latecomer.as_ref().filter(|late| late.machine == machine);
        let until = late.and_then(|late| late.until);
        self.phase == Phase::Faulty && until.is_some_and(|until| self.now < until)
    }

    /// Once somebody has stored a founding entry, who is to come late goes.
    pub(super) fn look_for_latecomer(&mut self) {
        let Some(Latecomer { machine, share, until: None }) = self.latecomer else { return };
        let is_member = |machine: usize| {
            self.hosts[machine].server.as_ref().is_some_and(|server| server.driver().is_some())
        };
        if is_member(machine) || self.phase != Phase::Faulty {
            self.latecomer = None;
            return;
        }
        if !(0..self.scenario.nodes).any(is_member) {
            return;
        }
        let left = (self.scenario.time.as_nanos() as u64).saturating_sub(self.now);
        let until = self.now + left / 1000 * share;
        self.note(Some(machine), || "crashes before it has stored the founding entry".to_owned());
        self.latecomer = Some(Latecomer { machine, share, until: Some(until) });
        self.kill_if_alive(machine, Death::Killed);
        self.queue.push(until, Event::Start { machine });
    }
}
