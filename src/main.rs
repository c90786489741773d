//! `raft`: starts a node, or all nodes of this host.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
