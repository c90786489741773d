//! Snapshots: taken and listed.

mod kept;
mod ls;
mod object;
mod trigger;

use crate::cli::SnapshotCommand;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

/// Carries out what is asked.
pub(super) fn run(
    command: &SnapshotCommand,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match command {
        SnapshotCommand::Trigger => trigger::run(context, out),
        SnapshotCommand::Ls => ls::run(context, out),
    }
}
