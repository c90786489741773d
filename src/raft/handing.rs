//! The leader's side of the transfer of a snapshot (dissertation, chapter 5; paper, section 7):
//! to a member that needs entries which the log no longer holds.
//!
//! The leader asks how much of the snapshot the member has, sends from there on, a few pieces
//! ahead of what was stored, and asks again whenever something may have been lost.

use std::time::Duration;

use bytes::Bytes;

use super::core::{Raft, Role};
use super::event::Event;
use super::io::Output;
use super::progress::{Pace, Progress};
use super::sending::Sender;
use crate::model::{
    Body, MAX_PIECE_BYTES, Member, Message, Piece, PieceReply, Receipt, SnapshotId, Time,
};

/// How many pieces may be on their way to one member.
const PIECES: u64 = 4;

/// For how many election timeouts a snapshot is held for a member that gets no further. Then the
/// newest one takes its place, so that a member that is gone doesn't fill the disk.
const HELD_TIMEOUTS: u32 = 10;

/// The transfer of a snapshot to one member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Handing {
    pub(super) snapshot: SnapshotId,
    /// How many bytes the member has.
    pub(super) has: u64,
    /// Up to where bytes were sent.
    pub(super) sent: u64,
    stage: Stage,
    /// When the member last got further; `None` before it has answered.
    progressed: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// How much the member has isn't known; when it was asked.
    Asking { asked: Option<Time> },
    /// Bytes are sent; when the member last took some, or when the first were sent that it
    /// hasn't taken yet.
    Sending { moved: Time },
}

impl Handing {
    pub(super) const fn new(snapshot: SnapshotId) -> Handing {
        let stage = Stage::Asking { asked: None };
        Handing { snapshot, has: 0, sent: 0, stage, progressed: None }
    }

    /// What was on its way may be lost: ask how much came, at once or where it was last `asked`.
    pub(super) const fn ask_again(&mut self, asked: Option<Time>) {
        self.stage = Stage::Asking { asked };
        self.sent = self.has;
    }

    /// The member has the bytes before `has`. Says whether what is to be sent next has changed.
    fn receipt(&mut self, has: u64, now: Time) -> bool {
        let has = has.min(self.snapshot.bytes);
        let was_asking = matches!(self.stage, Stage::Asking { .. });
        let jumps = was_asking || has < self.has || has > self.sent;
        // One that has everything is busy loading it.
        if self.progressed.is_none() || has > self.has || has == self.snapshot.bytes {
            self.progressed = Some(now);
        }
        if was_asking || has != self.has {
            self.stage = Stage::Sending { moved: now };
        }
        if jumps {
            self.sent = has;
        }
        self.has = has;
        jumps
    }

    fn sent_more(&mut self, bytes: u64, now: Time) {
        if self.has == self.sent {
            self.stage = Stage::Sending { moved: now };
        }
        self.sent += bytes;
        assert!(
            self.sent <= self.snapshot.bytes,
            "a piece from beyond the end of {}",
            self.snapshot
        );
    }

    /// Whether the member owed an answer all the time since `since`, or longer.
    fn has_waited(&self, now: Time, patience: Duration) -> bool {
        let owes = self.has < self.sent || self.sent == self.snapshot.bytes;
        matches!(self.stage, Stage::Sending { moved } if owes && now >= moved + patience)
    }

    /// Whether another snapshot may take its place without anything being lost that the member
    /// could make use of.
    fn may_change(&self, now: Time, patience: Duration) -> bool {
        self.progressed.is_none_or(|at| now >= at + patience * HELD_TIMEOUTS)
    }

    /// How many bytes to read now, if the window has room.
    fn room(&self, max_inflight_bytes: u64) -> Option<u64> {
        let piece = (max_inflight_bytes / PIECES).clamp(1, MAX_PIECE_BYTES as u64);
        let has_room = self.sent - self.has + piece <= piece * PIECES;
        (matches!(self.stage, Stage::Sending { .. }) && has_room && self.sent < self.snapshot.bytes)
            .then_some(piece)
    }
}

impl Raft {
    pub(super) fn on_piece_reply(&mut self, from: Member, reply: PieceReply) {
        let (now, last) = (self.now, reply.snapshot.last);
        let held = self.log.term(last.index);
        let is_of_this_log = held.is_none_or(|term| term == last.term);
        let is_kept = self.snapshots.holds(&reply.snapshot);
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.peer_mut(from) else { return };
        progress.hear(now);
        let has = match reply.receipt {
            Receipt::Done if is_of_this_log => {
                return self.hear_levels(from, last.index, last.index);
            }
            Receipt::Done => return,
            Receipt::Has(has) => has,
        };
        let Pace::Snapshot(handing) = progress.pace else { return };
        if reply.snapshot == handing.snapshot {
            self.receipt(from, handing, has);
        } else if is_kept && has > 0 {
            // It has part of another one. That is as good, if it can have the rest.
            self.receipt(from, Handing::new(reply.snapshot), has);
        } else {
            self.receipt(from, handing, 0);
        }
    }

