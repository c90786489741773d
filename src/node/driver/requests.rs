//! What clients ask, and how they are answered: done, refused, unknown.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::clients::Ask;
use super::proposals::{Proposal, Waiter};
use super::{Asked, ClientId, Driver};
use crate::kv::{Point, check_command};
use crate::model::{BatchBuilder, EntryKind, LogId, Time};
use crate::raft::{ChangeRefusal, Input, Refusal};
use crate::wire::{
    Consistency, LeaderHint, RefusalCode, Reply, ReplyBody, Request, RequestBody, encode_done,
    encode_refused, open_answer,
};

/// What a node grants clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of one value.
    pub max_value_bytes: u64,
    /// How long a request may wait that names no deadline.
    pub request_timeout: Duration,
}

/// The longest that a request may wait, whatever it says.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The most bytes of queries that aren't answered, beyond one query.
const QUERY_BYTES: usize = 64 << 20;

impl Driver {
    pub(super) fn request(&mut self, client: ClientId, request: Request) {
        self.clients.asks(client);
        let Request { id, timeout_ms, body } = request;
        let wait = match timeout_ms {
            0 => self.limits.request_timeout,
            given => Duration::from_millis(u64::from(given)).min(LONGEST_WAIT),
        };
        let deadline = self.now + wait;
        match body {
            RequestBody::Write(command) => self.write(client, id, deadline, command),
            RequestBody::Read { consistency, query } => {
                self.read(Ask { client, request: id, deadline, query }, consistency);
            }
            RequestBody::Status => {
                let status = Box::new(self.status());
                self.reply(client, Reply { id, body: ReplyBody::Status(status) });
            }
            RequestBody::Transfer(to) => self.transfer(client, id, to),
            RequestBody::Ping => self.reply(client, Reply { id, body: ReplyBody::Pong }),
            RequestBody::TakeSnapshot => {
                self.take_snapshot(Waiter { client, request: id, deadline });
            }
            RequestBody::Snapshots => self.tell_snapshots(client, id),
            RequestBody::ChangeMembers { expected, members } => {
                let waiter = Waiter { client, request: id, deadline };
                self.change_members(waiter, expected, members.seats().to_vec());
            }
            RequestBody::Log(question) => self.read_log_for(client, id, &question),
            RequestBody::SnapshotPiece { snapshot, offset } => {
                self.read_piece_for(client, id, snapshot, offset);
            }
        }
    }

    fn write(&mut self, client: ClientId, request: u64, deadline: Time, command: Bytes) {
        if let Err(rejected) = check_command(&command, self.limits.max_value_bytes) {
            let code = match rejected.is_too_large() {
                true => RefusalCode::TooLarge,
                false => RefusalCode::BadRequest,
            };
            return self.refuse_with(client, request, code, &rejected.to_string());
        }
        if self.stopping.is_stopping() {
            return self.refuse_stopping(client, request);
        }
        if self.leads.is_some() && self.log.is_full() {
            let text = "the leader's disk is full; nothing was written: free some space there";
            return self.refuse_with(client, request, RefusalCode::DiskFull, text);
        }
        let waiter = Some(Waiter { client, request, deadline });
        self.propose(EntryKind::COMMAND, Proposal { waiter, payload: command });
    }

    fn propose(&mut self, kind: EntryKind, proposal: Proposal) {
        let bytes = BatchBuilder::entry_bytes(&proposal.payload) as u64;
        let token = Asked::Proposal(self.proposals.ask(proposal)).token();
        self.core(Input::Propose { token, kind, bytes });
    }

    /// Proposes an entry at which all replicas compare their states.
    pub(super) fn propose_point(&mut self, point: Point) {
        let mut payload = BytesMut::new();
        point.encode(&mut payload);
        self.propose_own(EntryKind::POINT, payload);
    }

    /// Proposes an entry that nobody waits for.
    pub(super) fn propose_own(&mut self, kind: EntryKind, payload: BytesMut) {
        self.propose(kind, Proposal { waiter: None, payload: payload.freeze() });
    }

    fn read(&mut self, ask: Ask, consistency: Consistency) {
        let waiting = self.reads.bytes() + self.clients.parked_bytes();
        if waiting > 0 && waiting + ask.query.len() > QUERY_BYTES {
            return self.refuse(ask.client, ask.request, Refusal::Busy);
        }
        match consistency {
            Consistency::Stale => self.reads.push_answerable(ask),
            // A round to a quorum promises more than a lease does.
            Consistency::Linearizable | Consistency::Lease if self.stopping.is_stopping() => {
                self.refuse_stopping(ask.client, ask.request);
            }
            Consistency::Linearizable | Consistency::Lease => {
                if let Err(ask) = self.reads.ask(ask) {
                    self.refuse(ask.client, ask.request, Refusal::Busy);
                }
            }
        }
    }

    /// Answers a query from the state machine as it is; tells how many bytes the reply has.
    pub(super) fn answer(&mut self, ask: Ask) -> usize {
        let Some(ask) = self.clients.admit(ask) else { return 0 };
        let (machine, raft) = (&self.machine, &self.raft);
        // Not the index that the query waited for: the machine may have gone on since.
        let read_index = machine.applied().index;
        let mut length = 0;
        self.clients.reply(ask.client, |out| {
            let start = out.len();
            let (log_time, heard_ago) = (raft.log_time(), raft.leader_heard_ago());
            let frame = open_answer(ask.request, read_index, log_time, heard_ago, out);
            match machine.query(&ask.query, out) {
                Ok(()) => frame.seal(out),
                Err(error) => {
                    out.truncate(start);
                    let text = format!("the query can't be read: {error}");
                    encode_refused(ask.request, RefusalCode::BadRequest, None, &text, out);
                }
            }
            length = out.len() - start;
        });
        length
    }

