//! What a large state costs: resident bytes per key, and the processor's time to make it, to write
//! it as the content of a snapshot and to load it.
//!
//! `cargo bench --bench state_size -- 10000000` for so many keys; without a number, a million.
//! Each way to make the state runs in a process of its own, so that its memory is its own.
//!
//! `cargo bench --bench state_size -- turns 10000000` measures what an image of the state adds to a
//! turn of the event loop, without what the machine takes away from it meanwhile.

use std::process::Command as Process;
use std::time::Duration;
use std::{env, fs, process};

use bytes::BytesMut;
use mimalloc::MiMalloc;
use raft_node::kv::{Command, Loader, Machine, Operation};
use raft_node::model::{
    Batch, BatchBuilder, EntryHeader, EntryKind, LogId, LogTime, MAX_PIECE_BYTES, Term,
};
use rustix::time::{ClockId, clock_gettime};

/// The allocator of `raft`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const VALUE_BYTES: usize = 100;

/// Entries that are encoded at a time, outside of what is measured.
const BATCH_ENTRIES: u64 = 4096;

/// The order in which keys are written.
#[derive(Clone, Copy)]
enum Order {
    Random,
    Ascending,
    Descending,
}

impl Order {
    const ALL: [(&str, Order); 3] = [
        ("random", Order::Random),
        ("ascending", Order::Ascending),
        ("descending", Order::Descending),
    ];

    /// The key that is written at this place: 16 bytes, another one for each place.
    fn key(self, place: u64) -> [u8; 16] {
        let text = match self {
            Order::Random => format!("{:016x}", mixed(place)),
            Order::Ascending => format!("{place:016}"),
            Order::Descending => format!("{:016}", u64::from(u32::MAX) - place),
        };
        *text.as_bytes().first_chunk().expect("it has 16 bytes")
    }
}

/// A permutation of the numbers of 64 bits.
fn mixed(mut number: u64) -> u64 {
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        number = (number ^ (number >> 30)).wrapping_mul(factor);
    }
    number ^ (number >> 31)
}

/// A machine and what its log would hold next.
#[derive(Default)]
struct Log {
    machine: Machine,
    builder: BatchBuilder,
    answer: BytesMut,
}

impl Log {
    /// Puts so many keys and gives the time that applying took.
    fn put(&mut self, count: u64, mut key: impl FnMut(u64) -> [u8; 16]) -> Duration {
        let mut took = Duration::ZERO;
        let mut place = 0;
        while place < count {
            let next = count.min(place + BATCH_ENTRIES);
            let batch = self.batch((place..next).map(&mut key));
            place = next;
            let start = processor_time();
            for entry in batch.iter() {
                self.answer.clear();
                self.machine.apply(entry, &mut self.answer).expect("a good command");
            }
            took += processor_time() - start;
        }
        took
    }

    fn batch(&mut self, keys: impl Iterator<Item = [u8; 16]>) -> Batch {
        let mut command = Vec::new();
        let mut index = self.machine.applied().index;
        for key in keys {
            index = index.next();
            let value = [index.0 as u8; VALUE_BYTES];
            command.clear();
            let operation = Operation::Put { key: &key, value: &value };
            Command::Change { session: None, operation }.encode(&mut command);
            let id = LogId::new(Term(1), index);
            let header = EntryHeader { kind: EntryKind::COMMAND, id, time: LogTime(index.0) };
            self.builder.push(header, &command);
        }
        self.builder.take().expect("there are entries")
    }
}

/// What this thread has used of the processor: other programs don't lengthen it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The resident memory of this process, in bytes.
fn resident_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.expect("the second number is the resident pages") as f64 * 4096.0
}

fn nanoseconds_each(took: Duration, count: u64) -> f64 {
    took.as_nanos() as f64 / count as f64
}

