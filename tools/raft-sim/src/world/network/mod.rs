//! The network: connections as two streams of bytes each, which come late, in pieces, or not at
//! all.
//!
//! What is lost on a link is sent again by the system under it, as TCP does; so a link that is
//! cut shows as bytes that are held back, and as an error at the sender when its patience ends.
//! Messages are doubled, lost and reordered where connections break and new ones are made.

mod arrivals;
mod ends;
mod transit;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;

pub(crate) use self::transit::{Party, Transit, Wake, Weather};
use super::random::Random;

/// How long until what was lost is sent again, at first and at most.
const SHORTEST_RETRY: u64 = 200_000_000;
const LONGEST_RETRY: u64 = 2_000_000_000;

/// How long until a system notices that nobody is at the other end of a silent connection.
const KEEPALIVE: u64 = 19_000_000_000;

#[derive(Debug)]
struct End {
    party: Party,
    /// Which process of that party.
    epoch: u64,
    token: Option<usize>,
    is_open: bool,
    is_connected: bool,
    error: Option<ErrorKind>,
    /// How long its bytes may stay unacknowledged.
    patience: u64,
}

#[derive(Debug, Default)]
struct Pipe {
    inbox: VecDeque<u8>,
    flying: usize,
    held: VecDeque<Box<[u8]>>,
    last_at: u64,
    /// Nothing follows, and the sender has said so.
    is_finished: bool,
    /// Nothing follows, and the receiver knows it.
    has_ended: bool,
    /// The end is held back, too.
    end_held: bool,
    unacknowledged_since: Option<u64>,
    wants_room: bool,
    is_retrying: bool,
}

#[derive(Debug)]
struct Connection {
    ends: [End; 2],
    /// By the end that writes.
    pipes: [Pipe; 2],
    is_established: bool,
    /// Where the call goes.
    place: usize,
}

/// A machine as the network sees it.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Whether it has power.
    pub(crate) is_up: bool,
    /// Whether a process listens.
    pub(crate) listens: bool,
    /// Whether other machines can't call it; it can call them.
    pub(crate) is_walled: bool,
    /// The process that runs, or ran last.
    pub(crate) epoch: u64,
    /// Which node it runs, counted from 0.
    pub(crate) node: usize,
    backlog: VecDeque<usize>,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: u64,
    pub(crate) weather: Weather,
    pub(crate) machines: Vec<Machine>,
    /// Which machine has each address, if one has.
    pub(crate) homes: Vec<Option<usize>>,
    connections: Vec<Option<Box<Connection>>>,
    /// How many reasons there are that nothing goes from one machine to another.
    cuts: Vec<u32>,
    random: Random,
    /// What is to happen, and when.
    pub(crate) transits: Vec<(u64, Transit)>,
    pub(crate) wakes: Vec<Wake>,
}

impl Network {
    pub(crate) fn new(machines: usize, weather: Weather, random: Random) -> Network {
        Network {
            now: 0,
            weather,
            machines: (0..machines).map(|node| Machine { node, ..Machine::default() }).collect(),
            homes: (0..machines).map(Some).collect(),
            connections: Vec::new(),
            cuts: vec![0; machines * machines],
            random,
            transits: Vec::new(),
            wakes: Vec::new(),
        }
    }

