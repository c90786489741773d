//! A cluster of one node: its driver, and the threads of its disk.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use raft_node::kv::{Command, Machine, Operation};
use raft_node::model::Time;
use raft_node::node::driver::{
    About, ClientId, Driver, DriverInput, DriverOutput, Limits, Notice, Parts,
};
use raft_node::raft::{Config, Raft};
use raft_node::storage::{
    Directory, FileReport, FileWork, LogReport, LogWork, OpenOptions, Opened, RealDisk, Recovered,
    SnapshotSink, SyncMode,
};
use raft_node::wire::{
    FrameReader, Incoming, Reply, ReplyBody, Request, RequestBody, StorageKind, Traffic,
};

use crate::lone_driver::{ADDRESS, ON_REQUEST, founding, member, restored};
use crate::turns::{Turn, mixed, processor_time};

const WRITER: ClientId = ClientId(9);

/// Who asks for snapshots.
const TRIGGER: ClientId = ClientId(10);

pub(crate) const VALUE_BYTES: usize = 100;

/// Writes under way at a time, as of 64 clients with 32 each.
pub(crate) const UNDER_WAY: u64 = 64 * 32;

const ELECTION_TIMEOUT: Duration = Duration::from_millis(500);

/// What the loop is told.
enum Report {
    Log(LogReport, Duration),
    File(FileReport),
}

/// What a measurement found.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) writes: u64,
    pub(crate) took: Duration,
    pub(crate) turns: Vec<Turn>,
    pub(crate) snapshots: u64,
}

impl Figures {
    pub(crate) fn writes_per_second(&self) -> f64 {
        self.writes as f64 / self.took.as_secs_f64()
    }

    /// Of the loop's thread, in nanoseconds.
    pub(crate) fn processor_each(&self) -> f64 {
        let processor: Duration = self.turns.iter().map(|turn| turn.took).sum();
        processor.as_nanos() as f64 / self.writes as f64
    }
}

/// A cluster of one node.
pub(crate) struct Node {
    origin: Instant,
    driver: Driver,
    log: Sender<LogWork>,
    files: Sender<FileWork>,
    threads: [JoinHandle<()>; 2],
    reports: Receiver<Report>,
    inputs: VecDeque<DriverInput>,
    replies: FrameReader,
    last_request: u64,
    /// Writes that were asked for, and those that were answered.
    asked: u64,
    answered: u64,
    /// Snapshots that were finished, and whether one is to follow the other.
    saved: u64,
    is_repeated: bool,
}

fn open(path: &Path) -> Recovered<RealDisk> {
    let options = OpenOptions {
        node: member().id,
        incarnation: member().incarnation,
        seed: 1,
        segment_bytes: 64 << 20,
        sync: SyncMode::Always,
        min_free_bytes: 256 << 20,
    };
    let mut sinks = || -> Box<dyn SnapshotSink> { unreachable!("the directory is new") };
    let opened = Directory::open(RealDisk, path, options, &mut sinks);
    match opened.expect("the directory can be opened") {
        Opened::Unformed(unformed) => unformed.found(&founding()).expect("the disk is good"),
        Opened::Formed(_) => unreachable!("the directory is new"),
    }
}

/// What raft.ini says when it says nothing.
fn config() -> Config {
    Config {
        me: member(),
        election_timeout: ELECTION_TIMEOUT,
        heartbeat_interval: Duration::from_millis(50),
        pre_vote: true,
        check_quorum: true,
        max_inflight_bytes: 16 << 20,
        max_inflight_messages: 4096,
        max_batch_bytes: 64 << 10,
        max_unpersisted_bytes: 64 << 20,
        recent_bytes: 64 << 20,
        max_waiting_reads: 4096,
        keep_entries: 10_000,
    }
}

