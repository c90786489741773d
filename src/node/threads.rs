//! The threads beside the event loop: one for the log, one for what is long, and one for each
//! look-up of a host's name, which may take its time.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use mio::Waker;

use super::connection::Callee;
use super::outside::{Report, Workers};
use crate::config::Address;
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
        start_thread("raft-log", move || {
            for work in log_works {
                let begun = Instant::now();
                let result = log_worker(work);
                if !mailbox.send(Report::Log(result, begun.elapsed())) {
                    return;
                }
            }
        })?;
        start_thread("raft-files", move || {
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

/// Starts a thread without which the node can't go on: a panic on it ends the process, as any does
/// where panics abort. Else the others would wait for it for ever.
fn start_thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    struct EndsProcess;
    impl Drop for EndsProcess {
        fn drop(&mut self) {
            if thread::panicking() {
                process::abort();
            }
        }
    }
    let guarded = move || {
        let _guard = EndsProcess;
        body();
    };
    thread::Builder::new().name(name.to_owned()).spawn(guarded).map(drop)
}

/// Looks up where a call is to lead. An address is known at once; a name takes a thread, and the
/// answer comes as a [`Report::Addresses`].
pub(crate) fn look_up(callee: Callee, address: &Address, mailbox: &Mailbox) -> Option<SocketAddr> {
    if let Ok(host) = address.host.parse() {
        return Some(SocketAddr::new(host, address.port));
    }
    let (host, port) = (address.host.clone(), address.port);
    let own = mailbox.clone();
    let spawned = thread::Builder::new().name("raft-names".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        own.send(Report::Addresses(callee, found));
    });
    if let Err(error) = spawned {
        mailbox.send(Report::Addresses(callee, Err(error)));
    }
    None
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// Set in the process that is to end.
    const CHILD: &str = "RAFT_TEST_PANICS";

    #[test]
    fn a_panic_on_a_disk_thread_ends_the_process() {
        if env::var_os(CHILD).is_some() {
            start_thread("raft-log", || panic!("a broken rule")).unwrap();
            thread::sleep(Duration::from_secs(60));
            return;
        }
        let name = "node::threads::tests::a_panic_on_a_disk_thread_ends_the_process";
        let mut child = Command::new(env::current_exe().unwrap());
        let output = child.args(["--exact", name]).env(CHILD, "1").output().unwrap();
        assert_eq!(output.status.signal(), Some(6), "{:?}", output.status);
    }
}
