//! How long a node takes to start on a directory, beside a plain read of the same files.

use std::fs::{File, OpenOptions, read_dir};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use raft_node::config::{self, Overrides};
use raft_node::model::NodeId;
use raft_node::node::{Begin, Exit, Start, run};
use rustix::fs::OFlags;
use rustix::process::{Signal, getpid, kill_process};

/// As much as a start reads at a time.
const READ_BYTES: usize = 1 << 20;

/// What `O_DIRECT` wants addresses and lengths to be multiples of.
const ALIGNMENT: usize = 4096;

/// A start and a plain read.
pub(crate) struct Figures {
    pub(crate) log_bytes: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) read: Duration,
    pub(crate) start: Duration,
}

/// Measures both. Either reads the disk, not the cache.
pub(crate) fn measure(data: &Path) -> Figures {
    let log = files(&data.join("1/log"), "seg");
    let snapshots = files(&data.join("1/snapshots"), "snap");
    // A start loads the newest one; the other one's name alone is looked at.
    let snapshots = &snapshots[snapshots.len().saturating_sub(1)..];
    let begun = Instant::now();
    let mut buffer = vec![0; READ_BYTES + ALIGNMENT];
    let mut read = |paths: &[PathBuf]| paths.iter().map(|path| read(path, &mut buffer)).sum();
    let (log_bytes, snapshot_bytes) = (read(&log), read(snapshots));
    Figures { log_bytes, snapshot_bytes, read: begun.elapsed(), start: start(data) }
}

/// The files with this ending, in the order of their names.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = read_dir(directory).expect("the node made it");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    paths.sort();
    paths
}

/// Reads the file past the cache; tells its length.
fn read(path: &Path, buffer: &mut [u8]) -> u64 {
    let flags = OFlags::DIRECT.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut file: File = opened.expect("the file system has O_DIRECT");
    let shift = buffer.as_ptr().align_offset(ALIGNMENT);
    let room = &mut buffer[shift..shift + READ_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(room).expect("the disk is good") {
            0 => return bytes,
            count => bytes += count as u64,
        }
    }
}

/// Starts a node until it listens, and stops it.
fn start(data: &Path) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let file = format!(
        "[Cluster]\nDataDirectory = {}\n[Nodes]\nNode1 = A\n[Node.A]\nHost = 127.0.0.1\nPort = \
         {port}\n",
        data.display()
    );
    let environment: [(&str, &str); 0] = [];
    let loaded = config::parse("raft.ini", file.as_bytes(), &Overrides::default(), environment)
        .expect("it works");
    let (started, listening) = channel();
    let begun = Instant::now();
    let node = thread::spawn(move || {
        run(Start {
            config: loaded.config,
            me: NodeId::new(1).expect("not 0"),
            config_path: PathBuf::from("raft.ini"),
            overrides: Overrides::default(),
            begin: Begin::Together,
            no_repair: false,
            terminal: false,
            banner: Box::new(move |_| started.send(begun.elapsed()).expect("it is waited for")),
        })
    });
    let took = listening.recv().ok();
    if took.is_some() {
        kill_process(getpid(), Signal::TERM).expect("a process may signal itself");
    }
    match (node.join().expect("it doesn't panic"), took) {
        (Exit::Clean, Some(took)) => took,
        (exit, _) => panic!("the node didn't start or stop: {exit}"),
    }
}
