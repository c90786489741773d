//! The file thread as the driver sees it: the most urgent work goes first, one at a time.

use std::any::Any;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::ClientId;
use crate::model::{Index, LogId, MAX_PIECE_BYTES, Member, SnapshotId, Time};
use crate::storage::{FileWork, SnapshotHead, SnapshotSink, SnapshotSource};

/// How much of a snapshot is written or loaded in one step.
const STEP_BYTES: u64 = 1 << 20;

/// While clients write, a snapshot is written for one part of the time, and this many parts are
/// left to the log.
const PACE: u32 = 3;

/// A snapshot that has waited for so long goes before all other work once.
const PATIENCE: Duration = Duration::from_secs(1);

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
    /// For another node that has lost them.
    Borrower(Borrower),
}

/// Another node that has lost entries, and what it has asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Borrower {
    pub(crate) client: ClientId,
    /// The client's number of the request.
    pub(crate) request: u64,
    /// What the entries follow.
    pub(crate) behind: LogId,
    /// They are wanted only if the log holds this one.
    pub(crate) until: Option<LogId>,
}

/// Entries to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ReadWork {
    pub(crate) reader: Reader,
    pub(crate) first: Index,
    pub(crate) last: Index,
    pub(crate) max_bytes: u64,
}

/// For whom a piece of a snapshot is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PieceReader {
    /// For a peer; the number is the core's.
    Peer {
        /// Who.
        peer: Member,
        /// The core's number of the request.
        ticket: u64,
    },
    /// For a client.
    Client {
        /// Who.
        client: ClientId,
        /// The client's number of the request.
        request: u64,
    },
}

/// A piece of a snapshot to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct PieceWork {
    pub(crate) reader: PieceReader,
    pub(crate) snapshot: SnapshotId,
    pub(crate) offset: u64,
    pub(crate) max_bytes: usize,
}

/// A piece of a snapshot to be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Store {
    snapshot: SnapshotId,
    offset: u64,
    bytes: Bytes,
}

/// The removal of segments that nobody needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Removal {
    pub(crate) through: Index,
    pub(crate) wanted: Index,
    pub(crate) max_bytes: u64,
}

/// Something long, which is done in steps.
#[derive(Debug)]
enum Steps<B> {
    /// Nothing.
    None,
    /// To be begun.
    Begin(B),
    /// To be gone on with.
    GoOn,
}

/// What waits for the file thread.
#[derive(Debug)]
pub(crate) struct Files {
    spares_wanted: usize,
    for_machine: Option<ReadWork>,
    for_peers: VecDeque<ReadWork>,
    pieces: VecDeque<PieceWork>,
    stores: VecDeque<Store>,
    loading: Steps<(SnapshotId, Box<dyn SnapshotSink>)>,
    dropping: Option<Vec<SnapshotId>>,
    removing: Option<Removal>,
    freeing: VecDeque<Box<dyn Any + Send>>,
    making: Steps<(SnapshotHead, Box<dyn SnapshotSource>)>,
    /// When the snapshot that is made may go on.
    make_at: Time,
    /// What the file thread has, and since when.
    given: Option<Given>,
    since: Time,
    tickets: u64,
}

/// What the file thread has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Given {
    Spare,
    Read(u64, ReadWork),
    Piece(u64, PieceWork),
    Store,
    Loading,
    Dropping,
    Removing(Removal),
    Freeing,
    Making,
}

