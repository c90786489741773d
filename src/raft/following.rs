//! The follower's side of log replication (dissertation, chapter 3.5).

use super::core::{Raft, Role};
use super::event::Event;
use super::io::Output;
use super::membership::configuration_of;
use super::receiving::Spoken;
use crate::model::{
    Append, AppendReply, Batch, Body, Configuration, EntryKind, Index, LogId, Member, Round,
};

/// What a follower knows of its leader's log, and what it owes it.
#[derive(Clone, Debug)]
pub(super) struct Following {
    /// Who leads in the current term, if known.
    pub(super) leader: Option<Member>,
    /// Up to where the log is known to equal the leader's; zero until something matched.
    pub(super) matched: Index,
    /// The level that was last acknowledged.
    pub(super) acknowledged: Index,
    /// The snapshot that the leader sends.
    pub(super) spoken: Option<Box<Spoken>>,
    owed: Owed,
}

/// Answers that leave when what came in was worked out. What they say is read at that time.
#[derive(Clone, Debug, Default)]
struct Owed {
    /// The level, even if it hasn't risen.
    level: bool,
    /// Entries were dropped, because too much isn't durable yet.
    busy: bool,
    /// The lowest entry that was asked about and isn't in the log.
    conflict: Option<LogId>,
    /// The latest round of heartbeats.
    round: Option<Round>,
}

impl Following {
    pub(super) fn new(leader: Option<Member>) -> Following {
        let (matched, acknowledged) = (Index::ZERO, Index::ZERO);
        Following { leader, matched, acknowledged, spoken: None, owed: Owed::default() }
    }
}

/// Where a piece of the leader's log goes.
enum Fit {
    /// Everything up to here is held already.
    Held(Index),
    /// The entries from here on are new, or replace others.
    New(Index),
    /// The entry before the first isn't in the log.
    Conflict,
    /// No leader of this cluster sends that.
    Impossible(&'static str),
}

impl Raft {
    pub(super) fn on_append(&mut self, from: Member, append: Append) {
        if !self.follow(from) {
            return self.dropped(from, "a second leader in one term");
        }
        let first_new = match self.fit(&append) {
            Fit::Impossible(reason) => return self.dropped(from, reason),
            Fit::Conflict => return self.owe_conflict(append.prev),
            Fit::Held(last) => {
                self.owe(|owed| owed.level = true);
                self.matched_to(last, append.commit);
                return;
            }
            Fit::New(first) => first,
        };
        let Some(batch) = append.batch.and_then(|batch| batch.slice(first_new, Index(u64::MAX)))
        else {
            return;
        };
        let waiting = self.log.bytes_above(self.gates.durable_index());
        if waiting > 0 && waiting + batch.bytes_len() as u64 > self.config.max_unpersisted_bytes {
            self.owe(|owed| owed.busy = true);
            return self.matched_to(first_new.previous(), append.commit);
        }
        match configurations_of(&batch) {
            Some(configurations) => {
                let last = batch.last().index;
                self.take_entries(batch, configurations);
                self.matched_to(last, append.commit);
            }
            None => self.dropped(from, "a configuration entry can't be read"),
        }
    }

    pub(super) fn on_heartbeat(&mut self, from: Member, round: Round, commit: Index) {
        if !self.follow(from) {
            return self.dropped(from, "a second leader in one term");
        }
        self.owe(|owed| owed.round = owed.round.max(Some(round)));
        self.matched_to(Index::ZERO, commit);
    }

    /// A leader of the current term has spoken.
    pub(super) fn follow(&mut self, from: Member) -> bool {
        if self.leader().is_some_and(|leader| leader != from) {
            return false;
        }
        if self.leader().is_none() {
            self.become_follower(self.gates.term(), Some(from), "heard a leader");
        }
        self.leader_heard = Some(self.now);
        self.set_election_timer();
        true
    }

    fn owe(&mut self, debt: impl FnOnce(&mut Owed)) {
        if let Role::Follower(following) = &mut self.role {
            debt(&mut following.owed);
        }
    }

    fn owe_conflict(&mut self, prev: LogId) {
        self.owe(|owed| {
            let lowest = owed.conflict.filter(|lowest| lowest.index <= prev.index);
            owed.conflict = lowest.or(Some(prev));
        });
    }

