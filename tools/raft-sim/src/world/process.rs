//! The processes: started, given their turns, killed.

use std::mem;
use std::time::Duration;

use raft_node::model::LogId;
use raft_node::node::{Exit, Readiness, Report, Server, Store, open_on};
use raft_node::storage::{ErrorClass, FileReport, FileWork, LogDone, RecoveryReport, Rotated};

use super::ear::Heard;
use super::host::State;
use super::ledger::Done;
use super::network::{Party, Wake};
use super::outside::Surroundings;
use super::queue::Event;
use super::random::Random;
use super::{Fault, Phase, World, journal};

/// How long a turn keeps a process busy at least and at most, in nanoseconds.
const TURN: (u64, u64) = (5_000, 60_000);

/// How a process ends that isn't asked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Death {
    /// The process is killed; what the system has in its cache stays.
    Killed,
    /// The machine loses its power.
    PowerCut,
}

impl World {
    /// Starts the process of a machine: it reads its disk first.
    pub(super) fn start(&mut self, machine: usize) {
        if self.hosts[machine].state != State::Off || self.is_late(machine) {
            return;
        }
        let now = self.now;
        let seed = self.random.next();
        {
            let mut network = self.network.borrow_mut();
            network.machines[machine].is_up = true;
            let host = &mut self.hosts[machine];
            let mut clock = host.clock.get();
            clock.origin = now;
            host.clock.set(clock);
            network.machines[machine].epoch = host.epoch;
        }
        let host = &mut self.hosts[machine];
        host.state = State::Starting;
        let mut random = Random::stream(seed, "process");
        let draws = (u128::from(random.next()) << 64 | u128::from(random.next()), random.next());
        let node = host.config.node_by_id(host.id).cloned().expect("the file names it");
        host.disk.begin(now);
        let opened = open_on(host.disk.disk(), &host.config, &node, draws, None);
        let at = host.disk.end(now);
        self.note(Some(machine), || "starts".to_owned());
        let (store, report) = match opened {
            Ok(opened) => opened,
            Err(exit) => return self.ended_at(machine, &exit, at),
        };
        self.note_recovery(machine, &report);
        self.ledgers.begins(machine, store.member());
        let host = &mut self.hosts[machine];
        let surroundings = Surroundings {
            network: self.network.clone(),
            machine,
            clock: host.clock.clone(),
            random,
            workers: None,
            log: None,
            files: None,
        };
        let server = Server::new(surroundings, host.config.clone(), host.id, &store, &host.begin);
        host.server = Some(Box::new(server));
        host.store = Some(store);
        host.disk_until = at;
        let epoch = host.epoch;
        self.queue.push(at, Event::Started { machine, epoch });
    }

    fn note_recovery(&mut self, machine: usize, report: &RecoveryReport) {
        if report.torn.is_some() {
            journal::mark("world", "torn end cut at start");
        }
        self.note(Some(machine), || {
            let torn = report.torn.as_ref().map_or(0, |torn| torn.bytes);
            format!("has {} entries on disk, {torn} bytes torn: {:?}", report.entries, report.notes)
        });
    }

    pub(super) fn started(&mut self, machine: usize, epoch: u64) {
        let host = &mut self.hosts[machine];
        if host.epoch != epoch || host.state != State::Starting {
            return;
        }
        self.steps += 1;
        host.state = State::Up;
        self.network.borrow_mut().machines[machine].listens = true;
        let store: Store = host.store.take().expect("it was opened");
        let Some(server) = host.server.as_mut() else { return };
        let result = server.start(store);
        let broken = self.begins_with(machine).err();
        let server = self.hosts[machine].server.as_ref();
        if let Some(driver) = server.and_then(|server| server.driver()) {
            self.ledgers[machine].begin(driver.raft());
            self.seen[machine].begin(driver.raft());
        }
        if let Some(text) = broken {
            self.found(format!("node {}: {text}", machine + 1));
        }
        self.trace.take_journal(self.now, machine);
        if let Err(exit) = result {
            return self.ended(machine, &exit);
        }
        self.hosts[machine].busy_until = self.now;
        self.plan_turn(machine, self.now);
        self.is_seen(machine);
    }

