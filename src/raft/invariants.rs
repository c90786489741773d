//! What must hold of the core at any time, and of any step that it takes. A broken one is a bug:
//! the process aborts, since a node that restarts is better than one that is wrong.

use super::core::{Raft, Role};
use super::following::Following;
use super::replication::Leading;
use crate::model::{HardState, Index, LogId, Member, Seat, Standing, WriteSeq};

/// What a step may change only in certain ways.
#[derive(Clone, Debug)]
pub struct Marks {
    hard_state: HardState,
    base: Index,
    last: LogId,
    durable: Index,
    commit: LogId,
    apply_issued: Index,
    applied: Index,
    last_seq: WriteSeq,
    leads: bool,
    /// Up to where each member matched. Only in debug builds.
    matched: Vec<(Member, Index)>,
}

impl Raft {
    /// What [`Raft::check_delta`] compares with later.
    #[must_use]
    pub fn marks(&self) -> Marks {
        let matched = match &self.role {
            Role::Leader(leading) if cfg!(debug_assertions) => {
                leading.peers.iter().map(|peer| (peer.member, peer.matched)).collect()
            }
            _ => Vec::new(),
        };
        Marks {
            hard_state: HardState { term: self.gates.term(), vote: self.gates.vote() },
            base: self.log.base().index,
            last: self.log.last(),
            durable: self.gates.durable_index(),
            commit: self.log.id(self.commit).unwrap_or(self.log.base()),
            apply_issued: self.apply_issued,
            applied: self.applied,
            last_seq: self.gates.last_seq(),
            leads: matches!(self.role, Role::Leader(_)),
            matched,
        }
    }

    /// After each step: the cheap half always, the rest in debug builds.
    pub(super) fn verify(&self, before: &Marks) {
        self.check_delta(before);
        if cfg!(debug_assertions) {
            self.check();
        }
    }

    /// Checks what must hold of the state.
    ///
    /// # Panics
    ///
    /// If it doesn't.
    pub fn check(&self) {
        let (last, commit) = (self.log.last_index(), self.commit);
        assert!(commit <= last, "commit {commit} of {last}");
        assert!(self.log.base().index <= self.applied, "the log lacks what isn't applied");
        assert!(self.applied <= self.apply_issued && self.apply_issued <= commit);
        assert!(self.configurations.index() <= last, "a configuration that isn't in the log");
        assert!(self.log.memory_first() <= last.next());
        let mut runs = self.log.runs().iter().zip(self.log.runs().iter().skip(1));
        assert!(runs.all(|(one, next)| one.term < next.term && one.first < next.first));
        self.gates.check(&self.log);
        self.check_snapshots();
        match &self.role {
            Role::Leader(leading) => self.check_leading(leading),
            Role::Follower(following) => self.check_following(following),
            Role::Candidate(_) => {
                assert!(self.gates.vote() == Some(self.config.me), "a candidate votes for itself");
            }
            Role::PreCandidate(_) => {}
        }
    }

    fn check_snapshots(&self) {
        let kept = self.snapshots.kept();
        assert!(kept.windows(2).all(|pair| pair[0].last.index > pair[1].last.index), "{kept:?}");
        for snapshot in kept {
            let last = snapshot.last;
            assert!(last.index <= self.commit, "snapshot {snapshot} of what isn't committed");
            let held = self.log.term(last.index);
            assert!(held.is_none_or(|term| term == last.term), "{snapshot} isn't of this log");
        }
        if let Some(receiving) = &self.receiving {
            receiving.check();
        }
    }

