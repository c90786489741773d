//! What messages may say: rules between fields, and how entries are cut into frames.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::samples::{
    batch, encoded, founding_entry, frame_by_hand, log_id, message_bytes, read_one, status,
};
use crate::model::{
    Append, AppendReply, BatchBuilder, Body, EntryHeader, EntryKind, FoundingEntry, Index, LogId,
    LogTime, MAX_ENTRY_BYTES, Round, Term,
};
use crate::wire::*;

fn refusal(term: u64, body: &Body) -> String {
    let bytes = message_bytes(Term(term), body);
    read_one(Traffic::Peers, &bytes).unwrap_err().to_string()
}

fn append(prev: LogId, ids: &[(u64, u64)]) -> Body {
    Body::Append(Append { prev, commit: Index(0), batch: Some(batch(ids)) })
}

#[test]
fn entries_must_follow_the_entry_before_them() {
    assert_eq!(
        refusal(7, &append(log_id(6, 810), &[(6, 812)])),
        "frame at offset 0: append: entries from 42: entry at offset 0: 812@6 doesn't follow 810@6"
    );
    assert!(refusal(7, &append(log_id(6, 810), &[(5, 811)])).contains("811@5 doesn't follow"));
    assert!(refusal(7, &append(log_id(6, 810), &[(6, 810)])).contains("doesn't follow"));
}

#[test]
fn no_entry_is_newer_than_the_term_of_who_sends_it() {
    assert_eq!(
        refusal(7, &append(log_id(6, 810), &[(6, 811), (8, 812)])),
        "frame at offset 0: append: entry term at offset 99: 8 is above the bound of 7"
    );
    assert!(refusal(7, &append(log_id(8, 810), &[(8, 811)])).contains("previous term"));
    let vote = Body::Vote { last: log_id(8, 1), transfer: false };
    assert!(refusal(7, &vote).contains("last term at offset 18: 8 is above the bound of 7"));
    let hint = AppendReply::Conflict { rejected: Index(9), hint: log_id(8, 5) };
    assert!(refusal(7, &Body::AppendReply(hint)).contains("hint term"));
}

#[test]
fn nothing_is_durable_that_does_not_match() {
    let (matched, durable) = (Index(5), Index(6));
    let accepted = Body::AppendReply(AppendReply::Accepted { matched, durable });
    assert!(refusal(7, &accepted).contains("durable index at offset 27: 6 is above the bound"));
    let reply = Body::HeartbeatReply { round: Round(1), matched, durable };
    assert!(refusal(7, &reply).contains("durable index"));
}

#[test]
fn a_term_that_no_living_cluster_reaches_is_refused() {
    let refused = refusal(u64::MAX, &Body::TimeoutNow);
    assert!(refused.contains("term at offset 10: 18446744073709551615 is above"), "{refused}");
    let message = message_bytes(Term(MAX_COUNTER), &Body::TimeoutNow);
    assert!(read_one(Traffic::Peers, &message).is_ok());
}

#[test]
fn an_entry_that_was_changed_on_the_way_is_caught_by_its_own_checksum() {
    let mut bytes = message_bytes(Term(7), &append(log_id(6, 810), &[(6, 811)])).to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let error = read_one(Traffic::Peers, &bytes).unwrap_err();
    assert!(matches!(error, WireError::Entries { start: 42, .. }), "{error}");
    assert!(error.to_string().contains("entry at offset 0: checksum"), "{error}");
}

#[test]
fn only_the_first_entry_of_a_cluster_is_a_founding() {
    let refused = |bytes: &[u8]| {
        let error = read_one(Traffic::Peers, &frame_by_hand(0x10, bytes)).unwrap_err();
        assert!(error.to_string().starts_with("frame at offset 0: founding: entries from 10"));
        error.to_string()
    };
    let founding = founding_entry().batch().clone();
    assert!(FoundingEntry::new(founding.clone()).is_ok());
    assert!(refused(&batch(&[(0, 1)]).bytes()).contains("kind at offset 10: 3"));
    assert!(refused(&batch(&[(0, 2)]).bytes()).contains("2@0 doesn't follow"));
    assert!(refused(&batch(&[(1, 1)]).bytes()).contains("1@1 doesn't follow"));
    let two = [founding.bytes(), batch(&[(0, 2)]).bytes()].concat();
    assert!(refused(&two).contains("2@0"));

    let mut builder = BatchBuilder::default();
    let header = EntryHeader { kind: EntryKind::FOUNDING, id: log_id(0, 1), time: LogTime(0) };
    builder.push(header, &[0; 20]);
    let short = builder.take().unwrap();
    assert!(refused(&short.bytes()).contains("epoch at offset 52: needs 8 bytes, 4 are left"));
}

