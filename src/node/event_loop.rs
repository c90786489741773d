//! The event loop: the operating system's sockets, clocks and signals, and the disk's threads,
//! around a node's shell.

use std::env;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use super::connection::{Callee, ConnectionId};
use super::outside::{Outside, Readiness, Report, Workers};
use super::server::Server;
use super::sockets;
use super::threads::{DiskThreads, Mailbox, look_up};
use super::{Exit, ONE_REQUEST};
use crate::config::{self, Address, Overrides};
use crate::model::{LogTime, Time};
use crate::storage::{FileWork, LogWork};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
const SIGNALS: Token = Token(2);

/// How many events one turn takes in.
const EVENTS: usize = 1024;

/// Where the configuration is read again.
pub(super) struct Reload {
    pub(super) path: PathBuf,
    pub(super) overrides: Overrides,
}

/// The event loop of a node.
pub(super) struct EventLoop {
    pub(super) parts: Parts,
    pub(super) server: Server<System>,
}

/// What the loop waits for.
pub(super) struct Parts {
    poll: Poll,
    signals: Signals,
    reports: Receiver<Report>,
    reload: Reload,
    /// Whether a person watches.
    is_terminal: bool,
}

/// The operating system, as the shell sees it.
pub(super) struct System {
    origin: Instant,
    registry: Registry,
    listener: TcpListener,
    mailbox: Mailbox,
    threads: Option<DiskThreads>,
}

/// From now on signals are told to the loop instead of ending the process.
pub(super) fn signals() -> Result<Signals, Exit> {
    let refused = |error| Exit::System { what: "signals", error };
    Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(refused)
}

/// Whether a signal has come that tells the process to stop, before there is a loop.
pub(super) fn is_told_to_stop(signals: &mut Signals) -> bool {
    signals.pending().any(|signal| matches!(signal, SIGTERM | SIGINT))
}

/// Puts together what the loop waits for and what the shell asks of the system.
pub(super) fn parts(
    mut listener: TcpListener,
    mut signals: Signals,
    reload: Reload,
    is_terminal: bool,
) -> Result<(Parts, System), Exit> {
    let refused = |what| move |error| Exit::System { what, error };
    let poll = Poll::new().map_err(refused("to wait for events"))?;
    let registry = poll.registry().try_clone().map_err(refused("to wait for events"))?;
    let (reports_in, reports) = channel();
    let waker = Waker::new(&registry, WAKER).map_err(refused("to be woken"))?;
    let mailbox = Mailbox { reports: reports_in, waker: Arc::new(waker) };
    let readable = Interest::READABLE;
    registry.register(&mut listener, LISTENER, readable).map_err(refused("to listen"))?;
    registry.register(&mut signals, SIGNALS, readable).map_err(refused("signals"))?;
    let system = System { origin: Instant::now(), registry, listener, mailbox, threads: None };
    Ok((Parts { poll, signals, reports, reload, is_terminal }, system))
}

impl EventLoop {
    /// Runs until the node stops.
    pub(super) fn run(mut self) -> Exit {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            if let Err(exit) = self.turn(&mut events) {
                self.server.say_goodbye(&exit);
                return exit;
            }
        }
    }

    /// Waits until something happens or is due, and lets the shell take it in.
    fn turn(&mut self, events: &mut Events) -> Result<(), Exit> {
        let timeout = self.server.timeout();
        if let Err(error) = self.parts.poll.poll(events, timeout)
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(Exit::System { what: "to wait for events", error });
        }
        self.server.begin_turn(timeout);
        for event in events.iter() {
            match event.token() {
                LISTENER => self.server.may_accept(),
                WAKER => {}
                SIGNALS => self.take_signals()?,
                Token(id) => {
                    let readable =
                        event.is_readable() || event.is_read_closed() || event.is_error();
                    let readiness = Readiness { readable, writable: event.is_writable() };
                    self.server.note(ConnectionId(id), readiness);
                }
            }
        }
        while let Ok(report) = self.parts.reports.try_recv() {
            self.server.take_report(report)?;
        }
        self.server.end_turn()
    }

    fn take_signals(&mut self) -> Result<(), Exit> {
        let pending: Vec<i32> = self.parts.signals.pending().collect();
        for signal in pending {
            match signal {
                SIGTERM | SIGINT => match self.server.leaves_for() {
                    None => {
                        if self.parts.is_terminal {
                            eprintln!("SHUTTING DOWN, PLEASE WAIT FOR FULL STOP");
                        }
                        self.server.begin_to_leave()?;
                    }
                    Some(time) if time < ONE_REQUEST => {}
                    Some(_) => return Err(Exit::AtOnce { signal }),
                },
                SIGHUP => {
                    let Reload { path, overrides } = &self.parts.reload;
                    let loaded = config::load(path, overrides, env::vars_os());
                    let loaded = loaded.map(|loaded| loaded.config);
                    self.server.reload(loaded.map_err(|mistakes| mistakes.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Outside for System {
    type Stream = TcpStream;

    fn now(&self) -> Time {
        let nanoseconds = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Time::from_nanos(nanoseconds)
    }

    fn wall_time(&self) -> LogTime {
        let passed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        LogTime(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
    }

    fn random(&mut self) -> u128 {
        rand::random()
    }

    fn look_up(&mut self, callee: Callee, address: &Address) -> Option<SocketAddr> {
        look_up(callee, address, &self.mailbox)
    }

    fn connect(&mut self, address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
        sockets::connect(address, patience)
    }

    fn has_connected(&mut self, stream: &TcpStream) -> io::Result<bool> {
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream.peer_addr().is_ok()),
        }
    }

    fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept()
    }

    fn prepare(&mut self, stream: &TcpStream, patience: Duration) -> io::Result<()> {
        sockets::prepare(stream, patience)
    }

    fn register(&mut self, stream: &mut TcpStream, id: ConnectionId) -> io::Result<()> {
        self.registry.register(stream, Token(id.0), Interest::READABLE | Interest::WRITABLE)
    }

    fn finish(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        stream.shutdown(Shutdown::Write)
    }

    fn deregister(&mut self, stream: &mut TcpStream) {
        // A socket that is closed leaves the poll by itself; failing to take it out changes
        // nothing.
        let _ = self.registry.deregister(stream);
    }

    fn start_disk(&mut self, workers: Workers) -> io::Result<()> {
        self.threads = Some(DiskThreads::start(workers, self.mailbox.clone())?);
        Ok(())
    }

    fn log(&mut self, work: LogWork) {
        if let Some(threads) = &self.threads {
            threads.log(work);
        }
    }

    fn file(&mut self, work: FileWork) {
        if let Some(threads) = &self.threads {
            threads.file(work);
        }
    }
}
