//! The end: all is well again, and the cluster must come back.

use std::time::Duration;

use super::clients::Client;
use super::host::State;
use super::network::Weather;
use super::process::Death;
use super::queue::Event;
use super::{Fault, Phase, World};

/// How many election timeouts a leader may take to come.
const FOR_A_LEADER: u32 = 10;

/// How many election timeouts all nodes may take to become alike, and calls to be answered.
const FOR_THE_REST: u32 = 100;

/// How long what is older than the healing may hold things up: connections that have to be given
/// up, and pauses between calls that failed.
const AFTERMATH: Duration = Duration::from_secs(20);

/// What a disk hasn't done by then isn't waited for.
const SOON: u64 = 500_000_000;

/// The same for a leader: calls that failed are made again after two seconds at most.
const BEFORE_A_LEADER: Duration = Duration::from_secs(4);

/// As long again for each address at which a node may be called that it has left.
const WHERE_NODES_MOVE: Duration = Duration::from_secs(6);

/// How often it is looked.
const CHECK_UP: u64 = 20_000_000;

impl World {
    /// Nothing goes wrong any more.
    pub(super) fn heal(&mut self) {
        self.phase = Phase::Healed;
        self.healed_at = self.now;
        self.note(None, || "all is well from now on".to_owned());
        let mut network = self.network.borrow_mut();
        network.heal();
        network.weather = Weather {
            delay: (50_000, 150_000),
            spikes: 0,
            byte_time: 1,
            splits: 20,
            ..network.weather.clone()
        };
        drop(network);
        let losses = self.losses();
        for machine in 0..self.hosts.len() {
            if losses.contains(&machine) {
                self.kill_if_alive(machine, Death::PowerCut);
                self.hosts[machine].state = State::Gone("it never comes back".to_owned());
                self.note(Some(machine), || "never comes back".to_owned());
                continue;
            }
            let host = &self.hosts[machine];
            let is_stuck = host.disk_until.max(host.busy_until) > self.now + SOON;
            if host.disk.is_read_only() {
                self.kill_if_alive(machine, Death::PowerCut);
            } else if is_stuck {
                self.kill_if_alive(machine, Death::Killed);
            }
            let host = &mut self.hosts[machine];
            host.disk.heal(self.now);
            host.paused_until = host.paused_until.min(self.now);
            if host.state == State::Off {
                // One whose disk still does what its last process has asked for begins later.
                let at = host.disk_until.max(self.now);
                self.healed_at = self.healed_at.max(at);
                self.queue.push(at, Event::Start { machine });
            } else if host.state == State::Up {
                self.hosts[machine].turn_at = None;
                self.plan_turn(machine, self.now);
            }
        }
        for client in &mut self.clients {
            client.be_careful();
        }
        self.queue.push(self.now + CHECK_UP, Event::CheckUp);
    }

    /// Kills the process of a machine, if it has one.
    pub(super) fn kill_if_alive(&mut self, machine: usize, death: Death) {
        if matches!(self.hosts[machine].state, State::Up | State::Starting) {
            self.kill(machine, death);
        } else if death == Death::PowerCut {
            self.hosts[machine].disk.power_cut(self.now);
        }
    }

    /// Looks whether the cluster has come back, within its bounds.
    pub(super) fn check_up(&mut self) {
        let since = Duration::from_nanos(self.now.saturating_sub(self.healed_at));
        let election = self.scenario.election_timeout;
        let has_leader = self.leader_can_commit();
        let before_a_leader = match self.scenario.has(Fault::Moves) {
            true => BEFORE_A_LEADER + WHERE_NODES_MOVE,
            false => BEFORE_A_LEADER,
        };
        // Who calls now and then may be pausing, and a call that was begun before may fail.
        let pauses = self.clients.iter().map(Client::longest_pause).max().unwrap_or_default();
        if !self.scenario.has_atlas {
            // Too much may be lost for the cluster to come back; but nobody may have lied.
            if since > AFTERMATH {
                self.phase = Phase::Over;
                return self.check_history();
            }
            return self.queue.push(self.now + CHECK_UP, Event::CheckUp);
        }
        match self.phase {
            Phase::Healed => {
                self.has_led |= has_leader;
                let is_mended = has_leader && !self.is_to_be_mended();
                if is_mended && self.have_all_served() {
                    self.note(None, || format!("serves again after {since:?}"));
                    self.phase = Phase::Quiet;
                    for client in &mut self.clients {
                        client.is_done = true;
                    }
                } else if since > FOR_A_LEADER * election + before_a_leader && !self.has_led {
                    return self.not_back("no node leads", since);
                } else if since > FOR_THE_REST * election + 3 * AFTERMATH + 2 * pauses {
                    return self.not_back("not every client is served", since);
                }
            }
            Phase::Quiet => {
                if self.are_alike() && self.clients.iter().all(|client| client.is_idle()) {
                    return self.last_look();
                }
                if since > 2 * FOR_THE_REST * election + 6 * AFTERMATH + 2 * pauses {
                    return self.not_back("the nodes don't become alike", since);
                }
            }
            Phase::Faulty | Phase::Over => return,
        }
        self.queue.push(self.now + CHECK_UP, Event::CheckUp);
    }

