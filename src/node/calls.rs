//! Calling the other nodes: one call for each at a time, with a pause after each that failed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::connection::{Callee, ConnectionId};
use crate::config::Address;
use crate::model::Time;

/// The pause after the first call that failed. It doubles with each that fails.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Who says where a node is reached, the most believable first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Source {
    /// The node itself, in its latest hello.
    Itself,
    /// The configuration in the log.
    Log,
    /// The file, or the command line.
    File,
}

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    calls: BTreeMap<Callee, Call>,
    /// The state of the generator that spreads the pauses.
    chance: u64,
}

#[derive(Debug)]
struct Call {
    addresses: BTreeMap<Source, Address>,
    /// How many of them were tried since the call came through for the last time.
    tried: usize,
    /// Where the name that is tried leads, the one to be tried next first.
    found: Vec<SocketAddr>,
    state: State,
    pause: Duration,
}

impl Call {
    fn address(&self) -> Option<&Address> {
        let mut distinct: Vec<&Address> = Vec::new();
        for address in self.addresses.values() {
            if !distinct.contains(&address) {
                distinct.push(address);
            }
        }
        let at = self.tried % distinct.len().max(1);
        distinct.get(at).copied()
    }
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
        Calls { calls: BTreeMap::new(), chance: seed | 1 }
    }

    /// Somebody is to be called from now on, who is reached at this address if `source` is right.
    /// Where sources differ, the addresses are tried in turn.
    pub(crate) fn set(&mut self, callee: Callee, source: Source, address: &Address, now: Time) {
        let call = self.calls.entry(callee).or_insert_with(|| Call {
            addresses: BTreeMap::new(),
            tried: 0,
            found: Vec::new(),
            state: State::Due(now),
            pause: SHORTEST_PAUSE,
        });
        if call.addresses.get(&source) == Some(address) {
            return;
        }
        call.addresses.insert(source, address.clone());
        (call.tried, call.pause) = (0, SHORTEST_PAUSE);
        call.found.clear();
        if let State::Due(at) = call.state {
            call.state = State::Due(at.min(now));
        }
    }

    /// Only these are called from now on. Calls that have come through go on.
    pub(crate) fn retain(&mut self, wanted: impl Fn(Callee) -> bool) {
        self.calls.retain(|callee, _| wanted(*callee));
    }

    /// Where the next call leads.
    pub(crate) fn address(&self, callee: Callee) -> Option<&Address> {
        self.calls.get(&callee)?.address()
    }

    /// Somebody whose call is due.
    pub(crate) fn due(&self, now: Time) -> Option<Callee> {
        let due = |call: &Call| matches!(call.state, State::Due(at) if at <= now);
        self.calls.iter().find(|(_, call)| due(call)).map(|(callee, _)| *callee)
    }

    /// When the next call is due.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let due = |call: &Call| match call.state {
            State::Due(at) => Some(at),
            _ => None,
        };
        self.calls.values().filter_map(due).min()
    }

    /// Its name is being looked up.
    pub(crate) fn looking_up(&mut self, callee: Callee) {
        if let Some(call) = self.calls.get_mut(&callee) {
            call.state = State::LookingUp;
        }
    }

    /// Its name leads here.
    pub(crate) fn found(&mut self, callee: Callee, addresses: Vec<SocketAddr>, now: Time) {
        if let Some(call) = self.calls.get_mut(&callee)
            && call.state == State::LookingUp
        {
            call.found = addresses;
            call.state = State::Due(now);
        }
    }

    /// The address to call next, if one is known. The ones behind it come when this one failed.
    pub(crate) fn next_address(&mut self, callee: Callee) -> Option<SocketAddr> {
        let call = self.calls.get_mut(&callee)?;
        (!call.found.is_empty()).then(|| call.found.remove(0))
    }

    pub(crate) fn called(&mut self, callee: Callee, connection: ConnectionId) {
        if let Some(call) = self.calls.get_mut(&callee) {
            call.state = State::Called(connection);
        }
    }

    /// The call has come through: the next pause is short again.
    pub(crate) fn accepted(&mut self, callee: Callee) {
        if let Some(call) = self.calls.get_mut(&callee) {
            call.pause = SHORTEST_PAUSE;
        }
    }

    /// The name of `callee` isn't known, or can't be called: the next call comes after a pause.
    pub(crate) fn failed(&mut self, callee: Callee, now: Time) {
        let share = self.share();
        let Some(call) = self.calls.get_mut(&callee) else { return };
        // From half of it to all of it, so that those who lost each other at the same time don't
        // all call at the same time.
        let pause = call.pause / 2 + call.pause.mul_f64(share / 2.0);
        call.state = State::Due(now + pause);
        call.pause = (call.pause * 2).min(LONGEST_PAUSE);
        if call.found.is_empty() {
            call.tried += 1;
        }
    }

    /// A connection has ended. If it was a call, and not an earlier one, the next one comes after
    /// a pause.
    pub(crate) fn ended(&mut self, connection: ConnectionId, now: Time) {
        let mut calls = self.calls.iter();
        let found = calls.find(|(_, call)| call.state == State::Called(connection));
        if let Some(callee) = found.map(|(callee, _)| *callee) {
            self.failed(callee, now);
        }
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
    use crate::model::NodeId;

    fn at(port: u16) -> Address {
        Address { host: "127.0.0.1".to_owned(), port }
    }

    fn calls() -> (Calls, Callee) {
        let mut calls = Calls::new(7);
        let callee = Callee::Node(NodeId::new(2).unwrap());
        calls.set(callee, Source::File, &at(3111), Time::ZERO);
        (calls, callee)
    }

    #[test]
    fn pauses_grow_from_fifty_milliseconds_to_two_seconds_and_are_spread() {
        let (mut calls, callee) = calls();
        let mut now = Time::ZERO;
        let mut expected = SHORTEST_PAUSE;
        for attempt in 0..10 {
            assert_eq!(calls.due(now), Some(callee));
            calls.called(callee, ConnectionId(attempt));
            assert_eq!(calls.due(now + Duration::from_secs(60)), None, "one call at a time");
            calls.ended(ConnectionId(attempt), now);
            let pause = calls.deadline().unwrap().since(now);
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?} of {expected:?}");
            expected = (expected * 2).min(LONGEST_PAUSE);
            now = calls.deadline().unwrap();
        }
        calls.called(callee, ConnectionId(99));
        calls.accepted(callee);
        calls.ended(ConnectionId(99), now);
        assert!(calls.deadline().unwrap().since(now) <= SHORTEST_PAUSE);
    }

    #[test]
    fn the_end_of_an_earlier_call_changes_nothing() {
        let (mut calls, callee) = calls();
        calls.called(callee, ConnectionId(1));
        calls.ended(ConnectionId(1), Time::ZERO);
        calls.called(callee, ConnectionId(2));
        calls.ended(ConnectionId(1), Time::ZERO);
        assert_eq!(calls.deadline(), None);
    }

    #[test]
    fn all_addresses_of_a_name_are_tried() {
        let (mut calls, callee) = calls();
        calls.looking_up(callee);
        let addresses = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        calls.found(callee, addresses.to_vec(), Time::ZERO);
        assert_eq!(calls.next_address(callee), Some(addresses[0]));
        assert_eq!(calls.next_address(callee), Some(addresses[1]));
        assert_eq!(calls.next_address(callee), None);
    }

    #[test]
    fn where_the_sources_differ_their_addresses_are_tried_in_turn_the_own_word_first() {
        let (mut calls, callee) = calls();
        calls.set(callee, Source::Log, &at(3112), Time::ZERO);
        calls.set(callee, Source::Itself, &at(3111), Time::ZERO);
        for port in [3111, 3112, 3111] {
            assert_eq!(calls.address(callee), Some(&at(port)));
            calls.called(callee, ConnectionId(1));
            calls.ended(ConnectionId(1), Time::ZERO);
        }
    }

    #[test]
    fn a_new_address_is_called_at_once() {
        let (mut calls, callee) = calls();
        for attempt in 0..10 {
            calls.called(callee, ConnectionId(attempt));
            calls.ended(ConnectionId(attempt), Time::ZERO);
        }
        assert_eq!(calls.due(Time::ZERO), None);
        calls.set(callee, Source::Log, &at(3112), Time::ZERO);
        assert_eq!(calls.due(Time::ZERO), Some(callee));
        assert_eq!(calls.address(callee), Some(&at(3112)));
    }

    #[test]
    fn who_is_not_wanted_any_more_is_not_called_again() {
        let (mut calls, callee) = calls();
        calls.called(callee, ConnectionId(1));
        calls.retain(|other| other != callee);
        calls.ended(ConnectionId(1), Time::ZERO);
        assert_eq!(calls.deadline(), None);
    }
}
