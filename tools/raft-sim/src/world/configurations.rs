//! The configurations that may be in force somewhere, as the nodes were seen to enter them.

use std::collections::BTreeMap;
use std::rc::Rc;

use raft_node::model::{Configuration, Index, LogId, Member, Term};

/// Where a founding stands. There may be more than one at first: whoever gives his up enters another,
/// so the one that is entered last is the one that stays.
const FOUNDING: Index = Index(1);

/// Notes the first of this id, or the last of the foundings.
fn note(noted: &mut BTreeMap<LogId, Rc<Configuration>>, id: LogId, members: &Rc<Configuration>) {
    let stays = noted.entry(id).or_insert_with(|| Rc::clone(members));
    if id.index <= FOUNDING {
        *stays = Rc::clone(members);
    }
}

/// The latest configuration that is committed, and all that were seen behind it.
#[derive(Debug, Default)]
pub(crate) struct Configurations {
    committed: Option<(Index, Rc<Configuration>)>,
    /// What may be committed yet.
    open: BTreeMap<LogId, Rc<Configuration>>,
    /// All that leaders have made, and the founding ones.
    made: BTreeMap<LogId, Rc<Configuration>>,
}

impl Configurations {
    /// A leader has made a configuration, or a node has stored a founding one.
    pub(crate) fn is_made(&mut self, id: LogId, members: &Rc<Configuration>) {
        note(&mut self.made, id, members);
    }

    /// Whether a leader has made this one. Of one that is in a snapshot only the index is known.
    pub(crate) fn has_made(
        &self,
        id: Option<LogId>,
        index: Index,
        members: &Configuration,
    ) -> bool {
        match id {
            Some(id) => self.made.get(&id).is_some_and(|made| made.as_ref() == members),
            None => {
                let mut there = self.made.iter().filter(|(id, _)| id.index == index);
                there.any(|(_, made)| made.as_ref() == members)
            }
        }
    }

    /// A node enters a configuration, which isn't committed as far as anybody knows.
    pub(crate) fn entered(&mut self, id: LogId, members: &Rc<Configuration>) {
        note(&mut self.open, id, members);
    }

    /// All up to `commit` is committed, `term` tells in which term each entry was made.
    pub(crate) fn committed_up_to(&mut self, commit: Index, term: impl Fn(Index) -> Option<Term>) {
        let reached: Vec<LogId> =
            self.open.keys().copied().filter(|id| id.index <= commit).collect();
        for id in reached {
            let members = self.open.remove(&id);
            let is_later = self.committed.as_ref().is_none_or(|(index, _)| *index < id.index);
            if let Some(members) = members.filter(|_| is_later && term(id.index) == Some(id.term)) {
                self.committed = Some((id.index, members));
            }
        }
    }

    /// The latest one that is known to be committed, and where it stands.
    pub(crate) fn committed(&self) -> Option<(Index, &Configuration)> {
        self.committed.as_ref().map(|(index, members)| (*index, members.as_ref()))
    }

    /// Whether this one was a member and was removed for good.
    pub(crate) fn was_removed(&self, member: Member) -> bool {
        self.committed().is_some_and(|(_, members)| members.was_removed(member))
    }

    /// Whether this one is a member for good.
    pub(crate) fn is_member(&self, member: Member) -> bool {
        self.committed().is_some_and(|(_, members)| members.seat(member).is_some())
    }

    /// All that may be in force.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Configuration> {
        let committed = self.committed.iter().map(|(_, members)| members.as_ref());
        committed.chain(self.open.values().map(Rc::as_ref))
    }

    /// Whether this one has a seat in any of them.
    pub(crate) fn may_be_member(&self, member: Member) -> bool {
        self.all().any(|members| members.seat(member).is_some())
    }
}
