//! How the reader deals with what a socket gives it.

use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::Bytes;
use proptest::prelude::*;

use super::samples::{encoded, frame_by_hand, frames, hellos};
use crate::wire::*;

/// Gives the bytes in pieces of these lengths, then would block; notes the room it was offered.
struct Socket {
    bytes: Bytes,
    pieces: VecDeque<usize>,
    most_room: usize,
}

impl Socket {
    fn new(bytes: Bytes, pieces: impl IntoIterator<Item = usize>) -> Socket {
        Socket { bytes, pieces: pieces.into_iter().collect(), most_room: 0 }
    }
}

impl Read for Socket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.most_room = self.most_room.max(room.len());
        if self.bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let piece = self.pieces.pop_front().unwrap_or(usize::MAX);
        let count = piece.min(room.len()).min(self.bytes.len());
        room[..count].copy_from_slice(&self.bytes.split_to(count));
        Ok(count)
    }
}

fn all_for(traffic: Traffic) -> (Bytes, Vec<Incoming>) {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for (_, to, bytes, incoming) in frames() {
        if to == traffic {
            stream.extend(bytes);
            expected.push(incoming);
        }
    }
    (stream.into(), expected)
}

fn take_all(reader: &mut FrameReader) -> Vec<Incoming> {
    let mut taken = Vec::new();
    while let Some(frame) = reader.frame().unwrap() {
        taken.push(frame.decode().unwrap());
    }
    taken
}

const TRAFFICS: [Traffic; 3] = [Traffic::Peers, Traffic::Requests, Traffic::Replies];

#[test]
fn frames_that_come_one_byte_at_a_time_are_all_read() {
    for traffic in TRAFFICS {
        let (stream, expected) = all_for(traffic);
        let mut socket = Socket::new(stream.clone(), vec![1; stream.len()]);
        let mut reader = FrameReader::behind_greeting(traffic);
        let mut taken = Vec::new();
        while reader.fill(&mut socket, 1).unwrap().bytes == 1 {
            taken.extend(take_all(&mut reader));
        }
        assert_eq!(taken, expected);
        reader.at_end().unwrap();
    }
}

proptest! {
    #[test]
    fn frames_are_read_however_the_stream_is_cut(
        pieces in prop::collection::vec(1..400_usize, 0..50),
        budget in 1..5_000_usize,
    ) {
        for traffic in TRAFFICS {
            let (stream, expected) = all_for(traffic);
            let mut socket = Socket::new(stream, pieces.clone());
            let mut reader = FrameReader::behind_greeting(traffic);
            let mut taken = Vec::new();
            loop {
                let filled = reader.fill(&mut socket, budget).unwrap();
                prop_assert!(filled.bytes <= budget);
                taken.extend(take_all(&mut reader));
                if filled.end == FillEnd::Blocked {
                    break;
                }
            }
            prop_assert_eq!(taken, expected);
        }
    }
}

#[test]
fn frames_right_behind_the_hello_are_read() {
    let (_, hello) = hellos().remove(1);
    let (requests, expected) = all_for(Traffic::Requests);
    let stream = encoded(|out| {
        hello.encode(out);
        out.extend_from_slice(&requests);
    });
    let mut reader = FrameReader::accepting();
    assert_eq!(reader.hello().unwrap(), None);
    reader.fill(&mut Socket::new(stream, []), 1 << 20).unwrap();
    assert_eq!(reader.hello().unwrap(), Some(hello));
    assert_eq!(take_all(&mut reader), expected);
}

#[test]
fn the_offset_of_a_frame_counts_from_the_start_of_the_connection() {
    let (_, hello) = hellos().remove(1);
    let stream = encoded(|out| {
        hello.encode(out);
        Request { id: 1, timeout_ms: 0, body: RequestBody::Ping }.encode(out);
        encode_goodbye("done", out);
    });
    let mut reader = FrameReader::accepting();
    reader.fill(&mut Socket::new(stream.clone(), []), 1 << 20).unwrap();
    reader.hello().unwrap().unwrap();
    let ping = reader.frame().unwrap().unwrap();
    assert_eq!(ping.offset(), encoded(|out| hello.encode(out)).len() as u64);
    let goodbye = reader.frame().unwrap().unwrap();
    assert_eq!(goodbye.offset(), (stream.len() - 16) as u64);
}

