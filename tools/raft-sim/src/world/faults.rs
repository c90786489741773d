//! What goes wrong, and when it is well again.

use std::time::Duration;

use raft_node::model::Index;

use super::host::State;
use super::process::Death;
use super::queue::Event;
use super::random::Random;
use super::{Fault, Phase, Scenario, World};

/// What keeps a node from hearing of the others.
const ABSENCES: [Fault; 4] = [Fault::Crashes, Fault::PowerCuts, Fault::Pauses, Fault::Cuts];

/// The faults of a world.
#[derive(Debug)]
pub(super) struct Faults {
    random: Random,
    /// Those that happen at a time of their own.
    kinds: Vec<Fault>,
    pause: u64,
    /// How long what goes wrong next lasts, where that isn't drawn.
    length: Option<u64>,
    election: u64,
    /// The machine that the last one was meant for.
    last: usize,
    /// The machines whose disks may lose what is durable: a minority, so that each committed
    /// entry has a good copy in every quorum of the others.
    victims: Vec<usize>,
}

/// Something that went wrong is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultEnd {
    /// A link is mended.
    Cut { from: usize, to: usize },
}

impl Faults {
    pub(super) fn new(scenario: &Scenario) -> Faults {
        let timed = |fault: &Fault| {
            matches!(
                fault,
                Fault::Breaks
                    | Fault::Cuts
                    | Fault::Crashes
                    | Fault::PowerCuts
                    | Fault::Pauses
                    | Fault::Clocks
                    | Fault::Stops
                    | Fault::SlowDisks
                    | Fault::Rot
                    | Fault::Misdirects
                    | Fault::LostFiles
                    | Fault::Wipes
                    | Fault::Moves
                    | Fault::Backups
                    | Fault::Clones
            )
        };
        let mut random = Random::stream(scenario.seed, "faults");
        // Nodes that are all wiped are a new cluster, and rightly so.
        let most = match scenario.has_atlas {
            true if scenario.has(Fault::Changes) || scenario.has(Fault::Foundings) => 0,
            true => (scenario.nodes - 1) / 2,
            false => scenario.nodes - 1,
        };
        let mut victims: Vec<usize> = (0..scenario.nodes).collect();
        while victims.len() > most {
            victims.remove(random.below(victims.len() as u64) as usize);
        }
        Faults {
            victims,
            random,
            kinds: scenario.faults.iter().copied().filter(timed).collect(),
            pause: scenario.fault_pause,
            length: None,
            election: scenario.election_timeout.as_nanos() as u64,
            last: 0,
        }
    }

    /// One of the machines whose disks may lose what is durable.
    pub(super) fn draw_victim(&mut self) -> Option<usize> {
        self.random.pick(&self.victims).copied()
    }

    /// Whether this machine's disk may lose what is durable.
    pub(super) fn is_victim(&self, machine: usize) -> bool {
        self.victims.contains(&machine)
    }

    pub(super) const fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

impl World {
    pub(super) fn plan_fault(&mut self) {
        if self.faults.kinds.is_empty() || self.phase != Phase::Faulty {
            return;
        }
        // Now and then one comes while the cluster is still busy with another.
        let pause = match self.faults.random.permille(300) {
            true => self.faults.pause.min(self.faults.election),
            false => self.faults.pause,
        };
        let pause = self.faults.random.below(2 * pause) + 1;
        self.queue.push(self.now + pause, Event::Fault);
    }

    /// A machine is at something that is rare and takes a while: often something goes wrong just
    /// then, there or with its leader.
    pub(super) fn trouble(&mut self, machine: usize) {
        self.faults.last = machine;
        while self.faults.random.permille(500) {
            let soon = self.faults.random.spread(100_000, self.faults.election);
            self.queue.push(self.now + soon, Event::Trouble);
        }
    }

    /// One thing goes wrong.
    pub(super) fn fault(&mut self) {
        if self.phase != Phase::Faulty {
            return;
        }
        if self.scenario.has_short_logs && self.faults.random.permille(400) {
            return self.send_away();
        }
        let kinds = self.faults.kinds.clone();
        let Some(kind) = self.faults.random.pick(&kinds).copied() else { return };
        let machine = self.faults.random.below(self.hosts.len() as u64) as usize;
        let machine = self.worth_most().unwrap_or(machine);
        self.strike(kind, machine);
    }