    /// Something wants a turn of a process.
    pub(super) fn wake_host(&mut self, machine: usize, wake: Wake) {
        let host = &mut self.hosts[machine];
        if host.state != State::Up {
            return;
        }
        match wake.token {
            Some(token) => {
                let readiness = Readiness { readable: wake.readable, writable: wake.writable };
                host.ready.push((token, readiness));
            }
            None => host.is_called = true,
        }
        self.plan_turn(machine, self.now);
    }

    /// Plans a turn at this time, or as soon as the process has time.
    pub(super) fn plan_turn(&mut self, machine: usize, at: u64) {
        let host = &mut self.hosts[machine];
        let at = at.max(host.busy_until).max(host.paused_until).max(self.now);
        if host.turn_at.is_some_and(|planned| planned <= at) {
            return;
        }
        host.turn += 1;
        host.turn_at = Some(at);
        self.queue.push(at, Event::Turn { machine, turn: host.turn });
    }

    /// One turn of a process, as the event loop has them.
    pub(super) fn turn(&mut self, machine: usize, turn: u64) {
        let now = self.now;
        let host = &mut self.hosts[machine];
        if host.turn != turn || host.state != State::Up {
            return;
        }
        if host.paused_until > now {
            host.turn_at = None;
            return self.plan_turn(machine, now);
        }
        host.turn_at = None;
        let Some(server) = host.server.as_mut() else { return };
        if host.ready.is_empty() && host.reports.is_empty() {
            self.steps += 1;
        }
        let first_transit = self.network.borrow().transits.len();
        host.disk.begin(now);
        server.begin_turn(host.waited);
        for (token, readiness) in host.ready.drain(..) {
            server.note(raft_node::node::ConnectionId(token), readiness);
        }
        if mem::take(&mut host.is_called) {
            server.may_accept();
        }
        let mut result = Ok(());
        for report in host.reports.drain(..) {
            result = result.and_then(|()| server.take_report(report));
        }
        let result = result.and_then(|()| server.end_turn());
        if let Err(exit) = &result {
            server.say_goodbye(exit);
        }
        let mut busy_until = now + self.random.between(TURN.0, TURN.1);
        if host.disk.is_used() {
            // The process itself has waited for the disk, as it does when it is founded.
            let until = host.disk.end(now);
            self.network.borrow_mut().put_off(first_transit, until - now);
            busy_until = busy_until.max(until);
        }
        host.busy_until = busy_until;
        self.give_work(machine);
        self.after_turn(machine);
        if let Err(exit) = result {
            return self.ended(machine, &exit);
        }
        let host = &mut self.hosts[machine];
        let Some(server) = host.server.as_mut() else { return };
        host.waited = server.timeout();
        if let Some(waits) = host.waited {
            let at = host.clock.get().after(now, waits);
            self.plan_turn(machine, at);
        }
    }

    /// What the process gave to the threads of its disk is done, and reported when it would be.
    fn give_work(&mut self, machine: usize) {
        let host = &mut self.hosts[machine];
        let Some(server) = host.server.as_mut() else { return };
        let outside = server.outside();
        let begins = self.now;
        let epoch = host.epoch;
        let Some(workers) = outside.workers.as_mut() else { return };
        if let Some(work) = outside.log.take() {
            self.ledgers[machine].give(&work);
            host.disk.begin(begins);
            let result = (workers.log)(work);
            let at = host.disk.end(begins);
            let took = Duration::from_nanos(at - begins);
            host.log_report = Some(Report::Log(result, took));
            host.log_since = Some(begins);
            host.disk_until = host.disk_until.max(at);
            self.queue.push(at, Event::LogDone { machine, epoch });
        }
        if let Some(work) = outside.files.take() {
            self.give_file_work(machine, work);
        }
    }

    fn give_file_work(&mut self, machine: usize, work: FileWork) {
        let delay = self.delay_of_files(machine, &work);
        let host = &mut self.hosts[machine];
        let workers = host.server.as_mut().and_then(|server| server.outside().workers.as_mut());
        let Some(workers) = workers else { return };
        host.disk.begin(self.now);
        let result = (workers.files)(work);
        let at = host.disk.end(self.now) + delay;
        host.file_report = Some(Report::File(result));
        host.disk_until = host.disk_until.max(at);
        let epoch = host.epoch;
        self.queue.push(at, Event::FileDone { machine, epoch });
    }

