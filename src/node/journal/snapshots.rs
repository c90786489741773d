//! The lines about snapshots.

use log::{error, info, warn};

use super::Journal;
use crate::model::Time;
use crate::node::driver::Notice;
use crate::raft::Event;

impl Journal {
    /// What the driver tells of snapshots.
    pub(super) fn snapshot_notice(&mut self, now: Time, notice: &Notice) {
        let (term, role) = (self.term.0, self.role);
        match notice {
            Notice::SnapshotSaved { id, took } => {
                let (index, bytes, took) = (id.last.index.0, id.bytes, took.as_secs_f64());
                info!(
                    term = term, role = role, index = index, bytes = bytes, took_seconds = took;
                    "snapshot"
                );
            }
            Notice::NoRoomForSnapshot { index, text } => {
                if let Some(more) = self.repeats.allow(now, "no_room_for_snapshot", "") {
                    warn!(
                        term = term, role = role, index = index.0, reason = text.as_str(),
                        repeated = more;
                        "no_room_for_snapshot"
                    );
                }
            }
            Notice::NoRoomForPiece(text) => {
                if let Some(more) = self.repeats.allow(now, "no_room_to_receive", "") {
                    warn!(
                        term = term, role = role, reason = text.as_str(), repeated = more;
                        "no_room_to_receive"
                    );
                }
            }
            Notice::SnapshotBad { id, text } => {
                let index = id.last.index.0;
                error!(
                    term = term, role = role, index = index, reason = text.as_str();
                    "received_snapshot_is_bad"
                );
            }
            Notice::Compacted { segments, base, log_bytes } => {
                info!(
                    term = term, role = role, segments = *segments, first = base.index.next().0,
                    log_bytes = *log_bytes;
                    "log_compacted"
                );
            }
            _ => {}
        }
    }

    /// What the core tells of snapshots.
    pub(super) fn snapshot_event(&self, event: &Event) {
        match event {
            Event::Sending { to, snapshot, has, what } => {
                let (index, size) = (snapshot.last.index.0, snapshot.bytes);
                info!(
                    term = self.term.0, role = self.role, to = to.id.number(), index = index,
                    bytes = size, has = *has, what = *what;
                    "snapshot_sending"
                );
            }
            Event::Receiving { snapshot, has, what } => {
                let (index, size) = (snapshot.last.index.0, snapshot.bytes);
                info!(
                    term = self.term.0, role = self.role, index = index, bytes = size, has = *has,
                    what = *what;
                    "snapshot_receiving"
                );
            }
            Event::Installed { snapshot, applied_before } => {
                let (index, size) = (snapshot.last.index.0, snapshot.bytes);
                info!(
                    term = self.term.0, role = self.role, index = index, bytes = size,
                    applied_before = applied_before.0;
                    "snapshot_installed"
                );
            }
            Event::SnapshotLost(snapshot) => {
                let (index, size) = (snapshot.last.index.0, snapshot.bytes);
                error!(
                    term = self.term.0, role = self.role, index = index, bytes = size;
                    "snapshot_lost"
                );
            }
            _ => {}
        }
    }
}
