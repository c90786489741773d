//! Bytes and messages: frames, the hello, what peers say to each other and what clients ask.
//!
//! A connection begins with a [`Hello`] and its [`HelloAnswer`], whose layout is the same in all
//! versions. Then come frames: what members say to each other ([`Kind::Append`] and others), the
//! founding of a cluster ([`encode_founding`]), or a client's [`Request`]s and their [`Reply`]s.
//! docs/wire-protocol.md describes all of it byte by byte.
//!
//! Encoders append to a buffer that the caller reuses; a [`FrameReader`] turns a stream of bytes
//! into [`Frame`]s, whose decoded bodies share its buffer. Whatever doesn't fit is a
//! [`WireError`], which is to close this one connection.

mod append;
mod codes;
mod error;
mod fields;
mod founding;
mod frame;
mod greeting;
mod hello;
mod log_part;
mod peer;
mod piece;
mod reader;
mod reply;
mod request;
mod status;
#[cfg(test)]
mod tests;

pub use append::{SplitAppend, encode_append_head, split_append};
pub use codes::{HelloRefusal, RefusalCode};
pub use error::{FirstBytes, Foreign, WireError};
pub use founding::{FoundingReply, encode_founding};
pub use frame::{
    FRAME_HEADER_BYTES, Frame, Incoming, Kind, OpenFrame, Traffic, encode_goodbye,
    encode_point_report,
};
pub use hello::{
    ANSWER_MAGIC, Addressed, Authentication, HELLO_MAGIC, Hello, HelloAnswer, MAX_HELLO_BYTES,
    Party, Purpose, Verdict, VersionRange,
};
pub use log_part::{LogPart, LogQuestion, MAX_PLACES};
pub use peer::encode_message;
pub use reader::{FillEnd, Filled, FrameReader};
pub use reply::{
    KeptSnapshot, LeaderHint, Reply, ReplyBody, encode_answer, encode_done, encode_refused,
    open_answer, open_done,
};
pub use request::{Consistency, Request, RequestBody, encode_read, encode_write};
pub use status::{Awaited, HealthReason, PeerReport, StatusReply, StatusRole, StorageKind};

/// The versions of this protocol that this program speaks.
pub const PROTOCOL: VersionRange = VersionRange { lowest: 1, highest: 1 };

/// The longest frame with entries, unless it holds a single longer entry. Small enough that a
/// heartbeat behind one doesn't wait for long.
pub const MAX_BULK_FRAME_BYTES: usize = 64 << 10;

/// The longest text in a refusal or goodbye, in bytes; longer ones are cut when they are sent.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The highest term, index, round or boot that is believed. No living cluster gets there, and
/// below it nothing overflows.
pub const MAX_COUNTER: u64 = 1 << 62;
