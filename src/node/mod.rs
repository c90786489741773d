//! The shell: where the protocol, the wire, the disk and the machine meet.
//!
//! [`run`] starts a node and runs it until it stops.

mod calls;
mod connection;
mod deadlines;
mod door;
pub mod driver;
mod exit;
mod forming;
mod journal;
mod links;
mod opening;
mod outbound;
mod server;
mod sockets;
mod start;
mod threads;

pub use exit::Exit;
pub use start::{Banner, Start, run};
