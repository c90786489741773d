//! What clients, and the node itself, want appended, from the door to the answer.

use std::collections::VecDeque;

use bytes::Bytes;

use super::clients::ClientId;
use crate::model::{Index, LogId, Term, Time};

/// Who waits for a proposal, and until when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiter {
    pub(crate) client: ClientId,
    /// The client's number of the request.
    pub(crate) request: u64,
    pub(crate) deadline: Time,
}

/// A proposal that the core was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Proposal {
    /// `None`: the node itself proposes.
    pub(crate) waiter: Option<Waiter>,
    pub(crate) payload: Bytes,
}

/// An entry whose end somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pending {
    id: LogId,
    waiter: Waiter,
}

/// What became of an entry that somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// It was applied.
    Applied(Waiter),
    /// Another entry was applied in its place, so it never will be.
    Replaced(Waiter),
}

/// Proposals on their way. The core answers in the order in which it was asked, and entries are
/// applied in the order of their indexes, so both are queues.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    /// Given to the core and not answered by it, with the numbers from `next - len` on.
    asked: VecDeque<Proposal>,
    next: u64,
    pending: VecDeque<Pending>,
    /// No deadline of what is pending is before this.
    earliest: Option<Time>,
}

impl Proposals {
    /// Notes a proposal that is given to the core; tells its number.
    pub(crate) fn ask(&mut self, proposal: Proposal) -> u64 {
        self.asked.push_back(proposal);
        self.next += 1;
        self.next - 1
    }

    /// The core has answered the proposal with this number.
    pub(crate) fn answered(&mut self, number: u64) -> Proposal {
        let first = self.next - self.asked.len() as u64;
        assert!(number == first, "proposal {number} was answered before {first}");
        self.asked.pop_front().expect("the core answers what it was asked")
    }

    /// The proposal has become the entry `id`.
    pub(crate) fn appended(&mut self, id: LogId, waiter: Waiter) {
        if let Some(last) = self.pending.back() {
            assert!(last.id.index < id.index, "{id} was appended behind {}", last.id);
        }
        self.earliest = Some(self.earliest.map_or(waiter.deadline, |at| at.min(waiter.deadline)));
        self.pending.push_back(Pending { id, waiter });
    }

    /// The entry `id` is applied: who waited for its place, and what became of it. Only the entry
    /// of the same index and term is the one that was proposed.
    pub(crate) fn applied(&mut self, id: LogId) -> Option<Outcome> {
        while let Some(front) = self.pending.front()
            && front.id.index <= id.index
        {
            let Pending { id: proposed, waiter } = *front;
            self.pending.pop_front();
            if proposed == id {
                return Some(Outcome::Applied(waiter));
            }
            if proposed.index == id.index {
                return Some(Outcome::Replaced(waiter));
            }
        }
        None
    }

    /// Leadership of the term is lost: gives back, last first, who waits for an entry of it above
    /// `decided`, whose end isn't known.
    pub(crate) fn undecided(&mut self, decided: Index, leads: Option<Term>) -> Option<Waiter> {
        let last = self.pending.back()?;
        if last.id.index <= decided || Some(last.id.term) == leads {
            return None;
        }
        self.pending.pop_back().map(|pending| pending.waiter)
    }

    /// The state behind `index` was put in place without applying the entries up to there: gives
    /// back who waits for one of them.
    pub(crate) fn passed_over(&mut self, index: Index) -> Vec<Waiter> {
        let count = self.pending.iter().take_while(|pending| pending.id.index <= index).count();
        self.pending.drain(..count).map(|pending| pending.waiter).collect()
    }

    /// Gives back who doesn't wait any longer.
    pub(crate) fn expired(&mut self, now: Time) -> Vec<Waiter> {
        if self.earliest.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let expired = self.pending.iter().map(|pending| pending.waiter);
        let expired = expired.filter(|waiter| waiter.deadline <= now).collect();
        self.pending.retain(|pending| pending.waiter.deadline > now);
        self.earliest = self.pending.iter().map(|pending| pending.waiter.deadline).min();
        expired
    }

    /// When [`Proposals::expired`] may give something back.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.earliest
    }

    /// How many entries are waited for.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len() + self.asked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(request: u64, deadline: u64) -> Waiter {
        Waiter { client: ClientId(1), request, deadline: Time::from_nanos(deadline) }
    }

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(Term(term), Index(index))
    }

    #[test]
    fn only_the_entry_of_the_same_index_and_term_is_the_one_that_was_proposed() {
        let mut proposals = Proposals::default();
        for index in 5..=7 {
            proposals.appended(id(2, index), waiter(index, 100));
        }
        assert_eq!(proposals.applied(id(2, 4)), None);
        assert_eq!(proposals.applied(id(2, 5)), Some(Outcome::Applied(waiter(5, 100))));
        assert_eq!(proposals.applied(id(3, 6)), Some(Outcome::Replaced(waiter(6, 100))));
        assert_eq!(proposals.applied(id(3, 9)), None);
    }

    #[test]
    fn what_is_committed_stays_decided_when_leadership_is_lost() {
        let mut proposals = Proposals::default();
        for index in 5..=7 {
            proposals.appended(id(2, index), waiter(index, 100));
        }
        assert_eq!(proposals.undecided(Index(5), Some(Term(2))), None);
        assert_eq!(proposals.undecided(Index(5), None), Some(waiter(7, 100)));
        assert_eq!(proposals.undecided(Index(5), Some(Term(4))), Some(waiter(6, 100)));
        assert_eq!(proposals.undecided(Index(5), None), None);
        assert_eq!(proposals.applied(id(2, 5)), Some(Outcome::Applied(waiter(5, 100))));
    }

    #[test]
    fn who_waits_for_an_entry_that_a_snapshot_brought_is_given_back() {
        let mut proposals = Proposals::default();
        for index in 5..=7 {
            proposals.appended(id(2, index), waiter(index, 100));
        }
        assert_eq!(proposals.passed_over(Index(6)), [waiter(5, 100), waiter(6, 100)]);
        assert_eq!(proposals.applied(id(2, 7)), Some(Outcome::Applied(waiter(7, 100))));
    }

    #[test]
    fn nobody_waits_beyond_the_deadline() {
        let mut proposals = Proposals::default();
        for (index, deadline) in [(5, 300), (6, 100), (7, 200)] {
            proposals.appended(id(2, index), waiter(index, deadline));
        }
        assert_eq!(proposals.expired(Time::from_nanos(99)), []);
        assert_eq!(proposals.expired(Time::from_nanos(200)), [waiter(6, 100), waiter(7, 200)]);
        assert_eq!(proposals.deadline(), Some(Time::from_nanos(300)));
        assert_eq!(proposals.applied(id(2, 5)), Some(Outcome::Applied(waiter(5, 300))));
    }
}
