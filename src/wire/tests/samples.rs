//! One message of each sort, with a name under which docs/wire-protocol.md shows its bytes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::model::{
    Append, AppendReply, Batch, BatchBuilder, Body, Boot, ClusterId, Configuration, EntryHeader,
    EntryKind, Epoch, Founding, FoundingEntry, Incarnation, Index, LogId, LogTime, Member, NodeId,
    PeerLevel, Piece, PieceReply, Receipt, Round, Seat, SnapshotId, Standing, StartNumber, Term,
};
use crate::wire::*;

pub(super) const CLUSTER: ClusterId = ClusterId(0x6f1d_2c00_0000_0000_0000_0000_0000_0001);

pub(super) fn node(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

pub(super) fn member(number: u16) -> Member {
    Member { id: node(number), incarnation: Incarnation(0xa0 + u128::from(number)) }
}

pub(super) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

/// Entries with these names, each with the payload "x".
pub(super) fn batch(ids: &[(u64, u64)]) -> Batch {
    let mut builder = BatchBuilder::default();
    for &(term, index) in ids {
        let id = log_id(term, index);
        builder.push(EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(9) }, b"x");
    }
    builder.take().unwrap()
}

pub(super) fn founding_entry() -> FoundingEntry {
    let seat = Seat {
        id: node(1),
        incarnation: Some(member(1).incarnation),
        standing: Standing::Voter,
        address: "10.0.0.1:3111".to_owned(),
    };
    let founding = Founding {
        cluster: CLUSTER,
        epoch: Epoch(0),
        founder: node(1),
        name: "raft".to_owned(),
        configuration: Configuration::new(vec![seat]),
        settings: vec![1, 2, 3],
        restored: None,
    };
    FoundingEntry::make(founding, LogTime(1_000))
}

pub(super) fn party() -> Party {
    Party {
        protocol: VersionRange { lowest: 1, highest: 1 },
        features: VersionRange { lowest: 1, highest: 1 },
        cluster: Some(CLUSTER),
        epoch: Epoch(0),
        member: Some(member(1)),
        boot: Boot(4),
        start: StartNumber(0x1122_3344_5566_7788),
        term: Term(7),
        last: log_id(7, 812),
        nodes_hash: 0xfeed_beef,
        cluster_name: "raft".to_owned(),
        address: "10.0.0.1:3111".to_owned(),
        restores: None,
    }
}

pub(super) fn client() -> Party {
    Party {
        cluster: None,
        member: None,
        boot: Boot(0),
        start: StartNumber(0),
        term: Term(0),
        last: LogId::ORIGIN,
        nodes_hash: 0,
        cluster_name: String::new(),
        address: String::new(),
        ..party()
    }
}

pub(super) fn hellos() -> Vec<(&'static str, Hello)> {
    let to = Addressed { id: Some(node(2)), incarnation: Some(member(2).incarnation) };
    let proof = Authentication { method: 1, proof: b"secret".to_vec() };
    vec![
        (
            "hello of a peer",
            Hello { party: party(), to, purpose: Purpose::Peer, authentication: proof },
        ),
        (
            "hello of a client",
            Hello {
                party: client(),
                to: Addressed::default(),
                purpose: Purpose::Client,
                authentication: Authentication::default(),
            },
        ),
    ]
}

pub(super) fn answers() -> Vec<(&'static str, HelloAnswer)> {
    let answer = |to, purpose, verdict| HelloAnswer { party: party(), to, purpose, verdict };
    let peer = Addressed { id: Some(node(3)), incarnation: Some(member(3).incarnation) };
    let refused = Verdict::Refused {
        code: HelloRefusal::REMOVED,
        index: Index(700),
        text: "node 3 was removed".to_owned(),
    };
    let accepted = Verdict::Accepted { protocol: 1, feature_level: 1 };
    vec![
        ("answer that accepts", answer(Addressed::default(), Purpose::Client, accepted)),
        ("answer that refuses", answer(peer, Purpose::Peer, refused)),
    ]
}

