//! What must hold of the cluster after every step. Only what a step has changed is looked at.

use std::collections::BTreeMap;
use std::rc::Rc;

use raft_node::model::{Configuration, Index, LogId, Member, Seat, Term, TermRun};
use raft_node::node::driver::Driver;
use raft_node::raft::Raft;

use super::configurations::Configurations;
use super::ledger::Ledger;
use super::ledgers::Ledgers;
use super::majorities::decides;

/// What was last seen of a machine's process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) term: Term,
    pub(crate) leads: Option<Term>,
    pub(crate) last: LogId,
    pub(crate) commit: Index,
    pub(crate) applied: LogId,
    pub(crate) configuration: Index,
    /// The configuration that was in force, and where it stands.
    members: Option<(Index, Rc<Configuration>)>,
    /// Up to where the process takes its log for durable.
    durable: Index,
    /// Where the latest term of its log begins, as it was last looked at.
    top: Option<TermRun>,
    /// Whether the process was just started: it counts anew what is committed and applied.
    is_fresh: bool,
}

/// A vote as it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Vote {
    pub(crate) voter: Member,
    pub(crate) term: Term,
    pub(crate) candidate: Member,
}

/// What is known of the whole cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    /// Who has led each term.
    leaders: BTreeMap<Term, Member>,
    /// Where each term's entries begin, and the term before.
    terms: BTreeMap<Term, (Index, Term)>,
    /// The terms of what is committed, by index from 1; none at 0.
    committed: Vec<Term>,
    /// Up to where the log was committed by the leaders of each term.
    committed_in: BTreeMap<Term, Index>,
    /// The hash of the state at each index at which some node was seen.
    states: BTreeMap<Index, u128>,
    /// For whom each member has voted in each term.
    votes: BTreeMap<(Member, Term), Member>,
    pub(crate) configurations: Configurations,
}

/// Something that must not be.
pub(crate) type Broken = String;

impl Cluster {
    pub(crate) fn committed(&self) -> Index {
        Index(self.committed.len() as u64)
    }

    /// The term of what is committed at an index, if anything is.
    pub(crate) fn committed_term(&self, index: Index) -> Option<Term> {
        let place = usize::try_from(index.0).ok()?.checked_sub(1)?;
        self.committed.get(place).copied()
    }

    /// A node votes.
    pub(crate) fn voted(&mut self, vote: Vote) -> Result<(), Broken> {
        let Vote { voter, term, candidate } = vote;
        let known = *self.votes.entry((voter, term)).or_insert(candidate);
        if known != candidate {
            return Err(format!(
                "one vote per term: node {} votes for {} in term {term}, after {}",
                voter.id, candidate.id, known.id
            ));
        }
        Ok(())
    }

    /// Looks at a node after one of its turns.
    pub(crate) fn look(
        &mut self,
        machine: usize,
        driver: &Driver,
        seen: &mut Seen,
        ledgers: &Ledgers,
    ) -> Result<(), Broken> {
        let raft = driver.raft();
        raft.check();
        let (term, _) = raft.term_and_leader();
        let (leads, last, commit) = (raft.leads(), raft.last(), raft.commit());
        if term < seen.term || (commit < seen.commit && !seen.is_fresh) {
            return Err(format!(
                "terms and commit never go back: {} {} after {} {}",
                term, commit, seen.term, seen.commit
            ));
        }
        // In one turn a node may win or commit something and enter the next configuration.
        let entered = seen.members.as_ref().map(|(_, members)| Rc::clone(members));
        let entered = entered.as_deref().unwrap_or(raft.configuration().1);
        if leads != seen.leads
            && let Some(term) = leads
        {
            self.elected(driver, term, entered)?;
        }
        let top = raft.runs().next_back();
        if top != seen.top {
            self.log_changed(raft)?;
        }
        if raft.durable() != seen.durable || top != seen.top {
            believed(raft, &ledgers[machine])?;
        }
        let has_committed = commit != seen.commit;
        (seen.top, seen.durable) = (top, raft.durable());
        (seen.term, seen.leads, seen.last, seen.commit) = (term, leads, last, commit);
        if has_committed {
            self.commit(machine, raft, commit, (ledgers, entered))?;
        }
        let (index, members) = raft.configuration();
        // Who lags may not know yet what is committed.
        let committed = self.committed();
        if index > seen.configuration && seen.configuration > committed {
            return Err(format!(
                "two configurations that aren't committed: {} and {index}, commit {committed}",
                seen.configuration
            ));
        }
        if seen.members.as_ref().is_none_or(|(known, _)| *known != index) {
            let members = Rc::new(members.clone());
            self.entered(raft, index, &members);
            seen.members = Some((index, members));
        }
        seen.configuration = index;
        self.applied(driver, seen)
    }

