//! What each node has durably: what its log thread was given and has reported as done. It is kept
//! beside the node, which may think what it likes.

use std::collections::{BTreeMap, VecDeque};

use raft_node::model::{Batch, HardState, Index, LogId, Member, Term, TermRun};
use raft_node::raft::Raft;
use raft_node::storage::LogWork;

/// How many of the latest writes are known one by one.
const WRITES: usize = 8;

/// What one node has on its disk, as far as that was reported.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    term: Term,
    /// For whom it has voted durably, by term.
    votes: BTreeMap<Term, Member>,
    /// What the log begins behind: all up to there is in a snapshot.
    base: LogId,
    runs: Vec<TermRun>,
    last: LogId,
    /// Up to where entries of each term were durable here at any time.
    ever: BTreeMap<Term, Index>,
    /// What the log thread has.
    given: Option<Given>,
    /// Where the log ended before each of the latest writes, the latest last.
    before: VecDeque<LogId>,
    /// What it had before its disk lost it, or an older copy took its place: it had promised
    /// that once.
    lost: Option<Box<Ledger>>,
}

#[derive(Debug)]
enum Given {
    Write { hard_state: Option<HardState>, keep: LogId, runs: Vec<TermRun>, last: LogId },
    Reset(LogId),
    Refound,
    Other,
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Done {
    /// All of it is durable.
    All,
    /// There was no room for the entries; term and vote are durable.
    NoRoom,
    /// Nobody knows.
    Unknown,
}

impl Ledger {
    /// A process begins with what the disk holds.
    pub(crate) fn begin(&mut self, raft: &Raft) {
        let (term, last) = raft.written();
        let status = raft.status();
        (self.term, self.last, self.given) = (term, last, None);
        self.base = raft.base();
        if let Some(vote) = status.vote.filter(|_| status.term == term) {
            self.votes.insert(term, vote);
        }
        self.runs = raft.runs().filter(|run| run.first <= last.index).collect();
        self.before.clear();
        self.note_ever(0);
    }

    /// The log thread is given something.
    pub(crate) fn give(&mut self, work: &LogWork) {
        self.given = Some(match work {
            LogWork::Write { hard_state, keep, batches, .. } => Given::Write {
                hard_state: *hard_state,
                keep: *keep,
                runs: runs_of(batches),
                last: batches.last().map_or(*keep, Batch::last),
            },
            LogWork::Reset { base, .. } => Given::Reset(*base),
            LogWork::Refound { .. } => Given::Refound,
            _ => Given::Other,
        });
    }

    /// The log thread reports.
    pub(crate) fn done(&mut self, done: Done) {
        let given = self.given.take();
        match (given, done) {
            (Some(Given::Write { hard_state, keep, runs, last }), Done::All) => {
                self.take_hard_state(hard_state);
                self.append(keep, &runs, last);
            }
            (Some(Given::Write { hard_state, .. }), Done::NoRoom) => {
                self.take_hard_state(hard_state);
            }
            (Some(Given::Write { keep, .. }), Done::Unknown) => self.may_be_cut(keep),
            (Some(Given::Reset(base)), Done::All) => {
                self.runs.clear();
                (self.base, self.last) = (base, base);
            }
            (Some(Given::Refound), Done::All) => {
                // Nothing was committed in the founding before: it binds nobody.
                self.runs = vec![TermRun { term: Term::ZERO, first: Index(1) }];
                self.last = LogId::new(Term::ZERO, Index(1));
                self.ever = BTreeMap::from([(Term::ZERO, Index(1))]);
            }
            _ => {}
        }
    }

    /// The process is gone, and what it had under way may be done or not.
    pub(crate) fn end(&mut self) {
        self.done(Done::Unknown);
    }

    /// The disk has lost what it had, or may have.
    pub(crate) fn lose(&mut self) {
        *self = Ledger { lost: Some(Box::new(std::mem::take(self))), ..Ledger::default() };
    }

    /// Nothing was lost after all.
    pub(crate) fn found_again(&mut self) {
        if let Some(before) = self.lost.take() {
            *self = *before;
        }
    }

    /// What it had before it was lost.
    pub(crate) fn lost(&self) -> Option<&Ledger> {
        self.lost.as_deref()
    }

