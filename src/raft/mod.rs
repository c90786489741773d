//! The protocol: a plain struct without clock, randomness, file, socket, thread or logger.
//!
//! [`Input`]s go in through one door, [`Output`]s come out of another; the same inputs always give
//! the same outputs. docs/consensus.md says how it is cut and what differs from the paper.

mod changing;
mod core;
mod disk;
mod election;
mod event;
mod following;
mod gates;
mod handing;
mod invariants;
mod io;
mod membership;
mod progress;
mod quorum;
mod random;
mod reads;
mod receiving;
mod replication;
mod sending;
mod snapshots;
mod stamp;
mod status;
mod step;
mod timers;
mod transfer;
mod view;

pub use self::changing::ChangeRefusal;
pub use self::core::Raft;
pub use self::event::Event;
pub use self::invariants::Marks;
pub use self::io::{Config, Input, Output, Refusal, Restored, RoleKind, Token, Write};
pub use self::status::{ChangeStage, Memory, PeerStatus, Status};
