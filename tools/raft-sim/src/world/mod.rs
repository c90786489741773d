//! A world: machines with their disks and clocks, the network between them, clients, and what
//! goes wrong; all of it decided by one seed.

mod clients;
mod clock;
mod configurations;
mod copies;
mod damage;
mod disks;
mod doors;
mod ear;
mod end;
mod faults;
mod findings;
mod foundings;
mod host;
mod invariants;
mod journal;
mod latecomer;
mod leaders;
mod ledger;
mod ledgers;
mod lives;
mod majorities;
mod markers;
mod moves;
mod network;
mod operator;
mod outside;
mod process;
mod promises;
mod queue;
mod queues;
mod random;
mod scenario;
mod trace;
mod transfers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use raft_node::model::Index;

use self::clients::Client;
use self::copies::Copies;
use self::disks::HostDisk;
use self::faults::Faults;
pub use self::findings::{Finding, Outcome};
use self::host::{Host, State};
use self::invariants::{Cluster, Seen};
use self::latecomer::Latecomer;
use self::leaders::Duties;
use self::ledgers::Ledgers;
use self::network::{Network, Party};
use self::outside::SharedNetwork;
use self::queue::{Event, Queue};
use self::random::Random;
pub use self::scenario::{Choices, Fault, Scenario};
use self::trace::Trace;
use crate::check::History;

/// The names of all markers, as the tables have them.
pub fn marker_names() -> impl Iterator<Item = &'static str> {
    markers::all().map(|(_, name)| name)
}

/// The timeline of this thread's world so far, which is gone then; for one that ends by a panic.
#[must_use]
pub fn lines_so_far() -> Vec<String> {
    journal::take_timeline()
}

/// Runs the world of a scenario to its end, or to the first thing that must not be. With
/// `is_verbose` the outcome has the timeline.
#[must_use]
pub fn run(scenario: &Scenario, is_verbose: bool) -> Outcome {
    journal::begin(is_verbose);
    let mut world = World::new(scenario, is_verbose);
    world.live();
    world.outcome()
}

/// How a world goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Things go wrong.
    Faulty,
    /// All is well again, and the clients go on.
    Healed,
    /// The clients are done: all nodes become alike.
    Quiet,
    /// It is over.
    Over,
}

struct World {
    scenario: Scenario,
    now: u64,
    queue: Queue,
    network: SharedNetwork,
    hosts: Vec<Host>,
    seen: Vec<Seen>,
    ledgers: Ledgers,
    copies: Copies,
    duties: Vec<Duties>,
    clients: Vec<Client>,
    history: History,
    cluster: Cluster,
    faults: Faults,
    latecomer: Option<Latecomer>,
    /// Where the committed members stand in the log that were looked at last.
    members_at: Index,
    phase: Phase,
    healed_at: u64,
    /// Whether somebody has led since all is well: a hand-over may come at any time after that.
    has_led: bool,
    finding: Option<Finding>,
    undecided: Vec<String>,
    trace: Trace,
    steps: u64,
    random: Random,
}

impl World {
    fn new(scenario: &Scenario, is_verbose: bool) -> World {
        let seed = scenario.seed;
        let weather = scenario.weather.clone();
        // A copy of a directory runs on a machine of its own.
        let machines = scenario.nodes + scenario.spares;
        let spare = scenario.has(Fault::Clones).then_some(machines);
        let machines = machines + usize::from(spare.is_some());
        let network = Network::new(machines, weather, Random::stream(seed, "network"));
        let host = |machine| Host::new(scenario, machine, HostDisk::new(scenario, machine));
        let mut world = World {
            now: 0,
            queue: Queue::default(),
            network: Rc::new(RefCell::new(network)),
            hosts: (0..machines).map(host).collect(),
            seen: vec![Seen::default(); machines],
            ledgers: Ledgers::new(machines),
            copies: Copies::new(spare),
            duties: vec![Duties::default(); machines],
            clients: (0..scenario.clients).map(|index| Client::new(scenario, index)).collect(),
            history: History::new(),
            cluster: Cluster::default(),
            faults: Faults::new(scenario),
            latecomer: Latecomer::draw(scenario),
            members_at: Index::ZERO,
            phase: Phase::Faulty,
            healed_at: u64::MAX,
            has_led: false,
            finding: None,
            undecided: Vec::new(),
            trace: Trace::new(is_verbose),
            steps: 0,
            random: Random::stream(seed, "world"),
            scenario: scenario.clone(),
        };
        world.add_free_places();
        for machine in 0..world.machines() {
            world.network.borrow_mut().machines[machine].is_up = true;
            world.set_clock(machine);
            let at = world.random.below(world.all_started_by());
            world.queue.push(at, Event::Start { machine });
        }
        if let Some(spare) = spare {
            world.gone(spare, "nothing runs on it".to_owned());
        }
        for client in 0..scenario.clients {
            let at = world.random.below(200_000_000);
            world.queue.push(at, Event::Client { client, look: 0 });
        }
        // Who can't be called must know whom to call, and who comes later isn't in its file.
        if scenario.has(Fault::Walls) && scenario.spares == 0 {
            let machine = world.walled();
            world.network.borrow_mut().machines[machine].is_walled = true;
            world.note(Some(machine), || "can't be called by the others".to_owned());
        }
        world.queue.push(scenario.time.as_nanos() as u64, Event::Heal);
        world.plan_foundings();
        world.plan_fault();
        world.plan_look_at_leaders();
        world
    }

