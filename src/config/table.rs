//! Every key of raft.ini: its name, default, range and meaning. The checks, the messages, the
//! effective configuration and the reference page are all made from these tables.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::Fallback::{Absent, Required, Text as Given};
use super::keys::{Key, Kind};
use super::settings::{
    Client, Cluster, Listen, Node, Role, Snapshot, Storage, StorageClass, SyncPolicy,
};
use super::values;
use crate::model::{MAX_ENTRY_BYTES, NodeId};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const HOUR: Duration = Duration::from_secs(3600);

/// What a segment holds beside a batch: one more entry of the largest kind, and the headers.
pub(super) const SEGMENT_RESERVE: u64 = MAX_ENTRY_BYTES as u64 + MIB;

/// The largest value that a client may be allowed. A transaction holds several of them, and all
/// of it is one entry.
const LARGEST_VALUE: u64 = MAX_ENTRY_BYTES as u64 / 2;

pub(super) const CLUSTER: &[Key<Cluster>] = &[
    Key {
        name: "Debug",
        default: Given("False"),
        kind: Kind::Switch(|cluster| &mut cluster.debug),
        doc: "Log at level debug.",
    },
    Key {
        name: "Name",
        default: Given("raft"),
        kind: Kind::Text {
            allowed: "1..64 bytes of text",
            store: |cluster, text| values::parse_cluster_name(text).map(|name| cluster.name = name),
            show: |cluster| Some(cluster.name.clone()),
        },
        doc: "The name of the cluster. Nodes of another name are refused, so two clusters whose \
              addresses were mixed up don't meet.",
    },
    Key {
        name: "ClusterId",
        default: Absent("drawn when the cluster forms"),
        kind: Kind::Text {
            allowed: "32 hexadecimal digits, not all 0",
            store: |cluster, text| {
                values::parse_cluster_id(text).map(|id| cluster.cluster_id = Some(id))
            },
            show: |cluster| cluster.cluster_id.map(|id| id.to_string()),
        },
        doc: "The id that the cluster must have. A node whose directory belongs to another one \
              doesn't start. With it a cluster forms only when all nodes are there.",
    },
    Key {
        name: "ElectionTimeout",
        default: Given("500ms"),
        kind: Kind::Duration {
            field: |cluster| &mut cluster.election_timeout,
            min: Duration::from_millis(10),
            max: HOUR,
        },
        doc: "E: a follower that hears no leader campaigns after a silence drawn from [E, 2E]. A \
              failed leader is replaced about that much later. Must be at least 3 times \
              HeartbeatInterval; 10 times is good. Set it well above the round trip between the \
              hosts and the longest sync of their disks.",
    },
    Key {
        name: "HeartbeatInterval",
        default: Given("50ms"),
        kind: Kind::Duration {
            field: |cluster| &mut cluster.heartbeat_interval,
            min: Duration::from_millis(1),
            max: Duration::from_secs(60),
        },
        doc: "How often a leader speaks to each follower at least.",
    },
    Key {
        name: "PreVote",
        default: Given("True"),
        kind: Kind::Switch(|cluster| &mut cluster.pre_vote),
        doc: "Ask the others whether an election could be won before starting it, so that a node \
              that was cut off doesn't disturb them when it returns.",
    },
    Key {
        name: "CheckQuorum",
        default: Given("True"),
        kind: Kind::Switch(|cluster| &mut cluster.check_quorum),
        doc: "A leader that hears no majority for an election timeout steps down.",
    },
    Key {
        name: "LeaseReads",
        default: Given("False"),
        kind: Kind::Switch(|cluster| &mut cluster.lease_reads),
        doc: "Allow reads that rely on the leader's lease instead of a round to a majority. They \
              are as good as the clocks: one that runs far too slow can make them stale. Needs \
              CheckQuorum. It has no effect so far: the leader asks a majority for them too.",
    },
    Key {
        name: "ShutdownTimeout",
        default: Given("5s"),
        kind: Kind::Duration {
            field: |cluster| &mut cluster.shutdown_timeout,
            min: Duration::from_millis(100),
            max: HOUR,
        },
        doc: "How long a node that is told to stop may take to hand over leadership and to answer \
              what is in flight.",
    },
    Key {
        name: "StorageClass",
        default: Given("FileStorage"),
        kind: Kind::Choice {
            words: &["FileStorage", "InMemoryStorage"],
            store: |cluster, word| {
                cluster.storage_class = [StorageClass::File, StorageClass::Memory][word];
            },
            show: |cluster| usize::from(cluster.storage_class == StorageClass::Memory),
        },
        doc: "`FileStorage` is the durable log. `InMemoryStorage` keeps nothing over a restart: \
              a restarted node comes in as a new member.",
    },
    Key {
        name: "DataDirectory",
        default: Given("./datasets/raft"),
        kind: Kind::Text {
            allowed: "the path of a directory",
            store: |cluster, text| {
                values::parse_directory(text).map(|path| cluster.data_directory = path)
            },
            show: |cluster| Some(cluster.data_directory.display().to_string()),
        },
        doc: "Node N keeps its files in the directory N below this one. A relative path is \
              relative to the working directory.",
    },
    Key {
        name: "MaxInflightBytes",
        default: Given("16MiB"),
        kind: Kind::Size {
            field: |cluster| &mut cluster.max_inflight_bytes,
            min: 64 * KIB,
            max: GIB,
            multiple_of: 1,
        },
        doc: "Bytes of entries on the way to one follower. Bandwidth times round trip fills the \
              line: 16MiB are enough for 10 Gbit/s over 13 ms.",
    },
    Key {
        name: "MaxBatchBytes",
        default: Given("4MiB"),
        kind: Kind::Size {
            field: |cluster| &mut cluster.max_batch_bytes,
            min: 64 * KIB,
            max: 256 * MIB,
            multiple_of: 1,
        },
        doc: "Bytes of entries that are written and synced together. SegmentSize must be at least \
              9MiB more.",
    },
    Key {
        name: "MaxUnpersistedBytes",
        default: Given("64MiB"),
        kind: Kind::Size {
            field: |cluster| &mut cluster.max_unpersisted_bytes,
            min: MAX_ENTRY_BYTES as u64,
            max: 16 * GIB,
            multiple_of: 1,
        },
        doc: "Bytes of entries that may wait for the disk. Above it a leader answers `busy`. Must \
              not be less than MaxBatchBytes.",
    },
    Key {
        name: "RecentBytes",
        default: Given("64MiB"),
        kind: Kind::Size {
            field: |cluster| &mut cluster.recent_bytes,
            min: MIB,
            max: 64 * GIB,
            multiple_of: 1,
        },
        doc: "Bytes of recent entries that are kept in memory; followers that lag further are \
              served from the disk.",
    },
    Key {
        name: "NodeCount",
        default: Absent("the number of nodes isn't checked"),
        kind: Kind::Text {
            allowed: "the number of nodes in [Nodes]",
            store: |cluster, text| match values::parse_count(text) {
                Some(count) => {
                    cluster.node_count = Some(count);
                    Ok(())
                }
                None => Err("must be the number of nodes in [Nodes]".to_owned()),
            },
            show: |cluster| cluster.node_count.map(|count| count.to_string()),
        },
        doc: "How many nodes there are. It decides nothing; another number is an error, so that \
              a forgotten node is noticed.",
    },
];

