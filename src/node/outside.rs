//! What is around a node: sockets, clocks, chance and the threads of its disk.
//!
//! The shell knows these by [`Outside`] alone. The event loop is one such outside, made of the
//! operating system; a simulator is another one.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::connection::{Callee, ConnectionId};
use crate::config::Address;
use crate::model::{LogTime, Time};
use crate::storage::{FileReport, FileWork, LogReport, LogWork, StorageError};

/// What the shell asks of the world around it. Nothing here waits.
pub trait Outside {
    /// Both directions of a connection. Reading and writing end with `WouldBlock` where they
    /// would wait.
    type Stream: Read + Write;

    /// The time since some moment before the start, by a clock that only goes forward.
    fn now(&self) -> Time;

    /// The wall time, from which log time starts.
    fn wall_time(&self) -> LogTime;

    /// Random bits.
    fn random(&mut self) -> u128;

    /// Where an address to be called leads, if that is known at once; else a
    /// [`Report::Addresses`] follows.
    fn look_up(&mut self, callee: Callee, address: &Address) -> Option<SocketAddr>;

    /// Begins to connect. What was sent and isn't acknowledged for `patience` ends the connection.
    fn connect(&mut self, address: SocketAddr, patience: Duration) -> io::Result<Self::Stream>;

    /// Whether a connection that was begun has come about.
    fn has_connected(&mut self, stream: &Self::Stream) -> io::Result<bool>;

    /// The next connection that somebody else has begun.
    fn accept(&mut self) -> io::Result<(Self::Stream, SocketAddr)>;

    /// Sets the patience of an accepted connection.
    fn prepare(&mut self, stream: &Self::Stream, patience: Duration) -> io::Result<()>;

    /// What happens to the stream is told under this name from now on.
    fn register(&mut self, stream: &mut Self::Stream, id: ConnectionId) -> io::Result<()>;

    /// Nothing more will be written to the stream; the other side may go on.
    fn finish(&mut self, stream: &mut Self::Stream) -> io::Result<()>;

    /// The stream is about to be closed.
    fn deregister(&mut self, stream: &mut Self::Stream);

    /// Takes over what works on the disk: once, when the node has a log.
    fn start_disk(&mut self, workers: Workers) -> io::Result<()>;

    /// Gives this to the log thread, which has nothing else; a [`Report::Log`] follows.
    fn log(&mut self, work: LogWork);

    /// Gives this to the file thread, which has nothing else; a [`Report::File`] follows.
    fn file(&mut self, work: FileWork);
}

/// What is reported to the shell.
#[derive(Debug)]
pub enum Report {
    /// The log thread has done its work, and how long that took.
    Log(Result<LogReport, StorageError>, Duration),
    /// The file thread has done its work.
    File(Result<FileReport, StorageError>),
    /// Where a name that is to be called leads.
    Addresses(Callee, io::Result<Vec<SocketAddr>>),
}

/// What the log thread does with each work.
pub type LogWorker = dyn FnMut(LogWork) -> Result<LogReport, StorageError> + Send;

/// What the file thread does with each work.
pub type FileThreadWorker = dyn FnMut(FileWork) -> Result<FileReport, StorageError> + Send;

/// What works on an open directory: each a function of work alone, to be called by one thread.
pub struct Workers {
    /// The log thread's part.
    pub log: Box<LogWorker>,
    /// The file thread's part.
    pub files: Box<FileThreadWorker>,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

/// What has happened to a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Readiness {
    /// There may be something to read, an end or an error included.
    pub readable: bool,
    /// It may take something; of one that was begun: its connecting has ended.
    pub writable: bool,
}
