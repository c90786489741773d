//! The other members as the driver sees them: what goes to them, and entries from disk for them.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::recent::Recent;
use crate::model::{self, Batch, Index, LogId, Member, Message, NodeId, SnapshotId, Span, Term};
use crate::wire::{encode_append_head, encode_message, split_append};

/// All members that are connected.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    connected: BTreeMap<Member, Peer>,
    /// Heads of frames are made here.
    heads: BytesMut,
}

#[derive(Debug)]
struct Peer {
    /// Where it is reached, as it says.
    address: String,
    /// The highest feature level that it supports.
    supports: u32,
    /// What goes before entries, for this turn.
    urgent: BytesMut,
    /// The entries that were last read from disk for it.
    read: Option<Batch>,
    /// The bytes of a snapshot that were last read for it.
    piece: Option<model::Piece>,
}

/// A frame with entries: the head, and the entries that are shared with others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EntriesFrame {
    pub(crate) head: Bytes,
    pub(crate) entries: Bytes,
}

/// A piece of the log for a member, as the core names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Piece {
    pub(crate) to: Member,
    pub(crate) term: Term,
    pub(crate) prev: LogId,
    pub(crate) commit: Index,
    pub(crate) span: Span,
}

impl Peers {
    /// There is a new connection; what waited for an earlier one is dropped.
    pub(crate) fn connect(&mut self, peer: Member, address: String, supports: u32) {
        let state = Peer { address, supports, urgent: BytesMut::new(), read: None, piece: None };
        self.connected.insert(peer, state);
    }

    pub(crate) fn disconnect(&mut self, peer: Member) {
        self.connected.remove(&peer);
    }

    pub(crate) fn is_connected(&self, peer: Member) -> bool {
        self.connected.contains_key(&peer)
    }

    /// The highest feature level that a member supports, if it is connected.
    pub(crate) fn supports(&self, peer: Member) -> Option<u32> {
        self.connected.get(&peer).map(|state| state.supports)
    }

    /// Where the member with this id is reached, if it is connected.
    pub(crate) fn address(&self, id: NodeId) -> Option<&str> {
        let mut peers = self.connected.iter().filter(|(peer, _)| peer.id == id);
        peers.next().map(|(_, peer)| peer.address.as_str())
    }

    /// The members that are connected, with their addresses.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = (Member, &str)> {
        self.connected.iter().map(|(member, peer)| (*member, peer.address.as_str()))
    }

    /// Sends a message without entries.
    pub(crate) fn send(&mut self, message: &Message) {
        if let Some(peer) = self.connected.get_mut(&message.to) {
            encode_message(message.term, &message.body, &mut peer.urgent);
        }
    }

    /// Lets `encode` append a frame for each member that is connected.
    pub(crate) fn send_to_all(&mut self, encode: impl Fn(&mut BytesMut)) {
        for peer in self.connected.values_mut() {
            encode(&mut peer.urgent);
        }
    }

    /// What goes before entries, for one of the members.
    pub(crate) fn take_urgent(&mut self) -> Option<(Member, Bytes)> {
        let waiting = |(_, peer): &(&Member, &mut Peer)| !peer.urgent.is_empty();
        let (member, peer) = self.connected.iter_mut().find(waiting)?;
        Some((*member, peer.urgent.split().freeze()))
    }

    /// Keeps the entries that were read from disk for a member, until the next ones are; tells
    /// how long each is.
    pub(crate) fn keep_read(&mut self, peer: Member, batch: Batch) -> Vec<u32> {
        let lengths = (0..batch.len()).map(|position| batch.entry_bytes(position) as u32).collect();
        if let Some(state) = self.connected.get_mut(&peer) {
            state.read = Some(batch);
        }
        lengths
    }

    /// Keeps the bytes of a snapshot that were read for a member.
    pub(crate) fn keep_piece(&mut self, peer: Member, piece: model::Piece) {
        if let Some(state) = self.connected.get_mut(&peer) {
            state.piece = Some(piece);
        }
    }

    /// The first `length` of the bytes that were kept for a member, if they are these.
    pub(crate) fn take_piece(
        &mut self,
        peer: Member,
        snapshot: SnapshotId,
        offset: u64,
        length: u64,
    ) -> Option<model::Piece> {
        let piece = self.connected.get_mut(&peer)?.piece.take()?;
        let length = usize::try_from(length).ok().filter(|length| *length <= piece.bytes.len())?;
        let is_it = piece.snapshot == snapshot && piece.offset == offset;
        is_it.then(|| model::Piece { bytes: piece.bytes.slice(..length), ..piece })
    }

    /// Makes the frames that bring a piece of the log to a member.
    pub(crate) fn frames(
        &mut self,
        recent: &Recent,
        piece: Piece,
        mut give: impl FnMut(EntriesFrame),
    ) {
        let Piece { to, term, prev, commit, span } = piece;
        let Some(peer) = self.connected.get_mut(&to) else { return };
        if recent.holds(span.first) {
            peer.read = None;
        }
        let read = peer.read.as_ref().and_then(|batch| batch.slice(span.first, span.last));
        let is_at_hand = recent.holds(span.first)
            || read.as_ref().is_some_and(|batch| batch.first().index == span.first);
        if !is_at_hand {
            // They were read for a connection that is gone. Of this one the core asks first
            // what has come.
            return;
        }
        let mut at = prev;
        for piece in read.into_iter().chain(recent.slices(span)) {
            let Some(piece) = piece.slice(at.index.next(), span.last) else { continue };
            assert!(piece.first().index == at.index.next(), "the entries of {span:?} are at hand");
            let last = piece.last();
            for append in split_append(at, commit, piece) {
                encode_append_head(term, &append, &mut self.heads);
                let head = self.heads.split().freeze();
                let entries = append.batch.expect("a piece of a batch has entries").bytes();
                give(EntriesFrame { head, entries });
            }
            at = last;
        }
        assert!(at.index == span.last, "the entries of {span:?} are at hand");
    }
}
