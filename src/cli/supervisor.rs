//! `--all`: every node of this host in a process of its own, one log, one end.

mod child;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use log::{error, info, warn};
use raft_node::config::{Config, Node};
use raft_node::node::ONE_REQUEST;
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::arguments::Arguments;
use super::logging::Log;
use super::{exit, local, terminal};
use child::Child;

/// How much longer than `ShutdownTimeout` the nodes may take to stop before they are killed.
const STOP_RESERVE: Duration = Duration::from_secs(5);

/// What happens to the supervisor.
enum Happening {
    /// A signal came.
    Signal(i32),
    /// The process of the child at this place has ended, and all that it wrote is handed on.
    Ended(usize),
}

/// Runs the nodes of `config` whose host is this machine until all of them have ended. Gives the
/// exit code.
pub(crate) fn run(arguments: &Arguments, config: &Config, log: &Log) -> u8 {
    let nodes = local_nodes(config);
    if nodes.is_empty() {
        error!(reason = "no node of the file is of this host", hint = "-n starts one"; "not_started");
        return exit::CONFIGURATION;
    }
    let (sender, happenings) = channel();
    if let Err(error) = forward_signals(sender.clone()) {
        error!(reason = "signals can't be received", error:%; "not_started");
        return exit::UNAVAILABLE;
    }
    let mut supervisor = Supervisor {
        children: Vec::new(),
        kill_after: config.cluster.shutdown_timeout + STOP_RESERVE,
        has_terminal: terminal::is_attached(),
        stopping: None,
        exit: exit::CLEAN,
    };
    supervisor.start(arguments, &nodes, log, &sender);
    supervisor.watch(&happenings);
    supervisor.exit
}

/// The nodes of this host; of the others it is said that they aren't started.
fn local_nodes(config: &Config) -> Vec<&Node> {
    let mut nodes = Vec::new();
    for node in &config.nodes {
        let Node { id, label, host, .. } = node;
        match local::is_local(node) {
            Ok(true) => nodes.push(node),
            Ok(false) => {
                let reason = "its host is another one";
                info!(node:% = id, label, host, reason; "not_started");
            }
            Err(error) => {
                let reason = "its host can't be looked up";
                warn!(node:% = id, label, host, reason, error:%; "not_started");
            }
        }
    }
    nodes
}

fn forward_signals(sender: Sender<Happening>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if sender.send(Happening::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

#[derive(Clone, Copy)]
struct Stopping {
    /// When they were told.
    since: Instant,
    /// When those that still run are killed.
    kill_at: Instant,
}

struct Supervisor {
    /// The nodes' processes, those that have ended included.
    children: Vec<Child>,
    /// How long the nodes may take to stop.
    kill_after: Duration,
    /// Whether there was a terminal at the start.
    has_terminal: bool,
    /// Once the nodes have been told to stop.
    stopping: Option<Stopping>,
    exit: u8,
}

impl Supervisor {
    fn start(&mut self, arguments: &Arguments, nodes: &[&Node], log: &Log, to: &Sender<Happening>) {
        for (place, node) in nodes.iter().enumerate() {
            let to = to.clone();
            let lines = log.lines_of(place, &node.label);
            // Nobody listens any more where the supervisor has ended.
            let when_ended = move || drop(to.send(Happening::Ended(place)));
            match Child::start(arguments, node, lines, when_ended) {
                Ok(child) => {
                    let process = child.pid().as_raw_pid();
                    info!(node:% = node.id, label = node.label, process; "started");
                    self.children.push(child);
                }
                Err(error) => {
                    error!(node:% = node.id, label = node.label, error:%; "not_started");
                    self.exit = exit::UNAVAILABLE;
                    self.stop(Signal::TERM);
                    return;
                }
            }
        }
    }

    /// Until all nodes have ended.
    fn watch(&mut self, happenings: &Receiver<Happening>) {
        while self.children.iter().any(Child::runs) {
            let happening = match self.stopping {
                None => happenings.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(Stopping { kill_at, .. }) => {
                    happenings.recv_timeout(kill_at.saturating_duration_since(Instant::now()))
                }
            };
            match happening {
                Ok(Happening::Signal(signal)) => self.signalled(signal),
                Ok(Happening::Ended(place)) => self.ended(place),
                Err(RecvTimeoutError::Timeout) => self.kill("they didn't stop in time"),
                // The signals' thread holds a sender for ever.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn signalled(&mut self, signal: i32) {
        // A terminal that was closed says SIGHUP, too. Then nobody is left who could say stop.
        let hung_up = self.has_terminal && !terminal::is_attached();
        match (signal, self.stopping) {
            (SIGHUP, _) if !hung_up => {
                info!("reload");
                self.signal_all(Signal::HUP);
            }
            (SIGINT, None) => self.stop(Signal::INT),
            (_, None) => self.stop(Signal::TERM),
            (_, Some(stopping)) if stopping.since.elapsed() < ONE_REQUEST => {}
            (_, Some(_)) => self.kill("told so a second time"),
        }
    }

    fn stop(&mut self, signal: Signal) {
        if self.has_terminal {
            eprintln!("SHUTTING DOWN, PLEASE WAIT FOR FULL STOP");
        }
        let since = Instant::now();
        self.stopping = Some(Stopping { since, kill_at: since + self.kill_after });
        self.signal_all(signal);
    }

    /// A node that is killed loses nothing that it has acknowledged.
    fn kill(&mut self, reason: &str) {
        let left = self.children.iter().filter(|child| child.runs()).count();
        warn!(nodes = left, reason; "killed");
        if let Some(stopping) = &mut self.stopping {
            // What even this doesn't end waits for a disk, and is killed again.
            stopping.kill_at = Instant::now() + self.kill_after;
        }
        self.signal_all(Signal::KILL);
    }

    fn signal_all(&self, signal: Signal) {
        for child in &self.children {
            child.signal(signal);
        }
    }

    fn ended(&mut self, place: usize) {
        let child = &mut self.children[place];
        let asked = [SIGINT, SIGTERM].map(Some);
        let (code, how) = match child.end() {
            Ok(status) if self.stopping.is_some() && asked.contains(&status.signal()) => {
                (exit::CLEAN, "stopped before it had started".to_owned())
            }
            Ok(status) => (exit::code(status), exit::describe(status)),
            Err(error) => (exit::UNAVAILABLE, format!("unknown: {error}")),
        };
        let (node, label) = (child.id.clone(), child.label.clone());
        let left = self.children.iter().filter(|child| child.runs()).count();
        if self.stopping.is_some() && code == exit::CLEAN {
            info!(node, label, how, left; "ended");
        } else {
            warn!(node, label, how, left; "ended");
        }
        // Who is killed while all others go on has been reported; what counts is how it ends.
        if self.exit == exit::CLEAN && (self.stopping.is_some() || left == 0) {
            self.exit = code;
        }
    }
}