    fn not_back(&mut self, what: &str, since: Duration) {
        let states: Vec<String> = self
            .hosts
            .iter()
            .zip(&self.seen)
            .map(|(host, seen)| {
                format!(
                    "{:?} term {} last {} commit {} applied {}",
                    host.state, seen.term, seen.last, seen.commit, seen.applied.index
                )
            })
            .collect();
        self.found(format!("liveness: {what} {since:?} after all is well: {}", states.join("; ")));
    }

    fn leader_can_commit(&self) -> bool {
        let Some((leader, _)) = self.leader() else { return false };
        let Some(driver) = self.hosts[leader].server.as_ref().and_then(|server| server.driver())
        else {
            return false;
        };
        let raft = driver.raft();
        raft.leads().is_some() && raft.id(raft.commit()).map(|id| id.term) == raft.leads()
    }

    fn have_all_served(&mut self) -> bool {
        let healed_at = self.healed_at;
        self.clients.iter().all(|client| client.answered_at > healed_at)
    }

    /// Whether all nodes that run have the same and know it.
    fn are_alike(&self) -> bool {
        let Some((leader, last)) = self.leader() else { return false };
        self.change_is_over(leader)
            && (0..self.hosts.len()).filter(|machine| self.is_needed(*machine)).all(|machine| {
                let seen = &self.seen[machine];
                self.is_up(machine)
                    && seen.last == last
                    && seen.commit == last.index
                    && seen.applied == last
            })
    }

    /// Whether a machine must have in the end what all have.
    fn is_needed(&self, machine: usize) -> bool {
        let host = &self.hosts[machine];
        // Where nodes move a copy may never find enough of those who would turn it away.
        let is_lost = host.is_copy && self.scenario.has(Fault::Moves);
        !host.is_gone() && !is_lost && self.is_member(machine)
    }

    /// Whether no change of members is under way: one that has begun comes to its end.
    fn change_is_over(&self, leader: usize) -> bool {
        let driver = self.hosts[leader].server.as_ref().and_then(|server| server.driver());
        driver.is_some_and(|driver| {
            let (_, members) = driver.raft().configuration();
            !members.is_joint() && !members.is_prepared()
        })
    }

    /// The checks of the end.
    fn last_look(&mut self) {
        self.phase = Phase::Over;
        let mut hashes = Vec::new();
        let mut contents = None;
        for (machine, host) in self.hosts.iter().enumerate() {
            if !self.is_needed(machine) {
                continue;
            }
            let Some(driver) = host.server.as_ref().and_then(|server| server.driver()) else {
                continue;
            };
            let machine = driver.machine();
            hashes.push(machine.state_hash());
            contents.get_or_insert_with(|| (machine.applied(), machine.view()));
        }
        if hashes.iter().any(|hash| *hash != hashes[0]) {
            return self.found(format!("the states differ in the end: {hashes:x?}"));
        }
        if let Some((applied, view)) = contents {
            let time_us = self.now / 1000;
            self.history.contents(time_us, applied.index, view.range(b""));
        }
        self.check_history();
    }

    fn check_history(&mut self) {
        let verdict = self.history.check();
        self.undecided = verdict.undecided.iter().map(ToString::to_string).collect();
        if !verdict.findings.is_empty() {
            self.found(verdict.to_string());
        }
    }
}