    /// The write was carried out by the entry `at`; the answer is what the machine gave.
    pub(super) fn done(&mut self, waiter: Waiter, at: LogId) {
        let answer = &self.scratch;
        self.clients.reply(waiter.client, |out| encode_done(waiter.request, at, answer, out));
    }

    /// Nobody can say whether the write is or will be carried out.
    pub(super) fn unknown(&mut self, waiter: Waiter, text: &str) {
        let body = ReplyBody::Unknown { text: text.to_owned() };
        self.reply(waiter.client, Reply { id: waiter.request, body });
    }

    /// The request has no effect, now or later, for the core's reason.
    pub(super) fn refuse(&mut self, client: ClientId, request: u64, reason: Refusal) {
        let leader = self.leader_hint();
        let (code, text) = match (reason, &leader) {
            (Refusal::NotLeader(_), Some(leader)) => {
                (RefusalCode::NotLeader, format!("node {} leads", leader.id))
            }
            (Refusal::NotLeader(_), None) => {
                (RefusalCode::NoLeader, "the node knows of no leader".to_owned())
            }
            (Refusal::Change(reason), _) => (change_code(reason), reason.to_string()),
            (reason, _) => {
                let (code, text) = explain(reason);
                (code, text.to_owned())
            }
        };
        let leader = leader.as_ref();
        self.clients.reply(client, |out| encode_refused(request, code, leader, &text, out));
    }

    pub(super) fn refuse_with(
        &mut self,
        client: ClientId,
        request: u64,
        code: RefusalCode,
        text: &str,
    ) {
        self.clients.reply(client, |out| encode_refused(request, code, None, text, out));
    }

    pub(super) fn refuse_stopping(&mut self, client: ClientId, request: u64) {
        let text = "the node is shutting down";
        self.refuse_with(client, request, RefusalCode::Stopping, text);
    }

    pub(super) fn reply(&mut self, client: ClientId, reply: Reply) {
        self.clients.reply(client, |out| reply.encode(out));
    }

    /// Who leads, if it is another node, and where it is reached.
    fn leader_hint(&self) -> Option<LeaderHint> {
        let (term, leader) = self.raft.term_and_leader();
        let leader = leader.filter(|leader| *leader != self.about.me)?;
        let (_, configuration) = self.raft.configuration();
        let told = self.peers.address(leader.id);
        let address = told.or_else(|| configuration.seat(leader).map(|seat| seat.address.as_str()));
        let address = address.unwrap_or_default().to_owned();
        Some(LeaderHint { id: leader.id, term, address })
    }

    /// Answers those who have waited for as long as they wanted to.
    pub(super) fn expire(&mut self) {
        for waiter in self.proposals.expired(self.now) {
            self.unknown(waiter, "the write wasn't committed in time; it may still be");
        }
        for ask in self.reads.expired(self.now) {
            let text = "the read wasn't confirmed in time";
            self.refuse_with(ask.client, ask.request, RefusalCode::TimedOut, text);
        }
        for waiter in self.snapshots.expired(self.now) {
            let text = "the snapshot isn't finished yet; it will be all the same";
            self.refuse_with(waiter.client, waiter.request, RefusalCode::TimedOut, text);
        }
    }
}

fn explain(reason: Refusal) -> (RefusalCode, &'static str) {
    match reason {
        Refusal::NotLeader(_) => (RefusalCode::NotLeader, "another node leads"),
        Refusal::Busy => (
            RefusalCode::Busy,
            "the node has as much unfinished work as it may hold; try again in a moment",
        ),
        Refusal::Transferring => {
            (RefusalCode::Transferring, "leadership is being handed over; try again in a moment")
        }
        Refusal::LeadershipLost => {
            (RefusalCode::LeadershipLost, "the node stopped leading before the read was confirmed")
        }
        Refusal::NoTarget => (
            RefusalCode::NoTarget,
            "no other voter can take over: none has the whole log and is at hand",
        ),
        Refusal::TransferFailed => (
            RefusalCode::TransferFailed,
            "the other node didn't take over in time; this one goes on leading",
        ),
        Refusal::NotYet => (
            RefusalCode::NotYet,
            "another change of members, or the first entry of this term, isn't committed yet; try \
             again in a moment",
        ),
        Refusal::NoSeat => (RefusalCode::BadRequest, "there is no vacant seat of this number"),
        Refusal::Change(reason) => (change_code(reason), "the members can't be changed so"),
    }
}

const fn change_code(reason: ChangeRefusal) -> RefusalCode {
    match reason {
        ChangeRefusal::NotInTerm { .. } => RefusalCode::NotYet,
        ChangeRefusal::UnderWay { .. } => RefusalCode::ChangeUnderWay,
        ChangeRefusal::OtherInForce { .. } => RefusalCode::MembersChanged,
        ChangeRefusal::NoLiveQuorum { .. } => RefusalCode::NoLiveQuorum,
        ChangeRefusal::UsedBefore(_) => RefusalCode::UsedBefore,
        ChangeRefusal::NoVoters
        | ChangeRefusal::TwoSeats(_)
        | ChangeRefusal::SameAddress(..)
        | ChangeRefusal::BadAddress(_)
        | ChangeRefusal::NoIncarnation(_)
        | ChangeRefusal::NoGoal(_)
        | ChangeRefusal::TooManySeats { .. } => RefusalCode::BadMembers,
    }
}
