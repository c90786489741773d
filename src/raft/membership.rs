//! Who takes part (dissertation, chapter 4): the configurations of the log, and filling a vacant
//! seat.

use std::collections::VecDeque;

use super::core::{Raft, Role};
use super::event::Event;
use super::io::{Output, Refusal, Token};
use super::quorum::Voters;
use crate::model::{
    ByteReader, Configuration, EntryKind, EntryRef, Founding, Index, Malformed, Member, Seat,
};

/// The configurations of the log, each with its index. The last one is in force from the moment
/// that it is appended, and the one before comes back when it is cut off.
#[derive(Clone, Debug)]
pub(super) struct Configurations {
    /// Of those at or below the applied index, only the last.
    stack: VecDeque<(Index, Configuration)>,
    /// The voters of the last one.
    voters: Voters,
}

impl Configurations {
    /// # Panics
    ///
    /// If they aren't in the order of their indexes.
    pub(super) fn new(configurations: Vec<(Index, Configuration)>) -> Configurations {
        assert!(
            configurations.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "configurations out of order"
        );
        let mut stack = VecDeque::from(configurations);
        if stack.is_empty() {
            stack.push_back((Index::ZERO, Configuration::default()));
        }
        let mut made = Configurations { stack, voters: Voters::default() };
        made.voters = Voters::new(made.current());
        made
    }

    pub(super) fn current(&self) -> &Configuration {
        &self.stack.back().expect("there always is a configuration").1
    }

    /// Where the one in force stands in the log.
    pub(super) fn index(&self) -> Index {
        self.stack.back().expect("there always is a configuration").0
    }

    /// Where the oldest that is kept stands: in the founding entry, at the base of the log, or
    /// where it is applied. It is the cluster's own, and is never replaced.
    pub(super) fn oldest_index(&self) -> Index {
        self.stack.front().expect("there always is a configuration").0
    }

    pub(super) const fn voters(&self) -> &Voters {
        &self.voters
    }

    /// The one that is in force at `index`, unless it was forgotten: only what is applied is.
    pub(super) fn as_of(&self, index: Index) -> Option<(Index, &Configuration)> {
        let found = self.stack.iter().rev().find(|(at, _)| *at <= index);
        found.map(|(at, configuration)| (*at, configuration))
    }

    /// The last one that is never taken back, where the log is committed up to `commit`.
    pub(super) fn settled(&self, commit: Index) -> (Index, &Configuration) {
        let (index, configuration) = &self.stack[self.settled_at(commit)];
        (*index, configuration)
    }

    /// Those that may be in force, where the log is committed up to `commit`: the settled one, and
    /// all behind it.
    fn from(&self, commit: Index) -> impl Iterator<Item = &Configuration> {
        self.stack.range(self.settled_at(commit)..).map(|(_, configuration)| configuration)
    }

    /// How many stand above `commit`.
    pub(super) fn count_above(&self, commit: Index) -> usize {
        self.stack.iter().filter(|(index, _)| *index > commit).count()
    }

    fn settled_at(&self, commit: Index) -> usize {
        let behind = self.stack.partition_point(|(index, _)| *index <= commit);
        behind.saturating_sub(1)
    }

    fn push(&mut self, index: Index, configuration: Configuration) {
        assert!(index > self.index(), "a configuration at {index} behind {}", self.index());
        self.voters = Voters::new(&configuration);
        self.stack.push_back((index, configuration));
    }

    /// The log was cut above `keep`. Says whether another configuration is in force now.
    fn truncate(&mut self, keep: Index) -> bool {
        let count = self.stack.len();
        while self.stack.len() > 1 && self.index() > keep {
            self.stack.pop_back();
        }
        let changed = self.stack.len() != count;
        if changed {
            self.voters = Voters::new(self.current());
        }
        changed
    }

    /// What stands at or below `applied` can't be cut off any more.
    pub(super) fn prune(&mut self, applied: Index) {
        while self.stack.get(1).is_some_and(|(index, _)| *index <= applied) {
            self.stack.pop_front();
        }
    }
}