    /// Which machine can't be called.
    fn walled(&mut self) -> usize {
        let machine = self.random.below(self.scenario.nodes as u64) as usize;
        // Who can't be called turns a copy away only where it calls itself, and then nobody tells
        // the copy why. So it must be one of those that aren't needed for that.
        let may_forget = [Fault::Backups, Fault::Clones, Fault::Misdirects];
        let has_copies = may_forget.iter().any(|fault| self.scenario.has(*fault));
        self.faults.draw_victim().filter(|_| has_copies).unwrap_or(machine)
    }

    fn live(&mut self) {
        while self.finding.is_none() && self.phase != Phase::Over {
            let Some((at, event)) = self.queue.pop() else {
                return self.found("the world stands still: nobody has anything to do".to_owned());
            };
            self.now = at;
            self.network.borrow_mut().now = at;
            self.step(event);
            self.settle();
        }
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Transit(transit) => {
                self.steps += 1;
                self.trace.transit(self.now, &transit);
                self.network.borrow_mut().happen(transit);
            }
            Event::Turn { machine, turn } => self.turn(machine, turn),
            Event::LogDone { machine, epoch } => self.log_done(machine, epoch),
            Event::FileDone { machine, epoch } => self.file_done(machine, epoch),
            Event::Start { machine } => self.start(machine),
            Event::Renew { machine, member } => self.renew(machine, member),
            Event::Started { machine, epoch } => self.started(machine, epoch),
            Event::Client { client, look } => {
                if self.clients[client].look == look {
                    self.steps += 1;
                    let (network, history) = (&self.network, &mut self.history);
                    self.clients[client].time_passes(network, history);
                    self.plan_look(client);
                }
            }
            Event::Fault => {
                self.fault();
                self.plan_fault();
            }
            Event::Trouble => self.fault(),
            Event::Upset => self.upset(),
            Event::Founding => self.trouble_a_founding(),
            Event::Kill { machine, epoch, death } => self.kill_at_moment(machine, epoch, death),
            Event::FaultEnds(end) => self.fault_ends(end),
            Event::LookAtLeaders => self.look_at_leaders(),
            Event::Heal => self.heal(),
            Event::CheckUp => self.check_up(),
        }
    }

    /// What the network has to tell, and when what was sent arrives.
    fn settle(&mut self) {
        loop {
            let mut network = self.network.borrow_mut();
            for (at, transit) in network.transits.drain(..) {
                self.queue.push(at, Event::Transit(transit));
            }
            if network.wakes.is_empty() {
                return;
            }
            let wakes = std::mem::take(&mut network.wakes);
            drop(network);
            for wake in wakes {
                match wake.party {
                    Party::Host(machine) => self.wake_host(machine, wake),
                    Party::Client(client) => {
                        let (network, history) = (&self.network, &mut self.history);
                        self.clients[client].wakes(network, history, wake.connection);
                        self.plan_look(client);
                    }
                }
            }
        }
    }

    fn plan_look(&mut self, client: usize) {
        let Client { look_at, look, .. } = self.clients[client];
        if let Some(at) = look_at {
            self.queue.push(at.max(self.now), Event::Client { client, look });
        }
    }

    fn found(&mut self, text: String) {
        if self.finding.is_none() {
            self.finding = Some(Finding { at: Duration::from_nanos(self.now), text });
        }
    }

    fn note(&mut self, machine: Option<usize>, text: impl FnOnce() -> String) {
        self.trace.note(self.now, machine, text);
    }

    fn outcome(mut self) -> Outcome {
        let commits = self.cluster.committed().0;
        let answered = self.clients.iter().map(|client| client.answered).sum();
        // The processes go before what they stand on.
        for host in &mut self.hosts {
            host.server = None;
        }
        let mut markers = journal::take_markers();
        for host in &self.hosts {
            self.trace.add(host.disk.trace());
            for (mark, count) in host.disk.marks() {
                *markers.entry(("disk", mark.name())).or_default() += count;
            }
        }
        let counts = markers::all()
            .map(|(mark, name)| (name, markers.get(&mark).copied().unwrap_or_default()));
        let markers: BTreeMap<&'static str, u64> = counts.filter(|(_, count)| *count > 0).collect();
        Outcome {
            seed: self.scenario.seed,
            hash: self.trace.hash(),
            finding: self.finding,
            undecided: self.undecided,
            steps: self.steps,
            simulated: Duration::from_nanos(self.now),
            commits,
            answered,
            markers,
            timeline: lines_so_far(),
        }
    }

    fn is_up(&self, machine: usize) -> bool {
        self.hosts[machine].state == State::Up
    }
}