    /// Compares a piece of the leader's log with the own one. What is committed is in every
    /// leader's log (paper, 5.4), so it matches without being looked at, also where it is no
    /// longer held. Only an entry of another term in the place of a sent one is a reason to cut.
    fn fit(&self, append: &Append) -> Fit {
        let fixed = self.fixed();
        let prev = append.prev;
        let differs = |id: LogId| self.log.term(id.index).is_some_and(|term| term != id.term);
        if prev.index <= fixed {
            if differs(prev) {
                return Fit::Impossible("the entry before contradicts the log");
            }
        } else if !self.log.holds(prev) {
            return Fit::Conflict;
        }
        let Some(batch) = &append.batch else { return Fit::Held(prev.index) };
        let (first, last) = (batch.first().index, batch.last().index);
        let end = self.log.last_index();
        if prev.index == end {
            return Fit::New(first);
        }
        let mut marks = batch.marks().iter();
        match marks.find(|mark| mark.id.index > end || differs(mark.id)) {
            Some(mark) if mark.id.index <= fixed => {
                Fit::Impossible("an entry contradicts what is committed or matched")
            }
            Some(_) if marks.any(|later| self.log.holds(later.id)) => {
                Fit::Impossible("an entry contradicts the log and a later one doesn't")
            }
            Some(mark) => Fit::New(mark.id.index),
            None => Fit::Held(last),
        }
    }

    /// Up to where no entry is ever replaced: what is committed, and what equals the leader's log.
    pub(super) fn fixed(&self) -> Index {
        let matched = match &self.role {
            Role::Follower(following) => following.matched,
            _ => Index::ZERO,
        };
        self.commit.max(matched).max(self.configurations.oldest_index())
    }

    /// Takes entries into the log, in place of those that stand there.
    fn take_entries(&mut self, batch: Batch, configurations: Vec<(Index, Configuration)>) {
        let keep = batch.first().index.previous();
        let dropped = self.log.last_index();
        if keep < dropped {
            assert!(keep >= self.commit, "a committed entry is never cut off");
            self.log.truncate(keep);
            self.gates.truncated(keep);
            self.event(Event::Replaced { keep, dropped });
            self.leave_configurations_above(keep);
        }
        for (position, mark) in batch.marks().iter().enumerate() {
            self.log.push(mark.id.term, batch.entry_bytes(position) as u64);
        }
        for (index, configuration) in configurations {
            self.enter_configuration(index, configuration);
        }
        if let Some(entry) = batch.entry(batch.last().index) {
            self.clock.observe(entry.time(), self.now);
        }
        self.outputs.push_back(Output::Extend { keep, batch });
    }

    /// The log equals the leader's up to `matched`, and the leader has committed up to `commit`.
    pub(super) fn matched_to(&mut self, matched: Index, commit: Index) {
        if let Role::Follower(following) = &mut self.role {
            following.matched = following.matched.max(matched);
            self.commit = self.commit.max(commit.min(following.matched));
        }
    }

    /// Sends the leader what is owed, as it is now, and the level if it has risen.
    pub(super) fn answer_leader(&mut self) {
        let (log, durable) = (&self.log, self.gates.durable_index());
        let Role::Follower(following) = &mut self.role else { return };
        let Some(leader) = following.leader else { return };
        if !self.gates.term_is_durable() {
            return;
        }
        let owed = std::mem::take(&mut following.owed);
        let matched = following.matched;
        let durable = matched.min(durable);
        let conflict = owed.conflict.filter(|prev| prev.index > matched && !log.holds(*prev));
        let reply = if let Some(prev) = conflict {
            let hint = log.last_within(prev).unwrap_or(log.base());
            Some(AppendReply::Conflict { rejected: prev.index, hint })
        } else if owed.busy {
            Some(AppendReply::Busy { matched, durable })
        } else if owed.level || owed.conflict.is_some() || durable > following.acknowledged {
            Some(AppendReply::Accepted { matched, durable })
        } else {
            None
        };
        if !matches!(reply, None | Some(AppendReply::Conflict { .. })) {
            following.acknowledged = durable;
        }
        if let Some(round) = owed.round {
            self.send(leader, Body::HeartbeatReply { round, matched, durable });
        }
        if let Some(reply) = reply {
            self.send(leader, Body::AppendReply(reply));
        }
    }
}

/// The configurations that entries bring, or `None` if one can't be read.
fn configurations_of(batch: &Batch) -> Option<Vec<(Index, Configuration)>> {
    let mut found = Vec::new();
    for mark in batch.marks() {
        if !matches!(mark.kind, EntryKind::CONFIGURATION | EntryKind::FOUNDING) {
            continue;
        }
        let entry = batch.entry(mark.id.index)?;
        found.push((mark.id.index, configuration_of(entry).ok()??));
    }
    Some(found)
}
