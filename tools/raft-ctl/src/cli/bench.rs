//! The benchmark.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::parse;

/// What the benchmark does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Operation {
    /// Write only
    Put,
    /// Read only; the keys are written first
    Get,
    /// Both; --read-ratio tells how much of each
    Mixed,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Operation::Put => "put",
            Operation::Get => "get",
            Operation::Mixed => "mixed",
        }
    }
}

/// `bench`
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// put, get or mixed
    #[arg(value_enum, hide_possible_values = true)]
    pub(crate) operation: Operation,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) clients: u16,
    /// Requests under way on each connection
    #[arg(long, value_name = "N", default_value_t = 32,
          value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) depth: u16,
    /// Bytes of a key
    #[arg(long, value_name = "SIZE", default_value = "16", value_parser = parse::size)]
    pub(crate) key_size: usize,
    /// Bytes of a value
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = parse::size)]
    pub(crate) value_size: usize,
    /// How many different keys
    #[arg(long, value_name = "N", default_value = "100k", value_parser = parse::count)]
    pub(crate) keys: u64,
    /// How long to measure
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,
    /// How long to run before that, unmeasured
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) warm_up: u32,
    /// Requests per second, for an open loop
    #[arg(long, value_name = "N", value_parser = parse::rate)]
    pub(crate) rate: Option<f64>,
    /// Share of reads in mixed
    #[arg(long, value_name = "SHARE", default_value = "0.9", value_parser = parse::share)]
    pub(crate) read_ratio: f64,
    /// Threads of the load generator
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    /// Measure the disk that holds this directory (default: DataDirectory)
    #[arg(long, value_name = "DIR")]
    pub(crate) disk: Option<PathBuf>,
    /// Leave the measurement of the machine's limits out
    #[arg(long)]
    pub(crate) no_limits: bool,
}
