//! The commands that measure this machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::parse;

/// Look whether this machine is fit for a node.
#[derive(Subcommand, Debug)]
pub(crate) enum CheckCommand {
    /// Measure the disk under a directory as a node's log uses it
    ///
    /// Blocks are stored into a file whose room is set aside, and synced one by one. Tells how
    /// long that takes, whether room can be set aside, how much is free, and the smallest
    /// sensible ElectionTimeout. Nothing is left behind. Exit code 1 if the disk isn't fit.
    Disk(CheckDiskArgs),
}

/// `check disk`
#[derive(Args, Debug)]
pub(crate) struct CheckDiskArgs {
    /// The directory that a node's files are to be in
    pub(crate) dir: PathBuf,
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse::duration)]
    pub(crate) time: Duration,
}
