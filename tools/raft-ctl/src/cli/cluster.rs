//! The commands that look at the cluster.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::parse;

/// `status`
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// Show again every so often, until interrupted
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1s",
          value_parser = parse::duration)]
    pub(crate) watch: Option<Duration>,
}

/// `wait`
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["leader", "applied"]))]
pub(crate) struct WaitArgs {
    /// Until a quorum follows a leader
    #[arg(long)]
    pub(crate) leader: bool,
    /// Until this entry is applied on every node, or on the one that --node names
    #[arg(long, value_name = "INDEX", value_parser = parse::index)]
    pub(crate) applied: Option<u64>,
}

/// `ping`
#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    /// How many times
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) count: u32,
}

/// `transfer-leader`
#[derive(Args, Debug)]
pub(crate) struct TransferArgs {
    /// The node that is to lead (number or label); without it, the most advanced one
    #[arg(value_name = "N")]
    pub(crate) to: Option<String>,
}

/// `hash`
#[derive(Args, Debug)]
pub(crate) struct HashArgs {}
