//! The client library: blocking, with pipelining, three outcomes for every request.
