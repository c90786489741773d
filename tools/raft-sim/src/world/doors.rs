//! What each process must know of the others, by what it was told and has heard, and whether it
//! lets somebody in whom it could tell to be a copy of a directory or an older one. It is worked
//! out from what was on the connections, beside the nodes' own doors.

use std::collections::BTreeMap;

use raft_node::model::{Boot, Configuration, Index, Member, PeerLevel, StartNumber, Term};
use raft_node::wire::Party;

/// What one process knows.
#[derive(Debug, Default)]
pub(crate) struct Door {
    levels: BTreeMap<Member, Level>,
    /// The latest start of each member that it let in.
    starts: BTreeMap<Member, (Boot, StartNumber)>,
}

/// What a leader tells of the members in its term, and up to where it has committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    pub(crate) term: Term,
    pub(crate) commit: Index,
    pub(crate) levels: &'a [PeerLevel],
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
    /// Who isn't among those of whom a leader tells, and has no seat as far as the process knows,
    /// may be forgotten.
    pub(crate) fn forget_others(&mut self, told: &Told<'_>, members: Option<&Configuration>) {
        if told.commit <= Index(1) || told.levels.is_empty() {
            return;
        }
        let is_told = |one: &Member| told.levels.iter().any(|level| level.member == *one);
        let has_seat = |one| members.is_some_and(|members| members.seat(one).is_some());
        self.levels.retain(|one, _| is_told(one) || has_seat(*one));
    }

    /// A leader tells of the members.
    pub(crate) fn learn(&mut self, told: &Told<'_>, members: Option<&Configuration>) {
        let Told { term, commit, levels } = *told;
        if commit <= Index(1) {
            return;
        }
        self.forget_others(told, members);
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

#[cfg(test)]
mod tests {
    use raft_node::model::{ClusterId, Epoch, Incarnation, LogId, NodeId};
    use raft_node::wire::VersionRange;

    use super::*;

    fn member() -> Member {
        Member { id: NodeId::new(3).unwrap(), incarnation: Incarnation(9) }
    }

    fn party(boot: u64, start: u64, term: u64, last: u64) -> Party {
        Party {
            protocol: VersionRange { lowest: 1, highest: 1 },
            features: VersionRange { lowest: 1, highest: 1 },
            cluster: Some(ClusterId(7)),
            epoch: Epoch::default(),
            member: Some(member()),
            boot: Boot(boot),
            start: StartNumber(start),
            term: Term(term),
            last: LogId::new(Term(term), Index(last)),
            nodes_hash: 0,
            cluster_name: String::new(),
            address: String::new(),
            restores: None,
        }
    }

    /// A door that was told: start 4 had entry 20 in term 5, where 10 was committed.
    fn told() -> Door {
        let mut door = Door::default();
        let level = PeerLevel { member: member(), matched: Index(20), boot: Boot(4) };
        door.learn(&Told { term: Term(5), commit: Index(10), levels: &[level] }, None);
        door
    }

    #[test]
    fn whoever_comes_with_less_than_was_told_must_not_be_let_in() {
        let is_told = |boot, term, last| told().lets_in(&party(boot, 1, term, last)).is_some();
        assert!(is_told(3, 5, 20), "an earlier start");
        assert!(is_told(5, 4, 20), "an earlier term");
        assert!(is_told(5, 5, 19), "a shorter log in that term");
        assert!(is_told(5, 6, 9), "less than was committed");
        assert!(!is_told(5, 6, 10), "what wasn't committed may have been replaced");
        assert!(!is_told(4, 5, 0), "what was told of a start may overtake its hello");
    }

    #[test]
    fn another_start_under_the_same_boot_or_an_earlier_one_must_not_be_let_in() {
        let mut door = Door::default();
        assert_eq!(door.lets_in(&party(2, 77, 1, 1)), None);
        assert_eq!(door.lets_in(&party(2, 77, 1, 1)), None);
        assert_eq!(door.lets_in(&party(3, 78, 1, 1)), None);
        assert!(door.lets_in(&party(3, 79, 1, 1)).is_some());
        assert!(door.lets_in(&party(2, 77, 1, 1)).is_some());
    }

    #[test]
    fn nothing_is_taken_from_a_leader_that_has_committed_nothing() {
        let mut door = Door::default();
        let level = PeerLevel { member: member(), matched: Index(20), boot: Boot(4) };
        door.learn(&Told { term: Term(5), commit: Index(1), levels: &[level] }, None);
        assert_eq!(door.lets_in(&party(1, 1, 1, 1)), None);
    }
}
