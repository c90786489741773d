//! Leader election (dissertation, chapter 3.4), with PreVote (9.6) and votes that are refused
//! within an election timeout of a leader's word (4.2.3).

use super::core::{Raft, Role};
use super::event::Event;
use super::following::Following;
use super::io::RoleKind;
use super::quorum::Tally;
use super::replication::Leading;
use super::timers::Timer;
use crate::model::{Body, ENTRY_HEADER_BYTES, EntryKind, LogId, Member, Term, WriteSeq};

/// What the others answered to a candidate or pre-candidate.
#[derive(Clone, Debug, Default)]
pub(super) struct Canvass {
    answers: Vec<(Member, bool)>,
    /// Whether the leader itself asked for this election.
    transfer: bool,
}

impl Canvass {
    /// A refusal may have been meant for an earlier question, a vote that was given stays given.
    fn record(&mut self, from: Member, granted: bool) {
        match self.answers.iter_mut().find(|(known, _)| *known == from) {
            Some((_, answer)) => *answer |= granted,
            None => self.answers.push((from, granted)),
        }
    }

    fn answer(&self, voter: Member) -> Option<bool> {
        self.answers.iter().find(|(from, _)| *from == voter).map(|(_, granted)| *granted)
    }
}

impl Raft {
    /// A timeout is drawn from [E, 2E] for each attempt.
    pub(super) fn set_election_timer(&mut self) {
        let least = self.config.election_timeout;
        let timeout = self.chance.between(least, least * 2);
        self.timers.set(Timer::Election, self.now + timeout);
    }

    /// A node that just started waits less, so that a cluster that starts as a whole isn't
    /// without a leader for long: where one leads, PreVote keeps the impatient from disturbing.
    pub(super) fn set_first_election_timer(&mut self) {
        if !self.config.pre_vote {
            return self.set_election_timer();
        }
        let most = self.config.election_timeout / 2;
        let timeout = self.chance.between(most / 2, most);
        self.timers.set(Timer::Election, self.now + timeout);
    }

    pub(super) fn election_timeout(&mut self) {
        self.set_election_timer();
        if self.disk_stands_still() || !self.gates.term_is_durable() {
            self.forget_leader("the own disk stands still");
        } else {
            self.stand_if_allowed("no word from a leader");
        }
    }

    fn forget_leader(&mut self, reason: &'static str) {
        if self.leader().is_some() || self.role.kind() != RoleKind::Follower {
            self.become_follower(self.gates.term(), None, reason);
        }
    }

    /// Stands for election if this node may and nobody leads by its own account.
    pub(super) fn stand_if_allowed(&mut self, reason: &'static str) {
        if self.role.kind() == RoleKind::Leader {
            return;
        }
        if !self.may_stand() {
            self.forget_leader("no word from a leader");
        } else if self.config.pre_vote {
            self.ask_before_standing(reason);
        } else {
            self.stand(false, reason);
        }
    }

    fn ask_before_standing(&mut self, reason: &'static str) {
        self.set_election_timer();
        self.change_role(Role::PreCandidate(Canvass::default()), reason);
        for peer in self.others() {
            self.canvass(peer);
        }
        self.count_votes();
    }

    /// Raises the term and asks for votes. The questions leave when the own vote is durable.
    pub(super) fn stand(&mut self, transfer: bool, reason: &'static str) {
        self.set_election_timer();
        let (kind_before, term_before) = (self.role.kind(), self.gates.term());
        let leader_before = self.leader();
        self.gates.enter(term_before.next());
        self.gates.vote_for(self.config.me);
        self.role = Role::Candidate(Canvass { transfer, ..Canvass::default() });
        self.report_role(kind_before, term_before, leader_before, reason);
        for peer in self.others() {
            self.canvass(peer);
        }
        self.count_votes();
    }

    /// Asks one member for what this node stands for, if it does.
    pub(super) fn canvass(&mut self, peer: Member) {
        let last = self.log.last();
        match &self.role {
            Role::PreCandidate(_) => {
                let candidate_term = self.gates.term().next();
                self.send(peer, Body::PreVote { candidate_term, last });
            }
            Role::Candidate(canvass) => {
                let transfer = canvass.transfer;
                self.send(peer, Body::Vote { last, transfer });
            }
            Role::Follower(_) | Role::Leader(_) => {}
        }
    }

    fn change_role(&mut self, role: Role, reason: &'static str) {
        let (kind_before, leader_before) = (self.role.kind(), self.leader());
        self.role = role;
        self.report_role(kind_before, self.gates.term(), leader_before, reason);
    }

