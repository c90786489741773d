//! Whole nodes without sockets, threads or clocks: drivers that exchange real frames and write to
//! disks in memory, step by step.

mod cases;
mod cluster;
mod members;
mod room;
mod snapshots;
mod still;
