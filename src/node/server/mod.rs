//! The event loop: sockets, deadlines, signals, and the reports of the threads.
//!
//! One turn: wait until something happens or is due; take in what came (reports of the threads,
//! new connections, what the sockets have, each within a budget); let the driver see the time;
//! carry out what it asks for; write each socket once.

mod early;
mod founding;
mod greeting;
mod leaving;
mod life;
mod reading;
mod serving;
mod writing;

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use signal_hook_mio::v1_0::Signals;

pub(super) use self::life::{Early, Life};
use super::Exit;
use super::calls::Calls;
use super::connection::{Connection, ConnectionId, Stage};
use super::deadlines::Deadlines;
use super::door::Door;
use super::driver::DriverInput;
use super::forming::Plan;
use super::journal::Journal;
use super::links::Links;
use super::sockets;
use super::threads::{Mailbox, Report, look_up};
use crate::config::{Config, Overrides};
use crate::model::{NodeId, Time};

pub(super) const LISTENER: Token = Token(0);
pub(super) const WAKER: Token = Token(1);
pub(super) const SIGNALS: Token = Token(2);

/// The first name of a connection.
const FIRST_CONNECTION: usize = 3;

/// How many events one turn takes in.
const EVENTS: usize = 1024;

/// A connection that hasn't said hello, or wasn't answered, for so long is given up.
const GREETING: Duration = Duration::from_secs(2);

/// For how long last words may take to be sent.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection that takes nothing for so long, while something waits for it, is given up.
const STALLED: Duration = Duration::from_secs(30);

/// For how long nothing is accepted when the process has no file descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// Connections beside those of clients: both directions to each other node, and some that
/// haven't said hello.
const UNDECIDED: usize = 64;

/// What is due at some time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Due {
    /// A hello, or the answer to one.
    Greeting(ConnectionId),
    /// Last words.
    LastWords(ConnectionId),
    /// A connection that takes nothing.
    Stalled(ConnectionId),
    /// Accepting goes on.
    Accepting,
    /// The node leaves, whatever is left to do.
    Leaving,
}

/// The event loop of a node.
pub(super) struct Server {
    pub(super) poll: Poll,
    pub(super) origin: Instant,
    pub(super) now: Time,
    pub(super) config: Config,
    pub(super) me: NodeId,
    pub(super) config_path: PathBuf,
    pub(super) overrides: Overrides,
    pub(super) is_terminal: bool,
    pub(super) mailbox: Mailbox,
    pub(super) reports: Receiver<Report>,
    pub(super) listener: TcpListener,
    pub(super) signals: Signals,
    pub(super) plan: Plan,
    pub(super) door: Door,
    pub(super) calls: Calls,
    pub(super) journal: Journal,
    pub(super) life: Life,
    /// What holds once everything is in place; see [`Server::new`].
    pub(super) state: LoopState,
}

/// What the loop keeps from turn to turn.
pub(super) struct LoopState {
    connections: BTreeMap<ConnectionId, Connection>,
    next_id: usize,
    /// Connections that may have something to read.
    ready: Vec<ConnectionId>,
    /// Connections that have something to write.
    dirty: Vec<ConnectionId>,
    /// Clients of whom no more is read until what they asked for is answered.
    paused: Vec<ConnectionId>,
    deadlines: Deadlines<Due>,
    links: Links,
    /// Who refuses this node for a reason that guards the data, and what they say.
    refusals: BTreeMap<NodeId, String>,
    accepts: bool,
    /// Since when the node is on its way out.
    leaves_since: Option<Time>,
    /// Whether the process was away for longer than it wanted to be before this turn.
    was_away: bool,
    /// Frames are made here.
    scratch: BytesMut,
}

impl LoopState {
    pub(super) fn new() -> LoopState {
        LoopState {
            connections: BTreeMap::new(),
            next_id: FIRST_CONNECTION,
            ready: Vec::new(),
            dirty: Vec::new(),
            paused: Vec::new(),
            deadlines: Deadlines::new(),
            links: Links::default(),
            refusals: BTreeMap::new(),
            accepts: true,
            leaves_since: None,
            was_away: false,
            scratch: BytesMut::new(),
        }
    }

    /// Whether the node is on its way out.
    const fn is_leaving(&self) -> bool {
        self.leaves_since.is_some()
    }
}