    /// Whether the node had anything on its disk.
    pub(crate) fn has_begun(&self) -> bool {
        self.last.index > Index::ZERO
    }

    pub(crate) const fn term(&self) -> Term {
        self.term
    }

    pub(crate) const fn last(&self) -> LogId {
        self.last
    }

    /// Whether the node has this entry durably, or had it before it was lost.
    pub(crate) fn holds(&self, id: LogId) -> bool {
        let behind = self.runs.partition_point(|run| run.first <= id.index);
        let is_here = behind > 0 && self.runs[behind - 1].term == id.term;
        is_here && id.index <= self.last.index
            || id.index <= self.base.index
            || self.lost().is_some_and(|lost| lost.holds(id))
    }

    /// Whether this entry was durable here at any time, and with it all before it.
    pub(crate) fn has_held(&self, id: LogId) -> bool {
        id.index == Index::ZERO
            || self.ever.get(&id.term).is_some_and(|reached| *reached >= id.index)
            || self.holds(id)
    }

    /// For whom the node's vote of a term was ever durable.
    pub(crate) fn vote(&self, term: Term) -> Option<Member> {
        self.votes.get(&term).copied()
    }

    /// What a node that begins with this has not, of what was durable here: in words.
    pub(crate) fn lacks(&self, raft: &Raft) -> Option<String> {
        let status = raft.status();
        if status.term < self.term {
            let term = self.term;
            return Some(format!("term {term} was durable, and it begins in term {}", status.term));
        }
        if status.term == self.term
            && let Some(vote) = self.vote(self.term)
            && status.vote != Some(vote)
        {
            return Some(format!(
                "its vote for node {} in term {} was durable, and it begins with {:?}",
                vote.id, self.term, status.vote
            ));
        }
        // What a snapshot brought stands for all up to its end.
        let is_covered = self.last.index < raft.base().index;
        if self.last.index > Index::ZERO
            && !is_covered
            && raft.id(self.last.index) != Some(self.last)
        {
            return Some(format!(
                "{} was durable, and it begins with {:?} there, the last being {}",
                self.last,
                raft.id(self.last.index),
                raft.last()
            ));
        }
        None
    }

    /// Whether a log that ends so has lost no more than so many of the latest writes.
    pub(crate) fn lost_only_writes(&self, last: LogId, writes: usize) -> bool {
        let kept = self.before.len().checked_sub(writes).and_then(|at| self.before.get(at));
        kept.is_none_or(|kept| last.index >= kept.index)
    }

    /// What stands above `keep` may be replaced or not.
    fn may_be_cut(&mut self, keep: LogId) {
        if keep.index < self.last.index {
            self.cut(keep);
            self.last = keep;
        }
    }

    fn cut(&mut self, keep: LogId) {
        while self.runs.last().is_some_and(|run| run.first > keep.index) {
            self.runs.pop();
        }
    }

    fn take_hard_state(&mut self, state: Option<HardState>) {
        let Some(HardState { term, vote }) = state else { return };
        self.term = term;
        if let Some(vote) = vote {
            self.votes.insert(term, vote);
        }
    }

    /// What stands above `keep` is replaced.
    fn append(&mut self, keep: LogId, runs: &[TermRun], last: LogId) {
        if self.before.len() == WRITES {
            self.before.pop_front();
        }
        self.before.push_back(self.last);
        self.cut(keep);
        let known = self.runs.len().saturating_sub(1);
        for run in runs {
            if self.runs.last().is_none_or(|last| last.term < run.term) {
                self.runs.push(*run);
            }
        }
        self.last = last;
        self.note_ever(known);
    }