    /// One that doesn't lead is away for so long that it needs a snapshot, and comes back while
    /// things still go wrong.
    fn send_away(&mut self) {
        let leader = self.leader().map(|(leader, _)| leader);
        let others: Vec<usize> =
            (0..self.scenario.nodes).filter(|machine| Some(*machine) != leader).collect();
        let Some(machine) = self.faults.random.pick(&others).copied() else { return };
        let kinds = self.faults.kinds.iter().copied().filter(|fault| ABSENCES.contains(fault));
        let kinds: Vec<Fault> = kinds.collect();
        let Some(kind) = self.faults.random.pick(&kinds).copied() else { return };
        let (shortest, most) = (3 * self.faults.election, self.scenario.time.as_nanos() as u64 / 4);
        let length = self.faults.random.spread(shortest, most.max(shortest + 1));
        self.strike_for(kind, machine, length);
        if self.faults.random.permille(500) {
            // Who leads next may have kept less of its log than the one that has waited for it.
            let at = self.now + self.faults.random.below(length);
            self.queue.push(at, Event::Upset);
        }
    }

    /// Something goes wrong for a time that is given.
    pub(super) fn strike_for(&mut self, kind: Fault, machine: usize, length: u64) {
        self.faults.length = Some(length);
        self.strike(kind, machine);
        self.faults.length = None;
    }

    pub(super) fn strike(&mut self, kind: Fault, machine: usize) {
        self.faults.last = machine;
        match kind {
            Fault::Breaks => {
                let both = self.faults.random.permille(600);
                let parties = self.network.borrow_mut().break_one(both);
                if let Some((one, other)) = parties {
                    self.note(None, || format!("breaks the connection of {one:?} and {other:?}"));
                }
            }
            Fault::Cuts => self.cut_links(machine),
            Fault::Crashes => self.crash_at_moment(machine, Death::Killed),
            Fault::SlowDisks => self.stall(machine),
            Fault::Rot => self.rot(),
            Fault::Misdirects => self.misdirect(),
            Fault::LostFiles => self.lose_file(),
            Fault::Wipes => self.wipe(),
            Fault::Backups => self.back_up(),
            Fault::Clones => self.clone_node(),
            Fault::Moves => self.move_machine(machine),
            Fault::PowerCuts => self.power_cuts(machine),
            Fault::Pauses => self.pause(machine),
            Fault::Clocks => {
                self.note(Some(machine), || "has another clock from its next start on".to_owned());
                self.jump(machine);
            }
            Fault::Stops => self.stop(machine),
            _ => {}
        }
    }

    /// Leaders are worth more than others; and troubles of one machine don't come alone.
    fn worth_most(&mut self) -> Option<usize> {
        match self.faults.random.below(10) {
            0..5 => self.leader().map(|(leader, _)| leader),
            5..7 => Some(self.faults.last),
            _ => None,
        }
    }

    pub(super) fn length(&mut self) -> u64 {
        if let Some(length) = self.faults.length {
            return length;
        }
        let election = self.faults.election;
        // Some things last for so long that who comes back is to be sent a snapshot.
        match self.faults.random.permille(250) {
            true => self.faults.random.spread(election * 5, election * 80),
            false => self.faults.random.spread(election / 20 + 1, election * 30),
        }
    }

    /// Cuts one link, one node off, or the nodes into two groups; in one direction or in both.
    fn cut_links(&mut self, machine: usize) {
        let count = self.hosts.len();
        let (shape, both) = (self.faults.random.below(5), self.faults.random.permille(500));
        let group = self.faults.random.below(1 << count);
        let other = (machine + 1 + self.faults.random.below(count as u64 - 1) as usize) % count;
        let is_cut = |from: usize, to: usize| match shape {
            0 => (from, to) == (machine, other),
            1 | 2 => from == machine,
            3 => to == machine,
            _ => group >> from & 1 == 1 && group >> to & 1 == 0,
        };
        let until = self.now + self.length();
        for from in 0..count {
            for to in 0..count {
                if from != to && (is_cut(from, to) || both && is_cut(to, from)) {
                    self.cut(from, to, until);
                }
            }
        }
    }

    pub(super) fn cut(&mut self, from: usize, to: usize, until: u64) {
        self.network.borrow_mut().cut(from, to, true);
        self.queue.push(until, Event::FaultEnds(FaultEnd::Cut { from, to }));
        self.note(None, || format!("cuts the way from {} to {}", from + 1, to + 1));
    }

    /// Kills a process, half of the time at a moment at which its disk is just doing something.
    fn crash_at_moment(&mut self, machine: usize, death: Death) {
        let host = &self.hosts[machine];
        let epoch = host.epoch;
        let random = &mut self.faults.random;
        let at = host.disk.moment_after(self.now, random).filter(|_| random.permille(500));
        match at {
            Some(at) => self.queue.push(at, Event::Kill { machine, epoch, death }),
            None => self.crash(machine, death),
        }
    }

    fn stall(&mut self, machine: usize) {
        let until = self.now + self.length();
        self.hosts[machine].disk.stall(until);
        self.note(Some(machine), || format!("has a disk that stands still until {until} ns"));
    }

