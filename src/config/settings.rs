//! The configuration as the other rooms see it: typed, checked, with every default filled in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{ClusterId, NodeId};

/// A checked configuration.
///
/// ```
/// use raft_node::config::{self, Overrides};
///
/// let file = "[Nodes]\nNode1 = A\n[Node.A]\nHost = 10.0.0.1\nPort = 3111\n";
/// let environment: [(&str, &str); 0] = [];
/// let loaded = config::parse("raft.ini", file.as_bytes(), &Overrides::default(), environment)?;
/// let node = loaded.config.node("A").expect("node A is in the file");
/// assert_eq!(node.address().to_string(), "10.0.0.1:3111");
/// # Ok::<(), config::Diagnostics>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// What all nodes share: `[Cluster]`.
    pub cluster: Cluster,
    /// The log on disk: `[Storage]`.
    pub storage: Storage,
    /// When the log is replaced by a snapshot: `[Snapshot]`.
    pub snapshot: Snapshot,
    /// Limits at the clients' door: `[Client]`.
    pub client: Client,
    /// The nodes, ordered by id; at least one.
    pub nodes: Vec<Node>,
}

impl Config {
    /// The node of this number or label.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        let number = name.parse().ok().and_then(NodeId::new);
        self.nodes.iter().find(|node| Some(node.id) == number || node.label == name)
    }

    /// The node of this id.
    #[must_use]
    pub fn node_by_id(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// Where `node` keeps its files: its own `DataDirectory`, else a directory named by its
    /// number below that of the cluster. A relative path is relative to the working directory.
    #[must_use]
    pub fn data_directory(&self, node: &Node) -> PathBuf {
        match &node.data_directory {
            Some(own) => own.clone(),
            None => self.cluster.data_directory.join(node.id.to_string()),
        }
    }

    /// A number that differs, in all likelihood, where the nodes or the name of the cluster
    /// differ. Nodes tell it to each other, so that unequal files are noticed.
    ///
    /// It is FNV-1a of 64 bits (offset basis 0xcbf29ce484222325, prime 0x100000001b3) over:
    /// the cluster's name, the number of nodes as 4 bytes, then for each node by ascending id:
    /// the id in 2 bytes, label, host, the port in 2 bytes, and one byte for the role (0 learner,
    /// 1 voter). Numbers are little-endian; a text is preceded by its length in bytes as 4 bytes.
    /// This holds in all versions.
    #[must_use]
    pub fn nodes_hash(&self) -> u64 {
        let mut nodes: Vec<&Node> = self.nodes.iter().collect();
        nodes.sort_by_key(|node| node.id);
        let mut hash = Fnv::new();
        hash.text(&self.cluster.name);
        hash.length(nodes.len());
        for node in nodes {
            hash.bytes(&node.id.number().to_le_bytes());
            hash.text(&node.label);
            hash.text(&node.host);
            hash.bytes(&node.port.to_le_bytes());
            hash.bytes(&[u8::from(node.role == Role::Voter)]);
        }
        hash.0
    }
}

/// `[Cluster]`: what all nodes share. The default is the configuration without a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// Log at level debug.
    pub debug: bool,
    /// The cluster's name, 1 to 64 bytes. Nodes of another name are refused.
    pub name: String,
    /// The id that the cluster must have; without one, whatever was drawn when it formed.
    pub cluster_id: Option<ClusterId>,
    /// E: a follower campaigns after a silence drawn from E to 2E.
    pub election_timeout: Duration,
    /// How often a leader speaks to each follower at least.
    pub heartbeat_interval: Duration,
    /// Ask whether an election could be won before raising the term (dissertation, 9.6).
    pub pre_vote: bool,
    /// A leader that hears no quorum for an election timeout steps down (dissertation, 6.2).
    pub check_quorum: bool,
    /// Reads may rely on the leader's lease, and so on bounded clock drift (dissertation, 6.4.1).
    pub lease_reads: bool,
    /// How long a node may take to stop in good order.
    pub shutdown_timeout: Duration,
    /// What keeps the log.
    pub storage_class: StorageClass,
    /// Below it each node has a directory of its number; see [`Config::data_directory`].
    pub data_directory: PathBuf,
    /// Bytes of entries on the way to one follower.
    pub max_inflight_bytes: u64,
    /// Bytes of one group commit.
    pub max_batch_bytes: u64,
    /// Bytes that wait for the disk before a leader answers `busy`.
    pub max_unpersisted_bytes: u64,
    /// Bytes of recent entries that are kept in memory.
    pub recent_bytes: u64,
    /// How many nodes the file says that it has. It has so many, if it says it.
    pub node_count: Option<u64>,
}