    fn receipt(&mut self, from: Member, mut handing: Handing, has: u64) {
        let now = self.now;
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.peer_mut(from) else { return };
        let asked = matches!(handing.stage, Stage::Asking { .. });
        if handing.receipt(has, now) {
            progress.reading = None;
        }
        progress.pace = Pace::Snapshot(handing);
        let (snapshot, has) = (handing.snapshot, handing.has);
        if asked && has < snapshot.bytes {
            let what = if has == 0 { "begins" } else { "goes on" };
            self.event(Event::Sending { to: from, snapshot, has, what });
        }
    }

    /// Bytes of a snapshot are at hand.
    pub(super) fn piece_read(&mut self, peer: Member, ticket: u64, bytes: u64) {
        let Some(mut handing) = self.awaited_piece(peer, ticket) else { return };
        assert!(bytes > 0, "a piece of {} without bytes", handing.snapshot);
        let (snapshot, offset) = (handing.snapshot, handing.sent);
        handing.sent_more(bytes, self.now);
        let term = self.gates.term();
        self.outputs.push_back(Output::SendPiece { to: peer, term, snapshot, offset, bytes });
        let Role::Leader(leading) = &mut self.role else { return };
        let Some(progress) = leading.peer_mut(peer) else { return };
        progress.pace = Pace::Snapshot(handing);
    }

    /// The file of a snapshot is gone or damaged. Whoever is being sent it gets another one.
    pub(super) fn piece_lost(&mut self, peer: Member, ticket: u64) {
        if let Some(handing) = self.awaited_piece(peer, ticket)
            && self.snapshots.lose(&handing.snapshot)
        {
            self.event(Event::SnapshotLost(handing.snapshot));
        }
    }

    /// The transfer for which a piece was read, unless it has become useless meanwhile.
    fn awaited_piece(&mut self, peer: Member, ticket: u64) -> Option<Handing> {
        let Role::Leader(leading) = &mut self.role else { return None };
        let progress = leading.peer_mut(peer)?;
        if progress.reading != Some(ticket) {
            return None;
        }
        let handing = progress.handing()?;
        progress.reading = None;
        Some(handing)
    }
}

impl Sender<'_> {
    /// Begins to send the newest snapshot. That there is none is said once: rot has taken it.
    pub(super) fn begin_handing(&mut self, progress: &mut Progress) {
        match self.snapshots.newest() {
            Some(newest) => progress.hand(Handing::new(newest)),
            None if progress.behind => {}
            None => {
                progress.behind = true;
                let (peer, base) = (progress.member, self.log.base());
                self.outputs.push_back(Output::Event(Event::Behind { peer, base }));
            }
        }
    }

    /// Asks, or has the next piece read.
    pub(super) fn pump_pieces(&mut self, progress: &mut Progress, handing: Handing) {
        let patience = self.config.election_timeout;
        let may_change = handing.may_change(self.now, patience);
        let mut handing = match self.snapshots.newest() {
            _ if self.snapshots.holds(&handing.snapshot) && !may_change => handing,
            Some(newest) if newest == handing.snapshot => handing,
            Some(newest) => self.begin_again(progress, handing, newest),
            None => return progress.give_up_handing(self.now),
        };
        if handing.has_waited(self.now, patience) {
            handing.ask_again(None);
            progress.reading = None;
        }
        if let Stage::Asking { asked } = &mut handing.stage {
            if asked.is_none_or(|asked| self.interval_passed(asked)) {
                *asked = Some(self.now);
                self.ask_about(progress.member, handing.snapshot);
            }
        } else if progress.reading.is_none()
            && let Some(max_bytes) = handing.room(self.config.max_inflight_bytes)
        {
            *self.last_ticket += 1;
            let (peer, ticket) = (progress.member, *self.last_ticket);
            progress.reading = Some(ticket);
            let (snapshot, offset) = (handing.snapshot, handing.sent);
            self.outputs.push_back(Output::ReadPiece { peer, ticket, snapshot, offset, max_bytes });
        }
        progress.pace = Pace::Snapshot(handing);
    }

    fn begin_again(
        &mut self,
        progress: &mut Progress,
        handing: Handing,
        newest: SnapshotId,
    ) -> Handing {
        progress.reading = None;
        if handing.progressed.is_some() {
            let (to, snapshot, has) = (progress.member, handing.snapshot, handing.has);
            let what = "is given up for another";
            self.outputs.push_back(Output::Event(Event::Sending { to, snapshot, has, what }));
        }
        Handing::new(newest)
    }

    fn ask_about(&mut self, to: Member, snapshot: SnapshotId) {
        let body = Body::Piece(Piece { snapshot, offset: 0, bytes: Bytes::new() });
        let (from, term) = (self.config.me, self.term);
        self.outputs.push_back(Output::Send(Message { from, to, term, body }));
    }
}
