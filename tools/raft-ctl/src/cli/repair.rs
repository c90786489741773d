//! The commands for a damaged directory.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Repair the damaged log of a stopped node, out of what the other nodes hold.
///
/// A node does the same itself when it is started; this shows beforehand what would be done,
/// and does it where nodes are run with --no-repair. What a node has promised (term, vote,
/// identity) can't be repaired.
#[derive(Subcommand, Debug)]
pub(crate) enum RepairCommand {
    /// Show the damage, and who holds what is lost
    ///
    /// Changes nothing, and prints the hash by which `repair apply` is told that this damage is
    /// meant. Exit code 0 if nothing is damaged or it can be repaired now, 7 if it can't.
    Plan(RepairPlanArgs),
    /// Repair it
    ///
    /// Whatever interrupts it, the directory is as damaged as it was or repaired, and the same
    /// command goes on. Damaged files are kept, ending in .bad.
    Apply(RepairApplyArgs),
}

/// `repair plan`
#[derive(Args, Debug)]
pub(crate) struct RepairPlanArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
}

/// `repair apply`
#[derive(Args, Debug)]
pub(crate) struct RepairApplyArgs {
    /// The hash that `repair plan` printed
    #[arg(long, value_name = "HASH")]
    pub(crate) plan: String,
    /// The node's directory
    pub(crate) dir: PathBuf,
}
