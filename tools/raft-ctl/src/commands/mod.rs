//! What each command does.

mod change;
mod check;
mod get;
mod hash;
mod health;
mod import;
mod log;
mod members;
mod meta;
mod nodes;
mod pages;
mod ping;
mod recover;
mod repair;
mod scan;
mod seats;
mod snapshot;
mod status;
mod transfer;
mod wait;

use crate::bench;
use crate::cli::{Cli, Command, SnapshotCommand};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// Carries out what the command line says.
pub(crate) fn run(cli: Cli, out: &mut Output) -> Result<Exit, CliError> {
    // These need no nodes.
    match &cli.command {
        Command::Log(command) => return log::run(command, out),
        Command::Meta(command) => return meta::run(command, out),
        Command::Recover(command) => return recover::run(command, &cli.global, out),
        Command::Snapshot(SnapshotCommand::Show(args)) => return snapshot::show(args, out),
        Command::Snapshot(SnapshotCommand::Verify(args)) => return snapshot::verify(args, out),
        Command::Check(command) => return check::run(command, out),
        Command::Completions(args) => return pages::completions(args, out),
        Command::Man(args) => return pages::man(args, out),
        _ => {}
    }
    let context = Context::new(cli.global)?;
    match &cli.command {
        Command::Get(args) => get::run(args, &context, out),
        Command::Put(args) => change::put(args, &context, out),
        Command::Delete(args) => change::delete(args, &context, out),
        Command::Cas(args) => change::cas(args, &context, out),
        Command::Increment(args) => change::increment(args, &context, out),
        Command::Scan(args) => scan::scan(args, &context, out),
        Command::Import(args) => import::run(args, &context, out),
        Command::Export(args) => scan::export(args, &context, out),
        Command::Status(args) => status::run(args, &context, out),
        Command::Health => health::run(&context, out),
        Command::Wait(args) => wait::run(args, &context, out),
        Command::Ping(args) => ping::run(args, &context, out),
        Command::Members(command) => members::run(command, &context, out),
        Command::TransferLeader(args) => transfer::run(args, &context, out),
        Command::Hash(_) => hash::run(&context, out),
        Command::Repair(command) => repair::run(command, &context, out),
        Command::Snapshot(command) => snapshot::run(command, &context, out),
        Command::Bench(args) => bench::run(args, &context, out),
        Command::Log(_)
        | Command::Meta(_)
        | Command::Recover(_)
        | Command::Check(_)
        | Command::Completions(_)
        | Command::Man(_) => unreachable!("carried out above"),
    }
}
