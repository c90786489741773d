//! Snapshots on their way between members, and what they let go of the log.

use bytes::{Bytes, BytesMut};

use super::files::{PieceReader, PieceWork, Removal};
use super::{Driver, DriverOutput, Halt, Notice};
use crate::kv::{Machine, PointReport};
use crate::model::{Body, Index, LogId, LogTime, Member, Piece, SnapshotId, Term};
use crate::node::content::{Loading, check_end};
use crate::raft::Input;
use crate::storage::{FileReport, SnapshotHead, SnapshotSink};
use crate::wire::{KeptSnapshot, encode_message};

/// A snapshot that was received: its state stands ready.
#[derive(Debug)]
pub(super) struct Received {
    id: SnapshotId,
    log_time: LogTime,
    machine: Machine,
}

impl Driver {
    pub(super) fn piece_read(&mut self, ticket: u64, bytes: Bytes) {
        let PieceWork { reader, snapshot, offset, .. } = self.files.piece_done(ticket);
        match reader {
            PieceReader::Client { client, request } => self.tell_piece(client, request, bytes),
            PieceReader::Peer { peer, ticket } => {
                let length = bytes.len() as u64;
                self.peers.keep_piece(peer, Piece { snapshot, offset, bytes });
                self.core(Input::PieceRead { peer, ticket, bytes: length });
            }
        }
    }

    pub(super) fn piece_lost(&mut self, ticket: u64) {
        let PieceWork { reader, .. } = self.files.piece_done(ticket);
        match reader {
            PieceReader::Client { client, request } => self.tell_snapshot_gone(client, request),
            PieceReader::Peer { peer, ticket } => self.core(Input::PieceLost { peer, ticket }),
        }
    }

    /// Sends the bytes that were read for a member.
    pub(super) fn send_piece(&mut self, to: Member, term: Term, piece: (SnapshotId, u64, u64)) {
        let (snapshot, offset, length) = piece;
        let Some(piece) = self.peers.take_piece(to, snapshot, offset, length) else {
            // They were read for a connection that is gone.
            return;
        };
        let mut frame = BytesMut::new();
        encode_message(term, &Body::Piece(piece), &mut frame);
        let (head, entries) = (frame.freeze(), Bytes::new());
        self.outputs.push_back(DriverOutput::EntriesToPeer { peer: to, head, entries });
    }

    /// All bytes of a snapshot have come.
    pub(super) fn load_received(&mut self, snapshot: SnapshotId) {
        self.files.load(snapshot, Loading::sink());
    }

    pub(super) fn received(
        &mut self,
        id: SnapshotId,
        head: SnapshotHead,
        sink: Box<dyn SnapshotSink>,
    ) {
        self.files.snapshot_done(id);
        let machine = Loading::machine(sink);
        let SnapshotHead { time: log_time, configuration, .. } = head;
        if let Err(text) = check_end(&machine, id.last, log_time) {
            return self.halt(Halt::Corrupt(text));
        }
        self.snapshots.keep(KeptSnapshot { id, log_time });
        self.received = Some(Received { id, log_time, machine });
        self.core(Input::SnapshotReceived { snapshot: id, configuration, log_time });
    }

    /// The state that stands ready takes the place of the machine's.
    pub(super) fn install(&mut self, snapshot: SnapshotId, begins_anew: bool) {
        let received = self.received.take().filter(|received| received.id == snapshot);
        let received = received.expect("the core installs what was received just now");
        if begins_anew {
            self.recent.clear();
        }
        if self.files.forget_machine() {
            self.applying.not_fetched();
        }
        self.forget_pending();
        let old = std::mem::replace(&mut self.machine, received.machine);
        self.files.free(Box::new(old));
        let index = snapshot.last.index;
        self.applying.jump_to(index);
        self.snapshots.installed(received.log_time);
        self.points.installed(self.about.me);
        // A snapshot ends with a point.
        let hash = self.machine.state_hash();
        self.reached_point(PointReport { index, hash });
        for waiter in self.proposals.passed_over(index) {
            self.unknown(
                waiter,
                "the state of another node took the place of this one's; the write may have been \
                 carried out",
            );
        }
        self.reads.applied(index);
    }

    pub(super) fn compact(&mut self, through: Index, wanted: Index) {
        let max_bytes = self.snapshots.rules().max_lag_bytes;
        self.files.remove(Removal { through, wanted, max_bytes });
    }

    pub(super) fn compacted(&mut self, segments: usize, more: bool, base: LogId, log_bytes: u64) {
        self.files.removed(more);
        self.facts.log_removed(segments, log_bytes);
        if segments > 0 {
            self.notice(Notice::Compacted { segments, base, log_bytes });
            self.core(Input::Compacted { base });
        }
    }

    pub(super) fn keep_snapshots(&mut self, keep: Vec<SnapshotId>) {
        self.snapshots.retain(&keep);
        self.files.keep_only(keep);
    }

    /// What the file thread did for snapshots and transfers.
    pub(super) fn snapshot_work_done(&mut self, report: FileReport) {
        match report {
            FileReport::SnapshotWritten { used, .. } => {
                used.into_iter().for_each(|used| self.files.free(Box::new(used)));
                self.snapshot_goes_on();
            }
            FileReport::SnapshotSaved { snapshot } => self.snapshot_saved(snapshot),
            FileReport::NoRoomForSnapshot(error) => self.no_room_for_snapshot(&error),
            FileReport::Piece { ticket, bytes } => self.piece_read(ticket, bytes),
            FileReport::PieceLost { ticket } => self.piece_lost(ticket),
            FileReport::PieceStored { snapshot, has } => {
                self.files.other_done();
                self.core(Input::PieceStored { snapshot, has });
            }
            FileReport::NoRoomForPiece { snapshot, has, error } => {
                // The leader asks again when nothing has come of it for a while.
                self.files.other_done();
                self.notice(Notice::NoRoomForPiece(error.to_string()));
                self.core(Input::PieceStored { snapshot, has });
            }
            FileReport::Loading { .. } => self.files.load_on(),
            FileReport::Received { snapshot, head, sink } => self.received(snapshot, head, sink),
            FileReport::ReceivedBad { snapshot, reason, has } => {
                self.files.other_done();
                self.notice(Notice::SnapshotBad { id: snapshot, text: reason.to_string() });
                self.core(Input::SnapshotRefused { snapshot, has });
            }
            FileReport::SnapshotsDropped { .. } | FileReport::Freed => self.files.other_done(),
            FileReport::Removed { segments, more, base, log_bytes } => {
                self.compacted(segments, more, base, log_bytes);
            }
            other => unreachable!("{other:?} is about neither"),
        }
    }
}
