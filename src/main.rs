//! `raft`: starts a node.

fn main() {}
