//! Many changes under way at a time, each carried out exactly once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::thread;
use std::time::Duration;

use super::ask::check_length;
use super::blocking::Opened;
use super::call::{LONGEST_CONNECT, is_final, named, patience, waits};
use super::channel::{ChannelEvent, Greeting};
use super::clock::Clock;
use super::finder::{Finder, Step};
use super::link::{Link, Nothing};
use super::run::{Run, failure, refused_by_store};
use super::session::Session;
use super::{Changed, Client, Done, Doubt, Failure, Options, Reason};
use crate::kv::{Answer, Command, Operation};
use crate::model::{LogId, Malformed, Time};
use crate::wire::{RefusalCode, Reply, ReplyBody};

/// The most bytes of changes under way. A node reads no further while its replies aren't read,
/// so what is on its way must fit into the buffers between.
const MOST_BYTES: usize = 1 << 20;

/// Many changes under way at a time, over one connection.
///
/// It has a session of its own: when a leader fails, what isn't answered is sent again to the
/// next one, and yet each change is carried out exactly once. Changes that are under way at the
/// same time may take effect in any order.
///
/// ```
/// # mod lone_node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lone_node/mod.rs")); }
/// use raft_node::client::{Endpoint, Options, Pipeline};
/// use raft_node::kv::Operation;
///
/// let endpoint = Endpoint::parse("127.0.0.1:3111")?;
/// # let endpoint = Endpoint::parse(&lone_node::start().0.to_string())?;
/// let options = Options::new(vec![endpoint]);
/// let mut pipeline = Pipeline::open(options, b"loader-1")?;
/// for number in 0..1000 {
///     let (key, value) = (format!("key:{number}"), number.to_string());
///     let put = Operation::Put { key: key.as_bytes(), value: value.as_bytes() };
///     while pipeline.submit(&put).is_none() {
///         let (ticket, result) = pipeline.receive()?.expect("it is full");
///         println!("{ticket:?}: entry {}", result?.id);
///     }
/// }
/// while let Some((ticket, result)) = pipeline.receive()? {
///     println!("{ticket:?}: entry {}", result?.id);
/// }
/// pipeline.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Pipeline {
    options: Options,
    greeting: Greeting,
    finder: Finder,
    link: Option<Link>,
    /// Whether the node behind the link has carried something out.
    found: bool,
    session: Session,
    /// What isn't answered yet, by number.
    pending: BTreeMap<u64, Change>,
    pending_bytes: usize,
    /// Numbers that were refused for a moment and are to be sent again.
    again: BTreeSet<u64>,
    /// Replies that were read, in the order in which they came.
    ready: VecDeque<Received>,
    /// When the last reply came, or the first of the changes under way was submitted.
    progress: Time,
    clock: Clock,
    /// Buffers of answered changes, to be used again.
    spare: Vec<Vec<u8>>,
}

/// A change that isn't answered yet.
#[derive(Debug)]
struct Change {
    encoded: Vec<u8>,
    /// Whether it was given to the connection that stands, and not refused since.
    is_sent: bool,
    /// Why it may have been done, if it may: what came of an earlier attempt isn't known.
    doubt: Option<Doubt>,
}

/// Which of the changes, in the order of their submission.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// A change and what became of it.
pub type Received = (Ticket, Result<Done<Changed>, Failure>);

impl Pipeline {
    /// Connects to the leader and opens a session of this name, in place of one that there may
    /// be: two pipelines need two names.
    pub fn open(options: Options, name: &[u8]) -> Result<Pipeline, Failure> {
        let opened = Client::new(options).into_session(name)?;
        let Opened { options, greeting, finder, link, session, clock } = opened;
        Ok(Pipeline {
            options,
            greeting,
            finder,
            link,
            found: false,
            session,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            again: BTreeSet::new(),
            ready: VecDeque::new(),
            progress: clock.now(),
            clock,
            spare: Vec::new(),
        })
    }

