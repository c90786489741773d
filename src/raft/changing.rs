//! Changes of the members, from any set of voters and learners to any other (dissertation,
//! chapter 4; paper, section 6).
//!
//! - What leaves the voters as they are, learners that come or go and addresses, is one entry.
//! - Else the change is *prepared*: those that are to vote receive the log as learners.
//! - When all of them have caught up, the leader makes it *joint*: both sets of voters decide.
//! - When that is committed, the leader leaves the old set behind.
//!
//! Each of these is an entry, and says all that is left to be done. So whoever leads next goes on,
//! and nobody needs to ask.

use super::core::{Raft, Role};
use super::io::{Output, Refusal, Token};
use super::replication::Leading;
use crate::model::{
    Configuration, ENTRY_HEADER_BYTES, EntryKind, Index, MAX_ADDRESS_BYTES, MAX_SEATS, Member,
    NodeId, Seat, Standing,
};

/// Why the members aren't changed as asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChangeRefusal {
    /// The leader hasn't committed the first entry of its term yet.
    #[error(
        "the leader has committed entries up to {commit}, not yet the first of its term, {first}"
    )]
    NotInTerm {
        /// The first entry of its term.
        first: Index,
        /// Up to where it has committed.
        commit: Index,
    },
    /// Another change is under way.
    #[error("another change is under way: entry {index} isn't committed, or is to be followed")]
    UnderWay {
        /// Where it stands.
        index: Index,
    },
    /// Whoever asks has seen another configuration than the one in force.
    #[error("the members have changed: entry {found} is in force, not {expected}")]
    OtherInForce {
        /// What was seen.
        expected: Index,
        /// What is in force.
        found: Index,
    },
    /// Nobody would vote.
    #[error("nobody would vote")]
    NoVoters,
    /// Too few of those that would vote are heard from. Members that come new count as heard:
    /// they are waited for.
    #[error("of the {voters} that would vote {live} are live, and {needed} are needed")]
    NoLiveQuorum {
        /// How many of them were heard within an election timeout.
        live: usize,
        /// How many would vote.
        voters: usize,
        /// How many are a majority.
        needed: usize,
    },
    /// The pair of id and incarnation was a member before.
    #[error("node {id} was a member in this life before", id = .0.id)]
    UsedBefore(Member),
    /// One id has two seats that aren't one voter and one learner in different lives.
    #[error("node {0} may have one seat, or two in different lives: a voter's and a learner's")]
    TwoSeats(NodeId),
    /// Two ids have the same address.
    #[error("nodes {0} and {1} have the same address")]
    SameAddress(NodeId, NodeId),
    /// A seat has no address, or one that is too long.
    #[error("the address of node {0} is empty or longer than {MAX_ADDRESS_BYTES} bytes")]
    BadAddress(NodeId),
    /// A seat that isn't vacant already has no incarnation.
    #[error("node {0} has no incarnation")]
    NoIncarnation(NodeId),
    /// A seat is neither a voter's nor a learner's.
    #[error("node {0} is to be neither a voter nor a learner")]
    NoGoal(NodeId),
    /// There would be more seats than there may be, with those that are left counted.
    #[error("{seats} seats are more than the {MAX_SEATS} that there may be during the change")]
    TooManySeats {
        /// How many.
        seats: usize,
    },
}

impl Raft {
    /// The members are to be `goal`, and the configuration in force is the one at `expected`.
    pub(super) fn change_members(&mut self, token: Token, expected: Index, goal: Vec<Seat>) {
        match self.plan_change(expected, goal) {
            Err(reason) => self.outputs.push_back(Output::Refused { token, reason }),
            Ok(None) => {
                let index = self.configurations.index();
                self.outputs.push_back(Output::Unchanged { token, index });
            }
            Ok(Some(next)) => self.append_configuration(Some(token), next),
        }
    }

    /// The first configuration on the way to `goal`; none if that is reached, or under way.
    fn plan_change(
        &self,
        expected: Index,
        mut goal: Vec<Seat>,
    ) -> Result<Option<Configuration>, Refusal> {
        let Role::Leader(leading) = &self.role else {
            return Err(Refusal::NotLeader(self.leader()));
        };
        if leading.handover.is_some() {
            return Err(Refusal::Transferring);
        }
        self.may_change(leading)?;
        let current = self.configurations.current();
        goal.sort_by_key(|seat| (seat.id, seat.incarnation));
        if goal == current.goal() {
            return Ok(None);
        }
        let found = self.configurations.index();
        if current.is_joint() {
            return Err(ChangeRefusal::UnderWay { index: found }.into());
        }
        if expected != found {
            return Err(ChangeRefusal::OtherInForce { expected, found }.into());
        }
        check_goal(&goal, current)?;
        self.check_live(leading, &goal)?;
        let mut seats = prepared(current, &goal);
        if seats.len() > MAX_SEATS as usize {
            return Err(ChangeRefusal::TooManySeats { seats: seats.len() }.into());
        }
        if self.have_caught_up(leading, &seats) {
            seats = joint(&seats);
        }
        Ok(Some(current.followed_by(seats)))
    }

