//! What is on its way through the network, between whom, and how long that takes.

/// Who has an end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Party {
    /// The process on this machine, counted from 0.
    Host(usize),
    /// This client, counted from 0.
    Client(usize),
}

/// How the network is.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// The shortest and the longest delay of a piece, in nanoseconds.
    pub(crate) delay: (u64, u64),
    /// How often in a thousand a piece takes far longer.
    pub(crate) spikes: u64,
    /// How much longer it then takes at most.
    pub(crate) spike: u64,
    /// Nanoseconds for each byte.
    pub(crate) byte_time: u64,
    /// How many bytes of a direction may be on their way or unread.
    pub(crate) window: usize,
    /// How often in a thousand a write goes in two pieces.
    pub(crate) splits: u64,
}

/// Something that happens in the network, at a time of its own.
#[derive(Debug)]
pub(crate) enum Transit {
    /// A call arrives.
    Call(usize),
    /// The answer to it arrives.
    Answer(usize),
    /// Bytes arrive at the other end.
    Piece { connection: usize, direction: usize, bytes: Box<[u8]>, sent_at: u64 },
    /// Nothing follows in this direction.
    End { connection: usize, direction: usize, sent_at: u64 },
    /// The other side is gone, and says so: this end is told.
    Reset { connection: usize, end: usize },
    /// What was held back is tried again.
    Retry { connection: usize, direction: usize, pause: u64 },
}

/// Something an owner of an end is to hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wake {
    pub(crate) party: Party,
    pub(crate) connection: usize,
    /// The owner's name for it, if it has given one.
    pub(crate) token: Option<usize>,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}
