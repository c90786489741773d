//! Copies of directories: an older one that is put back, and one that runs as a second process of
//! the same node.
//!
//! What a copy has forgotten can be told from outside only, by nodes that know better (see
//! docs/membership.md). Whoever lets a copy in and could tell is a finding. Where nobody could,
//! the copy is taken away at once: it may break any promise that the original has made.

use std::collections::BTreeMap;

use raft_node::model::Configuration;
use raft_node::wire::Party;

use super::World;
use super::doors::{Door, Told};
use super::ear::Heard;
use super::host::{Host, State};
use super::invariants::{Broken, Seen};
use super::journal;
use super::process::Death;
use super::queue::Event;
use crate::disk::SimulatedDisk;

/// The copies that there are.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Of machines' directories, to be put back.
    backups: BTreeMap<usize, SimulatedDisk>,
    /// The machine that has a copy to run.
    spare: Option<usize>,
}

impl Copies {
    pub(super) fn new(spare: Option<usize>) -> Copies {
        Copies { spare, ..Copies::default() }
    }
}

impl World {
    /// A machine's directory is copied, or its last copy is put back.
    pub(super) fn back_up(&mut self) {
        let Some(machine) = self.victim() else { return };
        if !self.ledgers[machine].has_begun() || self.hosts[machine].is_copy {
            return;
        }
        let puts_back = self.faults.random().permille(500);
        let Some(copy) = self.copies.backups.get(&machine).filter(|_| puts_back).cloned() else {
            let copy = self.copy_of(machine);
            self.copies.backups.insert(machine, copy);
            return self.note(Some(machine), || "has its directory copied".to_owned());
        };
        self.crash(machine, Death::Killed);
        let host = &mut self.hosts[machine];
        host.disk.put_back(&copy);
        host.may_end = true;
        // It may be from before the node was part of a cluster.
        self.seen[machine] = Seen::default();
        self.ledgers[machine].lose();
        journal::mark("world", "copy put back");
        self.note(Some(machine), || "has an older copy of its directory put back".to_owned());
    }

    fn copy_of(&mut self, machine: usize) -> SimulatedDisk {
        let seed = self.faults.random().next();
        self.hosts[machine].disk.copy(self.now, seed)
    }

    /// A copy of a machine's directory, as it is or as it was once, will run on another machine;
    /// sometimes that machine has the address of the first one from now on.
    pub(super) fn clone_node(&mut self) {
        let Some(spare) = self.copies.spare.filter(|spare| self.hosts[*spare].is_gone()) else {
            return;
        };
        let Some(machine) = self.victim() else { return };
        if !self.ledgers[machine].has_begun() || self.hosts[machine].is_copy {
            return;
        }
        let is_old = self.faults.random().permille(300);
        let backup = self.copies.backups.get(&machine).filter(|_| is_old).cloned();
        let copy = backup.unwrap_or_else(|| self.copy_of(machine));
        let takes_address = self.faults.random().permille(400);
        let (id, place) = (self.hosts[machine].id, self.hosts[machine].place);
        let host = &mut self.hosts[spare];
        host.disk.put_back(&copy);
        (host.id, host.state) = (id, State::Off);
        (host.is_copy, host.may_end) = (true, true);
        self.seen[spare] = Seen::default();
        self.ledgers.forget(spare);
        let mut network = self.network.borrow_mut();
        network.machines[spare].node = machine;
        if takes_address {
            network.homes[place] = Some(spare);
        }
        drop(network);
        journal::mark("world", "copy runs as well");
        self.note(Some(spare), || {
            let at = if takes_address { ", at its address" } else { "" };
            format!("has a copy of the directory of node {id}{at}")
        });
        let length = self.length();
        self.queue.push(self.now + length, Event::Start { machine: spare });
    }