    /// Whether the leader may append a configuration. At most one isn't committed at any time; and
    /// before its term has a committed entry, a leader can't know whether one of an earlier leader
    /// is (the bug of the single-server change that Ongaro told of in July 2015).
    pub(super) fn may_change(&self, leading: &Leading) -> Result<(), ChangeRefusal> {
        let (first, commit) = (leading.term_start, self.commit);
        let index = self.configurations.index();
        if commit < first {
            Err(ChangeRefusal::NotInTerm { first, commit })
        } else if commit < index {
            Err(ChangeRefusal::UnderWay { index })
        } else {
            Ok(())
        }
    }

    /// Whether a majority of those that are to vote can be counted on. The change waits until
    /// those that come new are there, so they are counted in.
    fn check_live(&self, leading: &Leading, goal: &[Seat]) -> Result<(), ChangeRefusal> {
        let is_live = |member: Member| self.is_live(leading, member).unwrap_or(true);
        let voters = goal.iter().filter(|seat| seat.standing == Standing::Voter);
        let live = voters.clone().filter(|seat| seat.member().is_some_and(is_live)).count();
        let voters = voters.count();
        let needed = voters / 2 + 1;
        if live < needed {
            return Err(ChangeRefusal::NoLiveQuorum { live, voters, needed });
        }
        Ok(())
    }

    /// Whether `member` was heard within an election timeout; `None` if it is none.
    fn is_live(&self, leading: &Leading, member: Member) -> Option<bool> {
        if member == self.config.me {
            return Some(true);
        }
        let progress = leading.peer(member)?;
        Some(progress.is_live(self.now, self.config.election_timeout))
    }

    /// Whether all that join have caught up, and a majority of those that are to vote is live.
    fn have_caught_up(&self, leading: &Leading, seats: &[Seat]) -> bool {
        let patience = self.config.election_timeout;
        let mut joining = seats.iter().filter(|seat| seat.standing == Standing::Joining);
        let joining = joining.all(|seat| {
            // Whoever has voted until the last configuration may lead while it joins again.
            let leads = seat.member() == Some(self.config.me);
            let progress = seat.member().and_then(|member| leading.peer(member));
            leads || progress.is_some_and(|progress| progress.has_caught_up(self.now, patience))
        });
        let goal: Vec<Seat> = seats.iter().filter_map(Seat::at_its_goal).collect();
        joining && self.check_live(leading, &goal).is_ok()
    }

    /// Goes on with the change that is under way, as far as it can. A leader that no longer votes
    /// when it is over hands over to one that does.
    pub(super) fn go_on_with_change(&mut self) {
        let Role::Leader(leading) = &self.role else { return };
        if self.may_change(leading).is_err() {
            return;
        }
        let current = self.configurations.current();
        let is_handing_over = leading.handover.is_some();
        let seats = if current.is_joint() && !is_handing_over {
            current.goal()
        } else if current.is_prepared() && !is_handing_over {
            if !self.have_caught_up(leading, current.seats()) {
                return;
            }
            joint(current.seats())
        } else if !self.is_voter() {
            return self.yield_leadership("it is no voter any more");
        } else {
            return;
        };
        let next = current.followed_by(seats);
        self.append_configuration(None, next);
    }

    /// Appends a configuration, which is in force from now on.
    pub(super) fn append_configuration(&mut self, token: Option<Token>, next: Configuration) {
        let mut payload = Vec::new();
        next.encode(&mut payload);
        let bytes = (ENTRY_HEADER_BYTES + payload.len()) as u64;
        let entered = Some(Box::new(next.clone()));
        let index = self.append_own(token, EntryKind::CONFIGURATION, bytes, entered);
        self.enter_configuration(index, next);
    }
}

/// Checks what can be said of a goal, which is ordered, without knowing how the members are.
fn check_goal(goal: &[Seat], current: &Configuration) -> Result<(), ChangeRefusal> {
    for seat in goal {
        if !matches!(seat.standing, Standing::Voter | Standing::Learner) {
            return Err(ChangeRefusal::NoGoal(seat.id));
        }
        if seat.address.is_empty() || seat.address.len() > usize::from(MAX_ADDRESS_BYTES) {
            return Err(ChangeRefusal::BadAddress(seat.id));
        }
        match seat.member() {
            None if find(current.seats(), seat).is_none() => {
                return Err(ChangeRefusal::NoIncarnation(seat.id));
            }
            Some(member) if current.was_removed(member) => {
                return Err(ChangeRefusal::UsedBefore(member));
            }
            _ => {}
        }
        for other in goal.iter().filter(|other| !std::ptr::eq(*other, seat)) {
            if other.id == seat.id {
                let is_same = other.incarnation == seat.incarnation;
                if is_same || other.standing == seat.standing {
                    return Err(ChangeRefusal::TwoSeats(seat.id));
                }
            } else if other.address == seat.address {
                return Err(ChangeRefusal::SameAddress(seat.id, other.id));
            }
        }
    }
    let mut voters = goal.iter().filter(|seat| seat.standing == Standing::Voter);
    if !voters.any(|seat| seat.incarnation.is_some()) {
        return Err(ChangeRefusal::NoVoters);
    }
    Ok(())
}