    /// Cuts the way from one machine to another, or mends one such cut.
    pub(crate) fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        let place = from * self.machines.len() + to;
        let cuts = &mut self.cuts[place];
        *cuts = if is_cut { *cuts + 1 } else { cuts.saturating_sub(1) };
    }

    /// All links are there, and what is at the end of each connection is known.
    pub(crate) fn heal(&mut self) {
        self.cuts.fill(0);
        for number in 0..self.connections.len() {
            for end in 0..2 {
                self.notice_silence(number, end);
            }
        }
    }

    /// An end whose other side went without a word hears of it.
    fn notice_silence(&mut self, number: usize, end: usize) {
        let is_silent = self.connections[number].as_ref().is_some_and(|connection| {
            connection.is_established
                && connection.ends[end].is_open
                && !connection.ends[1 - end].is_open
                && !connection.pipes[1 - end].is_finished
        });
        if is_silent {
            self.later(Transit::Reset { connection: number, end });
        }
    }

    fn passes(&self, from: Party, to: Party) -> bool {
        let up = |party| match party {
            Party::Host(host) => self.machines[host].is_up,
            Party::Client(_) => true,
        };
        let is_cut = match (from, to) {
            (Party::Host(from), Party::Host(to)) => self.cuts[from * self.machines.len() + to] > 0,
            _ => false,
        };
        up(from) && up(to) && !is_cut
    }

    fn delay(&mut self) -> u64 {
        let (low, high) = self.weather.delay;
        let mut delay = self.random.between(low, high);
        if self.random.permille(self.weather.spikes) {
            delay += self.random.below(self.weather.spike);
        }
        delay
    }

    fn later(&mut self, transit: Transit) {
        let delay = self.delay();
        self.transits.push((self.now + delay, transit));
    }

    /// Breaks a connection between hosts, if there is one; `both` ends hear of it, or only one.
    pub(crate) fn break_one(&mut self, both: bool) -> Option<(Party, Party)> {
        let open: Vec<usize> = (0..self.connections.len())
            .filter(|number| {
                let one = self.connections[*number].as_ref();
                one.is_some_and(|one| one.is_established && one.ends.iter().all(|end| end.is_open))
            })
            .collect();
        let number = *self.random.pick(&open)?;
        let parties =
            self.connections[number].as_ref().map(|one| [one.ends[0].party, one.ends[1].party])?;
        let first = self.random.below(2) as usize;
        self.fail(number, first, ErrorKind::ConnectionReset);
        if both {
            self.fail(number, 1 - first, ErrorKind::ConnectionReset);
        }
        Some((parties[0], parties[1]))
    }

    /// On which machine the process is that has the other end.
    pub(crate) fn machine_behind(&self, number: usize, end: usize) -> Option<usize> {
        match self.connections[number].as_ref()?.ends[1 - end].party {
            Party::Host(machine) => Some(machine),
            Party::Client(_) => None,
        }
    }

    /// The process on a machine is gone: nobody accepts what waits.
    pub(crate) fn process_gone(&mut self, machine: usize) {
        self.machines[machine].listens = false;
        self.machines[machine].epoch += 1;
        for number in std::mem::take(&mut self.machines[machine].backlog) {
            self.close(number, 1);
        }
    }

    /// Whether this was sent by the process of `party` after it had died at `died_at`, as one
    /// does that was still busy: then it never left, and the system closes the connection.
    pub(crate) fn takes_back(&mut self, transit: &Transit, party: Party, died_at: u64) -> bool {
        let (Transit::Piece { connection, direction, sent_at, .. }
        | Transit::End { connection, direction, sent_at }) = transit
        else {
            return false;
        };
        let Some(one) = &self.connections[*connection] else { return false };
        if *sent_at <= died_at || one.ends[*direction].party != party {
            return false;
        }
        self.later(Transit::Reset { connection: *connection, end: 1 - *direction });
        true
    }
}

/// The address of this number, counted from 0. At first each machine has the one of its own number.
pub(crate) fn address(place: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, place as u8 + 1], 3111))
}

/// The number of an address.
pub(crate) fn place_of(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(address) => usize::from(address.ip().octets()[3]).saturating_sub(1),
        SocketAddr::V6(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calm() -> Network {
        let weather = Weather {
            delay: (50_000, 150_000),
            spikes: 0,
            spike: 1,
            byte_time: 1,
            window: 256 << 10,
            splits: 0,
        };
        let mut network = Network::new(2, weather, Random::stream(1, "network"));
        for machine in &mut network.machines {
            (machine.is_up, machine.listens) = (true, true);
        }
        network
    }

    /// Lets come about what does until `until`.
    fn pass(network: &mut Network, until: u64) {
        while let Some(place) = (0..network.transits.len()).min_by_key(|at| network.transits[*at].0)
            && network.transits[place].0 <= until
        {
            let (at, transit) = network.transits.swap_remove(place);
            network.now = at;
            network.happen(transit);
        }
        network.now = until;
    }

    #[test]
    fn the_end_of_a_process_behind_a_cut_link_is_noticed_in_the_end() {
        let (second, patience) = (1_000_000_000, 3_000_000_000);
        for heals in [false, true] {
            let mut network = calm();
            let number = network.call(Party::Host(0), 1, patience).unwrap();
            pass(&mut network, second);
            network.accept(1);
            network.set_patience(number, 1, patience);
            network.cut(1, 0, true);
            network.close(number, 1);
            pass(&mut network, 10 * second);
            network.cut(1, 0, false);
            pass(&mut network, 15 * second);
            assert!(network.has_connected(number).is_ok(), "nobody tells it");
            if heals {
                network.heal();
                pass(&mut network, 16 * second);
            } else {
                pass(&mut network, 10 * second + KEEPALIVE);
            }
            assert!(network.has_connected(number).is_err());
        }
    }
}
