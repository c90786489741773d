//! The hello: what it lets in, what it tells apart, and what a newer version may add to it.

use super::samples::{answers, encoded, hellos, member, node, party};
use crate::model::{Boot, Epoch, Index};
use crate::wire::*;

fn read_hello(stream: &[u8]) -> Result<Option<Hello>, WireError> {
    let mut reader = FrameReader::accepting();
    reader.fill(&mut &stream[..], usize::MAX).unwrap();
    reader.hello()
}

fn read_answer(stream: &[u8]) -> Result<Option<HelloAnswer>, WireError> {
    let mut reader = FrameReader::calling(Purpose::Peer);
    reader.fill(&mut &stream[..], usize::MAX).unwrap();
    reader.answer()
}

/// Gives a changed hello or answer its right length and checksum, as the page says.
fn seal_by_hand(bytes: &mut [u8]) {
    let length = (bytes.len() as u32).to_le_bytes();
    bytes[8..12].copy_from_slice(&length);
    let summed = [&bytes[..12], &bytes[16..]].concat();
    bytes[12..16].copy_from_slice(&crc32fast::hash(&summed).to_le_bytes());
}

#[test]
fn what_other_protocols_begin_with_is_told_by_name() {
    let cases: [(&[u8], &str); 9] = [
        (b"GET / HTTP/1.1\r\n", "speaks HTTP (its first bytes are \"GET / HT\")"),
        (b"POST /v1/kv HTTP/1.1\r\n", "speaks HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "speaks HTTP"),
        (b"HTTP/1.1 400 Bad Request\r\n", "speaks HTTP"),
        (&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03], "speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "speaks SSH"),
        (b"*1\r\n$4\r\nPING\r\n", "speaks the protocol of Redis"),
        (b"hello, are you there?\n", "sends text"),
        (&[0; 64], "sends bytes that aren't raft's"),
    ];
    for (stream, what) in cases {
        let error = read_hello(stream).unwrap_err();
        assert!(matches!(error, WireError::Foreign(_)), "{error:?}");
        assert!(error.to_string().contains(what), "{error}");
        assert!(matches!(read_answer(stream), Err(WireError::Foreign(_))));
    }
}

#[test]
fn a_stranger_that_sends_little_is_recognised_when_it_ends() {
    for (stream, what) in [(&b"GE"[..], "sends text"), (b"\r\n", "sends text"), (b"\0", "bytes")] {
        let mut reader = FrameReader::accepting();
        reader.fill(&mut &stream[..], usize::MAX).unwrap();
        assert_eq!(reader.hello(), Ok(None));
        let error = reader.at_end().unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    FrameReader::accepting().at_end().unwrap();
}

#[test]
fn a_stream_that_was_treated_as_text_is_noticed_in_its_magic() {
    let hello = encoded(|out| hellos()[0].1.encode(out));
    let mut munged = hello.to_vec();
    munged.remove(5);
    let error = read_hello(&munged).unwrap_err();
    assert!(matches!(error, WireError::Foreign(Foreign::Magic(_))), "{error}");
}

#[test]
fn two_sides_that_both_call_or_both_answer_are_told_so() {
    let hello = encoded(|out| hellos()[0].1.encode(out));
    let answer = encoded(|out| answers()[0].1.encode(out));
    assert_eq!(
        read_answer(&hello).unwrap_err().to_string(),
        "a hello came where an answer to the hello was expected"
    );
    assert_eq!(
        read_hello(&answer).unwrap_err().to_string(),
        "an answer to the hello came where a hello was expected"
    );
}

#[test]
fn what_a_newer_version_adds_behind_the_known_fields_is_skipped() {
    let (_, hello) = hellos().remove(0);
    let mut bytes = encoded(|out| hello.encode(out)).to_vec();
    bytes.extend([2, 0, 3, 0, b'n', b'e', b'w', 9, 0, 0, 0]);
    seal_by_hand(&mut bytes);
    assert_eq!(read_hello(&bytes), Ok(Some(hello)));

    let (_, answer) = answers().remove(1);
    let mut bytes = encoded(|out| answer.encode(out)).to_vec();
    bytes.extend([0, 1, 1, 0, 0xff]);
    seal_by_hand(&mut bytes);
    assert_eq!(read_answer(&bytes), Ok(Some(answer)));
}

#[test]
fn tagged_fields_that_are_cut_or_out_of_order_are_refused() {
    for (tail, field) in [
        (&[1, 0, 3, 0, b'n'][..], "tagged field"),
        (&[1], "tag"),
        (&[2, 0, 0, 0, 1, 0, 0, 0], "tag"),
        (&[2, 0, 0, 0, 2, 0, 0, 0], "tag"),
        (&[1, 0, 3, 0, b'n', b'e', b'w'], "snapshot term"),
    ] {
        let mut bytes = encoded(|out| hellos()[0].1.encode(out)).to_vec();
        bytes.extend(tail);
        seal_by_hand(&mut bytes);
        let error = read_hello(&bytes).unwrap_err().to_string();
        assert!(error.starts_with(&format!("hello: {field} at offset")), "{error}");
    }
}

#[test]
fn a_purpose_and_a_refusal_of_a_newer_version_can_still_be_read() {
    let (_, mut hello) = hellos().remove(0);
    hello.purpose = Purpose::Unknown(77);
    hello.party.protocol = VersionRange { lowest: 5, highest: 6 };
    let bytes = encoded(|out| hello.encode(out));
    let mut reader = FrameReader::accepting();
    reader.fill(&mut &bytes[..], usize::MAX).unwrap();
    assert_eq!(reader.hello(), Ok(Some(hello.clone())));
    assert_eq!(reader.traffic(), Traffic::Nothing);
    assert_eq!(PROTOCOL.common(hello.party.protocol), None);

    let (_, mut answer) = answers().remove(1);
    let (code, text) = (HelloRefusal(999), "because".to_owned());
    answer.verdict = Verdict::Refused { code, index: Index(0), text };
    let bytes = encoded(|out| answer.encode(out));
    assert_eq!(read_answer(&bytes), Ok(Some(answer)));
    assert_eq!((code.name(), code.is_guard()), (None, false));
}

#[test]
fn a_peer_without_a_name_and_an_incarnation_without_a_node_are_refused() {
    let (_, mut hello) = hellos().remove(0);
    hello.party.member = None;
    let error = read_hello(&encoded(|out| hello.encode(out))).unwrap_err().to_string();
    assert_eq!(error, "hello: sender at offset 56: 0 is not a value of this field");

    let (_, mut hello) = hellos().remove(0);
    hello.to = Addressed { id: None, incarnation: Some(member(2).incarnation) };
    let error = read_hello(&encoded(|out| hello.encode(out))).unwrap_err().to_string();
    assert!(error.contains("addressed incarnation"), "{error}");
}

#[test]
fn lengths_that_no_hello_has_are_refused_before_the_rest_comes() {
    for length in [0, 15, 100, MAX_HELLO_BYTES as u32 + 1, u32::MAX] {
        let mut bytes = HELLO_MAGIC.to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend([0; 4]);
        let error = read_hello(&bytes).unwrap_err();
        assert!(matches!(error, WireError::HelloLength { .. }), "{length}: {error}");
    }
}

#[test]
fn numbers_that_no_living_cluster_reaches_are_refused() {
    let (_, hello) = hellos().remove(0);
    for change in [
        |party: &mut Party| party.boot = Boot(u64::MAX),
        |party: &mut Party| party.epoch = Epoch(MAX_COUNTER + 1),
        |party: &mut Party| party.last.index = Index(MAX_COUNTER + 1),
    ] {
        let mut changed = hello.clone();
        change(&mut changed.party);
        let error = read_hello(&encoded(|out| changed.encode(out))).unwrap_err().to_string();
        assert!(error.contains("is above the bound of 4611686018427387904"), "{error}");
    }
}

#[test]
fn the_longest_hello_fits_into_its_bound() {
    let (_, mut hello) = hellos().remove(0);
    hello.party.cluster_name = "n".repeat(255);
    hello.party.address = "a".repeat(255);
    hello.authentication.proof = vec![1; 4096];
    assert_eq!(read_hello(&encoded(|out| hello.encode(out))), Ok(Some(hello)));

    let (_, mut answer) = answers().remove(1);
    answer.party.cluster_name = "n".repeat(255);
    answer.party.address = "a".repeat(255);
    let text = "t".repeat(MAX_TEXT_BYTES);
    answer.verdict = Verdict::Refused { code: HelloRefusal::WIPED, index: Index(1), text };
    assert_eq!(read_answer(&encoded(|out| answer.encode(out))), Ok(Some(answer)));
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters() {
    let (_, mut answer) = answers().remove(1);
    let text = format!("x{}", "\u{e4}".repeat(2_000));
    let code = HelloRefusal::WIPED;
    answer.verdict = Verdict::Refused { code, index: Index(1), text: text.clone() };
    let read = read_answer(&encoded(|out| answer.encode(out))).unwrap().unwrap();
    let Verdict::Refused { text: read, .. } = read.verdict else { panic!("accepted") };
    assert_eq!(read.len(), MAX_TEXT_BYTES - 1);
    assert!(text.starts_with(&read));
}

#[test]
fn the_highest_common_version_is_spoken() {
    let range = |lowest, highest| VersionRange { lowest, highest };
    assert_eq!(range(1, 3).common(range(2, 9)), Some(3));
    assert_eq!(range(2, 9).common(range(1, 3)), Some(3));
    assert_eq!(range(1, 1).common(range(1, 1)), Some(1));
    assert_eq!(range(1, 2).common(range(3, 4)), None);
    assert!(range(1, 2).contains(2) && !range(1, 2).contains(3));
    assert!(PROTOCOL.contains(1));
    assert_eq!(party().member.unwrap().id, node(1));
}
