//! `raft-ctl`: requests, inspection and benchmark.

mod bench;
mod cli;
mod codes;
mod context;
mod error;
mod exit;
mod import;
mod input;
mod output;

fn main() {}
