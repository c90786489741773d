//! The bytes of a snapshot, piece by piece, from any node that keeps it.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use raft_node::client::{Client, Endpoint, Failure, Options};
use raft_node::model::{NodeId, SnapshotId};

use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::explain;
use crate::output;

/// How long nothing may come, where nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait when no node could give anything.
const PAUSE: Duration = Duration::from_millis(100);

/// A node that keeps the snapshot.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) id: Option<NodeId>,
    pub(super) endpoint: Endpoint,
}

impl Source {
    /// `node 3`, or its address where the number isn't known.
    pub(super) fn name(&self) -> String {
        self.id.map_or_else(|| self.endpoint.address.to_string(), |id| format!("node {id}"))
    }
}

/// Reads a snapshot from the nodes that keep it.
pub(super) struct Pieces<'a> {
    context: &'a Context,
    id: SnapshotId,
    /// Those that are left, the one that is read from first.
    sources: VecDeque<Source>,
    /// For the first of them.
    client: Client,
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
        Pieces { context, id, sources, client, offset: 0, given: Vec::new() }
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
            self.turn_from(&failure)?;
            in_vain += 1;
            if Instant::now() >= deadline {
                return Err(self.ended(&failure));
            }
            if in_vain >= self.sources.len() {
                in_vain = 0;
                thread::sleep(PAUSE);
            }
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

    /// Turns to the next source. One that can't help any more is left out; an error where none is
    /// left.
    fn turn_from(&mut self, failure: &Failure) -> Result<(), CliError> {
        let failed = explain::failed(failure, self.context);
        let gone = failed.code() == Code::SnapshotGone;
        if gone || !failed.code().retry_safe() {
            if self.sources.len() == 1 {
                return Err(if gone { self.gone() } else { self.ended(failure) });
            }
            self.sources.pop_front();
        } else {
            self.sources.rotate_left(1);
        }
        self.client = client_of(self.source(), self.context);
        Ok(())
    }

    fn gone(&self) -> CliError {
        let message = format!(
            "{} let snapshot {} go while it was read, and no other node keeps it",
            self.source().name(),
            super::object::name(self.id)
        );
        CliError::new(Code::SnapshotGone, message)
            .detail(self.how_far())
            .hint("nothing was written; run it again: there is a newer snapshot")
    }

    fn ended(&self, failure: &Failure) -> CliError {
        explain::failed(failure, self.context)
            .detail(self.how_far())
            .hint("nothing was written; `raft-ctl snapshot ls` shows which nodes keep snapshots")
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