pub(super) const STORAGE: &[Key<Storage>] = &[
    Key {
        name: "SegmentSize",
        default: Given("64MiB"),
        kind: Kind::Size {
            field: |storage| &mut storage.segment_size,
            min: 16 * MIB,
            max: GIB,
            multiple_of: 4 * KIB,
        },
        doc: "Bytes of one file of the log. Each node has one open and two standing ready, all of \
              them with their full size on disk.",
    },
    Key {
        name: "Sync",
        default: Given("always"),
        kind: Kind::Choice {
            words: &["always", "none"],
            store: |storage, word| storage.sync = [SyncPolicy::Always, SyncPolicy::None][word],
            show: |storage| usize::from(storage.sync == SyncPolicy::None),
        },
        doc: "`always`: nothing is acknowledged before it is on the disk. `none`: a power cut may \
              lose acknowledged writes; only for data that can be made again.",
    },
    Key {
        name: "MinFreeSpace",
        default: Given("256MiB"),
        kind: Kind::Size {
            field: |storage| &mut storage.min_free_space,
            min: 0,
            max: TIB,
            multiple_of: 1,
        },
        doc: "When less than this is free on the file system, writes are refused and reads go on.",
    },
];

pub(super) const SNAPSHOT: &[Key<Snapshot>] = &[
    Key {
        name: "MinLogSize",
        default: Given("64MiB"),
        kind: Kind::Size {
            field: |snapshot| &mut snapshot.min_log_size,
            min: MIB,
            max: TIB,
            multiple_of: 1,
        },
        doc: "As long as the log is smaller, no snapshot is taken for its size.",
    },
    Key {
        name: "LogRatio",
        default: Given("4"),
        kind: Kind::Count { field: |snapshot| &mut snapshot.log_ratio, min: 1, max: 1000 },
        doc: "A snapshot is taken when the log is this many times as large as the last snapshot. \
              More writes the state less often and takes longer to start.",
    },
    Key {
        name: "KeepEntries",
        default: Given("10000"),
        kind: Kind::Count {
            field: |snapshot| &mut snapshot.keep_entries,
            min: 0,
            max: 1_000_000_000,
        },
        doc: "Entries that stay in the log below a snapshot, so that a follower that lags a \
              little needn't be sent the whole state.",
    },
    Key {
        name: "MaxLagSize",
        default: Given("1GiB"),
        kind: Kind::Size {
            field: |snapshot| &mut snapshot.max_lag_size,
            min: 0,
            max: TIB,
            multiple_of: 1,
        },
        doc: "The most bytes of log that are kept for a follower that lags more than that; beyond \
              it the follower is sent the state.",
    },
    Key {
        name: "MaxAge",
        default: Given("24h"),
        kind: Kind::Duration {
            field: |snapshot| &mut snapshot.max_age,
            min: Duration::from_secs(1),
            max: Duration::from_secs(366 * 24 * 3600),
        },
        doc: "If something has changed since the last snapshot, one is taken when that is so old.",
    },
];

