//! The command line. The comments of these types are what `--help` prints.

mod bench;
mod check;
mod cluster;
mod global;
mod key_value;
mod members;
mod offline;
mod pages;
mod parse;
mod recover;
mod repair;
mod snapshot;

pub(crate) use bench::{BenchArgs, Operation};
pub(crate) use check::{CheckCommand, CheckDiskArgs};
pub(crate) use cluster::{HashArgs, PingArgs, StatusArgs, TransferArgs, WaitArgs};
pub(crate) use global::{Consistency, Format, Global};
pub(crate) use key_value::{
    CasArgs, DeleteArgs, ExportArgs, GetArgs, ImportArgs, IncrementArgs, PutArgs, ScanArgs,
};
pub(crate) use members::{ChangeOptions, MembersCommand};
pub(crate) use offline::{
    DumpArgs, LogCommand, LsArgs, MetaCommand, MetaShowArgs, ShowArgs, StatArgs, TailArgs,
    VerifyArgs,
};
pub(crate) use pages::{CompletionsArgs, ManArgs};
pub(crate) use recover::{ApplyArgs, PlanArgs, RecoverCommand, SurveyArgs};
pub(crate) use repair::{RepairApplyArgs, RepairCommand, RepairPlanArgs};
pub(crate) use snapshot::{SaveArgs, SnapshotCommand, SnapshotFileArgs};

use clap::{Parser, Subcommand};

