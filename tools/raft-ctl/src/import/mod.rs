//! x
pub(crate) mod lines;
