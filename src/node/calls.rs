//! Calling the other nodes: one call for each at a time, with a pause after each that failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::connection::ConnectionId;
use crate::config::Address;
use crate::model::{NodeId, Time};

/// The pause after the first call that failed. It doubles with each that fails.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whom this node calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    nodes: BTreeMap<NodeId, Call>,
    /// The state of the generator that spreads the pauses.
    chance: u64,
}

#[derive(Debug)]
struct Call {
    address: Address,
    /// Where its name leads, the one to be tried next first.
    found: Vec<SocketAddr>,
    state: State,
    pause: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The next call is due.
    Due(Time),
    /// Its name is being looked up.
    LookingUp,
    /// It is being called, or was.
    Called(ConnectionId),
}

impl Calls {
    pub(crate) fn new(seed: u64) -> Calls {
        Calls { nodes: BTreeMap::new(), chance: seed | 1 }
    }

    /// Another node is to be called from now on, at this address.
    pub(crate) fn set(&mut self, id: NodeId, address: &Address, now: Time) {
        match self.nodes.get_mut(&id) {
            Some(call) if call.address == *address => {}
            Some(call) => {
                call.address = address.clone();
                call.found.clear();
            }
            None => {
                let address = address.clone();
                let (state, pause) = (State::Due(now), SHORTEST_PAUSE);
                self.nodes.insert(id, Call { address, found: Vec::new(), state, pause });
            }
        }
    }

    pub(crate) fn address(&self, id: NodeId) -> Option<&Address> {
        self.nodes.get(&id).map(|call| &call.address)
    }

    /// A node whose call is due.
    pub(crate) fn due(&self, now: Time) -> Option<NodeId> {
        let due = |call: &Call| matches!(call.state, State::Due(at) if at <= now);
        self.nodes.iter().find(|(_, call)| due(call)).map(|(id, _)| *id)
    }

    /// When the next call is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let due = |call: &Call| match call.state {
            State::Due(at) => Some(at),
            _ => None,
        };
        self.nodes.values().filter_map(due).min()
    }

    /// Its name is being looked up.
    pub(crate) fn looking_up(&mut self, id: NodeId) {
        if let Some(call) = self.nodes.get_mut(&id) {
            call.state = State::LookingUp;
        }
    }

    /// Its name leads here.
    pub(crate) fn found(&mut self, id: NodeId, addresses: Vec<SocketAddr>, now: Time) {
        if let Some(call) = self.nodes.get_mut(&id)
            && call.state == State::LookingUp
        {
            call.found = addresses;
            call.state = State::Due(now);
        }
    }

    /// The address to call next, if one is known. The ones behind it come when this one failed.
    pub(crate) fn next_address(&mut self, id: NodeId) -> Option<SocketAddr> {
        let call = self.nodes.get_mut(&id)?;
        (!call.found.is_empty()).then(|| call.found.remove(0))
    }

    pub(crate) fn called(&mut self, id: NodeId, connection: ConnectionId) {
        if let Some(call) = self.nodes.get_mut(&id) {
            call.state = State::Called(connection);
        }
    }

    /// The node has accepted the call: the next pause is short again.
    pub(crate) fn accepted(&mut self, id: NodeId) {
        if let Some(call) = self.nodes.get_mut(&id) {
            call.pause = SHORTEST_PAUSE;
        }
    }

    /// The call has failed or ended, or its name isn't known: the next one comes after a pause.
    pub(crate) fn failed(&mut self, id: NodeId, connection: Option<ConnectionId>, now: Time) {
        let share = self.share();
        let Some(call) = self.nodes.get_mut(&id) else { return };
        // The end of another connection, an earlier one or one that the node has made itself.
        if connection.is_some_and(|ended| call.state != State::Called(ended)) {
            return;
        }
        // From half of it to all of it, so that those who lost each other at the same time don't
        // all call at the same time.
        let pause = call.pause / 2 + call.pause.mul_f64(share / 2.0);
        call.state = State::Due(now + pause);
        call.pause = (call.pause * 2).min(LONGEST_PAUSE);
    }

    /// A number from 0 to 1 (xorshift).
    fn share(&mut self) -> f64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 40) as f64 / f64::from(1 << 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> (Calls, NodeId) {
        let mut calls = Calls::new(7);
        let id = NodeId::new(2).unwrap();
        let address = Address { host: "127.0.0.1".to_owned(), port: 3111 };
        calls.set(id, &address, Time::ZERO);
        (calls, id)
    }

    #[test]
    fn pauses_grow_from_fifty_milliseconds_to_two_seconds_and_are_spread() {
        let (mut calls, id) = calls();
        let mut now = Time::ZERO;
        let mut expected = SHORTEST_PAUSE;
        for attempt in 0..10 {
            assert_eq!(calls.due(now), Some(id));
            calls.called(id, ConnectionId(attempt));
            assert_eq!(calls.due(now + Duration::from_secs(60)), None, "one call at a time");
            calls.failed(id, Some(ConnectionId(attempt)), now);
            let pause = calls.deadline().unwrap().since(now);
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?} of {expected:?}");
            expected = (expected * 2).min(LONGEST_PAUSE);
            now = calls.deadline().unwrap();
        }
        calls.called(id, ConnectionId(99));
        calls.accepted(id);
        calls.failed(id, Some(ConnectionId(99)), now);
        assert!(calls.deadline().unwrap().since(now) <= SHORTEST_PAUSE);
    }

    #[test]
    fn the_end_of_an_earlier_call_changes_nothing() {
        let (mut calls, id) = calls();
        calls.called(id, ConnectionId(1));
        calls.failed(id, Some(ConnectionId(1)), Time::ZERO);
        calls.called(id, ConnectionId(2));
        calls.failed(id, Some(ConnectionId(1)), Time::ZERO);
        assert_eq!(calls.deadline(), None);
    }

    #[test]
    fn all_addresses_of_a_name_are_tried() {
        let (mut calls, id) = calls();
        calls.looking_up(id);
        let addresses = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        calls.found(id, addresses.to_vec(), Time::ZERO);
        assert_eq!(calls.next_address(id), Some(addresses[0]));
        assert_eq!(calls.next_address(id), Some(addresses[1]));
        assert_eq!(calls.next_address(id), None);
    }
}
