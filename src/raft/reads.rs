//! Linearizable reads without the log (dissertation, chapter 6.4): ReadIndex, with as many reads
//! to one round of heartbeats as have come.

use super::core::{Raft, Role};
use super::io::{Output, Refusal, Token};
use super::replication::Leading;
use crate::model::Round;

/// A read that waits until a round which began after it came is confirmed.
#[derive(Clone, Copy, Debug)]
pub(super) struct WaitingRead {
    pub(super) token: Token,
    pub(super) round: Round,
}

impl Raft {
    pub(super) fn read(&mut self, token: Token) {
        let leader = self.leader();
        let Role::Leader(leading) = &mut self.role else {
            let reason = Refusal::NotLeader(leader);
            return self.outputs.push_back(Output::Refused { token, reason });
        };
        if leading.reads.len() >= self.config.max_waiting_reads {
            let reason = Refusal::Busy;
            return self.outputs.push_back(Output::Refused { token, reason });
        }
        let round = leading.round.next();
        leading.reads.push_back(WaitingRead { token, round });
    }

    /// The latest round that a quorum has answered, this node included. An answer names a round
    /// only to the leader of its term, so a quorum had no later leader when it answered.
    pub(super) fn confirmed_round(&self, leading: &Leading) -> Round {
        let me = self.config.me;
        self.configurations.voters().reached(Round::ZERO, |voter| {
            if voter == me {
                return leading.round;
            }
            leading.peer(voter).map_or(Round::ZERO, |progress| progress.round)
        })
    }

    /// Lets the reads go whose round is confirmed. Not before an entry of the own term is
    /// committed: until then the commit index may lag behind what clients were told.
    pub(super) fn answer_reads(&mut self) {
        let Role::Leader(leading) = &self.role else { return };
        if leading.reads.is_empty() || self.commit < leading.term_start {
            return;
        }
        let confirmed = self.confirmed_round(leading);
        let Role::Leader(leading) = &mut self.role else { return };
        while let Some(read) = leading.reads.front().filter(|read| read.round <= confirmed) {
            self.outputs.push_back(Output::ReadAt { token: read.token, index: self.commit });
            leading.reads.pop_front();
        }
    }
}
