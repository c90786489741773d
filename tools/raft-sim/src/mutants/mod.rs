//! Planted bugs: how good the simulator is at finding what it is for.
//!
//! Each is a patch in `tools/raft-sim/mutants/`, so that nothing of it stands in the product's
//! code. It is applied to a copy of the tree, built and swept; it counts as found where a seed
//! finds something that the same seed doesn't find in the tree as it is.

mod bench;
mod memory;
mod patch;
mod table;

pub use self::bench::{Bench, Limits, Tools, Verdict};
pub use self::memory::Memory;
pub use self::patch::{DIRECTORY, Mutant, MutantError, read_all};
pub use self::table::{Judged, as_json, as_text};
