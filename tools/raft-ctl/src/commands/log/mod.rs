//! Commands that read a log on disk. They never change it, and the directory may be in use.

mod dump;
mod entry;
mod ls;
mod show;
mod stat;
mod tail;
mod verify;

use std::path::Path;

use raft_node::storage::{ErrorClass, Inspection, RealDisk, StorageError};

use crate::cli::LogCommand;
use crate::codes::Code;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{DIM, Output, WARN, styled};

pub(crate) fn run(command: &LogCommand, out: &mut Output) -> Result<Exit, CliError> {
    match command {
        LogCommand::Ls(args) => ls::run(args, out),
        LogCommand::Dump(args) => dump::run(args, out),
        LogCommand::Show(args) => show::run(args, out),
        LogCommand::Verify(args) => verify::run(args, out),
        LogCommand::Stat(args) => stat::run(args, out),
        LogCommand::Tail(args) => tail::run(args, out),
    }
}

/// Opens a directory to be looked at.
pub(super) fn open(directory: &Path) -> Result<Inspection<RealDisk>, CliError> {
    Inspection::open(RealDisk, directory).map_err(|error| failed(&error))
}

/// What an error of the storage means for a command that only reads.
pub(super) fn failed(error: &StorageError) -> CliError {
    let code = match error.class() {
        ErrorClass::Corrupt => Code::Corrupt,
        ErrorClass::Configuration => Code::Usage,
        ErrorClass::Disk | ErrorClass::NoSpace | ErrorClass::InUse | ErrorClass::Identity => {
            Code::LocalIo
        }
    };
    let made = CliError::new(code, error.to_string());
    match error {
        StorageError::NoDirectory { .. } => made.hint(
            "give the directory of one node, which is named by its number below DataDirectory, as \
             in datasets/raft/3",
        ),
        _ => made,
    }
}

/// Says that what stands at the end may not be durable yet, where that is so.
pub(super) fn note_live(
    inspection: &Inspection<RealDisk>,
    last: Option<u64>,
    out: &mut Output,
) -> Result<(), CliError> {
    if !inspection.is_live() || out.is_json() {
        return Ok(());
    }
    let beyond =
        last.map_or(String::new(), |last| format!("; beyond index {last} possibly not durable"));
    let use_text = styled(DIM, format!("a node has this directory in use{beyond}"));
    out.words(&format!("{} {use_text}", styled(WARN, "live")), 2)
}