fn snapshot() -> SnapshotId {
    SnapshotId { last: log_id(6, 700), bytes: 4_096, hash: 0xabcd }
}

pub(super) fn bodies() -> Vec<(&'static str, Body)> {
    let (matched, durable) = (Index(812), Index(810));
    let reply = Body::AppendReply;
    let append = |prev, batch| Body::Append(Append { prev, commit: Index(811), batch });
    let levels = vec![
        PeerLevel { member: member(1), matched: Index(812), boot: Boot(4) },
        PeerLevel { member: member(2), matched: Index(811), boot: Boot(2) },
    ];
    let snapshot = snapshot();
    vec![
        ("pre_vote", Body::PreVote { candidate_term: Term(8), last: log_id(7, 812) }),
        ("pre_vote_reply", Body::PreVoteReply { candidate_term: Term(8), granted: true }),
        ("vote", Body::Vote { last: log_id(7, 812), transfer: false }),
        ("vote_reply", Body::VoteReply { granted: true }),
        ("append", append(log_id(6, 810), Some(batch(&[(6, 811), (7, 812)])))),
        ("append without entries", append(log_id(7, 812), None)),
        ("append_reply accepted", reply(AppendReply::Accepted { matched, durable })),
        (
            "append_reply conflict",
            reply(AppendReply::Conflict { rejected: Index(810), hint: log_id(5, 799) }),
        ),
        ("append_reply busy", reply(AppendReply::Busy { matched, durable })),
        ("heartbeat", Body::Heartbeat { round: Round(31), commit: Index(811), levels }),
        ("heartbeat_reply", Body::HeartbeatReply { round: Round(31), matched, durable }),
        ("timeout_now", Body::TimeoutNow),
        ("piece", Body::Piece(Piece { snapshot, offset: 90, bytes: Bytes::from_static(b"state") })),
        ("piece_reply has", Body::PieceReply(PieceReply { snapshot, receipt: Receipt::Has(95) })),
        ("piece_reply done", Body::PieceReply(PieceReply { snapshot, receipt: Receipt::Done })),
    ]
}

pub(super) fn founding_replies() -> Vec<(&'static str, FoundingReply)> {
    let offer = founding_entry();
    let text = "the log holds more than a founding entry".to_owned();
    vec![
        ("founding_reply stored", FoundingReply::Stored { cluster: CLUSTER }),
        ("founding_reply prefers", FoundingReply::Prefers(offer)),
        ("founding_reply refused", FoundingReply::Refused { text }),
    ]
}

pub(super) fn requests() -> Vec<(&'static str, Request)> {
    let request = |body| Request { id: 1, timeout_ms: 5_000, body };
    let command = Bytes::from_static(b"\x01\x00\x06\0\0\0user:1\x03\0\0\0ann");
    let query = Bytes::from_static(b"\x01\x01\0\0\0\x06\0\0\0user:1");
    vec![
        ("request write", request(RequestBody::Write(command))),
        (
            "request read",
            request(RequestBody::Read { consistency: Consistency::Linearizable, query }),
        ),
        ("request status", request(RequestBody::Status)),
        ("request transfer", request(RequestBody::Transfer(Some(node(3))))),
        ("request ping", request(RequestBody::Ping)),
        ("request take_snapshot", request(RequestBody::TakeSnapshot)),
        ("request snapshots", request(RequestBody::Snapshots)),
        (
            "request snapshot_piece",
            request(RequestBody::SnapshotPiece { snapshot: snapshot(), offset: 90 }),
        ),
        (
            "request change_members",
            request(RequestBody::ChangeMembers { expected: Index(812), members: members() }),
        ),
        (
            "request log",
            request(RequestBody::Log(LogQuestion {
                behind: vec![log_id(7, 805), log_id(6, 700)],
                until: Some(log_id(7, 811)),
            })),
        ),
    ]
}

/// A voter and a learner.
pub(super) fn members() -> Configuration {
    let seat = |id, standing| Seat {
        id: node(id),
        incarnation: Some(member(id).incarnation),
        standing,
        address: format!("10.0.0.{id}:3111"),
    };
    Configuration::new(vec![seat(1, Standing::Voter), seat(4, Standing::Learner)])
}