#[test]
fn a_length_alone_makes_no_room_for_its_frame() {
    for traffic in TRAFFICS {
        for kind in Kind::ALL.iter().filter(|kind| traffic.allows(**kind)) {
            let (_, most) = kind.bounds();
            let mut header = (most as u32).to_le_bytes().to_vec();
            header.extend([0, 0, 0, 0, *kind as u8, 0]);
            let mut socket = Socket::new(header.into(), []);
            let mut reader = FrameReader::behind_greeting(traffic);
            reader.fill(&mut socket, 1 << 20).unwrap();
            assert!(reader.frame().unwrap().is_none());
            assert!(socket.most_room <= 8 << 10, "{kind}: {}", socket.most_room);
        }
    }
}

#[test]
fn room_for_a_long_frame_grows_with_what_has_come_of_it() {
    let (stream, request) = long_request(5 << 20);
    let mut reader = FrameReader::behind_greeting(Traffic::Requests);
    let mut given = 0;
    for piece in stream.chunks(100_000) {
        let mut socket = Socket::new(stream.slice_ref(piece), []);
        reader.fill(&mut socket, usize::MAX).unwrap();
        given += piece.len();
        assert!(socket.most_room <= given.max(64 << 10), "{} of {given}", socket.most_room);
        assert_eq!(reader.pending_bytes(), given);
    }
    assert_eq!(take_all(&mut reader), [Incoming::Request(request)]);
    assert_eq!(reader.pending_bytes(), 0);
}

#[test]
fn a_length_above_the_bound_of_its_kind_is_refused_when_the_header_is_there() {
    for traffic in TRAFFICS {
        for kind in Kind::ALL.iter().filter(|kind| traffic.allows(**kind)) {
            let (least, most) = kind.bounds();
            for length in [0, least - 1, most + 1, u32::MAX as usize] {
                let mut header = (length as u32).to_le_bytes().to_vec();
                header.extend([0, 0, 0, 0, *kind as u8, 0]);
                let mut reader = FrameReader::behind_greeting(traffic);
                reader.fill(&mut &header[..], 1 << 20).unwrap();
                let error = reader.frame().unwrap_err();
                assert!(matches!(error, WireError::Length { .. }), "{kind} {length}: {error}");
            }
        }
    }
}

#[test]
fn a_kind_that_may_not_come_here_is_refused_by_name() {
    let error = super::samples::read_one(Traffic::Requests, &frame_by_hand(9, &[0; 8]));
    assert_eq!(
        error.unwrap_err().to_string(),
        "frame at offset 0: timeout_now may not come here, where requests may"
    );
    for traffic in TRAFFICS {
        for kind in 0..=u8::MAX {
            let allowed = Kind::from_number(kind).is_some_and(|kind| traffic.allows(kind));
            let read = super::samples::read_one(traffic, &frame_by_hand(kind, &[0; 40]));
            let refused =
                matches!(read, Err(WireError::UnknownKind { .. } | WireError::Unexpected { .. }));
            assert_eq!(refused, !allowed, "{kind} {traffic}");
        }
    }
}

#[test]
fn bodies_share_the_buffer_they_were_read_into() {
    let command = Bytes::from(vec![7; 3_000]);
    let body = RequestBody::Write(command.clone());
    let stream = encoded(|out| Request { id: 1, timeout_ms: 0, body }.encode(out));
    let mut reader = FrameReader::behind_greeting(Traffic::Requests);
    reader.fill(&mut &stream[..], 1 << 20).unwrap();
    let frame = reader.frame().unwrap().unwrap();
    let Incoming::Request(Request { body: RequestBody::Write(read), .. }) = frame.decode().unwrap()
    else {
        panic!("not the write");
    };
    assert_eq!(read, command);
    assert!(frame.body().as_ptr_range().contains(&read.as_ptr()));
}

