//! The names in a data directory.

use std::path::{Path, PathBuf};

use crate::model::{Epoch, Index, LogId, Term};

/// Where everything of one node lies.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) identity: PathBuf,
    pub(super) hard_state: PathBuf,
    pub(super) log: PathBuf,
    pub(super) snapshots: PathBuf,
}

/// What ends the name of a file that isn't finished: it is removed at the next start.
pub(super) const UNFINISHED: &str = ".tmp";

/// What ends the name of a segment.
const SEGMENT: &str = ".seg";

/// What ends the name of a snapshot that counts, of one that is being received, and of a snapshot
/// or a segment that was found damaged.
pub(super) const SNAPSHOT: &str = ".snap";
pub(super) const RECEIVED: &str = ".part";
pub(super) const BAD: &str = ".bad";

/// The record of what is being received.
pub(super) const RECEIPT: &str = "receipt";

impl Layout {
    pub(super) fn new(root: &Path) -> Layout {
        Layout {
            root: root.to_owned(),
            lock: root.join("LOCK"),
            identity: root.join("identity"),
            hard_state: root.join("hardstate"),
            log: root.join("log"),
            snapshots: root.join("snapshots"),
        }
    }

    /// Whether a name in the root is one that a node gives, or one that a fresh file system has.
    pub(super) fn is_own(name: &str) -> bool {
        let known = ["LOCK", "identity", "hardstate", "log", "snapshots", "lost+found"];
        known.contains(&name) || name.ends_with(UNFINISHED)
    }

    /// The file of the snapshot up to `last`.
    pub(super) fn snapshot(&self, last: LogId) -> PathBuf {
        self.snapshots.join(snapshot_name(last, SNAPSHOT))
    }

    /// The file of the snapshot up to `last` while it is received.
    pub(super) fn received(&self, last: LogId) -> PathBuf {
        self.snapshots.join(snapshot_name(last, RECEIVED))
    }

    /// The record of what is received.
    pub(super) fn receipt(&self) -> PathBuf {
        self.snapshots.join(RECEIPT)
    }

    /// The copy of a file of the root that a new epoch leaves, as it was in the epoch `before`.
    pub(super) fn kept_of_epoch(path: &Path, before: Epoch) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".epoch-{before}"));
        name.into()
    }

    /// What is kept of how the epoch was begun.
    pub(super) fn recovery(&self, epoch: Epoch) -> PathBuf {
        self.root.join(format!("recovery-{epoch}.json"))
    }

    /// What `path` is called seen from the root.
    pub(super) fn below_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// What a damaged segment is kept as; the number tells it from earlier ones of that name.
    pub(super) fn kept_segment(name: &str, number: u32) -> String {
        let stem = name.strip_suffix(SEGMENT).unwrap_or(name);
        match number {
            1 => format!("{stem}{BAD}"),
            _ => format!("{stem}-{number}{BAD}"),
        }
    }

    /// The unfinished file that becomes `path`.
    pub(super) fn unfinished(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(UNFINISHED);
        name.into()
    }
}

/// The file name of a segment.
pub(super) fn segment_name(ordinal: u64, first: Index) -> String {
    format!("{ordinal:016x}-{:020}{SEGMENT}", first.0)
}

/// Ordinal and first index in the file name of a segment; `None` if it isn't one.
pub(super) fn parse_segment_name(name: &str) -> Option<(u64, Index)> {
    let (ordinal, first) = name.strip_suffix(SEGMENT)?.split_once('-')?;
    let ordinal = u64::from_str_radix(ordinal, 16).ok()?;
    let first = Index(first.parse().ok()?);
    // Only the one way of writing a name counts: no sign, no missing zeros.
    (segment_name(ordinal, first) == name).then_some((ordinal, first))
}

/// The file name of the snapshot up to `last`, with what ends it.
pub(super) fn snapshot_name(last: LogId, end: &str) -> String {
    format!("{:020}-{}{end}", last.index.0, last.term.0)
}

/// The last entry in the file name of a snapshot with this end; `None` if it isn't one.
pub(super) fn parse_snapshot_name(name: &str, end: &str) -> Option<LogId> {
    let (index, term) = name.strip_suffix(end)?.split_once('-')?;
    let last = LogId::new(Term(term.parse().ok()?), Index(index.parse().ok()?));
    (snapshot_name(last, end) == name).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshots_name_is_read_back_and_nothing_else_is() {
        let last = LogId::new(Term(7), Index(881_703));
        let name = snapshot_name(last, SNAPSHOT);
        assert_eq!(name, "00000000000000881703-7.snap");
        assert_eq!(parse_snapshot_name(&name, SNAPSHOT), Some(last));
        for other in
            ["00000000000000881703-7.part", "881703-7.snap", "00000000000000881703-07.snap"]
        {
            assert_eq!(parse_snapshot_name(other, SNAPSHOT), None, "{other}");
        }
    }

    #[test]
    fn a_segments_name_is_read_back_and_nothing_else_is() {
        let name = segment_name(0x1f, Index(881_703));
        assert_eq!(name, "000000000000001f-00000000000000881703.seg");
        assert_eq!(parse_segment_name(&name), Some((0x1f, Index(881_703))));
        for other in ["spare-1.tmp", "1f-881703.seg", "000000000000001f-00000000000000881703.bad"] {
            assert_eq!(parse_segment_name(other), None, "{other}");
        }
    }
}
