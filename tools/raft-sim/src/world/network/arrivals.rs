//! What comes about in the network: calls, bytes and ends arrive, are held back, or fail.

use std::io::ErrorKind;

use super::{LONGEST_RETRY, Network, Party, SHORTEST_RETRY, Transit};

impl Network {
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
        // Whoever has the address now.
        let Some(machine) = self.homes[connection.place] else {
            return self.later(Transit::Reset { connection: number, end: 0 });
        };
        connection.ends[1].party = Party::Host(machine);
        let (from, to) = (connection.ends[0].party, Party::Host(machine));
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
            self.give_up(number, direction);
            return;
        }
        if !pipe.is_retrying {
            pipe.is_retrying = true;
            let pause = (pause * 2).min(LONGEST_RETRY);
            self.transits
                .push((now + pause, Transit::Retry { connection: number, direction, pause }));
        }
    }

    /// The patience of an end is over. Its owner is told; if that has gone, nobody is left who
    /// would tell the other side.
    fn give_up(&mut self, number: usize, direction: usize) {
        let Some(connection) = &mut self.connections[number] else { return };
        let is_open = connection.ends[direction].is_open;
        let pipe = &mut connection.pipes[direction];
        pipe.held.clear();
        if is_open {
            return self.fail(number, direction, ErrorKind::TimedOut);
        }
        (pipe.is_finished, pipe.end_held, pipe.unacknowledged_since) = (false, false, None);
        self.leave_unnoticed(number, direction);
    }

    /// The owner of an end is told that its connection is broken.
    pub(super) fn fail(&mut self, number: usize, end: usize, kind: ErrorKind) {
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
}
