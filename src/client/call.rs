//! One request until its end, without socket, clock or chance: which node is asked, for how long,
//! when again, and what came of it.

use std::io;
use std::time::Duration;

use super::ask::Ask;
use super::finder::{Finder, Step};
use super::run::{Lost, Run, Unopened};
use super::{AttemptResult, Channel, Doubt, Endpoint, Failure, Options, Reason};
use crate::kv::Answer;
use crate::model::{Malformed, Term, Time};
use crate::wire::{LeaderHint, RefusalCode, ReplyBody};

/// The longest that a connection may take where other nodes are left to try.
pub(super) const LONGEST_CONNECT: Duration = Duration::from_secs(1);

/// The least time that a node gets for an answer, where the request could be sent elsewhere.
const LEAST_ANSWER: Duration = Duration::from_secs(1);

/// One request until its end, without socket, clock or chance.
///
/// It says what is to be done next and is told what came of it, until it has ended. Every call
/// ends by its deadline if it is told in time that time has passed.
///
/// ```
/// use std::time::Duration;
/// use raft_node::client::{Ask, Call, Endpoint, Event, Finder, Next, Options};
/// use raft_node::model::Time;
/// use raft_node::wire::ReplyBody;
///
/// let options = Options::new(vec![Endpoint::parse("127.0.0.1:3111")?]);
/// let mut finder = Finder::new(options.endpoints.clone(), options.fixed, 7);
/// let now = Time::ZERO;
/// let (mut call, next) = Call::begin(Ask::ping(), &options, &mut finder, now);
/// assert!(matches!(next, Next::Connect { .. }));
/// let next = call.handle(&mut finder, now, Event::Connected);
/// assert!(matches!(next, Next::Send { .. }));
/// let now = now + Duration::from_millis(1);
/// let next = call.handle(&mut finder, now, Event::Replied(ReplyBody::Pong));
/// assert!(matches!(next, Next::End(Ok(ReplyBody::Pong))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Call {
    ask: Ask,
    patient: bool,
    fixed: bool,
    run: Run,
    stage: Stage,
}

/// What a call waits for.
#[derive(Debug)]
enum Stage {
    Connecting(Endpoint),
    Answering { endpoint: Endpoint, timeout: Duration },
    Pausing,
    Ended,
}

/// What is to be done next for a call.
#[derive(Debug)]
pub enum Next {
    /// Have a connection to this node that has been greeted: the one that stands, or a new one.
    /// The call waits for [`Event::Connected`] or [`Event::Unopened`].
    Connect {
        /// Which node.
        endpoint: Endpoint,
        /// When [`Event::TimePassed`] is due.
        until: Time,
    },
    /// Send the request, which [`Call::gather`] gives, on that connection. The call waits for
    /// [`Event::Replied`] or [`Event::Lost`].
    Send {
        /// When [`Event::TimePassed`] is due.
        until: Time,
    },
    /// Do nothing.
    Pause {
        /// When [`Event::TimePassed`] is due.
        until: Time,
    },
    /// The call has ended: with the node's answer, or without. An answer of a kind that doesn't
    /// belong to the request is a failure for which [`Failure::is_unreadable`] holds: its
    /// connection is of no use any more.
    End(Result<ReplyBody, Failure>),
}

/// What has happened to a call.
#[derive(Debug)]
pub enum Event {
    /// There is a connection, and the node has accepted the hello.
    Connected,
    /// There can't be a connection: nothing of the request was sent.
    Unopened(Unopened),
    /// The node has replied.
    Replied(ReplyBody),
    /// The connection no longer stands. The request, or part of it, may have arrived.
    Lost(Lost),
    /// The time that came with what was to be done is over.
    TimePassed,
}

impl Call {
    /// Begins a request at the time `now`, and says what is to be done first.
    pub fn begin(ask: Ask, options: &Options, finder: &mut Finder, now: Time) -> (Call, Next) {
        let mut call = Call {
            ask,
            patient: options.patient,
            fixed: options.fixed,
            run: Run::begin(now, options.timeout),
            stage: Stage::Ended,
        };
        let next = call.go_on(finder, now);
        (call, next)
    }

    /// What is to be done after `event`.
    ///
    /// # Panics
    ///
    /// If this can't have happened where the call is, as a reply before anything was sent.
    pub fn handle(&mut self, finder: &mut Finder, now: Time, event: Event) -> Next {
        match (std::mem::replace(&mut self.stage, Stage::Ended), event) {
            (Stage::Connecting(endpoint), Event::Connected) => self.send(endpoint, now),
            (Stage::Connecting(endpoint), Event::Unopened(unopened)) => {
                self.run.unopened(&endpoint, unopened);
                self.go_on(finder, now)
            }
            (Stage::Connecting(endpoint), Event::TimePassed) => {
                let timed_out = io::Error::from(io::ErrorKind::TimedOut);
                self.run.unopened(&endpoint, Unopened::Unreachable(timed_out));
                self.go_on(finder, now)
            }
            (Stage::Answering { endpoint, .. }, Event::Replied(body)) => {
                self.judge(finder, now, &endpoint, body)
            }
            (Stage::Answering { endpoint, .. }, Event::Lost(lost)) => {
                let doubt = lost.doubt(&endpoint);
                self.in_doubt(finder, now, &endpoint, lost.result(), doubt)
            }
            (Stage::Answering { endpoint, .. }, Event::TimePassed) => {
                let doubt = Doubt::TimedOut(self.run.timeout());
                self.in_doubt(finder, now, &endpoint, AttemptResult::Silent, doubt)
            }
            (Stage::Pausing, Event::TimePassed) => self.go_on(finder, now),
            (stage, event) => panic!("{event:?} can't happen to a call that is {stage:?}"),
        }
    }

