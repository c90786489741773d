//! Entries for another node that has lost them.

use bytes::Bytes;

use super::files::{Borrower, ReadWork, Reader};
use super::{ClientId, Driver};
use crate::model::{Batch, LogId};
use crate::raft::Refusal;
use crate::wire::{LogPart, LogQuestion, Reply, ReplyBody};

/// How many bytes of entries go into one reply, unless one entry alone has more.
const PART_BYTES: u64 = 1 << 20;

/// The most reads of the log that may wait when another is asked for.
const MAX_READS: usize = 64;

impl Driver {
    /// Another node wants entries.
    pub(super) fn read_log_for(&mut self, client: ClientId, request: u64, question: &LogQuestion) {
        if self.files.reads_waiting() >= MAX_READS {
            return self.refuse(client, request, Refusal::Busy);
        }
        let until = question.until;
        let Some(behind) = self.held(&question.behind, until) else {
            return self.tell_log_part(client, request, None, Bytes::new());
        };
        let (first, last) = (behind.index.next(), until.unwrap_or(self.raft.last()).index);
        if first > last {
            return self.tell_log_part(client, request, Some(behind), Bytes::new());
        }
        let reader = Reader::Borrower(Borrower { client, request, behind, until });
        self.files.read(ReadWork { reader, first, last, max_bytes: PART_BYTES });
    }

    /// The entries were read, or aren't on disk (any more, or yet).
    pub(super) fn log_part_read(&mut self, borrower: Borrower, batch: Option<&Batch>) {
        let Borrower { client, request, behind, until } = borrower;
        // The log may be another one by now; what is told must be so at one moment.
        let is_held = |batch: &Batch| self.raft.id(batch.last().index) == Some(batch.last());
        let held = self.held(&[behind], until).filter(|_| batch.is_none_or(is_held));
        let entries = batch.filter(|_| held.is_some()).map(Batch::bytes);
        self.tell_log_part(client, request, held, entries.unwrap_or_default());
    }

    /// The first of `places` that the log holds, if it holds `until`.
    fn held(&self, places: &[LogId], until: Option<LogId>) -> Option<LogId> {
        let is_held = |id: &LogId| self.raft.id(id.index) == Some(*id);
        if !until.as_ref().is_none_or(is_held) {
            return None;
        }
        places.iter().copied().find(is_held)
    }

    fn tell_log_part(
        &mut self,
        client: ClientId,
        request: u64,
        behind: Option<LogId>,
        entries: Bytes,
    ) {
        let (term, _) = self.raft.term_and_leader();
        let part = LogPart {
            term,
            leads: self.leads == Some(term),
            base: self.raft.base(),
            last: self.raft.last(),
            behind,
            entries,
        };
        self.reply(client, Reply { id: request, body: ReplyBody::Log(part) });
    }
}
