//! The machine: what committed entries do to the state.

use bytes::BytesMut;

use super::{PointReport, Settings};
use crate::model::{EntryKind, EntryRef, LogId, LogTime, Malformed};

/// The replicated state machine. It applies every committed entry exactly once, in order;
/// nothing else changes it, and the same entries give the same state and the same answers
/// everywhere.
#[derive(Clone, Debug, Default)]
pub struct Machine {}

/// What an applied entry came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// There is nothing to tell.
    Nothing,
    /// A command was answered; the answer was appended to the caller's buffer.
    Answered {
        /// The entry that carried the command out: this one, or an earlier one that held the
        /// same number of the same session. Tell it with the answer, so that each retry is told
        /// the same.
        id: LogId,
    },
    /// A point was reached.
    Point {
        /// What to report.
        report: PointReport,
        /// Whether a snapshot is to be taken of this state.
        snapshot: bool,
    },
    /// The settings changed.
    Settings,
    /// The feature level was raised.
    FeatureLevel(u32),
}

/// Why an entry can't be applied. The state is as it was before; a node stops rather than
/// differ from the others.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApplyError {
    /// The entry is of a kind that this version doesn't know.
    #[error(
        "entry {id} is of kind {}, which version {} doesn't know; nothing is lost: start a newer \
         version of raft on this directory",
        kind.0,
        env!("CARGO_PKG_VERSION")
    )]
    NewerKind {
        /// The entry.
        id: LogId,
        /// Its kind.
        kind: EntryKind,
    },
    /// The entry raises the feature level above that of this version.
    #[error(
        "entry {id} raises the feature level to {level}, which needs version {version} and isn't \
         known to version {}; nothing is lost: start that version or a newer one on this directory",
        env!("CARGO_PKG_VERSION")
    )]
    NewerLevel {
        /// The entry.
        id: LogId,
        /// The new level.
        level: u32,
        /// The lowest version that knows the level.
        version: String,
    },
    /// The entry's payload isn't one of this version, though its kind is.
    #[error(
        "entry {id} ({}) can't be read by version {}: {error}; nothing is lost: a newer version \
         has let it in, start that one on this directory",
        kind.name().unwrap_or("unknown"),
        env!("CARGO_PKG_VERSION")
    )]
    Undecodable {
        /// The entry.
        id: LogId,
        /// Its kind.
        kind: EntryKind,
        /// What is wrong with its payload.
        error: Malformed,
    },
}

impl Machine {
    /// The machine before the first entry.
    #[must_use]
    pub fn new() -> Machine {
        Machine::default()
    }

    /// Applies the next entry. The answer to a command is appended to `out`.
    ///
    /// # Panics
    ///
    /// If the entry isn't the next one.
    pub fn apply(
        &mut self,
        entry: EntryRef<'_>,
        out: &mut BytesMut,
    ) -> Result<Applied, ApplyError> {
        let _ = (entry, out);
        Ok(Applied::Nothing)
    }

    /// Appends the answer to a [`Query`](super::Query) to `out`; nothing is appended to it if
    /// the query is malformed.
    pub fn query(&self, query: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        let _ = (query, out);
        Ok(())
    }

    /// An immutable image of the state, made without copying it. It may be read and dropped on
    /// another thread.
    #[must_use]
    pub fn view(&self) -> View {
        View {}
    }

    /// The hash of the state; docs/state-machine.md defines it.
    #[must_use]
    pub fn state_hash(&self) -> u128 {
        0
    }

    /// The last entry that was applied.
    #[must_use]
    pub fn applied(&self) -> LogId {
        LogId::ORIGIN
    }

    /// The time of the log at the last entry that was applied.
    #[must_use]
    pub fn log_time(&self) -> LogTime {
        LogTime(0)
    }

    /// The earliest log time at which something falls due, so that a point is worth proposing
    /// then.
    #[must_use]
    pub fn due(&self) -> Option<LogTime> {
        None
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::default()
    }

    /// The feature level in force.
    #[must_use]
    pub fn feature_level(&self) -> u32 {
        0
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        0
    }

    /// The bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        0
    }

    /// How many sessions are remembered.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        0
    }
}

/// An immutable image of the state at one index.
#[derive(Clone, Debug)]
pub struct View {}