    /// A process begins with what its disk holds: if that was put back or damaged, less than it
    /// once had may be what others have to notice.
    pub(super) fn begins_with(&mut self, machine: usize) -> Result<(), Broken> {
        let astray = self.hosts[machine].disk.take_astray();
        let host = &mut self.hosts[machine];
        host.astray += astray;
        let Some(driver) = host.server.as_ref().and_then(|server| server.driver()) else {
            return Ok(());
        };
        let raft = driver.raft();
        let ledger = &mut self.ledgers[machine];
        let before = ledger.lost().unwrap_or(ledger);
        let lacks = before.lacks(raft);
        if lacks.is_some() && ledger.lost().is_none() {
            // The end of a log can't be told from what a crash has left: the last write, and
            // what the astray one has overwritten.
            let is_explained = host.astray > 0
                && before.term() <= raft.status().term
                && before.lost_only_writes(raft.last(), 2 * host.astray);
            if !is_explained {
                return lacks.map_or(Ok(()), Err);
            }
            journal::mark("world", "the last write is gone");
            ledger.lose();
        }
        if lacks.is_none() {
            self.ledgers[machine].found_again();
        } else {
            host.is_copy = true;
        }
        (host.astray, host.lacks_file) = (0, false);
        Ok(())
    }

    /// Looks at whom a node has let in during a turn.
    pub(super) fn check_doors(&mut self, machine: usize, heard: &[Heard]) -> Result<(), Broken> {
        // What it was told in the same turn it may have heard before or after a hello: it counts
        // as forgotten from the beginning, and as learned in the end.
        self.learn(machine, heard, Door::forget_others);
        let mut greeted = None;
        for one in heard {
            match one {
                Heard::Greeted { machine, party } => greeted = Some((*machine, party)),
                Heard::LetIn => {
                    // A greeting is judged as soon as it is read.
                    if let Some((other, party)) = greeted.take() {
                        self.lets_in(machine, other, party)?;
                    }
                }
                _ => {}
            }
        }
        self.learn(machine, heard, Door::learn);
        Ok(())
    }

    fn learn(
        &mut self,
        machine: usize,
        heard: &[Heard],
        learn: fn(&mut Door, &Told<'_>, Option<&Configuration>),
    ) {
        for one in heard {
            if let Heard::Levels { term, commit, levels } = one {
                let Host { door, server, .. } = &mut self.hosts[machine];
                let driver = server.as_ref().and_then(|server| server.driver());
                let members = driver.map(|driver| driver.raft().configuration().1);
                learn(door, &Told { term: *term, commit: *commit, levels }, members);
            }
        }
    }

    fn lets_in(&mut self, machine: usize, other: usize, party: &Party) -> Result<(), Broken> {
        let must_not = self.hosts[machine].door.lets_in(party);
        if let Some(text) = must_not {
            return Err(format!("a copy that can be told: {text}"));
        }
        if self.hosts[other].is_copy && !self.hosts[machine].is_copy {
            journal::mark("world", "a copy that can't be told");
            self.take_away(other);
        }
        Ok(())
    }

    /// Nobody could tell that this machine runs on a copy. It is taken away, and so is the
    /// original, if that is another: nobody knows any more which of them is which.
    fn take_away(&mut self, machine: usize) {
        let original = self.hosts[machine].number();
        for machine in [machine, original] {
            if matches!(self.hosts[machine].state, State::Up | State::Starting) {
                self.kill(machine, Death::Killed);
            }
            self.note(Some(machine), || "is taken away".to_owned());
            self.gone(machine, "it can't be told from its copy".to_owned());
        }
    }

    /// A machine doesn't come back.
    pub(super) fn gone(&mut self, machine: usize, reason: String) {
        self.hosts[machine].state = State::Gone(reason);
        // If it had the address of another one, that has it again.
        let place = |host: &Host| (!host.is_copy).then_some(host.place);
        let places: Vec<Option<usize>> = self.hosts.iter().map(place).collect();
        for (place, home) in self.network.borrow_mut().homes.iter_mut().enumerate() {
            if *home == Some(machine) {
                let owner = places.iter().position(|one| *one == Some(place));
                *home = owner.or(*home);
            }
        }
    }
}
