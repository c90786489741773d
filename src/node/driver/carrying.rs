//! What the core asks for, carried out in its order.

use super::files::{PieceReader, PieceWork, ReadWork, Reader};
use super::gathering::LogWrite;
use super::peers::Piece;
use super::{Asked, Driver, DriverOutput, Notice};
use crate::model::{Body, Configuration, EntryHeader, Message};
use crate::raft::{Event, Output, Refusal, Token, Write};

impl Driver {
    pub(super) fn carry_out(&mut self, output: Output) {
        if !matches!(output, Output::Proposed { .. }) {
            self.seal();
        }
        match output {
            Output::Proposed { token, header, configuration } => {
                self.encode(token, header, configuration.as_deref());
            }
            Output::Refused { token, reason } => self.refused(token, reason),
            Output::Extend { keep, batch } => self.recent.extend(keep, batch),
            Output::Write(write) => self.gather(write),
            Output::Send(message) => self.send(&message),
            Output::Replicate { to, term, prev, commit, span } => {
                let outputs = &mut self.outputs;
                let piece = Piece { to, term, prev, commit, span };
                self.peers.frames(&self.recent, piece, |frame| {
                    let (head, entries) = (frame.head, frame.entries);
                    outputs.push_back(DriverOutput::EntriesToPeer { peer: to, head, entries });
                });
            }
            Output::ReadLog { peer, ticket, first, last, max_bytes } => {
                let reader = Reader::Peer { peer, ticket };
                self.files.read(ReadWork { reader, first, last, max_bytes });
            }
            Output::Apply(span) => self.applying.extend(span),
            Output::ReadAt { token, index } => match Asked::of(token) {
                Asked::Read(number) => {
                    self.reads.confirm(number, index);
                    self.reads.applied(self.applying.applied());
                }
                other => unreachable!("{other:?} isn't a read"),
            },
            Output::Transferred(token) => self.transferred(token),
            Output::Unchanged { token, index } => match Asked::of(token) {
                Asked::Change(number) => self.change_unneeded(number, index),
                other => unreachable!("{other:?} isn't a change of members"),
            },
            Output::Release(index) => self.recent.release(index),
            Output::ReadPiece { peer, ticket, snapshot, offset, max_bytes } => {
                let reader = PieceReader::Peer { peer, ticket };
                let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
                self.files.read_piece(PieceWork { reader, snapshot, offset, max_bytes });
            }
            Output::SendPiece { to, term, snapshot, offset, bytes } => {
                self.send_piece(to, term, (snapshot, offset, bytes));
            }
            Output::StorePiece { snapshot, offset, bytes } => {
                self.files.store(snapshot, offset, bytes);
            }
            Output::LoadReceived(snapshot) => self.load_received(snapshot),
            Output::Install { snapshot, begins_anew } => self.install(snapshot, begins_anew),
            Output::Compact { through, wanted } => self.compact(through, wanted),
            Output::KeepSnapshots(keep) => self.keep_snapshots(keep),
            Output::Event(event) => self.event(event),
        }
    }

    fn send(&mut self, message: &Message) {
        if let Body::Heartbeat { round, commit, levels } = &message.body
            && !levels.is_empty()
            && self.told != Some((message.term, *round))
        {
            // The same goes to all.
            self.told = Some((message.term, *round));
            let (term, commit, levels) = (message.term, *commit, levels.clone());
            self.outputs.push_back(DriverOutput::Levels { term, commit, levels });
        }
        self.peers.send(message);
    }

    /// Makes one batch of the entries that were proposed since the last one.
    pub(super) fn seal(&mut self) {
        if let Some(batch) = self.builder.take() {
            self.recent.extend(batch.first().index.previous(), batch);
        }
    }

    fn encode(
        &mut self,
        token: Option<Token>,
        header: EntryHeader,
        configuration: Option<&Configuration>,
    ) {
        if let Some(configuration) = configuration {
            let mut payload = Vec::new();
            configuration.encode(&mut payload);
            self.builder.push(header, &payload);
            if let Some(Asked::Change(number)) = token.map(Asked::of)
                && let Some(waiter) = self.changes.answered(number)
            {
                self.proposals.appended(header.id, waiter);
            }
            return;
        }
        let Some(token) = token else {
            self.builder.push(header, &[]);
            return;
        };
        let Asked::Proposal(number) = Asked::of(token) else {
            unreachable!("only proposals become entries with a payload")
        };
        let proposal = self.proposals.answered(number);
        self.builder.push(header, &proposal.payload);
        if let Some(waiter) = proposal.waiter {
            self.proposals.appended(header.id, waiter);
        }
    }

    fn refused(&mut self, token: Token, reason: Refusal) {
        match Asked::of(token) {
            Asked::Proposal(number) => {
                let proposal = self.proposals.answered(number);
                match proposal.waiter {
                    Some(waiter) => self.refuse(waiter.client, waiter.request, reason),
                    None => {
                        self.points.give_up(self.now);
                        self.watch.look_for_arrivals_later(self.now);
                    }
                }
            }
            Asked::Read(number) => {
                for ask in self.reads.refuse(number) {
                    self.refuse(ask.client, ask.request, reason);
                }
            }
            Asked::Transfer(_) => self.transfer_refused(token, reason),
            Asked::Change(number) => self.change_refused(number, reason),
        }
    }

    fn gather(&mut self, write: Write) {
        let Write { seq, hard_state, keep, span, reset } = write;
        let batches = span.map_or_else(Vec::new, |span| self.recent.slices(span).collect());
        let is_reset = reset.is_some();
        self.log.push(LogWrite { seq, hard_state, keep, is_reset, batches });
    }

    fn event(&mut self, event: Event) {
        if let Event::Role { role, .. } = &event {
            self.facts.role_changed(*role, self.now);
        }
        if matches!(event, Event::SnapshotLost(_)) {
            self.want_snapshot();
        }
        self.notice(Notice::Core(event));
    }

    /// What was proposed in a term that this node leads no more, and isn't committed, is
    /// undecided: another leader may yet commit it.
    pub(super) fn look_at_leadership(&mut self) {
        let leads = self.raft.leads();
        if leads == self.leads {
            return;
        }
        self.leads = leads;
        self.points.give_up(self.now);
        let waiters = self.snapshots.lost_leadership();
        self.refuse_snapshot(waiters);
        self.watch.look_for_arrivals();
        while let Some(waiter) = self.proposals.undecided(self.applying.committed(), leads) {
            self.unknown(
                waiter,
                "the node stopped leading before the write was committed; it \
                                  may or may not be carried out",
            );
        }
    }
}