#[test]
fn a_status_with_more_than_it_holds_is_cut_and_still_read() {
    let mut long = status();
    long.peers = vec![long.peers[0]; 100];
    long.waits_for = vec![long.waits_for[0].clone(); 100];
    long.reasons = vec![long.reasons[0].clone(); 100];
    long.label = "x".repeat(1_000);
    let body = ReplyBody::Status(Box::new(long));
    let bytes = encoded(|out| Reply { id: 1, body }.encode(out));
    let Ok(Some(Incoming::Reply(Reply { body: ReplyBody::Status(read), .. }))) =
        read_one(Traffic::Replies, &bytes)
    else {
        panic!("not a status");
    };
    assert_eq!((read.peers.len(), read.waits_for.len(), read.reasons.len()), (64, 64, 16));
    assert_eq!(read.label.len(), 255);
}

#[test]
fn texts_have_no_control_characters_to_upset_logs_and_terminals() {
    let bytes = encoded(|out| encode_goodbye("two\nlines \u{1b}[2J\u{85}", out));
    let read = read_one(Traffic::Requests, &bytes);
    assert_eq!(read, Ok(Some(Incoming::Goodbye("two lines  [2J ".to_owned()))));

    let error = read_one(Traffic::Requests, &frame_by_hand(0x30, b"\x03\0a\nb")).unwrap_err();
    let expected = "frame at offset 0: goodbye: text at offset 13: 10 is not a value of this field";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_a_newer_version_adds_to_a_status_is_skipped() {
    let reply = Reply { id: 1, body: ReplyBody::Status(Box::new(status())) };
    let bytes = encoded(|out| reply.encode(out));
    let mut body = bytes[FRAME_HEADER_BYTES..].to_vec();
    body.extend([7, 0, 2, 0, 1, 2]);
    let read = read_one(Traffic::Replies, &frame_by_hand(bytes[8], &body));
    assert_eq!(read, Ok(Some(Incoming::Reply(reply))));
}

#[test]
fn the_largest_entry_fits_into_a_frame_alone() {
    let mut builder = BatchBuilder::default();
    for index in 1..=2 {
        let header =
            EntryHeader { kind: EntryKind::COMMAND, id: log_id(1, index), time: LogTime(0) };
        builder.push(header, &vec![7; MAX_ENTRY_BYTES - 36]);
    }
    let whole = builder.take().unwrap();
    let appends: Vec<Append> = split_append(LogId::ORIGIN, Index(0), whole).collect();
    assert_eq!(appends.len(), 2);
    for append in appends {
        let bytes = message_bytes(Term(1), &Body::Append(append.clone()));
        let read = read_one(Traffic::Peers, &bytes);
        let body = Body::Append(append);
        assert!(read == Ok(Some(Incoming::Message { term: Term(1), body })));
    }
}

#[test]
fn heads_that_are_split_off_share_their_memory() {
    let append = split_append(log_id(1, 4), Index(0), batch(&[(1, 5)])).next().unwrap();
    let mut heads = BytesMut::new();
    let mut made = Vec::new();
    for _ in 0..90 {
        encode_append_head(Term(1), &append, &mut heads);
        made.push(heads.split().freeze());
    }
    let adjoin = |pair: &&[Bytes]| pair[0].as_ptr_range().end == pair[1].as_ptr();
    assert!(made.windows(2).filter(adjoin).count() >= 88, "a head has memory of its own");
}

proptest! {
    #[test]
    fn a_split_keeps_every_entry_in_frames_of_bounded_length(
        lengths in prop::collection::vec(0..90_000_usize, 1..30),
    ) {
        let mut builder = BatchBuilder::default();
        for (position, length) in lengths.iter().enumerate() {
            let id = log_id(3, 41 + position as u64);
            let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(0) };
            builder.push(header, &vec![7; *length]);
        }
        let whole = builder.take().unwrap();
        let mut prev = log_id(2, 40);
        let mut joined = Vec::new();
        let appends: Vec<Append> = split_append(prev, Index(12), whole.clone()).collect();
        for append in &appends {
            let piece = append.batch.clone().unwrap();
            prop_assert_eq!(append.prev, prev);
            prop_assert_eq!(append.commit, Index(12));
            let length = message_bytes(Term(3), &Body::Append(append.clone())).len();
            prop_assert!(length <= MAX_BULK_FRAME_BYTES || piece.len() == 1, "{}", length);
            prev = piece.last();
            joined.extend_from_slice(&piece.bytes());
        }
        prop_assert_eq!(&joined[..], &whole.bytes()[..]);
        for pair in appends.windows(2) {
            let [first, second] = pair else { unreachable!() };
            let (first, second) = (first.batch.clone().unwrap(), second.batch.clone().unwrap());
            let together = first.bytes_len() + second.entry_bytes(0) + 42;
            prop_assert!(together > MAX_BULK_FRAME_BYTES, "a frame was left half empty");
        }
    }
}
