//! The rules of the client, and the client against nodes that do what a test says.

mod blocking;
mod call;
mod fake;
mod pipeline;
