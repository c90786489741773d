//! What is to happen, by the time at which it does.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use raft_node::model::Member;

use super::faults::FaultEnd;
use super::network::Transit;
use super::process::Death;

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// In the network.
    Transit(Transit),
    /// A process has a turn; void if another one was planned since.
    Turn { machine: usize, turn: u64 },
    /// The log thread has done its work.
    LogDone { machine: usize, epoch: u64 },
    /// The file thread has done its work.
    FileDone { machine: usize, epoch: u64 },
    /// A process is started.
    Start { machine: usize },
    /// A machine that has this member's directory is emptied.
    Renew { machine: usize, member: Member },
    /// It has read its disk.
    Started { machine: usize, epoch: u64 },
    /// A client looks after its call; void if another look was planned since.
    Client { client: usize, look: u64 },
    /// Something goes wrong.
    Fault,
    /// Something more goes wrong.
    Trouble,
    /// A process ends at a moment that was chosen.
    Kill { machine: usize, epoch: u64, death: Death },
    /// Something that went wrong is over.
    FaultEnds(FaultEnd),
    /// It is looked whether leaders do what they have to.
    LookAtLeaders,
    /// Nothing goes wrong any more.
    Heal,
    /// It is looked whether the cluster has come back.
    CheckUp,
}

#[derive(Debug)]
struct Planned {
    at: u64,
    number: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.number == other.number
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    /// The earliest is the greatest; of the same time, the one that was planned first.
    fn cmp(&self, other: &Planned) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// Events by time.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Planned>,
    planned: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, event: Event) {
        self.planned += 1;
        self.heap.push(Planned { at, number: self.planned, event });
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|planned| (planned.at, planned.event))
    }

    /// Takes out the network's events that never came about.
    pub(crate) fn retain_transits(&mut self, mut keep: impl FnMut(&Transit) -> bool) {
        self.heap.retain(|planned| match &planned.event {
            Event::Transit(transit) => keep(transit),
            _ => true,
        });
    }
}
