//! The bytes of a snapshot, piece by piece, from any node that keeps it.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_node::client::{Client, Options};
use raft_node::model::SnapshotId;

use super::kept::{Kept, Source};
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::explain;
use crate::output;

/// How long nothing may come, where nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait when no node could give anything.
const PAUSE: Duration = Duration::from_millis(100);

/// Reads a snapshot from the nodes that keep it.
pub(super) struct Pieces<'a> {
    context: &'a Context,
    id: SnapshotId,
    /// Those that are left, the one that is read from first.
    sources: VecDeque<Source>,
    /// For the first of them.
    client: Client,
    /// Those that can't give it any more.
    left_out: Vec<Source>,
    offset: u64,
    /// Those that bytes came from, in the order of their first ones.
    given: Vec<Source>,
}

impl<'a> Pieces<'a> {
    /// To be read from the first of the sources, of which there is at least one, and from the
    /// others where that fails.
    pub(super) fn new(context: &'a Context, id: SnapshotId, sources: Vec<Source>) -> Pieces<'a> {
        let client = client_of(&sources[0], context);
        let sources = VecDeque::from(sources);
        Pieces { context, id, sources, client, left_out: Vec::new(), offset: 0, given: Vec::new() }
    }

    /// How many bytes have come.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whom they are read from.
    pub(super) fn source(&self) -> &Source {
        &self.sources[0]
    }

    /// Those that bytes came from.
    pub(super) fn given(&self) -> &[Source] {
        &self.given
    }

    /// The next bytes; `None` behind the last ones. After a failure of one node it goes on at
    /// another one or at the same one again, until nothing has come for the time of `--timeout`.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, CliError> {
        if self.offset >= self.id.bytes {
            return Ok(None);
        }
        let deadline = Instant::now() + stall(self.context);
        let mut in_vain = 0;
        loop {
            let failure = match self.client.snapshot_piece(self.id, self.offset) {
                Ok(piece) => return self.took(piece).map(Some),
                Err(failure) => failure,
            };
            let failed = explain::failed(&failure, self.context);
            if self.turn_from(failed.code()) {
                in_vain += 1;
            }
            if in_vain >= self.sources.len() || Instant::now() >= deadline {
                in_vain = 0;
                self.look_again(failed, deadline)?;
            }
            self.client = client_of(self.source(), self.context);
        }
    }

    fn took(&mut self, piece: Bytes) -> Result<Bytes, CliError> {
        let bytes = piece.len() as u64;
        if bytes > self.id.bytes - self.offset {
            let message = format!("{} sends more than the snapshot has", self.source().name());
            return Err(CliError::new(Code::Corrupt, message)
                .hint("raft-ctl and the nodes may be of different versions; nothing was written"));
        }
        if self.given.iter().all(|given| given.endpoint != self.source().endpoint) {
            self.given.push(self.source().clone());
        }
        self.offset += bytes;
        Ok(piece)
    }

    /// Turns from a source that has failed to the next one. `false`: it is left out from now on,
    /// as it has let the snapshot go or can never give it.
    fn turn_from(&mut self, why: Code) -> bool {
        let stays = why != Code::SnapshotGone && why.retry_safe();
        let source = self.sources.pop_front().expect("it was read from");
        if stays {
            self.sources.push_back(source);
        } else {
            self.left_out.push(source);
        }
        stays
    }

    /// None of the sources could give anything. After a pause, those are the sources that say
    /// that they keep the snapshot: some may have got it only meanwhile. An error where there is
    /// none, or no time left.
    fn look_again(&mut self, failed: CliError, deadline: Instant) -> Result<(), CliError> {
        if Instant::now() < deadline {
            thread::sleep(PAUSE);
            // Where nobody answers at all, those from before stay.
            if let Ok(kept) = Kept::ask(self.context) {
                let mut found = kept.sources(self.id);
                let is_out = |source: &Source| {
                    self.left_out.iter().any(|out| out.endpoint == source.endpoint)
                };
                found.retain(|source| !is_out(source));
                if !found.is_empty() {
                    self.sources = found.into();
                }
            }
            if !self.sources.is_empty() {
                return Ok(());
            }
        }
        Err(match failed.code() {
            Code::SnapshotGone => self.gone(),
            _ => failed.detail(self.how_far()).hint(
                "nothing was written; `raft-ctl snapshot ls` shows which nodes keep snapshots",
            ),
        })
    }

    fn gone(&self) -> CliError {
        let message = format!(
            "{} let snapshot {} go while it was read, and no other node gives it",
            self.left_out.last().map_or_else(|| "the node".to_owned(), Source::name),
            super::object::name(self.id)
        );
        CliError::new(Code::SnapshotGone, message)
            .detail(self.how_far())
            .hint("nothing was written; run it again: there is a newer snapshot")
    }

    fn how_far(&self) -> String {
        let (read, all) = (output::bytes(self.offset), output::bytes(self.id.bytes));
        format!("{read} of {all} were read until then")
    }
}

fn stall(context: &Context) -> Duration {
    context.timeout_or(USUAL_TIMEOUT)
}

/// A client of one node. It has a part of the time, so that another node is asked before all of
/// it is over.
fn client_of(source: &Source, context: &Context) -> Client {
    Client::new(Options {
        endpoints: vec![source.endpoint.clone()],
        fixed: true,
        patient: false,
        timeout: stall(context) / 3,
        ..context.options()
    })
}
