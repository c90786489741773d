//! One request until its end: attempts, and what becomes of it in all.

use std::thread;
use std::time::{Duration, Instant};

use super::finder::jittered;
use super::link::Unopened;
use super::{Attempt, AttemptResult, Doubt, Endpoint, Failure, Reason};
use crate::wire::{HelloRefusal, RefusalCode};

/// The course of one request.
pub(super) struct Run {
    deadline: Instant,
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
    pub(super) fn begin(timeout: Duration) -> Run {
        Run {
            deadline: Instant::now() + timeout,
            timeout,
            tried: Vec::new(),
            doubt: None,
            refused: None,
            unwelcome: None,
            met: false,
        }
    }

    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits for about `longest`, or says false where the deadline comes first.
    pub(super) fn pause(&self, longest: Duration) -> bool {
        let pause = jittered(longest);
        if pause >= self.left() {
            return false;
        }
        thread::sleep(pause);
        true
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
    pub(super) fn fail(self, reason: Reason) -> Failure {
        match self.doubt {
            Some(doubt) => Failure::unknown(doubt, self.tried),
            None => Failure::refused(reason, self.tried),
        }
    }

    /// The end at the deadline.
    pub(super) fn give_up(mut self) -> Failure {
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
