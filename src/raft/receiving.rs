//! The follower's side of the transfer of a snapshot, and what its arrival does to the log.

use super::core::{Raft, Role};
use super::event::Event;
use super::io::Output;
use crate::model::{
    Body, Configuration, Index, LogId, LogTime, Member, Piece, PieceReply, Receipt, SnapshotId,
};

/// A snapshot on its way here. It outlives leaders: whoever holds the same may go on with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receiving {
    snapshot: SnapshotId,
    /// How many bytes are stored.
    has: u64,
    /// How many bytes were handed over to be stored.
    taken: u64,
    /// How many pieces were handed over of which nothing was heard.
    storing: u64,
    /// Whether a leader has spoken of it since this node started.
    is_wanted: bool,
    /// Whether all is there and is being verified and loaded.
    is_loading: bool,
}

/// The snapshot that the leader of this term speaks of, and what it was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken {
    snapshot: SnapshotId,
    told: Option<(SnapshotId, u64)>,
    /// Whether an answer is due even if nothing has changed.
    owed: bool,
}

/// What a snapshot is to the log.
enum Standing {
    /// The log holds its last entry, or is committed beyond it: nothing is missing.
    Held,
    /// What it covers is missing.
    Missing,
    /// No leader of this cluster has it.
    Contradicts,
}

impl Receiving {
    /// What an earlier run has left of the file.
    pub(super) fn left(snapshot: SnapshotId, has: u64) -> Receiving {
        let has = has.min(snapshot.bytes);
        let (taken, storing) = (has, 0);
        Receiving { snapshot, has, taken, storing, is_wanted: false, is_loading: false }
    }

    pub(super) const fn progress(&self) -> (SnapshotId, u64) {
        (self.snapshot, self.has)
    }

    const fn is_complete(&self) -> bool {
        self.has == self.snapshot.bytes
    }

    /// What must hold of it at any time.
    pub(super) fn check(&self) {
        assert!(self.has <= self.taken && self.taken <= self.snapshot.bytes, "{self:?}");
        assert!(!self.is_loading || self.is_complete(), "loads what isn't complete: {self:?}");
    }
}

impl Raft {
    pub(super) fn on_piece(&mut self, from: Member, piece: Piece) {
        if !self.follow(from) {
            return self.dropped(from, "a second leader in one term");
        }
        let snapshot = piece.snapshot;
        let last = snapshot.last.index;
        match self.standing(snapshot.last) {
            Standing::Contradicts => {
                return self.dropped(from, "a snapshot contradicts what is committed or matched");
            }
            Standing::Held => self.matched_to(last, last),
            Standing::Missing => {}
        }
        self.spoken_of(snapshot, piece.bytes.is_empty());
        if last <= self.commit {
            return;
        }
        match self.receiving {
            Some(receiving) if receiving.snapshot == snapshot => {}
            // What is complete is made use of first.
            Some(receiving) if receiving.is_loading => return,
            // The leader is told of it, and may go on with it.
            Some(receiving) if receiving.taken > 0 && piece.bytes.is_empty() => return,
            Some(_) | None if piece.offset > 0 => return,
            other => self.begin_receiving(snapshot, other),
        }
        self.take_piece(piece);
    }

    /// What the entry `last` of a snapshot is to the log. A snapshot holds committed entries only,
    /// so if the log holds the last of them, it holds all (log matching: paper, section 5.3).
    fn standing(&self, last: LogId) -> Standing {
        let held = self.log.term(last.index);
        if held == Some(last.term) || held.is_none() && last.index <= self.commit {
            Standing::Held
        } else if last.index <= self.fixed() {
            Standing::Contradicts
        } else {
            Standing::Missing
        }
    }

    /// The leader speaks of a snapshot: it is to learn what there is of it. A piece with bytes is
    /// answered when it is stored.
    fn spoken_of(&mut self, snapshot: SnapshotId, asks: bool) {
        let Role::Follower(following) = &mut self.role else { return };
        let before = following.spoken.take();
        let (told, owed) = before.map_or((None, false), |it| (it.told, it.owed));
        following.spoken = Some(Box::new(Spoken { snapshot, told, owed: owed || asks }));
    }

    fn begin_receiving(&mut self, snapshot: SnapshotId, before: Option<Receiving>) {
        if let Some(Receiving { snapshot, has, .. }) = before {
            let what = "is given up for another";
            self.event(Event::Receiving { snapshot, has, what });
        }
        self.receiving = Some(Receiving::left(snapshot, 0));
        self.event(Event::Receiving { snapshot, has: 0, what: "begins" });
    }

    fn take_piece(&mut self, piece: Piece) {
        let Some(receiving) = &mut self.receiving else { return };
        let (snapshot, has) = receiving.progress();
        let goes_on = !receiving.is_wanted && has > 0;
        receiving.is_wanted = true;
        let bytes = piece.bytes.len() as u64;
        let waiting = receiving.taken - receiving.has;
        let has_room = waiting == 0 || waiting + bytes <= self.config.max_unpersisted_bytes;
        if bytes > 0 && piece.offset == receiving.taken && has_room && !receiving.is_loading {
            receiving.taken += bytes;
            receiving.storing += 1;
            let Piece { snapshot, offset, bytes } = piece;
            self.outputs.push_back(Output::StorePiece { snapshot, offset, bytes });
        } else if bytes > 0 {
            self.owe_receipt();
        }
        if goes_on {
            self.event(Event::Receiving { snapshot, has, what: "goes on" });
        }
    }