fn parts(recovered: &Recovered<RealDisk>) -> Parts {
    let about = About {
        me: member(),
        label: "A".to_owned(),
        address: ADDRESS.to_owned(),
        version: "0".to_owned(),
        boot: recovered.boot,
        cluster_name: "raft".to_owned(),
        cluster: recovered.cluster,
        epoch: recovered.epoch,
        storage: StorageKind::Synced,
        election_timeout: ELECTION_TIMEOUT,
        log_bytes: recovered.log_bytes,
        segments: 1,
    };
    Parts {
        about,
        limits: Limits { max_value_bytes: 1 << 20, request_timeout: Duration::from_secs(3600) },
        founding: recovered.founding.clone(),
        raft: Raft::new(config(), restored(recovered), Time::ZERO, 1),
        machine: Machine::new(),
        max_batch_bytes: 4 << 20,
        snapshot_rules: ON_REQUEST,
        snapshots: Vec::new(),
    }
}

/// Starts a thread that does one work after the other.
fn start<W: Send + 'static>(
    reports: &Sender<Report>,
    mut perform: impl FnMut(W) -> Report + Send + 'static,
) -> (Sender<W>, JoinHandle<()>) {
    let (works_in, works) = channel::<W>();
    let reports = reports.clone();
    let thread = thread::spawn(move || {
        for work in works {
            if reports.send(perform(work)).is_err() {
                return;
            }
        }
    });
    (works_in, thread)
}

