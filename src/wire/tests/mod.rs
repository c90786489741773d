//! Tests of the protocol from outside: encoders and the reader against each other, against bytes
//! made by hand, and against docs/wire-protocol.md.

mod damage;
mod greeting;
mod messages;
mod page;
mod round_trip;
mod samples;
mod stream;
