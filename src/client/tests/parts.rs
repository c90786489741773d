//! What tests say to clients, and to whom.

use std::time::Duration;

use bytes::Bytes;

use super::fake::{FakeNode, Reaction};
use crate::client::{Endpoint, Options};
use crate::kv::Answer;
use crate::model::{Index, LogId, LogTime, NodeId, Term};
use crate::wire::{LeaderHint, RefusalCode, ReplyBody};

impl FakeNode {
    pub(super) fn endpoint(&self) -> Endpoint {
        endpoint(self.port())
    }
}

pub(super) fn endpoint(port: u16) -> Endpoint {
    Endpoint::parse(&format!("127.0.0.1:{port}")).unwrap()
}

/// For these nodes, in this order, trying for this long.
pub(super) fn options(nodes: &[&FakeNode], timeout: Duration) -> Options {
    let endpoints = nodes.iter().map(|node| node.endpoint()).collect();
    Options { timeout, ..Options::new(endpoints) }
}

pub(super) fn encoded(answer: &Answer<'_>) -> Bytes {
    let mut bytes = Vec::new();
    answer.encode(&mut bytes);
    bytes.into()
}

pub(super) fn done(index: u64, answer: &Answer<'_>) -> Reaction {
    let at = LogId::new(Term(3), Index(index));
    Reaction::Reply(ReplyBody::Done { at, answer: encoded(answer) })
}

pub(super) fn seen(log_time: u64, answer: &Answer<'_>) -> Reaction {
    Reaction::Reply(ReplyBody::Answer {
        read_index: Index(9),
        log_time: LogTime(log_time),
        heard_ago: Some(Duration::ZERO),
        answer: encoded(answer),
    })
}

pub(super) fn refused(code: RefusalCode, leader: Option<(u64, u16)>) -> Reaction {
    let leader = leader.map(|(term, port)| LeaderHint {
        id: NodeId::new(2).unwrap(),
        term: Term(term),
        address: format!("127.0.0.1:{port}"),
    });
    Reaction::Reply(ReplyBody::Refused { code, leader, text: code.meaning().to_owned() })
}
