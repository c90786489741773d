//! The names in a data directory.

use std::path::{Path, PathBuf};

use crate::model::Index;

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

#[cfg(test)]
mod tests {
    use super::*;

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
