//! Wires that are tapped: they carry what the members of a cluster say to each other, until
//! something is to be withheld.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use raft_node::model::{Append, Body, ByteReader, Configuration, EntryKind, EntryRef, NodeId};
use raft_node::wire::{FrameReader, Hello, HelloAnswer, Incoming, Purpose, Traffic, WireError};

/// What a tap doesn't let through, nor anything that comes behind it on that connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Withheld {
    /// The configuration with which a change of voters begins.
    Prepared,
    /// The one with two sets of voters.
    Joint,
    /// One that ends a change.
    Over,
    /// Any entry for this node.
    EntriesFor(u16),
}

/// All taps of a cluster.
#[derive(Clone, Default)]
pub(crate) struct Taps(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    withhold: Option<Withheld>,
    /// From whom something was withheld.
    from: Option<u16>,
}

impl Taps {
    /// Taps what is said to a node at its address, and what it answers, while it listens elsewhere.
    pub(crate) fn tap(&self, address: (IpAddr, u16), target: (IpAddr, u16)) -> Tap {
        let listener = TcpListener::bind(address).expect("the port is free");
        let (taps, stop) = (self.clone(), Arc::new(AtomicBool::default()));
        let tap = Tap { address, stop: Arc::clone(&stop) };
        thread::spawn(move || {
            while let Ok((call, _)) = listener.accept()
                && !stop.load(Ordering::Relaxed)
            {
                // Who calls a node that doesn't run is cut off.
                let Ok(target) = TcpStream::connect(target) else { continue };
                taps.carry(&call, &target);
            }
        });
        tap
    }

    /// Withholds this from now on, or nothing more. What was withheld is lost.
    pub(crate) fn withhold(&self, withhold: Option<Withheld>) {
        *self.heard() = Heard { withhold, from: None };
    }

    /// The node from which something was withheld, if it was.
    pub(crate) fn withheld_from(&self) -> Option<u16> {
        self.heard().from
    }

    /// Carries both directions of a connection on threads of their own until it ends.
    fn carry(&self, call: &TcpStream, target: &TcpStream) {
        let readers = [FrameReader::accepting(), FrameReader::calling(Purpose::Peer)];
        for (reader, (from, to)) in readers.into_iter().zip([(call, target), (target, call)]) {
            let own = |stream: &TcpStream| stream.try_clone().expect("a file descriptor");
            let (from, to, taps) = (own(from), own(to), self.clone());
            let ear = Ear { reader, speaks: None, hears: None, is_deaf: false };
            thread::spawn(move || {
                let _ = taps.listen(ear, &from, &to);
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    }

    /// Passes on what is said, as long as nothing of it is to be withheld.
    fn listen(&self, mut ear: Ear, mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
        let mut chunk = vec![0; 64 << 10];
        loop {
            let length = from.read(&mut chunk)?;
            if length == 0 {
                return Ok(());
            }
            if self.is_withheld(&mut ear, &chunk[..length]) {
                // The connection stands, as one does whose other end is far away.
                return io::copy(&mut from, &mut io::sink()).map(drop);
            }
            to.write_all(&chunk[..length])?;
        }
    }

    fn is_withheld(&self, ear: &mut Ear, bytes: &[u8]) -> bool {
        let appends = ear.appends_in(bytes);
        let mut heard = self.heard();
        let is_in = |what: Withheld| appends.iter().any(|append| what.is_in(append, ear.hears));
        let is_withheld = heard.withhold.is_some_and(is_in);
        if is_withheld {
            heard.from = ear.speaks;
        }
        is_withheld
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stands at the address of a node.
pub(crate) struct Tap {
    address: (IpAddr, u16),
    stop: Arc<AtomicBool>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It waits for somebody to call.
        let _ = TcpStream::connect(self.address);
    }
}

/// Understands one side of a connection between members.
struct Ear {
    reader: FrameReader,
    speaks: Option<u16>,
    hears: Option<u16>,
    /// It isn't a member that speaks.
    is_deaf: bool,
}

impl Ear {
    fn appends_in(&mut self, mut bytes: &[u8]) -> Vec<Append> {
        let mut appends = Vec::new();
        while !bytes.is_empty() && !self.is_deaf {
            self.reader.fill(&mut bytes, usize::MAX).expect("memory can be read");
            if self.take(&mut appends).is_err() {
                self.is_deaf = true;
            }
        }
        appends
    }

    fn take(&mut self, appends: &mut Vec<Append>) -> Result<(), WireError> {
        if self.speaks.is_none() {
            let (party, to) = match self.reader.traffic() {
                Traffic::Nothing => match self.reader.hello()? {
                    Some(Hello { party, to, .. }) => (party, to),
                    None => return Ok(()),
                },
                _ => match self.reader.answer()? {
                    Some(HelloAnswer { party, to, .. }) => (party, to),
                    None => return Ok(()),
                },
            };
            self.speaks = party.member.map(|member| member.id.number());
            self.hears = to.id.map(NodeId::number);
            self.is_deaf = self.speaks.is_none() || self.hears.is_none();
        }
        while !self.is_deaf
            && let Some(frame) = self.reader.frame()?
        {
            if let Incoming::Message { body: Body::Append(append), .. } = frame.decode()? {
                appends.push(append);
            }
        }
        Ok(())
    }
}

impl Withheld {
    fn is_in(self, append: &Append, hears: Option<u16>) -> bool {
        let mut entries = append.batch.iter().flat_map(|batch| batch.iter());
        match self {
            Withheld::EntriesFor(node) => hears == Some(node) && entries.next().is_some(),
            stage => entries.any(|entry| Withheld::stage(entry) == Some(stage)),
        }
    }

    /// Which stage of a change an entry brings.
    fn stage(entry: EntryRef<'_>) -> Option<Withheld> {
        if entry.kind() != EntryKind::CONFIGURATION {
            return None;
        }
        let mut reader = ByteReader::new(entry.payload());
        let configuration = Configuration::decode(&mut reader).expect("a member wrote it");
        Some(match (configuration.is_joint(), configuration.is_prepared()) {
            (true, _) => Withheld::Joint,
            (_, true) => Withheld::Prepared,
            _ => Withheld::Over,
        })
    }
}
