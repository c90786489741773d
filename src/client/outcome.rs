//! How a request can end: done, refused, or nobody knows.

use std::fmt;
use std::io;
use std::time::Duration;

use super::Endpoint;
use crate::kv::{MAX_COMMAND_BYTES, MAX_SESSION_NAME_BYTES, Refusal};
use crate::model::{Index, LogId, LogTime, Malformed};
use crate::wire::{HelloRefusal, RefusalCode};

/// A change that was carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done<T> {
    /// The entry that carried it out.
    pub id: LogId,
    /// What it came to.
    pub answer: T,
}

/// A question that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen<T> {
    /// Everything up to this entry was seen, and nothing behind it.
    pub read_index: Index,
    /// The log's own time then.
    pub log_time: LogTime,
    /// What was seen.
    pub answer: T,
}

/// A request that wasn't done, or isn't known to be.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It certainly had no effect and never will: every one of its attempts was refused.
    #[error("{0}")]
    Refused(Box<Refused>),
    /// It was sent, and no answer came: it may have been done, or be done yet.
    #[error("{0}")]
    Unknown(Box<Unknown>),
}

impl Failure {
    pub(super) fn refused(reason: Reason, tried: Vec<Attempt>) -> Failure {
        Failure::Refused(Box::new(Refused { reason, tried }))
    }

    pub(super) fn unknown(doubt: Doubt, tried: Vec<Attempt>) -> Failure {
        Failure::Unknown(Box::new(Unknown { doubt, tried }))
    }

    /// Whether a node has answered something that isn't an answer to the request. Nothing on that
    /// connection is of any use.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        match self {
            Failure::Refused(refused) => matches!(refused.reason, Reason::Answer(_)),
            Failure::Unknown(unknown) => matches!(unknown.doubt, Doubt::Answer(_)),
        }
    }

    /// What was tried, one after the other.
    #[must_use]
    pub fn tried(&self) -> &[Attempt] {
        match self {
            Failure::Refused(refused) => &refused.tried,
            Failure::Unknown(unknown) => &unknown.tried,
        }
    }
}

/// A request that certainly had no effect.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// What was tried, one after the other.
    pub tried: Vec<Attempt>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// Why a request was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Reason {
    /// No node could be reached before the deadline.
    #[error("no node could be reached; nothing was changed")]
    CannotConnect,
    /// Nodes could be reached, and none of them led before the deadline.
    #[error("no node leads; nothing was changed")]
    NoLeader,
    /// A question, or a request that was never sent whole, found no answer before the deadline.
    #[error("no answer within {}; nothing was changed", show_duration(.0))]
    TimedOut(Duration),
    /// A node refused it.
    #[error("{text}")]
    Node {
        /// Why.
        code: RefusalCode,
        /// In the node's words.
        text: String,
    },
    /// The node refused the connection.
    #[error("{text}")]
    Door {
        /// Why.
        code: HelloRefusal,
        /// In the node's words.
        text: String,
    },
    /// The store refused it when its turn came.
    #[error("{0}")]
    Store(Refusal),
    /// It is longer than any node takes.
    #[error("the request has {bytes} bytes, {MAX_COMMAND_BYTES} are allowed; nothing was sent")]
    TooLarge {
        /// How long it is.
        bytes: usize,
    },
    /// A session can't have such a name.
    #[error("a session's name has 1 to {MAX_SESSION_NAME_BYTES} bytes; nothing was sent")]
    SessionName,
    /// What the node answered isn't an answer to this request.
    #[error("the answer can't be read: {0}")]
    Answer(Malformed),
}

/// A request of which nobody knows whether it was done.
#[derive(Debug)]
pub struct Unknown {
    /// Why that isn't known.
    pub doubt: Doubt,
    /// What was tried, one after the other.
    pub tried: Vec<Attempt>,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.doubt {
            // They say it in their own words.
            Doubt::Node(_) | Doubt::Forgotten(_) => self.doubt.fmt(f),
            _ => write!(f, "{}; it may have been done, or be done yet", self.doubt),
        }
    }
}

/// Why it isn't known whether a request was done.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Doubt {
    /// The connection ended before the answer.
    #[error("the connection to {0} ended before the answer")]
    Cut(Endpoint),
    /// The node closed the connection before the answer, for this reason.
    #[error("{0} closed the connection: {1}")]
    Closed(Endpoint, String),
    /// The deadline passed before the answer.
    #[error("no answer within {}", show_duration(.0))]
    TimedOut(Duration),
    /// The node doesn't know either, as when it lost its leadership meanwhile.
    #[error("{0}")]
    Node(String),
    /// What was answered can't be read.
    #[error("the answer can't be read: {0}")]
    Answer(Malformed),
    /// The store no longer remembers what became of it.
    #[error("{0}")]
    Forgotten(Refusal),
}

fn show_duration(duration: &Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        ..1000 => format!("{milliseconds} ms"),
        _ if milliseconds.is_multiple_of(1000) => format!("{} s", milliseconds / 1000),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// One attempt to have a request done, and how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Which node was asked.
    pub endpoint: Endpoint,
    /// What came of it.
    pub result: AttemptResult,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AttemptResult {
    /// The node can't be reached.
    #[error("{}", show_unreachable(*.kind, .text))]
    Unreachable {
        /// What the system calls it.
        kind: io::ErrorKind,
        /// The system's words.
        text: String,
    },
    /// What stands on this port isn't a node of this cluster, or doesn't want this client.
    #[error("{0}")]
    Unwelcome(String),
    /// The node refused.
    #[error("{code}: {text}")]
    Refused {
        /// Why.
        code: &'static str,
        /// In the node's words.
        text: String,
    },
    /// The connection ended before the answer.
    #[error("the connection ended before the answer")]
    Cut,
    /// No answer in time.
    #[error("no answer in time")]
    Silent,
    /// The node doesn't know whether it was done.
    #[error("{0}")]
    Unknown(String),
}

fn show_unreachable(kind: io::ErrorKind, text: &str) -> String {
    match kind {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "timed out".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => text.to_owned(),
    }
}
