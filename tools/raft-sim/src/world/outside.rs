//! What is around a simulated node: the network, its clock, its chance, and what waits for its
//! disk.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use raft_node::config::Address;
use raft_node::model::{LogTime, Time};
use raft_node::node::{Callee, ConnectionId, Outside, Workers};
use raft_node::storage::{FileWork, LogWork};

use super::clock::Clock;
use super::ear::{Ear, Other};
use super::network::{Network, Party, address, place_of};
use super::random::Random;

/// The network, shared by all who have a connection.
pub(crate) type SharedNetwork = Rc<RefCell<Network>>;

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    network: SharedNetwork,
    pub(crate) connection: usize,
    end: usize,
    /// Listens to what a node says at this end.
    says: Option<Ear>,
    /// Listens to what a node is told by another.
    is_told: Option<Ear>,
}

impl Stream {
    /// Calls whoever has the address `place`, if somebody has it.
    pub(crate) fn call(
        network: &SharedNetwork,
        party: Party,
        place: usize,
        patience: u64,
    ) -> Option<Stream> {
        let connection = network.borrow_mut().call(party, place, patience)?;
        let (says, is_told) = match party {
            Party::Host(_) => {
                // Who answers is known when the call has come through.
                (Some(Ear::new(Other::Node(place))), Some(Ear::new(Other::Machine(place))))
            }
            Party::Client(_) => (None, None),
        };
        Some(Stream { network: Rc::clone(network), connection, end: 0, says, is_told })
    }

    pub(crate) fn has_connected(&self) -> io::Result<bool> {
        self.network.borrow().has_connected(self.connection)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Where a panic is on its way the network may be in use.
        if let Ok(mut network) = self.network.try_borrow_mut() {
            network.close(self.connection, self.end);
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.network.borrow_mut().read(self.connection, self.end, buffer)?;
        if let Some(ear) = &mut self.is_told {
            if let Some(machine) = self.network.borrow().machine_behind(self.connection, self.end) {
                ear.is_told_by(machine);
            }
            ear.hear(&buffer[..count]);
        }
        Ok(count)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let count = self.network.borrow_mut().write(self.connection, self.end, pieces)?;
        if let Some(ear) = &mut self.says {
            let network = self.network.borrow();
            if let Some(machine) = network.machine_behind(self.connection, self.end) {
                ear.says_to(network.machines[machine].node);
            }
            let mut rest = count;
            for piece in pieces {
                let taken = piece.len().min(rest);
                ear.hear(&piece[..taken]);
                rest -= taken;
            }
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The surroundings of one process.
pub(crate) struct Surroundings {
    pub(crate) network: SharedNetwork,
    pub(crate) machine: usize,
    pub(crate) clock: Rc<Cell<Clock>>,
    pub(crate) random: Random,
    pub(crate) workers: Option<Workers>,
    /// What the log thread is to do next.
    pub(crate) log: Option<LogWork>,
    /// What the file thread is to do next.
    pub(crate) files: Option<FileWork>,
}

impl Outside for Surroundings {
    type Stream = Stream;

    fn now(&self) -> Time {
        self.clock.get().time(self.network.borrow().now)
    }

    fn wall_time(&self) -> LogTime {
        self.clock.get().wall_time(self.network.borrow().now)
    }

    fn random(&mut self) -> u128 {
        u128::from(self.random.next()) << 64 | u128::from(self.random.next())
    }

    fn look_up(&mut self, _: Callee, address: &Address) -> Option<SocketAddr> {
        let host = address.host.parse().ok()?;
        Some(SocketAddr::new(host, address.port))
    }

    fn connect(&mut self, address: SocketAddr, patience: Duration) -> io::Result<Stream> {
        let party = Party::Host(self.machine);
        let patience = patience.as_nanos() as u64;
        let stream = Stream::call(&self.network, party, place_of(address), patience);
        stream.ok_or_else(|| ErrorKind::HostUnreachable.into())
    }

    fn has_connected(&mut self, stream: &Stream) -> io::Result<bool> {
        stream.has_connected()
    }

    fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        let accepted = self.network.borrow_mut().accept(self.machine);
        let (connection, caller) = accepted.ok_or(ErrorKind::WouldBlock)?;
        let remote = match caller {
            Party::Host(machine) => address(machine),
            Party::Client(client) => SocketAddr::from(([10, 0, 1, client as u8 + 1], 40_000)),
        };
        let (other, is_told) = match caller {
            Party::Host(machine) => {
                let node = self.network.borrow().machines[machine].node;
                (Other::Node(node), Some(Ear::new(Other::Machine(machine))))
            }
            Party::Client(_) => (Other::Client, None),
        };
        let says = Some(Ear::new(other));
        let network = Rc::clone(&self.network);
        Ok((Stream { network, connection, end: 1, says, is_told }, remote))
    }

    fn prepare(&mut self, stream: &Stream, patience: Duration) -> io::Result<()> {
        let patience = patience.as_nanos() as u64;
        self.network.borrow_mut().set_patience(stream.connection, stream.end, patience);
        Ok(())
    }

    fn register(&mut self, stream: &mut Stream, id: ConnectionId) -> io::Result<()> {
        self.network.borrow_mut().register(stream.connection, stream.end, id.0);
        Ok(())
    }

    fn finish(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.network.borrow_mut().finish(stream.connection, stream.end);
        Ok(())
    }

    fn deregister(&mut self, _: &mut Stream) {}

    fn start_disk(&mut self, workers: Workers) -> io::Result<()> {
        self.workers = Some(workers);
        Ok(())
    }

    fn log(&mut self, work: LogWork) {
        assert!(self.log.replace(work).is_none(), "the log thread has one work at a time");
    }

    fn file(&mut self, work: FileWork) {
        assert!(self.files.replace(work).is_none(), "the file thread has one work at a time");
    }
}
