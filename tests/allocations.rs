//! How often memory is allocated for a write once a node has warmed up: counted, and held.

mod lone_driver;

use std::path::Path;
use std::time::Duration;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use raft_node::kv::{Command, Machine, Operation};
use raft_node::model::Time;
use raft_node::node::driver::{About, ClientId, Driver, DriverInput, DriverOutput, Limits, Parts};
use raft_node::raft::{Config, Raft};
use raft_node::storage::{
    Directory, FileWorker, LogWork, LogWriter, MemoryDisk, OpenOptions, Opened, Recovered,
    SnapshotSink, SyncMode,
};
use raft_node::wire::{Request, RequestBody, StorageKind};

use lone_driver::{ADDRESS, ON_REQUEST, founding, member, restored};

const CLIENT: ClientId = ClientId(9);

/// Writes before anything is counted.
const WARM_UP: u64 = 20_000;

/// Writes that are counted.
const COUNTED: u64 = 20_000;

/// How many keys there are; each is written again and again.
const KEYS: u64 = 500;

/// A cluster of one node.
struct Node {
    now: Time,
    driver: Driver,
    writer: LogWriter<MemoryDisk>,
    files: FileWorker<MemoryDisk>,
    log_works: Vec<LogWork>,
    last_request: u64,
    answered: u64,
    /// Allocations of the driver, and of the log thread.
    counts: [u64; 2],
}

fn open() -> Recovered<MemoryDisk> {
    let options = OpenOptions {
        node: member().id,
        incarnation: member().incarnation,
        seed: 1,
        segment_bytes: 16 << 20,
        sync: SyncMode::Always,
        min_free_bytes: 0,
    };
    let disk = MemoryDisk::default();
    let mut sinks = || -> Box<dyn SnapshotSink> { unreachable!("the disk is new") };
    let opened = Directory::open(disk, Path::new("/data"), options, &mut sinks);
    match opened.expect("the disk is good") {
        Opened::Unformed(unformed) => unformed.found(&founding()).expect("the disk is good"),
        Opened::Formed(_) => unreachable!("the disk is new"),
    }
}

fn config() -> Config {
    Config {
        me: member(),
        election_timeout: Duration::from_millis(100),
        heartbeat_interval: Duration::from_millis(10),
        pre_vote: true,
        check_quorum: true,
        max_inflight_bytes: 1 << 20,
        max_inflight_messages: 64,
        max_batch_bytes: 64 << 10,
        max_unpersisted_bytes: 16 << 20,
        recent_bytes: 1 << 20,
        max_waiting_reads: 100,
        keep_entries: 0,
    }
}

fn about(recovered: &Recovered<MemoryDisk>) -> About {
    About {
        me: member(),
        label: "A".to_owned(),
        address: ADDRESS.to_owned(),
        version: "0".to_owned(),
        boot: recovered.boot,
        cluster_name: "raft".to_owned(),
        cluster: recovered.cluster,
        epoch: recovered.epoch,
        storage: StorageKind::Memory,
        election_timeout: Duration::from_millis(100),
        log_bytes: recovered.log_bytes,
        segments: 1,
    }
}

impl Node {
    fn leading() -> Node {
        let recovered = open();
        let about = about(&recovered);
        let parts = Parts {
            about,
            limits: Limits { max_value_bytes: 64 << 10, request_timeout: Duration::from_secs(10) },
            founding: recovered.founding.clone(),
            raft: Raft::new(config(), restored(&recovered), Time::ZERO, 1),
            machine: Machine::new(),
            max_batch_bytes: 1 << 20,
            snapshot_rules: ON_REQUEST,
            snapshots: Vec::new(),
        };
        let mut node = Node {
            now: Time::ZERO,
            driver: Driver::new(parts, Time::ZERO),
            writer: recovered.writer,
            files: recovered.files,
            log_works: Vec::with_capacity(8),
            last_request: 0,
            answered: 0,
            counts: [0; 2],
        };
        node.driver.handle(Time::ZERO, DriverInput::ClientConnected(CLIENT));
        while node.driver.raft().leads().is_none() || node.driver.machine().applied().index.0 < 3 {
            node.turn(&mut Vec::new());
        }
        node
    }

    /// The request that puts the next key.
    fn put(&mut self) -> DriverInput {
        self.last_request += 1;
        let (key, value) = (format!("key-{:06}", self.last_request % KEYS), [b'v'; 100]);
        let mut command = BytesMut::new();
        let operation = Operation::Put { key: key.as_bytes(), value: &value };
        Command::Change { session: None, operation }.encode(&mut command);
        let body = RequestBody::Write(command.freeze());
        let request = Request { id: self.last_request, timeout_ms: 0, body };
        DriverInput::Request { client: CLIENT, request }
    }

    /// What the log thread had is done, `inputs` come, and all that follows is carried out.
    fn turn(&mut self, inputs: &mut Vec<DriverInput>) {
        self.now = self.now + Duration::from_micros(100);
        let mut reports = Vec::with_capacity(8);
        let written = measure(|| {
            for work in self.log_works.drain(..) {
                reports.push(self.writer.perform(work).expect("the disk is good"));
            }
        });
        let mut replies: Vec<Bytes> = Vec::with_capacity(8);
        let mut file_works = Vec::with_capacity(8);
        let carried = measure(|| {
            for report in reports.drain(..) {
                let took = Duration::ZERO;
                self.driver.handle(self.now, DriverInput::LogDone { report, took });
            }
            for input in inputs.drain(..) {
                self.driver.handle(self.now, input);
            }
            self.driver.handle(self.now, DriverInput::Tick);
            while let Some(output) = self.driver.poll() {
                match output {
                    DriverOutput::Log(work) => self.log_works.push(work),
                    DriverOutput::File(work) => file_works.push(work),
                    DriverOutput::ToClient { replies: piece, .. } => replies.push(piece),
                    _ => {}
                }
            }
            for piece in replies.drain(..) {
                let (client, bytes) = (CLIENT, piece.len());
                drop(piece);
                self.driver.handle(self.now, DriverInput::ClientSent { client, bytes });
                self.answered += 1;
            }
        });
        for work in file_works {
            let report = self.files.perform(work).expect("the disk is good");
            self.driver.handle(self.now, DriverInput::FileDone(report));
        }
        self.counts[0] += carried.count_total;
        self.counts[1] += written.count_total;
    }

    /// Puts one batch of `depth` after the other, and gives the allocations for each put.
    fn allocations_per_put(&mut self, depth: u64) -> [f64; 2] {
        for puts in [WARM_UP, COUNTED] {
            self.counts = [0; 2];
            for _ in 0..puts / depth {
                let mut inputs: Vec<DriverInput> = (0..depth).map(|_| self.put()).collect();
                let last = self.driver.machine().applied().index.0 + depth;
                while self.driver.machine().applied().index.0 < last {
                    self.turn(&mut inputs);
                }
            }
        }
        self.counts.map(|count| count as f64 / COUNTED as f64)
    }
}

#[test]
fn a_put_costs_few_allocations_once_a_node_has_warmed_up() {
    for (depth, most) in [(1, [4.1, 0.01]), (32, [0.3, 0.01])] {
        let found = Node::leading().allocations_per_put(depth);
        println!("depth {depth}: {:.2} of the driver, {:.2} of the log thread", found[0], found[1]);
        assert!(found[0] <= most[0] && found[1] <= most[1], "depth {depth}: {found:?} of {most:?}");
    }
}
