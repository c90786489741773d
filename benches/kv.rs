//! What the state machine costs: applying writes, and reading pages from a view.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use raft_node::kv::{Command, Machine, Operation, Query, Scan, SessionId, SessionPart, State};
use raft_node::model::{Batch, BatchBuilder, EntryHeader, EntryKind, LogId, LogTime, Term};

/// The allocator of `raft`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Keys that a machine holds before anything is measured.
const KEYS: u64 = 100_000;

const VALUE_BYTES: usize = 256;

/// Entries that are encoded at a time, outside of what is measured.
const BATCH_ENTRIES: u64 = 4096;

/// A machine and what its log would hold next.
struct Log {
    machine: Machine,
    builder: BatchBuilder,
    random: u64,
    answer: BytesMut,
}

impl Log {
    fn filled() -> Log {
        let mut log = Log {
            machine: Machine::new(),
            builder: BatchBuilder::default(),
            random: 0x2545_f491_4f6c_dd1d,
            answer: BytesMut::new(),
        };
        let mut number = 0;
        while number < KEYS {
            let batch = log.batch(
                |_| {
                    number += 1;
                    key(number - 1)
                },
                None,
            );
            log.apply(&batch);
        }
        log
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// The next entries: puts of the keys that `choose` makes of random numbers.
    fn batch(
        &mut self,
        mut choose: impl FnMut(u64) -> [u8; 16],
        session: Option<SessionId<'_>>,
    ) -> Batch {
        let applied = self.machine.applied().index;
        let mut command = Vec::new();
        for entry in 1..=BATCH_ENTRIES {
            let index = applied + entry;
            let key = choose(self.random());
            let value = [index.0 as u8; VALUE_BYTES];
            let session = session.map(|id| {
                let lowest = index.0.saturating_sub(64).max(1);
                SessionPart { id, number: index.0, lowest }
            });
            let operation = Operation::Put { key: &key, value: &value };
            command.clear();
            Command::Change { session, operation }.encode(&mut command);
            let id = LogId::new(Term(1), index);
            let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(index.0) };
            self.builder.push(header, &command);
        }
        self.builder.take().expect("there are entries")
    }

    fn apply(&mut self, batch: &Batch) {
        for entry in batch.iter() {
            self.answer.clear();
            let applied = self.machine.apply(entry, &mut self.answer).expect("a good command");
            black_box(applied);
        }
    }
}

fn key(number: u64) -> [u8; 16] {
    let text = format!("user:{number:011}");
    *text.as_bytes().first_chunk().expect("it has 16 bytes")
}

/// The time that applying `entries` entries takes, each batch made by `make` before.
fn apply_time(log: &mut Log, entries: u64, mut make: impl FnMut(&mut Log) -> Batch) -> Duration {
    let mut left = entries;
    let mut took = Duration::ZERO;
    while left > 0 {
        let batch = make(log);
        let batch = batch
            .slice(batch.first().index, batch.first().index + (left.min(BATCH_ENTRIES) - 1))
            .expect("it has entries");
        left -= batch.len() as u64;
        let start = Instant::now();
        log.apply(&batch);
        took += start.elapsed();
    }
    took
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply");
    group.throughput(Throughput::Elements(1));
    let existing = |random: u64| key(random % KEYS);
    group.bench_function("put_existing", |bencher| {
        let mut log = Log::filled();
        bencher
            .iter_custom(|entries| apply_time(&mut log, entries, |log| log.batch(existing, None)));
    });
    group.bench_function("put_new", |bencher| {
        let mut log = Log::filled();
        bencher.iter_custom(|entries| {
            apply_time(&mut log, entries, |log| {
                log.batch(|random| key(random % 10_000_000_000), None)
            })
        });
    });
    group.bench_function("put_existing_in_session", |bencher| {
        let id = SessionId { name: b"bench", opened_at: LogTime(1) };
        let mut log = Log::filled();
        open_session(&mut log, id);
        bencher.iter_custom(|entries| {
            apply_time(&mut log, entries, |log| log.batch(existing, Some(id)))
        });
    });
    group.bench_function("put_existing_beside_views", |bencher| {
        let mut log = Log::filled();
        let mut view: Option<State> = None;
        bencher.iter_custom(|entries| {
            apply_time(&mut log, entries, |log| {
                view = Some(log.machine.view());
                log.batch(existing, None)
            })
        });
        drop(view);
    });
    group.finish();
}

fn open_session(log: &mut Log, id: SessionId<'_>) {
    let mut command = Vec::new();
    Command::OpenSession(id).encode(&mut command);
    let index = log.machine.applied().index.next();
    let header = EntryHeader {
        kind: EntryKind::COMMAND,
        id: LogId::new(Term(1), index),
        time: LogTime(index.0),
    };
    log.builder.push(header, &command);
    let batch = log.builder.take().expect("there is an entry");
    log.apply(&batch);
}

fn read(criterion: &mut Criterion) {
    let mut log = Log::filled();
    let mut group = criterion.benchmark_group("read");
    group.bench_function("view", |bencher| bencher.iter(|| black_box(log.machine.view())));
    for (name, keys_only) in [("scan_1000", false), ("scan_1000_keys_only", true)] {
        group.throughput(Throughput::Elements(1000));
        group.bench_function(name, |bencher| {
            let mut answer = BytesMut::new();
            let mut query = Vec::new();
            bencher.iter(|| {
                let from = key(log.random() % (KEYS - 1000));
                query.clear();
                answer.clear();
                Query::Scan(Scan {
                    prefix: b"user:",
                    from: &from,
                    limit: 1000,
                    keys_only,
                    ..Scan::ALL
                })
                .encode(&mut query);
                log.machine.view().query(&query, &mut answer).expect("a good query");
                black_box(answer.len())
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("get", |bencher| {
        let mut answer = BytesMut::new();
        let mut query = Vec::new();
        bencher.iter(|| {
            let key = key(log.random() % KEYS);
            query.clear();
            answer.clear();
            Query::Get { keys: vec![&key] }.encode(&mut query);
            log.machine.query(&query, &mut answer).expect("a good query");
            black_box(answer.len())
        });
    });
    group.finish();
}

criterion_group!(benches, apply, read);
criterion_main!(benches);
