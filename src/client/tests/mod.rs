//! The rules of the client, and the client against nodes that do what a test says.

use crate::{model, wire};

mod adversary;
mod asked;
mod blocking;
mod call;
mod fake;
mod parts;
mod pipeline;
