//! The clients' connections: their replies, one piece for each and turn, and how much they may
//! ask for at a time.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};

use crate::model::Time;

/// The name of a client's connection. Names are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

/// The most requests of one connection that aren't answered; no more of it is read meanwhile.
const MAX_UNANSWERED: usize = 4096;

/// While more of a connection's replies aren't sent, no more of it is read and no query of it
/// is answered.
const UNSENT_BYTES: usize = 1 << 20;

/// A query and who waits for its answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ask {
    pub(crate) client: ClientId,
    /// The client's number of the request.
    pub(crate) request: u64,
    pub(crate) deadline: Time,
    pub(crate) query: Bytes,
}

/// All clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    by_id: BTreeMap<ClientId, Client>,
    /// Those that have something to be sent.
    dirty: Vec<ClientId>,
    /// Who waits for a hand-over of leadership to end, by its number.
    transfers: BTreeMap<u64, (ClientId, u64)>,
    last_transfer: u64,
    /// How many bytes of queries wait for clients that don't take their replies.
    parked_bytes: usize,
}

#[derive(Debug, Default)]
struct Client {
    replies: BytesMut,
    is_dirty: bool,
    unanswered: usize,
    unsent: usize,
    /// Queries that wait until the replies before them are sent.
    parked: VecDeque<Ask>,
}

impl Clients {
    /// There is a new client.
    pub(crate) fn connect(&mut self, client: ClientId) {
        self.by_id.insert(client, Client::default());
    }

    /// How many clients there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.by_id.len()).unwrap_or(u32::MAX)
    }

    /// A client waits for a hand-over of leadership; tells its number, at least 1.
    pub(crate) fn note_transfer(&mut self, client: ClientId, request: u64) -> u64 {
        self.last_transfer += 1;
        self.transfers.insert(self.last_transfer, (client, request));
        self.last_transfer
    }

    /// Who waits for the hand-over with this number.
    pub(crate) fn take_transfer(&mut self, number: u64) -> Option<(ClientId, u64)> {
        self.transfers.remove(&number)
    }

    /// A client asks for something.
    pub(crate) fn asks(&mut self, client: ClientId) {
        if let Some(state) = self.by_id.get_mut(&client) {
            state.unanswered += 1;
        }
    }

    /// The client is gone, and with it what waits for it.
    pub(crate) fn remove(&mut self, client: ClientId) {
        if let Some(state) = self.by_id.remove(&client) {
            self.parked_bytes -= bytes_of(&state.parked);
        }
    }

    /// Answers one request of the client: `encode` appends the reply to the buffer it is given.
    /// Nothing happens if the client is gone.
    pub(crate) fn reply(&mut self, client: ClientId, encode: impl FnOnce(&mut BytesMut)) {
        let Some(state) = self.by_id.get_mut(&client) else { return };
        let before = state.replies.len();
        encode(&mut state.replies);
        state.unsent += state.replies.len() - before;
        state.unanswered = state.unanswered.saturating_sub(1);
        if !state.is_dirty {
            state.is_dirty = true;
            self.dirty.push(client);
        }
    }

    /// Whether more of the client's requests should be read.
    pub(crate) fn has_room(&self, client: ClientId) -> bool {
        self.by_id.get(&client).is_none_or(|state| {
            state.unanswered < MAX_UNANSWERED
                && state.unsent < UNSENT_BYTES
                && state.parked.is_empty()
        })
    }

    /// Whether a query may be answered now. If not, it is kept until what the client hasn't got
    /// yet is sent; if the client is gone, it is dropped.
    pub(crate) fn admit(&mut self, ask: Ask) -> Option<Ask> {
        let state = self.by_id.get_mut(&ask.client)?;
        if state.unsent < UNSENT_BYTES && state.parked.is_empty() {
            return Some(ask);
        }
        self.parked_bytes += ask.query.len();
        state.parked.push_back(ask);
        None
    }

    /// So many bytes of the client's replies were sent; gives back the queries that waited for
    /// that.
    pub(crate) fn sent(&mut self, client: ClientId, bytes: usize) -> VecDeque<Ask> {
        let Some(state) = self.by_id.get_mut(&client) else { return VecDeque::new() };
        state.unsent = state.unsent.saturating_sub(bytes);
        if state.unsent < UNSENT_BYTES / 2 {
            let parked = std::mem::take(&mut state.parked);
            self.parked_bytes -= bytes_of(&parked);
            return parked;
        }
        VecDeque::new()
    }

    /// How many bytes of queries wait for clients that don't take their replies.
    pub(crate) const fn parked_bytes(&self) -> usize {
        self.parked_bytes
    }

    /// The replies that are ready for one client.
    pub(crate) fn take_replies(&mut self) -> Option<(ClientId, Bytes)> {
        while let Some(client) = self.dirty.pop() {
            if let Some(state) = self.by_id.get_mut(&client) {
                state.is_dirty = false;
                return Some((client, state.replies.split().freeze()));
            }
        }
        None
    }
}

fn bytes_of(parked: &VecDeque<Ask>) -> usize {
    parked.iter().map(|ask| ask.query.len()).sum()
}