#[test]
fn a_stream_that_ends_inside_a_frame_says_how_far_it_came() {
    let stream = encoded(|out| encode_goodbye("bye", out));
    let mut reader = FrameReader::behind_greeting(Traffic::Replies);
    let filled = reader.fill(&mut &stream[..7], 1 << 20).unwrap();
    assert_eq!(filled, Filled { bytes: 7, end: FillEnd::Closed });
    assert!(reader.frame().unwrap().is_none());
    assert_eq!(
        reader.at_end().unwrap_err().to_string(),
        "the stream ended 7 bytes into a frame at offset 0"
    );
}

/// Fails as often as there are errors, then gives nothing.
struct Failing(Vec<io::ErrorKind>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.pop().map_or(Ok(0), |kind| Err(kind.into()))
    }
}

#[test]
fn an_interrupted_read_is_repeated_and_other_errors_are_handed_on() {
    let mut reader = FrameReader::behind_greeting(Traffic::Replies);
    let mut source = Failing(vec![io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted]);
    let error = reader.fill(&mut source, 10).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(reader.fill(&mut source, 10).unwrap().end, FillEnd::Closed);
}

#[test]
fn a_budget_is_never_exceeded_and_says_that_there_may_be_more() {
    let (stream, _) = long_request(10_000);
    let mut socket = Socket::new(stream.clone(), []);
    let mut reader = FrameReader::behind_greeting(Traffic::Requests);
    let filled = reader.fill(&mut socket, 6_000).unwrap();
    assert_eq!(filled, Filled { bytes: 6_000, end: FillEnd::Budget });
    assert_eq!(socket.bytes.len(), stream.len() - 6_000);
}

#[test]
fn nothing_more_is_read_than_there_is_room_for_until_frames_are_taken() {
    let (one, request) = long_request(1_000);
    let stream = Bytes::from(one.repeat(1_000));
    for traffic in [Traffic::Requests, Traffic::Replies] {
        let mut socket = Socket::new(stream.clone(), []);
        let mut reader = FrameReader::behind_greeting(traffic);
        for _ in 0..100 {
            assert_eq!(reader.fill(&mut socket, 1 << 20).unwrap().end, FillEnd::Budget);
        }
        // The frames are waiting, or refused; either way the rest stays with the system.
        assert!(reader.pending_bytes() <= 64 << 10, "{}", reader.pending_bytes());
    }

    let mut socket = Socket::new(stream, []);
    let mut reader = FrameReader::behind_greeting(Traffic::Requests);
    let mut taken = Vec::new();
    while reader.fill(&mut socket, 1 << 20).unwrap().end == FillEnd::Budget {
        taken.extend(take_all(&mut reader));
    }
    taken.extend(take_all(&mut reader));
    assert_eq!(taken, vec![Incoming::Request(request); 1_000]);
}

#[test]
fn a_busy_connection_gets_room_for_much_at_a_time() {
    let (one, request) = long_request(300);
    let mut reader = FrameReader::behind_greeting(Traffic::Requests);
    let mut smallest = usize::MAX;
    for turn in 0..100 {
        let mut socket = Socket::new(one.repeat(90).into(), []);
        let mut taken = Vec::new();
        let mut fills = 0;
        while taken.len() < 90 {
            fills += 1;
            reader.fill(&mut socket, 1 << 20).unwrap();
            taken.extend(take_all(&mut reader));
        }
        assert_eq!(taken, vec![Incoming::Request(request.clone()); 90]);
        if turn > 10 {
            assert!(fills <= 2, "{fills} reads for what was ready at once");
            smallest = smallest.min(socket.most_room);
        }
    }
    assert!(smallest >= 32 << 10, "{smallest}");
}

/// The frame of a request whose command has so many bytes.
fn long_request(bytes: usize) -> (Bytes, Request) {
    let body = RequestBody::Write(vec![7; bytes].into());
    let request = Request { id: 1, timeout_ms: 0, body };
    (encoded(|out| request.encode(out)), request)
}