    /// Gathers the request for sending, where that is to be done. Its reply comes with the number
    /// `id`; no two requests on a connection may have the same.
    ///
    /// # Panics
    ///
    /// If nothing is to be sent.
    pub fn gather(&self, channel: &mut Channel, id: u64) {
        let Stage::Answering { timeout, .. } = self.stage else {
            panic!("nothing is to be sent by a call that is {:?}", self.stage);
        };
        self.ask.gather(channel, id, timeout);
    }

    /// Asks the next node, or pauses.
    fn go_on(&mut self, finder: &mut Finder, now: Time) -> Next {
        if self.run.is_over(now) {
            return self.give_up();
        }
        match finder.step() {
            Step::Ask(endpoint) => {
                self.stage = Stage::Connecting(endpoint.clone());
                let longest = self.run.left(now).min(LONGEST_CONNECT);
                Next::Connect { endpoint, until: now + longest }
            }
            Step::Pause(pause) => self.pause(pause, now),
        }
    }

    fn pause(&mut self, pause: Duration, now: Time) -> Next {
        if !self.patient || pause >= self.run.left(now) {
            return self.give_up();
        }
        self.stage = Stage::Pausing;
        Next::Pause { until: now + pause }
    }

    fn send(&mut self, endpoint: Endpoint, now: Time) -> Next {
        self.run.met();
        if self.run.is_over(now) {
            return self.give_up();
        }
        let left = self.run.left(now);
        // What can be sent elsewhere doesn't wait for one node until the end.
        let timeout = match self.ask.is_repeatable() {
            true => left.min(patience(self.run.timeout())),
            false => left,
        };
        self.stage = Stage::Answering { endpoint, timeout };
        Next::Send { until: now + timeout }
    }

    /// What a reply means for the request.
    fn judge(
        &mut self,
        finder: &mut Finder,
        now: Time,
        endpoint: &Endpoint,
        body: ReplyBody,
    ) -> Next {
        match body {
            ReplyBody::Refused { code, leader, text } => {
                self.refused(finder, now, endpoint, code, leader.as_ref(), text)
            }
            ReplyBody::Unknown { text } => {
                let result = AttemptResult::Unknown(text.clone());
                self.in_doubt(finder, now, endpoint, result, Doubt::Node(text))
            }
            answer if self.ask.is_answered_by(&answer) => {
                finder.found(endpoint);
                Next::End(self.settle(answer))
            }
            _ => Next::End(Err(self.unexpected())),
        }
    }

    /// A refusal of the node: this attempt had no effect.
    fn refused(
        &mut self,
        finder: &mut Finder,
        now: Time,
        endpoint: &Endpoint,
        code: RefusalCode,
        leader: Option<&LeaderHint>,
        text: String,
    ) -> Next {
        self.run.refused(endpoint, code, &text);
        let stays = self.fixed && code == RefusalCode::NotLeader && !self.ask.is_for_any();
        if is_final(code) || stays {
            return Next::End(Err(self.run.fail(Reason::Node { code, text })));
        }
        if waits(code) {
            let pause = finder.busy(endpoint);
            return self.pause(pause, now);
        }
        finder.redirected(leader.and_then(named));
        self.go_on(finder, now)
    }

    /// Nobody knows what came of an attempt.
    fn in_doubt(
        &mut self,
        finder: &mut Finder,
        now: Time,
        endpoint: &Endpoint,
        result: AttemptResult,
        doubt: Doubt,
    ) -> Next {
        self.run.note(endpoint, result);
        if self.ask.has_effect() {
            self.run.doubts(doubt);
        }
        match self.ask.is_repeatable() {
            true => self.go_on(finder, now),
            false => self.give_up(),
        }
    }

    /// The store's answer may be a refusal. What else can be wrong with it is for its reader.
    fn settle(&mut self, answer: ReplyBody) -> Result<ReplyBody, Failure> {
        if let ReplyBody::Done { answer, .. } = &answer
            && let Ok(Answer::Refused(refusal)) = Answer::decode(answer)
        {
            return Err(self.run.refused_by_store(refusal));
        }
        Ok(answer)
    }

    /// A node doesn't answer so: what it did can't be known.
    fn unexpected(&mut self) -> Failure {
        let error = Malformed::Invalid { field: "answer", offset: 0, found: 0 };
        if self.ask.has_effect() {
            self.run.doubts(Doubt::Answer(error));
        }
        self.run.fail(Reason::Answer(error))
    }

    fn give_up(&mut self) -> Next {
        Next::End(Err(self.run.give_up()))
    }
}

/// How long one node may be silent before another one is asked.
pub(super) fn patience(timeout: Duration) -> Duration {
    (timeout / 3).max(LEAST_ANSWER)
}

/// Whether a refused request isn't to be sent again.
pub(super) fn is_final(code: RefusalCode) -> bool {
    let is_for_a_person = matches!(
        code,
        RefusalCode::TransferFailed | RefusalCode::ChangeUnderWay | RefusalCode::NoLiveQuorum
    );
    !code.retry_safe() || is_for_a_person
}

/// Whether the node that refuses is the right one and only needs time.
pub(super) fn waits(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Busy
            | RefusalCode::DiskFull
            | RefusalCode::NotYet
            | RefusalCode::NoTarget
            | RefusalCode::Transferring
    )
}

/// The endpoint that a node names as its leader's.
pub(super) fn named(hint: &LeaderHint) -> Option<(Term, Endpoint)> {
    let mut endpoint = Endpoint::parse(&hint.address).ok()?;
    endpoint.node = Some(hint.id);
    Some((hint.term, endpoint))
}
