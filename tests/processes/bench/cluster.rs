//! A cluster of real processes with its configuration and its directories.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::{Process, raft};

/// The configuration that the cluster is formed with.
const USUAL: &str = "raft.ini";

/// The configuration that names the spare nodes, too.
const GROWN: &str = "grown.ini";

/// How a cluster differs from the usual one.
#[derive(Clone)]
pub(crate) struct Shape {
    /// How many nodes it has.
    pub(crate) nodes: u16,
    /// How many further nodes may join it: they have numbers behind the others', and a
    /// configuration of their own, which names all.
    pub(crate) spares: u16,
    /// The name of the cluster.
    pub(crate) name: &'static str,
    /// Further lines of `[Cluster]`.
    pub(crate) cluster: &'static str,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { nodes: 3, spares: 0, name: "test", cluster: "" }
    }
}

/// A directory of its own with a raft.ini, and the processes that were started from it. All of
/// it is gone when it is dropped.
pub(crate) struct Cluster {
    /// Dropped before the directory that they work in.
    nodes: Vec<Option<Process>>,
    founders: u16,
    directory: TempDir,
    ports: Vec<u16>,
    host: IpAddr,
    starts: u32,
}

impl Cluster {
    /// A configuration of which nothing runs yet.
    pub(crate) fn new(shape: &Shape) -> Cluster {
        let directory = tempfile::Builder::new()
            .prefix("raft-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a directory can be made");
        let host = own_address();
        let ports = free_ports(host, shape.nodes + shape.spares);
        let data = directory.path().join("data");
        let founders = &ports[..usize::from(shape.nodes)];
        for (file, ports) in [(USUAL, founders), (GROWN, &ports)] {
            let text = configuration(shape, host, ports, &data);
            fs::write(directory.path().join(file), text).expect("a file can be written");
        }
        let nodes = ports.iter().map(|_| None).collect();
        Cluster { nodes, founders: shape.nodes, directory, ports, host, starts: 0 }
    }

    /// Adds lines to the configuration. A node that runs reads them when it is told to.
    pub(crate) fn configure(&self, lines: &str) {
        let text = fs::read_to_string(self.config_path()).expect("the file is there");
        fs::write(self.config_path(), format!("{text}\n{lines}\n")).expect("it can be written");
    }

    /// A cluster all of whose nodes have been started.
    pub(crate) fn start(shape: &Shape) -> Cluster {
        let mut cluster = Cluster::new(shape);
        cluster.start_all();
        cluster
    }

    /// Starts all nodes that don't run, but no spare ones.
    pub(crate) fn start_all(&mut self) {
        for id in 1..=self.founders {
            if !self.runs(id) {
                self.start_node(id);
            }
        }
    }

    pub(crate) fn start_node(&mut self, id: u16) {
        self.start_node_with(id, &[]);
    }

    /// Starts a node with further flags.
    pub(crate) fn start_node_with(&mut self, id: u16, flags: &[&str]) {
        let file = if id > self.founders { GROWN } else { USUAL };
        self.start_node_from(id, file, flags);
    }

    /// Starts a node with another configuration.
    pub(crate) fn start_node_from(&mut self, id: u16, file: &str, flags: &[&str]) {
        assert!(!self.runs(id), "node {id} runs already");
        let process = self.spawn_node_from(id, file, flags);
        self.nodes[usize::from(id) - 1] = Some(process);
    }

    /// Starts a node as a child of another program, which is given the node's command line behind
    /// its own, and ends as the node ends.
    pub(crate) fn start_node_under(&mut self, id: u16, program: &[&str]) {
        assert!(!self.runs(id), "node {id} runs already");
        let node = raft();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(node.get_program());
        command.envs(node.get_envs().filter_map(|(name, value)| Some((name, value?))));
        for (name, _) in node.get_envs().filter(|(_, value)| value.is_none()) {
            command.env_remove(name);
        }
        let process = self.spawn(command, id, USUAL, &[]);
        self.nodes[usize::from(id) - 1] = Some(process);
    }

