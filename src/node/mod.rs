//! The shell: where the protocol, the wire, the disk and the machine meet.
//!
//! [`run`] starts a node and runs it until it stops.

mod calls;
mod connection;
mod content;
mod deadlines;
mod door;
pub mod driver;
mod event_loop;
mod exit;
mod forming;
mod journal;
mod links;
mod opening;
mod outbound;
mod outside;
mod repair;
mod restoring;
mod server;
mod sockets;
mod start;
mod threads;

use std::time::Duration;

pub use connection::{Callee, ConnectionId};
pub use exit::Exit;
pub use forming::Begin;
pub use opening::{Formed, Store, Unfounded, open_on};
pub use outside::{FileThreadWorker, LogWorker, Outside, Readiness, Report, Workers};
pub use server::{Server, Unsent};
pub use start::{Banner, Start, run};

/// A second signal so soon after the first is the same request: whoever signals a process and
/// its group, as `timeout` does, reaches it twice.
pub const ONE_REQUEST: Duration = Duration::from_millis(200);
