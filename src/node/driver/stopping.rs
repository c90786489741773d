//! Leaving in good order: answer what is in flight, hand leadership over, note that everything is
//! durable.

use std::time::Duration;

use super::{Asked, ClientId, Driver, DriverOutput, Halt};
use crate::model::{Body, Index, Message, NodeId, Time};
use crate::raft::{Input, Refusal, Token};
use crate::wire::{Reply, ReplyBody};

/// How far the node is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stopping {
    /// It isn't.
    No,
    /// It answers what is in flight.
    Answering { hand_over_at: Time, by: Time },
    /// It hands leadership over.
    HandingOver { by: Time },
    /// The log thread notes that everything is durable.
    Closing,
    /// It hands leadership over, because its state differs from that of the others.
    Differing { index: Index, majority: u128 },
    /// It has said that there is nothing left.
    Done,
}

impl Stopping {
    pub(super) fn is_stopping(self) -> bool {
        self != Stopping::No
    }

    pub(super) fn deadline(self) -> Option<Time> {
        match self {
            Stopping::Answering { hand_over_at, .. } => Some(hand_over_at),
            Stopping::HandingOver { by } => Some(by),
            _ => None,
        }
    }
}

/// Who waits to be told that leadership was handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HandedOver {
    client: ClientId,
    request: u64,
    /// Then it is told even if nobody is known to lead.
    pub(super) until: Time,
}

/// The number of the hand-over that the node itself asks for.
const OWN_TRANSFER: u64 = 0;

/// Room that is left for noting that everything is durable.
const CLOSING: Duration = Duration::from_millis(500);

impl Driver {
    pub(super) fn stop(&mut self, by: Time) {
        if self.stopping.is_stopping() {
            return;
        }
        let left = by.since(self.now);
        let closing = CLOSING.min(left / 2);
        let hand_over_at = self.now + (left - closing) / 2;
        self.stopping = Stopping::Answering { hand_over_at, by: self.now + (left - closing) };
    }

    /// A member says something. Who is about to leave takes nothing over: the leader is then soon
    /// told that it is gone, and asks another one.
    pub(super) fn hear(&mut self, message: Message) {
        if self.stopping.is_stopping() && message.body == Body::TimeoutNow {
            return;
        }
        self.core(Input::Message(message));
    }

    pub(super) fn go_on_stopping(&mut self) {
        if let Stopping::Answering { hand_over_at, by } = self.stopping {
            let is_answered = self.proposals.pending() == 0 && self.reads.unanswered() == 0;
            if is_answered || hand_over_at <= self.now {
                self.stopping = Stopping::HandingOver { by };
                let token = Asked::Transfer(OWN_TRANSFER).token();
                self.core(Input::Transfer { token, to: None });
            }
        }
        if let Stopping::HandingOver { by } = self.stopping
            && (by <= self.now || self.peers.arrivals().next().is_none())
        {
            self.close();
        }
        if self.stopping == Stopping::Closing && self.log.has_stopped() {
            self.stopping = Stopping::Done;
            self.outputs.push_back(DriverOutput::Stopped);
        }
    }

    fn close(&mut self) {
        self.stopping = Stopping::Closing;
        self.log.stop();
    }

    /// A client, or an operator through one, wants leadership handed over.
    pub(super) fn transfer(&mut self, client: ClientId, request: u64, to: Option<NodeId>) {
        if self.stopping.is_stopping() {
            return self.refuse_stopping(client, request);
        }
        let number = self.clients.note_transfer(client, request);
        let token = Asked::Transfer(number).token();
        self.core(Input::Transfer { token, to });
    }

    pub(super) fn transferred(&mut self, token: Token) {
        let Asked::Transfer(number) = Asked::of(token) else {
            unreachable!("only a transfer ends so")
        };
        if number == OWN_TRANSFER {
            return self.handed_over();
        }
        if let Some((client, request)) = self.clients.take_transfer(number) {
            let until = self.now + self.about.election_timeout;
            self.handed_over.push(HandedOver { client, request, until });
        }
    }

    /// Answers those who wait for a hand-over of leadership, once it is known who leads.
    pub(super) fn answer_handed_over(&mut self) {
        if self.handed_over.is_empty() {
            return;
        }
        let (term, leader) = self.raft.term_and_leader();
        let now = self.now;
        let is_due = |waits: &mut HandedOver| leader.is_some() || waits.until <= now;
        let due: Vec<HandedOver> = self.handed_over.extract_if(.., is_due).collect();
        for HandedOver { client, request, .. } in due {
            let body = match leader {
                Some(leader) => ReplyBody::Transferred { leader: leader.id, term },
                None => {
                    let text = "leadership was given up; who leads isn't known yet";
                    ReplyBody::Unknown { text: text.to_owned() }
                }
            };
            self.reply(client, Reply { id: request, body });
        }
    }

    pub(super) fn transfer_refused(&mut self, token: Token, reason: Refusal) {
        let Asked::Transfer(number) = Asked::of(token) else {
            unreachable!("only a transfer is refused so")
        };
        if number == OWN_TRANSFER {
            return self.handed_over();
        }
        if let Some((client, request)) = self.clients.take_transfer(number) {
            self.refuse(client, request, reason);
        }
    }

    /// The own hand-over has ended, one way or the other.
    fn handed_over(&mut self) {
        match self.stopping {
            Stopping::HandingOver { .. } => self.close(),
            Stopping::Differing { index, majority } => {
                self.stopping = Stopping::Done;
                self.halt(Halt::Differs(differs(index, majority)));
            }
            _ => {}
        }
    }

    /// A majority has another state: a leader hands over, then the node stops.
    pub(super) fn differ(&mut self, index: Index, majority: u128) {
        if matches!(self.stopping, Stopping::Differing { .. } | Stopping::Done) {
            return;
        }
        self.stopping = Stopping::Differing { index, majority };
        let token = Asked::Transfer(OWN_TRANSFER).token();
        self.core(Input::Transfer { token, to: None });
    }
}

fn differs(index: Index, majority: u128) -> String {
    format!(
        "the state of this node at entry {index} isn't that of a majority of the others (state \
         hash {majority:032x} there). Its log is good, its state isn't: start the node again, and \
         it makes its state anew from the log before it serves. If that happens again, its memory \
         or its program is broken"
    )
}
