//! The protocol: a plain struct without clock, randomness, file, socket, thread or logger.
//!
//! [`Input`]s go in through one door, [`Output`]s come out of another; the same inputs always give
//! the same outputs. docs/consensus.md says how it is cut and what differs from the paper.

mod core;
mod disk;
mod election;
mod following;
mod gates;
mod invariants;
mod io;
mod membership;
mod progress;
mod quorum;
mod random;
mod reads;
mod replication;
mod sending;
mod stamp;
mod status;
mod step;
mod timers;
mod transfer;
mod view;

pub use self::core::Raft;
pub use self::invariants::Marks;
pub use self::io::{
    Config, Event, Input, Memory, Output, PeerStatus, Refusal, Restored, RoleKind, Status, Token,
    Write,
};