/// The configuration that an entry brings, if it is of a kind that brings one.
pub(super) fn configuration_of(entry: EntryRef<'_>) -> Result<Option<Configuration>, Malformed> {
    match entry.kind() {
        EntryKind::FOUNDING => Ok(Some(Founding::decode(entry.payload())?.configuration)),
        EntryKind::CONFIGURATION => {
            let mut reader = ByteReader::new(entry.payload());
            let configuration = Configuration::decode(&mut reader)?;
            reader.finish()?;
            Ok(Some(configuration))
        }
        _ => Ok(None),
    }
}

impl Raft {
    /// Whether this node votes in the configuration in force.
    pub(super) fn is_voter(&self) -> bool {
        self.configurations.voters().contains(self.config.me)
    }

    /// Whether this node stands for election when nobody leads: it votes, or has voted until a
    /// configuration that isn't known to be committed. Of those who still decide it may be the only
    /// one with that entry, and give its vote to nobody who lacks it (dissertation, 4.2.2). It
    /// doesn't count itself, since it isn't among the voters that it counts.
    pub(super) fn may_stand(&self) -> bool {
        self.configurations.from(self.commit).any(|one| one.is_voter(self.config.me))
    }

    /// Everybody else who takes part, voters and learners.
    pub(super) fn others(&self) -> Vec<Member> {
        let seats = self.configurations.current().seats().iter();
        seats.filter_map(Seat::member).filter(|member| *member != self.config.me).collect()
    }

    pub(super) fn enter_configuration(&mut self, index: Index, configuration: Configuration) {
        self.configurations.push(index, configuration);
        self.configuration_changed();
    }

    pub(super) fn leave_configurations_above(&mut self, keep: Index) {
        if self.configurations.truncate(keep) {
            self.configuration_changed();
        }
    }

    /// The log begins anew with this configuration, which stands where nothing is cut off.
    pub(super) fn begin_configurations_anew(&mut self, only: (Index, Configuration)) {
        let in_force = (self.configurations.index(), self.configurations.current());
        let is_same = in_force == (only.0, &only.1);
        self.configurations = Configurations::new(vec![only]);
        if !is_same {
            self.configuration_changed();
        }
    }

    fn configuration_changed(&mut self) {
        let (index, configuration) =
            (self.configurations.index(), self.configurations.current().clone());
        self.outputs.push_back(Output::Event(Event::Configuration { index, configuration }));
        self.forget_strangers();
        let others = self.others();
        let (next, now) = (self.log.last_index().next(), self.now);
        if let Role::Leader(leading) = &mut self.role {
            leading.keep_peers(&others, next, now);
        }
    }

    /// Fills the vacant seat of `member.id`. The sets of voters keep their sizes and lose nobody,
    /// so any two majorities, before and after, overlap, and a plain entry is enough.
    pub(super) fn seat(&mut self, token: Token, member: Member, address: String) {
        if let Some(reason) = self.seat_refusal(member) {
            self.outputs.push_back(Output::Refused { token, reason });
            return;
        }
        let current = self.configurations.current();
        let seats = current.seats().iter().map(|seat| {
            let vacant = seat.id == member.id && seat.incarnation.is_none();
            let incarnation = if vacant { Some(member.incarnation) } else { seat.incarnation };
            let address = if vacant { address.clone() } else { seat.address.clone() };
            Seat { incarnation, address, ..*seat }
        });
        let next = current.followed_by(seats.collect());
        self.append_configuration(Some(token), next);
    }

    fn seat_refusal(&self, member: Member) -> Option<Refusal> {
        let Role::Leader(leading) = &self.role else {
            return Some(Refusal::NotLeader(self.leader()));
        };
        if leading.handover.is_some() {
            return Some(Refusal::Transferring);
        }
        if self.may_change(leading).is_err() {
            return Some(Refusal::NotYet);
        }
        let configuration = self.configurations.current();
        let vacant = |seat: &Seat| seat.id == member.id && seat.incarnation.is_none();
        let used = configuration.seat(member).is_some() || configuration.was_removed(member);
        (used || !configuration.seats().iter().any(vacant)).then_some(Refusal::NoSeat)
    }
}
