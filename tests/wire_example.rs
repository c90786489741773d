//! The worked example of docs/wire-protocol.md means what the page says: its opaque bytes are
//! the command and the answer that docs/state-machine.md describes.

use raft_node::kv::{Answer, Command, Operation};
use raft_node::wire::{FrameReader, Incoming, ReplyBody, RequestBody, Traffic};

const PAGE: &str = include_str!("../docs/wire-protocol.md");

/// The message of the block of this name.
fn message(name: &str, traffic: Traffic) -> Incoming {
    let head = format!("```hex {name}");
    let block = PAGE.lines().skip_while(|line| *line != head).skip(1);
    let bytes: Vec<u8> = block
        .take_while(|line| *line != "```")
        .flat_map(|line| line.split("  ").next().into_iter().flat_map(str::split_whitespace))
        .map(|digits| u8::from_str_radix(digits, 16).expect("two hexadecimal digits"))
        .collect();
    let mut reader = FrameReader::behind_greeting(traffic);
    reader.fill(&mut &bytes[..], usize::MAX).expect("a slice has no errors");
    reader.frame().expect("a sound frame").expect("a whole frame").decode().expect("a message")
}

#[test]
fn the_example_puts_ann_under_user_1() {
    let Incoming::Request(request) = message("request write", Traffic::Requests) else {
        panic!("not a request");
    };
    let RequestBody::Write(command) = request.body else { panic!("not a write") };
    let put = Operation::Put { key: b"user:1", value: b"ann" };
    let expected = Command::Change { session: None, operation: put };
    assert_eq!(Command::decode(&command), Ok(expected));
}

#[test]
fn the_example_is_answered_with_the_version_of_the_key() {
    let Incoming::Reply(reply) = message("reply done", Traffic::Replies) else {
        panic!("not a reply");
    };
    let ReplyBody::Done { answer, .. } = reply.body else { panic!("not done") };
    assert_eq!(Answer::decode(&answer), Ok(Answer::Put { version: 3 }));
}