    fn check_leading(&self, leading: &Leading) {
        let last = self.log.last_index();
        assert!(self.gates.vote_is_durable(), "leads a term that isn't durable");
        assert!(self.gates.vote() == Some(self.config.me), "leads without its own vote");
        let first = self.log.term(leading.term_start);
        assert!(first.is_none_or(|term| term == self.gates.term()));
        let before = self.log.term(leading.term_start.previous());
        assert!(before.is_none_or(|term| term < self.gates.term()));
        if self.commit >= leading.term_start && self.commit >= self.configurations.index() {
            let reached = self.quorum_level(leading);
            assert!(self.commit <= reached, "committed {} on a quorum of {reached}", self.commit);
        }
        self.check_changes(leading);
        for peer in &leading.peers {
            assert!(peer.matched < peer.next && peer.next <= last.next(), "{peer:?}");
            assert!(peer.round <= leading.round, "an answer to a round to come");
            let messages = peer.window.messages();
            assert!(messages <= self.config.max_inflight_messages.max(1), "{peer:?}");
            if let Some(handing) = peer.handing() {
                assert!(handing.has <= handing.sent && handing.sent <= handing.snapshot.bytes);
                assert!(messages == 0, "entries and a snapshot at the same time: {peer:?}");
            }
        }
        let rounds = leading.reads.iter().zip(leading.reads.iter().skip(1));
        assert!(rounds.into_iter().all(|(one, next)| one.round <= next.round));
    }

    /// Once it knows where its predecessors ended, a leader has at most one configuration that isn't
    /// committed; and what is committed under the one in force is on a majority of each set of
    /// voters, counted here seat by seat.
    fn check_changes(&self, leading: &Leading) {
        if self.commit < leading.term_start {
            return;
        }
        let pending = self.configurations.count_above(self.commit);
        assert!(pending <= 1, "{pending} configurations above {}", self.commit);
        if pending == 1 {
            return;
        }
        let level = |member| match leading.peer(member) {
            _ if member == self.config.me => self.gates.durable_index(),
            progress => progress.map_or(Index::ZERO, |progress| progress.matched),
        };
        for votes in [Standing::votes_in_outgoing, Standing::votes_in_incoming] {
            let seats = self.configurations.current().seats();
            let set: Vec<&Seat> = seats.iter().filter(|seat| votes(seat.standing)).collect();
            let holds = |seat: &&&Seat| seat.member().is_some_and(|it| level(it) >= self.commit);
            let count = set.iter().filter(holds).count();
            assert!(count * 2 > set.len(), "{} is on {count} of {} disks", self.commit, set.len());
        }
    }

    fn check_following(&self, following: &Following) {
        assert!(following.matched <= self.log.last_index(), "matched more than there is");
        assert!(following.acknowledged <= following.matched, "acknowledged more than matched");
        let durable = self.gates.durable_index();
        assert!(following.acknowledged <= durable, "acknowledged what isn't durable");
        assert!(following.leader != Some(self.config.me), "follows itself");
    }

    /// Checks what may have changed since `before`.
    ///
    /// # Panics
    ///
    /// If something else has.
    pub fn check_delta(&self, before: &Marks) {
        let (term, vote) = (self.gates.term(), self.gates.vote());
        assert!(term >= before.hard_state.term, "the term fell");
        if term == before.hard_state.term && before.hard_state.vote.is_some() {
            assert!(vote == before.hard_state.vote, "a second vote in term {term}");
        }
        assert!(self.commit >= before.commit.index, "the commit index fell");
        let commit_before = before.commit;
        assert!(
            self.log.holds(commit_before) || commit_before.index < self.log.base().index,
            "a committed entry was replaced"
        );
        assert!(self.log.base().index >= before.base, "what went from the log came back");
        assert!(self.apply_issued >= before.apply_issued && self.applied >= before.applied);
        assert!(self.gates.last_seq() >= before.last_seq, "a write was numbered twice");
        if self.log.holds(before.last) {
            assert!(self.gates.durable_index() >= before.durable, "the durable level fell");
        }
        let leads = matches!(self.role, Role::Leader(_));
        if leads && before.leads && term == before.hard_state.term {
            assert!(self.log.holds(before.last), "a leader cut its own log");
        }
        let installed = self.snapshots.newest().map(|newest| newest.last.index);
        if leads && self.commit > before.commit.index && installed != Some(self.commit) {
            let reached = self.log.term(self.commit);
            assert!(reached == Some(term), "committed an entry of {reached:?} by counting");
        }
        if let Role::Leader(leading) = &self.role
            && term == before.hard_state.term
        {
            let fell = |(member, matched): &(Member, Index)| {
                leading.peer(*member).is_some_and(|peer| peer.matched < *matched)
            };
            assert!(!before.matched.iter().any(fell), "a matched level fell");
        }
    }
}