impl Node {
    /// A node that leads, on a new directory.
    pub(crate) fn leading(path: &Path) -> Node {
        let recovered = open(path);
        let driver = Driver::new(parts(&recovered), Time::ZERO);
        let Recovered { mut writer, mut files, .. } = recovered;
        let (reports_in, reports) = channel();
        let (log, log_thread) = start(&reports_in, move |work| {
            let begun = Instant::now();
            Report::Log(writer.perform(work).expect("the disk is good"), begun.elapsed())
        });
        let (files, file_thread) = start(&reports_in, move |work| {
            Report::File(files.perform(work).expect("the disk is good"))
        });
        let clients = [WRITER, TRIGGER].map(DriverInput::ClientConnected);
        let mut node = Node {
            origin: Instant::now(),
            driver,
            log,
            files,
            threads: [log_thread, file_thread],
            reports,
            inputs: VecDeque::from(clients),
            replies: FrameReader::behind_greeting(Traffic::Replies),
            last_request: 0,
            asked: 0,
            answered: 0,
            saved: 0,
            is_repeated: false,
        };
        while !node.driver.raft().status().committed_in_term {
            node.turn();
        }
        node
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.origin.elapsed().as_nanos() as u64)
    }

    fn ask(&mut self, client: ClientId, body: RequestBody) {
        self.last_request += 1;
        let request = Request { id: self.last_request, timeout_ms: 0, body };
        self.inputs.push_back(DriverInput::Request { client, request });
    }

    fn put(&mut self, key: u64) {
        let (key, value) = (format!("{:016x}", mixed(key)), [key as u8; VALUE_BYTES]);
        let mut command = BytesMut::new();
        let operation = Operation::Put { key: key.as_bytes(), value: &value };
        Command::Change { session: None, operation }.encode(&mut command);
        self.ask(WRITER, RequestBody::Write(command.freeze()));
        self.asked += 1;
    }

    /// Waits for something to do, does it, and measures that alone.
    fn turn(&mut self) -> Turn {
        let mut reports = Vec::new();
        if self.inputs.is_empty() {
            let due = self.driver.deadline().map(|due| due.since(self.now()));
            match self.reports.recv_timeout(due.unwrap_or(ELECTION_TIMEOUT)) {
                Ok(report) => reports.push(report),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the node holds the threads"),
            }
        }
        let before = self.driver.machine().applied().index;
        let (now, start) = (self.now(), processor_time());
        reports.extend(self.reports.try_iter());
        for report in reports {
            self.driver.handle(
                now,
                match report {
                    Report::Log(report, took) => DriverInput::LogDone { report, took },
                    Report::File(report) => DriverInput::FileDone(report),
                },
            );
        }
        for input in self.inputs.drain(..) {
            self.driver.handle(now, input);
        }
        self.driver.handle(now, DriverInput::Tick);
        let (mut is_saved, mut answers) = (false, Vec::new());
        while let Some(output) = self.driver.poll() {
            match output {
                DriverOutput::Log(work) => self.log.send(work).expect("the thread lives"),
                DriverOutput::File(work) => self.files.send(work).expect("the thread lives"),
                DriverOutput::ToClient { client, replies } => {
                    let bytes = replies.len();
                    if client == WRITER {
                        answers.push(replies);
                    }
                    self.driver.handle(now, DriverInput::ClientSent { client, bytes });
                }
                DriverOutput::Notice(Notice::SnapshotSaved { .. }) => is_saved = true,
                DriverOutput::Halt(halt) => panic!("the node can't go on: {halt:?}"),
                _ => {}
            }
        }
        let took = processor_time() - start;
        answers.iter().for_each(|replies| self.count(replies));
        if is_saved {
            self.saved += 1;
            if self.is_repeated {
                self.ask(TRIGGER, RequestBody::TakeSnapshot);
            }
        }
        Turn { took, applied: self.driver.machine().applied().index.0 - before.0 }
    }

    /// Counts replies to writes.
    fn count(&mut self, replies: &[u8]) {
        let mut rest = replies;
        loop {
            while let Some(frame) = self.replies.frame().expect("a driver sends good frames") {
                match frame.decode() {
                    Ok(Incoming::Reply(Reply { body: ReplyBody::Done { .. }, .. })) => {
                        self.answered += 1;
                    }
                    other => panic!("a write was not carried out: {other:?}"),
                }
            }
            if rest.is_empty() {
                return;
            }
            self.replies.fill(&mut rest, usize::MAX).expect("memory can be read");
        }
    }

    /// Writes, as many at a time as may be under way, until it is `enough`, and until all of them
    /// are answered.
    pub(crate) fn write(
        &mut self,
        mut key: impl FnMut(u64) -> u64,
        enough: impl Fn(&Figures) -> bool,
    ) -> Figures {
        let (begun, saved, mut figures) = (Instant::now(), self.saved, Figures::default());
        let first = self.answered;
        let mut is_over = false;
        while !is_over || self.asked > self.answered {
            for _ in self.asked - self.answered..UNDER_WAY {
                if !is_over {
                    self.put(key(self.asked));
                }
            }
            let turn = self.turn();
            figures.turns.push(turn);
            figures.writes = self.answered - first;
            figures.took = begun.elapsed();
            figures.snapshots = self.saved - saved;
            is_over = is_over || enough(&figures);
        }
        figures
    }

    /// Writes to random keys for so long, and if snapshots are made, until one is finished.
    pub(crate) fn overwrite(
        &mut self,
        keys: u64,
        wanted: Duration,
        with_snapshots: bool,
    ) -> Figures {
        self.is_repeated = with_snapshots;
        if with_snapshots {
            self.ask(TRIGGER, RequestBody::TakeSnapshot);
        }
        let least = u64::from(with_snapshots);
        let key = |place: u64| mixed(place + 1) % keys;
        let found = self.write(key, |now| now.took >= wanted && now.snapshots >= least);
        if with_snapshots {
            self.is_repeated = false;
            self.wait_for_snapshot();
        }
        found
    }

    /// Takes a snapshot while nobody writes.
    pub(crate) fn take_snapshot(&mut self) {
        self.ask(TRIGGER, RequestBody::TakeSnapshot);
        self.wait_for_snapshot();
    }

    fn wait_for_snapshot(&mut self) {
        let last = self.saved + 1;
        while self.saved < last {
            self.turn();
        }
    }

    /// Leaves the directory as a process does that is killed.
    pub(crate) fn end(self) {
        let Node { log, files, threads, .. } = self;
        drop((log, files));
        for thread in threads {
            thread.join().expect("it doesn't panic");
        }
    }
}
