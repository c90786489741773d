//! Leadership transfer (dissertation, chapter 3.10), asked for by a person, by a node that is
//! being stopped, or by a leader whose own disk stands still or that was removed.

use super::core::{Raft, Role};
use super::event::Event;
use super::io::{Output, Refusal, Token};
use super::timers::Timer;
use crate::model::{Body, Member, NodeId, Standing, Time};

/// A handing-over of leadership that is under way. Meanwhile nothing is proposed.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    /// Who waits for it to end; `None` if nobody asked.
    token: Option<Token>,
    pub(super) target: Member,
    /// Whether it is to be this one and no other.
    is_chosen: bool,
    /// When the target was last told to stand for election.
    urged: Option<Time>,
    /// Whether this node stops leading even if the target doesn't take over, unless by then its
    /// disk has come back and it votes.
    step_down: bool,
}

impl Raft {
    pub(super) fn transfer(&mut self, token: Token, to: Option<NodeId>) {
        let refusal = match &self.role {
            Role::Leader(_) if to == Some(self.config.me.id) => {
                return self.outputs.push_back(Output::Transferred(token));
            }
            Role::Leader(leading) if leading.handover.is_some() => Refusal::Transferring,
            Role::Leader(_) => match self.successor(to) {
                Some(target) => {
                    let (token, is_chosen) = (Some(token), to.is_some());
                    let (urged, step_down) = (None, false);
                    let handover = Handover { token, target, is_chosen, urged, step_down };
                    return self.begin_handover(handover);
                }
                None => Refusal::NoTarget,
            },
            _ => Refusal::NotLeader(self.leader()),
        };
        self.outputs.push_back(Output::Refused { token, reason: refusal });
    }

    /// Nobody asked, but this node had better not lead.
    pub(super) fn yield_leadership(&mut self, reason: &'static str) {
        let Role::Leader(leading) = &mut self.role else { return };
        if let Some(handover) = &mut leading.handover {
            handover.step_down = true;
        } else if let Some(target) = self.successor(None) {
            let (token, urged) = (None, None);
            let handover = Handover { token, target, is_chosen: false, urged, step_down: true };
            self.begin_handover(handover);
        } else {
            self.become_follower(self.gates.term(), None, reason);
        }
    }

    /// The voter with the longest log among those that were heard within an election timeout and
    /// stay voters.
    fn successor(&self, to: Option<NodeId>) -> Option<Member> {
        let Role::Leader(leading) = &self.role else { return None };
        let patience = self.config.election_timeout;
        let configuration = self.configurations.current();
        let stays = |member| {
            let seat = configuration.seat(member);
            seat.is_some_and(|it| {
                it.standing.votes() && it.standing.goal() == Some(Standing::Voter)
            })
        };
        let able = leading.peers.iter().filter(|progress| {
            stays(progress.member)
                && progress.is_live(self.now, patience)
                && to.is_none_or(|id| progress.member.id == id)
        });
        able.max_by_key(|progress| (progress.matched, progress.heard))
            .map(|progress| progress.member)
    }

    fn begin_handover(&mut self, handover: Handover) {
        let Role::Leader(leading) = &mut self.role else { return };
        let to = handover.target;
        leading.handover = Some(handover);
        self.timers.set(Timer::Handover, self.now + self.config.election_timeout);
        self.event(Event::Transfer { to, what: "begins" });
    }

    /// The connection to a member has ended. If leadership was to be handed over to it, another
    /// one may do, else nobody needs to wait.
    pub(super) fn successor_gone(&mut self, gone: Member) {
        let next = self.successor(None);
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(handover) = leading.handover.as_mut().filter(|now| now.target == gone) else {
            return;
        };
        match next.filter(|_| !handover.is_chosen) {
            Some(target) => {
                (handover.target, handover.urged) = (target, None);
                self.event(Event::Transfer { to: target, what: "goes to another" });
            }
            None => self.handover_timeout(),
        }
    }

    /// Once the target holds the whole log, it is told to stand for election, and told again
    /// after each heartbeat interval, since the word may be lost.
    pub(super) fn urge_successor(&mut self) {
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(handover) = &mut leading.handover else { return };
        let (target, last) = (handover.target, self.log.last_index());
        let interval = self.config.heartbeat_interval;
        let due = handover.urged.is_none_or(|urged| self.now >= urged + interval);
        let progress = leading.peers.iter().find(|progress| progress.member == target);
        if due && progress.is_some_and(|progress| progress.matched == last) {
            handover.urged = Some(self.now);
            self.send(target, Body::TimeoutNow);
        }
    }

    pub(super) fn handover_timeout(&mut self) {
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(handover) = leading.handover.take() else { return };
        self.close_handover(&handover, false);
        let reason = if self.disk_stands_still() {
            "the own disk stands still and nobody took over"
        } else {
            "it is no voter any more and nobody took over"
        };
        if handover.step_down && (self.disk_stands_still() || !self.is_voter()) {
            self.become_follower(self.gates.term(), None, reason);
        }
    }

    pub(super) fn close_handover(&mut self, handover: &Handover, succeeded: bool) {
        let what = if succeeded { "done" } else { "failed" };
        self.event(Event::Transfer { to: handover.target, what });
        self.outputs.extend(handover.token.map(|token| {
            if succeeded {
                Output::Transferred(token)
            } else {
                Output::Refused { token, reason: Refusal::TransferFailed }
            }
        }));
    }
}
