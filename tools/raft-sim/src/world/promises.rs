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
        let Some(me) = self.ledgers.member(machine) else {
            return Err("it speaks and has no directory".to_owned());
        };
        match what {
            Said::Candidate => self.cluster.voted(Vote { voter: me, term, candidate: me }),
            Said::Vote => {
                let durable = ledger.vote(term);
                let meant = durable.filter(|member| usize::from(member.id.number()) == to + 1);
                let Some(candidate) = meant else {
                    return Err(format!(
                        "no promise before it is durable: it votes for node {} in term {term}, \
                         and on its disk is {durable:?}",
                        to + 1
                    ));
                };
                let vote = Vote { voter: me, term, candidate };
                let host = &self.hosts[machine];
                if !host.may_end && !host.disk.holds_vote(self.now, &vote) {
                    return Err(format!("it gives a vote that isn't on its disk: {vote:?}"));
                }
                self.cluster.voted(vote)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raft_node::model::{HardState, WriteSeq};
    use raft_node::storage::LogWork;

    use super::*;
    use crate::world::ledger::Done;
    use crate::world::{Choices, Scenario};

    /// A world in which nothing goes wrong, once it has committed something.
    fn world() -> World {
        let choices = Choices {
            nodes: Some(3),
            faults: Some(Vec::new()),
            time: Some(Duration::from_secs(60)),
            ..Choices::default()
        };
        let mut world = World::new(&Scenario::draw(5, &choices), false);
        while world.cluster.committed() < Index(30) {
            let (at, event) = world.queue.pop().expect("there is always something to do");
            world.now = at;
            world.network.borrow_mut().now = at;
            world.step(event);
            world.settle();
        }
        assert_eq!(world.finding, None);
        world
    }

    /// The leader, its term, and a follower.
    fn places(world: &World) -> (usize, Term, usize) {
        let (leader, _) = world.leader().expect("something was committed");
        (leader, world.seen[leader].term, (leader + 1) % 3)
    }

    fn says(world: &mut World, machine: usize, heard: Heard) -> String {
        world.check_heard(machine, &[heard]).err().unwrap_or_default()
    }

    #[test]
    fn a_vote_that_is_not_on_the_disk_is_found() {
        let mut world = world();
        let (_, term, follower) = places(&world);
        let to = (follower + 1) % 3;
        let other = Heard::Said { to: follower, term, what: Said::Vote };
        assert!(says(&mut world, follower, other).contains("it votes for node"));
        let later = Heard::Said { to, term: Term(term.0 + 1), what: Said::Nothing };
        assert!(says(&mut world, follower, later).contains("it speaks in term"));
        let same = Heard::Said { to, term, what: Said::Nothing };
        assert_eq!(says(&mut world, follower, same), "");
    }

    #[test]
    fn a_level_that_is_not_on_the_disk_is_found() {
        let mut world = world();
        let (leader, term, follower) = places(&world);
        let durable = |index| Heard::Said { to: leader, term, what: Said::Durable(index) };
        let last = world.ledgers[follower].last().index;
        assert_eq!(says(&mut world, follower, durable(last)), "");
        // One that has its term and no entries.
        let hard_state = Some(HardState { term, vote: None });
        let (seq, keep, batches) = (WriteSeq(1), LogId::ORIGIN, Vec::new());
        world.ledgers[follower] = Default::default();
        world.ledgers[follower].give(&LogWork::Write { seq, hard_state, keep, batches });
        world.ledgers[follower].done(Done::All);
        assert!(says(&mut world, follower, durable(last)).contains("is durable, and its disk has"));
        let beyond = durable(Index(1 << 40));
        assert!(says(&mut world, follower, beyond).contains("and that ends at"));
    }

    #[test]
    fn an_answer_to_what_is_not_committed_is_found() {
        let mut world = world();
        let (leader, _, _) = places(&world);
        let committed = world.cluster.committed();
        let term = world.cluster.committed_term(committed).expect("it is committed");
        let done = |index| Heard::Answered(Answered::Done(LogId::new(term, index)));
        assert_eq!(says(&mut world, leader, done(committed)), "");
        assert!(says(&mut world, leader, done(committed.next())).contains("no answer before"));
        let read = Heard::Answered(Answered::Read(committed.next()));
        assert!(says(&mut world, leader, read).contains("no answer before"));
    }
}
