//! `raft-sim`: runs simulated clusters from the command line.

fn main() {}
