//! The client against nodes that do what a test says.

mod blocking;
mod fake;
mod pipeline;
