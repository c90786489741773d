//! The commands about snapshots.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::parse;

/// Take, list and save snapshots of the state, and read their files.
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
    /// Save a snapshot into a file here: a backup of all data
    ///
    /// Takes the newest snapshot that a node keeps, from the leader if it keeps that one, or
    /// from the node that --node names. It is read piece by piece while the nodes go on; where
    /// a connection breaks, it goes on from there at the same node, or at another one that
    /// keeps the same snapshot. It gives up when nothing has come for --timeout (30s here).
    ///
    /// FILE appears only when every byte is on the disk and verified; until then there is
    /// FILE.NUMBER.tmp, which can be removed if raft-ctl was killed.
    Save(SaveArgs),
    /// Print what the file of a snapshot says of itself
    ///
    /// FILE is one that was saved, or one in the directory of a node, as in
    /// datasets/raft/3/snapshots. Its node may be running.
    Show(SnapshotFileArgs),
    /// Check every byte of the file of a snapshot
    ///
    /// Checksums, hash, and the content as a node would load it, which takes as much memory
    /// as on a node. Exit code 0 if all is as it was written, 7 if not. FILE is as in `show`.
    Verify(SnapshotFileArgs),
}

/// `snapshot save`
#[derive(Args, Debug)]
pub(crate) struct SaveArgs {
    /// The file to write
    pub(crate) file: PathBuf,
    /// Have a snapshot taken first, and save that one
    #[arg(long, conflicts_with = "index")]
    pub(crate) trigger: bool,
    /// The snapshot of this entry, instead of the newest one
    #[arg(long, value_name = "INDEX", value_parser = parse::index)]
    pub(crate) index: Option<u64>,
    /// Replace FILE if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// `snapshot show`, `snapshot verify`
#[derive(Args, Debug)]
pub(crate) struct SnapshotFileArgs {
    /// The snapshot's file
    pub(crate) file: PathBuf,
}
