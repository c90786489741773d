//! The network: connections as two streams of bytes each, which come late, in pieces, or not at
//! all.
//!
//! What is lost on a link is sent again by the system under it, as TCP does; so a link that is
//! cut shows as bytes that are held back, and as an error at the sender when its patience ends.
//! Messages are doubled, lost and reordered where connections break and new ones are made.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::SocketAddr;

use super::random::Random;
pub(crate) use super::transit::{Party, Transit, Wake, Weather};

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
    backlog: VecDeque<usize>,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: u64,
    pub(crate) weather: Weather,
    pub(crate) machines: Vec<Machine>,
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
            machines: (0..machines).map(|_| Machine::default()).collect(),
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

    /// Begins to connect to the process on `machine`.
    pub(crate) fn call(&mut self, party: Party, machine: usize, patience: u64) -> usize {
        let end = |party, epoch, is_open| End {
            party,
            epoch,
            token: None,
            is_open,
            is_connected: false,
            error: None,
            patience,
        };
        let ends = [end(party, self.epoch(party), true), end(Party::Host(machine), 0, false)];
        let pipes = Default::default();
        let connection = Connection { ends, pipes, is_established: false };
        self.connections.push(Some(Box::new(connection)));
        let number = self.connections.len() - 1;
        self.later(Transit::Call(number));
        number
    }

    fn epoch(&self, party: Party) -> u64 {
        match party {
            Party::Host(host) => self.machines[host].epoch,
            Party::Client(_) => 0,
        }
    }

    /// The next call that waits at a machine, and who calls.
    pub(crate) fn accept(&mut self, machine: usize) -> Option<(usize, Party)> {
        let number = self.machines[machine].backlog.pop_front()?;
        let caller = self.connections[number].as_ref().map(|one| one.ends[0].party);
        Some((number, caller.expect("what waits is there")))
    }

    pub(crate) fn has_connected(&self, number: usize) -> io::Result<bool> {
        let Some(connection) = &self.connections[number] else { return Ok(false) };
        match connection.ends[0].error {
            Some(kind) => Err(kind.into()),
            None => Ok(connection.ends[0].is_connected),
        }
    }

    pub(crate) fn set_patience(&mut self, number: usize, end: usize, patience: u64) {
        if let Some(connection) = &mut self.connections[number] {
            connection.ends[end].patience = patience;
        }
    }

    /// The owner of an end names it; what has happened already is told at once.
    pub(crate) fn register(&mut self, number: usize, end: usize, token: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        connection.ends[end].token = Some(token);
        let has_bytes = !connection.pipes[1 - end].inbox.is_empty();
        let failed = connection.ends[end].error.is_some();
        if connection.ends[end].is_connected || failed {
            self.wake(number, end, has_bytes || failed, true);
        }
    }

    fn wake(&mut self, connection: usize, end: usize, readable: bool, writable: bool) {
        let Some(one) = &self.connections[connection] else { return };
        let End { party, token, is_open, epoch, .. } = one.ends[end];
        if is_open && epoch == self.epoch(party) {
            self.wakes.push(Wake { party, connection, token, readable, writable });
        }
    }

    pub(crate) fn read(
        &mut self,
        number: usize,
        end: usize,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let Some(connection) = &mut self.connections[number] else { return Ok(0) };
        let pipe = &mut connection.pipes[1 - end];
        if pipe.inbox.is_empty() {
            if let Some(kind) = connection.ends[end].error {
                return Err(kind.into());
            }
            return if pipe.has_ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let count = io::Read::read(&mut pipe.inbox, buffer)?;
        if pipe.wants_room && pipe.inbox.len() + pipe.flying < self.weather.window {
            pipe.wants_room = false;
            self.wake(number, 1 - end, false, true);
        }
        Ok(count)
    }

    pub(crate) fn write(
        &mut self,
        number: usize,
        end: usize,
        pieces: &[io::IoSlice<'_>],
    ) -> io::Result<usize> {
        let Some(connection) = &mut self.connections[number] else {
            return Err(ErrorKind::BrokenPipe.into());
        };
        if let Some(kind) = connection.ends[end].error {
            return Err(kind.into());
        }
        let pipe = &mut connection.pipes[end];
        let held: usize = pipe.held.iter().map(|bytes| bytes.len()).sum();
        let room = self.weather.window.saturating_sub(pipe.flying + pipe.inbox.len() + held);
        if room == 0 {
            pipe.wants_room = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let mut bytes = Vec::with_capacity(room.min(pieces.iter().map(|piece| piece.len()).sum()));
        for piece in pieces {
            let part = piece.len().min(room - bytes.len());
            bytes.extend_from_slice(&piece[..part]);
        }
        let count = bytes.len();
        pipe.flying += count;
        pipe.wants_room = count == room;
        let mut rest = bytes;
        if count > 1 && self.random.permille(self.weather.splits) {
            let behind = rest.split_off(self.random.between(1, count as u64 - 1) as usize);
            self.send(number, end, rest);
            rest = behind;
        }
        if !rest.is_empty() {
            self.send(number, end, rest);
        }
        Ok(count)
    }

    fn send(&mut self, connection: usize, direction: usize, bytes: Vec<u8>) {
        let at = self.arrival(connection, direction, bytes.len() as u64);
        let (bytes, sent_at) = (bytes.into_boxed_slice(), self.now);
        let transit = Transit::Piece { connection, direction, bytes, sent_at };
        self.transits.push((at, transit));
    }

    /// When so many bytes arrive, behind all that were sent before.
    fn arrival(&mut self, number: usize, direction: usize, bytes: u64) -> u64 {
        let at = self.now + self.delay();
        let Some(connection) = &mut self.connections[number] else { return at };
        let pipe = &mut connection.pipes[direction];
        pipe.last_at = at.max(pipe.last_at + 1) + bytes * self.weather.byte_time;
        pipe.last_at
    }

    /// The owner closes its end.
    pub(crate) fn close(&mut self, number: usize, end: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        let leaves_something = !connection.pipes[1 - end].inbox.is_empty();
        let had_failed = connection.ends[end].error.is_some();
        connection.ends[end].is_open = false;
        let is_established = connection.is_established;
        let other_is_open = connection.ends[1 - end].is_open;
        let party = connection.ends[end].party;
        if !other_is_open {
            self.connections[number] = None;
            return;
        }
        let has_power = match party {
            Party::Host(host) => self.machines[host].is_up,
            Party::Client(_) => true,
        };
        if !is_established {
            return;
        }
        if had_failed || !has_power {
            // Nobody tells the other side; its system asks now and then whether anybody is there.
            let reset = Transit::Reset { connection: number, end: 1 - end };
            self.transits.push((self.now + KEEPALIVE, reset));
            return;
        }
        if leaves_something {
            self.later(Transit::Reset { connection: number, end: 1 - end });
        } else {
            self.finish(number, end);
        }
    }

    /// Nothing more is written at this end.
    pub(crate) fn finish(&mut self, number: usize, end: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        if mem::replace(&mut connection.pipes[end].is_finished, true) {
            return;
        }
        let at = self.arrival(number, end, 0);
        let sent_at = self.now;
        self.transits.push((at, Transit::End { connection: number, direction: end, sent_at }));
    }

    /// What was sent from the transit `first` on leaves later: who sent it was busy before.
    pub(crate) fn put_off(&mut self, first: usize, later: u64) {
        for (at, transit) in &mut self.transits[first..] {
            *at += later;
            if let Transit::Piece { sent_at, .. } | Transit::End { sent_at, .. } = transit {
                *sent_at += later;
            }
        }
    }

    /// Something of the network comes about.
    pub(crate) fn happen(&mut self, transit: Transit) {
        match transit {
            Transit::Call(number) => self.called(number),
            Transit::Answer(number) => {
                let Some(connection) = &mut self.connections[number] else { return };
                if connection.ends[0].error.is_none() {
                    connection.ends[0].is_connected = true;
                }
                self.wake(number, 0, false, true);
            }
            Transit::Piece { connection, direction, bytes, .. } => {
                self.arrived(connection, direction, bytes);
            }
            Transit::End { connection, direction, .. } => self.ended(connection, direction),
            Transit::Reset { connection, end } => {
                self.fail(connection, end, ErrorKind::ConnectionReset)
            }
            Transit::Retry { connection, direction, pause } => {
                self.retry(connection, direction, pause);
            }
        }
    }

    fn called(&mut self, number: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        let (from, to) = (connection.ends[0].party, connection.ends[1].party);
        let Party::Host(machine) = to else { return };
        if !self.passes(from, to) || !self.passes(to, from) {
            self.transits.push((self.now + 1_000_000_000, Transit::Call(number)));
            return;
        }
        let is_walled = self.machines[machine].is_walled && matches!(from, Party::Host(_));
        if is_walled || !self.machines[machine].listens {
            self.later(Transit::Reset { connection: number, end: 0 });
            return;
        }
        let epoch = self.machines[machine].epoch;
        let Some(connection) = &mut self.connections[number] else { return };
        connection.is_established = true;
        let end = &mut connection.ends[1];
        (end.is_open, end.is_connected, end.epoch) = (true, true, epoch);
        self.machines[machine].backlog.push_back(number);
        self.wake(number, 1, false, false);
        self.later(Transit::Answer(number));
    }

    fn arrived(&mut self, number: usize, direction: usize, bytes: Box<[u8]>) {
        let Some(connection) = &self.connections[number] else { return };
        let (from, to) = (connection.ends[direction].party, connection.ends[1 - direction].party);
        let (passes, comes_back) = (self.passes(from, to), self.passes(to, from));
        let Some(connection) = &mut self.connections[number] else { return };
        let pipe = &mut connection.pipes[direction];
        pipe.flying -= bytes.len();
        if !passes || !pipe.held.is_empty() {
            pipe.held.push_back(bytes);
            self.wait_for_acknowledgement(number, direction);
            return;
        }
        if !connection.ends[1 - direction].is_open {
            self.later(Transit::Reset { connection: number, end: direction });
            return;
        }
        pipe.inbox.extend(bytes.iter());
        if comes_back {
            pipe.unacknowledged_since = None;
        } else {
            self.wait_for_acknowledgement(number, direction);
        }
        self.wake(number, 1 - direction, true, false);
    }

    fn wait_for_acknowledgement(&mut self, connection: usize, direction: usize) {
        let Some(one) = &mut self.connections[connection] else { return };
        let pipe = &mut one.pipes[direction];
        pipe.unacknowledged_since.get_or_insert(self.now);
        if !pipe.is_retrying {
            pipe.is_retrying = true;
            let retry = Transit::Retry { connection, direction, pause: SHORTEST_RETRY };
            self.transits.push((self.now + SHORTEST_RETRY, retry));
        }
    }

    fn ended(&mut self, number: usize, direction: usize) {
        let Some(connection) = &self.connections[number] else { return };
        let (from, to) = (connection.ends[direction].party, connection.ends[1 - direction].party);
        let passes = self.passes(from, to);
        let Some(connection) = &mut self.connections[number] else { return };
        let pipe = &mut connection.pipes[direction];
        if !passes || !pipe.held.is_empty() {
            pipe.end_held = true;
            self.wait_for_acknowledgement(number, direction);
            return;
        }
        pipe.has_ended = true;
        self.wake(number, 1 - direction, true, false);
    }

    fn retry(&mut self, number: usize, direction: usize, pause: u64) {
        let Some(connection) = &self.connections[number] else { return };
        let (from, to) = (connection.ends[direction].party, connection.ends[1 - direction].party);
        let (passes, comes_back) = (self.passes(from, to), self.passes(to, from));
        let now = self.now;
        let Some(connection) = &mut self.connections[number] else { return };
        let pipe = &mut connection.pipes[direction];
        pipe.is_retrying = false;
        if passes {
            let held = std::mem::take(&mut pipe.held);
            let end_held = std::mem::take(&mut pipe.end_held);
            pipe.flying += held.iter().map(|bytes| bytes.len()).sum::<usize>();
            for bytes in held {
                self.arrived(number, direction, bytes);
            }
            if end_held {
                self.ended(number, direction);
            }
        }
        let Some(connection) = &mut self.connections[number] else { return };
        let pipe = &mut connection.pipes[direction];
        let Some(since) = pipe.unacknowledged_since else { return };
        if passes && comes_back {
            pipe.unacknowledged_since = None;
            return;
        }
        if now >= since + connection.ends[direction].patience {
            pipe.held.clear();
            self.fail(number, direction, ErrorKind::TimedOut);
            return;
        }
        if !pipe.is_retrying {
            pipe.is_retrying = true;
            let pause = (pause * 2).min(LONGEST_RETRY);
            self.transits
                .push((now + pause, Transit::Retry { connection: number, direction, pause }));
        }
    }

    /// The owner of an end is told that its connection is broken.
    fn fail(&mut self, number: usize, end: usize, kind: ErrorKind) {
        let Some(connection) = &mut self.connections[number] else { return };
        if !connection.ends[end].is_open || connection.ends[end].error.is_some() {
            return;
        }
        let kind = if connection.is_established { kind } else { ErrorKind::ConnectionRefused };
        connection.ends[end].error = Some(kind);
        // What was received and not read is lost with it.
        connection.pipes[1 - end].inbox.clear();
        self.wake(number, end, true, true);
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

/// The address of a machine.
pub(crate) fn address(machine: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, machine as u8 + 1], 3111))
}

/// The machine of an address.
pub(crate) fn machine_at(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(address) => usize::from(address.ip().octets()[3]).saturating_sub(1),
        SocketAddr::V6(_) => 0,
    }
}
