//! Nodes that come back at another address. What is known of a node's address is a hint: it is called
//! in vain there, or another node answers; and it is found again since it calls the others itself.

use raft_node::model::Index;

use super::process::Death;
use super::{Fault, World, journal};

/// How many addresses nobody has at first, where nodes move.
pub(super) const FREE_PLACES: usize = 2;

impl World {
    /// A machine goes to an address that nobody has, or exchanges addresses with another one. Its
    /// file, and that of the other, names from now on where all nodes are; those of the others
    /// stay as they are.
    pub(super) fn move_machine(&mut self, machine: usize) {
        // While a cluster forms all files must be alike. Whoever can't be called must find all
        // others, so that these stay.
        let walled = self.network.borrow().machines.iter().position(|machine| machine.is_walled);
        let machine = walled.unwrap_or(machine);
        if self.cluster.committed() <= Index(1) || !self.may_move(machine) {
            return;
        }
        let machines = self.machines() as u64;
        let random = self.faults.random();
        let swaps = random.permille(500) && walled.is_none();
        let other = random.below(machines) as usize;
        if swaps && other != machine && self.may_move(other) {
            self.crash(other, Death::Killed);
            self.crash(machine, Death::Killed);
            let (one, two) = (self.hosts[machine].place, self.hosts[other].place);
            journal::mark("world", "addresses exchanged");
            self.settle_at(machine, two);
            self.settle_at(other, one);
            self.tell_places(other);
        } else {
            let places = self.network.borrow().homes.clone();
            let free: Vec<usize> = (0..places.len()).filter(|at| places[*at].is_none()).collect();
            let Some(place) = self.faults.random().pick(&free).copied() else { return };
            self.crash(machine, Death::Killed);
            journal::mark("world", "moved to another address");
            self.network.borrow_mut().homes[self.hosts[machine].place] = None;
            self.settle_at(machine, place);
        }
        self.tell_places(machine);
    }

    /// Whether it is one of the machines that nodes have, and its address its own.
    fn may_move(&self, machine: usize) -> bool {
        let Some(host) = self.hosts.get(machine).filter(|_| machine < self.machines()) else {
            return false;
        };
        let is_home = self.network.borrow().homes[host.place] == Some(machine);
        is_home && !host.is_gone() && !host.is_copy && self.ledgers[machine].has_begun()
    }

    fn settle_at(&mut self, machine: usize, place: usize) {
        self.hosts[machine].place = place;
        self.network.borrow_mut().homes[place] = Some(machine);
        self.note(Some(machine), || format!("is reached at address {} from now on", place + 1));
    }

    fn tell_places(&mut self, machine: usize) {
        let places = self.places();
        self.hosts[machine].is_told_of(&self.scenario, &places);
    }

    /// Which addresses the machines have that are a node's.
    pub(super) fn places(&self) -> Vec<usize> {
        self.hosts[..self.machines()].iter().map(|host| host.place).collect()
    }

    /// Makes room for those who move, behind the addresses that there are.
    pub(super) fn add_free_places(&mut self) {
        if self.scenario.has(Fault::Moves) {
            let mut network = self.network.borrow_mut();
            let count = network.homes.len() + FREE_PLACES;
            network.homes.resize(count, None);
        }
    }
}
