//! The node's shell: connections, hellos, the founding, and the driver's outputs carried out.
//!
//! It knows no socket, clock or thread, only its [`Outside`]. One turn: [`Server::begin_turn`];
//! what came ([`Server::note`], [`Server::take_report`], [`Server::may_accept`]);
//! [`Server::end_turn`], which takes in what the streams have, each within a budget, lets the
//! driver see the time, carries out what it asks for, and writes each stream once.

mod accepting;
mod calling;
mod early;
mod ending;
mod founding;
mod greeting;
mod leaving;
mod life;
mod reading;
mod serving;
mod writing;

pub use self::writing::Unsent;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::Duration;

use bytes::BytesMut;

use self::life::{Early, Life};
use super::Exit;
use super::calls::Calls;
use super::connection::{Connection, ConnectionId, Stage};
use super::deadlines::Deadlines;
use super::door::{Door, Myself};
use super::driver::{Driver, DriverInput};
use super::forming::{Begin, Forming, Founder, Plan};
use super::journal::Journal;
use super::links::Links;
use super::opening::Store;
use super::outside::{Outside, Readiness, Report};
use super::restoring::Restores;
use crate::config::{Config, Node, Role, StorageClass};
use crate::kv::Settings;
use crate::model::{Index, NodeId, StartNumber, Time};

/// The first name of a connection; those below are the event loop's.
const FIRST_CONNECTION: usize = 3;

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

/// A node between its driver and what is around it.
pub struct Server<O: Outside> {
    pub(super) outside: O,
    pub(super) now: Time,
    pub(super) config: Config,
    pub(super) me: NodeId,
    pub(super) plan: Plan,
    begin: Begin,
    pub(super) door: Door,
    pub(super) calls: Calls,
    pub(super) journal: Journal,
    pub(super) life: Life,
    /// What it keeps from turn to turn.
    pub(super) state: LoopState<O::Stream>,
}

/// What the loop keeps from turn to turn.
pub(super) struct LoopState<S> {
    connections: BTreeMap<ConnectionId, Connection<S>>,
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
    /// The index of the configuration whose members are called.
    called_as_of: Option<Index>,
    /// Who refuses this node for a reason that guards the data.
    refusals: BTreeSet<NodeId>,
    /// How many more requests of clients this turn takes.
    requests_left: usize,
    /// Down to where the client that is being read may bring that.
    requests_least: usize,
    accepts: bool,
    /// Since when the node is on its way out.
    leaves_since: Option<Time>,
    /// Whether the process was away for longer than it wanted to be before this turn.
    was_away: bool,
    /// Frames are made here.
    scratch: BytesMut,
}

