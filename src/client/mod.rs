//! The client library: blocking, with pipelining, three outcomes for every request.
//!
//! - [`Client`] sends one request at a time, finds the leader and follows it.
//! - [`Pipeline`] keeps many changes under way, each of them carried out exactly once.
//! - [`Channel`] is one connection without its socket, for loops over many of them.
//! - [`survey`] asks every node how it stands.
//!
//! A request ends in one of three ways: done, [`Failure::Refused`] (certainly without effect), or
//! [`Failure::Unknown`]. Nothing is called failed that may yet be done.

mod blocking;
mod channel;
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

pub use blocking::Client;
pub use channel::{Channel, ChannelEvent, Greeting};
pub use dial::resolve;
pub use endpoint::{Endpoint, EndpointError};
pub use options::Options;
pub use outcome::{Attempt, AttemptResult, Done, Doubt, Failure, Reason, Refused, Seen, Unknown};
pub use pipeline::{Pipeline, Received, Ticket};
pub use survey::survey;
pub use values::{Changed, Page, Record, Sum, Swap, Value};

#[cfg(test)]
mod tests;