/// What keeps the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StorageClass {
    /// The durable log.
    File,
    /// Memory: nothing is kept over a restart.
    Memory,
}

/// `[Storage]`: the log on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Storage {
    /// Bytes of one segment, a multiple of 4 KiB.
    pub segment_size: u64,
    /// Whether writes are synced before they are acknowledged.
    pub sync: SyncPolicy,
    /// Bytes that stay free on the file system; below it writes are refused.
    pub min_free_space: u64,
}

/// Whether writes are synced before they are acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncPolicy {
    /// Each group commit is.
    Always,
    /// Never: a power cut may lose what was acknowledged.
    None,
}

/// `[Snapshot]`: when the log is replaced by a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Below so many bytes of log no snapshot is taken for its size.
    pub min_log_size: u64,
    /// A snapshot is taken when the log has so many times the bytes of the last snapshot.
    pub log_ratio: u64,
    /// Entries that stay in the log below a snapshot, for followers that lag a little.
    pub keep_entries: u64,
    /// The most bytes of log that are kept for a follower that lags more than that.
    pub max_lag_size: u64,
    /// After so long a snapshot is taken, if anything has changed.
    pub max_age: Duration,
}

/// `[Client]`: limits at the clients' door.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// Connections of clients at one time.
    pub max_connections: u64,
    /// Bytes of one value.
    pub max_value_size: u64,
    /// How long a request may wait when it names no deadline itself.
    pub request_timeout: Duration,
}

/// `[Node.X]`: one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its number: N of the line `NodeN = X`.
    pub id: NodeId,
    /// X.
    pub label: String,
    /// The name or address under which others reach it; one of version 6 without brackets.
    pub host: String,
    /// The port under which others reach it.
    pub port: u16,
    /// Whether it votes in the first configuration.
    pub role: Role,
    /// Where this node keeps its files; see [`Config::data_directory`].
    pub data_directory: Option<PathBuf>,
    /// What it binds, where that isn't `host` and `port`.
    pub listen: Option<Listen>,
}

impl Node {
    /// Where others reach it.
    #[must_use]
    pub fn address(&self) -> Address {
        Address { host: self.host.clone(), port: self.port }
    }

    /// What it binds.
    #[must_use]
    pub fn listen_address(&self) -> Address {
        match &self.listen {
            Some(Listen { host, port }) => {
                Address { host: host.clone(), port: port.unwrap_or(self.port) }
            }
            None => self.address(),
        }
    }
}

/// What a node is in the first configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It votes.
    Voter,
    /// It receives the log and doesn't vote.
    Learner,
}

/// What a node binds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// A name or address of this host.
    pub host: String,
    /// The port, where it isn't the node's.
    pub port: Option<u16>,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => Address { host: self.host.clone(), port }.fmt(f),
            None => f.write_str(&self.host),
        }
    }
}

/// A host and a port; shown as `host:port`, with brackets around an address of version 6.
///
/// ```
/// use raft_node::config::Address;
/// let address: Address = "[::1]:3111".parse()?;
/// assert_eq!(address, Address { host: "::1".to_owned(), port: 3111 });
/// assert_eq!(address.to_string(), "[::1]:3111");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port, 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// FNV-1a of 64 bits.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }

    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("texts and node lists are bounded when read");
        self.bytes(&length.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }
}
