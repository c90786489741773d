//! The replicated machine: an ordered map of bytes to bytes, changed only by committed commands.
//!
//! Commands, queries and answers are bytes of one encoding each, written here and nowhere else.
//! docs/state-machine.md describes them, the sessions and the state hash.

mod answer;
mod change;
mod command;
mod image;
mod keeper;
mod key;
mod loader;
mod machine;
mod part;
mod point;
mod query;
mod refusal;
mod session;
mod settings;
mod state;
mod store;

pub use answer::{Answer, Found, Item, PageItem, SessionState, TOLD_VALUE_BYTES};
pub use command::{
    Command, Expected, MAX_COMMAND_BYTES, MAX_KEY_BYTES, MAX_SESSION_NAME_BYTES, Operation,
    Rejected, SessionId, SessionPart, check_command,
};
pub use image::Image;
pub use keeper::{KEPT_POINTS, PointKeeper, Verdict};
pub use loader::{LoadError, Loader};
pub use machine::{Applied, ApplyError, Machine};
pub use point::{FEATURE_LEVEL, FeatureLevel, Point, PointReport};
pub use query::{MAX_ANSWER_BYTES, MAX_KEYS, Query, Scan};
pub use refusal::Refusal;
pub use settings::{Settings, check_settings};
pub use state::State;

/// How many numbers of a session, from the lowest that is waited for, can be in use at a time.
pub const SESSION_WINDOW: u64 = 1024;

/// What a remembered answer counts for beside its own bytes.
pub const ANSWER_OVERHEAD: u64 = 64;

#[cfg(test)]
mod tests;
