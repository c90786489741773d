//! What a snapshot costs those who write meanwhile: the longest turn of the event loop, in time of
//! its own thread's processor, and the writes per second, without snapshots and while one is made
//! after the other.
//!
//! `cargo bench --bench snapshots -- 10000000` for so many keys; without a number, a million. A
//! second number is how many seconds each measurement takes (10), a third how many rounds (3).
//!
//! It is a cluster of one node: its driver, and the log's and the file's threads on a real disk (in
//! the build directory). What isn't there is the network: requests are put into the driver by the
//! loop itself, and replies are counted there, both outside of the turn that is measured.

#[path = "../../tests/lone_driver/mod.rs"]
mod lone_driver;
mod node;
mod start;

use std::env;
use std::path::Path;
use std::time::Duration;

use node::{Figures, Node, UNDER_WAY, VALUE_BYTES};

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn report(name: &str, found: &Figures) {
    println!(
        "  {name:7} snapshots: {:.0} writes a second, {:.0} ns of the loop for each; longest turn \
         {:.2} ms, in which {} entries were applied; {} snapshots in {:.1} s",
        found.writes_per_second(),
        found.processor_each(),
        milliseconds(found.longest.took),
        found.longest.applied,
        found.snapshots,
        found.took.as_secs_f64()
    );
}

fn measure_start(data: &Path) {
    let found = start::measure(data);
    println!(
        "  start: {:.0} ms with {} MiB of log and a snapshot of {} MiB, which are read in {:.0} ms",
        milliseconds(found.start),
        found.log_bytes >> 20,
        found.snapshot_bytes >> 20,
        milliseconds(found.read)
    );
}

fn main() {
    let words = env::args().skip(1).filter_map(|word| word.parse().ok());
    let words: Vec<u64> = words.collect();
    let word = |place: usize, default| words.get(place).copied().unwrap_or(default);
    let (keys, seconds, rounds) = (word(0, 1_000_000), word(1, 10), word(2, 3));
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room");
    let mut node = Node::leading(&data.path().join("1"));
    let filled = node.write(|place| place, |now| now.writes + UNDER_WAY >= keys);
    println!("{keys} keys of 16 bytes with values of {VALUE_BYTES}");
    println!("  filled at {:.0} writes a second", filled.writes_per_second());
    let (mut longest, mut shares) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let without = node.overwrite(keys, Duration::from_secs(seconds), false);
        report("without", &without);
        let with = node.overwrite(keys, Duration::from_secs(seconds), true);
        report("with", &with);
        longest.push(milliseconds(with.longest.took));
        shares.push(with.writes_per_second() / without.writes_per_second() * 100.0);
    }
    println!(
        "median: longest turn {:.2} ms; {:.0} % of the writes without snapshots",
        median(longest),
        median(shares)
    );
    node.end();
    for _ in 0..rounds {
        measure_start(data.path());
    }
}
