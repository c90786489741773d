//! What is asked, and what may be done with it: here alone stands what may be sent again.

use std::time::Duration;

use super::{Channel, Failure, Reason};
use crate::kv::{Command, MAX_COMMAND_BYTES, Query};
use crate::model::{Configuration, Index, NodeId, SnapshotId};
use crate::wire::{Consistency, LogQuestion, ReplyBody, RequestBody};

/// What is asked: a command, a query, or something about the node itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ask(Kind);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    /// An encoded command, and whether it takes effect once however often it is sent.
    Change {
        command: Vec<u8>,
        once: bool,
    },
    /// An encoded query.
    Question {
        query: Vec<u8>,
        consistency: Consistency,
    },
    Status,
    Ping,
    Transfer(Option<NodeId>),
    TakeSnapshot,
    Snapshots,
    SnapshotPiece {
        snapshot: SnapshotId,
        offset: u64,
    },
    ChangeMembers {
        expected: Index,
        members: Configuration,
    },
    Log(LogQuestion),
}

impl Ask {
    /// To carry out a command.
    ///
    /// # Errors
    ///
    /// If it is longer than any node takes.
    pub fn command(command: &Command<'_>) -> Result<Ask, Failure> {
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        check_length(&encoded)?;
        let once = !matches!(command, Command::Change { session: None, .. });
        Ok(Ask(Kind::Change { command: encoded, once }))
    }

    /// To answer a query.
    ///
    /// # Errors
    ///
    /// If it is longer than any node takes.
    pub fn query(query: &Query<'_>, consistency: Consistency) -> Result<Ask, Failure> {
        let mut encoded = Vec::new();
        query.encode(&mut encoded);
        check_length(&encoded)?;
        Ok(Ask(Kind::Question { query: encoded, consistency }))
    }

    /// To say how the node stands.
    #[must_use]
    pub fn status() -> Ask {
        Ask(Kind::Status)
    }

    /// To say that it is there.
    #[must_use]
    pub fn ping() -> Ask {
        Ask(Kind::Ping)
    }

    /// To hand leadership to this node, or to any.
    #[must_use]
    pub fn transfer(to: Option<NodeId>) -> Ask {
        Ask(Kind::Transfer(to))
    }

    /// To have every node take a snapshot.
    #[must_use]
    pub fn take_snapshot() -> Ask {
        Ask(Kind::TakeSnapshot)
    }

    /// To say which snapshots the node keeps.
    #[must_use]
    pub fn snapshots() -> Ask {
        Ask(Kind::Snapshots)
    }

    /// For the bytes of a snapshot's file from an offset on.
    #[must_use]
    pub fn snapshot_piece(snapshot: SnapshotId, offset: u64) -> Ask {
        Ask(Kind::SnapshotPiece { snapshot, offset })
    }

    /// To make these the members, where whoever asks has seen the configuration at `expected`.
    #[must_use]
    pub fn change_members(expected: Index, members: Configuration) -> Ask {
        Ask(Kind::ChangeMembers { expected, members })
    }

    /// For entries of the node's log.
    #[must_use]
    pub fn log(question: LogQuestion) -> Ask {
        Ask(Kind::Log(question))
    }

    /// Whether any node can answer, not only the leader.
    #[must_use]
    pub fn is_for_any(&self) -> bool {
        match &self.0 {
            Kind::Change { .. } | Kind::Transfer(_) | Kind::TakeSnapshot => false,
            Kind::ChangeMembers { .. } => false,
            Kind::Question { consistency, .. } => *consistency == Consistency::Stale,
            Kind::Status | Kind::Ping | Kind::Snapshots | Kind::SnapshotPiece { .. } => true,
            Kind::Log(_) => true,
        }
    }

    /// Whether it may be sent again after an attempt of which nobody knows what came of it.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        match &self.0 {
            Kind::Change { once, .. } => *once,
            Kind::Question { .. } | Kind::Status | Kind::Ping | Kind::Log(_) => true,
            // A snapshot more changes nothing but when the log is let go.
            Kind::TakeSnapshot | Kind::Snapshots | Kind::SnapshotPiece { .. } => true,
            // Done already, or refused because what was expected is no longer in force.
            Kind::ChangeMembers { .. } => true,
            Kind::Transfer(_) => false,
        }
    }

    /// Whether an attempt of which nobody knows what came of it leaves a doubt.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        match &self.0 {
            Kind::Change { .. } | Kind::Transfer(_) | Kind::ChangeMembers { .. } => true,
            Kind::Question { .. } | Kind::Status | Kind::Ping | Kind::Log(_) => false,
            Kind::TakeSnapshot | Kind::Snapshots | Kind::SnapshotPiece { .. } => false,
        }
    }

    /// Whether this can be the answer, as far as its kind goes.
    pub(super) fn is_answered_by(&self, body: &ReplyBody) -> bool {
        matches!(
            (&self.0, body),
            (Kind::Change { .. }, ReplyBody::Done { .. })
                | (Kind::Question { .. }, ReplyBody::Answer { .. })
                | (Kind::Status, ReplyBody::Status(_))
                | (Kind::Ping, ReplyBody::Pong)
                | (Kind::Transfer(_), ReplyBody::Transferred { .. })
                | (Kind::TakeSnapshot | Kind::Snapshots, ReplyBody::Snapshots(_))
                | (Kind::SnapshotPiece { .. }, ReplyBody::Piece(_))
                | (Kind::ChangeMembers { .. }, ReplyBody::Members { .. })
                | (Kind::Log(_), ReplyBody::Log(_))
        )
    }

    /// Gathers it for sending, under this number.
    pub(super) fn gather(&self, channel: &mut Channel, id: u64, timeout: Duration) {
        match &self.0 {
            Kind::Change { command, .. } => channel.encoded_change(id, timeout, command),
            Kind::Question { query, consistency } => {
                channel.encoded_question(id, timeout, *consistency, query);
            }
            Kind::Status => channel.request(id, timeout, RequestBody::Status),
            Kind::Ping => channel.request(id, timeout, RequestBody::Ping),
            Kind::Transfer(to) => channel.request(id, timeout, RequestBody::Transfer(*to)),
            Kind::TakeSnapshot => channel.request(id, timeout, RequestBody::TakeSnapshot),
            Kind::Snapshots => channel.request(id, timeout, RequestBody::Snapshots),
            Kind::SnapshotPiece { snapshot, offset } => {
                let (snapshot, offset) = (*snapshot, *offset);
                channel.request(id, timeout, RequestBody::SnapshotPiece { snapshot, offset });
            }
            Kind::ChangeMembers { expected, members } => {
                let (expected, members) = (*expected, members.clone());
                channel.request(id, timeout, RequestBody::ChangeMembers { expected, members });
            }
            Kind::Log(question) => {
                channel.request(id, timeout, RequestBody::Log(question.clone()));
            }
        }
    }
}

/// Whether a request can be sent at all.
pub(super) fn check_length(encoded: &[u8]) -> Result<(), Failure> {
    let bytes = encoded.len();
    if bytes <= MAX_COMMAND_BYTES {
        return Ok(());
    }
    Err(Failure::refused(Reason::TooLarge { bytes }, Vec::new()))
}
