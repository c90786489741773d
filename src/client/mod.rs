//! The client library: blocking, with pipelining, three outcomes for every request.

mod dial;
mod endpoint;
mod finder;

pub use dial::resolve;
pub use endpoint::{Endpoint, EndpointError};
