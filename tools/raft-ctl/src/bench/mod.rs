//! x
pub(crate) mod limits; pub(crate) mod report;
