//! What frames cost: sending and receiving 64 KiB of entries, and the small ones of clients.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use raft_node::model::{
    Append, Batch, BatchBuilder, EntryHeader, EntryKind, Index, LogId, LogTime, Term,
};
use raft_node::wire::{
    FrameReader, MAX_BULK_FRAME_BYTES, Traffic, encode_append_head, encode_done, encode_write,
    split_append,
};

/// The allocator of `raft`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const TERM: Term = Term(3);

/// A put of a 256-byte value under a 16-byte key.
const COMMAND_BYTES: usize = 2 + 4 + 16 + 4 + 256;

/// Requests and replies in one turn of a busy node.
const TURN: u64 = 64;

/// One frame full of entries.
fn full_frame() -> Append {
    let mut builder = BatchBuilder::default();
    let mut index = Index(0);
    while builder.bytes_len() < 2 * MAX_BULK_FRAME_BYTES {
        index = index.next();
        let id = LogId::new(TERM, index);
        let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(1) };
        builder.push(header, &[7; COMMAND_BYTES]);
    }
    let batch = builder.take().expect("there are entries");
    split_append(LogId::ORIGIN, Index(0), batch).next().expect("there is a first frame")
}

fn entries(append: &Append) -> Batch {
    append.batch.clone().expect("it was made of entries")
}

fn read_all(reader: &mut FrameReader, mut stream: &[u8]) {
    while !stream.is_empty() {
        reader.fill(&mut stream, usize::MAX).expect("a slice has no errors");
        while let Some(frame) = reader.frame().expect("the frames are sound") {
            black_box(frame.decode().expect("the frames are sound"));
        }
    }
}

fn append(criterion: &mut Criterion) {
    let append = full_frame();
    let bytes = entries(&append).bytes();
    let mut stream = BytesMut::new();
    encode_append_head(TERM, &append, &mut stream);
    stream.extend_from_slice(&bytes);

    let mut group = criterion.benchmark_group("append_64_kib");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    let mut heads = BytesMut::new();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            encode_append_head(TERM, &append, &mut heads);
            let queued: (Bytes, Bytes) = (heads.split().freeze(), entries(&append).bytes());
            black_box(queued)
        });
    });
    let mut reader = FrameReader::behind_greeting(Traffic::Peers);
    group.bench_function("decode", |bencher| {
        bencher.iter(|| read_all(&mut reader, &stream));
    });
    group.finish();
}

fn clients(criterion: &mut Criterion) {
    let command = [7; COMMAND_BYTES];
    let at = LogId::new(TERM, Index(9));
    let mut out = BytesMut::new();
    let mut group = criterion.benchmark_group("clients");
    group.throughput(Throughput::Elements(TURN));
    group.bench_function("encode_reply", |bencher| {
        bencher.iter(|| {
            out.clear();
            for id in 0..TURN {
                encode_done(id, at, &[1; 9], &mut out);
            }
            black_box(out.len())
        });
    });
    let mut stream = BytesMut::new();
    for id in 0..TURN {
        encode_write(id, 5_000, &command, &mut stream);
    }
    let mut reader = FrameReader::behind_greeting(Traffic::Requests);
    group.bench_function("decode_request", |bencher| {
        bencher.iter(|| read_all(&mut reader, &stream));
    });
    group.finish();
}

criterion_group!(benches, append, clients);
criterion_main!(benches);
