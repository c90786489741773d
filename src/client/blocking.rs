//! The blocking client: one request at a time, each with a deadline.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ask::Ask;
use super::call::{Call, Event, Next};
use super::channel::Greeting;
use super::clock::Clock;
use super::finder::Finder;
use super::link::{Link, Nothing};
use super::session::{Numbering, Session, ask_state};
use super::{Done, Doubt, Endpoint, Failure, Options, Page, Reason, Seen, Sum, Swap, Value};
use crate::kv::{Answer, Expected, Operation, Query, Scan, SessionState};
use crate::model::{Configuration, Index, Malformed, NodeId, SnapshotId, StartNumber, Term, Time};
use crate::wire::{KeptSnapshot, LogPart, LogQuestion, ReplyBody, StatusReply};

/// A client of a cluster: blocking, one request at a time.
///
/// It finds the leader and follows it. Every call ends within [`Options::timeout`], in one of
/// three ways: done, refused (certainly without effect), or unknown. What can be repeated
/// without harm is repeated until then; what can't is sent once.
///
/// ```
/// # mod lone_node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lone_node/mod.rs")); }
/// use raft_node::client::{Client, Endpoint, Failure, Options};
///
/// let endpoint = Endpoint::parse("127.0.0.1:3111")?;
/// # let endpoint = Endpoint::parse(&lone_node::start().0.to_string())?;
/// let mut client = Client::new(Options::new(vec![endpoint]));
/// match client.put(b"user:1", b"ann") {
///     Ok(done) => println!("version {}, entry {}", done.answer, done.id),
///     Err(Failure::Refused(refused)) => println!("nothing was changed: {refused}"),
///     Err(Failure::Unknown(unknown)) => println!("{unknown}"),
/// }
/// let seen = client.get(&[b"user:1"])?;
/// assert_eq!(seen.answer[0].as_ref().map(|value| value.value.as_slice()), Some(&b"ann"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    options: Options,
    greeting: Greeting,
    pub(super) finder: Finder,
    link: Option<Link>,
    numbering: Numbering,
    next_id: u64,
    clock: Clock,
}

impl Client {
    /// A client that connects when it is first asked for something.
    ///
    /// # Panics
    ///
    /// Without an endpoint.
    #[must_use]
    pub fn new(options: Options) -> Client {
        let finder = Finder::new(options.endpoints.clone(), options.fixed, rand::random());
        let greeting = Greeting::new(options.cluster.as_deref(), StartNumber(rand::random()));
        Client {
            options,
            greeting,
            finder,
            link: None,
            numbering: Numbering::default(),
            next_id: 1,
            clock: Clock::start(),
        }
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Gives a key a value; the answer is the key's version.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<Done<u64>, Failure> {
        self.change(Operation::Put { key, value }, |answer| match answer {
            Answer::Put { version } => Some(*version),
            _ => None,
        })
    }

    /// Removes a key; the answer is whether it was there.
    pub fn delete(&mut self, key: &[u8]) -> Result<Done<bool>, Failure> {
        self.change(Operation::Delete { key }, |answer| match answer {
            Answer::Deleted { existed } => Some(*existed),
            _ => None,
        })
    }

    /// Gives a key a value if it is as expected.
    pub fn compare_and_swap(
        &mut self,
        key: &[u8],
        expected: Expected<'_>,
        value: &[u8],
    ) -> Result<Done<Swap>, Failure> {
        let operation = Operation::CompareAndSwap { key, expected, value };
        self.change(operation, |answer| match answer {
            Answer::Swapped { version } => Some(Swap::Swapped { version: *version }),
            Answer::NotSwapped(found) => Some(Swap::from(*found)),
            _ => None,
        })
    }

    /// Adds to the decimal number that is a key's value; an absent key counts as 0.
    pub fn increment(&mut self, key: &[u8], by: i64) -> Result<Done<Sum>, Failure> {
        self.change(Operation::Increment { key, by }, |answer| match answer {
            Answer::Incremented { value, version } => {
                Some(Sum { value: *value, version: *version })
            }
            _ => None,
        })
    }