pub(super) fn replies() -> Vec<(&'static str, Reply)> {
    let reply = |body| Reply { id: 1, body };
    let put = Bytes::from_static(b"\x01\x03\0\0\0\0\0\0\0");
    let answer = Bytes::from_static(b"\x20\x01\0\0\0\0");
    let leader = LeaderHint { id: node(2), term: Term(7), address: "10.0.0.2:3111".to_owned() };
    let refused = |code, leader, text: &str| ReplyBody::Refused { code, leader, text: text.into() };
    vec![
        ("reply done", reply(ReplyBody::Done { at: log_id(7, 812), answer: put })),
        (
            "reply answer",
            reply(ReplyBody::Answer {
                read_index: Index(900),
                log_time: LogTime(1_700_000_000_000_000_000),
                heard_ago: Some(Duration::from_millis(3)),
                answer,
            }),
        ),
        (
            "reply refused",
            reply(refused(RefusalCode::NotLeader, Some(leader), "node 2 leads in term 7")),
        ),
        ("reply refused without leader", reply(refused(RefusalCode::Busy, None, "busy"))),
        ("reply unknown", reply(ReplyBody::Unknown { text: "leadership was lost".to_owned() })),
        ("reply status", reply(ReplyBody::Status(Box::new(status())))),
        ("reply transferred", reply(ReplyBody::Transferred { leader: node(3), term: Term(8) })),
        ("reply pong", reply(ReplyBody::Pong)),
        (
            "reply snapshots",
            reply(ReplyBody::Snapshots(vec![KeptSnapshot {
                id: snapshot(),
                log_time: LogTime(1_700_000_000_000_000_000),
            }])),
        ),
        ("reply piece", reply(ReplyBody::Piece(Bytes::from_static(b"state")))),
        ("reply members", reply(ReplyBody::Members { index: Index(813) })),
        (
            "reply log",
            reply(ReplyBody::Log(LogPart {
                term: Term(7),
                leads: true,
                base: log_id(6, 700),
                last: log_id(7, 812),
                behind: Some(log_id(6, 810)),
                entries: batch(&[(6, 811)]).bytes(),
            })),
        ),
    ]
}

pub(super) fn status() -> StatusReply {
    let offer = founding_entry();
    let peer = PeerReport {
        member: member(2),
        connected: true,
        matched: Index(811),
        next: Index(813),
        inflight_bytes: 37,
        round_trip: Some(Duration::from_micros(180)),
        heard_ago: Some(Duration::from_millis(4)),
    };
    let awaited =
        Awaited { id: node(3), address: "10.0.0.3:3111".to_owned(), why: "no answer".to_owned() };
    let reason = HealthReason {
        code: "peer_down".to_owned(),
        node: Some(node(3)),
        message: "node 3 isn't heard".to_owned(),
    };
    StatusReply {
        node: member(1),
        label: "A".to_owned(),
        address: "10.0.0.1:3111".to_owned(),
        version: "0.1.0".to_owned(),
        boot: Boot(4),
        uptime: Duration::from_secs(86_400),
        cluster_name: "raft".to_owned(),
        cluster: Some(CLUSTER),
        epoch: Epoch(0),
        role: StatusRole::Leader,
        role_for: Duration::from_secs(3_600),
        term: Term(7),
        leader: Some(node(1)),
        heard_ago: Some(Duration::ZERO),
        voter: true,
        first: Index(1),
        last: Index(812),
        durable: Index(812),
        commit: Index(811),
        applied: Index(811),
        applied_time: LogTime(1_700_000_000_000_000_000),
        log_time: LogTime(1_700_000_000_500_000_000),
        snapshot: Index(0),
        snapshot_time: LogTime(0),
        log_bytes: 33_554_432,
        segments: 1,
        writes: 40,
        storage: StorageKind::Synced,
        disk_ok: true,
        sync_p99: Some(Duration::from_micros(450)),
        feature_level: 1,
        state_hash: 0x0123_4567_89ab_cdef,
        state_hash_index: Index(800),
        keys: 60_000,
        state_bytes: 71_000_000,
        clients: 12,
        configuration_index: Index(1),
        configuration: offer.founding().configuration.clone(),
        peers: vec![peer],
        waits_for: vec![awaited],
        reasons: vec![reason],
    }
}