pub(super) const CLIENT: &[Key<Client>] = &[
    Key {
        name: "MaxConnections",
        default: Given("1000"),
        kind: Kind::Count { field: |client| &mut client.max_connections, min: 1, max: 1_000_000 },
        doc: "Connections of clients at one time; further ones are closed with a reason. Each \
              takes a file descriptor.",
    },
    Key {
        name: "MaxValueSize",
        default: Given("1MiB"),
        kind: Kind::Size {
            field: |client| &mut client.max_value_size,
            min: KIB,
            max: LARGEST_VALUE,
            multiple_of: 1,
        },
        doc: "Bytes of one value; a longer one is refused.",
    },
    Key {
        name: "RequestTimeout",
        default: Given("5s"),
        kind: Kind::Duration {
            field: |client| &mut client.request_timeout,
            min: Duration::from_millis(10),
            max: HOUR,
        },
        doc: "How long a request may wait when it names no deadline itself.",
    },
];

/// The keys of one `[Node.X]`, before it is known that the required ones are there.
#[derive(Clone, Debug)]
pub(super) struct NodeDraft {
    pub(super) label: String,
    pub(super) id: Option<NodeId>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) role: Role,
    pub(super) data_directory: Option<PathBuf>,
    pub(super) listen: Option<Listen>,
}

impl NodeDraft {
    pub(super) fn blank(label: &str) -> NodeDraft {
        NodeDraft {
            label: label.to_owned(),
            id: None,
            host: None,
            port: None,
            role: Role::Voter,
            data_directory: None,
            listen: None,
        }
    }

    pub(super) fn of(node: &Node) -> NodeDraft {
        NodeDraft {
            label: node.label.clone(),
            id: Some(node.id),
            host: Some(node.host.clone()),
            port: Some(node.port),
            role: node.role,
            data_directory: node.data_directory.clone(),
            listen: node.listen.clone(),
        }
    }
}

