//! Whatever is written reads back as it was.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::samples::{
    answers, batch, encode_again, encoded, founding_entry, founding_replies, frames, hellos,
    log_id, read_one, status,
};
use crate::model::{
    Append, AppendReply, Body, Boot, ClusterId, Epoch, Incarnation, Index, LogId, LogTime, Member,
    NodeId, PeerLevel, Piece, PieceReply, Receipt, Round, SnapshotId, StartNumber, Term,
};
use crate::wire::*;

#[test]
fn every_sort_of_frame_reads_back_as_it_was_written() {
    for (name, traffic, bytes, incoming) in frames() {
        assert_eq!(read_one(traffic, &bytes), Ok(Some(incoming)), "{name}");
    }
    for (name, hello) in hellos() {
        let mut reader = FrameReader::accepting();
        reader.fill(&mut &encoded(|out| hello.encode(out))[..], usize::MAX).unwrap();
        assert_eq!(reader.hello(), Ok(Some(hello)), "{name}");
    }
    for (name, answer) in answers() {
        let mut reader = FrameReader::calling(answer.purpose);
        reader.fill(&mut &encoded(|out| answer.encode(out))[..], usize::MAX).unwrap();
        assert_eq!(reader.answer(), Ok(Some(answer)), "{name}");
    }
}

fn counter() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..=MAX_COUNTER]
}

fn index() -> impl Strategy<Value = Index> {
    counter().prop_map(Index)
}

fn node() -> impl Strategy<Value = NodeId> {
    (1..=u16::MAX).prop_map(|number| NodeId::new(number).unwrap())
}

fn member() -> impl Strategy<Value = Member> {
    (node(), 1..=u128::MAX)
        .prop_map(|(id, incarnation)| Member { id, incarnation: Incarnation(incarnation) })
}

/// A term, and the name of an entry that isn't above it.
fn term_and_id() -> impl Strategy<Value = (Term, LogId)> {
    (counter(), counter(), counter()).prop_map(|(one, other, index)| {
        (Term(one.max(other)), LogId::new(Term(one.min(other)), Index(index)))
    })
}

/// A level and how much of it is durable.
fn levels() -> impl Strategy<Value = (Index, Index)> {
    (counter(), counter()).prop_map(|(one, other)| (Index(one.max(other)), Index(one.min(other))))
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,40}"
}

fn maybe_duration() -> impl Strategy<Value = Option<Duration>> {
    prop::option::of(any::<u64>().prop_map(Duration::from_nanos))
}

fn opaque() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn peer_level() -> impl Strategy<Value = PeerLevel> {
    (member(), index(), counter()).prop_map(|(member, matched, boot)| PeerLevel {
        member,
        matched,
        boot: Boot(boot),
    })
}

fn append_reply(last: LogId) -> impl Strategy<Value = AppendReply> {
    prop_oneof![
        levels().prop_map(|(matched, durable)| AppendReply::Accepted { matched, durable }),
        levels().prop_map(|(matched, durable)| AppendReply::Busy { matched, durable }),
        index().prop_map(move |rejected| AppendReply::Conflict { rejected, hint: last }),
    ]
}

fn append_of(prev: LogId, entries: usize) -> Append {
    let ids: Vec<(u64, u64)> =
        (1..=entries as u64).map(|after| (prev.term.0, prev.index.0 + after)).collect();
    let batch = (entries > 0).then(|| batch(&ids));
    Append { prev, commit: Index(prev.index.0 / 2), batch }
}

/// A snapshot that has at least so many bytes.
fn snapshot(last: LogId, least: u64) -> impl Strategy<Value = SnapshotId> {
    (least..=MAX_COUNTER, any::<u128>()).prop_map(move |(bytes, hash)| SnapshotId {
        last,
        bytes,
        hash,
    })
}

fn kept_snapshot() -> impl Strategy<Value = KeptSnapshot> {
    (term_and_id(), any::<u64>()).prop_flat_map(|((_, last), time)| {
        snapshot(last, 0).prop_map(move |id| KeptSnapshot { id, log_time: LogTime(time) })
    })
}

