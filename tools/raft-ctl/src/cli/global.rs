//! Options that every command takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use super::parse;

/// What the output is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How fresh a read must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Consistency {
    /// Everything that was done before the read began
    #[default]
    Linearizable,
    /// The same, allowing the leader to rely on its lease; it asks a majority all the same
    Lease,
    /// What one node has, without asking others; works without a leader
    Stale,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where the nodes are named (default: raft.ini)
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "RAFT_CONFIG",
        hide_env = true,
        long_help = "The configuration that names the nodes [./raft.ini, else /etc/raft/raft.ini]"
    )]
    pub(crate) config: Option<PathBuf>,

    /// HOST:PORT,... of nodes, instead of the file's
    #[arg(
        short,
        long,
        global = true,
        value_name = "LIST",
        value_delimiter = ',',
        env = "RAFT_ENDPOINTS",
        hide_env = true,
        long_help = "The nodes to speak to, as HOST:PORT,HOST:PORT, instead of those of the \
                     configuration. The other nodes are found through any of them."
    )]
    pub(crate) endpoints: Vec<String>,

    /// Speak to this node only (number or label)
    #[arg(short, long, global = true, value_name = "N", env = "RAFT_NODE", hide_env = true)]
    pub(crate) node: Option<String>,

    /// text or json
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        hide_possible_values = true,
        env = "RAFT_OUTPUT",
        hide_env = true
    )]
    pub(crate) output: Option<Format>,

    /// Short for --output json
    #[arg(
        long,
        global = true,
        conflicts_with = "output",
        env = "RAFT_JSON",
        hide_env = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) json: bool,

    /// How long to try, as in 1m (default: 5s)
    #[arg(
        short,
        long,
        global = true,
        value_name = "TIME",
        value_parser = parse::duration,
        env = "RAFT_TIMEOUT",
        hide_env = true
    )]
    pub(crate) timeout: Option<Duration>,

    /// linearizable (default), lease or stale reads
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        hide_possible_values = true,
        env = "RAFT_CONSISTENCY",
        hide_env = true,
        long_help = "How fresh reads must be. linearizable (the default): everything that was \
                     done before the read began. lease: the same, allowing the leader to rely on \
                     the clocks; it doesn't yet, and asks a majority all the same. stale: what \
                     one node has, which works without a leader."
    )]
    pub(crate) consistency: Option<Consistency>,

    /// Session of an exactly-once request
    #[arg(
        long,
        global = true,
        value_name = "ID",
        env = "RAFT_CLIENT_ID",
        hide_env = true,
        requires = "seq",
        long_help = "The session of an exactly-once request. The same --client-id and --seq can \
                     be given again, from any process, until the answer is known: the request \
                     is carried out once. Number 1 opens the session."
    )]
    pub(crate) client_id: Option<String>,

    /// Number of that request, from 1
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "RAFT_SEQ",
        hide_env = true,
        requires = "client_id",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) seq: Option<u64>,

    /// Answer questions with yes
    #[arg(
        short,
        long,
        global = true,
        env = "RAFT_YES",
        hide_env = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) yes: bool,

    /// Check everything and change nothing
    #[arg(
        long,
        global = true,
        env = "RAFT_DRY_RUN",
        hide_env = true,
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) dry_run: bool,
}

impl Global {
    /// What the output is made for.
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output.unwrap_or_default() }
    }
}
