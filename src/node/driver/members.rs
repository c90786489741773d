//! Changes of the members: what operators ask for, and what a leader does on its own when nodes
//! come.

use std::collections::BTreeMap;

use super::proposals::Waiter;
use super::{Asked, Driver};
use crate::model::{Index, Member, Seat};
use crate::raft::{Input, Refusal};
use crate::wire::{Reply, ReplyBody, StorageKind};

/// The number of a change that the node itself asks for.
pub(super) const OWN_CHANGE: u64 = 0;

/// Who waits for the core to take a change in, by its number.
#[derive(Debug, Default)]
pub(super) struct Changes {
    asked: BTreeMap<u64, Waiter>,
    last: u64,
}

impl Changes {
    fn ask(&mut self, waiter: Waiter) -> u64 {
        self.last += 1;
        self.asked.insert(self.last, waiter);
        self.last
    }

    /// The core has answered: who waits for that.
    pub(super) fn answered(&mut self, number: u64) -> Option<Waiter> {
        self.asked.remove(&number)
    }
}

impl Driver {
    /// An operator wants these to be the members, and has seen the configuration at `expected`.
    /// The answer comes when the first configuration of the change is committed. From then on the
    /// cluster finishes the change, whoever leads; how far it is stands in the status.
    pub(super) fn change_members(&mut self, waiter: Waiter, expected: Index, seats: Vec<Seat>) {
        if self.stopping.is_stopping() {
            return self.refuse_stopping(waiter.client, waiter.request);
        }
        let token = Asked::Change(self.changes.ask(waiter)).token();
        self.core(Input::ChangeMembers { token, expected, seats });
    }

    /// The configuration at `index`, which the operator's change began with or which it asks for,
    /// is committed.
    pub(super) fn members_are(&mut self, waiter: Waiter, index: Index) {
        let body = ReplyBody::Members { index };
        self.reply(waiter.client, Reply { id: waiter.request, body });
    }

    pub(super) fn change_unneeded(&mut self, number: u64, index: Index) {
        if let Some(waiter) = self.changes.answered(number) {
            self.members_are(waiter, index);
        }
    }

    pub(super) fn change_refused(&mut self, number: u64, reason: Refusal) {
        match self.changes.answered(number) {
            Some(waiter) => self.refuse(waiter.client, waiter.request, reason),
            None => self.watch.look_for_arrivals_later(self.now),
        }
    }

    /// What a leader does when members have come, one at a time: who comes for a vacant seat gets
    /// it, who is reached elsewhere is written down there, and who keeps nothing over a restart
    /// takes the place of the life before.
    pub(super) fn receive_arrivals(&mut self) {
        let found = self.seat_for_arrival().or_else(|| self.change_for_arrivals());
        if let Some(input) = found {
            self.core(input);
            // Whoever is left is looked for again.
            self.watch.look_for_arrivals_later(self.now);
        }
    }

    fn seat_for_arrival(&self) -> Option<Input> {
        let (_, configuration) = self.raft.configuration();
        let vacant = |member: Member| {
            let mut seats = configuration.seats().iter().filter(|seat| seat.id == member.id);
            seats.any(|seat| seat.incarnation.is_none())
        };
        let (member, address) = self.peers.arrivals().find(|(member, _)| vacant(*member))?;
        let (token, address) = (Asked::Change(OWN_CHANGE).token(), address.to_owned());
        Some(Input::Seat { token, member, address })
    }

    fn change_for_arrivals(&self) -> Option<Input> {
        let (expected, configuration) = self.raft.configuration();
        // If a change is under way, it is to lead there as well.
        let before = configuration.goal();
        let mut seats = before.clone();
        let me = (self.about.me, self.about.address.as_str());
        for (member, address) in self.peers.arrivals().chain([me]) {
            if let Some(seat) = seats.iter_mut().find(|seat| seat.member() == Some(member)) {
                address.clone_into(&mut seat.address);
            } else if self.about.storage == StorageKind::Memory {
                self.replace_life(&mut seats, member, address);
            }
        }
        let token = Asked::Change(OWN_CHANGE).token();
        (seats != before).then_some(Input::ChangeMembers { token, expected, seats })
    }

    /// A node that keeps nothing has come back. Its votes of before are gone for good, so the seat
    /// of that life is of no more use to anybody.
    fn replace_life(&self, seats: &mut [Seat], member: Member, address: &str) {
        let is_gone = |seat: &Seat| {
            seat.member().is_some_and(|it| it != self.about.me && !self.peers.is_connected(it))
        };
        let mut lives = seats.iter_mut().filter(|seat| seat.id == member.id);
        if let (Some(seat), None) = (lives.next(), lives.next())
            && is_gone(seat)
        {
            seat.incarnation = Some(member.incarnation);
            address.clone_into(&mut seat.address);
        }
    }
}