    fn entered(&mut self, raft: &Raft, index: Index, members: &Rc<Configuration>) {
        // What a snapshot brings is committed.
        let id = raft.id(index).or_else(|| {
            let term = self.committed_term(index)?;
            Some(LogId::new(term, index))
        });
        if let Some(id) = id {
            self.configurations.entered(id, members);
        }
        self.settle();
    }

    /// Some of the configurations may be committed by now.
    fn settle(&mut self) {
        let committed = &self.committed;
        let term = |index: Index| committed.get(index.0 as usize - 1).copied();
        self.configurations.committed_up_to(Index(committed.len() as u64), term);
    }

    fn elected(
        &mut self,
        driver: &Driver,
        term: Term,
        entered: &Configuration,
    ) -> Result<(), Broken> {
        let raft = driver.raft();
        let (_, Some(me)) = raft.term_and_leader() else {
            return Err("a leader that doesn't know itself".to_owned());
        };
        let known = *self.leaders.entry(term).or_insert(me);
        if known != me {
            return Err(format!("one leader per term: {known:?} and {me:?} lead term {term}"));
        }
        self.has_votes(driver.raft(), me, term, entered)?;
        // Who was elected long ago and learns of it late needn't have what came after.
        let Some((_, committed)) = self.committed_in.range(..term).next_back() else {
            return Ok(());
        };
        let expected = LogId::new(self.committed[committed.0 as usize - 1], *committed);
        if raft.base().index <= *committed && raft.id(*committed) != Some(expected) {
            return Err(format!(
                "leader completeness: the leader of term {term} has {:?} where {expected} is \
                 committed",
                raft.id(*committed)
            ));
        }
        Ok(())
    }

    /// A leader was given the votes of a quorum, in this term. Its own it doesn't need to send.
    fn has_votes(
        &self,
        raft: &Raft,
        me: Member,
        term: Term,
        entered: &Configuration,
    ) -> Result<(), Broken> {
        let gave = |seat: &Seat| {
            let vote = |voter| voter == me || self.votes.get(&(voter, term)) == Some(&me);
            seat.member().is_some_and(vote)
        };
        let (_, members) = raft.configuration();
        if !decides(members, gave) && !decides(entered, gave) {
            return Err(format!("{me:?} leads term {term} without the votes of a quorum"));
        }
        Ok(())
    }

    /// Log matching: whoever has entries of a term has them from the same place on, behind the
    /// same entry.
    fn log_changed(&mut self, raft: &Raft) -> Result<(), Broken> {
        let base = raft.base();
        let mut before = base.term;
        for run in raft.runs() {
            if base.index > Index::ZERO && run.term == base.term {
                // Its beginning has left the log.
                if self.terms.get(&run.term).is_some_and(|(first, _)| *first > run.first) {
                    return Err(format!("log matching: term {} is here at {base}", run.term));
                }
                continue;
            }
            let (first, known) = *self.terms.entry(run.term).or_insert((run.first, before));
            if (first, known) != (run.first, before) {
                return Err(format!(
                    "log matching: term {} begins at {} behind term {before} here, at {first} \
                     behind term {known} elsewhere",
                    run.term, run.first
                ));
            }
            before = run.term;
        }
        Ok(())
    }

