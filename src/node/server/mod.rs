//! The event loop: sockets, deadlines, signals, and the reports of the threads.
//!
//! One turn: wait until something happens or is due; take in what came (reports of the threads,
//! new connections, what the sockets have, each within a budget); let the driver see the time;
//! carry out what it asks for; write each socket once.

mod accepting;
mod early;
mod ending;
mod founding;
mod greeting;
mod leaving;
mod life;
mod reading;
mod serving;
mod writing;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use log::Level;
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

/// A connection that takes nothing for so long, while something waits for it, is given up.
const STALLED: Duration = Duration::from_secs(30);

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
    /// Those that haven't said hello, the oldest first; some of them are something else by now.
    strangers: VecDeque<ConnectionId>,
    /// Those whose last words are being sent, the oldest first; some of them are gone by now.
    leaving: VecDeque<ConnectionId>,
    deadlines: Deadlines<Due>,
    links: Links,
    /// Who refuses this node for a reason that guards the data, and what they say.
    refusals: BTreeMap<NodeId, String>,
    /// How many more requests of clients this turn takes.
    requests_left: usize,
    /// Down to where the client that is being read may bring that.
    requests_least: usize,
    accepts: bool,
    is_leaving: bool,
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
            strangers: VecDeque::new(),
            leaving: VecDeque::new(),
            deadlines: Deadlines::new(),
            links: Links::default(),
            refusals: BTreeMap::new(),
            requests_left: 0,
            requests_least: 0,
            accepts: true,
            is_leaving: false,
            was_away: false,
            scratch: BytesMut::new(),
        }
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
        if !state.ready.is_empty() || !state.dirty.is_empty() || state.accepts {
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
            if !connection.is_ready {
                connection.is_ready = true;
                self.state.ready.push(id);
            }
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
            self.journal.dropped(Level::Warn, self.now, Some(remote), node, &error.to_string());
            if let Some(node) = node {
                self.call_failed(node, None, &error.to_string());
            }
            return None;
        }
        self.state.connections.insert(id, connection);
        self.state.deadlines.set(Due::Greeting(id), self.now + GREETING);
        Some(id)
    }
}
