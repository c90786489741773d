//! The shell: where the protocol, the wire, the disk and the machine meet.
//!
//! [`run`] starts a node and runs it until it stops.

mod deadlines;
mod door;
pub mod driver;
mod exit;
mod forming;
mod outbound;
mod start;

pub use exit::Exit;
pub use start::{Banner, Start, run};
