//! Taking snapshots of the own state: when, of what, and who is told.

use bytes::Bytes;

use super::files::{PieceReader, PieceWork};
use super::proposals::Waiter;
use super::snapshots::Making;
use super::{ClientId, Driver, Notice};
use crate::kv::Image;
use crate::model::{Index, LogId, LogTime, MAX_PIECE_BYTES, SnapshotId, Time};
use crate::raft::{Input, Refusal};
use crate::storage::{SnapshotHead, StorageError};
use crate::wire::{RefusalCode, Reply, ReplyBody};

/// The most pieces of snapshots that clients may wait for at a time.
const MAX_PIECES: usize = 64;

/// A state of which a snapshot is to be made as soon as the log is durable up to there. What the
/// disk doesn't hold is never in a snapshot: after a power cut it would contradict the log.
#[derive(Debug)]
pub(super) struct Pending {
    head: SnapshotHead,
    image: Image,
}

impl Driver {
    /// A client wants a snapshot taken.
    pub(super) fn take_snapshot(&mut self, waiter: Waiter) {
        let (client, request) = (waiter.client, waiter.request);
        if self.stopping.is_stopping() {
            return self.refuse_stopping(client, request);
        }
        if self.leads.is_none() {
            let (_, leader) = self.raft.term_and_leader();
            return self.refuse(client, request, Refusal::NotLeader(leader));
        }
        self.snapshots.wait(waiter);
        self.want_snapshot();
    }

    /// A leader has one taken when it is due by the rules.
    pub(super) fn look_whether_snapshot_is_due(&mut self) {
        if self.snapshots.is_due(self.raft.log_time()) {
            self.want_snapshot();
        }
    }

    /// A leader has one taken as soon as may be.
    pub(super) fn want_snapshot(&mut self) {
        // Else the next one is wanted when this one is done.
        if self.leads.is_some() && self.snapshots.making().is_none() {
            self.points.want_snapshot();
        }
    }

    /// A point was applied at which each replica takes a snapshot.
    pub(super) fn reached_snapshot_point(&mut self, last: LogId, time: LogTime) {
        if !self.snapshots.reached_point(last.index, time, self.now) {
            return;
        }
        self.points.snapshot_begun();
        let configuration = self.raft.configuration_as_of(last.index);
        let (index, configuration) =
            configuration.expect("the core forgets none that is in force behind what is applied");
        let head = SnapshotHead {
            cluster: self.about.cluster,
            epoch: self.about.epoch,
            last,
            time,
            configuration: (index, configuration.clone()),
            founding: self.founding.clone(),
        };
        self.pending = Some(Pending { head, image: self.machine.image() });
    }

    /// Begins to make the snapshot that waits for the log.
    pub(super) fn make_what_is_durable(&mut self) {
        let durable = self.raft.durable();
        if let Some(Pending { head, image }) =
            self.pending.take_if(|pending| pending.head.last.index <= durable)
        {
            self.files.make(head, Box::new(image), self.now);
        }
    }

    pub(super) fn snapshot_goes_on(&mut self) {
        // Writes that wait are clients': the log thread is to have most of the disk.
        let is_paced = self.log.is_in_use();
        self.files.make_on(self.now, is_paced);
    }

    pub(super) fn snapshot_saved(&mut self, id: SnapshotId) {
        self.files.snapshot_done(id);
        let (Making { begun, .. }, kept, waiters) = self.snapshots.saved(id);
        self.notice(Notice::SnapshotSaved { id, took: self.now.since(begun) });
        for waiter in waiters {
            let body = ReplyBody::Snapshots(vec![kept]);
            self.reply(waiter.client, Reply { id: waiter.request, body });
        }
        self.core(Input::SnapshotSaved(id));
        self.look_for_another();
    }

    pub(super) fn no_room_for_snapshot(&mut self, error: &StorageError) {
        self.files.other_done();
        let (Making { index, .. }, waiters) = self.snapshots.given_up();
        self.notice(Notice::NoRoomForSnapshot { index, text: error.to_string() });
        for waiter in waiters {
            let text = "the leader's disk has no room for a snapshot; nothing was changed";
            self.refuse_with(waiter.client, waiter.request, RefusalCode::DiskFull, text);
        }
        self.look_for_another();
    }

    fn look_for_another(&mut self) {
        if self.snapshots.is_wanted() {
            self.want_snapshot();
        }
    }

    /// The state was replaced by a newer one: what waits for the log is of no use any more.
    pub(super) fn forget_pending(&mut self) {
        if self.pending.take().is_none() {
            return;
        }
        let (_, waiters) = self.snapshots.given_up();
        self.refuse_snapshot(waiters);
    }

    /// Tells those who wait for a snapshot that this node doesn't lead any more.
    pub(super) fn refuse_snapshot(&mut self, waiters: Vec<Waiter>) {
        for waiter in waiters {
            self.refuse(waiter.client, waiter.request, Refusal::LeadershipLost);
        }
    }

    pub(super) fn tell_snapshots(&mut self, client: ClientId, request: u64) {
        let body = ReplyBody::Snapshots(self.snapshots.kept().to_vec());
        self.reply(client, Reply { id: request, body });
    }

    /// A client wants bytes of a snapshot's file.
    pub(super) fn read_piece_for(
        &mut self,
        client: ClientId,
        request: u64,
        snapshot: SnapshotId,
        offset: u64,
    ) {
        if !self.snapshots.kept().iter().any(|kept| kept.id == snapshot) {
            return self.tell_snapshot_gone(client, request);
        }
        if self.files.pieces_waiting() >= MAX_PIECES {
            return self.refuse(client, request, Refusal::Busy);
        }
        let reader = PieceReader::Client { client, request };
        self.files.read_piece(PieceWork { reader, snapshot, offset, max_bytes: MAX_PIECE_BYTES });
    }

    pub(super) fn tell_piece(&mut self, client: ClientId, request: u64, bytes: Bytes) {
        self.reply(client, Reply { id: request, body: ReplyBody::Piece(bytes) });
    }

    pub(super) fn tell_snapshot_gone(&mut self, client: ClientId, request: u64) {
        let text = "this node doesn't keep that snapshot, or not any more";
        self.refuse_with(client, request, RefusalCode::SnapshotGone, text);
    }

    /// Where the newest snapshot ends, and its log time.
    pub(super) fn newest_snapshot(&self) -> (Index, LogTime) {
        let newest = self.snapshots.kept().first();
        newest.map_or((Index::ZERO, LogTime(0)), |kept| (kept.id.last.index, kept.log_time))
    }

    pub(super) fn snapshots_deadline(&self) -> Option<Time> {
        self.snapshots.deadline().into_iter().chain(self.files.deadline()).min()
    }
}
