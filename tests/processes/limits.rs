//! Who asks for more than his share.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::BytesMut;
use raft_node::kv::Query;
use raft_node::wire::{Consistency, PROTOCOL, Request, RequestBody};

use crate::bench::raw::{self, client_hello};
use crate::bench::{Cluster, Outcome, Shape, wait_for};

/// Does something again and again on a thread of its own until it is dropped.
struct Flood {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn start(mut round: impl FnMut() + Send + 'static) -> Flood {
        let ends = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                round();
            }
        });
        Flood { ends, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn idle_connections_keep_neither_members_nor_clients_out() {
    let mut cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let address = cluster.address(leader);
    let mut idle: Vec<TcpStream> = Vec::new();
    let flood = Flood::start(move || {
        idle.extend(TcpStream::connect(address));
        if idle.len() >= 200 {
            // The node has closed the oldest, or does so soon.
            let mut oldest = idle.remove(0);
            let _ = oldest.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = oldest.read(&mut [0]);
        }
    });
    let follower = if leader == 1 { 2 } else { 1 };
    cluster.node(follower).kill();
    let mut client = cluster.client();
    client.put_until_done("greeting", "hello");
    cluster.start_node(follower);
    cluster.wait_until_all_have_caught_up();
    assert_eq!(client.get("greeting").as_deref(), Some("hello"));
    assert_eq!(cluster.wait_for_leader(), leader, "nobody else was elected meanwhile");
    drop(flood);
    let output = cluster.node(leader).output();
    assert!(output.contains("too many connections have not said hello"), "{output}");
}

#[test]
fn clients_beyond_their_number_are_told_so_and_members_still_come_in() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.configure("[Client]\nMaxConnections = 8");
    cluster.start_all();
    let leader = cluster.wait_for_leader();
    let greet = || {
        let mut stream = raw::connect(&cluster, leader);
        stream.write_all(&client_hello(PROTOCOL)).expect("the node reads");
        let answer = raw::answer(&mut stream);
        (stream, answer)
    };
    let mut clients = Vec::new();
    let refusal = wait_for("a client to be refused", || {
        let (stream, answer) = greet();
        clients.push(stream);
        answer.err()
    });
    assert!(refusal.contains("8 clients, as many as it may have"), "{refusal}");
    assert!(clients.len() <= 9, "{} were let in", clients.len());
    let follower = if leader == 1 { 2 } else { 1 };
    cluster.node(follower).kill();
    cluster.start_node(follower);
    wait_for("the follower to follow", || {
        cluster.status(follower).and_then(|status| status.leader)
    });
    clients.clear();
    let mut client = cluster.client();
    client.put_until_done("greeting", "hello");
}

#[test]
fn clients_that_never_stop_talking_hold_up_neither_members_nor_others() {
    let cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let term = cluster.status(leader).expect("it leads").term;
    let mut pings = BytesMut::new();
    for id in 0..10_000 {
        Request { id, timeout_ms: 0, body: RequestBody::Ping }.encode(&mut pings);
    }
    let pings = pings.freeze();
    let talk = |_| {
        let mut stream = raw::connect(&cluster, leader);
        stream.write_all(&client_hello(PROTOCOL)).expect("the node reads");
        stream.set_write_timeout(Some(Duration::from_millis(5))).expect("it can be set");
        stream.set_read_timeout(Some(Duration::from_millis(1))).expect("it can be set");
        let (pings, mut sent) = (pings.clone(), 0);
        let mut replies = vec![0; 64 << 10];
        Flood::start(move || {
            sent = match stream.write(&pings[sent..]) {
                Ok(count) => (sent + count) % pings.len(),
                Err(_) => sent,
            };
            let _ = stream.read(&mut replies);
        })
    };
    let floods: Vec<Flood> = (0..8).map(talk).collect();
    let mut client = cluster.client();
    for number in 0..100 {
        assert_eq!(client.put("key", &number.to_string()), Outcome::Done);
    }
    drop(floods);
    let status = cluster.status(leader).expect("the leader answers");
    assert_eq!((status.term, cluster.wait_for_leader()), (term, leader), "it led all the time");
}

/// Asks for the same long value, again and again.
fn gets() -> BytesMut {
    let mut query = BytesMut::new();
    Query::Get { keys: vec![b"long".as_slice()] }.encode(&mut query);
    let query = query.freeze();
    let mut requests = BytesMut::new();
    for id in 0..1000 {
        let body =
            RequestBody::Read { consistency: Consistency::Linearizable, query: query.clone() };
        Request { id, timeout_ms: 0, body }.encode(&mut requests);
    }
    requests
}

#[test]
fn a_client_that_does_not_read_its_replies_is_dropped_and_others_go_on() {
    let cluster = Cluster::start(&Shape::default());
    let leader = cluster.wait_for_leader();
    let mut client = cluster.client();
    client.put_until_done("long", &"v".repeat(500_000));
    let mut stream = raw::connect(&cluster, leader);
    stream.write_all(&client_hello(PROTOCOL)).expect("the node reads");
    stream.write_all(&gets()).expect("the node reads");
    let connected = || cluster.status(leader).map(|status| status.clients);
    let before = wait_for("the leader to answer", connected);
    wait_for("the one that does not read to be dropped", || {
        assert_eq!(client.put("key", "value"), Outcome::Done);
        connected().filter(|clients| *clients < before)
    });
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    assert!(rest.len() < 100 * 500_000, "{} bytes were made for it", rest.len());
    assert_eq!(client.get("key").as_deref(), Some("value"));
}

#[test]
fn a_client_that_reads_no_replies_is_not_read_either_before_there_is_a_cluster() {
    let mut cluster = Cluster::new(&Shape::default());
    cluster.start_node(1);
    cluster.node(1).wait_for_output("waiting_to_form");
    let mut requests = BytesMut::new();
    for id in 0..20_000 {
        Request { id, timeout_ms: 0, body: RequestBody::Status }.encode(&mut requests);
    }
    let connect = || {
        let mut stream = raw::connect(&cluster, 1);
        stream.write_all(&client_hello(PROTOCOL)).expect("the node reads");
        stream
    };
    let mut stream = connect();
    stream.set_write_timeout(Some(Duration::from_millis(20))).expect("it can be set");
    let mut sent = 0;
    wait_for("the one that does not read to be dropped", || {
        match stream.write(&requests[sent % requests.len()..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Some(()),
        }
        (sent > 1 << 30).then_some(())
    });
    // What fits between the two, at most.
    assert!(sent < 10 << 20, "{sent} bytes were taken of it");
    // Who takes the replies gets them all.
    let mut stream = connect();
    stream.write_all(&requests).expect("it fits between the two");
    let mut replies = vec![0; 1 << 20];
    let mut taken = 0;
    wait_for("the replies", || {
        taken += stream.read(&mut replies).expect("there are more");
        (taken > 20_000 * 100).then_some(())
    });
}
