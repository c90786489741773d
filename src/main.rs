//! `raft`: starts a node, or all nodes of this host.

mod cli;

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The C library's allocator sorts all small pieces that were freed when a large one is. Behind
/// a snapshot, which leaves millions of them, that held the event loop up for 13 to 40 ms.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
