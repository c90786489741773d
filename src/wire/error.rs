//! What can be wrong with bytes from the other side of a connection.

use std::fmt;

use super::{Kind, Traffic};
use crate::model::{BatchError, Malformed};

/// Bytes that aren't this protocol. The connection is to be closed; nothing else is affected,
/// and nothing of the frame that is named was carried out.
///
/// `offset` counts from the first byte of the connection; the offsets inside a frame count from
/// its first byte.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// The first bytes aren't those of a hello or its answer.
    #[error("the other side {0}; this port speaks raft's own protocol only")]
    Foreign(Foreign),
    /// A hello where an answer should be, or the reverse.
    #[error("{found} came where {expected} was expected")]
    Crossed {
        /// What should have come.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// A hello or answer that is too long or too short.
    #[error("{what}: length at offset 8: {found} isn't {least}..{most}")]
    HelloLength {
        /// Which of the two.
        what: &'static str,
        /// What it says.
        found: u32,
        /// The least that it can be.
        least: usize,
        /// The most that is allowed.
        most: usize,
    },
    /// A hello or answer whose bytes aren't those that were sent.
    #[error("{what}: checksum {found:08x} found, {computed:08x} computed")]
    HelloChecksum {
        /// Which of the two.
        what: &'static str,
        /// What it says.
        found: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A hello or answer with the right checksum that doesn't have its layout.
    #[error("{what}: {error}")]
    Hello {
        /// Which of the two.
        what: &'static str,
        /// What is wrong.
        error: Malformed,
    },
    /// A kind of frame that this version of the protocol doesn't have.
    #[error("frame at offset {offset}: kind 0x{found:02x} is none of this version")]
    UnknownKind {
        /// Where the frame begins.
        offset: u64,
        /// The kind.
        found: u8,
    },
    /// A kind of frame that the other side may not send on this connection.
    #[error("frame at offset {offset}: {kind} may not come here, where {traffic} may")]
    Unexpected {
        /// Where the frame begins.
        offset: u64,
        /// Its kind.
        kind: Kind,
        /// What may come.
        traffic: Traffic,
    },
    /// A length that a frame of this kind can't have. Nothing was allocated for it.
    #[error("frame at offset {offset}: {kind}: length {found} isn't {least}..{most}")]
    Length {
        /// Where the frame begins.
        offset: u64,
        /// Its kind.
        kind: Kind,
        /// What it says.
        found: u32,
        /// The least that it can be.
        least: usize,
        /// The most that is allowed.
        most: usize,
    },
    /// Flags that this version doesn't know.
    #[error("frame at offset {offset}: {kind}: flags 0x{found:02x} are none of this version")]
    Flags {
        /// Where the frame begins.
        offset: u64,
        /// Its kind.
        kind: Kind,
        /// The flags.
        found: u8,
    },
    /// A frame whose bytes aren't those that were sent.
    #[error(
        "frame at offset {offset}: {kind}: checksum {found:08x} found, {computed:08x} computed"
    )]
    Checksum {
        /// Where the frame begins.
        offset: u64,
        /// Its kind.
        kind: Kind,
        /// What it says.
        found: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A frame with the right checksum that doesn't have the layout of its kind.
    #[error("frame at offset {offset}: {kind}: {error}")]
    Body {
        /// Where the frame begins.
        offset: u64,
        /// Its kind.
        kind: Kind,
        /// What is wrong.
        error: Malformed,
    },
    /// Entries in a frame that can't be read or don't follow each other. Offsets count from the
    /// first entry, which stands at `start` of the frame.
    #[error("frame at offset {offset}: {kind}: entries from {start}: {error}")]
    Entries {
        /// Where the frame begins.
        offset: u64,
        /// Its kind.
        kind: Kind,
        /// Where its entries begin.
        start: usize,
        /// What is wrong.
        error: BatchError,
    },
    /// The stream ended inside a hello or a frame.
    #[error("the stream ended {have} bytes into {what} at offset {offset}")]
    Cut {
        /// What was cut.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// How much of it came.
        have: usize,
    },
}

/// What speaks on a connection that doesn't begin as this protocol does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Foreign {
    /// An HTTP client or server.
    Http(FirstBytes),
    /// A TLS handshake.
    Tls(FirstBytes),
    /// An SSH client or server.
    Ssh(FirstBytes),
    /// The text protocol of Redis.
    Redis(FirstBytes),
    /// Some other text.
    Text(FirstBytes),
    /// The first byte is right and what follows isn't.
    Magic(FirstBytes),
    /// Anything else.
    Binary(FirstBytes),
}

/// Up to eight bytes with which a stream begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FirstBytes {
    bytes: [u8; 8],
    count: usize,
}

impl FirstBytes {
    /// The first eight of `stream`, or as many as there are.
    fn of(stream: &[u8]) -> FirstBytes {
        let count = stream.len().min(8);
        let mut bytes = [0; 8];
        bytes[..count].copy_from_slice(&stream[..count]);
        FirstBytes { bytes, count }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.count]
    }
}

impl fmt::Debug for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_slice().escape_ascii())
    }
}

/// How requests and answers of HTTP begin; `PRI` is version 2 without TLS.
const HTTP: [&[u8]; 11] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT",
    b"TRACE ",
    b"PRI ",
    b"HTTP/",
];

impl Foreign {
    /// What begins a stream with these bytes, which aren't a magic.
    #[must_use]
    pub fn recognise(stream: &[u8]) -> Foreign {
        let first = FirstBytes::of(stream);
        let begins = |text: &[u8]| stream.starts_with(text);
        // A TLS record: handshake, major version 3.
        if begins(&[0x16, 0x03]) {
            Foreign::Tls(first)
        } else if HTTP.iter().any(|word| begins(word)) {
            Foreign::Http(first)
        } else if begins(b"SSH-") {
            Foreign::Ssh(first)
        } else if stream.first() == Some(&b'*') && stream.get(1).is_some_and(u8::is_ascii_digit) {
            Foreign::Redis(first)
        } else if stream.first() == Some(&super::HELLO_MAGIC[0]) {
            Foreign::Magic(first)
        } else if first.as_slice().iter().all(|byte| is_text(*byte)) {
            Foreign::Text(first)
        } else {
            Foreign::Binary(first)
        }
    }
}

fn is_text(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic() || matches!(byte, b'\t' | b'\r' | b'\n')
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, first) = match self {
            Foreign::Http(first) => ("speaks HTTP", first),
            Foreign::Tls(first) => ("speaks TLS", first),
            Foreign::Ssh(first) => ("speaks SSH", first),
            Foreign::Redis(first) => ("speaks the protocol of Redis", first),
            Foreign::Text(first) => ("sends text", first),
            Foreign::Magic(first) => ("begins nearly as raft does, but not quite", first),
            Foreign::Binary(first) => ("sends bytes that aren't raft's", first),
        };
        write!(f, "{what} (its first bytes are {first:?})")
    }
}
