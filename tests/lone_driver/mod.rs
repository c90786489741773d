// The only member of a cluster, for whoever drives a node without its shell: the test that counts
// allocations and the benchmark of snapshots.

use std::time::Duration;

use raft_node::kv::Settings;
use raft_node::model::{
    ClusterId, Configuration, Epoch, Founding, FoundingEntry, Incarnation, LogTime, Member, NodeId,
    Seat, Standing,
};
use raft_node::node::driver::SnapshotRules;
use raft_node::raft::Restored;
use raft_node::storage::{Disk, Recovered};

/// Where it is reached, as it says.
pub(crate) const ADDRESS: &str = "127.0.0.1:3111";

/// No snapshot but those that are asked for.
pub(crate) const ON_REQUEST: SnapshotRules = SnapshotRules {
    min_log_bytes: u64::MAX,
    log_ratio: 1,
    max_age: Duration::MAX,
    max_lag_bytes: 0,
};

/// Who it is.
pub(crate) fn member() -> Member {
    let id = NodeId::new(1).expect("nodes are counted from 1");
    Member { id, incarnation: Incarnation(7) }
}

/// The first entry of its log.
pub(crate) fn founding() -> FoundingEntry {
    let seat = Seat {
        id: member().id,
        incarnation: Some(member().incarnation),
        standing: Standing::Voter,
        address: ADDRESS.to_owned(),
    };
    let founding = Founding {
        cluster: ClusterId(7),
        epoch: Epoch(1),
        founder: member().id,
        name: "raft".to_owned(),
        configuration: Configuration::new(vec![seat]),
        settings: Settings::default().encode(),
        restored: None,
    };
    FoundingEntry::make(founding, LogTime(1))
}

/// What the core begins with on a directory that is new.
pub(crate) fn restored<D: Disk>(recovered: &Recovered<D>) -> Restored {
    Restored {
        hard_state: recovered.hard_state,
        base: recovered.base,
        runs: recovered.runs.clone(),
        last: recovered.last,
        last_time: recovered.last_time,
        configurations: recovered.configurations.clone(),
        applied: recovered.base.index,
        snapshots: Vec::new(),
        receiving: None,
        boot: recovered.boot,
    }
}
