//! The blocking client: one request at a time, each with a deadline.

use std::time::{Duration, Instant};

use super::channel::Greeting;
use super::finder::{Finder, Step};
use super::link::{Link, Lost};
use super::run::Run;
use super::session::{Numbered, Session, lowest_kept};
use super::{
    AttemptResult, Done, Doubt, Endpoint, Failure, Options, Page, Reason, Seen, Sum, Swap, Value,
};
use crate::kv::{
    Answer, Command, Expected, MAX_COMMAND_BYTES, MAX_SESSION_NAME_BYTES, Operation, Query,
    Refusal, Scan, SessionState,
};
use crate::model::{Malformed, NodeId, Term};
use crate::wire::{Consistency, LeaderHint, RefusalCode, ReplyBody, RequestBody, StatusReply};

/// A client of a cluster: blocking, one request at a time.
///
/// It finds the leader and follows it. Every call ends within [`Options::timeout`], in one of
/// three ways: done, refused (certainly without effect), or unknown. What can be repeated
/// without harm is repeated until then; what can't is sent once.
///
/// ```no_run
/// use raft_node::client::{Client, Endpoint, Failure, Options};
///
/// let mut client = Client::new(Options::new(vec![Endpoint::parse("127.0.0.1:3111")?]));
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
    session: Option<Session>,
    numbered: Option<Numbered>,
    next_id: u64,
}

/// The longest that a connection may take where other nodes are left to try.
pub(super) const LONGEST_CONNECT: Duration = Duration::from_secs(1);

/// The least time that a node gets for an answer, where the request could be sent elsewhere.
pub(super) const LEAST_ANSWER: Duration = Duration::from_secs(1);

/// What is asked.
#[derive(Clone, Copy, Debug)]
enum Ask<'a> {
    /// An encoded command, and whether it takes effect once however often it is sent.
    Change {
        command: &'a [u8],
        once: bool,
    },
    /// An encoded query.
    Question(Consistency, &'a [u8]),
    Other(&'a RequestBody),
}

impl Ask<'_> {
    /// Whether any node can answer, not only the leader.
    fn is_for_any(&self) -> bool {
        match self {
            Ask::Change { .. } => false,
            Ask::Question(consistency, _) => *consistency == Consistency::Stale,
            Ask::Other(body) => matches!(body, RequestBody::Status | RequestBody::Ping),
        }
    }

    /// Whether it may be sent again after an attempt of which nobody knows what came of it.
    fn is_repeatable(&self) -> bool {
        match self {
            Ask::Change { once, .. } => *once,
            Ask::Question(..) => true,
            Ask::Other(body) => matches!(body, RequestBody::Status | RequestBody::Ping),
        }
    }

    /// Whether an attempt of which nobody knows what came of it leaves a doubt.
    fn has_effect(&self) -> bool {
        match self {
            Ask::Change { .. } => true,
            Ask::Question(..) => false,
            Ask::Other(body) => matches!(body, RequestBody::Transfer(_)),
        }
    }
}

impl Client {
    /// A client that connects when it is first asked for something.
    ///
    /// # Panics
    ///
    /// Without an endpoint.
    #[must_use]
    pub fn new(options: Options) -> Client {
        let first = rand::random_range(0..options.endpoints.len().max(1));
        let finder = Finder::new(options.endpoints.clone(), options.fixed, first);
        let greeting = Greeting::new(options.cluster.as_deref());
        let (link, session, numbered, next_id) = (None, None, None, 1);
        Client { options, greeting, finder, link, session, numbered, next_id }
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
        self.question(&query, |answer| match answer {
            Answer::Values(values) if (1..=keys.len()).contains(&values.len()) => {
                Some(values.into_iter().map(|item| item.map(Value::from)).collect())
            }
            _ => None,
        })
    }

    /// A page of keys.
    pub fn scan(&mut self, scan: &Scan<'_>) -> Result<Seen<Page>, Failure> {
        self.question(&Query::Scan(*scan), |answer| match answer {
            Answer::Page { items, cursor } => Some(Page {
                records: items.into_iter().map(Into::into).collect(),
                cursor: cursor.map(<[u8]>::to_vec),
            }),
            _ => None,
        })
    }

