//! Connections that do what no client of the library does.

use std::net::TcpStream;
use std::time::Duration;

use bytes::BytesMut;
use raft_node::model::{Boot, Epoch, LogId, StartNumber, Term};
use raft_node::wire::{
    Addressed, Authentication, FrameReader, Hello, HelloAnswer, Party, Purpose, Verdict,
    VersionRange,
};

use super::{Cluster, wait_for};

/// The hello of a client that speaks these versions of the protocol.
pub(crate) fn client_hello(protocol: VersionRange) -> BytesMut {
    let party = Party {
        protocol,
        features: VersionRange { lowest: 0, highest: 1 },
        cluster: None,
        epoch: Epoch::ZERO,
        member: None,
        boot: Boot::ZERO,
        start: StartNumber(1),
        term: Term::ZERO,
        last: LogId::ORIGIN,
        nodes_hash: 0,
        cluster_name: String::new(),
        address: String::new(),
        restores: None,
    };
    let (to, authentication) = (Addressed::default(), Authentication::default());
    let mut bytes = BytesMut::new();
    Hello { party, to, purpose: Purpose::Client, authentication }.encode(&mut bytes);
    bytes
}

/// A connection to node `id` on which nothing was said.
pub(crate) fn connect(cluster: &Cluster, id: u16) -> TcpStream {
    TcpStream::connect(cluster.address(id)).expect("the node listens")
}

/// What a node answers to the hello that was sent to it: the text of its refusal, if it is one.
#[track_caller]
pub(crate) fn answer(stream: &mut TcpStream) -> Result<(), String> {
    stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout can be set");
    let mut reader = FrameReader::calling(Purpose::Client);
    let answer: HelloAnswer = wait_for("the answer to a hello", || {
        reader.fill(stream, 64 << 10).expect("the answer can be read");
        reader.answer().expect("it is an answer")
    });
    match answer.verdict {
        Verdict::Refused { text, .. } => Err(text),
        _ => Ok(()),
    }
}
