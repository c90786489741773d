//! What each process must know of the others, by what it was told and has heard, and whether it
//! lets somebody in whom it could tell to be a copy of a directory or an older one. It is worked
//! out from what was on the connections, beside the nodes' own doors.

use std::collections::BTreeMap;

use raft_node::model::{Boot, Index, Member, PeerLevel, StartNumber, Term};
use raft_node::wire::Party;

/// What one process knows.
#[derive(Debug, Default)]
pub(crate) struct Door {
    levels: BTreeMap<Member, Level>,
    /// The latest start of each member that it let in.
    starts: BTreeMap<Member, (Boot, StartNumber)>,
}

/// What a leader has told of a member.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    term: Term,
    matched: Index,
    /// What the member has acknowledged of what is committed.
    floor: Index,
    boot: Boot,
}

impl Door {
    /// A leader tells of the members in its term, and up to where it has committed.
    pub(crate) fn learn(&mut self, term: Term, commit: Index, levels: &[PeerLevel]) {
        if commit <= Index(1) {
            return;
        }
        for PeerLevel { member, matched, boot } in levels.iter().copied() {
            let known = self.levels.entry(member).or_default();
            known.boot = known.boot.max(boot);
            known.floor = known.floor.max(matched.min(commit));
            if matched > Index::ZERO && term >= known.term {
                let before = if term == known.term { known.matched } else { Index::ZERO };
                (known.term, known.matched) = (term, matched.max(before));
            }
        }
    }

    /// The process lets somebody in. Says why it shouldn't have.
    ///
    /// What was told of the very start that comes may be newer than its hello: that is no reason.
    pub(crate) fn lets_in(&mut self, party: &Party) -> Option<String> {
        let member = party.member?;
        let said = format!(
            "start {} of node {}, in term {} with a log up to {}",
            party.boot, member.id, party.term, party.last
        );
        if let Some((boot, start)) = self.starts.insert(member, (party.boot, party.start))
            && (party.boot < boot || party.boot == boot && party.start != start)
        {
            return Some(format!("{said}, is let in behind another start {boot}"));
        }
        let known = self.levels.get(&member).filter(|_| party.cluster.is_some())?;
        let last = party.last.index;
        let lost = party.boot < known.boot
            || party.boot > known.boot
                && known.matched > Index::ZERO
                && (party.term < known.term
                    || party.term == known.term && last < known.matched
                    || last < known.floor);
        lost.then(|| format!("{said}, is let in where {known:?} is known"))
    }
}
