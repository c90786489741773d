//! What must be durable before what: the numbered writes, and every message that waits for one.
//!
//! - No message of a term leaves before the term is durable. All messages pass [`Raft::send`] or
//!   [`Gates::assert_open`].
//! - A granted vote leaves only when this very vote is durable, and a candidate counts its own
//!   vote from then on.
//! - No entry of a term is written before the term is: hard state and entries go into one numbered
//!   write, whose hard state is made durable first.
//! - What is said of the log is a level, `min(matched, durable)`, read when the message leaves.
//! - A completion is named by the number of the write, never by an index. Where the log's end was
//!   replaced, the durable level has fallen to what was kept, and no write that was issued before
//!   raises it above that.
//! - Where a snapshot takes the place of the whole log, that is a write of its own, and only its
//!   completion makes the snapshot's last entry durable.

use std::collections::VecDeque;

use super::core::Raft;
use super::io::{Output, Write};
use super::view::LogView;
use crate::model::{Body, HardState, Index, LogId, Member, Message, Span, Term, WriteSeq};

/// The most messages that wait for a term to become durable; the oldest give way.
const MAX_PARKED: usize = 128;

/// Hard state, writes under way, and how much of the log is durable.
#[derive(Clone, Debug)]
pub(super) struct Gates {
    /// Term and vote as they are.
    current: HardState,
    /// Term and vote as of the last write that was issued.
    issued: HardState,
    /// Term and vote as a power cut would leave them.
    durable: HardState,
    /// Up to where the log, as it is, would survive a power cut.
    durable_index: Index,
    /// The end of the log as the last completed write left it, whatever was replaced since.
    written: LogId,
    /// Up to where the log, as it is, was handed over to be written.
    issued_index: Index,
    /// Where the log is to begin anew, as long as the write that does it wasn't issued.
    reset: Option<LogId>,
    last_seq: WriteSeq,
    underway: VecDeque<Underway>,
    /// Messages of the current term that wait for it to become durable.
    parked: VecDeque<Message>,
    /// To whom the vote of the current term is still to be sent.
    vote_owed: Option<Member>,
}

/// A write that was issued and isn't known to be durable.
#[derive(Clone, Copy, Debug)]
struct Underway {
    seq: WriteSeq,
    hard_state: Option<HardState>,
    /// Up to where it makes the log durable, as far as the log wasn't replaced since.
    durable_index: Index,
    /// The end of the log that it leaves on the disk.
    written: LogId,
    /// Whether the log begins anew with it.
    is_reset: bool,
}

impl Gates {
    /// All of it is durable at the start.
    pub(super) const fn new(hard_state: HardState, last: LogId) -> Gates {
        Gates {
            current: hard_state,
            issued: hard_state,
            durable: hard_state,
            durable_index: last.index,
            written: last,
            issued_index: last.index,
            reset: None,
            last_seq: WriteSeq::ZERO,
            underway: VecDeque::new(),
            parked: VecDeque::new(),
            vote_owed: None,
        }
    }

    pub(super) const fn term(&self) -> Term {
        self.current.term
    }

    pub(super) const fn vote(&self) -> Option<Member> {
        self.current.vote
    }

    pub(super) const fn durable_index(&self) -> Index {
        self.durable_index
    }

    pub(super) fn term_is_durable(&self) -> bool {
        self.durable.term == self.current.term
    }

    /// The term, and the end of the log, as the last completed write left them. While a write
    /// that replaces entries is under way, the old ones are on the disk still.
    pub(super) const fn written(&self) -> (Term, LogId) {
        (self.durable.term, self.written)
    }

    pub(super) fn vote_is_durable(&self) -> bool {
        self.durable == self.current
    }

    /// A higher term begins, in which nothing was said yet.
    pub(super) fn enter(&mut self, term: Term) {
        assert!(term > self.current.term, "term {term} after {}", self.current.term);
        self.current = HardState { term, vote: None };
        self.parked.clear();
        self.vote_owed = None;
    }

    /// The vote of the current term goes to `candidate`.
    pub(super) fn vote_for(&mut self, candidate: Member) {
        let vote = self.current.vote.get_or_insert(candidate);
        assert!(*vote == candidate, "a second vote in term {}", self.current.term);
    }

    /// The vote of the current term, which went to `candidate`, is to be sent once it is durable.
    pub(super) fn owe_vote(&mut self, candidate: Member) {
        assert!(self.current.vote == Some(candidate), "the vote isn't {candidate}'s");
        self.vote_owed = Some(candidate);
    }

    /// The log was cut: what stood above `keep` is no longer in it.
    pub(super) fn truncated(&mut self, keep: Index) {
        self.durable_index = self.durable_index.min(keep);
        self.issued_index = self.issued_index.min(keep);
        for write in &mut self.underway {
            write.durable_index = write.durable_index.min(keep);
        }
    }

    /// A snapshot takes the place of the log, which begins anew behind `base`. What was durable
    /// up to `keep`, which the snapshot covers, stays so: until the write is complete the disk
    /// has the old entries, and from then on what came of them.
    pub(super) fn begin_anew(&mut self, keep: Index, base: LogId) {
        assert!(keep < base.index, "{base} is to replace what is held");
        self.truncated(keep);
        self.issued_index = base.index;
        self.reset = Some(base);
    }