    fn commit(
        &mut self,
        machine: usize,
        raft: &Raft,
        commit: Index,
        quorum: (&Ledgers, &Configuration),
    ) -> Result<(), Broken> {
        let known = self.committed();
        let checked = known.min(commit);
        if checked > Index::ZERO && checked >= raft.base().index {
            let (expected, here) = (self.committed[checked.0 as usize - 1], raft.id(checked));
            if here != Some(LogId::new(expected, checked)) {
                return Err(format!(
                    "state machine safety: node {} has committed {here:?} at {checked}, others \
                     term {expected}",
                    machine + 1
                ));
            }
        }
        if commit <= known {
            return Ok(());
        }
        self.committed_on_quorum(raft, commit, quorum)?;
        for index in known.0 + 1..=commit.0 {
            let Some(id) = raft.id(Index(index)) else {
                return Err(format!("entry {index} is committed and isn't in the log"));
            };
            self.committed.push(id.term);
        }
        if let Some(term) = self.committed.last() {
            self.committed_in.insert(*term, commit);
        }
        self.settle();
        Ok(())
    }

    /// What is committed for the first time is durable on a quorum.
    fn committed_on_quorum(
        &self,
        raft: &Raft,
        commit: Index,
        (ledgers, entered): (&Ledgers, &Configuration),
    ) -> Result<(), Broken> {
        let Some(id) = raft.id(commit) else {
            return Err(format!("entry {commit} is committed and isn't in the log"));
        };
        let (_, members) = raft.configuration();
        let has = |seat: &Seat| {
            let ledger = seat.member().and_then(|member| ledgers.of(member));
            ledger.is_some_and(|ledger| ledger.holds(id))
        };
        if !decides(members, has) && !decides(entered, has) {
            let held = ledgers.ends();
            return Err(format!(
                "{id} is committed and not durable on a quorum: the durable logs end at {held:?}"
            ));
        }
        Ok(())
    }

    fn applied(&mut self, driver: &Driver, seen: &mut Seen) -> Result<(), Broken> {
        let machine = driver.machine();
        let applied = machine.applied();
        if applied == seen.applied && !seen.is_fresh {
            return Ok(());
        }
        if applied.index < seen.applied.index && !seen.is_fresh {
            return Err(format!("applied fell from {} to {applied}", seen.applied));
        }
        seen.applied = applied;
        seen.is_fresh = false;
        if applied.index == Index::ZERO {
            return Ok(());
        }
        if applied.index > self.committed() {
            return Err(format!("{applied} is applied and not committed"));
        }
        let hash = machine.state_hash();
        let known = *self.states.entry(applied.index).or_insert(hash);
        if known != hash {
            return Err(format!("the states at entry {} differ", applied.index));
        }
        Ok(())
    }
}

/// What a node takes for durable is.
fn believed(raft: &Raft, ledger: &Ledger) -> Result<(), Broken> {
    let (term, _) = raft.written();
    let durable = raft.id(raft.durable()).filter(|id| !ledger.has_held(*id));
    if term > ledger.term() || durable.is_some() {
        return Err(format!(
            "it takes term {term} and the log up to {} for durable, and its disk has {} and {}",
            raft.durable(),
            ledger.term(),
            ledger.last()
        ));
    }
    Ok(())
}

impl Seen {
    /// A process begins with this.
    pub(crate) fn begin(&mut self, raft: &Raft) {
        let (term, _) = raft.term_and_leader();
        *self = Seen { term, last: raft.last(), is_fresh: true, ..Seen::default() };
    }

    /// A process has ended.
    pub(crate) fn end(&mut self) {
        self.leads = None;
    }
}