    pub(super) fn log_done(&mut self, machine: usize, epoch: u64) {
        let host = &mut self.hosts[machine];
        if host.epoch != epoch {
            return;
        }
        self.steps += 1;
        self.trace.add(self.now);
        let Some(report) = host.log_report.take() else { return };
        self.ledgers[machine].done(match &report {
            Report::Log(Ok(_), _) => Done::All,
            Report::Log(Err(error), _) if error.class() == ErrorClass::NoSpace => Done::NoRoom,
            _ => Done::Unknown,
        });
        host.log_since = None;
        self.note_astray(machine);
        if let Report::Log(Ok(report), _) = &report
            && let LogDone::Written { rotated, .. } = report.done
        {
            let is_meant = |name: &str| name.ends_with(".seg") || name == "hardstate";
            let unsynced = self.hosts[machine].disk.disk().unsynced(is_meant);
            if let Some(path) = unsynced {
                let path = path.display();
                self.found(format!(
                    "node {}: no promise before it is durable: {path} isn't, and the write is \
                     reported as done",
                    machine + 1
                ));
            }
            match rotated {
                Rotated::No => {}
                Rotated::OntoSpare => journal::mark("world", "segment begun"),
                Rotated::WithoutSpare => journal::mark("world", "segment begun without a spare"),
            }
        }
        self.hosts[machine].reports.push(report);
        self.plan_turn(machine, self.now);
    }

    pub(super) fn file_done(&mut self, machine: usize, epoch: u64) {
        let host = &mut self.hosts[machine];
        if host.epoch != epoch {
            return;
        }
        self.steps += 1;
        self.trace.add(self.now);
        let Some(report) = host.file_report.take() else { return };
        match &report {
            Report::File(Ok(FileReport::Entries { .. })) => {
                journal::mark("world", "a follower is sent entries from disk");
            }
            Report::File(Ok(FileReport::Received { snapshot, .. }))
                if snapshot.last.index <= self.seen[machine].applied.index =>
            {
                journal::mark("world", "a snapshot was overtaken");
            }
            _ => {}
        }
        host.reports.push(report);
        self.plan_turn(machine, self.now);
    }

    /// The checks that follow each turn.
    fn after_turn(&mut self, machine: usize) {
        self.trace.take_journal(self.now, machine);
        let heard = journal::take_heard();
        if heard.iter().any(|one| matches!(one, Heard::Receives)) {
            self.receives(machine);
        }
        if heard.iter().any(|one| matches!(one, Heard::Founds)) {
            self.founds(machine);
        }
        let host = &self.hosts[machine];
        let mut result = Ok(());
        if let Some(driver) = host.server.as_ref().and_then(|server| server.driver()) {
            let seen = &mut self.seen[machine];
            if !self.ledgers[machine].has_begun() {
                // The node has become a member of a cluster.
                self.ledgers[machine].begin(driver.raft());
            }
            result = self.cluster.look(machine, driver, seen, &self.ledgers);
            self.trace.add(seen.last.index.0 << 20 ^ seen.commit.0);
            self.trace.add(seen.term.0 << 20 ^ seen.applied.index.0);
        }
        let result = result.and_then(|()| self.check_heard(machine, &heard));
        let result = result.and_then(|()| self.check_doors(machine, &heard));
        let result = result.and_then(|()| self.check_queues(machine));
        if let Err(text) = result {
            self.found(format!("node {}: {text}", machine + 1));
        }
        self.look_for_latecomer();
        self.look_who_was_removed();
    }

    /// A process has ended by itself.
    pub(super) fn ended(&mut self, machine: usize, exit: &Exit) {
        self.ended_at(machine, exit, self.hosts[machine].busy_until.max(self.now));
    }

    /// A process has ended by itself, when its disk had done what it had asked for until `at`.
    fn ended_at(&mut self, machine: usize, exit: &Exit, at: u64) {
        self.note(Some(machine), || format!("ends with code {}: {exit}", exit.code()));
        let is_read_only = self.hosts[machine].disk.is_read_only();
        // Once all is well somebody looks after such machines.
        let is_mended = is_read_only && self.phase != Phase::Faulty;
        self.drop_process(machine, if is_mended { Death::PowerCut } else { Death::Killed }, at);
        let is_expected = self.is_expected(machine, exit);
        if !is_expected {
            let text = format!("node {} ends with code {}: {exit}", machine + 1, exit.code());
            return self.found(text);
        }
        if matches!(exit, Exit::Refused(_)) && self.comes_back_empty(machine) {
            return;
        }
        if matches!(exit, Exit::Refused(_) | Exit::Corrupt(_)) {
            return self.gone(machine, exit.to_string());
        }
        if matches!(exit, Exit::Clean) {
            self.lose_end(machine);
        }
        let pause = self.random.spread(1_000_000, 2_000_000_000);
        self.queue.push(at + pause, Event::Start { machine });
    }