pub(super) const NODE: &[Key<NodeDraft>] = &[
    Key {
        name: "Label",
        default: Absent("the X of [Node.X]"),
        kind: Kind::Text {
            allowed: "the X of [Node.X]: 1..64 letters, digits, \"-\", \"_\" or \".\", not all \
                      digits",
            store: |node, text| {
                values::parse_label(text)?;
                if text == node.label {
                    Ok(())
                } else {
                    Err(format!("must be {}, as in the section's name", node.label))
                }
            },
            show: |node| Some(node.label.clone()),
        },
        doc: "The name of the node. It is the section's; saying it again is allowed.",
    },
    Key {
        name: "Id",
        default: Absent("the N of NodeN"),
        kind: Kind::Text {
            allowed: "the N of the line `NodeN = X`",
            store: |node, text| values::parse_node_id(text).map(|id| node.id = Some(id)),
            show: |node| node.id.map(|id| id.to_string()),
        },
        doc: "The number of the node. It is given in [Nodes]; saying it again is allowed.",
    },
    Key {
        name: "Host",
        default: Required,
        kind: Kind::Text {
            allowed: "a host name or an IP address",
            store: |node, text| values::parse_host(text).map(|host| node.host = Some(host)),
            show: |node| node.host.clone(),
        },
        doc: "Where the others and the clients reach the node.",
    },
    Key {
        name: "Port",
        default: Required,
        kind: Kind::Text {
            allowed: "1..65535",
            store: |node, text| values::parse_port(text).map(|port| node.port = Some(port)),
            show: |node| node.port.map(|port| port.to_string()),
        },
        doc: "The port for peers and clients alike.",
    },
    Key {
        name: "Role",
        default: Given("voter"),
        kind: Kind::Choice {
            words: &["voter", "learner"],
            store: |node, word| node.role = [Role::Voter, Role::Learner][word],
            show: |node| usize::from(node.role == Role::Learner),
        },
        doc: "A `learner` receives the log and doesn't vote. Holds when the cluster forms; \
              afterwards the configuration in the log rules.",
    },
    Key {
        name: "DataDirectory",
        default: Absent("the directory N below [Cluster] DataDirectory"),
        kind: Kind::Text {
            allowed: "the path of a directory",
            store: |node, text| {
                values::parse_directory(text).map(|path| node.data_directory = Some(path))
            },
            show: |node| node.data_directory.as_ref().map(|path| path.display().to_string()),
        },
        doc: "The directory of this node itself.",
    },
    Key {
        name: "Listen",
        default: Absent("Host and Port"),
        kind: Kind::Text {
            allowed: "HOST or HOST:PORT",
            store: |node, text| values::parse_listen(text).map(|at| node.listen = Some(at)),
            show: |node| node.listen.as_ref().map(Listen::to_string),
        },
        doc: "What the node binds, where that isn't what it tells the others: `0.0.0.0` behind an \
              address translation, for example. Without a port, Port holds.",
    },
];

impl Default for Cluster {
    fn default() -> Cluster {
        let blank = Cluster {
            debug: false,
            name: String::new(),
            cluster_id: None,
            election_timeout: Duration::ZERO,
            heartbeat_interval: Duration::ZERO,
            pre_vote: false,
            check_quorum: false,
            lease_reads: false,
            shutdown_timeout: Duration::ZERO,
            storage_class: StorageClass::File,
            data_directory: PathBuf::new(),
            max_inflight_bytes: 0,
            max_batch_bytes: 0,
            max_unpersisted_bytes: 0,
            recent_bytes: 0,
            node_count: None,
        };
        with_defaults(blank, CLUSTER)
    }
}

/// The defaults of the reference.
impl Default for Storage {
    fn default() -> Storage {
        let blank = Storage { segment_size: 0, sync: SyncPolicy::Always, min_free_space: 0 };
        with_defaults(blank, STORAGE)
    }
}

/// The defaults of the reference.
impl Default for Snapshot {
    fn default() -> Snapshot {
        let blank = Snapshot {
            min_log_size: 0,
            log_ratio: 0,
            keep_entries: 0,
            max_lag_size: 0,
            max_age: Duration::ZERO,
        };
        with_defaults(blank, SNAPSHOT)
    }
}

/// The defaults of the reference.
impl Default for Client {
    fn default() -> Client {
        let blank =
            Client { max_connections: 0, max_value_size: 0, request_timeout: Duration::ZERO };
        with_defaults(blank, CLIENT)
    }
}

fn with_defaults<T: Clone>(mut target: T, keys: &[Key<T>]) -> T {
    for key in keys {
        if let Given(text) = key.default {
            key.store(&mut target, text).expect("each default of the table lies in its range");
        }
    }
    target
}
