//! What changes of the members owe those who are served: whoever is made a voter has nearly the whole
//! log, since else nothing is committed until it has; and where all is well nobody ends a leadership
//! that most voters know of.

use std::collections::VecDeque;

use raft_node::model::{Index, Member, Standing, Term};

use super::invariants::Broken;
use super::majorities::decides;
use super::{Phase, World};

/// How many looks at a leader are remembered, of which there are two in an election timeout. Whoever
/// has caught up has what was there two timeouts ago.
const LOOKS: usize = 8;

/// What was seen of a node that leads.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched {
    /// Where its log ended at the last looks, and in which term it led.
    ends: VecDeque<(Option<Term>, Index)>,
    /// Which configuration it had behind its last turn.
    members_at: Index,
    /// In which term it led when it was looked last, and by which configuration, if nobody had a
    /// reason to end that.
    steady: Option<(Term, Index)>,
}

impl World {
    /// Looks at all nodes, twice in an election timeout.
    pub(super) fn watch(&mut self) {
        for machine in 0..self.hosts.len() {
            let (leads, last) = (self.seen[machine].leads, self.seen[machine].last.index);
            let steady = self.is_steady(machine);
            let watched = &mut self.watched[machine];
            watched.ends.push_back((leads, last));
            if watched.ends.len() > LOOKS {
                watched.ends.pop_front();
            }
            watched.steady = steady;
        }
    }

    /// The term of a leader whom most voters have answered just now, where all is well, no node is
    /// in a later term, nobody is to take over and the members stay.
    fn is_steady(&self, machine: usize) -> Option<(Term, Index)> {
        let term = self.seen[machine].leads?;
        let is_calm = matches!(self.phase, Phase::Healed | Phase::Quiet)
            && self.seen.iter().all(|seen| seen.term <= term);
        let driver = self.hosts[machine].server.as_ref().filter(|_| is_calm)?.driver()?;
        let status = driver.raft().status();
        let (index, members) = driver.raft().configuration();
        if status.transferring.is_some() || members.is_joint() || members.is_prepared() {
            return None;
        }
        let recently = self.scenario.election_timeout / 3;
        let me = self.ledgers.member(machine)?;
        let has_heard = |member: Member| {
            let mut peers = status.peers.iter().filter(|peer| peer.member == member);
            member == me || peers.any(|peer| peer.heard_ago.is_some_and(|ago| ago < recently))
        };
        let votes = members.is_voter(me);
        let is_heard = decides(members, |seat| seat.member().is_some_and(has_heard));
        (votes && is_heard).then_some((term, index))
    }

    /// A leader hands over, for whatever reason it has.
    pub(super) fn hands_over(&mut self, machine: usize) {
        self.watched[machine].steady = None;
    }

    /// Looks at a node behind one of its turns.
    pub(super) fn check_voters(&mut self, machine: usize) -> Result<(), Broken> {
        let driver = self.hosts[machine].server.as_ref().and_then(|server| server.driver());
        let Some(raft) = driver.map(|driver| driver.raft()) else { return Ok(()) };
        let (index, members) = raft.configuration();
        let (leads, term) = (raft.leads(), self.seen[machine].term);
        let watched = &mut self.watched[machine];
        let is_new = std::mem::replace(&mut watched.members_at, index) != index;
        if let Some((steady, members_at)) = watched.steady
            && leads.is_none()
        {
            watched.steady = None;
            if term > steady && members_at == index {
                return Err(format!(
                    "term {term} ends term {steady} while its leader is heard, and all is well"
                ));
            }
        }
        let Some(term) = leads.filter(|_| is_new && members.is_joint()) else { return Ok(()) };
        let is_long = watched.ends.len() == LOOKS
            && watched.ends.iter().all(|(leads, _)| *leads == Some(term));
        let Some((_, end)) = watched.ends.front().copied().filter(|_| is_long) else {
            return Ok(());
        };
        for seat in members.seats().iter().filter(|seat| seat.standing == Standing::Incoming) {
            let ledger = seat.member().and_then(|member| self.ledgers.of(member));
            let last = ledger.map_or(Index::ZERO, |ledger| ledger.last().index);
            if last < end && seat.member() != self.ledgers.member(machine) {
                return Err(format!(
                    "node {} is to vote with a log up to {last}, and more than three election \
                     timeouts ago the leader's ended at {end}",
                    seat.id
                ));
            }
        }
        Ok(())
    }
}