    fn owe_receipt(&mut self) {
        if let Role::Follower(following) = &mut self.role
            && let Some(spoken) = &mut following.spoken
        {
            spoken.owed = true;
        }
    }

    pub(super) fn piece_stored(&mut self, snapshot: SnapshotId, has: u64) {
        if let Some(receiving) = &mut self.receiving
            && receiving.snapshot == snapshot
            && !receiving.is_loading
            && has <= receiving.taken
        {
            receiving.has = has;
            receiving.storing = receiving.storing.saturating_sub(1);
            // What isn't there now was damaged or found no room. It is wanted again.
            if receiving.storing == 0 {
                receiving.taken = has;
            }
        }
    }

    /// Forgets what nobody needs any more. Has a complete file loaded, once the term is durable:
    /// with the file's name an entry of that term may become durable.
    pub(super) fn load_received(&mut self) {
        let Some(receiving) = self.receiving.filter(|receiving| !receiving.is_loading) else {
            return;
        };
        if !matches!(self.standing(receiving.snapshot.last), Standing::Missing) {
            self.receiving = None;
        } else if receiving.is_complete() && receiving.is_wanted && self.gates.term_is_durable() {
            self.receiving = Some(Receiving { is_loading: true, ..receiving });
            self.outputs.push_back(Output::LoadReceived(receiving.snapshot));
        }
    }

    pub(super) fn snapshot_refused(&mut self, snapshot: SnapshotId, has: u64) {
        self.loaded(snapshot);
        // Without any byte that is known to be bad, all of them are.
        let has = if has < snapshot.bytes { has } else { 0 };
        self.receiving = Some(Receiving { is_wanted: true, ..Receiving::left(snapshot, has) });
        self.event(Event::Receiving { snapshot, has, what: "is damaged" });
        self.owe_receipt();
    }

    /// What was being loaded is loaded, or can't be.
    fn loaded(&mut self, snapshot: SnapshotId) {
        let asked = self.receiving.take().filter(|it| it.is_loading && it.snapshot == snapshot);
        assert!(asked.is_some(), "{snapshot} was never asked to be loaded");
    }

    pub(super) fn snapshot_received(
        &mut self,
        snapshot: SnapshotId,
        configuration: (Index, Configuration),
        log_time: LogTime,
    ) {
        self.loaded(snapshot);
        let last = snapshot.last;
        let standing = self.standing(last);
        let is_missing = matches!(standing, Standing::Missing);
        let leads = matches!(self.role, Role::Leader(_));
        let lies = matches!(standing, Standing::Contradicts) || configuration.0 > last.index;
        if lies || is_missing && leads {
            self.snapshots.refuse();
            let (has, what) = (snapshot.bytes, "contradicts the log");
            return self.event(Event::Receiving { snapshot, has, what });
        }
        self.snapshots.add(snapshot);
        // The entries themselves came first, and are being applied: the state must not go back.
        if last.index <= self.apply_issued {
            return;
        }
        let applied_before = self.applied;
        self.outputs.push_back(Output::Install { snapshot, begins_anew: is_missing });
        if is_missing {
            let kept = self.fixed();
            self.log.begin_anew(last);
            self.gates.begin_anew(kept, last);
            self.begin_configurations_anew(configuration);
        }
        self.clock.observe(log_time, self.now);
        self.commit = self.commit.max(last.index);
        self.apply_issued = last.index;
        self.applied_to(last.index);
        self.event(Event::Installed { snapshot, applied_before });
        if let Role::Follower(following) = &self.role
            && following.spoken.as_ref().is_some_and(|spoken| spoken.snapshot == snapshot)
        {
            self.matched_to(last.index, last.index);
        }
    }

    /// Tells the leader how far its snapshot is, if that has changed or it has asked.
    pub(super) fn answer_about_snapshot(&mut self) {
        let (commit, durable) = (self.commit, self.gates.durable_index());
        let Role::Follower(following) = &mut self.role else { return };
        let (Some(leader), Some(spoken)) = (following.leader, &mut following.spoken) else {
            return;
        };
        if !self.gates.term_is_durable() {
            return;
        }
        let last = spoken.snapshot.last.index;
        let reply = if last <= commit {
            if durable.min(following.matched) < last {
                return;
            }
            let snapshot = spoken.snapshot;
            following.spoken = None;
            following.acknowledged = following.acknowledged.max(last);
            PieceReply { snapshot, receipt: Receipt::Done }
        } else {
            let Some(receiving) = &self.receiving else { return };
            let state = Some(receiving.progress());
            if spoken.told == state && !spoken.owed {
                return;
            }
            (spoken.told, spoken.owed) = (state, false);
            PieceReply { snapshot: receiving.snapshot, receipt: Receipt::Has(receiving.has) }
        };
        self.send(leader, Body::PieceReply(reply));
    }
}
