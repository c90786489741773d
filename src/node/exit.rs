//! Why a node stops, and what it tells the one who started it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a node has stopped. What is shown is for people: what happened, what it means for the
/// data, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// In good order: it was told to.
    #[error("stopped in good order")]
    Clean,
    /// It was told twice to stop, and did so at once; this is as safe as a crash.
    #[error("stopped at once by a second signal; what was acknowledged is on disk")]
    AtOnce {
        /// The second signal.
        signal: i32,
    },
    /// A guard holds it back: its identity isn't the one that the others know.
    #[error("{0}")]
    Refused(String),
    /// The data isn't what was written.
    #[error("{0}")]
    Corrupt(String),
    /// Its state isn't that of the majority.
    #[error("{0}")]
    Differs(String),
    /// A disk operation failed.
    #[error("{0}")]
    Disk(String),
    /// Another process uses the directory.
    #[error("{0}")]
    InUse(String),
    /// The address can't be bound.
    #[error(
        "cannot listen on {address}: {error}; nothing was changed: stop what uses the address, or \
         give the node another Port or Listen in raft.ini"
    )]
    Listen {
        /// What was to be bound.
        address: SocketAddr,
        /// Why it can't be.
        error: io::Error,
    },
    /// The disk didn't finish an operation for too long.
    #[error(
        "the disk has not finished an operation for {} s; what was acknowledged is on disk: look \
         at the disk of the data directory, then start the node again",
        .0.as_secs()
    )]
    DiskStill(Duration),
    /// The configuration doesn't fit.
    #[error("{0}")]
    Configuration(String),
    /// The data, or an entry of the log, needs a newer version of the program.
    #[error("{0}")]
    Newer(String),
    /// The system refuses what every process needs: memory, threads, file descriptors.
    #[error("the system refuses {what}: {error}; nothing was lost: free some and start again")]
    System {
        /// What it refuses.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
}

impl Exit {
    /// The exit code of the process.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Exit::Clean => 0,
            Exit::Refused(_) => 6,
            Exit::Corrupt(_) => 65,
            Exit::Differs(_) => 70,
            Exit::Disk(_) => 74,
            Exit::InUse(_) | Exit::Listen { .. } | Exit::System { .. } => 75,
            Exit::DiskStill(_) => 76,
            Exit::Configuration(_) | Exit::Newer(_) => 78,
            Exit::AtOnce { signal } => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}
