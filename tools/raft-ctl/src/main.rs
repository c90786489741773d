//! `raft-ctl`: requests, inspection and benchmark.

fn main() {}
