//! Whole clusters in one thread, all of it decided by one seed: the product's own code between a
//! network, disks and clocks that fail as real ones do.

pub mod check;
pub mod disk;
pub mod mutants;
pub mod world;