    /// How many changes are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.pending.len()
    }

    /// Gathers a change; `None` where as many are under way as can be: receive first.
    pub fn submit(&mut self, operation: &Operation<'_>) -> Option<Ticket> {
        if !self.has_room() {
            return None;
        }
        if self.pending.is_empty() {
            self.progress = self.clock.now();
        }
        let lowest = self.pending.keys().next().copied().unwrap_or(self.session.next());
        let number = self.session.take();
        let session = Some(self.session.part(number, lowest));
        let mut encoded = self.spare.pop().unwrap_or_default();
        Command::Change { session, operation: *operation }.encode(&mut encoded);
        if let Err(failure) = check_length(&encoded) {
            self.ready.push_back((Ticket(number), Err(failure)));
            return Some(Ticket(number));
        }
        if let Some(link) = &mut self.link {
            link.channel.encoded_change(number, self.options.timeout, &encoded);
        }
        self.pending_bytes += encoded.len();
        let change = Change { encoded, is_sent: self.link.is_some(), doubt: None };
        self.pending.insert(number, change);
        Some(Ticket(number))
    }

    /// Whether another change can be submitted before one is received.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let lowest = self.pending.keys().next().copied().unwrap_or(self.session.next());
        // A single change may be longer than the bound.
        let fits = self.pending.is_empty() || self.pending_bytes < MOST_BYTES;
        fits && self.session.has_room(lowest)
    }

    /// Sends what is gathered, with one write.
    pub fn flush(&mut self) {
        let deadline = self.clock.instant(self.deadline());
        if let Some(link) = &mut self.link
            && link.flush(deadline).is_err()
        {
            // Where it can't be sent now, it is sent again when replies are waited for.
            self.leave();
        }
    }

    /// The next outcome, in the order in which they come; `None` where nothing is under way.
    /// What is gathered is sent first.
    ///
    /// # Errors
    ///
    /// When nothing was answered for [`Options::timeout`]. It can be called again, to go on
    /// trying; of what is under way then, nobody knows whether it was done.
    pub fn receive(&mut self) -> Result<Option<Received>, Failure> {
        let now = self.clock.now();
        let mut run = Run::begin(now, self.deadline().since(now));
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Ok(Some(ready));
            }
            if self.pending.is_empty() {
                return Ok(None);
            }
            if !self.have_link(&mut run)? {
                continue;
            }
            match self.next_reply() {
                Ok(reply) => {
                    self.settle(reply, &mut run);
                    self.settle_read(&mut run);
                }
                Err(nothing) => {
                    if let Some(link) = &self.link {
                        run.note(&link.endpoint, nothing.result());
                    }
                    self.leave();
                }
            }
        }
    }

    /// An outcome that came with an earlier one, without waiting.
    pub fn received(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    /// Waits for everything under way to be answered and closes the session, so that the cluster
    /// forgets it.
    pub fn close(mut self) -> Result<(), Failure> {
        while self.receive()?.is_some() {}
        let mut client = Client::new(self.options.clone());
        client.adopt(self.session.clone());
        client.close_session()
    }

    fn deadline(&self) -> Time {
        self.progress + self.options.timeout
    }

    /// Has a connection, with everything sent or gathered that is under way; says whether there
    /// is one already.
    fn have_link(&mut self, run: &mut Run) -> Result<bool, Failure> {
        if self.deadline() <= self.clock.now() {
            run.doubts(Doubt::TimedOut(self.options.timeout));
            return Err(run.give_up());
        }
        if let Some(link) = &self.link {
            if !self.again.is_empty() {
                let pause = self.finder.busy(&link.endpoint);
                self.pause(pause);
                self.resend_refused();
            }
            return Ok(true);
        }
        let endpoint = match self.finder.step() {
            Step::Ask(endpoint) => endpoint,
            Step::Pause(pause) => {
                self.pause(pause);
                return Ok(false);
            }
        };
        let until = self.deadline().min(self.clock.now() + LONGEST_CONNECT);
        match Link::open(&endpoint, &self.greeting, self.clock.instant(until)) {
            Ok(mut link) => {
                run.met();
                self.found = false;
                self.again.clear();
                for (number, change) in &mut self.pending {
                    link.channel.encoded_change(*number, self.options.timeout, &change.encoded);
                    change.is_sent = true;
                }
                self.link = Some(link);
                Ok(true)
            }
            Err(unopened) => {
                run.unopened(&endpoint, unopened);
                Ok(false)
            }
        }
    }

    fn pause(&self, pause: Duration) {
        thread::sleep(pause.min(self.deadline().since(self.clock.now())));
    }

    /// Sends what is gathered and waits for a reply.
    fn next_reply(&mut self) -> Result<Reply, Nothing> {
        let silence = self.clock.now() + patience(self.options.timeout);
        let deadline = self.clock.instant(self.deadline().min(silence));
        let link = self.link.as_mut().expect("a connection was just made or found");
        link.flush(deadline)?;
        link.reply(deadline)
    }

    /// Sends again what was refused for a moment.
    fn resend_refused(&mut self) {
        let Some(link) = &mut self.link else { return };
        for number in std::mem::take(&mut self.again) {
            if let Some(change) = self.pending.get_mut(&number) {
                link.channel.encoded_change(number, self.options.timeout, &change.encoded);
                change.is_sent = true;
            }
        }
    }

    /// Leaves the connection. What became of what was sent on it isn't known.
    fn leave(&mut self) {
        let Some(link) = self.link.take() else { return };
        for change in self.pending.values_mut() {
            if std::mem::take(&mut change.is_sent) {
                change.doubt = Some(Doubt::Cut(link.endpoint.clone()));
            }
        }
    }

    /// Settles the replies that were read already.
    fn settle_read(&mut self, run: &mut Run) {
        while let Some(link) = &mut self.link {
            match link.channel.next_event() {
                Ok(Some(ChannelEvent::Reply(reply))) => self.settle(reply, run),
                Ok(None) => return,
                // The next wait meets the end of the connection too, where there is one.
                Ok(Some(_)) | Err(_) => self.leave(),
            }
        }
    }

    fn settle(&mut self, reply: Reply, run: &mut Run) {
        let number = reply.id;
        let Some(change) = self.pending.get_mut(&number) else { return };
        match reply.body {
            ReplyBody::Refused { code, leader, text } if !is_final(code) => {
                change.is_sent = false;
                let Some(link) = &self.link else { return };
                run.refused(&link.endpoint, code, &text);
                if waits(code) || code == RefusalCode::TimedOut {
                    self.again.insert(number);
                } else {
                    // It doesn't lead: the others that are under way here have the same fate.
                    self.leave();
                    self.finder.redirected(leader.as_ref().and_then(named));
                }
            }
            ReplyBody::Unknown { text } => {
                change.is_sent = false;
                change.doubt = Some(Doubt::Node(text));
                self.again.insert(number);
            }
            ReplyBody::Refused { code, text, .. } => {
                let reason = Reason::Node { code, text };
                let failure = failure(reason, change.doubt.take(), Vec::new());
                self.answered(number, Err(failure));
            }
            ReplyBody::Done { at, answer } => {
                let result = read(at, &answer, change.doubt.take());
                self.answered(number, result);
                if let Some(link) = &self.link
                    && !self.found
                {
                    self.finder.found(&link.endpoint);
                    self.found = true;
                }
            }
            _ => self.leave(),
        }
    }

    fn answered(&mut self, number: u64, result: Result<Done<Changed>, Failure>) {
        if let Some(Change { mut encoded, .. }) = self.pending.remove(&number) {
            self.pending_bytes -= encoded.len();
            encoded.clear();
            if self.spare.len() < MOST_SPARE && encoded.capacity() <= LARGEST_SPARE {
                self.spare.push(encoded);
            }
        }
        self.again.remove(&number);
        self.progress = self.clock.now();
        self.ready.push_back((Ticket(number), result));
    }
}

/// How many buffers are kept to be used again, and how large they may be.
const MOST_SPARE: usize = 1024;
const LARGEST_SPARE: usize = 16 << 10;

fn read(at: LogId, answer: &[u8], doubt: Option<Doubt>) -> Result<Done<Changed>, Failure> {
    let unreadable = |error| Failure::unknown(Doubt::Answer(error), Vec::new());
    match Answer::decode(answer).map_err(unreadable)? {
        Answer::Refused(refusal) => Err(refused_by_store(refusal, doubt, Vec::new())),
        answer => match Changed::from_answer(&answer) {
            Some(answer) => Ok(Done { id: at, answer }),
            None => Err(unreadable(Malformed::Invalid { field: "answer", offset: 0, found: 0 })),
        },
    }
}
