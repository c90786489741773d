//! `repair`: a damaged log of a stopped node, made good out of what the others hold.

mod apply;
mod holder;
mod plan;

use crate::cli::RepairCommand;
use crate::codes::Code;
use crate::commands::log::failed;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use raft_node::storage::StorageError;

pub(super) fn run(
    command: &RepairCommand,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match command {
        RepairCommand::Plan(args) => plan::run(args, context, out),
        RepairCommand::Apply(args) => apply::run(args, context, out),
    }
}

fn told(error: &StorageError) -> CliError {
    match error {
        StorageError::InUse { .. } => CliError::new(Code::InUse, error.to_string())
            .hint("a node that runs has read its log whole; stop it to have it looked at again"),
        _ => failed(error),
    }
}
