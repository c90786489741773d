//! Histories of clients, and whether a correct store could have given them.
//!
//! The world writes down what each client asked and was told, and when. At the end the whole is
//! checked, by checks that know nothing of how the store works:
//!
//! - *Form*: each answer is one to what was asked.
//! - *Numbers*: what was sent several times under one number was done once, with one answer.
//! - *Indexes*: the order that the indexes tell explains all answers, for all keys at once, stale
//!   reads and scans included, and agrees with real time. A history passes exactly if every change
//!   of which no answer tells the entry can be given a free entry, or none where nobody knows
//!   whether it was done, so that a store that carries them out one by one answers what was
//!   answered.
//! - *Contents*: what was acknowledged is there in the end.
//! - *Sums*: a counter is the sum of what was added to it.
//! - *Real time*: the answers about each key can be put in an order in which each is right and
//!   none comes before its call or behind its return. Indexes only say which order is tried first.
//!
//! A write of which nobody knows whether it was done may be done at any time from its call on, or
//! never.

mod changes;
mod course;
mod describe;
mod explain;
mod finding;
mod history;
mod indexes;
mod model;
mod plain;
mod real_time;
mod search;
mod stands;
mod sums;
#[cfg(test)]
mod tests;
mod values;

pub use finding::{Check, Finding, Undecided, Verdict};
pub use history::{Call, Freshness, History, Number, Request};