/// Use and inspect a cluster of raft nodes.
///
/// The nodes come from raft.ini (./raft.ini, else /etc/raft/raft.ini) or from
/// --endpoints. Each global option can also be set in the environment, as
/// RAFT_TIMEOUT=10s for --timeout.
#[derive(Parser, Debug)]
#[command(
    name = "raft-ctl",
    version,
    max_term_width = 80,
    disable_help_subcommand = true,
    after_help = AFTER_HELP,
    override_usage = "raft-ctl [OPTIONS] COMMAND"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  a negative answer: no such key, not swapped, unhealthy, damage found
  2  the command line or the configuration is wrong
  3  no node could be reached
  4  not done, nothing written; may be tried again
  5  whether it was done isn't known
  6  refused by a guard that protects the data
  7  data is corrupt
  8  reading or writing here failed";

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Print the values of keys
    ///
    /// A missing key is a negative answer: exit code 1. With --json there is one object
    /// per key, "value" being null where there is none.
    Get(GetArgs),
    /// Set the value of a key
    Put(PutArgs),
    /// Delete keys
    ///
    /// Deleting what isn't there is no failure; "deleted" tells.
    #[command(name = "del", visible_alias = "delete")]
    Delete(DeleteArgs),
    /// Replace a value if it is what you think it is (compare and swap)
    Cas(CasArgs),
    /// Add to a number
    ///
    /// The value is a number in decimal; a missing key counts as 0. Repeating a request
    /// whose outcome is unknown may add twice: give --client-id and --seq where that
    /// matters.
    #[command(name = "incr", visible_alias = "increment")]
    Increment(IncrementArgs),
    /// List keys in order
    ///
    /// Keys are ordered by their bytes. Long lists are read in pages, each of them as
    /// fresh as --consistency asks; keys that change meanwhile appear before or after
    /// the change.
    Scan(ScanArgs),
    /// Put many keys from JSON lines
    ///
    /// One JSON object per line: {"key":"user:1","value":"ann"}; bytes that aren't text
    /// as {"b64":"..."}. Other fields are ignored, so that the output of `export` can be
    /// imported.
    ///
    /// Every line is carried out exactly once, also when leaders change meanwhile. Lines
    /// with the same key take effect in their order. It gives up when nothing could be
    /// written for --timeout (30s here) and says which lines are done; running it again
    /// from the start is always right.
    Import(ImportArgs),
    /// Print all keys as JSON lines
    ///
    /// One JSON object per line, in the order of the keys' bytes. Read in pages as `scan`
    /// is: what changes meanwhile appears as it was or as it is, and a note on standard
    /// error says that something may have. When a node fails, the page is asked for again,
    /// for as long as --timeout.
    Export(ExportArgs),
    /// Show every node: role, log, lag
    ///
    /// Works without a leader. Exit code 0 if any node answered, else 3.
    Status(StatusArgs),
    /// Say whether anything needs attention
    Health,
    /// Wait for a leader or for an entry to be applied
    ///
    /// Gives up after --timeout with exit code 4.
    Wait(WaitArgs),
    /// Measure the round trip to each node
    ///
    /// Measures requests and answers over one connection to each node: network and
    /// event loop, no disk. Exit code 0 if any node answered, else 3.
    Ping(PingArgs),
    /// See who is in the cluster: add, replace and remove nodes
    ///
    /// NODE is the number of a node or its label in the configuration; a new one may also be
    /// given as HOST:PORT. Each change can be given again: where the members are what it asks
    /// for, it only waits, up to an hour if --timeout doesn't say otherwise. --dry-run shows
    /// what would be, and changes nothing.
    #[command(subcommand)]
    Members(MembersCommand),
    /// Hand leadership to another node
    ///
    /// Waits until another node leads. Clients are held up for about one round trip.
    TransferLeader(TransferArgs),
    /// Compare the state of the nodes
    ///
    /// Every node keeps a running hash of its keys, values and sessions. Where two nodes
    /// have applied the same entry, their hashes must be equal. Exit code 1 if any differ.
    Hash(HashArgs),
    /// Take, list and save snapshots, and read their files
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Read a log on disk (offline or live, never changing it)
    #[command(subcommand)]
    Log(LogCommand),
    /// Read what a node must never forget (identity, term, vote) on disk
    #[command(subcommand)]
    Meta(MetaCommand),
    /// Repair the damaged log of a stopped node out of what the others hold
    #[command(subcommand)]
    Repair(RepairCommand),
    /// Go on without a majority that is lost for good (offline)
    #[command(subcommand)]
    Recover(RecoverCommand),
    /// Measure throughput and latency
    ///
    /// Closed loop: --clients connections, each with --depth requests under way. With --rate,
    /// open loop: requests start at their time whatever the cluster does, and latency counts
    /// from then.
    ///
    /// The limits of this machine are measured in the same run (the disk of the data
    /// directory, a round trip over loopback), so that the result can be read as a share of
    /// them. The keys written begin with "bench:" and stay.
    Bench(BenchArgs),
    /// Look whether this machine is fit for a node
    #[command(subcommand)]
    Check(CheckCommand),
    /// Print what makes a shell complete this program's commands and options
    ///
    /// For bash: raft-ctl completions bash > /etc/bash_completion.d/raft-ctl, or below
    /// ~/.local/share/bash-completion/completions for yourself.
    Completions(CompletionsArgs),
    /// Print the manual page, or write one for each command
    ///
    /// To read it at once: raft-ctl man > raft-ctl.1 && man ./raft-ctl.1
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn check(command: &mut clap::Command, path: &str) {
        for help in [command.render_help(), command.render_long_help()] {
            for line in help.to_string().lines() {
                assert!(line.chars().count() <= 80, "{path}: {line}");
            }
        }
        for below in command.get_subcommands_mut() {
            let path = format!("{path} {}", below.get_name());
            check(below, &path);
        }
    }

    #[test]
    fn every_help_fits_eighty_columns() {
        let mut command = Cli::command();
        command.build();
        check(&mut command, "raft-ctl");
    }

    #[test]
    fn no_argument_takes_the_place_of_a_global_option() {
        fn check(command: &clap::Command, global: &[String]) {
            for argument in command.get_arguments().filter(|it| !it.is_global_set()) {
                let id = argument.get_id().as_str();
                assert!(!global.iter().any(|it| it == id), "{} {id}", command.get_name());
            }
            command.get_subcommands().for_each(|below| check(below, global));
        }
        let command = Cli::command();
        let global = command.get_arguments().filter(|argument| argument.is_global_set());
        let global: Vec<String> = global.map(|it| it.get_id().to_string()).collect();
        assert!(global.iter().any(|id| id == "node"), "{global:?}");
        check(&command, &global);
    }

    #[test]
    fn every_global_option_has_its_variable() {
        let mut command = Cli::command();
        command.build();
        for argument in command.get_arguments().filter(|argument| argument.is_global_set()) {
            let Some(long) = argument.get_long() else { continue };
            let expected = format!("RAFT_{}", long.to_uppercase().replace('-', "_"));
            let variable = argument.get_env().and_then(|variable| variable.to_str());
            assert_eq!(variable, Some(expected.as_str()));
        }
    }
}