    /// Whether the log was to begin anew, and that isn't durable yet.
    fn begins_anew(&self) -> bool {
        self.reset.is_some() || self.underway.iter().any(|write| write.is_reset)
    }

    /// The write that is to be issued now, if there is anything to write.
    pub(super) fn next_write(&mut self, log: &LogView) -> Option<Write> {
        let last = log.last_index();
        let hard_state = (self.current != self.issued).then_some(self.current);
        if let Some(base) = self.reset {
            return Some(self.next_write_before_entries(hard_state, base));
        }
        if hard_state.is_none() && self.issued_index == last {
            return None;
        }
        let keep = log.id(self.issued_index).expect("what was issued is in the log");
        let span =
            (self.issued_index < last).then(|| Span { first: self.issued_index.next(), last });
        self.issued_index = last;
        let seq = self.issue(hard_state, last, log.last(), false);
        Some(Write { seq, hard_state, keep, span, reset: None })
    }

    /// The log begins anew in a write of its own, behind that of the hard state.
    fn next_write_before_entries(&mut self, hard_state: Option<HardState>, base: LogId) -> Write {
        if hard_state.is_some() {
            let keep = self.underway.back().map_or(self.written, |write| write.written);
            let seq = self.issue(hard_state, Index::ZERO, keep, false);
            return Write { seq, hard_state, keep, span: None, reset: None };
        }
        self.reset = None;
        let seq = self.issue(None, base.index, base, true);
        Write { seq, hard_state: None, keep: base, span: None, reset: Some(base) }
    }

    fn issue(
        &mut self,
        hard_state: Option<HardState>,
        durable_index: Index,
        written: LogId,
        is_reset: bool,
    ) -> WriteSeq {
        self.last_seq = self.last_seq.next();
        self.issued = self.current;
        let seq = self.last_seq;
        self.underway.push_back(Underway { seq, hard_state, durable_index, written, is_reset });
        seq
    }

    /// The write `seq` and all before it are durable.
    pub(super) fn persisted(&mut self, seq: WriteSeq) {
        assert!(seq <= self.last_seq, "write {seq} was never issued");
        while let Some(write) = self.underway.front().filter(|write| write.seq <= seq) {
            self.durable = write.hard_state.unwrap_or(self.durable);
            self.durable_index = self.durable_index.max(write.durable_index);
            self.written = write.written;
            self.underway.pop_front();
        }
    }

    /// Term and vote of the write `seq`, and of all before it, are durable. The entries aren't.
    pub(super) fn vote_persisted(&mut self, seq: WriteSeq) {
        assert!(seq <= self.last_seq, "write {seq} was never issued");
        for write in self.underway.iter_mut().take_while(|write| write.seq <= seq) {
            self.durable = write.hard_state.take().unwrap_or(self.durable);
        }
    }

    /// Entries and heartbeats are sent by a leader only, whose term is durable.
    pub(super) fn assert_open(&self) {
        assert!(self.term_is_durable(), "term {} isn't durable", self.current.term);
    }

    /// What must hold of gates at any time.
    pub(super) fn check(&self, log: &LogView) {
        let (durable, issued) = (self.durable, self.issued);
        assert!(durable.term <= issued.term && issued.term <= self.current.term);
        assert!(self.durable_index <= self.issued_index, "durable before it was written");
        assert!(self.issued_index <= log.last_index(), "written what isn't in the log");
        let base = log.base().index;
        assert!(base <= self.durable_index || self.begins_anew(), "nobody makes {base} durable");
        assert!(log.last().term <= self.current.term, "an entry of a term to come");
        let next_to_complete = self.underway.front().map(|write| write.seq);
        assert!(
            next_to_complete
                .is_none_or(|seq| seq.0 + self.underway.len() as u64 == self.last_seq.0 + 1)
        );
        assert!(self.vote_owed.is_none() || self.vote_owed == self.current.vote);
    }

    pub(super) const fn last_seq(&self) -> WriteSeq {
        self.last_seq
    }
}

impl Raft {
    /// Sends a message of the current term, at once or when the term is durable. What it says
    /// must stay true for the term; levels are read by the caller only when the term is durable.
    pub(super) fn send(&mut self, to: Member, body: Body) {
        let message = Message { from: self.config.me, to, term: self.gates.term(), body };
        if self.gates.term_is_durable() {
            self.outputs.push_back(Output::Send(message));
            return;
        }
        if self.gates.parked.len() == MAX_PARKED {
            self.gates.parked.pop_front();
        }
        self.gates.parked.push_back(message);
    }

