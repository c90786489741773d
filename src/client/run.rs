//! One request until its end: attempts, and what becomes of it in all.

use std::io;
use std::time::Duration;

use super::{Attempt, AttemptResult, Doubt, Endpoint, Failure, Reason};
use crate::kv::Refusal;
use crate::model::Time;
use crate::wire::{HelloRefusal, RefusalCode, WireError};

/// Why a connection doesn't come to stand.
#[derive(Debug)]
pub enum Unopened {
    /// Nobody can be reached there.
    Unreachable(io::Error),
    /// The node refuses.
    Refused {
        /// Why.
        code: HelloRefusal,
        /// In the node's words.
        text: String,
    },
    /// Something else than a node answers.
    Foreign(WireError),
}

/// Why a connection no longer stands.
#[derive(Debug)]
pub enum Lost {
    /// It ended.
    Cut,
    /// The node closed it, for this reason.
    Goodbye(String),
    /// Something came that no node sends.
    Malformed(WireError),
}

impl Lost {
    pub(super) fn result(&self) -> AttemptResult {
        match self {
            Lost::Cut => AttemptResult::Cut,
            Lost::Goodbye(text) => AttemptResult::Unwelcome(text.clone()),
            Lost::Malformed(error) => AttemptResult::Unwelcome(error.to_string()),
        }
    }

    pub(super) fn doubt(&self, endpoint: &Endpoint) -> Doubt {
        match self {
            Lost::Cut | Lost::Malformed(_) => Doubt::Cut(endpoint.clone()),
            Lost::Goodbye(text) => Doubt::Closed(endpoint.clone(), text.clone()),
        }
    }
}

/// The course of one request.
#[derive(Debug)]
pub(super) struct Run {
    deadline: Time,
    timeout: Duration,
    /// The last attempt at each node.
    tried: Vec<Attempt>,
    /// Why the request may have been done, if it may.
    doubt: Option<Doubt>,
    /// The last thing that a node refused it for.
    refused: Option<(RefusalCode, String)>,
    /// The last reason for which a node refused the connection.
    unwelcome: Option<Reason>,
    /// Whether any node took the connection.
    met: bool,
}

impl Run {
    pub(super) fn begin(now: Time, timeout: Duration) -> Run {
        Run {
            deadline: now + timeout,
            timeout,
            tried: Vec::new(),
            doubt: None,
            refused: None,
            unwelcome: None,
            met: false,
        }
    }

    /// How long it may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn left(&self, now: Time) -> Duration {
        self.deadline.since(now)
    }

    pub(super) fn is_over(&self, now: Time) -> bool {
        self.left(now).is_zero()
    }

    /// A node took the connection.
    pub(super) fn met(&mut self) {
        self.met = true;
    }

    /// An attempt ended otherwise than with an answer.
    pub(super) fn note(&mut self, endpoint: &Endpoint, result: AttemptResult) {
        self.tried.retain(|attempt| attempt.endpoint.address != endpoint.address);
        self.tried.push(Attempt { endpoint: endpoint.clone(), result });
    }

    /// A node refused the request.
    pub(super) fn refused(&mut self, endpoint: &Endpoint, code: RefusalCode, text: &str) {
        self.refused = Some((code, text.to_owned()));
        let text = text.to_owned();
        self.note(endpoint, AttemptResult::Refused { code: code.name(), text });
    }

    /// A connection didn't come to stand.
    pub(super) fn unopened(&mut self, endpoint: &Endpoint, unopened: Unopened) {
        match unopened {
            Unopened::Unreachable(error) => {
                let (kind, text) = (error.kind(), error.to_string());
                self.note(endpoint, AttemptResult::Unreachable { kind, text });
            }
            Unopened::Refused { code, text } => self.unwelcome(endpoint, code, &text),
            Unopened::Foreign(error) => {
                self.unwelcome(endpoint, HelloRefusal::PROTOCOL, &error.to_string());
            }
        }
    }

    /// A node refused the connection, or something else than a node answered.
    fn unwelcome(&mut self, endpoint: &Endpoint, code: HelloRefusal, text: &str) {
        self.unwelcome = Some(Reason::Door { code, text: format!("{endpoint}: {text}") });
        self.note(endpoint, AttemptResult::Unwelcome(text.to_owned()));
    }

    /// An attempt may have done what was asked.
    pub(super) fn doubts(&mut self, doubt: Doubt) {
        self.doubt = Some(doubt);
    }

    /// The end without an answer, for this reason, unless an earlier attempt left a doubt.
    pub(super) fn fail(&mut self, reason: Reason) -> Failure {
        failure(reason, self.doubt.take(), std::mem::take(&mut self.tried))
    }

    /// The end by the store's own refusal.
    pub(super) fn refused_by_store(&mut self, refusal: Refusal) -> Failure {
        refused_by_store(refusal, self.doubt.take(), std::mem::take(&mut self.tried))
    }

    /// The end at the deadline.
    pub(super) fn give_up(&mut self) -> Failure {
        let reason = match (self.refused.take(), self.unwelcome.take()) {
            (Some((RefusalCode::NoLeader | RefusalCode::NotLeader, _)), _) => Reason::NoLeader,
            (Some((code, text)), _) => Reason::Node { code, text },
            (None, _) if self.met => Reason::TimedOut(self.timeout),
            (None, Some(unwelcome)) => unwelcome,
            (None, None) => Reason::CannotConnect,
        };
        self.fail(reason)
    }
}

/// A request that ends for this reason, where an earlier attempt may have left a doubt.
pub(super) fn failure(reason: Reason, doubt: Option<Doubt>, tried: Vec<Attempt>) -> Failure {
    match doubt {
        Some(doubt) => Failure::unknown(doubt, tried),
        None => Failure::refused(reason, tried),
    }
}

/// A request that ends by the store's own refusal, where an earlier attempt may have left a doubt.
pub(super) fn refused_by_store(
    refusal: Refusal,
    doubt: Option<Doubt>,
    tried: Vec<Attempt>,
) -> Failure {
    let doubt = match refusal {
        // It is the answer, decided by whichever attempt came first.
        Refusal::NotANumber | Refusal::Overflow => None,
        // What an earlier attempt did isn't known, be it one of another process.
        Refusal::SessionForgotten | Refusal::NumberForgotten { .. } => {
            Some(Doubt::Forgotten(refusal))
        }
        // Only this attempt certainly had no effect.
        Refusal::AboveWindow { .. }
        | Refusal::SessionInUse { .. }
        | Refusal::OpeningAhead { .. } => doubt,
    };
    failure(Reason::Store(refusal), doubt, tried)
}