impl Server {
    /// Runs until the node stops.
    pub(super) fn run(mut self) -> Exit {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            if let Err(exit) = self.turn(&mut events) {
                self.say_goodbye(&exit);
                return exit;
            }
        }
    }

    fn turn(&mut self, events: &mut Events) -> Result<(), Exit> {
        let timeout = self.timeout();
        if let Err(error) = self.poll.poll(events, timeout)
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(Exit::System { what: "to wait for events", error });
        }
        let was_away = self.look_at_the_clock(timeout);
        for event in events.iter() {
            match event.token() {
                LISTENER => self.state.accepts = true,
                WAKER => {}
                SIGNALS => self.take_signals()?,
                Token(id) => self.note_event(ConnectionId(id), event),
            }
        }
        self.take_reports()?;
        self.accept();
        self.read_ready()?;
        // Whoever was away for a while, stopped or starved, first hears what came meanwhile:
        // else it would take its own absence for that of the others.
        if !was_away {
            self.pass_time()?;
        }
        self.carry_out()?;
        self.write_dirty();
        self.resume_paused();
        Ok(())
    }

    /// How long to wait for events: not at all if something is left to do.
    fn timeout(&mut self) -> Option<Duration> {
        let state = &mut self.state;
        if !state.ready.is_empty() || !state.dirty.is_empty() {
            return Some(Duration::ZERO);
        }
        let next = [
            state.deadlines.next(),
            self.life.deadline(),
            (!self.life.is_changing()).then(|| self.calls.deadline()).flatten(),
            self.life.is_forming().then(|| self.journal.waits_deadline()).flatten(),
        ];
        let next = next.into_iter().flatten().min()?;
        Some(next.since(self.read_clock()))
    }

    fn read_clock(&self) -> Time {
        let nanoseconds = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Time::from_nanos(nanoseconds)
    }

    /// Reads the clock, once a turn. Tells whether far more time has passed than it should have.
    fn look_at_the_clock(&mut self, waited: Option<Duration>) -> bool {
        let now = self.read_clock();
        let before = mem::replace(&mut self.now, now);
        let passed = self.now.since(before);
        let patience = self.config.cluster.election_timeout / 2;
        let is_late = waited.is_some_and(|waited| passed > waited + patience);
        // Not twice in a row: what is always late must look at the time, too.
        self.state.was_away = is_late && !self.state.was_away;
        if self.state.was_away {
            self.journal.was_away(self.now, passed);
        }
        self.state.was_away
    }

    fn note_event(&mut self, id: ConnectionId, event: &mio::event::Event) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.is_readable = true;
            self.state.ready.push(id);
        }
        if event.is_writable() {
            connection.is_writable = true;
            if let Stage::Connecting(_) = connection.stage {
                self.connected(id);
            } else if !connection.out.is_empty() && !connection.is_dirty {
                connection.is_dirty = true;
                self.state.dirty.push(id);
            }
        }
    }

    fn take_reports(&mut self) -> Result<(), Exit> {
        while let Ok(report) = self.reports.try_recv() {
            match report {
                Report::Log(result, took) => self.log_reports(result, took)?,
                Report::File(result) => self.files_report(result)?,
                Report::Addresses(id, found) => match found {
                    Ok(addresses) if !addresses.is_empty() => {
                        self.calls.found(id, addresses, self.now);
                    }
                    Ok(_) => self.call_failed(id, None, "its name leads nowhere"),
                    Err(error) => self.call_failed(id, None, &error.to_string()),
                },
            }
        }
        Ok(())
    }

    /// What is due because of the time alone.
    fn pass_time(&mut self) -> Result<(), Exit> {
        while let Some(due) = self.state.deadlines.pop(self.now) {
            match due {
                Due::Greeting(id) => {
                    self.close(id, "it did not say hello, or did not answer, within 2 s");
                }
                Due::LastWords(id) => self.close(id, "it did not take the last words"),
                Due::Stalled(id) => self.close(id, "it took nothing for 30 s"),
                Due::Accepting => self.state.accepts = true,
                Due::Leaving => return Err(Exit::Clean),
            }
        }
        while !self.life.is_changing()
            && let Some(id) = self.calls.due(self.now)
        {
            self.call(id);
        }
        self.form()?;
        self.claim_anew();
        self.refound();
        if let Life::Serving(serving) = &mut self.life {
            serving.driver.handle(self.now, DriverInput::Tick);
        }
        Ok(())
    }

    fn call(&mut self, id: NodeId) {
        let Some(address) = self.calls.address(id).cloned() else { return };
        let found = self.calls.next_address(id);
        let found = found.or_else(|| {
            self.calls.looking_up(id);
            look_up(id, &address, &self.mailbox)
        });
        let Some(found) = found else { return };
        let patience = self.patience();
        match sockets::connect(found, patience) {
            Ok(stream) => {
                let connection = Connection::called(stream, found, id);
                if let Some(connection) = self.register(connection) {
                    self.calls.called(id, connection);
                }
            }
            Err(error) => self.call_failed(id, None, &error.to_string()),
        }
    }

    /// For how long what was sent may stay unacknowledged.
    fn patience(&self) -> Duration {
        (2 * self.config.cluster.election_timeout)
            .clamp(Duration::from_secs(2), Duration::from_secs(30))
    }

    /// Takes a new connection into the loop. A hello, or its answer, is due in a while.
    fn register(&mut self, mut connection: Connection) -> Option<ConnectionId> {
        let id = ConnectionId(self.state.next_id);
        self.state.next_id += 1;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        if let Err(error) = registry.register(&mut connection.stream, Token(id.0), interest) {
            let (remote, node) = (connection.remote, connection.node());
            self.journal.dropped(self.now, Some(remote), node, &error.to_string());
            if let Some(node) = node {
                self.call_failed(node, None, &error.to_string());
            }
            return None;
        }
        self.state.connections.insert(id, connection);
        self.state.deadlines.set(Due::Greeting(id), self.now + GREETING);
        Some(id)
    }

    fn accept(&mut self) {
        while self.state.accepts {
            match self.listener.accept() {
                Ok((stream, remote)) => {
                    if let Err(error) = sockets::prepare(&stream, self.patience()) {
                        self.journal.dropped(self.now, Some(remote), None, &error.to_string());
                        continue;
                    }
                    self.make_room_for_a_stranger();
                    self.register(Connection::accepted(stream, remote));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.state.accepts = false;
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    // Without descriptors or memory the listener stays ready and nothing would
                    // tell when it can go on.
                    self.state.accepts = false;
                    self.state.deadlines.set(Due::Accepting, self.now + NO_DESCRIPTOR);
                    self.journal.dropped(self.now, None, None, &format!("not accepted: {error}"));
                }
            }
        }
    }

    /// Who hasn't said hello can't keep others out: the oldest of too many has to go.
    fn make_room_for_a_stranger(&mut self) {
        let strangers = || {
            let connections = self.state.connections.iter();
            connections.filter(|(_, connection)| connection.stage == Stage::Accepted)
        };
        if strangers().count() >= UNDECIDED
            && let Some((id, _)) = strangers().next()
        {
            self.close(*id, "too many connections have not said hello");
        }
    }

    /// Ends a connection at once.
    fn close(&mut self, id: ConnectionId, reason: &str) {
        let Some(mut connection) = self.state.connections.remove(&id) else { return };
        // A socket that is closed leaves the poll by itself; failing to take it out changes nothing.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        for due in [Due::Greeting(id), Due::LastWords(id), Due::Stalled(id)] {
            self.state.deadlines.clear(due);
        }
        let remote = connection.remote;
        match connection.stage {
            Stage::Connecting(node) | Stage::Calling(node) => {
                self.journal.dropped(self.now, Some(remote), Some(node), reason);
                self.call_failed(node, Some(id), reason);
            }
            Stage::Accepted => self.journal.dropped(self.now, Some(remote), None, reason),
            Stage::Node { member, .. } => {
                self.journal.dropped(self.now, Some(remote), Some(member.id), reason);
                self.node_gone(id, member, reason);
            }
            Stage::Client(client) => {
                self.journal.client_gone(remote, reason);
                if let Life::Serving(serving) = &mut self.life {
                    serving.driver.handle(self.now, DriverInput::ClientGone(client));
                }
            }
            Stage::Leaving => {}
        }
    }

    fn call_failed(&mut self, id: NodeId, connection: Option<ConnectionId>, reason: &str) {
        self.calls.failed(id, connection, self.now);
        if connection.is_none() {
            self.journal.dropped(self.now, None, Some(id), reason);
        }
        let is_there = self
            .state
            .connections
            .values()
            .any(|other| matches!(other.stage, Stage::Node { member, .. } if member.id == id));
        if !is_there {
            self.life.is_missing(id, reason, self.now);
        }
    }
}

/// Whether an error of accept concerns only the connection that was to be accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::PermissionDenied
    )
}
