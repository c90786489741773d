//! What can go wrong on disk, and what it means for the data.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::{Incarnation, Index, NodeId};

/// Why the storage couldn't do what was asked.
///
/// After any error but [`StorageError::NoSpace`] a worker is poisoned: it does nothing more, and
/// what it hadn't reported as done isn't promised to be on disk.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// An operation of the file system failed.
    #[error(
        "{}: {action}: {source}; the disk failed, and the node stops: all that it acknowledged was \
         synced before. Look at the kernel's log, put the disk right, and start the node again",
        path.display()
    )]
    Disk {
        /// What was being done.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room for another segment or snapshot. Nothing is lost, and the same work may be
    /// given again when there is room.
    #[error(
        "{}: no room for {bytes} bytes ({source}); nothing is lost: free some space on this file \
         system",
        path.display()
    )]
    NoSpace {
        /// The file that couldn't be made.
        path: PathBuf,
        /// How many bytes were to be put there.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Another process uses the directory.
    #[error(
        "{}: another process uses this directory; nothing was touched: stop that one first",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// Bytes that were durable aren't what they were.
    #[error(transparent)]
    Corrupt(Box<Corruption>),
    /// A file of a newer version of this program.
    #[error(
        "{}: {what} has format {found}, and this program reads up to {supported}; nothing was \
         touched: start the node with the newer version that wrote it",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        what: &'static str,
        /// The format it has.
        found: u16,
        /// The newest that this program reads.
        supported: u16,
    },
    /// The directory belongs to another node.
    #[error(
        "{}: this is the directory of node {found} (incarnation {incarnation}), not of node \
         {expected}; nothing was touched: start the node with its own directory",
        path.display()
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// In which life.
        incarnation: Incarnation,
        /// Who was to be started.
        expected: NodeId,
    },
    /// The directory holds something that is not a node's.
    #[error(
        "{}: holds {name:?}, which isn't a node's, and no identity; nothing was touched: give the \
         node a directory of its own",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What was found in it.
        name: String,
    },
    /// There is no data directory at this path.
    #[error("{}: no data directory of a node: its identity isn't there", path.display())]
    NoDirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory isn't any more what a new epoch was planned for.
    #[error("{}: {what}; nothing was changed here", path.display())]
    Changed {
        /// The directory.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// The worker was used after an error.
    #[error("the log isn't written any more since an earlier error; start the node again")]
    Poisoned,
}

/// What was found damaged, and which entries that concerns.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Corruption {
    /// The data directory.
    pub directory: PathBuf,
    /// The damaged file, relative to it.
    pub file: PathBuf,
    /// Where in the file the damage begins.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// The entries that can't be read, as far as they are known: the first, and the last if
    /// something names it.
    pub entries: Option<(Index, Option<Index>)>,
}

/// What kind of error it is: it decides the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorClass {
    /// The disk failed: exit 74.
    Disk,
    /// The disk is full; at the start exit 74, later writes are refused and may be tried again.
    NoSpace,
    /// The directory is in use: exit 75.
    InUse,
    /// Data that was durable is damaged: exit 65.
    Corrupt,
    /// A newer version is needed, or the directory isn't one of a node: exit 78.
    Configuration,
    /// Refused by a guard: exit 6.
    Identity,
}

impl ErrorClass {
    /// The exit code of a node that ends with such an error.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            ErrorClass::Disk | ErrorClass::NoSpace => 74,
            ErrorClass::InUse => 75,
            ErrorClass::Corrupt => 65,
            ErrorClass::Configuration => 78,
            ErrorClass::Identity => 6,
        }
    }
}

impl StorageError {
    /// What kind of error it is.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            StorageError::Disk { .. } | StorageError::Poisoned => ErrorClass::Disk,
            StorageError::NoSpace { .. } => ErrorClass::NoSpace,
            StorageError::InUse { .. } => ErrorClass::InUse,
            StorageError::Corrupt(_) => ErrorClass::Corrupt,
            StorageError::Newer { .. }
            | StorageError::Foreign { .. }
            | StorageError::NoDirectory { .. } => ErrorClass::Configuration,
            StorageError::OtherNode { .. } | StorageError::Changed { .. } => ErrorClass::Identity,
        }
    }

    /// Makes an error of the file system into one that says what was done to which file.
    pub(super) fn disk(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| StorageError::Disk { action, path, source }
    }

    /// As [`StorageError::disk`], where the disk may be full: `bytes` were to be put into the
    /// file.
    pub(super) fn room(
        action: &'static str,
        path: &Path,
        bytes: u64,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StorageError::NoSpace { path, bytes, source }
            }
            _ => StorageError::Disk { action, path, source },
        }
    }
}

impl From<Corruption> for StorageError {
    fn from(corruption: Corruption) -> Self {
        StorageError::Corrupt(Box::new(corruption))
    }
}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.directory.join(&self.file);
        write!(f, "{}: offset {:#x}: {}", path.display(), self.offset, self.what)?;
        match self.entries {
            Some((first, Some(last))) => write!(f, "; damaged: entries {first}..{last}")?,
            Some((first, None)) => write!(f, "; damaged: entries from {first} on")?,
            None => {}
        }
        let directory = self.directory.display();
        let look = match self.file.starts_with("snapshots") {
            true => format!("snapshot verify {}", self.directory.join(&self.file).display()),
            false => format!("log verify {directory}"),
        };
        write!(
            f,
            ". This was durable once, so it is damage and not the end that a crash leaves. Nothing \
             was changed. See it with `raft-ctl {look}`; "
        )?;
        // What a node has promised nobody else can know.
        if self.file.starts_with("log") || self.file.starts_with("snapshots") {
            write!(
                f,
                "started beside the others, without --no-repair, the node repairs itself out of \
                 what they hold. Else "
            )?;
        } else {
            write!(f, "then ")?;
        }
        write!(
            f,
            "put the directory back from a copy, or take this node out of the cluster and let it \
             come in anew"
        )
    }
}
