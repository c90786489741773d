//! What the owners of connections' ends do with them.

use std::io::{self, ErrorKind};
use std::mem;

use super::{Connection, End, KEEPALIVE, Network, Party, Transit, Wake};

impl Network {
    /// Begins to connect to whoever has the address `place`; `None` if nobody has it.
    pub(crate) fn call(&mut self, party: Party, place: usize, patience: u64) -> Option<usize> {
        let machine = self.homes.get(place).copied().flatten()?;
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
        let connection = Connection { ends, pipes, is_established: false, place };
        self.connections.push(Some(Box::new(connection)));
        let number = self.connections.len() - 1;
        self.later(Transit::Call(number));
        Some(number)
    }

    pub(super) fn epoch(&self, party: Party) -> u64 {
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

    pub(super) fn wake(&mut self, connection: usize, end: usize, readable: bool, writable: bool) {
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
            return self.leave_unnoticed(number, end);
        }
        if leaves_something {
            self.later(Transit::Reset { connection: number, end: 1 - end });
        } else {
            self.finish(number, end);
        }
    }

    /// Nobody tells the other side that this end is gone; its system asks now and then whether
    /// anybody is there.
    pub(super) fn leave_unnoticed(&mut self, number: usize, end: usize) {
        let reset = Transit::Reset { connection: number, end: 1 - end };
        self.transits.push((self.now + KEEPALIVE, reset));
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
}
