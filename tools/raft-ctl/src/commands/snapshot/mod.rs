//! Snapshots: taken, listed and saved; their files read.

mod file;
mod kept;
mod ls;
mod object;
mod pieces;
mod save;
mod show;
mod trigger;
mod verify;

pub(super) use show::run as show;
pub(super) use verify::run as verify;

use crate::cli::SnapshotCommand;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// Carries out what the nodes are needed for.
pub(super) fn run(
    command: &SnapshotCommand,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match command {
        SnapshotCommand::Trigger => trigger::run(context, out),
        SnapshotCommand::Ls => ls::run(context, out),
        SnapshotCommand::Save(args) => save::run(args, context, out),
        SnapshotCommand::Show(_) | SnapshotCommand::Verify(_) => {
            unreachable!("they need no nodes")
        }
    }
}