    pub(super) fn count_votes(&mut self) {
        let canvass = match &self.role {
            // Nobody is asked before the own vote is durable; who answers then isn't to be believed.
            Role::Candidate(_) if !self.gates.vote_is_durable() => return,
            Role::PreCandidate(canvass) | Role::Candidate(canvass) => canvass,
            Role::Follower(_) | Role::Leader(_) => return,
        };
        let me = self.config.me;
        let voters = self.configurations.voters();
        let tally =
            voters.tally(|voter| if voter == me { Some(true) } else { canvass.answer(voter) });
        match (tally, self.role.kind()) {
            (Tally::Open, _) => {}
            (Tally::Lost, _) => self.become_follower(self.gates.term(), None, "lost the vote"),
            (Tally::Won, RoleKind::PreCandidate) => self.stand(false, "would win the vote"),
            (Tally::Won, _) => self.lead(),
        }
    }

    fn lead(&mut self) {
        self.timers.stop(Timer::Election);
        self.timers.set(Timer::Heartbeat, self.now + self.config.heartbeat_interval);
        if self.config.check_quorum {
            self.timers.set(Timer::Quorum, self.now + self.config.election_timeout);
        }
        self.leader_heard = None;
        let next = self.log.last_index().next();
        let leading = Leading::new(&self.others(), next, self.now);
        self.change_role(Role::Leader(Box::new(leading)), "won the vote");
        self.append_own(None, EntryKind::NOOP, ENTRY_HEADER_BYTES as u64, None);
    }

    /// Whether a leader was heard less than an election timeout ago, so that nobody else needs a
    /// vote. A leader hears itself as long as a quorum answers it.
    pub(super) fn has_heard_leader(&self) -> bool {
        let heard = match &self.role {
            Role::Leader(leading) => Some(self.quorum_heard(leading)),
            _ => self.leader_heard,
        };
        heard.is_some_and(|heard| self.now < heard + self.config.election_timeout)
    }

    /// Answers whether the sender would get a vote. Nothing is promised and nothing changes.
    pub(super) fn on_pre_vote(&mut self, from: Member, candidate_term: Term, last: LogId) {
        let granted = candidate_term > self.gates.term()
            && last >= self.log.last()
            && !self.has_heard_leader();
        self.send(from, Body::PreVoteReply { candidate_term, granted });
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: Member, candidate_term: Term, granted: bool) {
        let asked = self.gates.term().next();
        if let Role::PreCandidate(canvass) = &mut self.role
            && candidate_term == asked
        {
            canvass.record(from, granted);
            self.count_votes();
        }
    }

    /// Votes for the sender, whose term is the own one, if nobody else has the vote and its log
    /// is at least as up-to-date. Whether the sender or this node is a member isn't asked: the
    /// sender may know a later configuration (dissertation, 4.1).
    pub(super) fn on_vote(&mut self, from: Member, last: LogId) {
        let free = self.gates.vote().is_none() && self.leader().is_none();
        let granted = self.gates.vote() == Some(from) || (free && last >= self.log.last());
        if !granted {
            return self.send(from, Body::VoteReply { granted });
        }
        if self.gates.vote().is_none() {
            self.gates.vote_for(from);
            self.event(Event::Voted { candidate: from, term: self.gates.term() });
            self.forget_leader("voted for another");
            self.set_election_timer();
        }
        self.gates.owe_vote(from);
    }

    pub(super) fn on_vote_reply(&mut self, from: Member, granted: bool) {
        if let Role::Candidate(canvass) = &mut self.role {
            canvass.record(from, granted);
            self.count_votes();
        }
    }

    /// The leader wants this node to take over.
    pub(super) fn on_timeout_now(&mut self, from: Member) {
        let follows = matches!(&self.role, Role::Follower(Following { leader, .. })
            if leader.is_none_or(|leader| leader == from));
        if !follows || !self.is_voter() {
            self.dropped(from, "this node can't take over");
        } else if self.disk_stands_still() {
            self.dropped(from, "the own disk stands still");
        } else {
            self.stand(true, "the leader hands over");
        }
    }

    /// Term and vote are durable, while the disk has no room for entries.
    pub(super) fn vote_persisted(&mut self, seq: WriteSeq) {
        self.gates.vote_persisted(seq);
        self.count_votes();
    }

    pub(super) fn persisted(&mut self, seq: WriteSeq) {
        self.gates.persisted(seq);
        self.disk = None;
        self.count_votes();
        self.advance_commit();
    }
}
