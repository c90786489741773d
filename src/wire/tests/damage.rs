//! Bytes that were cut, changed or made up: always a clear error, never a panic.

use proptest::prelude::*;

use super::samples::{answers, encode_again, encoded, frame_by_hand, frames, hellos, read_one};
use crate::wire::*;

const TRAFFICS: [Traffic; 4] =
    [Traffic::Nothing, Traffic::Peers, Traffic::Requests, Traffic::Replies];

#[test]
fn every_cut_of_the_stream_waits_for_the_rest_and_is_an_error_at_the_end() {
    for (name, traffic, bytes, _) in frames() {
        for length in 1..bytes.len() {
            let mut reader = FrameReader::behind_greeting(traffic);
            reader.fill(&mut &bytes[..length], usize::MAX).unwrap();
            assert_eq!(reader.frame(), Ok(None), "{name} cut at {length}");
            assert!(matches!(reader.at_end(), Err(WireError::Cut { .. })), "{name}");
        }
    }
}

/// The frames whose last field may have any length.
const OPEN_ENDED: [&str; 7] = [
    "piece",
    "request write",
    "request read",
    "reply done",
    "reply answer",
    "reply piece",
    "reply log",
];

#[test]
fn every_message_cut_inside_a_sound_frame_is_refused() {
    for (name, traffic, bytes, incoming) in frames() {
        let body = &bytes[FRAME_HEADER_BYTES..];
        for length in 0..body.len() {
            match read_one(traffic, &frame_by_hand(bytes[8], &body[..length])) {
                Err(_) => {}
                Ok(read) => {
                    // Whole entries may be left out, and the opaque bytes may be shorter.
                    let shorter = name == "append" || OPEN_ENDED.contains(&name);
                    assert!(shorter, "{name} cut at {length}: {read:?}");
                    assert_ne!(read, Some(incoming.clone()));
                }
            }
        }
    }
}

#[test]
fn bytes_behind_the_last_field_are_refused() {
    for (name, traffic, bytes, _) in frames() {
        let mut body = bytes[FRAME_HEADER_BYTES..].to_vec();
        body.push(0);
        let read = read_one(traffic, &frame_by_hand(bytes[8], &body));
        assert_eq!(read.is_ok(), OPEN_ENDED.contains(&name), "{name}: {read:?}");
    }
}

#[test]
fn every_flipped_bit_of_a_frame_is_noticed() {
    for (name, traffic, bytes, _) in frames() {
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if bit < 32 {
                // A length that grew must not reach into what follows unnoticed.
                damaged.resize(bytes.len() + 70_000, 0);
            }
            let read = read_one(traffic, &damaged);
            assert!(matches!(read, Err(_) | Ok(None)), "{name}, bit {bit}: {read:?}");
        }
    }
}

#[test]
fn every_flipped_bit_and_every_cut_of_a_hello_is_noticed() {
    for (name, hello) in hellos() {
        let bytes = encoded(|out| hello.encode(out));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            damaged.resize(MAX_HELLO_BYTES, 0);
            let mut reader = FrameReader::accepting();
            reader.fill(&mut &damaged[..], usize::MAX).unwrap();
            assert!(reader.hello().is_err(), "{name}, bit {bit}");
        }
        for length in 1..bytes.len() {
            let mut reader = FrameReader::accepting();
            reader.fill(&mut &bytes[..length], usize::MAX).unwrap();
            assert_eq!(reader.hello(), Ok(None), "{name} cut at {length}");
            assert!(matches!(reader.at_end(), Err(WireError::Cut { .. })));
        }
    }
}

#[test]
fn every_flipped_bit_of_an_answer_is_noticed() {
    for (name, answer) in answers() {
        let bytes = encoded(|out| answer.encode(out));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            damaged.resize(MAX_HELLO_BYTES, 0);
            let mut reader = FrameReader::calling(Purpose::Client);
            reader.fill(&mut &damaged[..], usize::MAX).unwrap();
            assert!(reader.answer().is_err(), "{name}, bit {bit}");
        }
    }
}

/// Decodes what a body says if it says anything, and demands that it has no other encoding.
fn decode_and_compare(traffic: Traffic, kind: u8, body: &[u8]) {
    let frame = frame_by_hand(kind, body);
    let Ok(Some(incoming)) = read_one(traffic, &frame) else { return };
    let with_tags = matches!(&incoming, Incoming::Reply(Reply { body: ReplyBody::Status(_), .. }));
    if !with_tags {
        assert_eq!(encode_again(&incoming)[..], frame[..], "{incoming:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for traffic in TRAFFICS {
            let _ = read_one(traffic, &bytes);
        }
        let mut reader = FrameReader::accepting();
        reader.fill(&mut &bytes[..], usize::MAX).unwrap();
        let _ = (reader.hello(), reader.at_end());
        let mut reader = FrameReader::calling(Purpose::Client);
        reader.fill(&mut &bytes[..], usize::MAX).unwrap();
        let _ = (reader.answer(), reader.at_end());
    }

    #[test]
    fn random_bodies_in_sound_frames_never_panic(
        kind in prop::sample::select(Kind::ALL),
        body in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        for traffic in TRAFFICS {
            decode_and_compare(traffic, kind as u8, &body);
        }
    }

    #[test]
    fn changed_messages_in_sound_frames_are_refused_or_have_one_encoding(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let frames = frames();
        let (_, traffic, bytes, _) = &frames[which.index(frames.len())];
        let mut body = bytes[FRAME_HEADER_BYTES..].to_vec();
        if !body.is_empty() {
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        decode_and_compare(*traffic, bytes[8], &body);
    }
}