    /// Whether what goes wrong in this world explains that a process ends so.
    fn is_expected(&self, machine: usize, exit: &Exit) -> bool {
        let may_end = self.hosts[machine].may_end;
        match exit {
            Exit::Clean => {
                journal::mark("world", "stopped in good order");
                true
            }
            Exit::Refused(_) => {
                if self.hosts[machine].is_copy {
                    journal::mark("world", "copy told and refused");
                }
                may_end || self.is_no_member(machine)
            }
            Exit::Corrupt(_) => {
                journal::mark(
                    "world",
                    match self.hosts[machine].lacks_file {
                        true => "start refused for a lost file",
                        false => "start refused a rotten disk",
                    },
                );
                may_end
            }
            Exit::Disk(_) => {
                journal::mark("world", "ended by a disk error");
                self.scenario.has(Fault::DiskErrors)
                    || self.scenario.has(Fault::FullDisks)
                    || may_end
            }
            Exit::DiskStill(_) => self.scenario.has(Fault::SlowDisks),
            _ => false,
        }
    }

    /// Kills the process of a machine.
    pub(super) fn kill(&mut self, machine: usize, death: Death) {
        let host = &self.hosts[machine];
        if host.state == State::Starting {
            journal::mark("world", "crashed while starting");
        }
        if host.log_report.is_some() {
            journal::mark("world", "crashed with a write on its way");
        }
        if self.seen[machine].leads.is_some() {
            journal::mark("world", "crashed as leader");
        }
        self.drop_process(machine, death, self.now);
    }

    /// Kills the process if it is still the one that was meant, and starts it again in a while.
    pub(super) fn kill_at_moment(&mut self, machine: usize, epoch: u64, death: Death) {
        if self.phase == Phase::Faulty && self.hosts[machine].epoch == epoch {
            self.crash(machine, death);
        }
    }

    /// The process is gone; its disk has done what was to be done until `at`.
    fn drop_process(&mut self, machine: usize, death: Death, at: u64) {
        let now = self.now;
        let host = &mut self.hosts[machine];
        if death == Death::PowerCut {
            self.network.borrow_mut().machines[machine].is_up = false;
        }
        host.store = None;
        host.drop_process();
        host.state = State::Off;
        match death {
            Death::Killed => host.disk.process_crash(at),
            Death::PowerCut => host.disk.power_cut(at),
        }
        host.disk_until = at;
        self.seen[machine].end();
        self.ledgers[machine].end();
        let mut network = self.network.borrow_mut();
        network.process_gone(machine);
        let party = Party::Host(machine);
        self.queue.retain_transits(|transit| !network.takes_back(transit, party, now));
    }

    /// Draws how a machine's clock runs.
    pub(super) fn set_clock(&mut self, machine: usize) {
        if !self.scenario.has(Fault::Clocks) || self.phase != Phase::Faulty {
            return;
        }
        let host = &self.hosts[machine];
        let mut clock = host.clock.get();
        let drift = self.random.spread(1, 20_000) as i64;
        clock.drift = if self.random.permille(500) { drift } else { -drift };
        let offset = self.random.spread(1_000_000, 3_600_000_000_000) as i64;
        clock.wall_offset = if self.random.permille(500) { offset } else { -offset };
        host.clock.set(clock);
    }

    /// The last entry of the log of who leads the latest term.
    pub(super) fn leader(&self) -> Option<(usize, LogId)> {
        let leads = |(machine, host): (usize, &super::Host)| {
            let driver = host.server.as_ref()?.driver()?;
            let term = driver.raft().leads()?;
            Some((term, machine, driver.raft().last()))
        };
        let leader = self.hosts.iter().enumerate().filter_map(leads).max_by_key(|(term, ..)| *term);
        leader.map(|(_, machine, last)| (machine, last))
    }
}
