//! What is to happen, by the time at which it does.

use std::cmp::Reverse;
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
    /// Whoever leads is to lead no more.
    Upset,
    /// Something goes wrong while a cluster forms.
    Founding,
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

/// When an event comes, and where it is kept until then. Ordered as they come: the earliest first,
/// of the same time the one that was planned first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Planned {
    at: u64,
    number: u64,
    place: u32,
}

/// Events by time. What is moved about in the order is small: the events themselves stay where they
/// are.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    order: BinaryHeap<Reverse<Planned>>,
    events: Vec<Option<Event>>,
    /// Places of `events` with nothing in them.
    free: Vec<u32>,
    planned: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: u64, event: Event) {
        self.planned += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.events[place as usize] = Some(event);
                place
            }
            None => {
                self.events.push(Some(event));
                self.events.len() as u32 - 1
            }
        };
        self.order.push(Reverse(Planned { at, number: self.planned, place }));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        while let Some(Reverse(Planned { at, place, .. })) = self.order.pop() {
            self.free.push(place);
            if let Some(event) = self.events[place as usize].take() {
                return Some((at, event));
            }
        }
        None
    }

    /// Takes out the network's events that never came about.
    pub(crate) fn retain_transits(&mut self, mut keep: impl FnMut(&Transit) -> bool) {
        for event in &mut self.events {
            if let Some(Event::Transit(transit)) = event
                && !keep(transit)
            {
                *event = None;
            }
        }
    }
}
