//! The threads beside the event loop: one for the log, one for what is long, and one for each
//! look-up of a host's name, which may take its time.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use mio::Waker;

use super::outside::{Report, Workers};
use crate::config::Address;
use crate::model::NodeId;
use crate::storage::{FileWork, LogWork};

/// Where reports go, and what wakes the event loop for them.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) reports: Sender<Report>,
    pub(crate) waker: Arc<Waker>,
}

impl Mailbox {
    /// Says whether anybody is left to read it.
    fn send(&self, report: Report) -> bool {
        // A waker fails only where the loop is gone, too.
        self.reports.send(report).is_ok() && self.waker.wake().is_ok()
    }
}

/// The two threads of the disk. Each gets one work at a time.
pub(crate) struct DiskThreads {
    log: Sender<LogWork>,
    files: Sender<FileWork>,
}

impl DiskThreads {
    /// Starts both. They end when this is dropped and their work is done.
    pub(crate) fn start(workers: Workers, mailbox: Mailbox) -> io::Result<DiskThreads> {
        let Workers { log: mut log_worker, files: mut file_worker } = workers;
        let (log, log_works) = channel::<LogWork>();
        let (files, file_works) = channel::<FileWork>();
        let file_mailbox = mailbox.clone();
        thread::Builder::new().name("raft-log".to_owned()).spawn(move || {
            for work in log_works {
                let begun = Instant::now();
                let result = log_worker(work);
                if !mailbox.send(Report::Log(result, begun.elapsed())) {
                    return;
                }
            }
        })?;
        thread::Builder::new().name("raft-files".to_owned()).spawn(move || {
            for work in file_works {
                let result = file_worker(work);
                if !file_mailbox.send(Report::File(result)) {
                    return;
                }
            }
        })?;
        Ok(DiskThreads { log, files })
    }

    pub(crate) fn log(&self, work: LogWork) {
        // The thread ends with the process only; its last words are in the mailbox.
        let _ = self.log.send(work);
    }

    pub(crate) fn file(&self, work: FileWork) {
        let _ = self.files.send(work);
    }
}

/// Looks up where a node is reached. An address is known at once; a name takes a thread, and the
/// answer comes as a [`Report::Addresses`].
pub(crate) fn look_up(id: NodeId, address: &Address, mailbox: &Mailbox) -> Option<SocketAddr> {
    if let Ok(host) = address.host.parse() {
        return Some(SocketAddr::new(host, address.port));
    }
    let (host, port) = (address.host.clone(), address.port);
    let own = mailbox.clone();
    let spawned = thread::Builder::new().name("raft-names".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        own.send(Report::Addresses(id, found));
    });
    if let Err(error) = spawned {
        mailbox.send(Report::Addresses(id, Err(error)));
    }
    None
}
