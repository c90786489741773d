//! Facts for people.

use super::io::RoleKind;
use crate::model::{Configuration, Index, LogId, Member, SnapshotId, Term};

/// A fact for the log lines and counters of the shell. Nothing depends on it being read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The role or the term changed.
    Role {
        /// The role it has now.
        role: RoleKind,
        /// The term.
        term: Term,
        /// Why, in a few words.
        reason: &'static str,
    },
    /// There is a leader, or another one, or (`None`) none that is known.
    Leader {
        /// Who leads.
        leader: Option<Member>,
        /// In which term.
        term: Term,
    },
    /// A vote was given.
    Voted {
        /// To whom.
        candidate: Member,
        /// In which term.
        term: Term,
    },
    /// The log's end was replaced by another leader's entries.
    Replaced {
        /// The last index that stayed.
        keep: Index,
        /// The last index that was dropped.
        dropped: Index,
    },
    /// Another configuration is in force.
    Configuration {
        /// The index it stands at.
        index: Index,
        /// The configuration.
        configuration: Configuration,
    },
    /// A handing-over of leadership began, ended or failed.
    Transfer {
        /// To whom.
        to: Member,
        /// What happened, in a few words.
        what: &'static str,
    },
    /// A member needs entries that the log no longer holds, and there is no good snapshot.
    Behind {
        /// Who.
        peer: Member,
        /// The entry before the first of the log.
        base: LogId,
    },
    /// Sending a snapshot to a member that needs one.
    Sending {
        /// To whom.
        to: Member,
        /// Which.
        snapshot: SnapshotId,
        /// How many bytes of it the member has.
        has: u64,
        /// What happened, in a few words.
        what: &'static str,
    },
    /// Receiving a snapshot from the leader.
    Receiving {
        /// Which.
        snapshot: SnapshotId,
        /// How many bytes of it are there.
        has: u64,
        /// What happened, in a few words.
        what: &'static str,
    },
    /// The state of a received snapshot has taken the place of the state machine's.
    Installed {
        /// Which.
        snapshot: SnapshotId,
        /// Up to where entries were applied before.
        applied_before: Index,
    },
    /// The file of a snapshot turned out to be gone or damaged. It isn't counted any more.
    SnapshotLost(SnapshotId),
    /// A message was dropped.
    Dropped {
        /// From whom.
        from: Member,
        /// Why, in a few words.
        reason: &'static str,
    },
}
