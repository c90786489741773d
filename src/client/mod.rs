//! The client library: blocking, with pipelining, three outcomes for every request.
//!
//! - [`Client`] sends one request at a time, finds the leader and follows it.
//! - [`Pipeline`] keeps many changes under way, each of them carried out exactly once.
//! - [`Channel`] is one connection without its socket, for loops over many of them.
//! - [`Call`] is one request without socket, clock or chance: the rules by which [`Client`] finds
//!   the leader, waits, and sends again what may be. [`Numbering`] is that of sessions.
//! - [`survey`] asks every node how it stands.
//!
//! A request ends in one of three ways: done, [`Failure::Refused`] (certainly without effect), or
//! [`Failure::Unknown`]. Nothing is called failed that may yet be done.

mod ask;
mod blocking;
mod call;
mod channel;
mod clock;
mod dial;
mod endpoint;
mod finder;
mod link;
mod options;
mod outcome;
mod pipeline;
mod run;
mod session;
mod survey;
mod values;

pub use ask::Ask;
pub use blocking::Client;
pub use call::{Call, Event, Next};
pub use channel::{Channel, ChannelEvent, Greeting};
pub use dial::resolve;
pub use endpoint::{Endpoint, EndpointError};
pub use finder::Finder;
pub use options::Options;
pub use outcome::{Attempt, AttemptResult, Done, Doubt, Failure, Reason, Refused, Seen, Unknown};
pub use pipeline::{Pipeline, Received, Ticket};
pub use run::{Lost, Unopened};
pub use session::{Numbering, Session};
pub use survey::survey;
pub use values::{Changed, Page, Record, Sum, Swap, Value};

#[cfg(test)]
mod tests;
