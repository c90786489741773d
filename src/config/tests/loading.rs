//! Files that are right.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::config::{
    Client, Cluster, Role, Snapshot, Storage, StorageClass, SyncPolicy, reference,
};
use crate::model::{ClusterId, NodeId};

#[test]
fn the_file_of_the_python_project_works_unchanged() {
    let config = config(ORIGINAL);
    let expected = Cluster {
        debug: true,
        election_timeout: Duration::from_secs(12),
        heartbeat_interval: Duration::from_millis(5),
        storage_class: StorageClass::Memory,
        data_directory: PathBuf::from("./datasets/raft"),
        node_count: Some(5),
        ..Cluster::default()
    };
    assert_eq!(config.cluster, expected);
    assert_eq!(config.cluster.name, "raft");
    let nodes: Vec<String> = config
        .nodes
        .iter()
        .map(|node| format!("{} {} {} {:?}", node.id, node.label, node.address(), node.role))
        .collect();
    assert_eq!(
        nodes,
        [
            "1 A 127.0.0.1:3111 Voter",
            "2 B 127.0.0.1:3112 Voter",
            "3 C 127.0.0.1:3113 Voter",
            "4 D 127.0.0.1:3114 Voter",
            "5 E 127.0.0.1:3115 Voter",
        ]
    );
}

#[test]
fn the_shipped_file_has_the_defaults_and_gives_no_warning() {
    let loaded = load(SHIPPED).unwrap();
    assert_eq!(loaded.warnings, []);
    let expected = Cluster { node_count: Some(5), ..Cluster::default() };
    assert_eq!(loaded.config.cluster, expected);
    let mut original = config(ORIGINAL);
    original.cluster = expected;
    assert_eq!(loaded.config, original, "the same nodes at the same addresses");
}

#[test]
fn the_shortest_file_is_one_node_and_everything_else_has_a_default() {
    let config = config("[Nodes]\nNode1=A\n[Node.A]\nHost=h\nPort=1");
    assert_eq!(config.cluster, Cluster::default());
    assert_eq!(config.storage, Storage::default());
    assert_eq!(config.snapshot, Snapshot::default());
    assert_eq!(config.client, Client::default());
    assert!(config.cluster.pre_vote && config.cluster.check_quorum);
    assert!(!config.cluster.lease_reads);
    assert_eq!(config.storage.sync, SyncPolicy::Always);
    assert_eq!(config.storage.segment_size, 64 << 20);
    assert_eq!(config.snapshot.min_log_size, 64 << 20);
    assert_eq!(config.snapshot.log_ratio, 4);
    assert_eq!(config.client.max_value_size, 1 << 20);
    assert_eq!(config.cluster.shutdown_timeout, Duration::from_secs(5));
}

/// Every key with a value that isn't its default.
const EVERYTHING: &str = "\
[Cluster]
Debug = on
Name = 100%% of it
ClusterId = 00112233445566778899aabbccddeeff
ElectionTimeout = 2s
HeartbeatInterval = 100
PreVote = no
CheckQuorum = 1
LeaseReads = YES
ShutdownTimeout = 1m
StorageClass = InMemoryStorage
DataDirectory = /var/lib/raft
MaxInflightBytes = 1MiB
MaxBatchBytes = 2MiB
MaxUnpersistedBytes = 32MiB
RecentBytes = 128MiB
NodeCount = 3
[Storage]
SegmentSize = 16MiB
Sync = none
MinFreeSpace = 1GB
[Snapshot]
MinLogSize = 1GiB
LogRatio = 2
KeepEntries = 0
MaxLagSize = 2GiB
MaxAge = 1h
[Client]
MaxConnections = 64
MaxValueSize = 64KiB
RequestTimeout = 250ms
[Nodes]
Node10 = ten
Node2 = two
Node700 = n-7_0.0
[Node.ten]
Host = ten.example.org
Port = 65535
Role = learner
[Node.two]
Id = 2
Label = two
Host = [2001:DB8::2]
Port = 1
DataDirectory = /srv/two
Listen = [::]:4000
[Node.n-7_0.0]
Host = 10.0.0.7
Port = 3111
Listen = 0.0.0.0
";

