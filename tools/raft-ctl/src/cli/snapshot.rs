//! The commands about snapshots.

use clap::Subcommand;

/// Take and list snapshots of the state.
///
/// A snapshot holds the whole state as of one entry, in a file that is the same on every
/// node that has one of that entry.
#[derive(Subcommand, Debug)]
pub(crate) enum SnapshotCommand {
    /// Have every node take a snapshot now
    ///
    /// Waits until the leader has it on its disk, which takes longer the larger the state
    /// is: --timeout is 10m here. Where nobody leads, it says so within 5s.
    Trigger,
    /// List the snapshots that the nodes keep
    ///
    /// Works without a leader. Where nodes keep different snapshots of one entry, they are
    /// marked, and the exit code is 1: that must never be.
    Ls,
}