impl<S> LoopState<S> {
    pub(super) fn new() -> LoopState<S> {
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
            called_as_of: None,
            refusals: BTreeSet::new(),
            requests_left: 0,
            requests_least: 0,
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

impl<O: Outside> Server<O> {
    /// The node `me` of the configuration, with the directory that was opened for it. `begin` is
    /// how it begins if that is empty.
    pub fn new(
        mut outside: O,
        config: Config,
        me: NodeId,
        store: &Store,
        begin: &Begin,
    ) -> Server<O> {
        let member = store.member();
        let (boot, restores) = match store {
            Store::Unformed(unfounded) => (unfounded.boot, unfounded.restores.as_ref()),
            Store::Formed(formed) => (formed.restored.boot, None),
        };
        let own = config.node_by_id(me);
        let door = Door::new(Myself {
            member,
            boot,
            start: StartNumber(outside.random() as u64),
            cluster_name: config.cluster.name.clone(),
            nodes_hash: config.nodes_hash(),
            restores: restores.map(|restores| restores.id),
            address: own.map(|node| node.address().to_string()).unwrap_or_default(),
            keeps_nothing: config.cluster.storage_class == StorageClass::Memory,
        });
        let calls = Calls::new(outside.random() as u64);
        Server {
            now: Time::ZERO,
            plan: plan(&config, begin, restores),
            begin: begin.clone(),
            me,
            door,
            calls,
            journal: Journal::new(),
            life: Life::Between,
            state: LoopState::new(),
            config,
            outside,
        }
    }

    /// Begins to call the others, and to serve with what the directory holds.
    pub fn start(&mut self, store: Store) -> Result<(), Exit> {
        self.now = self.outside.now();
        self.call_the_file();
        match store {
            Store::Formed(formed) => self.serve(*formed, false),
            Store::Unformed(unfounded) => {
                let member = self.door.me().member;
                let forming = Forming::new(member, self.plan.clone(), self.now);
                self.life = Life::Forming(Box::new(Early { forming, unfounded }));
                Ok(())
            }
        }
    }

    /// What is around the node.
    pub const fn outside(&mut self) -> &mut O {
        &mut self.outside
    }

    /// The node's driver, once it is a member of a cluster.
    #[must_use]
    pub fn driver(&self) -> Option<&Driver> {
        match &self.life {
            Life::Serving(serving) => Some(&serving.driver),
            _ => None,
        }
    }

    /// A turn begins, after waiting for what [`Server::timeout`] said.
    pub fn begin_turn(&mut self, waited: Option<Duration>) {
        self.look_at_the_clock(waited);
    }

    /// Somebody may have begun a connection.
    pub const fn may_accept(&mut self) {
        self.state.accepts = true;
    }

    /// All that came in this turn was told: does what follows from it.
    pub fn end_turn(&mut self) -> Result<(), Exit> {
        self.accept();
        self.read_ready()?;
        // Whoever was away for a while, stopped or starved, first hears what came meanwhile:
        // else it would take its own absence for that of the others.
        if !self.state.was_away {
            self.pass_time()?;
        }
        self.carry_out()?;
        self.write_dirty();
        self.resume_paused();
        Ok(())
    }

    /// How long to wait for events: not at all if something is left to do.
    pub fn timeout(&mut self) -> Option<Duration> {
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
        Some(next.since(self.outside.now()))
    }

    /// Reads the clock, once a turn, and notes whether far more time has passed than should have.
    fn look_at_the_clock(&mut self, waited: Option<Duration>) {
        let now = self.outside.now();
        let before = mem::replace(&mut self.now, now);
        self.door.pass(now);
        let passed = self.now.since(before);
        let patience = self.config.cluster.election_timeout / 2;
        let is_late = waited.is_some_and(|waited| passed > waited + patience);
        // Not twice in a row: what is always late must look at the time, too.
        self.state.was_away = is_late && !self.state.was_away;
        if self.state.was_away {
            self.journal.was_away(self.now, passed);
            if let Life::Serving(serving) = &mut self.life {
                serving.driver.was_away(self.now);
            }
        }
    }

    /// Something has happened to a stream.
    pub fn note(&mut self, id: ConnectionId, readiness: Readiness) {
        let Some(connection) = self.state.connections.get_mut(&id) else { return };
        if readiness.readable {
            connection.is_readable = true;
            if !connection.is_ready {
                connection.is_ready = true;
                self.state.ready.push(id);
            }
        }
        if readiness.writable {
            connection.is_writable = true;
            if let Stage::Connecting(_) = connection.stage {
                self.connected(id);
            } else if !connection.out.is_empty() && !connection.is_dirty {
                connection.is_dirty = true;
                self.state.dirty.push(id);
            }
        }
    }

    /// Takes in what a thread reports.
    pub fn take_report(&mut self, report: Report) -> Result<(), Exit> {
        match report {
            Report::Log(result, took) => self.log_reports(result, took)?,
            Report::File(result) => self.files_report(result)?,
            Report::Addresses(callee, found) => match found {
                Ok(addresses) if !addresses.is_empty() => {
                    self.calls.found(callee, addresses, self.now);
                }
                Ok(_) => self.call_failed(callee, "its name leads nowhere"),
                Err(error) => self.call_failed(callee, &error.to_string()),
            },
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
            && let Some(callee) = self.calls.due(self.now)
        {
            self.call(callee);
        }
        self.form()?;
        self.claim_anew();
        self.refound();
        self.call_the_members();
        if let Life::Serving(serving) = &mut self.life {
            serving.driver.handle(self.now, DriverInput::Tick);
        }
        Ok(())
    }
}

fn plan(config: &Config, begin: &Begin, restores: Option<&Restores>) -> Plan {
    let founder = |node: &Node| Founder {
        id: node.id,
        address: node.address().to_string(),
        votes: node.role == Role::Voter,
    };
    let mut founders: Vec<Founder> = config.nodes.iter().map(founder).collect();
    founders.sort_by_key(|founder| founder.id);
    Plan {
        cluster_name: config.cluster.name.clone(),
        cluster: config.cluster.cluster_id,
        founders,
        // Of two foundings that nothing followed one gives way, and a state isn't given up.
        quorum_is_enough: config.cluster.cluster_id.is_none()
            && restores.is_none()
            && (*begin == Begin::Quorum || config.cluster.storage_class == StorageClass::Memory),
        joins: matches!(begin, Begin::Join(_)),
        settings: restores
            .map_or_else(|| Settings::default().encode(), |restores| restores.settings.clone()),
        restores: restores.map(|restores| restores.id),
    }
}
