//! The disk: segments, hard state, identity, recovery, and the work of the log thread and the
//! file thread. Everything stands on one seam, the disk, below which a simulated one can be put.