    /// What the cluster remembers of a session.
    pub fn session_state(&mut self, name: &[u8]) -> Result<Seen<Option<SessionState>>, Failure> {
        if !(1..=usize::from(MAX_SESSION_NAME_BYTES)).contains(&name.len()) {
            return Err(Failure::refused(Reason::SessionName, Vec::new()));
        }
        self.question(&Query::Session { name }, |answer| match answer {
            Answer::Session(state) => Some(state),
            _ => None,
        })
    }

    /// Opens a session: from now on, every change takes effect exactly once and is repeated
    /// until it is done or refused. A session of the same name is replaced.
    pub fn open_session(&mut self, name: &[u8]) -> Result<(), Failure> {
        let session = self.fresh_session(name)?;
        self.session = Some(session);
        Ok(())
    }

    /// Closes the session, so that the cluster forgets it.
    pub fn close_session(&mut self) -> Result<(), Failure> {
        let Some(session) = self.session.take() else { return Ok(()) };
        self.carry_out(&Command::CloseSession(session.id()), |answer| match answer {
            Answer::SessionClosed => Some(()),
            _ => None,
        })?;
        Ok(())
    }

    /// Goes on with a session that is open.
    pub(super) fn adopt(&mut self, session: Session) {
        self.session = Some(session);
    }

    /// What a pipeline goes on with: the session, the connection and who was found.
    pub(super) fn into_session(mut self, name: &[u8]) -> Result<Opened, Failure> {
        let session = self.fresh_session(name)?;
        let Client { options, greeting, finder, link, .. } = self;
        Ok(Opened { options, greeting, finder, link, session })
    }