#[test]
fn every_key_reaches_its_field() {
    let config = config(EVERYTHING);
    let cluster = &config.cluster;
    assert!(cluster.debug && cluster.check_quorum && cluster.lease_reads && !cluster.pre_vote);
    assert_eq!(cluster.name, "100% of it");
    assert_eq!(cluster.cluster_id, Some(ClusterId(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff)));
    assert_eq!(cluster.election_timeout, Duration::from_secs(2));
    assert_eq!(cluster.heartbeat_interval, Duration::from_millis(100));
    assert_eq!(cluster.shutdown_timeout, Duration::from_secs(60));
    assert_eq!(cluster.storage_class, StorageClass::Memory);
    assert_eq!(cluster.data_directory, Path::new("/var/lib/raft"));
    assert_eq!((cluster.max_inflight_bytes, cluster.max_batch_bytes), (1 << 20, 2 << 20));
    assert_eq!((cluster.max_unpersisted_bytes, cluster.recent_bytes), (32 << 20, 128 << 20));
    let storage =
        Storage { segment_size: 16 << 20, sync: SyncPolicy::None, min_free_space: 1_000_000_000 };
    assert_eq!(config.storage, storage);
    let snapshot = Snapshot {
        min_log_size: 1 << 30,
        log_ratio: 2,
        keep_entries: 0,
        max_lag_size: 2 << 30,
        max_age: Duration::from_secs(3600),
    };
    assert_eq!(config.snapshot, snapshot);
    let client = Client {
        max_connections: 64,
        max_value_size: 64 << 10,
        request_timeout: Duration::from_millis(250),
    };
    assert_eq!(config.client, client);
}

#[test]
fn nodes_are_ordered_by_number_and_found_by_number_or_label() {
    let config = config(EVERYTHING);
    let ids: Vec<u16> = config.nodes.iter().map(|node| node.id.number()).collect();
    assert_eq!(ids, [2, 10, 700]);
    let two = config.node("two").unwrap();
    assert_eq!(config.node("2"), Some(two));
    assert_eq!(config.node_by_id(NodeId::new(2).unwrap()), Some(two));
    assert_eq!(config.node("10").unwrap().role, Role::Learner);
    for stranger in ["", "0", "3", "Two", "-1", "70000"] {
        assert_eq!(config.node(stranger), None, "{stranger}");
    }
}

#[test]
fn a_node_binds_its_address_unless_it_is_told_another() {
    let config = config(EVERYTHING);
    let addresses = |name: &str| {
        let node = config.node(name).unwrap();
        (node.address().to_string(), node.listen_address().to_string())
    };
    let pair = |address: &str, bound: &str| (address.to_owned(), bound.to_owned());
    assert_eq!(addresses("two"), pair("[2001:db8::2]:1", "[::]:4000"));
    assert_eq!(addresses("ten"), pair("ten.example.org:65535", "ten.example.org:65535"));
    assert_eq!(addresses("700"), pair("10.0.0.7:3111", "0.0.0.0:3111"));
}

#[test]
fn a_node_has_a_directory_of_its_number_unless_it_names_its_own() {
    let config = config(EVERYTHING);
    let directory = |name: &str| config.data_directory(config.node(name).unwrap());
    assert_eq!(directory("ten"), Path::new("/var/lib/raft/10"));
    assert_eq!(directory("two"), Path::new("/srv/two"));
}

#[test]
fn what_is_printed_as_effective_reads_as_the_same_configuration() {
    for text in [ORIGINAL, SHIPPED, EVERYTHING] {
        let first = load(text).unwrap();
        let second = load(&first.effective()).unwrap();
        assert_eq!(first.config, second.config);
    }
}

#[test]
fn the_effective_configuration_tells_where_a_value_comes_from() {
    let overrides = Overrides {
        set: vec!["Client.RequestTimeout=250".to_owned()],
        node: Some("A".to_owned()),
        port: Some("4000".to_owned()),
        ..Overrides::default()
    };
    let text = three_nodes("[Cluster]\nName = 5%%");
    let variables = [("RAFT_SNAPSHOT_LOGRATIO", "8")];
    let loaded = parse("etc/raft.ini", text.as_bytes(), &overrides, variables).unwrap();
    let effective = loaded.effective();
    for expected in [
        "[Cluster]\nDebug = False\n; etc/raft.ini:2\nName = 5%%\nElectionTimeout = 500ms\n",
        "\nMinLogSize = 64MiB\n; environment RAFT_SNAPSHOT_LOGRATIO\nLogRatio = 8\n",
        "\n; --set Client.RequestTimeout=250\nRequestTimeout = 250ms\n",
        "\n[Node.A]\nLabel = A\nId = 1\n; etc/raft.ini:8\nHost = 127.0.0.1\n; --port 4000\nPort = \
         4000\nRole = voter\n",
    ] {
        assert!(effective.contains(expected), "{expected}\nisn't in\n{effective}");
    }
    assert_eq!(load(&effective).unwrap().config, loaded.config);
}