    /// Lets out what has waited for the disk.
    pub(super) fn open_gates(&mut self) {
        if self.gates.term_is_durable() {
            self.outputs.extend(self.gates.parked.drain(..).map(Output::Send));
        }
        if self.gates.vote_is_durable()
            && let Some(candidate) = self.gates.vote_owed.take()
        {
            self.send(candidate, Body::VoteReply { granted: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, NodeId};

    fn log(terms: &[u64]) -> LogView {
        let mut log = LogView::new(LogId::ORIGIN, Vec::new(), Index::ZERO);
        for term in terms {
            log.push(Term(*term), 10);
        }
        log
    }

    fn gates(term: u64) -> Gates {
        Gates::new(HardState { term: Term(term), vote: None }, LogId::ORIGIN)
    }

    #[test]
    fn completion_is_cumulative_and_may_come_twice() {
        let (mut log, mut gates) = (log(&[1]), gates(1));
        for _ in 0..3 {
            gates.next_write(&log).unwrap();
            log.push(Term(1), 10);
        }
        gates.persisted(WriteSeq(2));
        assert_eq!(gates.durable_index(), Index(2));
        gates.persisted(WriteSeq(1));
        assert_eq!(gates.durable_index(), Index(2));
        gates.check(&log);
    }

    #[test]
    fn no_earlier_write_raises_the_level_above_what_was_kept() {
        let (mut log, mut gates) = (log(&[1, 1, 1]), gates(1));
        assert_eq!(gates.next_write(&log).unwrap().seq, WriteSeq(1));
        log.truncate(Index(1));
        gates.truncated(Index(1));
        gates.enter(Term(2));
        log.push(Term(2), 10);
        log.push(Term(2), 10);
        let write = gates.next_write(&log).unwrap();
        assert_eq!(write.keep, LogId::new(Term(1), Index(1)));
        assert_eq!(write.span, Some(Span { first: Index(2), last: Index(3) }));
        gates.persisted(WriteSeq(1));
        assert_eq!(gates.durable_index(), Index(1));
        assert!(!gates.term_is_durable());
        gates.persisted(WriteSeq(2));
        assert_eq!(gates.durable_index(), Index(3));
        assert!(gates.term_is_durable());
        gates.check(&log);
    }

    #[test]
    fn what_is_on_the_disk_stays_said_until_the_write_that_replaces_it_is_complete() {
        let (mut log, mut gates) = (log(&[1, 1, 1]), gates(1));
        gates.next_write(&log).unwrap();
        gates.persisted(WriteSeq(1));
        let old = (Term(1), LogId::new(Term(1), Index(3)));
        log.truncate(Index(1));
        gates.truncated(Index(1));
        gates.enter(Term(2));
        log.push(Term(2), 10);
        assert_eq!(gates.written(), old);
        gates.next_write(&log).unwrap();
        assert_eq!((gates.written(), gates.durable_index()), (old, Index(1)));
        gates.persisted(WriteSeq(2));
        assert_eq!(gates.written(), (Term(2), LogId::new(Term(2), Index(2))));
    }

    #[test]
    fn entries_replaced_before_they_were_issued_are_never_named() {
        let (mut log, mut gates) = (log(&[1, 1, 1]), gates(2));
        log.truncate(Index(1));
        gates.truncated(Index(1));
        log.push(Term(2), 10);
        let write = gates.next_write(&log).unwrap();
        assert_eq!((write.keep, write.hard_state), (LogId::ORIGIN, None));
        assert_eq!(write.span, Some(Span { first: Index(1), last: Index(2) }));
        assert_eq!(gates.next_write(&log), None);
    }

    #[test]
    fn where_the_log_begins_anew_only_that_very_write_makes_the_level_rise() {
        let (mut log, mut gates) = (log(&[1, 1, 1, 1]), gates(1));
        gates.next_write(&log).unwrap();
        gates.enter(Term(3));
        let base = LogId::new(Term(2), Index(3));
        log.begin_anew(base);
        gates.begin_anew(Index(1), base);
        log.push(Term(3), 10);
        let hard_state = gates.next_write(&log).unwrap();
        let old_end = LogId::new(Term(1), Index(4));
        assert_eq!((hard_state.keep, hard_state.span, hard_state.reset), (old_end, None, None));
        let reset = gates.next_write(&log).unwrap();
        assert_eq!((reset.hard_state, reset.span, reset.reset), (None, None, Some(base)));
        let entries = gates.next_write(&log).unwrap();
        assert_eq!((entries.keep, entries.reset), (base, None));
        assert_eq!(entries.span, Some(Span { first: Index(4), last: Index(4) }));
        assert_eq!(gates.next_write(&log), None);
        for (complete, durable, written) in
            [(1, 1, old_end), (2, 1, old_end), (3, 3, base), (4, 4, LogId::new(Term(3), Index(4)))]
        {
            gates.persisted(WriteSeq(complete));
            gates.check(&log);
            assert_eq!(gates.durable_index(), Index(durable), "write {complete}");
            assert_eq!(gates.written().1, written, "write {complete}");
        }
    }

    #[test]
    #[should_panic(expected = "a second vote")]
    fn two_votes_in_one_term_are_a_bug() {
        let mut gates = gates(1);
        for id in [1, 2] {
            let id = NodeId::new(id).unwrap();
            gates.vote_for(Member { id, incarnation: Incarnation(1) });
        }
    }
}
