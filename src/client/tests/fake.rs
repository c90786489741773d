//! A node that does what a test says: the tests of raft-ctl have it, too.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;

use super::model::{Boot, Epoch, Incarnation, Index, LogId, Member, NodeId, StartNumber, Term};
use super::wire::{
    FillEnd, FrameReader, Hello, HelloAnswer, HelloRefusal, Incoming, PROTOCOL, Party, Reply,
    ReplyBody, Request, Verdict,
};

/// What the node does with a request.
#[derive(Clone, Debug)]
pub(super) enum Reaction {
    Reply(ReplyBody),
    /// Replies to this request only after the next one's reply.
    ReplyLater(ReplyBody),
    /// Never replies.
    Silence,
    /// Closes the connection.
    Cut,
    /// Closes the connection in the middle of this reply.
    CutIn(ReplyBody),
}

type Handler = dyn FnMut(&Request) -> Reaction + Send;

/// A node that does what a test says.
pub(super) struct FakeNode {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl FakeNode {
    pub(super) fn start(handler: impl FnMut(&Request) -> Reaction + Send + 'static) -> FakeNode {
        FakeNode::start_at(0, None, handler)
    }

    /// A node that refuses every connection.
    pub(super) fn refusing(code: HelloRefusal) -> FakeNode {
        FakeNode::start_at(0, Some(code), |_| Reaction::Silence)
    }

    pub(super) fn start_at(
        port: u16,
        refusal: Option<HelloRefusal>,
        handler: impl FnMut(&Request) -> Reaction + Send + 'static,
    ) -> FakeNode {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let node = FakeNode {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            stop: Arc::default(),
            streams: Arc::default(),
        };
        let handler: Arc<Mutex<Box<Handler>>> = Arc::new(Mutex::new(Box::new(handler)));
        let (requests, stop) = (Arc::clone(&node.requests), Arc::clone(&node.stop));
        let streams = Arc::clone(&node.streams);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                streams.lock().unwrap().push(stream.try_clone().unwrap());
                let (requests, handler) = (Arc::clone(&requests), Arc::clone(&handler));
                thread::spawn(move || serve(stream, refusal, &requests, &handler));
            }
        });
        node
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// How many requests have come.
    pub(super) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Closes every connection, and the port.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // The accepting thread looks at the flag when it is woken.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(
    mut stream: TcpStream,
    refusal: Option<HelloRefusal>,
    requests: &Mutex<Vec<Request>>,
    handler: &Mutex<Box<Handler>>,
) {
    let mut reader = FrameReader::accepting();
    let mut later = VecDeque::new();
    let mut greeted = false;
    loop {
        let mut once = Once(&mut stream, false);
        match reader.fill(&mut once, 64 << 10) {
            Ok(filled) if filled.end != FillEnd::Closed => {}
            _ => return,
        }
        if !greeted {
            let Some(hello) = reader.hello().unwrap() else { continue };
            let mut out = BytesMut::new();
            answer(&hello, refusal).encode(&mut out);
            stream.write_all(&out).unwrap();
            greeted = true;
        }
        while let Some(frame) = reader.frame().unwrap() {
            let Incoming::Request(request) = frame.decode().unwrap() else { panic!("no request") };
            requests.lock().unwrap().push(request.clone());
            let reaction = (handler.lock().unwrap())(&request);
            let mut out = BytesMut::new();
            match reaction {
                Reaction::Reply(body) => {
                    Reply { id: request.id, body }.encode(&mut out);
                    for reply in later.drain(..) {
                        let reply: Reply = reply;
                        reply.encode(&mut out);
                    }
                }
                Reaction::ReplyLater(body) => later.push_back(Reply { id: request.id, body }),
                Reaction::Silence => {}
                Reaction::Cut => return close(&stream),
                Reaction::CutIn(body) => {
                    Reply { id: request.id, body }.encode(&mut out);
                    let _ = stream.write_all(&out[..out.len() / 2]);
                    return close(&stream);
                }
            }
            if stream.write_all(&out).is_err() {
                return;
            }
        }
    }
}

fn close(stream: &TcpStream) {
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

struct Once<'a>(&'a mut TcpStream, bool);

impl Read for Once<'_> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.1, true) {
            return Err(std::io::Error::from(std::io::ErrorKind::WouldBlock));
        }
        self.0.read(room)
    }
}

fn answer(hello: &Hello, refusal: Option<HelloRefusal>) -> HelloAnswer {
    let member = Member { id: NodeId::new(1).unwrap(), incarnation: Incarnation(7) };
    HelloAnswer {
        party: Party {
            protocol: PROTOCOL,
            features: hello.party.features,
            cluster: None,
            epoch: Epoch(0),
            member: Some(member),
            boot: Boot(1),
            start: StartNumber(1),
            term: Term(1),
            last: LogId::ORIGIN,
            nodes_hash: 0,
            cluster_name: "raft".to_owned(),
            address: String::new(),
            restores: None,
        },
        to: hello.to,
        purpose: hello.purpose,
        verdict: match refusal {
            None => Verdict::Accepted { protocol: 1, feature_level: 1 },
            Some(code) => {
                Verdict::Refused { code, index: Index(0), text: code.meaning().to_owned() }
            }
        },
    }
}