    /// The values of the first of these keys, as many as one answer holds and at least one.
    pub fn get(&mut self, keys: &[&[u8]]) -> Result<Seen<Vec<Option<Value>>>, Failure> {
        let query = Query::Get { keys: keys.to_vec() };
        self.query(&query, |answer| match answer {
            Answer::Values(values) if (1..=keys.len()).contains(&values.len()) => {
                Some(values.into_iter().map(|item| item.map(Value::from)).collect())
            }
            _ => None,
        })
    }

    /// A page of keys.
    pub fn scan(&mut self, scan: &Scan<'_>) -> Result<Seen<Page>, Failure> {
        self.query(&Query::Scan(*scan), |answer| match answer {
            Answer::Page { items, cursor } => Some(Page {
                records: items.into_iter().map(Into::into).collect(),
                cursor: cursor.map(<[u8]>::to_vec),
            }),
            _ => None,
        })
    }

    /// What the cluster remembers of a session.
    pub fn session_state(&mut self, name: &[u8]) -> Result<Seen<Option<SessionState>>, Failure> {
        let ask = ask_state(name, self.options.consistency)?;
        self.question(ask, session_state)
    }

    /// Opens a session: from now on, every change takes effect exactly once and is repeated
    /// until it is done or refused. A session of the same name is replaced.
    pub fn open_session(&mut self, name: &[u8]) -> Result<(), Failure> {
        let session = self.fresh_session(name)?;
        self.numbering.begin(session);
        Ok(())
    }

    /// Closes the session, so that the cluster forgets it.
    pub fn close_session(&mut self) -> Result<(), Failure> {
        let Some(session) = self.numbering.end() else { return Ok(()) };
        self.carry_out(session.close()?, |answer| match answer {
            Answer::SessionClosed => Some(()),
            _ => None,
        })?;
        Ok(())
    }

    /// Goes on with a session that is open.
    pub(super) fn adopt(&mut self, session: Session) {
        self.numbering.begin(session);
    }

    /// What a pipeline goes on with: the session, the connection and who was found.
    pub(super) fn into_session(mut self, name: &[u8]) -> Result<Opened, Failure> {
        let session = self.fresh_session(name)?;
        let Client { options, greeting, finder, link, clock, .. } = self;
        Ok(Opened { options, greeting, finder, link, session, clock })
    }

    fn fresh_session(&mut self, name: &[u8]) -> Result<Session, Failure> {
        let opened_at = self.question(Session::ask(name)?, session_state)?.log_time;
        let session = Session::new(name, opened_at);
        self.carry_out(session.open()?, |answer| match answer {
            Answer::SessionOpened => Some(()),
            _ => None,
        })?;
        Ok(session)
    }

    /// Makes the next change the one with this number in the session of this name. The same name
    /// and number can be given again, also by another process, until the outcome is known: the
    /// change is carried out once. Number 1 opens the session.
    ///
    /// It asks the cluster what it remembers of the session. [`Failure::Unknown`] means that the
    /// session was forgotten, so that nobody can tell what became of the number.
    pub fn number_next(&mut self, name: &[u8], number: u64) -> Result<(), Failure> {
        let seen = self.question(Session::ask(name)?, session_state)?;
        self.numbering.number_next(name, number, &seen)
    }

    /// What the node that answers says of itself and, if it leads, of the others.
    pub fn status(&mut self) -> Result<Box<StatusReply>, Failure> {
        match self.run(Ask::status())? {
            ReplyBody::Status(status) => Ok(status),
            other => unreachable!("a call ends with the kind that was asked for, not {other:?}"),
        }
    }

    /// One request and its answer; how long they took.
    pub fn ping(&mut self) -> Result<Duration, Failure> {
        // Not the connecting, and not the search for a node.
        if self.link.is_none() {
            self.run(Ask::ping())?;
        }
        let start = Instant::now();
        self.run(Ask::ping())?;
        Ok(start.elapsed())
    }

