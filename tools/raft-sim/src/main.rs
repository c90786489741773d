//! `raft-sim`: runs simulated clusters from the command line.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A world allocates small things all the time and keeps few of them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
