//! One connection: its socket, what was read of it, what waits to be written, and what it is.

use std::io::{self, IoSlice, Write};
use std::net::SocketAddr;

use super::door::Footing;
use super::driver::ClientId;
use super::outbound::{Outbound, SLICES};
use crate::model::{Epoch, LogId, Member, NodeId};
use crate::wire::{FrameReader, Purpose};

/// The name of a connection. It only grows: an event for one that is gone finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub usize);

/// Whom this node calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Callee {
    /// A node of the file or of the cluster.
    Node(NodeId),
    /// Whoever is reached where `--join` says.
    Contact,
}

impl Callee {
    /// Which node it is, if that is known.
    #[must_use]
    pub const fn node(self) -> Option<NodeId> {
        match self {
            Callee::Node(id) => Some(id),
            Callee::Contact => None,
        }
    }
}

/// What a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// This node connects to another one.
    Connecting(Callee),
    /// This node has said hello and waits for the answer.
    Calling(Callee),
    /// Somebody has connected and hasn't said hello yet.
    Accepted,
    /// Another node.
    Node {
        member: Member,
        /// Whether this node has called it.
        is_called: bool,
        footing: Footing,
        /// The epoch of its cluster, as its hello said; 0 if it is part of none.
        epoch: Epoch,
        /// The last entry of its log, as its hello said.
        last: LogId,
    },
    /// A client.
    Client(ClientId),
    /// The last words are being sent.
    Leaving,
}

impl Stage {
    /// Whether it is another node.
    pub(crate) const fn is_node(&self) -> bool {
        matches!(self, Stage::Connecting(_) | Stage::Calling(_) | Stage::Node { .. })
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    pub(crate) stream: S,
    pub(crate) remote: SocketAddr,
    pub(crate) stage: Stage,
    pub(crate) reader: FrameReader,
    pub(crate) out: Outbound,
    /// Whether the socket may have something to read.
    pub(crate) is_readable: bool,
    /// Whether the socket may take something.
    pub(crate) is_writable: bool,
    /// Whether it is in the list of those that may have something to read.
    pub(crate) is_ready: bool,
    /// Whether it is in the list of those that have something to write.
    pub(crate) is_dirty: bool,
    /// Whether it is in the list of clients of whom no more is read for now.
    pub(crate) is_paused: bool,
    /// How much was read and dropped after the last words.
    pub(crate) dropped_bytes: usize,
}

/// How a write has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Written {
    pub(crate) bytes: usize,
    /// Whether more waits that the socket may take at once.
    pub(crate) has_more: bool,
}

impl<S: Write> Connection<S> {
    pub(crate) fn accepted(stream: S, remote: SocketAddr) -> Connection<S> {
        Connection::new(stream, remote, Stage::Accepted, FrameReader::accepting())
    }

    pub(crate) fn called(stream: S, remote: SocketAddr, to: Callee) -> Connection<S> {
        let reader = FrameReader::calling(Purpose::Peer);
        Connection::new(stream, remote, Stage::Connecting(to), reader)
    }

    fn new(stream: S, remote: SocketAddr, stage: Stage, reader: FrameReader) -> Connection<S> {
        Connection {
            stream,
            remote,
            stage,
            reader,
            out: Outbound::default(),
            is_readable: false,
            is_writable: false,
            is_ready: false,
            is_dirty: false,
            is_paused: false,
            dropped_bytes: 0,
        }
    }

    /// Writes what waits, in one go.
    pub(crate) fn write(&mut self) -> io::Result<Written> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.out.slices(&mut slices);
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        if offered == 0 {
            return Ok(Written { bytes: 0, has_more: false });
        }
        loop {
            match self.stream.write_vectored(&slices[..count]) {
                Ok(bytes) => {
                    self.out.advance(bytes);
                    self.is_writable = bytes == offered;
                    let has_more = self.is_writable && !self.out.is_empty();
                    return Ok(Written { bytes, has_more });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_writable = false;
                    return Ok(Written { bytes: 0, has_more: false });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The node at the other end, as far as it is known.
    pub(crate) const fn node(&self) -> Option<NodeId> {
        match self.stage {
            Stage::Connecting(callee) | Stage::Calling(callee) => callee.node(),
            Stage::Node { member, .. } => Some(member.id),
            _ => None,
        }
    }
}
