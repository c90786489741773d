//! The commands for a majority that is lost for good.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Go on without a majority that is lost for good. The nodes that are left must be stopped.
///
/// A new epoch of the cluster begins, with the nodes that are left as its voters. What the
/// lost ones had acknowledged, and none of those that are left holds, is lost. Those that
/// were given up can't come back as they were.
///
/// With all data directories on one host: `recover plan DIR...`, then `recover apply --plan
/// HASH DIR...`. With one host for each node: `recover survey DIR --save FILE` on each,
/// `recover plan FILE... --save PLAN` on one, and `recover apply --plan HASH --from PLAN DIR`
/// on each.
#[derive(Subcommand, Debug)]
pub(crate) enum RecoverCommand {
    /// Tell what one of those that are left holds
    ///
    /// Reads every byte of the directory and changes nothing. --save writes what `recover
    /// plan` needs to know of it on another host.
    Survey(SurveyArgs),
    /// Show what would be kept and what may be lost
    ///
    /// Changes nothing, and prints the hash by which `recover apply` is told that this plan is
    /// meant. The same directories give the same plan.
    Plan(PlanArgs),
    /// Begin the new epoch in the directories of those that are left
    ///
    /// Whatever interrupts it, each directory is in the old epoch or in the new one, and the
    /// same command finishes it. Nodes of different epochs don't speak with each other.
    Apply(ApplyArgs),
}

/// `recover survey`
#[derive(Args, Debug)]
pub(crate) struct SurveyArgs {
    /// The directory of a node that is left
    pub(crate) dir: PathBuf,
    /// Write it to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
}

/// `recover plan`
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// Directories of the nodes that are left, or files of `recover survey`
    #[arg(required = true, value_name = "DIR|FILE")]
    pub(crate) survivors: Vec<PathBuf>,
    /// Only these become voters, as 1,3 (default: all that are given)
    #[arg(long, value_name = "NODES", value_delimiter = ',')]
    pub(crate) keep: Vec<u16>,
    /// Write the plan to this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Don't look whether something listens at the addresses of the members
    #[arg(long)]
    pub(crate) no_probe: bool,
}

/// `recover apply`
#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    /// The hash that `recover plan` printed
    #[arg(long, value_name = "HASH")]
    pub(crate) plan: String,
    /// The plan that `recover plan --save` wrote (default: made anew from all directories)
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// As for `recover plan`, where the plan is made anew
    #[arg(long, value_name = "NODES", value_delimiter = ',', conflicts_with = "from")]
    pub(crate) keep: Vec<u16>,
    /// Don't look whether something listens at the addresses of those that are given up
    #[arg(long)]
    pub(crate) no_probe: bool,
    /// The directories of nodes that are left
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,
}