impl Default for Files {
    fn default() -> Files {
        Files {
            spares_wanted: 0,
            for_machine: None,
            for_peers: VecDeque::new(),
            pieces: VecDeque::new(),
            stores: VecDeque::new(),
            loading: Steps::None,
            dropping: None,
            removing: None,
            freeing: VecDeque::new(),
            making: Steps::None,
            make_at: Time::ZERO,
            given: None,
            since: Time::ZERO,
            tickets: 0,
        }
    }
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
            Reader::Borrower(_) => self.for_peers.push_back(work),
        }
    }

    /// The state machine wants no entries from disk any more: its state was replaced. Tells
    /// whether a read is given up; one that the file thread has goes on.
    pub(crate) fn forget_machine(&mut self) -> bool {
        self.for_machine.take().is_some()
    }

    /// A piece of a snapshot is to be read. A peer waits for its latest one only.
    pub(crate) fn read_piece(&mut self, work: PieceWork) {
        if let PieceReader::Peer { peer, .. } = work.reader {
            self.pieces.retain(|other| !is_for(other, peer));
        }
        self.pieces.push_back(work);
    }

    /// How many pieces are to be read.
    pub(crate) fn pieces_waiting(&self) -> usize {
        self.pieces.len()
    }

    /// How much is to be read of the log, for peers and others.
    pub(crate) fn reads_waiting(&self) -> usize {
        self.for_peers.len()
    }

    /// A piece of a snapshot is to be stored.
    pub(crate) fn store(&mut self, snapshot: SnapshotId, offset: u64, bytes: Bytes) {
        self.stores.push_back(Store { snapshot, offset, bytes });
    }

    /// A snapshot that was received is to be verified and loaded.
    pub(crate) fn load(&mut self, snapshot: SnapshotId, sink: Box<dyn SnapshotSink>) {
        self.loading = Steps::Begin((snapshot, sink));
    }

    /// A snapshot is to be made.
    pub(crate) fn make(&mut self, head: SnapshotHead, source: Box<dyn SnapshotSource>, now: Time) {
        self.making = Steps::Begin((head, source));
        self.make_at = now;
    }

    /// Only these snapshots are to stay.
    pub(crate) fn keep_only(&mut self, snapshots: Vec<SnapshotId>) {
        self.dropping = Some(snapshots);
    }

    /// Segments are to be removed.
    pub(crate) fn remove(&mut self, removal: Removal) {
        self.removing = Some(removal);
    }

    /// To be dropped, which may take long.
    pub(crate) fn free(&mut self, something: Box<dyn Any + Send>) {
        self.freeing.push_back(something);
    }

    /// Nothing is to be read for `peer` any more.
    pub(crate) fn forget(&mut self, peer: Member) {
        self.for_peers.retain(
            |work| !matches!(work.reader, Reader::Peer { peer: other, .. } if other == peer),
        );
        self.pieces.retain(|work| !is_for(work, peer));
    }

    /// How long the file thread has had work on the disk.
    pub(crate) fn busy_for(&self, now: Time) -> Option<Duration> {
        self.works_on_disk().then(|| now.since(self.since))
    }

    /// Whether the file thread has anything but memory to free, for which no disk is to blame.
    fn works_on_disk(&self) -> bool {
        self.given.is_some_and(|given| given != Given::Freeing)
    }

    /// What the file thread has counts as given to it now.
    pub(crate) const fn give_time(&mut self, now: Time) {
        self.since = now;
    }

    /// When the work on the disk that the file thread has will be this old.
    pub(crate) fn busy_until(&self, age: Duration) -> Option<Time> {
        self.works_on_disk().then(|| self.since + age)
    }

    /// Whether somebody waits for what is read or stored. A spare that isn't made holds nobody
    /// up: the log thread makes one itself before it waits for any.
    pub(crate) fn is_waited_for(&self) -> bool {
        let waits = matches!(self.given, Some(given) if given != Given::Spare);
        waits || self.for_machine.is_some() || !self.for_peers.is_empty()
    }

    /// The work to be handed over now, if the file thread is free and there is some.
    pub(crate) fn next_work(&mut self, now: Time) -> Option<FileWork> {
        if self.given.is_some() {
            return None;
        }
        let (given, work) = self.most_urgent(now)?;
        self.given = Some(given);
        self.since = now;
        Some(work)
    }

    /// When [`Files::next_work`] may have something without any further input.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let waits = self.given.is_none() && !matches!(self.making, Steps::None);
        waits.then_some(self.make_at)
    }

    fn most_urgent(&mut self, now: Time) -> Option<(Given, FileWork)> {
        if self.spares_wanted > 0 {
            return Some((Given::Spare, FileWork::MakeSpare));
        }
        if self.make_at + PATIENCE <= now
            && let Some(step) = self.next_step_of_making()
        {
            return Some(step);
        }
        self.next_read()
            .or_else(|| self.next_of_transfers())
            .or_else(|| if self.make_at <= now { self.next_step_of_making() } else { None })
    }

    fn next_read(&mut self) -> Option<(Given, FileWork)> {
        let read = self.for_machine.take().or_else(|| self.for_peers.pop_front())?;
        self.tickets += 1;
        let ticket = self.tickets;
        let ReadWork { first, last, max_bytes, .. } = read;
        Some((Given::Read(ticket, read), FileWork::Read { ticket, first, last, max_bytes }))
    }

    fn next_of_transfers(&mut self) -> Option<(Given, FileWork)> {
        if let Some(Store { snapshot, offset, bytes }) = self.stores.pop_front() {
            return Some((Given::Store, FileWork::StorePiece { snapshot, offset, bytes }));
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.tickets += 1;
            let ticket = self.tickets;
            let PieceWork { snapshot, offset, max_bytes, .. } = piece;
            let max_bytes = max_bytes.min(MAX_PIECE_BYTES);
            let work = FileWork::ReadPiece { ticket, snapshot, offset, max_bytes };
            return Some((Given::Piece(ticket, piece), work));
        }
        match std::mem::replace(&mut self.loading, Steps::None) {
            Steps::Begin((snapshot, sink)) => {
                return Some((Given::Loading, FileWork::LoadReceived { snapshot, sink }));
            }
            Steps::GoOn => {
                return Some((Given::Loading, FileWork::ContinueLoad { budget: STEP_BYTES }));
            }
            Steps::None => {}
        }
        // Before the snapshots that cover it.
        if let Some(removal) = self.removing.take() {
            let Removal { through, wanted, max_bytes } = removal;
            let work = FileWork::RemoveThrough { through, wanted, max_bytes };
            return Some((Given::Removing(removal), work));
        }
        if let Some(keep) = self.dropping.take() {
            return Some((Given::Dropping, FileWork::DropSnapshots { keep }));
        }
        let something = self.freeing.pop_front()?;
        Some((Given::Freeing, FileWork::Free(something)))
    }

    fn next_step_of_making(&mut self) -> Option<(Given, FileWork)> {
        let work = match std::mem::replace(&mut self.making, Steps::None) {
            Steps::Begin((head, source)) => FileWork::BeginSnapshot { head, source },
            Steps::GoOn => FileWork::ContinueSnapshot { budget: STEP_BYTES },
            Steps::None => return None,
        };
        Some((Given::Making, work))
    }

    /// Whether the file thread has nothing, and nothing waits for it.
    pub(crate) fn is_idle(&self) -> bool {
        self.given.is_none()
            && matches!((&self.making, &self.loading), (Steps::None, Steps::None))
            && self.stores.is_empty()
            && self.dropping.is_none()
            && self.removing.is_none()
    }

    /// A spare was made, or there was no room for one: then none is tried until the log thread
    /// asks again.
    pub(crate) fn spare_done(&mut self, made: bool) {
        self.done();
        self.spares_wanted = if made { self.spares_wanted.saturating_sub(1) } else { 0 };
    }

    /// The read with this ticket is done; tells what it was.
    pub(crate) fn read_done(&mut self, ticket: u64) -> ReadWork {
        match self.done() {
            Given::Read(given, work) if given == ticket => work,
            other => panic!("read {ticket} was reported, {other:?} was given"),
        }
    }

    /// The piece with this ticket is read; tells what it was.
    pub(crate) fn piece_done(&mut self, ticket: u64) -> PieceWork {
        match self.done() {
            Given::Piece(given, work) if given == ticket => work,
            other => panic!("piece {ticket} was reported, {other:?} was given"),
        }
    }

    /// A step of the snapshot that is made is done, and there are more. `is_paced`: clients
    /// write, and the log's syncs are to have most of the disk.
    pub(crate) fn make_on(&mut self, now: Time, is_paced: bool) {
        self.done();
        let took = now.since(self.since);
        self.make_at = if is_paced { now + took * PACE } else { now };
        self.making = Steps::GoOn;
    }

    /// A step of loading is done, and there are more.
    pub(crate) fn load_on(&mut self) {
        self.done();
        self.loading = Steps::GoOn;
    }

    /// Segments were removed; there are more if `again`.
    pub(crate) fn removed(&mut self, again: bool) {
        if let (Given::Removing(removal), true) = (self.done(), again) {
            self.removing.get_or_insert(removal);
        }
    }

    /// A snapshot was made or received. What is to be dropped was decided without it.
    pub(crate) fn snapshot_done(&mut self, snapshot: SnapshotId) {
        self.done();
        if let Some(keep) = &mut self.dropping {
            keep.push(snapshot);
        }
    }

    /// The work is done, whatever it was.
    pub(crate) fn other_done(&mut self) {
        self.done();
    }

    fn done(&mut self) -> Given {
        self.given.take().expect("the file thread reports on what it has")
    }
}

