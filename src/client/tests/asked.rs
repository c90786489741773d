//! A request, and what a test lets happen to it.

use std::io;
use std::time::Duration;

use super::parts::{encoded, endpoint};
use crate::client::{
    Ask, Call, Doubt, Event, Failure, Finder, Lost, Next, Numbering, Options, Reason, Session,
    Unopened,
};
use crate::kv::{Answer, Operation, Query};
use crate::model::{Index, LogId, LogTime, NodeId, Term, Time};
use crate::wire::{Consistency, LeaderHint, RefusalCode, ReplyBody};

pub(super) const PUT: Operation<'static> = Operation::Put { key: b"k", value: b"v" };
pub(super) const TIMEOUT: Duration = Duration::from_secs(6);

/// Nodes at the ports 1 to 3, asked in this order, and a request to them.
pub(super) struct Asked {
    pub(super) options: Options,
    pub(super) finder: Finder,
    pub(super) now: Time,
    pub(super) deadline: Time,
    pub(super) call: Call,
    pub(super) next: Next,
}

pub(super) fn asked(ask: Ask) -> Asked {
    asked_with(ask, |_| {})
}

pub(super) fn asked_with(ask: Ask, change: impl FnOnce(&mut Options)) -> Asked {
    let mut options = Options { timeout: TIMEOUT, ..Options::new((1..=3).map(endpoint).collect()) };
    change(&mut options);
    let mut finder = Finder::new(options.endpoints.clone(), options.fixed, 0);
    let now = Time::from_nanos(1_000_000);
    let (call, next) = Call::begin(ask, &options, &mut finder, now);
    Asked { deadline: now + options.timeout, options, finder, now, call, next }
}

impl Asked {
    pub(super) fn happens(&mut self, event: Event) {
        self.next = self.call.handle(&mut self.finder, self.now, event);
    }

    /// The node that is to be connected to now.
    #[track_caller]
    pub(super) fn connects_to(&self) -> u16 {
        match &self.next {
            Next::Connect { endpoint, .. } => endpoint.address.port,
            other => panic!("no connection, but {other:?}"),
        }
    }

    /// Sends it to the node whose turn it is. Gives its port.
    #[track_caller]
    pub(super) fn sends_to(&mut self) -> u16 {
        let port = self.connects_to();
        self.happens(Event::Connected);
        assert!(matches!(self.next, Next::Send { .. }), "{:?}", self.next);
        port
    }

    pub(super) fn is_refused(&mut self, code: RefusalCode) {
        self.is_referred(code, None);
    }

    /// Refused by a node that names the leader of a term.
    pub(super) fn is_referred(&mut self, code: RefusalCode, leader: Option<(u64, u16)>) {
        let leader = leader.map(|(term, port)| LeaderHint {
            id: NodeId::new(2).unwrap(),
            term: Term(term),
            address: format!("127.0.0.1:{port}"),
        });
        let text = code.meaning().to_owned();
        self.happens(Event::Replied(ReplyBody::Refused { code, leader, text }));
    }

    pub(super) fn is_answered(&mut self, answer: &Answer<'_>) {
        let at = LogId::new(Term(3), Index(5));
        self.happens(Event::Replied(ReplyBody::Done { at, answer: encoded(answer) }));
    }

    pub(super) fn until(&self) -> Option<Time> {
        match self.next {
            Next::Connect { until, .. } | Next::Send { until } | Next::Pause { until } => {
                Some(until)
            }
            Next::End(_) => None,
        }
    }

    /// Lets the time pass until something is due. Gives how long that is.
    #[track_caller]
    pub(super) fn waits(&mut self) -> Duration {
        let until = self.until().expect("it goes on");
        let waited = until.since(self.now);
        self.now = until;
        self.happens(Event::TimePassed);
        waited
    }

    #[track_caller]
    pub(super) fn done(self) -> ReplyBody {
        match self.next {
            Next::End(Ok(body)) => body,
            other => panic!("not done: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn failure(self) -> Failure {
        match self.next {
            Next::End(Err(failure)) => failure,
            other => panic!("no failure: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn reason(self) -> Reason {
        match self.failure() {
            Failure::Refused(refused) => refused.reason,
            Failure::Unknown(unknown) => panic!("not known: {unknown}"),
        }
    }

    #[track_caller]
    pub(super) fn doubt(self) -> Doubt {
        match self.failure() {
            Failure::Unknown(unknown) => unknown.doubt,
            Failure::Refused(refused) => panic!("refused: {refused}"),
        }
    }
}

pub(super) fn write() -> Ask {
    Numbering::default().change(PUT).unwrap()
}

pub(super) fn numbered_write() -> Ask {
    let mut numbering = Numbering::default();
    numbering.begin(Session::new(b"s", LogTime(77)));
    numbering.change(PUT).unwrap()
}

pub(super) fn read() -> Ask {
    Ask::query(&Query::Get { keys: vec![b"k"] }, Consistency::Linearizable).unwrap()
}

pub(super) fn cut() -> Event {
    Event::Lost(Lost::Cut)
}

pub(super) fn nobody_listens() -> Event {
    Event::Unopened(Unopened::Unreachable(io::Error::from(io::ErrorKind::ConnectionRefused)))
}