fn piece(last: LogId) -> impl Strategy<Value = Piece> {
    (opaque(), any::<u32>()).prop_flat_map(move |(bytes, offset)| {
        let offset = u64::from(offset);
        snapshot(last, offset + bytes.len() as u64).prop_map(move |snapshot| Piece {
            snapshot,
            offset,
            bytes: bytes.clone(),
        })
    })
}

fn piece_reply(last: LogId) -> impl Strategy<Value = PieceReply> {
    prop_oneof![
        any::<u32>().prop_flat_map(move |has| {
            let has = u64::from(has);
            snapshot(last, has)
                .prop_map(move |snapshot| PieceReply { snapshot, receipt: Receipt::Has(has) })
        }),
        snapshot(last, 0).prop_map(|snapshot| PieceReply { snapshot, receipt: Receipt::Done }),
    ]
}

fn message() -> impl Strategy<Value = (Term, Body)> {
    term_and_id().prop_flat_map(|(term, last)| {
        let heartbeat = (counter(), index(), prop::collection::vec(peer_level(), 0..=64));
        let body = prop_oneof![
            counter().prop_map(move |t| Body::PreVote { candidate_term: Term(t), last }),
            (counter(), any::<bool>())
                .prop_map(|(t, granted)| Body::PreVoteReply { candidate_term: Term(t), granted }),
            any::<bool>().prop_map(move |transfer| Body::Vote { last, transfer }),
            any::<bool>().prop_map(|granted| Body::VoteReply { granted }),
            (0..20_usize).prop_map(move |entries| Body::Append(append_of(last, entries))),
            append_reply(last).prop_map(Body::AppendReply),
            heartbeat.prop_map(|(round, commit, levels)| Body::Heartbeat {
                round: Round(round),
                commit,
                levels
            }),
            (counter(), levels()).prop_map(|(round, (matched, durable))| Body::HeartbeatReply {
                round: Round(round),
                matched,
                durable
            }),
            Just(Body::TimeoutNow),
            piece(last).prop_map(Body::Piece),
            piece_reply(last).prop_map(Body::PieceReply),
        ];
        (Just(term), body)
    })
}

fn id() -> impl Strategy<Value = LogId> {
    (counter(), counter()).prop_map(|(term, index)| log_id(term, index))
}