fn is_for(work: &PieceWork, peer: Member) -> bool {
    matches!(work.reader, PieceReader::Peer { peer: other, .. } if other == peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Incarnation, LogId, NodeId, Term};
    use crate::node::content::Loading;

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

    fn snapshot(index: u64) -> SnapshotId {
        let last = LogId::new(Term(1), Index(index));
        SnapshotId { last, bytes: 100, hash: index.into() }
    }

    fn removal(through: u64) -> Removal {
        Removal { through: Index(through), wanted: Index(through), max_bytes: 0 }
    }

    #[test]
    fn memory_that_takes_long_to_free_is_not_a_disk_that_stands_still() {
        let mut files = Files::default();
        files.free(Box::new(vec![0_u8; 10]));
        assert!(matches!(files.next_work(Time::ZERO), Some(FileWork::Free(_))));
        let later = Time::ZERO + Duration::from_secs(60);
        assert_eq!(files.busy_for(later), None);
        assert_eq!(files.busy_until(Duration::from_secs(20)), None);
        files.other_done();
        files.read(work(Reader::Machine, 1));
        assert!(files.next_work(later).is_some());
        assert_eq!(files.busy_for(later + Duration::from_secs(1)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_snapshot_that_is_done_while_others_are_to_be_dropped_stays() {
        let mut files = Files::default();
        files.load(snapshot(50), Loading::sink());
        assert!(matches!(files.next_work(Time::ZERO), Some(FileWork::LoadReceived { .. })));
        files.keep_only(vec![snapshot(30)]);
        files.snapshot_done(snapshot(50));
        let Some(FileWork::DropSnapshots { keep }) = files.next_work(Time::ZERO) else {
            panic!("the others are dropped");
        };
        assert_eq!(keep, [snapshot(30), snapshot(50)]);
    }

    #[test]
    fn the_log_is_let_go_before_the_snapshots_that_cover_it() {
        let mut files = Files::default();
        files.remove(removal(20));
        files.keep_only(vec![snapshot(50)]);
        for again in [true, false] {
            let work = files.next_work(Time::ZERO);
            assert!(matches!(work, Some(FileWork::RemoveThrough { .. })), "{work:?}");
            files.removed(again);
        }
        assert!(matches!(files.next_work(Time::ZERO), Some(FileWork::DropSnapshots { .. })));
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
