//! A snapshot as it is shown.

use raft_node::model::{LogTime, SnapshotId};
use serde::Serialize;

use crate::output;

/// A snapshot, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct SnapshotObject {
    index: u64,
    term: u64,
    time: String,
    time_nanoseconds: u64,
    bytes: u64,
    hash: String,
}

impl SnapshotObject {
    pub(super) fn new(id: SnapshotId, time: LogTime) -> SnapshotObject {
        SnapshotObject {
            index: id.last.index.0,
            term: id.last.term.0,
            time: output::wall_time(time.0),
            time_nanoseconds: time.0,
            bytes: id.bytes,
            hash: hash(id),
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