    /// Asks the leader to hand leadership to `to`, or to the most advanced of the others; the
    /// answer is who leads now, in which term.
    pub fn transfer_leadership(&mut self, to: Option<NodeId>) -> Result<(NodeId, Term), Failure> {
        match self.run(Ask::transfer(to))? {
            ReplyBody::Transferred { leader, term } => Ok((leader, term)),
            other => unreachable!("a call ends with the kind that was asked for, not {other:?}"),
        }
    }

    /// Asks the leader to make these the members, each a voter or a learner, where the
    /// configuration at `expected` was seen to be in force. The answer is where the configuration
    /// stands, committed, that says so. The cluster finishes the change on its own; how far it is
    /// stands in the configuration of the status.
    pub fn change_members(
        &mut self,
        expected: Index,
        members: Configuration,
    ) -> Result<Index, Failure> {
        match self.run(Ask::change_members(expected, members))? {
            ReplyBody::Members { index } => Ok(index),
            other => unreachable!("a call ends with the kind that was asked for, not {other:?}"),
        }
    }

    /// Asks the leader to have every node take a snapshot at one and the same entry; the answer
    /// is the leader's, once it is durable there.
    pub fn take_snapshot(&mut self) -> Result<KeptSnapshot, Failure> {
        match self.run(Ask::take_snapshot())? {
            ReplyBody::Snapshots(taken) => taken
                .first()
                .copied()
                .ok_or_else(|| Failure::refused(Reason::Answer(UNEXPECTED), Vec::new())),
            other => unreachable!("a call ends with the kind that was asked for, not {other:?}"),
        }
    }

    /// The snapshots that the node keeps, the newest first.
    pub fn snapshots(&mut self) -> Result<Vec<KeptSnapshot>, Failure> {
        match self.run(Ask::snapshots())? {
            ReplyBody::Snapshots(kept) => Ok(kept),
            other => unreachable!("a call ends with the kind that was asked for, not {other:?}"),
        }
    }

    /// Bytes of the file of a snapshot that the node keeps, from `offset` on, which lies before
    /// its end: at least one, at most [`MAX_PIECE_BYTES`](crate::model::MAX_PIECE_BYTES).
    pub fn snapshot_piece(&mut self, snapshot: SnapshotId, offset: u64) -> Result<Bytes, Failure> {
        match self.run(Ask::snapshot_piece(snapshot, offset))? {
            ReplyBody::Piece(bytes) if !bytes.is_empty() => Ok(bytes),
            ReplyBody::Piece(_) => Err(Failure::refused(Reason::Answer(UNEXPECTED), Vec::new())),
            other => unreachable!("a call ends with the kind that was asked for, not {other:?}"),
        }
    }

    /// Entries of the node's log, and how it stands.
    pub fn log(&mut self, question: LogQuestion) -> Result<LogPart, Failure> {
        match self.run(Ask::log(question))? {
            ReplyBody::Log(part) => Ok(part),
            other => unreachable!("a call ends with the kind that was asked for, not {other:?}"),
        }
    }

