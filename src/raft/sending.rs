//! Sending entries: pipelined, while the own disk still writes them (dissertation, chapter
//! 10.2.1), within a window for each member.

use std::collections::VecDeque;

use super::core::{Raft, Role};
use super::io::{Config, Output};
use super::progress::{Pace, Progress};
use super::replication::Leading;
use super::snapshots::Snapshots;
use super::view::LogView;
use crate::model::{Append, Body, Index, LogId, Member, Message, Span, Term, Time};

/// A read from disk is for as many messages.
const MESSAGES_PER_READ: u64 = 16;

impl Raft {
    /// Sends each member what it lacks and has room for.
    pub(super) fn replicate(&mut self) {
        let Some((leading, mut sender)) = self.sender() else { return };
        for progress in &mut leading.peers {
            sender.pump(progress);
        }
    }

    /// Entries from disk are at hand.
    pub(super) fn log_read(&mut self, peer: Member, ticket: u64, first: Index, bytes: &[u32]) {
        let Some((leading, mut sender)) = self.sender() else { return };
        let Some(progress) = leading.peer_mut(peer) else { return };
        if progress.reading != Some(ticket) {
            return;
        }
        progress.reading = None;
        if progress.next == first {
            sender.send_read(progress, bytes);
        }
    }

    /// The leader's knowledge of the others, and what is needed to send them entries.
    fn sender(&mut self) -> Option<(&mut Leading, Sender<'_>)> {
        let Role::Leader(leading) = &mut self.role else { return None };
        self.gates.assert_open();
        let sender = Sender {
            config: &self.config,
            log: &self.log,
            snapshots: &self.snapshots,
            term: self.gates.term(),
            commit: self.commit,
            now: self.now,
            last_ticket: &mut self.last_ticket,
            outputs: &mut self.outputs,
        };
        Some((leading, sender))
    }
}

/// What is needed to send entries to one member after the other.
pub(super) struct Sender<'a> {
    pub(super) config: &'a Config,
    pub(super) log: &'a LogView,
    pub(super) snapshots: &'a Snapshots,
    pub(super) term: Term,
    commit: Index,
    pub(super) now: Time,
    pub(super) last_ticket: &'a mut u64,
    pub(super) outputs: &'a mut VecDeque<Output>,
}

impl Sender<'_> {
    fn pump(&mut self, progress: &mut Progress) {
        // On a connection that keeps the order this happens only when something stands still.
        let patience = self.config.election_timeout;
        if progress.window.waiting_since().is_some_and(|since| self.now >= since + patience) {
            progress.reset(self.log.base().index, None);
        }
        if progress.handing().is_none() && self.prev(progress).is_none() {
            self.begin_handing(progress);
        }
        match progress.pace {
            Pace::Probe { asked } => {
                if asked.is_none_or(|asked| self.interval_passed(asked)) {
                    progress.pace = Pace::Probe { asked: Some(self.now) };
                    self.ask(progress);
                }
            }
            Pace::Busy { asked } => {
                if self.interval_passed(asked) {
                    progress.pace = Pace::Busy { asked: self.now };
                    self.send_next(progress);
                }
            }
            Pace::Replicate => while self.has_room(progress) && self.send_next(progress) {},
            Pace::Snapshot(handing) => self.pump_pieces(progress, handing),
        }
    }

    pub(super) fn interval_passed(&self, since: Time) -> bool {
        self.now >= since + self.config.heartbeat_interval
    }

    fn has_room(&self, progress: &Progress) -> bool {
        let window = &progress.window;
        window.messages() < self.config.max_inflight_messages
            && window.bytes() < self.config.max_inflight_bytes
            || window.messages() == 0
    }

    /// Asks whether the logs meet before the next entry.
    fn ask(&mut self, progress: &Progress) {
        let Some(prev) = self.prev(progress) else { return };
        let body = Body::Append(Append { prev, commit: self.commit, batch: None });
        let (from, to, term) = (self.config.me, progress.member, self.term);
        self.outputs.push_back(Output::Send(Message { from, to, term, body }));
    }

    /// The entry before the next one, unless it stands below the base of the log.
    fn prev(&self, progress: &Progress) -> Option<LogId> {
        self.log.id(progress.next.previous())
    }

    /// Sends one message with entries, or has them read from disk. Says whether it was sent.
    fn send_next(&mut self, progress: &mut Progress) -> bool {
        let first = progress.next;
        if first > self.log.last_index() {
            return false;
        }
        if first < self.log.memory_first() {
            self.ask_for_read(progress);
            return false;
        }
        let window = progress.window.bytes();
        let room = self.config.max_inflight_bytes.saturating_sub(window);
        let (span, bytes) = self.log.cut(first, self.config.max_batch_bytes.min(room));
        self.send_span(progress, span, bytes)
    }

    fn ask_for_read(&mut self, progress: &mut Progress) {
        if progress.reading.is_some() || self.prev(progress).is_none() {
            return;
        }
        *self.last_ticket += 1;
        progress.reading = Some(*self.last_ticket);
        let room = self.config.max_inflight_bytes.saturating_sub(progress.window.bytes());
        self.outputs.push_back(Output::ReadLog {
            peer: progress.member,
            ticket: *self.last_ticket,
            first: progress.next,
            last: self.log.memory_first().previous(),
            max_bytes: room.min(self.config.max_batch_bytes * MESSAGES_PER_READ),
        });
    }

    /// Sends entries that were read from disk, `bytes` long each.
    fn send_read(&mut self, progress: &mut Progress, bytes: &[u32]) {
        let mut rest = bytes;
        let probes = matches!(progress.pace, Pace::Probe { .. });
        while !rest.is_empty() && !probes && self.has_room(progress) {
            let mut length = 0;
            let mut count = 0;
            for bytes in rest {
                if count > 0 && length + u64::from(*bytes) > self.config.max_batch_bytes {
                    break;
                }
                length += u64::from(*bytes);
                count += 1;
            }
            rest = &rest[count..];
            let first = progress.next;
            let last = Index(first.0 + count as u64 - 1).min(self.log.last_index());
            let is_replicating = progress.pace == Pace::Replicate;
            if first > last
                || !self.send_span(progress, Span { first, last }, length)
                || !is_replicating
            {
                return;
            }
        }
    }

    fn send_span(&mut self, progress: &mut Progress, span: Span, bytes: u64) -> bool {
        let Some(prev) = self.prev(progress) else { return false };
        if progress.pace == Pace::Replicate {
            progress.window.push(span, bytes, self.now);
            progress.next = span.last.next();
        }
        let (to, term, commit) = (progress.member, self.term, self.commit);
        self.outputs.push_back(Output::Replicate { to, term, prev, commit, span });
        true
    }
}
