//! What leaders owe the cluster: one that a quorum doesn't hear, whose disk stands still, or that
//! waits for a successor, doesn't hold the others up for long. Looked at twice in each election
//! timeout.

use std::time::Duration;

use raft_node::model::{Member, Seat, SnapshotId, Term};
use raft_node::raft::Raft;

use super::majorities::decides;
use super::queue::Event;
use super::{Phase, World, journal};

/// How many times in a row a leader may be found at what has to end within two election timeouts.
const LOOKS: u32 = 8;

/// How often in a row a transfer may be seen to get no further before it may be given up: that is
/// less than the ten election timeouts for which a leader holds a snapshot.
const STILL_LOOKS: u32 = 16;

/// A snapshot that is sent to a member.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    term: Term,
    to: Member,
    snapshot: SnapshotId,
    has: u64,
    /// How often in a row the member was seen to have no more.
    looks: u32,
}

/// What a machine was found at when it was looked at last.
#[derive(Clone, Debug, Default)]
pub(super) struct Duties {
    transfers: Vec<Transfer>,
    /// The term that it leads, and to whom it hands over.
    handover: Option<(Term, Member)>,
    /// How often in a row that was the same.
    handover_looks: u32,
    /// How often in a row its disk stood still while a quorum of the others had more than it.
    still_looks: u32,
}

impl World {
    pub(super) fn plan_look_at_leaders(&mut self) {
        let pause = self.scenario.election_timeout.as_nanos() as u64 / 2;
        self.queue.push(self.now + pause, Event::LookAtLeaders);
    }

    pub(super) fn look_at_leaders(&mut self) {
        if self.phase == Phase::Over {
            return;
        }
        self.watch();
        for machine in 0..self.hosts.len() {
            let last = std::mem::take(&mut self.duties[machine]);
            let transfers = self.look_at_transfers(machine, &last.transfers);
            let duties = self.look_at_leader(machine, &last).unwrap_or_default();
            let Duties { handover, handover_looks, still_looks, .. } = duties;
            self.duties[machine] = Duties { transfers, ..duties };
            if handover_looks > LOOKS {
                let text = format!("node {} hands over without an end: {handover:?}", machine + 1);
                self.found(text);
            }
            if still_looks > LOOKS {
                let text = format!("node {} leads on while its disk stands still", machine + 1);
                self.found(text);
            }
        }
        self.plan_look_at_leaders();
    }

    /// What a leader is at, if this is one and has had the time to do anything.
    fn look_at_leader(&mut self, machine: usize, last: &Duties) -> Option<Duties> {
        let election = self.scenario.election_timeout;
        let host = &self.hosts[machine];
        let server = host.server.as_ref()?;
        let raft = server.driver()?.raft();
        let term = raft.leads()?;
        if let Some(text) = leads_alone(raft, term, election) {
            self.found(text);
            return None;
        }
        if host.paused_until.max(host.busy_until) > self.now || server.leaves_for().is_some() {
            return None;
        }
        let handover = raft.status().transferring.map(|target| (term, target));
        let is_same = handover.is_some() && handover == last.handover;
        let patience = election.as_nanos() as u64;
        let stands_still = host.log_since.is_some_and(|since| self.now > since + patience);
        let is_still = stands_still && others_have_more(raft);
        Some(Duties {
            transfers: Vec::new(),
            handover,
            handover_looks: if is_same { last.handover_looks + 1 } else { 0 },
            still_looks: if is_still { last.still_looks + 1 } else { 0 },
        })
    }

    /// What a leader sends. One that lets go of what follows a snapshot while a member is sent that
    /// one can't go on with it: the member needs the next one at once, and perhaps for ever. What
    /// a member may lag behind is bounded, so it counts only where the log is far from that; and
    /// damage takes any snapshot.
    fn look_at_transfers(&mut self, machine: usize, last: &[Transfer]) -> Vec<Transfer> {
        let host = &self.hosts[machine];
        let driver = host.server.as_ref().and_then(|server| server.driver());
        let Some((raft, term)) = driver.and_then(|it| Some((it.raft(), it.raft().leads()?))) else {
            return Vec::new();
        };
        let status = raft.status();
        let mut transfers = Vec::new();
        let mut given_up = None;
        for peer in &status.peers {
            let Some((snapshot, has)) = peer.snapshot else { continue };
            let mut last = last.iter().filter(|last| (last.term, last.to) == (term, peer.member));
            let before = last.next();
            let looks = before.filter(|it| (it.snapshot, it.has) == (snapshot, has));
            let looks = looks.map_or(0, |it| it.looks + 1);
            transfers.push(Transfer { term, to: peer.member, snapshot, has, looks });
            given_up = given_up.or(before.copied().filter(|before| {
                let was_moving = before.has > 0 && before.looks < STILL_LOOKS;
                snapshot.last.index > before.snapshot.last.index
                    && was_moving
                    && before.has < before.snapshot.bytes
            }));
        }
        let may_lag = self.scenario.snapshots.max_lag_bytes;
        let spare = 4 * self.scenario.segment_bytes + self.scenario.max_batch_bytes;
        if host.may_end || host.disk.log_bytes() + spare >= may_lag {
            return transfers;
        }
        if let Some(fallback) = status.snapshots.get(1)
            && transfers.iter().any(|it| it.snapshot.last.index < fallback.last.index)
        {
            journal::mark("world", "a log waits for a transfer");
        }
        if let Some(Transfer { to, snapshot, has, .. }) = given_up {
            self.found(format!(
                "node {} gives up snapshot {snapshot}, of which {to:?} has {has} bytes, and its \
                 log begins at {}",
                machine + 1,
                status.base
            ));
        }
        transfers
    }
}

/// Whether a quorum of the others told this leader that they have more on their disks than it has.
fn others_have_more(raft: &Raft) -> bool {
    let (status, (_, members)) = (raft.status(), raft.configuration());
    decides(members, |seat| {
        let mut peers = status.peers.iter();
        let peer = peers.find(|peer| Some(peer.member) == seat.member());
        peer.is_some_and(|peer| peer.matched > raft.durable())
    })
}

/// What is wrong with a leader that a quorum hasn't answered for two election timeouts.
fn leads_alone(raft: &Raft, term: Term, election_timeout: Duration) -> Option<String> {
    let status = raft.status();
    let (_, members) = raft.configuration();
    let is_silent = |seat: &Seat| {
        let mut peers = status.peers.iter();
        let peer = peers.find(|peer| Some(peer.member) == seat.member());
        peer.and_then(|peer| peer.heard_ago).is_some_and(|ago| ago > 2 * election_timeout)
    };
    decides(members, is_silent)
        .then(|| format!("most voters are silent, and the leader of {term} leads on"))
}