    fn change<T>(
        &mut self,
        operation: Operation<'_>,
        read: impl FnOnce(&Answer<'_>) -> Option<T>,
    ) -> Result<Done<T>, Failure> {
        let ask = self.numbering.change(operation)?;
        self.carry_out(ask, read)
    }

    fn carry_out<T>(
        &mut self,
        ask: Ask,
        read: impl FnOnce(&Answer<'_>) -> Option<T>,
    ) -> Result<Done<T>, Failure> {
        let ReplyBody::Done { at, answer } = self.run(ask)? else {
            unreachable!("a call ends with the kind that was asked for");
        };
        let unreadable = |error| Failure::unknown(Doubt::Answer(error), Vec::new());
        let result = Answer::decode(&answer)
            .and_then(|answer| read(&answer).ok_or(UNEXPECTED))
            .map_err(unreadable);
        self.checked(result.map(|answer| Done { id: at, answer }))
    }

    fn query<T>(
        &mut self,
        query: &Query<'_>,
        read: impl FnOnce(Answer<'_>) -> Option<T>,
    ) -> Result<Seen<T>, Failure> {
        self.question(Ask::query(query, self.options.consistency)?, read)
    }

    fn question<T>(
        &mut self,
        ask: Ask,
        read: impl FnOnce(Answer<'_>) -> Option<T>,
    ) -> Result<Seen<T>, Failure> {
        let ReplyBody::Answer { read_index, log_time, answer, .. } = self.run(ask)? else {
            unreachable!("a call ends with the kind that was asked for");
        };
        let unreadable = |error| Failure::refused(Reason::Answer(error), Vec::new());
        let result = Answer::decode(&answer)
            .and_then(|answer| read(answer).ok_or(UNEXPECTED))
            .map_err(unreadable);
        self.checked(result.map(|answer| Seen { read_index, log_time, answer }))
    }

    /// Does what a call says until it has ended.
    fn run(&mut self, ask: Ask) -> Result<ReplyBody, Failure> {
        let now = self.clock.now();
        let (mut call, mut next) = Call::begin(ask, &self.options, &mut self.finder, now);
        loop {
            let event = match next {
                Next::Connect { endpoint, until } => self.connect(&endpoint, until),
                Next::Send { until } => self.exchange(&call, until),
                Next::Pause { until } => {
                    thread::sleep(until.since(self.clock.now()));
                    Event::TimePassed
                }
                Next::End(result) => return self.checked(result),
            };
            next = call.handle(&mut self.finder, self.clock.now(), event);
        }
    }

    /// Keeps the connection that stands, or makes a new one.
    fn connect(&mut self, endpoint: &Endpoint, until: Time) -> Event {
        if let Some(link) = &self.link
            && link.endpoint.address == endpoint.address
            && !link.is_closed()
        {
            return Event::Connected;
        }
        self.link = None;
        match Link::open(endpoint, &self.greeting, self.clock.instant(until)) {
            Ok(link) => {
                self.link = Some(link);
                Event::Connected
            }
            Err(unopened) => Event::Unopened(unopened),
        }
    }

    /// Sends the request and waits for its reply. A failure to send counts as sent: part of it
    /// may have arrived, and the whole as well.
    fn exchange(&mut self, call: &Call, until: Time) -> Event {
        let mut link = self.link.take().expect("the call was told that it is connected");
        let id = self.next_id;
        self.next_id += 1;
        call.gather(&mut link.channel, id);
        let deadline = self.clock.instant(until);
        let mut received = || -> Result<ReplyBody, Nothing> {
            link.flush(deadline)?;
            loop {
                // A reply to an earlier request, which nobody waits for any more, may come first.
                let reply = link.reply(deadline)?;
                if reply.id == id {
                    return Ok(reply.body);
                }
            }
        };
        match received() {
            Ok(body) => {
                self.link = Some(link);
                Event::Replied(body)
            }
            Err(Nothing::Silent) => Event::TimePassed,
            Err(Nothing::Lost(lost)) => Event::Lost(lost),
        }
    }

    /// A connection that gives answers that don't belong to the requests is of no use.
    fn checked<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if result.as_ref().is_err_and(Failure::is_unreadable) {
            self.link = None;
        }
        result
    }
}

/// The answer of the store is one to something else.
const UNEXPECTED: Malformed = Malformed::Invalid { field: "answer", offset: 0, found: 0 };

fn session_state(answer: Answer<'_>) -> Option<Option<SessionState>> {
    match answer {
        Answer::Session(state) => Some(state),
        _ => None,
    }
}

/// A client that has opened a session, taken apart.
pub(super) struct Opened {
    pub(super) options: Options,
    pub(super) greeting: Greeting,
    pub(super) finder: Finder,
    pub(super) link: Option<Link>,
    pub(super) session: Session,
    pub(super) clock: Clock,
}
