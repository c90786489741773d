//! How long a node takes to start on a directory, beside a plain read of the same files.

use std::fs::{self, File, OpenOptions, read_dir};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};

use crate::node::Node;
use crate::turns::mixed;

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
    /// What the start has used of the processors.
    pub(crate) processor: Duration,
}

/// Leaves two snapshots, and so many bytes of log behind the older one.
pub(crate) fn prepare(node: &mut Node, data: &Path, keys: u64, log_bytes: u64) {
    for _ in 0..2 {
        node.take_snapshot();
    }
    let length = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
    let log = data.join("1/log");
    node.write(
        |place| mixed(place + 1) % keys,
        |now| {
            let is_time = now.turns.len() % 256 == 0;
            is_time && files(&log, "seg").iter().map(length).sum::<u64>() >= log_bytes
        },
    );
}

/// Measures both. Either reads the disk, not the cache.
pub(crate) fn measure(data: &Path) -> Figures {
    let log = files(&data.join("1/log"), "seg");
    let snapshots = files(&data.join("1/snapshots"), "snap");
    // A start loads the newest one; the other one's head and foot alone are looked at.
    let snapshots = &snapshots[snapshots.len().saturating_sub(1)..];
    let begun = Instant::now();
    let mut buffer = vec![0; READ_BYTES + ALIGNMENT];
    let mut read = |paths: &[PathBuf]| paths.iter().map(|path| read(path, &mut buffer)).sum();
    let (log_bytes, snapshot_bytes) = (read(&log), read(snapshots));
    let read = begun.elapsed();
    let (start, processor) = start(data);
    Figures { log_bytes, snapshot_bytes, read, start, processor }
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

/// Starts a node, as a process of its own, until it says that it listens, and stops it. Tells how
/// long it took, and how much of the processors.
fn start(data: &Path) -> (Duration, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();
    drop(listener);
    let file = data.join("raft.ini");
    let text = format!(
        "[Cluster]\nDataDirectory = {}\n[Nodes]\nNode1 = A\n[Node.A]\nHost = 127.0.0.1\nPort = \
         {port}\n",
        data.display()
    );
    fs::write(&file, text).expect("there is room");
    let begun = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
    command.arg("-c").arg(&file).args(["-n", "1"]).stderr(Stdio::piped());
    let mut node = command.spawn().expect("it was built");
    let mut said = BufReader::new(node.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("listening on") {
        line.clear();
        let bytes = said.read_line(&mut line).expect("it says what it does in UTF-8");
        assert!(bytes > 0, "the node didn't start: {:?}", node.wait());
    }
    let (took, processor) = (begun.elapsed(), processor_time_of(node.id()));
    kill_process(Pid::from_child(&node), Signal::TERM).expect("it is a child");
    let mut rest = Vec::new();
    said.read_to_end(&mut rest).expect("a pipe can be read");
    let status = node.wait().expect("it is a child");
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&rest));
    (took, processor)
}

/// What all threads of a process have used of the processors, to 10 ms.
fn processor_time_of(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux has it");
    let (_, fields) = text.rsplit_once(')').expect("the name stands in brackets");
    let ticks = fields.split(' ').skip(12).take(2).map(|field| field.parse::<u64>());
    let ticks: u64 = ticks.map(|ticks| ticks.expect("times are numbers")).sum();
    Duration::from_millis(ticks * 10)
}
