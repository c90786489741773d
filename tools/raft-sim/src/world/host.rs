//! A machine, and the node's process on it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use raft_node::config::{self, Config, Overrides};
use raft_node::model::NodeId;
use raft_node::node::{Begin, Readiness, Report, Server, Store};

use super::clock::Clock;
use super::disks::{DATA, HostDisk};
use super::doors::Door;
use super::foundings::founders_begin;
use super::network::address;
use super::outside::Surroundings;
use super::scenario::Scenario;

/// How a machine's process is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// It doesn't run.
    Off,
    /// It reads its disk and will run at this time.
    Starting,
    /// It runs.
    Up,
    /// It has ended for good, with this reason.
    Gone(String),
}

/// A machine.
pub(crate) struct Host {
    pub(crate) id: NodeId,
    pub(crate) config: Config,
    /// Which address it has.
    pub(crate) place: usize,
    /// How its node begins when the directory is empty.
    pub(crate) begin: Begin,
    /// Whether its node was removed, and its directory will be thrown away.
    pub(crate) is_thrown: bool,
    pub(crate) disk: HostDisk,
    pub(crate) clock: Rc<Cell<Clock>>,
    pub(crate) state: State,
    pub(crate) server: Option<Box<Server<Surroundings>>>,
    /// Counts the processes.
    pub(crate) epoch: u64,
    /// When the next turn is, and its number: an earlier one is void.
    pub(crate) turn_at: Option<u64>,
    pub(crate) turn: u64,
    pub(crate) busy_until: u64,
    pub(crate) paused_until: u64,
    /// What the process said that it would wait for.
    pub(crate) waited: Option<Duration>,
    pub(crate) ready: Vec<(usize, Readiness)>,
    pub(crate) is_called: bool,
    pub(crate) reports: Vec<Report>,
    /// What the log thread and the file thread will report.
    pub(crate) log_report: Option<Report>,
    pub(crate) file_report: Option<Report>,
    /// Since when the log thread has had its work, if it has any.
    pub(crate) log_since: Option<u64>,
    /// Until when all files but the log take long.
    pub(crate) files_slow_until: u64,
    /// When the last of what its disk does now is done.
    pub(crate) disk_until: u64,
    /// Whether its directory was wiped, or has rotten, or is a copy: it may be refused.
    pub(crate) may_end: bool,
    /// Whether it runs on a copy of a directory and has forgotten what it has promised, or what
    /// the original has.
    pub(crate) is_copy: bool,
    /// Whether a file has vanished since it was started.
    pub(crate) lacks_file: bool,
    /// How many writes to its log went astray since it was started.
    pub(crate) astray: usize,
    /// What its process must know of the others.
    pub(crate) door: Door,
    /// What it has read and doesn't work with yet.
    pub(crate) store: Option<Store>,
}

impl Host {
    pub(crate) fn new(scenario: &Scenario, machine: usize, disk: HostDisk) -> Host {
        let id = NodeId::new(machine as u16 + 1).expect("machines are counted from 0");
        let waits = (scenario.nodes..scenario.nodes + scenario.spares).contains(&machine);
        Host {
            id,
            config: configuration(scenario, machine, &founders_see(scenario, waits)),
            place: machine,
            begin: if waits { Begin::Join(None) } else { founders_begin(scenario) },
            is_thrown: false,
            disk,
            clock: Rc::default(),
            state: State::Off,
            server: None,
            epoch: 0,
            turn_at: None,
            turn: 0,
            busy_until: 0,
            paused_until: 0,
            waited: None,
            ready: Vec::new(),
            is_called: false,
            reports: Vec::new(),
            log_report: None,
            file_report: None,
            log_since: None,
            files_slow_until: 0,
            disk_until: 0,
            may_end: false,
            is_copy: false,
            lacks_file: false,
            astray: 0,
            door: Door::default(),
            store: None,
        }
    }

    /// Its directory is empty, and it waits to be taken in.
    pub(crate) fn begin_as_joiner(&mut self, scenario: &Scenario, places: &[usize]) {
        self.is_told_of(scenario, places);
        self.begin = Begin::Join(None);
        self.is_thrown = false;
    }

    /// Its file names all nodes that there are, at these addresses.
    pub(crate) fn is_told_of(&mut self, scenario: &Scenario, places: &[usize]) {
        self.config = configuration(scenario, self.number(), places);
    }

    /// Where its node is reached.
    pub(crate) fn address(&self) -> String {
        let node = self.config.node_by_id(self.id);
        node.map(|node| node.address().to_string()).unwrap_or_default()
    }

    /// Which of the nodes it is, counted from 0.
    pub(crate) fn number(&self) -> usize {
        usize::from(self.id.number()) - 1
    }

    /// Whether it may come back.
    pub(crate) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone(_))
    }

    /// The process is gone, and what it had in memory.
    pub(crate) fn drop_process(&mut self) {
        self.server = None;
        self.door = Door::default();
        self.epoch += 1;
        self.turn_at = None;
        self.waited = None;
        self.ready.clear();
        self.reports.clear();
        self.is_called = false;
        self.log_report = None;
        self.file_report = None;
        self.log_since = None;
        self.disk_until = 0;
    }
}

/// Which addresses stand in the first file of a node: those who found a cluster know of each other,
/// and who is to be taken in knows all nodes that there are.
fn founders_see(scenario: &Scenario, waits: bool) -> Vec<usize> {
    (0..scenario.nodes + if waits { scenario.spares } else { 0 }).collect()
}

/// What stands in a node's raft.ini, with sizes that the file wouldn't allow. The nodes have these
/// addresses.
fn configuration(scenario: &Scenario, machine: usize, places: &[usize]) -> Config {
    let mut text = format!("[Cluster]\nName = simulated\nDataDirectory = {DATA}\n[Nodes]\n");
    for number in 1..=places.len() {
        text += &format!("Node{number} = N{number}\n");
    }
    for (number, place) in (1..).zip(places) {
        let address = address(*place);
        let (host, port) = (address.ip(), address.port());
        text += &format!("[Node.N{number}]\nHost = {host}\nPort = {port}\n");
    }
    let nothing: [(&str, &str); 0] = [];
    let loaded = config::parse("raft.ini", text.as_bytes(), &Overrides::default(), nothing);
    let mut config = loaded.expect("the file is well-formed").config;
    let cluster = &mut config.cluster;
    cluster.election_timeout = scenario.election_timeout;
    cluster.heartbeat_interval = scenario.heartbeat_interval;
    cluster.max_batch_bytes = scenario.max_batch_bytes;
    cluster.max_inflight_bytes = scenario.max_inflight_bytes;
    cluster.max_unpersisted_bytes = scenario.max_unpersisted_bytes;
    cluster.recent_bytes = scenario.recent_bytes;
    cluster.shutdown_timeout = 20 * scenario.election_timeout;
    config.storage.segment_size = scenario.segment_bytes;
    config.storage.min_free_space = 0;
    config.snapshot = config::Snapshot {
        min_log_size: scenario.snapshots.min_log_bytes,
        log_ratio: scenario.snapshots.log_ratio,
        keep_entries: scenario.keep_entries(machine),
        max_lag_size: scenario.snapshots.max_lag_bytes,
        max_age: scenario.snapshots.max_age,
    };
    config
}