    fn fresh_session(&mut self, name: &[u8]) -> Result<Session, Failure> {
        let opened_at = self.session_state(name)?.log_time;
        let session = Session::new(name, opened_at);
        self.carry_out(&Command::OpenSession(session.id()), |answer| match answer {
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
        let seen = self.session_state(name)?;
        let (opened_at, remembered) = match seen.answer {
            Some(state) => (state.opened_at, state.lowest),
            None if number == 1 => (seen.log_time, 1),
            None => {
                let doubt = Doubt::Forgotten(Refusal::SessionForgotten);
                return Err(Failure::unknown(doubt, Vec::new()));
            }
        };
        let session = Session::new(name, opened_at);
        let lowest = lowest_kept(remembered, number);
        self.numbered = Some(Numbered { session, number, lowest });
        Ok(())
    }

    /// What the node that answers says of itself and, if it leads, of the others.
    pub fn status(&mut self) -> Result<Box<StatusReply>, Failure> {
        match self.run(&Ask::Other(&RequestBody::Status))? {
            ReplyBody::Status(status) => Ok(status),
            _ => Err(self.unexpected(false)),
        }
    }

    /// One request and its answer; how long they took.
    pub fn ping(&mut self) -> Result<Duration, Failure> {
        // Not the connecting, and not the search for a node.
        if self.link.is_none() {
            self.run(&Ask::Other(&RequestBody::Ping))?;
        }
        let start = Instant::now();
        match self.run(&Ask::Other(&RequestBody::Ping))? {
            ReplyBody::Pong => Ok(start.elapsed()),
            _ => Err(self.unexpected(false)),
        }
    }

    /// Asks the leader to hand leadership to `to`, or to the most advanced of the others; the
    /// answer is who leads now, in which term.
    pub fn transfer_leadership(&mut self, to: Option<NodeId>) -> Result<(NodeId, Term), Failure> {
        match self.run(&Ask::Other(&RequestBody::Transfer(to)))? {
            ReplyBody::Transferred { leader, term } => Ok((leader, term)),
            _ => Err(self.unexpected(true)),
        }
    }

    fn change<T>(
        &mut self,
        operation: Operation<'_>,
        read: impl FnOnce(&Answer<'_>) -> Option<T>,
    ) -> Result<Done<T>, Failure> {
        if let Some(numbered) = self.numbered.take() {
            let session = Some(numbered.part());
            return self.carry_out(&Command::Change { session, operation }, read);
        }
        let Some(mut session) = self.session.take() else {
            return self.carry_out(&Command::Change { session: None, operation }, read);
        };
        // Only this number is waited for: what became of an earlier one was told, or given up.
        let number = session.take();
        let part = Some(session.part(number, number));
        let result = self.carry_out(&Command::Change { session: part, operation }, read);
        self.session = Some(session);
        result
    }

    fn carry_out<T>(
        &mut self,
        command: &Command<'_>,
        read: impl FnOnce(&Answer<'_>) -> Option<T>,
    ) -> Result<Done<T>, Failure> {
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        check_length(&encoded)?;
        let once = !matches!(command, Command::Change { session: None, .. });
        let ask = Ask::Change { command: &encoded, once };
        let ReplyBody::Done { at, answer } = self.run(&ask)? else {
            return Err(self.unexpected(true));
        };
        let answer = Answer::decode(&answer)
            .map_err(|error| Failure::unknown(Doubt::Answer(error), Vec::new()))?;
        if let Answer::Refused(refusal) = answer {
            return Err(refused_by_store(refusal));
        }
        match read(&answer) {
            Some(answer) => Ok(Done { id: at, answer }),
            None => Err(self.unexpected(true)),
        }
    }

    fn question<T>(
        &mut self,
        query: &Query<'_>,
        read: impl FnOnce(Answer<'_>) -> Option<T>,
    ) -> Result<Seen<T>, Failure> {
        let mut encoded = Vec::new();
        query.encode(&mut encoded);
        check_length(&encoded)?;
        let ask = Ask::Question(self.options.consistency, &encoded);
        let ReplyBody::Answer { read_index, log_time, answer, .. } = self.run(&ask)? else {
            return Err(self.unexpected(false));
        };
        let answer = Answer::decode(&answer)
            .map_err(|error| Failure::refused(Reason::Answer(error), Vec::new()))?;
        match read(answer) {
            Some(answer) => Ok(Seen { read_index, log_time, answer }),
            None => Err(self.unexpected(false)),
        }
    }

    /// Sends a request until it is answered, refused for good, in doubt or out of time.
    fn run(&mut self, ask: &Ask<'_>) -> Result<ReplyBody, Failure> {
        let mut run = Run::begin(self.options.timeout);
        loop {
            if run.is_over() {
                return Err(run.give_up());
            }
            let endpoint = match self.finder.step() {
                Step::Ask(endpoint) => endpoint,
                Step::Pause(longest) if self.options.patient && run.pause(longest) => continue,
                Step::Pause(_) => return Err(run.give_up()),
            };
            let Some(mut link) = self.link_to(&endpoint, &mut run) else { continue };
            match self.exchange(&mut link, ask, &run) {
                Ok(body) => {
                    self.link = Some(link);
                    match self.judge(body, ask, &endpoint, run)? {
                        Judged::Answer(body) => return Ok(body),
                        Judged::Again(again) => run = again,
                    }
                }
                Err(lost) => {
                    run.note(&endpoint, lost.result());
                    if ask.has_effect() {
                        run.doubts(doubt(lost, &endpoint, self.options.timeout));
                    }
                    if !ask.is_repeatable() {
                        return Err(run.give_up());
                    }
                }
            }
        }
    }

    /// The connection that stands, or a new one.
    fn link_to(&mut self, endpoint: &Endpoint, run: &mut Run) -> Option<Link> {
        if let Some(link) = self.link.take()
            && link.endpoint.address == endpoint.address
            && !link.is_closed()
        {
            return Some(link);
        }
        let longest = run.left().min(LONGEST_CONNECT);
        let opened = Link::open(endpoint, &self.greeting, Instant::now() + longest);
        match opened {
            Ok(link) => {
                run.met();
                Some(link)
            }
            Err(unopened) => {
                run.unopened(endpoint, unopened);
                None
            }
        }
    }

    /// Sends the request and waits for its reply. A failure to send counts as sent: part of it
    /// may have arrived, and the whole as well.
    fn exchange(&mut self, link: &mut Link, ask: &Ask<'_>, run: &Run) -> Result<ReplyBody, Lost> {
        let id = self.next_id;
        self.next_id += 1;
        let left = run.left();
        // What can be sent elsewhere doesn't wait for one node until the end.
        let share = (self.options.timeout / 3).max(LEAST_ANSWER);
        let timeout = if ask.is_repeatable() { left.min(share) } else { left };
        match ask {
            Ask::Change { command, .. } => link.channel.encoded_change(id, timeout, command),
            Ask::Question(consistency, query) => {
                link.channel.encoded_question(id, timeout, *consistency, query);
            }
            Ask::Other(body) => link.channel.request(id, timeout, (*body).clone()),
        }
        let deadline = Instant::now() + timeout;
        link.flush(deadline)?;
        loop {
            // A reply to an earlier request, which nobody waits for any more, may come first.
            let reply = link.reply(deadline)?;
            if reply.id == id {
                return Ok(reply.body);
            }
        }
    }

    /// What a reply means for the request.
    fn judge(
        &mut self,
        body: ReplyBody,
        ask: &Ask<'_>,
        endpoint: &Endpoint,
        mut run: Run,
    ) -> Result<Judged, Failure> {
        match body {
            ReplyBody::Refused { code, leader, text } => {
                run.refused(endpoint, code, &text);
                if !code.retry_safe() || matches!(code, RefusalCode::TransferFailed) {
                    return Err(run.fail(Reason::Node { code, text }));
                }
                if self.options.fixed && code == RefusalCode::NotLeader && !ask.is_for_any() {
                    return Err(run.fail(Reason::Node { code, text }));
                }
                if waits(code) {
                    let pause = self.finder.busy(endpoint);
                    if !self.options.patient || !run.pause(pause) {
                        return Err(run.give_up());
                    }
                } else {
                    self.finder.redirected(leader.as_ref().and_then(named));
                }
                Ok(Judged::Again(run))
            }
            ReplyBody::Unknown { text } => {
                run.note(endpoint, AttemptResult::Unknown(text.clone()));
                run.doubts(Doubt::Node(text));
                if ask.is_repeatable() { Ok(Judged::Again(run)) } else { Err(run.give_up()) }
            }
            answer => {
                self.finder.found(endpoint);
                Ok(Judged::Answer(answer))
            }
        }
    }

    /// The connection gives answers that don't belong to the requests: it is of no use.
    fn unexpected(&mut self, has_effect: bool) -> Failure {
        self.link = None;
        let error = Malformed::Invalid { field: "answer", offset: 0, found: 0 };
        match has_effect {
            true => Failure::unknown(Doubt::Answer(error), Vec::new()),
            false => Failure::refused(Reason::Answer(error), Vec::new()),
        }
    }
}

/// A client that has opened a session, taken apart.
pub(super) struct Opened {
    pub(super) options: Options,
    pub(super) greeting: Greeting,
    pub(super) finder: Finder,
    pub(super) link: Option<Link>,
    pub(super) session: Session,
}

/// Whether a request can be sent at all.
pub(super) fn check_length(encoded: &[u8]) -> Result<(), Failure> {
    let bytes = encoded.len();
    if bytes <= MAX_COMMAND_BYTES {
        return Ok(());
    }
    Err(Failure::refused(Reason::TooLarge { bytes }, Vec::new()))
}

/// What becomes of a request behind a reply.
enum Judged {
    /// It is answered.
    Answer(ReplyBody),
    /// It is to be sent again.
    Again(Run),
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

fn doubt(lost: Lost, endpoint: &Endpoint, timeout: Duration) -> Doubt {
    match lost {
        Lost::Cut | Lost::Malformed(_) => Doubt::Cut(endpoint.clone()),
        Lost::Silent => Doubt::TimedOut(timeout),
        Lost::Goodbye(text) => Doubt::Closed(endpoint.clone(), text),
    }
}

/// The store's own refusals: what an earlier attempt did isn't known where it has forgotten.
pub(super) fn refused_by_store(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::SessionForgotten | Refusal::NumberForgotten { .. } => {
            Failure::unknown(Doubt::Forgotten(refusal), Vec::new())
        }
        _ => Failure::refused(Reason::Store(refusal), Vec::new()),
    }
}