fn request() -> impl Strategy<Value = Request> {
    let consistency = prop::sample::select(
        &[Consistency::Linearizable, Consistency::Lease, Consistency::Stale][..],
    );
    let body = prop_oneof![
        opaque().prop_map(RequestBody::Write),
        (consistency, opaque())
            .prop_map(|(consistency, query)| RequestBody::Read { consistency, query }),
        Just(RequestBody::Status),
        prop::option::of(node()).prop_map(RequestBody::Transfer),
        Just(RequestBody::Ping),
        Just(RequestBody::TakeSnapshot),
        Just(RequestBody::Snapshots),
        (prop::collection::vec(id(), 0..=128), prop::option::of(id()))
            .prop_map(|(behind, until)| RequestBody::Log(LogQuestion { behind, until })),
        index().prop_map(|expected| RequestBody::ChangeMembers {
            expected,
            members: super::samples::members()
        }),
        (any::<u32>(), term_and_id()).prop_flat_map(|(offset, (_, last))| snapshot(
            last,
            u64::from(offset) + 1
        )
        .prop_map(move |snapshot| RequestBody::SnapshotPiece {
            snapshot,
            offset: u64::from(offset)
        })),
    ];
    (any::<u64>(), any::<u32>(), body).prop_map(|(id, timeout_ms, body)| Request {
        id,
        timeout_ms,
        body,
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let hint = (node(), counter(), text()).prop_map(|(id, term, address)| LeaderHint {
        id,
        term: Term(term),
        address,
    });
    let code = prop::sample::select(RefusalCode::ALL);
    let body = prop_oneof![
        (counter(), counter(), opaque())
            .prop_map(|(t, i, answer)| ReplyBody::Done { at: log_id(t, i), answer }),
        (index(), any::<u64>(), maybe_duration(), opaque()).prop_map(
            |(read_index, time, heard_ago, answer)| ReplyBody::Answer {
                read_index,
                log_time: LogTime(time),
                heard_ago,
                answer
            }
        ),
        (code, prop::option::of(hint), text())
            .prop_map(|(code, leader, text)| ReplyBody::Refused { code, leader, text }),
        text().prop_map(|text| ReplyBody::Unknown { text }),
        status_reply().prop_map(|status| ReplyBody::Status(Box::new(status))),
        (node(), counter())
            .prop_map(|(leader, term)| ReplyBody::Transferred { leader, term: Term(term) }),
        Just(ReplyBody::Pong),
        (counter(), any::<bool>(), id(), id(), prop::option::of(id()), opaque()).prop_map(
            |(term, leads, base, last, behind, entries)| ReplyBody::Log(LogPart {
                term: Term(term),
                leads,
                base,
                last,
                behind,
                entries
            })
        ),
        index().prop_map(|index| ReplyBody::Members { index }),
        prop::collection::vec(kept_snapshot(), 0..=64).prop_map(ReplyBody::Snapshots),
        opaque().prop_map(ReplyBody::Piece),
        prop::collection::vec(kept_snapshot(), 0..=64).prop_map(ReplyBody::Snapshots),
        opaque().prop_map(ReplyBody::Piece),
    ];
    (any::<u64>(), body).prop_map(|(id, body)| Reply { id, body })
}

fn peer_report() -> impl Strategy<Value = PeerReport> {
    let durations = (maybe_duration(), maybe_duration());
    (member(), any::<bool>(), levels(), any::<u64>(), durations).prop_map(
        |(member, connected, (next, matched), inflight_bytes, (round_trip, heard_ago))| {
            PeerReport { member, connected, matched, next, inflight_bytes, round_trip, heard_ago }
        },
    )
}

fn status_reply() -> impl Strategy<Value = StatusReply> {
    let role = prop::sample::select(
        &[
            StatusRole::Forming,
            StatusRole::Follower,
            StatusRole::PreCandidate,
            StatusRole::Candidate,
            StatusRole::Leader,
            StatusRole::Learner,
        ][..],
    );
    let storage = prop::sample::select(
        &[StorageKind::Synced, StorageKind::Unsynced, StorageKind::Memory][..],
    );
    let identity = (member(), text(), text(), prop::option::of(1..=u128::MAX));
    let awaited =
        (node(), text(), text()).prop_map(|(id, address, why)| Awaited { id, address, why });
    let reason = (text(), prop::option::of(node()), text())
        .prop_map(|(code, node, message)| HealthReason { code, node, message });
    let lists = (
        prop::collection::vec(peer_report(), 0..5),
        prop::collection::vec(awaited, 0..5),
        prop::collection::vec(reason, 0..5),
    );
    let numbers = (levels(), any::<u64>(), any::<u128>(), maybe_duration(), maybe_duration());
    let flags = (any::<bool>(), any::<bool>(), prop::option::of(node()));
    (identity, role, storage, lists, numbers, flags).prop_map(
        |(identity, role, storage, lists, numbers, (voter, disk_ok, leader))| {
            let (node, label, address, cluster) = identity;
            let (peers, waits_for, reasons) = lists;
            let ((last, applied), log_bytes, state_hash, sync_p99, heard_ago) = numbers;
            let cluster = cluster.map(ClusterId);
            StatusReply {
                node,
                label,
                address,
                cluster,
                role,
                storage,
                peers,
                waits_for,
                reasons,
                last,
                applied,
                log_bytes,
                state_hash,
                sync_p99,
                heard_ago,
                voter,
                disk_ok,
                leader,
                ..status()
            }
        },
    )
}

fn party() -> impl Strategy<Value = Party> {
    let range = (any::<u32>(), any::<u32>())
        .prop_map(|(one, other)| VersionRange { lowest: one.min(other), highest: one.max(other) });
    let place = (prop::option::of(1..=u128::MAX), counter(), text(), text());
    let restores = prop::option::of(snapshot(LogId::new(Term(3), Index(5)), 0));
    let durable = (counter(), any::<u64>(), term_and_id(), restores);
    (range.clone(), range, place, prop::option::of(member()), durable, any::<u64>()).prop_map(
        |(protocol, features, (cluster, epoch, cluster_name, address), member, durable, hash)| {
            let (boot, start, (term, last), restores) = durable;
            Party {
                protocol,
                features,
                cluster: cluster.map(ClusterId),
                epoch: Epoch(epoch),
                member,
                boot: Boot(boot),
                start: StartNumber(start),
                term,
                last,
                nodes_hash: hash,
                cluster_name,
                address,
                restores,
            }
        },
    )
}

fn addressed() -> impl Strategy<Value = Addressed> {
    prop_oneof![
        Just(Addressed::default()),
        node().prop_map(|id| Addressed { id: Some(id), incarnation: None }),
        member().prop_map(|to| Addressed { id: Some(to.id), incarnation: Some(to.incarnation) }),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        (any::<u32>(), any::<u32>())
            .prop_map(|(protocol, feature_level)| Verdict::Accepted { protocol, feature_level }),
        (1..=u16::MAX, index(), text()).prop_map(|(code, index, text)| Verdict::Refused {
            code: HelloRefusal(code),
            index,
            text
        }),
    ]
}

fn purpose(number: u8) -> Purpose {
    match number {
        1 => Purpose::Peer,
        2 => Purpose::Client,
        other => Purpose::Unknown(other),
    }
}

fn check(traffic: Traffic, incoming: Incoming) {
    let bytes = encode_again(&incoming);
    assert_eq!(read_one(traffic, &bytes), Ok(Some(incoming)));
}

proptest! {
    #[test]
    fn messages_of_members_read_back((term, body) in message()) {
        check(Traffic::Peers, Incoming::Message { term, body });
    }

    #[test]
    fn requests_read_back(request in request()) {
        check(Traffic::Requests, Incoming::Request(request));
    }

    #[test]
    fn replies_read_back(reply in reply()) {
        check(Traffic::Replies, Incoming::Reply(reply));
    }

    #[test]
    fn goodbyes_read_back(text in text()) {
        check(Traffic::Requests, Incoming::Goodbye(text));
    }

    #[test]
    fn hellos_read_back(
        party in party(),
        to in addressed(),
        number in 2..=u8::MAX,
        method in any::<u8>(),
        proof in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let number = if party.member.is_some() { number - 1 } else { number };
        let authentication = Authentication { method, proof };
        let hello = Hello { party, to, purpose: purpose(number), authentication };
        let mut reader = FrameReader::accepting();
        reader.fill(&mut &encoded(|out| hello.encode(out))[..], usize::MAX).unwrap();
        prop_assert_eq!(reader.hello(), Ok(Some(hello)));
    }

    #[test]
    fn answers_read_back(party in party(), to in addressed(), verdict in verdict()) {
        let answer = HelloAnswer { party, to, purpose: Purpose::Peer, verdict };
        let mut reader = FrameReader::calling(Purpose::Peer);
        reader.fill(&mut &encoded(|out| answer.encode(out))[..], usize::MAX).unwrap();
        prop_assert_eq!(reader.answer(), Ok(Some(answer)));
    }
}

#[test]
fn foundings_and_their_answers_read_back() {
    check(Traffic::Peers, Incoming::Founding(founding_entry()));
    for (_, reply) in founding_replies() {
        check(Traffic::Peers, Incoming::FoundingReply(reply));
    }
}

#[test]
fn one_buffer_takes_many_frames_and_nothing_of_another_is_touched() {
    let together = encoded(|out| {
        for (_, _, bytes, incoming) in frames() {
            let before = out.len();
            match &incoming {
                Incoming::Request(request) => request.encode(out),
                Incoming::Reply(reply) => reply.encode(out),
                _ => out.extend_from_slice(&bytes),
            }
            assert_eq!(out[before..], bytes[..]);
        }
    });
    let apart: Vec<u8> = frames().iter().flat_map(|(_, _, bytes, _)| bytes.to_vec()).collect();
    assert_eq!(together[..], apart[..]);
}