/// The seats with which a change to `goal` begins: nobody votes more or less than before.
fn prepared(current: &Configuration, goal: &[Seat]) -> Vec<Seat> {
    let mut seats: Vec<Seat> = Vec::with_capacity(goal.len());
    for seat in current.seats() {
        let goal = find(goal, seat);
        let standing = match (seat.standing.votes(), goal.map(|goal| goal.standing)) {
            (true, Some(Standing::Voter)) => Standing::Voter,
            (true, Some(_)) => Standing::Retiring,
            (true, None) => Standing::Leaving,
            (false, Some(Standing::Voter)) => Standing::Joining,
            (false, Some(_)) => Standing::Learner,
            (false, None) => continue,
        };
        let address = goal.map_or(&seat.address, |goal| &goal.address).clone();
        seats.push(Seat { standing, address, ..seat.clone() });
    }
    for new in goal.iter().filter(|goal| find(current.seats(), goal).is_none()) {
        let standing = match new.standing {
            Standing::Voter => Standing::Joining,
            other => other,
        };
        seats.push(Seat { standing, ..new.clone() });
    }
    seats
}

/// The seats of the joint configuration that a prepared change leads to.
fn joint(prepared: &[Seat]) -> Vec<Seat> {
    let entered = prepared.iter().map(|seat| {
        let standing = match seat.standing {
            Standing::Joining => Standing::Incoming,
            Standing::Leaving => Standing::Outgoing,
            Standing::Retiring => Standing::Demoted,
            other => other,
        };
        Seat { standing, ..seat.clone() }
    });
    entered.collect()
}

fn find<'a>(seats: &'a [Seat], wanted: &Seat) -> Option<&'a Seat> {
    seats.iter().find(|seat| (seat.id, seat.incarnation) == (wanted.id, wanted.incarnation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Incarnation;

    /// Up to eight nodes in one of two lives; a goal, or a configuration without a change.
    fn seats() -> impl Strategy<Value = Vec<Seat>> {
        let seat = |id: u16| {
            (0..4_u8, 0..2_u128).prop_map(move |(standing, life)| {
                let standing = match standing {
                    0 | 1 => Standing::Voter,
                    2 => Standing::Learner,
                    _ => return None,
                };
                let id = NodeId::new(id).unwrap();
                let incarnation = Some(Incarnation(life));
                Some(Seat { id, incarnation, standing, address: format!("host{id}:{life}") })
            })
        };
        (1..9_u16)
            .map(seat)
            .collect::<Vec<_>>()
            .prop_map(|seats| seats.into_iter().flatten().collect())
    }

    fn set(seats: &[Seat], votes: fn(Standing) -> bool) -> Vec<(NodeId, Option<Incarnation>)> {
        let voters = seats.iter().filter(|seat| votes(seat.standing));
        let mut set: Vec<_> = voters.map(|seat| (seat.id, seat.incarnation)).collect();
        set.sort_unstable();
        set
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn each_step_changes_one_set_of_voters_and_the_last_is_what_was_asked_for(
            now in seats(),
            goal in seats(),
        ) {
            let both = [Standing::votes_in_outgoing, Standing::votes_in_incoming];
            let current = Configuration::new(now);
            let voters = set(current.seats(), Standing::votes);
            let prepared = current.followed_by(prepared(&current, &goal));
            prop_assert!(!prepared.is_joint());
            for votes in both {
                prop_assert_eq!(set(prepared.seats(), votes), voters.clone());
            }
            prop_assert_eq!(prepared.goal(), goal.clone());
            let joint = prepared.followed_by(joint(prepared.seats()));
            prop_assert!(!joint.is_prepared());
            prop_assert_eq!(set(joint.seats(), Standing::votes_in_outgoing), voters.clone());
            let to_be = set(&goal, Standing::votes);
            prop_assert_eq!(set(joint.seats(), Standing::votes_in_incoming), to_be.clone());
            prop_assert_eq!(joint.is_joint(), voters != to_be);
            let over = joint.followed_by(joint.goal());
            prop_assert_eq!(over.seats(), goal.as_slice());
            prop_assert!(!over.is_joint() && !over.is_prepared());
            let gone = current.seats().iter().filter(|seat| find(&goal, seat).is_none());
            prop_assert_eq!(gone.count(), over.removed().len());
        }
    }
}
