//! Machines whose directory is lost or thrown away: their nodes come back empty and wait until
//! somebody takes them in, as new members under their old numbers.

use raft_node::model::{Configuration, Index, Member, Seat};

use super::host::State;
use super::invariants::Seen;
use super::majorities::decides;
use super::process::Death;
use super::queue::Event;
use super::{Fault, Phase, World, journal};

impl World {
    /// Operators see a node start.
    pub(super) fn is_seen(&mut self, machine: usize) {
        let host = &self.hosts[machine];
        let Some(member) = self.ledgers.member(machine).filter(|_| !host.is_copy) else { return };
        let address = host.address();
        for client in &mut self.clients {
            client.sees(member, &address);
        }
    }

    /// Who was removed for good since it was looked last is thrown away in a while.
    pub(super) fn look_who_was_removed(&mut self) {
        let committed = self.cluster.configurations.committed().map(|(index, _)| index);
        if committed == Some(self.members_at) {
            return;
        }
        self.members_at = committed.unwrap_or(Index::ZERO);
        for machine in 0..self.machines() {
            let Some(member) = self.ledgers.member(machine) else { continue };
            if self.cluster.configurations.was_removed(member) && !self.hosts[machine].is_thrown {
                self.hosts[machine].is_thrown = true;
                let length = self.length();
                self.queue.push(self.now + length, Event::Renew { machine, member });
            }
        }
    }

    /// Whether the node of this machine isn't a member, as far as that is settled.
    pub(super) fn is_no_member(&self, machine: usize) -> bool {
        let member = self.ledgers.member(machine);
        let configurations = &self.cluster.configurations;
        self.scenario.has(Fault::Changes)
            && member.is_some_and(|member| !configurations.is_member(member))
    }

    /// Whether a node that was refused comes back, and if so, plans that.
    pub(super) fn comes_back_empty(&mut self, machine: usize) -> bool {
        let is_no_member = self.is_no_member(machine) && self.phase == Phase::Faulty;
        let Some(member) = self.ledgers.member(machine).filter(|_| is_no_member) else {
            return false;
        };
        let at = self.now + self.length();
        // Where its seat isn't settled it may be let in the next time.
        match self.cluster.configurations.may_be_member(member) {
            true => self.queue.push(at, Event::Start { machine }),
            false => self.queue.push(at, Event::Renew { machine, member }),
        }
        true
    }

    /// A machine is emptied, if it still has the directory of this member, and is started again.
    pub(super) fn renew(&mut self, machine: usize, member: Member) {
        if self.phase != Phase::Faulty || self.ledgers.member(machine) != Some(member) {
            return;
        }
        journal::mark("world", "comes back empty");
        self.kill_if_alive(machine, Death::Killed);
        self.hosts[machine].state = State::Off;
        self.empty(machine);
        self.begin_as_joiner(machine);
        let length = self.length();
        self.queue.push(self.now + length, Event::Start { machine });
    }

    /// Where members change, any of them may lose its directory, but one at a time: the others have
    /// what is committed, and decide without it. The next one may once no configuration counts on
    /// the one before any more.
    pub(super) fn wipe_a_member(&mut self) {
        let machines = self.machines() as u64;
        let machine = self.faults.random().below(machines) as usize;
        let Some(member) = self.ledgers.member(machine) else { return };
        if self.cluster.committed() <= Index(1) || !self.can_do_without(member) {
            return;
        }
        self.crash(machine, Death::Killed);
        if self.hosts[machine].state != State::Off {
            return;
        }
        let is_member = self.cluster.configurations.may_be_member(member);
        journal::mark("world", if is_member { "member wiped" } else { "stranger wiped" });
        self.empty(machine);
        self.begin_as_joiner(machine);
    }

    fn begin_as_joiner(&mut self, machine: usize) {
        let places = self.places();
        self.hosts[machine].begin_as_joiner(&self.scenario, &places);
    }

    /// Whether in all that may be in force, and in what that leads to, there is a majority of each
    /// set of voters without this member; and nobody whose directory is lost has a seat.
    fn can_do_without(&self, member: Member) -> bool {
        self.cluster.configurations.all().all(|members| {
            let mut seated = members.seats().iter().filter_map(|seat| seat.member());
            let is_whole = seated.all(|seated| !self.ledgers.is_past(seated));
            let stays = |seat: &Seat| seat.member() != Some(member);
            let goal = Configuration::new(members.goal());
            is_whole && decides(members, stays) && decides(&goal, stays)
        })
    }

    /// A machine loses all that is on its disk. No process uses it.
    pub(super) fn empty(&mut self, machine: usize) {
        let host = &mut self.hosts[machine];
        host.disk.wipe();
        host.is_copy = false;
        self.ledgers.is_over(machine);
        self.seen[machine] = Seen::default();
        self.note(Some(machine), || "has lost its directory".to_owned());
    }

    /// Whether the node of a machine is a member, as who leads has it.
    pub(super) fn is_member(&self, machine: usize) -> bool {
        let Some((leader, _)) = self.leader() else { return false };
        let Some(driver) = self.hosts[leader].server.as_ref().and_then(|server| server.driver())
        else {
            return false;
        };
        let (_, members) = driver.raft().configuration();
        let member = self.ledgers.member(machine);
        member.is_some_and(|member| members.seat(member).is_some())
    }

    /// Whether operators, where there are any, have to mend something: whoever leads counts a member
    /// whose directory is lost, or has it where it isn't reached any more. Who was away may not know
    /// those whom a leader could hear that from.
    pub(super) fn is_to_be_mended(&self) -> bool {
        if !self.scenario.has(Fault::Changes) {
            return false;
        }
        let Some((leader, _)) = self.leader() else { return true };
        let driver = self.hosts[leader].server.as_ref().and_then(|server| server.driver());
        driver.is_some_and(|driver| {
            let (_, members) = driver.raft().configuration();
            members.seats().iter().any(|seat| self.is_wrong(seat))
        })
    }

    fn is_wrong(&self, seat: &Seat) -> bool {
        let Some(member) = seat.member() else { return false };
        let machine = usize::from(seat.id.number()) - 1;
        let is_elsewhere = self.ledgers.member(machine) == Some(member)
            && self.hosts[machine].address() != seat.address;
        is_elsewhere || self.ledgers.is_past(member)
    }

    /// How many machines nodes have; a copy of a directory runs on one behind these.
    pub(super) const fn machines(&self) -> usize {
        self.scenario.nodes + self.scenario.spares
    }
}
