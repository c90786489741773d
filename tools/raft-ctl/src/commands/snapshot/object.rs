//! A snapshot as it is shown.

use raft_node::model::{LogTime, SnapshotId};
use serde::Serialize;

use crate::output;

/// A snapshot, as `--json` prints it; of one that isn't known, nothing is.
#[derive(Clone, Default, Serialize)]
pub(super) struct SnapshotObject {
    index: Option<u64>,
    term: Option<u64>,
    time: Option<String>,
    time_nanoseconds: Option<u64>,
    bytes: Option<u64>,
    hash: Option<String>,
}

impl SnapshotObject {
    pub(super) fn new(id: SnapshotId, time: LogTime) -> SnapshotObject {
        SnapshotObject {
            index: Some(id.last.index.0),
            term: Some(id.last.term.0),
            time: Some(output::wall_time(time.0)),
            time_nanoseconds: Some(time.0),
            bytes: Some(id.bytes),
            hash: Some(hash(id)),
        }
    }
}

/// `120,000@4`
pub(super) fn name(id: SnapshotId) -> String {
    format!("{}@{}", output::count(id.last.index.0), id.last.term)
}

/// The hash, in hexadecimal digits.
pub(super) fn hash(id: SnapshotId) -> String {
    format!("{:032x}", id.hash)
}