/// A frame of each sort: name, who may receive it, bytes, what they say.
pub(super) fn frames() -> Vec<(&'static str, Traffic, Bytes, Incoming)> {
    let mut frames = Vec::new();
    for (name, body) in bodies() {
        let bytes = message_bytes(Term(7), &body);
        frames.push((name, Traffic::Peers, bytes, Incoming::Message { term: Term(7), body }));
    }
    let (index, hash) = (Index(800), 0x0123_4567_89ab_cdef);
    let bytes = encoded(|out| encode_point_report(index, hash, out));
    frames.push(("point_report", Traffic::Peers, bytes, Incoming::PointReport { index, hash }));
    let offer = founding_entry();
    let bytes = encoded(|out| encode_founding(&offer, out));
    frames.push(("founding", Traffic::Peers, bytes, Incoming::Founding(offer)));
    for (name, reply) in founding_replies() {
        let bytes = encoded(|out| reply.encode(out));
        frames.push((name, Traffic::Peers, bytes, Incoming::FoundingReply(reply)));
    }
    for (name, request) in requests() {
        let bytes = encoded(|out| request.encode(out));
        frames.push((name, Traffic::Requests, bytes, Incoming::Request(request)));
    }
    for (name, reply) in replies() {
        let bytes = encoded(|out| reply.encode(out));
        frames.push((name, Traffic::Replies, bytes, Incoming::Reply(reply)));
    }
    let bytes = encoded(|out| encode_goodbye("frame at offset 312: ...", out));
    let text = "frame at offset 312: ...".to_owned();
    frames.push(("goodbye", Traffic::Peers, bytes, Incoming::Goodbye(text)));
    frames
}

/// The whole frame of a message, entries included.
pub(super) fn message_bytes(term: Term, body: &Body) -> Bytes {
    encoded(|out| {
        encode_message(term, body, out);
        if let Body::Append(Append { batch: Some(batch), .. }) = body {
            out.extend_from_slice(&batch.bytes());
        }
    })
}

pub(super) fn encoded(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out);
    out.freeze()
}

/// What a decoded frame is encoded as.
pub(super) fn encode_again(incoming: &Incoming) -> Bytes {
    match incoming {
        Incoming::Message { term, body } => message_bytes(*term, body),
        Incoming::PointReport { index, hash } => {
            encoded(|out| encode_point_report(*index, *hash, out))
        }
        Incoming::Founding(offer) => encoded(|out| encode_founding(offer, out)),
        Incoming::FoundingReply(reply) => encoded(|out| reply.encode(out)),
        Incoming::Request(request) => encoded(|out| request.encode(out)),
        Incoming::Reply(reply) => encoded(|out| reply.encode(out)),
        Incoming::Goodbye(text) => encoded(|out| encode_goodbye(text, out)),
    }
}

/// A frame of this kind and body, made as the page says and not by the code under test.
pub(super) fn frame_by_hand(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = (10 + body.len() as u32).to_le_bytes().to_vec();
    let covered = if kind == 5 { body.len().min(32) } else { body.len() };
    let mut summed = frame.clone();
    summed.extend([kind, 0]);
    summed.extend(&body[..covered]);
    frame.extend(crc32fast::hash(&summed).to_le_bytes());
    frame.extend([kind, 0]);
    frame.extend(body);
    frame
}

/// Reads the only frame of `stream` and decodes it. `Ok(None)`: it isn't there as a whole.
pub(super) fn read_one(traffic: Traffic, stream: &[u8]) -> Result<Option<Incoming>, WireError> {
    let mut reader = FrameReader::behind_greeting(traffic);
    reader.fill(&mut &stream[..], usize::MAX).unwrap();
    match reader.frame()? {
        Some(frame) => frame.decode().map(Some),
        None => Ok(None),
    }
}
