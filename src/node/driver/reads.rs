//! Queries, from the door to the answer.

use std::collections::VecDeque;
use std::mem;

use super::clients::Ask;
use crate::model::{Index, Time};

/// The most queries that wait for a round or for the state machine.
const MAX_WAITING: usize = 1 << 16;

/// Queries on their way. All that come in one turn are one read for the core.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Came in this turn; the core doesn't know of them.
    open: Vec<Ask>,
    /// Wait for the core, by the number of the read, ascending.
    asked: VecDeque<(u64, Vec<Ask>)>,
    next: u64,
    /// Wait for the state machine to get to the index.
    confirmed: VecDeque<(Index, Vec<Ask>)>,
    /// May be answered from the state machine as it is.
    answerable: VecDeque<Ask>,
    /// Used up lists, for the next turns.
    spare: Vec<Vec<Ask>>,
    waiting: usize,
    /// How many bytes of queries are waiting or answerable.
    bytes: usize,
    /// No deadline of what waits is before this.
    earliest: Option<Time>,
}

impl Reads {
    /// Takes a query in; gives it back if too many wait.
    pub(crate) fn ask(&mut self, ask: Ask) -> Result<(), Ask> {
        if self.waiting >= MAX_WAITING {
            return Err(ask);
        }
        self.waiting += 1;
        self.bytes += ask.query.len();
        self.earliest = Some(self.earliest.map_or(ask.deadline, |at| at.min(ask.deadline)));
        self.open.push(ask);
        Ok(())
    }

    /// Makes one read for the core of all queries that came since the last one; tells its number.
    pub(crate) fn close_group(&mut self) -> Option<u64> {
        if self.open.is_empty() {
            return None;
        }
        let group = mem::replace(&mut self.open, self.spare.pop().unwrap_or_default());
        self.asked.push_back((self.next, group));
        self.next += 1;
        Some(self.next - 1)
    }

    /// The read may be answered once the state machine has applied `index`.
    pub(crate) fn confirm(&mut self, number: u64, index: Index) {
        let group = self.take_group(number);
        self.confirmed.push_back((index, group));
    }

    /// The core refuses the read; gives back its queries.
    pub(crate) fn refuse(&mut self, number: u64) -> Vec<Ask> {
        let group = self.take_group(number);
        self.waiting -= group.len();
        self.bytes -= bytes_of(&group);
        group
    }

    /// The state machine has applied up to `applied`.
    pub(crate) fn applied(&mut self, applied: Index) {
        while let Some((read_index, _)) = self.confirmed.front()
            && *read_index <= applied
        {
            let (_, mut group) = self.confirmed.pop_front().expect("it was seen");
            self.waiting -= group.len();
            self.answerable.extend(group.drain(..));
            if self.spare.len() < 16 {
                self.spare.push(group);
            }
        }
    }

    /// A query that waits for nothing any more.
    pub(crate) fn push_answerable(&mut self, ask: Ask) {
        self.bytes += ask.query.len();
        self.answerable.push_back(ask);
    }

    pub(crate) fn pop_answerable(&mut self) -> Option<Ask> {
        let ask = self.answerable.pop_front()?;
        self.bytes -= ask.query.len();
        Some(ask)
    }

    /// How many bytes of queries there are that aren't answered.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn has_answerable(&self) -> bool {
        !self.answerable.is_empty()
    }

    /// Gives back the queries that nobody waits for any longer.
    pub(crate) fn expired(&mut self, now: Time) -> Vec<Ask> {
        let mut expired = Vec::new();
        if self.earliest.is_none_or(|at| at > now) {
            return expired;
        }
        let groups = self.asked.iter_mut().map(|(_, group)| group);
        let groups = groups.chain(self.confirmed.iter_mut().map(|(_, group)| group));
        self.earliest = None;
        for group in groups.chain(std::iter::once(&mut self.open)) {
            expired.extend(group.extract_if(.., |ask| ask.deadline <= now));
            let least = group.iter().map(|ask| ask.deadline).min();
            self.earliest = self.earliest.into_iter().chain(least).min();
        }
        self.waiting -= expired.len();
        self.bytes -= bytes_of(&expired);
        expired
    }

    /// When [`Reads::expired`] may give something back.
    pub(crate) const fn deadline(&self) -> Option<Time> {
        self.earliest
    }

    /// How many queries aren't answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.waiting + self.answerable.len()
    }

    fn take_group(&mut self, number: u64) -> Vec<Ask> {
        let at = self.asked.iter().position(|(asked, _)| *asked == number);
        let at = at.expect("the core answers what it was asked");
        let (_, group) = self.asked.remove(at).expect("it was found");
        group
    }
}

fn bytes_of(group: &[Ask]) -> usize {
    group.iter().map(|ask| ask.query.len()).sum()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::node::driver::ClientId;

    fn ask(request: u64, deadline: u64) -> Ask {
        let deadline = Time::from_nanos(deadline);
        Ask { client: ClientId(1), request, deadline, query: Bytes::new() }
    }

    fn requests(reads: &mut Reads) -> Vec<u64> {
        std::iter::from_fn(|| reads.pop_answerable()).map(|ask| ask.request).collect()
    }

    #[test]
    fn queries_of_one_turn_are_one_read_and_wait_for_the_machine() {
        let mut reads = Reads::default();
        reads.ask(ask(1, 100)).unwrap();
        reads.ask(ask(2, 100)).unwrap();
        let first = reads.close_group().unwrap();
        assert_eq!(reads.close_group(), None);
        reads.ask(ask(3, 100)).unwrap();
        let second = reads.close_group().unwrap();
        reads.confirm(first, Index(7));
        reads.applied(Index(6));
        assert!(!reads.has_answerable());
        reads.confirm(second, Index(9));
        reads.applied(Index(7));
        assert_eq!(requests(&mut reads), [1, 2]);
        reads.applied(Index(20));
        assert_eq!(requests(&mut reads), [3]);
        assert_eq!(reads.unanswered(), 0);
    }

    #[test]
    fn a_refused_read_gives_back_its_queries() {
        let mut reads = Reads::default();
        reads.ask(ask(1, 100)).unwrap();
        let number = reads.close_group().unwrap();
        assert_eq!(reads.refuse(number), [ask(1, 100)]);
        assert_eq!(reads.unanswered(), 0);
    }

    #[test]
    fn queries_expire_wherever_they_wait() {
        let mut reads = Reads::default();
        reads.ask(ask(1, 100)).unwrap();
        let number = reads.close_group().unwrap();
        reads.confirm(number, Index(7));
        reads.ask(ask(2, 150)).unwrap();
        reads.close_group().unwrap();
        reads.ask(ask(3, 200)).unwrap();
        assert_eq!(reads.expired(Time::from_nanos(99)), []);
        let expired = reads.expired(Time::from_nanos(160));
        assert_eq!(expired.iter().map(|ask| ask.request).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(reads.deadline(), Some(Time::from_nanos(200)));
        assert_eq!(reads.unanswered(), 1);
    }

    #[test]
    fn there_is_a_bound_to_what_waits() {
        let mut reads = Reads::default();
        for request in 0..MAX_WAITING as u64 {
            reads.ask(ask(request, 100)).unwrap();
        }
        assert_eq!(reads.ask(ask(7, 100)).unwrap_err().request, 7);
    }
}
