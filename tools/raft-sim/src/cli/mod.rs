//! The command line. The comments of these types are what `--help` prints.

mod attempt;
mod mutants;
mod output;
mod parse;
mod run;
mod shrink;
mod sweep;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use raft_sim::world::{Choices, Fault};

use self::parse::{Seed, Seeds};

/// What tells this version's seeds from those of others.
pub(crate) const TAG: &str = env!("RAFT_SIM_TAG");

/// Nothing that must not be was found.
pub(crate) const FINE: u8 = 0;

/// Something was.
pub(crate) const FINDING: u8 = 1;

/// The command line is wrong, or the simulator can't work here.
pub(crate) const USAGE: u8 = 2;

/// A sweep was interrupted before it had found something.
pub(crate) const INTERRUPTED: u8 = 130;

/// Run whole clusters in one thread, decided by one seed.
///
/// A seed is a number, or what was printed of one: a number, @, and a tag of
/// the version that printed it.
#[derive(Parser, Debug)]
#[command(
    name = "raft-sim",
    version,
    max_term_width = 80,
    disable_help_subcommand = true,
    after_help = "Exit codes:\n    0  nothing was found\n    1  a finding: something that must not be\n    2  the command line is wrong\n  130  a sweep was interrupted before it found something"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the world of one seed
    Run(RunArgs),
    /// Run the world of one seed and print what happened
    Replay(ReplayArgs),
    /// Run the worlds of many seeds
    Sweep(SweepArgs),
    /// Look for a smaller world in which a seed still finds something
    Shrink(RunArgs),
    /// Plant known bugs into a copy of the source, one by one, and see which are found
    Mutants(MutantsArgs),
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// What is chosen instead of drawn.
#[derive(Args, Clone, Debug)]
pub(crate) struct ChoiceArgs {
    /// Nodes, 1 to 9 [default: drawn, 3 or 5]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: Option<u8>,
    /// Clients, 0 to 64 [default: drawn, 2 to 8]
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=64))]
    clients: Option<u8>,
    /// How long faults happen, as 20s or 500ms of simulated time [default: drawn]
    #[arg(long, value_parser = parse::time)]
    time: Option<Duration>,
    /// The faults that may happen: all, none, or names with commas between [default: all]
    #[arg(long, value_parser = parse::faults)]
    faults: Option<FaultList>,
    /// Let more break than a cluster can survive: then it must refuse, and nothing
    /// is demanded of the end
    #[arg(long)]
    no_atlas: bool,
}

/// Faults that may happen.
#[derive(Clone, Debug)]
pub(crate) struct FaultList(Vec<Fault>);

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The seed
    #[arg(long)]
    seed: Seed,
    #[command(flatten)]
    choices: ChoiceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// The seed
    #[arg(long)]
    seed: Seed,
    #[command(flatten)]
    choices: ChoiceArgs,
    /// Print all that each node writes into its log
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SweepArgs {
    /// The seeds: from A up to B, B not included
    #[arg(long, value_name = "A..B")]
    seeds: Seeds,
    /// Processes that work at the same time [default: one for each processor]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Go on after the first finding
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    choices: ChoiceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct MutantsArgs {
    /// Only those with this in their name; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The most seeds that each is looked for in
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Processes that sweep at the same time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// The root of the source tree
    #[arg(long, default_value = ".")]
    tree: PathBuf,
    /// Where the copy is built [default: target/mutants in the tree]
    #[arg(long)]
    work: Option<PathBuf>,
    /// Don't judge again what an earlier run there has judged, if neither the
    /// sources nor the patch have changed
    #[arg(long)]
    resume: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    #[arg(long)]
    first: u64,
    #[arg(long)]
    end: u64,
    #[arg(long)]
    step: u64,
    #[command(flatten)]
    choices: ChoiceArgs,
}

impl ChoiceArgs {
    pub(crate) fn choices(&self) -> Choices {
        Choices {
            nodes: self.nodes.map(usize::from),
            clients: self.clients.map(usize::from),
            time: self.time,
            faults: self.faults.clone().map(|list| list.0),
            no_atlas: self.no_atlas,
        }
    }
}

/// The same choices as they stand on a command line.
pub(crate) fn as_arguments(choices: &Choices) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut add = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
    if let Some(nodes) = choices.nodes {
        add("nodes", nodes.to_string());
    }
    if let Some(clients) = choices.clients {
        add("clients", clients.to_string());
    }
    if let Some(time) = choices.time {
        add("time", format!("{}ms", time.as_millis()));
    }
    if let Some(faults) = &choices.faults {
        let names: Vec<&str> = faults.iter().map(|fault| fault.name()).collect();
        add("faults", if names.is_empty() { "none".to_owned() } else { names.join(",") });
    }
    if choices.no_atlas {
        arguments.push("--no-atlas".to_owned());
    }
    arguments
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { FINE };
            // Where this can't be written, the code says it.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    ExitCode::from(match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => run::replay(&args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::Shrink(args) => shrink::shrink(&args),
        Command::Mutants(args) => mutants::mutants(&args),
        Command::Worker(args) => worker::work(&args),
    })
}