#[test]
fn the_hash_of_the_nodes_stays_the_same_between_versions() {
    assert_eq!(config(SHIPPED).nodes_hash(), 0x7db3_dd7b_c7c6_e406);
    assert_eq!(config(SHIPPED).nodes_hash(), config(ORIGINAL).nodes_hash());
}

#[test]
fn the_hash_of_the_nodes_changes_with_what_peers_must_agree_on_and_nothing_else() {
    let hash = |from: &str, to: &str| {
        assert!(SHIPPED.contains(from), "{from}");
        config(&SHIPPED.replacen(from, to, 1)).nodes_hash()
    };
    let same = config(SHIPPED).nodes_hash();
    assert_eq!(hash("ElectionTimeout = 500ms", "ElectionTimeout = 3s"), same);
    assert_eq!(hash("Port = 3111\n", "Port = 3111\nListen = 0.0.0.0\n"), same);
    let mut seen = vec![same];
    for (from, to) in [
        ("Name = raft", "Name = craft"),
        ("Port = 3111\n", "Port = 3110\n"),
        ("Port = 3111\n", "Port = 3111\nRole = learner\n"),
        ("Host = 127.0.0.1", "Host = localhost"),
        ("Node5 = E", "Node6 = E"),
    ] {
        let hash = hash(from, to);
        assert!(!seen.contains(&hash), "{to}");
        seen.push(hash);
    }
}

#[test]
fn the_reference_page_is_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/raft-ini.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page == reference(), "docs/raft-ini.md is out of date; run with UPDATE_GOLDEN=1");
}

#[test]
fn a_file_is_read_from_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft.ini");
    std::fs::write(&path, format!("\u{feff}{}", ORIGINAL.replace('\n', "\r\n"))).unwrap();
    let loaded = crate::config::load(&path, &Overrides::default(), NO_VARIABLES).unwrap();
    assert_eq!(loaded.config, config(ORIGINAL));
}

#[test]
fn a_file_that_is_not_there_keeps_its_reason() {
    let path = Path::new("no/such/raft.ini");
    let error = crate::config::load(path, &Overrides::default(), NO_VARIABLES).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no/such/raft.ini: error: can't be read: No such file or directory (os error 2); -c names \
         another file\n1 error; nothing was started"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn unusual_settings_are_warned_of() {
    assert_eq!(
        warnings(ORIGINAL),
        "raft.ini:6:19: warning: ElectionTimeout = 12s: when the leader fails, nothing is written \
         for up to 24s and more\n    6 | ElectionTimeout = 12000"
    );
    let text = three_nodes("[Cluster]\nElectionTimeout = 40\nHeartbeatInterval = 10");
    assert_eq!(
        warnings(&text),
        "raft.ini:2:19: warning: ElectionTimeout = 40ms with HeartbeatInterval = 10ms: two late \
         heartbeats begin an election; 10 are good\n    2 | ElectionTimeout = 40\n\
         raft.ini:2:19: warning: ElectionTimeout = 40ms: a slow sync or a busy host will begin \
         elections\n    2 | ElectionTimeout = 40"
    );
    let text = three_nodes("") + "Role = learner";
    assert_eq!(
        warnings(&text),
        "raft.ini: warning: 2 voters survive no more failures than 1 do; an odd number is better"
    );
    let text = three_nodes("").replacen("127.0.0.1", "0.0.0.0", 1);
    assert!(warnings(&text).contains("raft.ini:7:8: warning: Host = 0.0.0.0: nobody can connect"));
    let text = three_nodes("").replacen("127.0.0.1", "10.0.0.1", 1);
    assert!(warnings(&text).contains(
        "raft.ini:10:8: warning: Host = 127.0.0.1: the nodes on other hosts can't reach that"
    ));
}