fn measure(name: &str, order: Order, keys: u64) {
    let each = |bytes: f64| bytes / keys as f64;
    let start = resident_bytes();
    let mut log = Log::default();
    let took = log.put(keys, |place| order.key(place));
    let filled = resident_bytes();
    println!(
        "{name}: {:.0} ns for a put, {:.1} resident bytes for a key",
        nanoseconds_each(took, keys),
        each(filled - start)
    );

    let (mut image, mut loader) = (log.machine.image(), Loader::new());
    let (mut written, mut loaded, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
    let mut piece = BytesMut::new();
    let mut more = true;
    while more {
        piece.clear();
        let start = processor_time();
        more = image.next(&mut piece, MAX_PIECE_BYTES);
        written += processor_time() - start;
        bytes += piece.len();
        let start = processor_time();
        loader.take(&piece).expect("a good image");
        loaded += processor_time() - start;
    }
    let copy = loader.finish().expect("a whole image");
    println!(
        "  snapshot: {:.1} bytes for a key; {:.0} ns to write it, {:.0} ns to load it; {:.1} \
         resident bytes for a loaded key",
        each(bytes as f64),
        nanoseconds_each(written, keys),
        nanoseconds_each(loaded, keys),
        each(resident_bytes() - filled)
    );

    // Otherwise the first puts would be beside an image as well.
    drop(image);
    let puts = keys / 10;
    let random = |place: u64| order.key(mixed(place + 1) % keys);
    let alone = log.put(puts, random);
    let before = resident_bytes();
    let view = log.machine.view();
    let beside = log.put(puts, random);
    println!(
        "  puts of a tenth of the keys: {:.0} ns each; beside an image {:.0} ns and {:.0} resident \
         bytes more for each",
        nanoseconds_each(alone, puts),
        nanoseconds_each(beside, puts),
        (resident_bytes() - before) / puts as f64
    );
    drop((view, copy));
}

/// How many turns are measured behind an image, of how many entries each: as many as the event loop
/// applies in one.
const TURNS: u64 = 200;
const TURN_ENTRIES: u64 = 512;

/// How often the same turns are measured.
const TIMES: usize = 15;

/// Measures the same turns again and again, without an image and with one that is taken in the first
/// of them. What keeps a turn from the processor hits another one each time, so the shortest time of
/// each turn is its own; that of the longest turn counts.
fn measure_turns(keys: u64) {
    let mut log = Log::default();
    log.put(keys, |place| Order::Random.key(place));
    let mut shortest = [vec![Duration::MAX; TURNS as usize], vec![Duration::MAX; TURNS as usize]];
    for _ in 0..TIMES {
        for (has_image, shortest) in shortest.iter_mut().enumerate() {
            let mut image = None;
            for (turn, shortest) in (0..).zip(shortest.iter_mut()) {
                let start = processor_time();
                if has_image == 1 && turn == 0 {
                    image = Some(log.machine.image());
                }
                let took = processor_time() - start;
                let first = turn * TURN_ENTRIES;
                let random = |place| Order::Random.key(mixed(first + place + 1) % keys);
                *shortest = (*shortest).min(took + log.put(TURN_ENTRIES, random));
            }
            drop(image);
        }
    }
    let [without, with] = shortest;
    let longest = |turns: &[Duration]| turns.iter().max().copied().unwrap_or_default();
    let added: Vec<Duration> =
        with.iter().zip(&without).map(|(with, without)| with.saturating_sub(*without)).collect();
    println!(
        "a turn of {TURN_ENTRIES} puts: longest {} us, beside an image {} us; the image adds {} us at \
         the most",
        longest(&without).as_micros(),
        longest(&with).as_micros(),
        longest(&added).as_micros()
    );
}

fn main() {
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let keys = words.iter().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    if words.iter().any(|word| word == "turns") {
        return measure_turns(keys);
    }
    let chosen = Order::ALL.iter().find(|(name, _)| words.iter().any(|word| word == name));
    if let Some((name, order)) = chosen {
        return measure(name, *order, keys);
    }
    println!("{keys} keys of 16 bytes with values of {VALUE_BYTES}");
    for (name, _) in Order::ALL {
        let program = env::current_exe().expect("Linux has it");
        let status = Process::new(program).arg(name).arg(keys.to_string()).status();
        if !status.is_ok_and(|status| status.success()) {
            process::exit(1);
        }
    }
}
