//! What all JSON objects share.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// The version of the JSON: the value of `"v"`. It changes when a key changes its meaning or goes
/// away, not when one is added.
pub(crate) const VERSION: u32 = 1;

/// A duration as a number of seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Seconds(pub(crate) Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Nanoseconds have at most nine digits behind the point; a float doesn't always end
        // there.
        let rounded = (self.0.as_secs_f64() * 1e9).round() / 1e9;
        serializer.serialize_f64(rounded)
    }
}