    /// The machines that never come back once all is well. Where there is no cluster yet all are
    /// needed.
    pub(super) fn losses(&mut self) -> Vec<usize> {
        let is_lossy = self.scenario.has(Fault::Losses) && self.scenario.has_atlas;
        if !is_lossy || self.cluster.committed() <= Index(1) {
            return Vec::new();
        }
        let Faults { victims, random, .. } = &mut self.faults;
        victims.iter().copied().filter(|_| random.permille(700)).collect()
    }

    pub(super) fn crash(&mut self, machine: usize, death: Death) {
        if !matches!(self.hosts[machine].state, State::Up | State::Starting) {
            return;
        }
        self.note(Some(machine), || match death {
            Death::Killed => "is killed".to_owned(),
            Death::PowerCut => "loses its power".to_owned(),
        });
        self.kill(machine, death);
        let starts_at = self.now + self.length();
        self.queue.push(starts_at, Event::Start { machine });
        self.crash_again(machine, starts_at);
    }

    /// What has crashed may do so again soon after its start, or while it starts.
    fn crash_again(&mut self, machine: usize, starts_at: u64) {
        if !self.faults.random.permille(250) {
            return;
        }
        let deaths = [(Fault::Crashes, Death::Killed), (Fault::PowerCuts, Death::PowerCut)];
        let deaths: Vec<Death> = deaths
            .into_iter()
            .filter(|(fault, _)| self.scenario.has(*fault))
            .map(|(_, death)| death)
            .collect();
        let Some(death) = self.faults.random.pick(&deaths).copied() else { return };
        let soon = self.faults.random.spread(100_000, 2 * self.faults.election);
        let epoch = self.hosts[machine].epoch;
        self.queue.push(starts_at + soon, Event::Kill { machine, epoch, death });
    }

    /// One machine loses its power, or all do.
    fn power_cuts(&mut self, machine: usize) {
        if self.faults.random.permille(200) {
            for machine in 0..self.hosts.len() {
                self.crash(machine, Death::PowerCut);
            }
        } else {
            self.crash_at_moment(machine, Death::PowerCut);
        }
    }

    fn pause(&mut self, machine: usize) {
        // A virtual machine that is moved goes on before all find it in its new place.
        let is_moved = self.faults.random.permille(300);
        let election = self.faults.election;
        let length = match is_moved {
            true => self.faults.random.spread(election, election * 30),
            false => self.length(),
        };
        let host = &mut self.hosts[machine];
        let goes_on = self.now + length;
        host.paused_until = host.paused_until.max(goes_on);
        let standing = Duration::from_nanos(length);
        self.note(Some(machine), || format!("stands still for {standing:?}"));
        if is_moved {
            let until = goes_on + self.length() / 4;
            for other in (0..self.hosts.len()).filter(|other| *other != machine) {
                self.cut(machine, other, until);
                self.cut(other, machine, until);
            }
            self.keep_unaware(machine, goes_on);
        }
    }

    /// Some clients that are connected to a machine and ask nothing now do so next shortly before
    /// it goes on: whoever leads by then, they don't know.
    fn keep_unaware(&mut self, machine: usize, goes_on: u64) {
        let id = self.hosts[machine].id;
        for client in 0..self.clients.len() {
            let random = &mut self.faults.random;
            if self.clients[client].may_ask(id) && random.permille(500) {
                let before = random.spread(500_000, self.faults.election / 2);
                self.clients[client].look_later(goes_on - before);
                self.plan_look(client);
            }
        }
    }

    /// Wall time jumps at once; how fast the clock runs holds from the next start on.
    fn jump(&mut self, machine: usize) {
        if self.hosts[machine].state == State::Off {
            return self.set_clock(machine);
        }
        let offset = self.faults.random.spread(1_000_000, 3_600_000_000_000) as i64;
        let host = &self.hosts[machine];
        let mut clock = host.clock.get();
        clock.wall_offset = if self.faults.random.permille(500) { offset } else { -offset };
        host.clock.set(clock);
    }

    fn stop(&mut self, machine: usize) {
        let host = &mut self.hosts[machine];
        let Some(server) = host.server.as_mut().filter(|_| host.state == State::Up) else { return };
        if server.leaves_for().is_some() {
            return;
        }
        let result = server.begin_to_leave();
        self.note(Some(machine), || "is asked to stop".to_owned());
        match result {
            Ok(()) => self.plan_turn(machine, self.now),
            Err(exit) => self.ended(machine, &exit),
        }
    }

    pub(super) fn fault_ends(&mut self, end: FaultEnd) {
        let FaultEnd::Cut { from, to } = end;
        if self.phase == Phase::Faulty {
            self.network.borrow_mut().cut(from, to, false);
        }
    }
}