    /// Writes a configuration that names no other node than this one.
    pub(crate) fn only_in_a_file_of_its_own(&self, id: u16) -> String {
        let (host, port) = self.address(id);
        let lines = fs::read_to_string(self.config_path()).expect("the file is there");
        let (head, _) = lines.split_once("[Nodes]").expect("it has nodes");
        let text = format!(
            "{head}[Nodes]\nNode{id} = {0}\n\n[Node.{0}]\nHost = {host}\nPort = {port}\n",
            char::from(b'A' + id as u8 - 1)
        );
        let file = format!("only-{id}.ini");
        fs::write(self.directory.path().join(&file), text).expect("a file can be written");
        file
    }

    /// A process that was started as node `id`, without being that node of this cluster.
    pub(crate) fn spawn_node(&mut self, id: u16, flags: &[&str]) -> Process {
        self.spawn_node_from(id, USUAL, flags)
    }

    fn spawn_node_from(&mut self, id: u16, file: &str, flags: &[&str]) -> Process {
        self.spawn(raft(), id, file, flags)
    }

    fn spawn(&mut self, mut command: Command, id: u16, file: &str, flags: &[&str]) -> Process {
        self.starts += 1;
        let name = format!("node {id}, start {}", self.starts);
        let output = self.directory.path().join(format!("output-{}", self.starts));
        command.current_dir(self.directory.path());
        command.args(["-c", file, "-n", &id.to_string()]).args(flags);
        Process::start(command, &name, output)
    }

    /// The process of a node that has been started.
    #[track_caller]
    pub(crate) fn node(&mut self, id: u16) -> &mut Process {
        let node = &mut self.nodes[usize::from(id) - 1];
        node.as_mut().expect("the node has been started")
    }

    pub(crate) fn runs(&mut self, id: u16) -> bool {
        self.nodes[usize::from(id) - 1].as_mut().is_some_and(Process::runs)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u16> + use<> {
        1..=u16::try_from(self.nodes.len()).expect("few nodes")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.directory.path().join("raft.ini")
    }

    pub(crate) fn data_directory(&self, id: u16) -> PathBuf {
        self.directory.path().join("data").join(id.to_string())
    }

    /// Where node `id` is reached.
    pub(crate) fn address(&self, id: u16) -> (IpAddr, u16) {
        (self.host, self.ports[usize::from(id) - 1])
    }
}

/// An address of the loopback network that no other test of this machine uses, so that ports of
/// others, outgoing ones included, are never in the way.
fn own_address() -> IpAddr {
    static CLUSTERS: AtomicU32 = AtomicU32::new(0);
    let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
    let [_, high, middle, low] = process::id().wrapping_mul(251).wrapping_add(number).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, high, middle, low.clamp(1, 254)))
}

fn free_ports(host: IpAddr, count: u16) -> Vec<u16> {
    let bind = |_| TcpListener::bind((host, 0)).expect("a free port");
    let listeners: Vec<TcpListener> = (0..count).map(bind).collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    listeners.iter().map(port).collect()
}

fn configuration(shape: &Shape, host: IpAddr, ports: &[u16], data: &Path) -> String {
    let Shape { name, cluster, .. } = shape;
    let mut text = format!(
        "[Cluster]\nName = {name}\nElectionTimeout = 500ms\nHeartbeatInterval = 50ms\n\
         DataDirectory = {}\n{cluster}\n\
         [Storage]\nSegmentSize = 16MiB\nMinFreeSpace = 0\n\n[Nodes]\n",
        data.display()
    );
    for (id, _) in (1..).zip(ports) {
        text += &format!("Node{id} = {}\n", label(id));
    }
    for (id, port) in (1..).zip(ports) {
        text += &format!("\n[Node.{}]\nHost = {host}\nPort = {port}\n", label(id));
    }
    text
}

/// Node 1 is A, as in the raft.ini that comes with the project.
fn label(id: u8) -> char {
    char::from(b'A' + id - 1)
}
