//! The protocol: a plain struct without clock, randomness, file, socket, thread or logger.
//!
//! [`Input`]s go in through one door, [`Output`]s come out of another; the same inputs always give
//! the same outputs.

mod core;
mod io;

pub use self::core::Raft;
pub use self::io::{
    Config, Event, Input, Output, PeerStatus, Refusal, Restored, RoleKind, Status, Token, Write,
};
