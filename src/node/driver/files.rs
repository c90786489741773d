//! The file thread as the driver sees it: the most urgent work goes first, one at a time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{Index, Member, Time};
use crate::storage::FileWork;

/// For whom entries are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reader {
    /// For the state machine.
    Machine,
    /// For a peer; the number is the core's.
    Peer {
        /// Who.
        peer: Member,
        /// The core's number of the request.
        ticket: u64,
    },
}

/// Entries to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReadWork {
    pub(crate) reader: Reader,
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) max_bytes: u64,
}

/// What waits for the file thread.
#[derive(Debug, Default)]
pub(crate) struct Files {
    spares_wanted: usize,
    for_machine: Option<ReadWork>,
    for_peers: VecDeque<ReadWork>,
    /// Whether a spare is being made.
    making_spare: bool,
    /// The read that the file thread has, by its ticket.
    reading: Option<(u64, ReadWork)>,
    tickets: u64,
    /// Since when the file thread has its work.
    since: Time,
}

impl Files {
    /// So many spares are missing.
    pub(crate) fn want_spares(&mut self, count: usize) {
        self.spares_wanted = count;
    }

    pub(crate) fn read(&mut self, work: ReadWork) {
        match work.reader {
            Reader::Machine => self.for_machine = Some(work),
            Reader::Peer { peer, .. } => {
                self.forget(peer);
                self.for_peers.push_back(work);
            }
        }
    }

    /// Nothing is to be read for `peer` any more.
    pub(crate) fn forget(&mut self, peer: Member) {
        self.for_peers.retain(
            |work| !matches!(work.reader, Reader::Peer { peer: other, .. } if other == peer),
        );
    }

    /// How long the file thread has had its work.
    pub(crate) fn busy_for(&self, now: Time) -> Option<Duration> {
        self.is_busy().then(|| now.since(self.since))
    }

    /// What the file thread has counts as given to it now.
    pub(crate) const fn give_time(&mut self, now: Time) {
        self.since = now;
    }

    /// When the work that the file thread has will be this old.
    pub(crate) fn busy_until(&self, age: Duration) -> Option<Time> {
        self.is_busy().then(|| self.since + age)
    }

    /// Whether entries are waited for. A spare that isn't made holds nobody up: the log thread
    /// makes one itself before it waits for any.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.reading.is_some() || self.for_machine.is_some() || !self.for_peers.is_empty()
    }

    fn is_busy(&self) -> bool {
        self.making_spare || self.reading.is_some()
    }

    /// The work to be handed over now, if the file thread is free and there is some.
    pub(crate) fn next_work(&mut self, now: Time) -> Option<FileWork> {
        if self.is_busy() {
            return None;
        }
        let work = self.most_urgent()?;
        self.since = now;
        Some(work)
    }

    fn most_urgent(&mut self) -> Option<FileWork> {
        if self.spares_wanted > 0 {
            self.making_spare = true;
            return Some(FileWork::MakeSpare);
        }
        let read = self.for_machine.take().or_else(|| self.for_peers.pop_front())?;
        self.tickets += 1;
        self.reading = Some((self.tickets, read));
        let ReadWork { first, last, max_bytes, .. } = read;
        Some(FileWork::Read { ticket: self.tickets, first, last, max_bytes })
    }

    /// Whether the file thread has nothing.
    pub(crate) const fn is_idle(&self) -> bool {
        !self.making_spare && self.reading.is_none()
    }

    /// A spare was made, or there was no room for one: then none is tried until the log thread
    /// asks again.
    pub(crate) fn spare_done(&mut self, made: bool) {
        self.making_spare = false;
        self.spares_wanted = if made { self.spares_wanted.saturating_sub(1) } else { 0 };
    }

    /// The read with this ticket is done; tells what it was.
    pub(crate) fn read_done(&mut self, ticket: u64) -> ReadWork {
        let (given, work) = self.reading.take().expect("the file thread reports on what it has");
        assert!(given == ticket, "read {ticket} was reported, {given} was given");
        work
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, NodeId};

    fn peer(id: u16) -> Member {
        Member { id: NodeId::new(id).unwrap(), incarnation: Incarnation(id.into()) }
    }

    fn work(reader: Reader, first: u64) -> ReadWork {
        ReadWork { reader, first: Index(first), last: Index(99), max_bytes: 1000 }
    }

    #[test]
    fn spares_go_before_the_machine_and_that_before_peers_one_at_a_time() {
        let mut files = Files::default();
        files.read(work(Reader::Peer { peer: peer(2), ticket: 7 }, 20));
        files.read(work(Reader::Machine, 10));
        files.want_spares(1);
        assert!(matches!(files.next_work(Time::ZERO), Some(FileWork::MakeSpare)));
        assert!(files.next_work(Time::ZERO).is_none());
        files.spare_done(true);
        for expected in [10, 20] {
            let Some(FileWork::Read { ticket, first, .. }) = files.next_work(Time::ZERO) else {
                panic!("a read is next");
            };
            assert_eq!(first, Index(expected));
            assert!(files.next_work(Time::ZERO).is_none());
            assert_eq!(files.read_done(ticket).first, first);
        }
        assert!(files.next_work(Time::ZERO).is_none());
    }

    #[test]
    fn a_peer_waits_for_its_latest_read_only_and_for_none_when_it_is_gone() {
        let mut files = Files::default();
        files.read(work(Reader::Peer { peer: peer(2), ticket: 1 }, 20));
        files.read(work(Reader::Peer { peer: peer(3), ticket: 2 }, 30));
        files.read(work(Reader::Peer { peer: peer(2), ticket: 3 }, 25));
        files.forget(peer(3));
        let Some(FileWork::Read { first, ticket, .. }) = files.next_work(Time::ZERO) else {
            panic!("a read is next");
        };
        assert_eq!(first, Index(25));
        files.read_done(ticket);
        assert!(files.next_work(Time::ZERO).is_none());
    }

    #[test]
    fn without_room_no_further_spare_is_tried_until_one_is_asked_for() {
        let mut files = Files::default();
        files.want_spares(2);
        assert!(matches!(files.next_work(Time::ZERO), Some(FileWork::MakeSpare)));
        files.spare_done(false);
        assert!(files.next_work(Time::ZERO).is_none());
        files.want_spares(2);
        assert!(matches!(files.next_work(Time::ZERO), Some(FileWork::MakeSpare)));
    }
}
