//! The event loop of one node, spoken to over a real socket in the node's own bytes.

mod lone_node;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use raft_node::kv::{Command, Operation, Query};
use raft_node::model::{Boot, Epoch, LogId, StartNumber, Term};
use raft_node::node::Exit;
use raft_node::wire::{
    Addressed, Authentication, Consistency, FrameReader, Hello, HelloAnswer, HelloRefusal,
    Incoming, PROTOCOL, Party, Purpose, Reply, ReplyBody, Request, RequestBody, Verdict,
    VersionRange,
};
use rustix::process::{Signal, getpid, kill_process};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

struct Client {
    stream: TcpStream,
    reader: FrameReader,
    last_request: u64,
}

impl Client {
    fn connect(address: SocketAddr) -> (Client, HelloAnswer) {
        let stream = TcpStream::connect(address).expect("it works");
        stream.set_read_timeout(Some(PATIENCE)).expect("it works");
        stream.set_write_timeout(Some(PATIENCE)).expect("it works");
        let reader = FrameReader::calling(Purpose::Client);
        let mut client = Client { stream, reader, last_request: 0 };
        let mut bytes = BytesMut::new();
        hello().encode(&mut bytes);
        client.stream.write_all(&bytes).expect("it works");
        let answer = loop {
            if let Some(answer) = client.reader.answer().expect("a good answer") {
                break answer;
            }
            client.fill();
        };
        (client, answer)
    }

    /// Waits for some bytes.
    fn fill(&mut self) {
        let mut once = Once { stream: &self.stream, is_read: false };
        self.reader.fill(&mut once, usize::MAX).expect("the node answers");
    }

    fn send(&mut self, body: RequestBody) -> u64 {
        self.last_request += 1;
        let mut bytes = BytesMut::new();
        Request { id: self.last_request, timeout_ms: 0, body }.encode(&mut bytes);
        self.stream.write_all(&bytes).expect("it works");
        self.last_request
    }

    fn receive(&mut self) -> Reply {
        loop {
            if let Some(frame) = self.reader.frame().expect("good frames") {
                let Incoming::Reply(reply) = frame.decode().expect("good frames") else {
                    panic!("a reply")
                };
                return reply;
            }
            self.fill();
        }
    }
}

/// Gives what one read gives, and no more for the moment.
struct Once<'a> {
    stream: &'a TcpStream,
    is_read: bool,
}

impl Read for Once<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.is_read, true) {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.stream.read(buffer)
    }
}

fn hello() -> Hello {
    Hello {
        party: Party {
            protocol: PROTOCOL,
            features: VersionRange { lowest: 1, highest: 1 },
            cluster: None,
            epoch: Epoch(0),
            member: None,
            boot: Boot(0),
            start: StartNumber(5),
            term: Term(0),
            last: LogId::ORIGIN,
            nodes_hash: 0,
            cluster_name: "raft".to_owned(),
            address: String::new(),
            restores: None,
        },
        to: Addressed::default(),
        purpose: Purpose::Client,
        authentication: Authentication::default(),
    }
}

fn put(key: &str, value: &[u8]) -> RequestBody {
    let mut command = BytesMut::new();
    let operation = Operation::Put { key: key.as_bytes(), value };
    Command::Change { session: None, operation }.encode(&mut command);
    RequestBody::Write(command.freeze())
}

fn get(key: &str) -> RequestBody {
    let mut query = BytesMut::new();
    Query::Get { keys: vec![key.as_bytes()] }.encode(&mut query);
    RequestBody::Read { consistency: Consistency::Linearizable, query: query.freeze() }
}

/// Puts until it is done: until there is a leader it is refused.
fn put_until_done(client: &mut Client, key: &str, value: &[u8]) {
    let begun = Instant::now();
    loop {
        client.send(put(key, value));
        match client.receive().body {
            ReplyBody::Done { .. } => return,
            ReplyBody::Refused { code, .. } if code.retry_safe() => {
                assert!(begun.elapsed() < PATIENCE, "still refused: {}", code.name());
                thread::sleep(Duration::from_millis(5)); // polls
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The other side closes the connection, whatever it says before.
fn wait_until_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[allow(unused)]
fn mark(begun: Instant, what: &str) {
    eprintln!("{what} {:?}", begun.elapsed());
}

#[test]
fn a_node_serves_its_clients_bounds_them_and_stops_in_good_order() {
    let (address, node) = lone_node::start();
    let (mut client, answer) = Client::connect(address);
    assert!(matches!(answer.verdict, Verdict::Accepted { .. }));
    let value = vec![b'x'; 100 << 10];
    put_until_done(&mut client, "k", &value);

    // Far more is asked for than the node has room for; it reads on as its answers are taken.
    let asked: Vec<u64> = (0..300).map(|_| client.send(get("k"))).collect();
    for _ in &asked {
        let ReplyBody::Answer { answer, .. } = client.receive().body else { panic!("an answer") };
        assert!(answer.len() > value.len());
    }

    // Who says nothing is sent away in a while; so is who speaks another language, at once.
    let mut silent = TcpStream::connect(address).expect("it works");
    silent.set_read_timeout(Some(PATIENCE)).expect("it works");
    let mut foreign = TcpStream::connect(address).expect("it works");
    foreign.set_read_timeout(Some(PATIENCE)).expect("it works");
    foreign.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it works");
    wait_until_closed(&mut foreign);
    wait_until_closed(&mut silent);

    // There is a bound to clients, and it is told.
    let more: Vec<(Client, HelloAnswer)> = (0..3).map(|_| Client::connect(address)).collect();
    let refused = more.iter().filter(|(_, answer)| {
        matches!(&answer.verdict, Verdict::Refused { code, .. } if *code == HelloRefusal::TOO_MANY)
    });
    assert_eq!(refused.count(), 1);

    client.send(RequestBody::Ping);
    assert_eq!(client.receive().body, ReplyBody::Pong);
    kill_process(getpid(), Signal::TERM).expect("it works");
    let exit = node.join().expect("it works");
    assert!(matches!(exit, Exit::Clean), "{exit}");
    wait_until_closed(&mut client.stream);
}
