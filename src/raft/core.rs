//! The consensus core itself: its two doors.

use std::collections::VecDeque;

use super::{Config, Input, Output, Restored, RoleKind, Status};
use crate::model::{Index, LogId, Time};

/// The consensus core of one node.
///
/// - Input: [`Raft::handle`], for each thing that happens. It can't fail and can't block.
/// - Output: [`Raft::poll`], until it gives `None`, after each batch of inputs. The outputs are
///   to be carried out in order. What the batch made necessary is worked out when the queue runs
///   empty, so that all proposals of a batch are one [`Output::Write`].
/// - Time: [`Raft::deadline`] says when [`Input::Tick`] is due at the latest.
/// - Looking: [`Raft::status`].
#[derive(Debug)]
pub struct Raft {
    config: Config,
    restored: Restored,
    outputs: VecDeque<Output>,
}

impl Raft {
    /// A node as it starts, with what its disk held.
    #[must_use]
    pub fn new(config: Config, restored: Restored, _now: Time, _seed: u64) -> Raft {
        Raft { config, restored, outputs: VecDeque::new() }
    }

    /// Something has happened.
    pub fn handle(&mut self, _now: Time, _input: Input) {}

    /// The next thing to be done, or `None` if there is nothing left to do.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        None
    }

    /// How the core stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let (index, configuration) =
            self.restored.configurations.last().cloned().unwrap_or_default();
        Status {
            role: RoleKind::Follower,
            term: self.restored.hard_state.term,
            vote: self.restored.hard_state.vote,
            leader: None,
            voter: configuration.is_voter(self.config.me),
            base: self.restored.base,
            last: LogId::ORIGIN,
            durable: self.restored.last,
            commit: Index::ZERO,
            applied: self.restored.applied,
            log_time: self.restored.last_time,
            configuration: (index, configuration),
            committed_in_term: false,
            transferring: None,
            peers: Vec::new(),
        }
    }
}