    fn note_ever(&mut self, from: usize) {
        for at in from..self.runs.len() {
            let next = self.runs.get(at + 1).map(|next| next.first.previous());
            let reached = next.unwrap_or(self.last.index);
            let ever = self.ever.entry(self.runs[at].term).or_default();
            *ever = (*ever).max(reached);
        }
    }
}

fn runs_of(batches: &[Batch]) -> Vec<TermRun> {
    let mut runs: Vec<TermRun> = Vec::new();
    for batch in batches {
        let (first, last) = (batch.first(), batch.last());
        let marks = batch.marks();
        // As a rule a batch is of one term.
        let marks = if first.term == last.term { &marks[..1] } else { marks };
        for id in marks.iter().map(|mark| mark.id) {
            if runs.last().is_none_or(|run| run.term < id.term) {
                runs.push(TermRun { term: id.term, first: id.index });
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use raft_node::model::{
        BatchBuilder, EntryHeader, EntryKind, Incarnation, LogTime, NodeId, WriteSeq,
    };

    use super::*;

    fn id(term: u64, index: u64) -> LogId {
        LogId::new(Term(term), Index(index))
    }

    fn work(keep: LogId, terms: &[u64]) -> LogWork {
        let mut builder = BatchBuilder::default();
        for (index, term) in (keep.index.0 + 1..).zip(terms) {
            let header =
                EntryHeader { kind: EntryKind::COMMAND, id: id(*term, index), time: LogTime(0) };
            builder.push(header, b"x");
        }
        let batches = builder.take().into_iter().collect();
        LogWork::Write { seq: WriteSeq(1), hard_state: None, keep, batches }
    }

    fn member() -> Member {
        Member { id: NodeId::new(2).unwrap(), incarnation: Incarnation(7) }
    }

    #[test]
    fn only_what_was_reported_as_done_is_durable() {
        let mut ledger = Ledger::default();
        ledger.give(&work(LogId::ORIGIN, &[1, 1, 2]));
        assert!(!ledger.holds(id(1, 1)));
        ledger.done(Done::All);
        assert!(ledger.holds(id(1, 2)) && ledger.holds(id(2, 3)) && !ledger.holds(id(1, 3)));
        ledger.give(&work(id(2, 3), &[2]));
        ledger.end();
        assert!(!ledger.has_held(id(2, 4)));
    }

    #[test]
    fn what_a_write_of_which_nobody_knows_would_replace_may_be_gone() {
        let mut ledger = Ledger::default();
        ledger.give(&work(LogId::ORIGIN, &[1, 1, 1]));
        ledger.done(Done::All);
        ledger.give(&work(id(1, 1), &[3]));
        ledger.end();
        assert_eq!(ledger.last(), id(1, 1));
        assert!(!ledger.holds(id(1, 2)) && ledger.has_held(id(1, 2)));
    }

    #[test]
    fn what_was_replaced_is_not_held_any_more_and_was_held_once() {
        let mut ledger = Ledger::default();
        for work in [work(LogId::ORIGIN, &[1, 1, 1]), work(id(1, 1), &[3])] {
            ledger.give(&work);
            ledger.done(Done::All);
        }
        assert!(!ledger.holds(id(1, 2)) && !ledger.holds(id(1, 3)) && ledger.holds(id(3, 2)));
        assert!(ledger.has_held(id(1, 3)) && !ledger.has_held(id(3, 3)));
        assert!(ledger.lost_only_writes(id(1, 3), 1) && !ledger.lost_only_writes(id(1, 2), 1));
    }

    #[test]
    fn a_vote_is_durable_even_where_its_entries_found_no_room() {
        let mut ledger = Ledger::default();
        let LogWork::Write { seq, keep, batches, .. } = work(LogId::ORIGIN, &[1]) else {
            unreachable!()
        };
        let hard_state = Some(HardState { term: Term(4), vote: Some(member()) });
        ledger.give(&LogWork::Write { seq, hard_state, keep, batches });
        ledger.done(Done::NoRoom);
        assert_eq!((ledger.term(), ledger.vote(Term(4))), (Term(4), Some(member())));
        assert!(!ledger.holds(id(1, 1)));
    }

    #[test]
    fn what_a_disk_has_lost_was_promised_all_the_same() {
        let mut ledger = Ledger::default();
        ledger.give(&work(LogId::ORIGIN, &[1]));
        ledger.done(Done::All);
        ledger.lose();
        assert!(ledger.holds(id(1, 1)));
        assert_eq!(
            (ledger.last(), ledger.lost().map(Ledger::last)),
            (LogId::ORIGIN, Some(id(1, 1)))
        );
    }
}
