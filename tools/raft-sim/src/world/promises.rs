//! No promise before it is durable: what a node says is held against what its disk has.

use raft_node::model::{Index, LogId, Term};

use super::World;
use super::ear::{Answered, Heard, Said};
use super::invariants::{Broken, Vote};

impl World {
    /// Looks at what a node has said in a turn, behind all that the turn has changed.
    pub(super) fn check_heard(&mut self, machine: usize, heard: &[Heard]) -> Result<(), Broken> {
        for one in heard {
            match one {
                Heard::Said { to, term, what } => self.check_said(machine, *to, *term, *what)?,
                Heard::Answered(answered) => self.check_answered(*answered)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn check_said(
        &mut self,
        machine: usize,
        to: usize,
        term: Term,
        what: Said,
    ) -> Result<(), Broken> {
        let ledger = &self.ledgers[machine];
        if term > ledger.term() {
            return Err(format!(
                "no promise before it is durable: it speaks in term {term}, and on its disk is {}",
                ledger.term()
            ));
        }
        let me = self.hosts[machine].number();
        match what {
            Said::Candidate => self.cluster.voted(Vote { voter: me, term: term.0, candidate: me }),
            Said::Vote => {
                let durable = ledger.vote(term);
                if durable.is_none_or(|member| usize::from(member.id.number()) != to + 1) {
                    return Err(format!(
                        "no promise before it is durable: it votes for node {} in term {term}, \
                         and on its disk is {durable:?}",
                        to + 1
                    ));
                }
                self.cluster.voted(Vote { voter: me, term: term.0, candidate: to })
            }
            Said::Durable(index) => self.check_durable(machine, to, term, index),
            Said::Nothing => Ok(()),
        }
    }

    /// The leader of this term is told up to where its log is durable here.
    fn check_durable(
        &self,
        machine: usize,
        leader: usize,
        term: Term,
        index: Index,
    ) -> Result<(), Broken> {
        let Some(driver) = self.hosts[leader].server.as_ref().and_then(|server| server.driver())
        else {
            return Ok(());
        };
        let raft = driver.raft();
        if index == Index::ZERO || raft.leads() != Some(term) {
            return Ok(());
        }
        if index > raft.last().index {
            return Err(format!(
                "it says that the log of term {term} is durable up to {index}, and that ends at {}",
                raft.last()
            ));
        }
        match raft.id(index) {
            Some(id) if !self.ledgers[machine].has_held(id) => Err(format!(
                "no promise before it is durable: it says that {id} is durable, and its disk has {}",
                self.ledgers[machine].last()
            )),
            _ => Ok(()),
        }
    }

    /// What a client is told is committed, and so durable on a quorum.
    fn check_answered(&self, answered: Answered) -> Result<(), Broken> {
        let is_true = match answered {
            Answered::Done(LogId { term, index }) => {
                self.cluster.committed_term(index) == Some(term)
            }
            Answered::Read(index) => index <= self.cluster.committed(),
        };
        match is_true {
            true => Ok(()),
            false => Err(format!(
                "no answer before it is committed: a client is told {answered:?}, and up to {} all \
                 is committed",
                self.cluster.committed()
            )),
        }
    }
}
