//! Images of the state.

use bytes::BytesMut;

use super::answer::{Item, SessionState};
use super::settings::Settings;
use super::state::State;
use crate::model::{LogId, LogTime, Malformed};

/// An immutable image of the state at one index.
///
/// It shares with the machine all that hasn't changed since. What the machine changes while a
/// view lives is copied, so a view should be dropped when it isn't needed any more.
#[derive(Clone, Debug)]
pub struct View {
    state: State,
}

impl View {
    pub(super) const fn new(state: State) -> View {
        View { state }
    }

    /// Appends the answer to a [`Query`](super::Query) to `out`.
    ///
    /// # Errors
    ///
    /// Nothing is appended if the query is malformed.
    pub fn query(&self, query: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        self.state.query(query, out)
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Item<'_>> {
        self.state.store.get(key)
    }

    /// All keys at or behind `from` with their values, in order.
    pub fn range(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], Item<'_>)> {
        self.state.store.from(from)
    }

    /// What is remembered of the session of this name.
    #[must_use]
    pub fn session(&self, name: &[u8]) -> Option<SessionState> {
        self.state.sessions.state(name)
    }

    /// The last entry that was applied.
    #[must_use]
    pub const fn applied(&self) -> LogId {
        self.state.applied
    }

    /// The time of the log at that entry.
    #[must_use]
    pub const fn log_time(&self) -> LogTime {
        self.state.log_time
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.state.settings
    }

    /// The feature level in force.
    #[must_use]
    pub const fn feature_level(&self) -> u32 {
        self.state.feature_level
    }

    /// The hash of the state; docs/state-machine.md defines it.
    #[must_use]
    pub fn state_hash(&self) -> u128 {
        self.state.hash()
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.state.store.len()
    }

    /// The bytes of all keys and values.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.state.store.bytes()
    }
}
