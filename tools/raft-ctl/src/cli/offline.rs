//! The commands that read a data directory.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::parse;

/// Read a log on disk. Nothing is ever changed, and the directory may be in use: what a
/// running node has written since is then left out.
///
/// DIR is the directory of one node, as datasets/raft/3.
#[derive(Subcommand, Debug)]
pub(crate) enum LogCommand {
    /// List the segments
    Ls(LsArgs),
    /// Print entries, one per line
    ///
    /// On a terminal, lines are as wide as it is: what doesn't fit is cut, and says how long
    /// it is.
    Dump(DumpArgs),
    /// Print everything about one entry
    Show(ShowArgs),
    /// Check every byte and tell a torn end from damage
    ///
    /// Exit code 0 where the log is whole or has a torn end, which is what a crash leaves;
    /// 7 where something that was durable is damaged.
    Verify(VerifyArgs),
    /// Count entries by what they do
    Stat(StatArgs),
    /// Print the last entries
    Tail(TailArgs),
}

/// `log ls`
#[derive(Args, Debug)]
pub(crate) struct LsArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
}

/// `log dump`
#[derive(Args, Debug)]
pub(crate) struct DumpArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
    /// Begin at this index
    #[arg(long, value_name = "INDEX", value_parser = parse::index)]
    pub(crate) from: Option<u64>,
    /// End with this index
    #[arg(long, value_name = "INDEX", value_parser = parse::index)]
    pub(crate) to: Option<u64>,
    /// Whole values, and all columns, also where a terminal is too narrow
    #[arg(long)]
    pub(crate) full: bool,
}

/// `log show`
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
    /// The entry's index
    #[arg(value_parser = parse::index)]
    pub(crate) index: u64,
    /// Whole values, and all bytes of the payload
    #[arg(long)]
    pub(crate) full: bool,
}

/// `log verify`
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
}

/// `log stat`
#[derive(Args, Debug)]
pub(crate) struct StatArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
}

/// `log tail`
#[derive(Args, Debug)]
pub(crate) struct TailArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
    /// How many entries
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse::index)]
    pub(crate) lines: u64,
    /// Go on with the entries to come, until interrupted
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Whole values, and all columns, also where a terminal is too narrow
    #[arg(long)]
    pub(crate) full: bool,
}

/// Read what a node must never forget: who it is, its term, its vote.
#[derive(Subcommand, Debug)]
pub(crate) enum MetaCommand {
    /// Print identity and hard state
    Show(MetaShowArgs),
}

/// `meta show`
#[derive(Args, Debug)]
pub(crate) struct MetaShowArgs {
    /// The node's directory
    pub(crate) dir: PathBuf,
}
