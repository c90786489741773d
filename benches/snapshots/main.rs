//! What a snapshot costs those who write meanwhile: how long the turns of the event loop are, in time
//! of its own thread's processor, and the writes per second, without snapshots and while one is made
//! after the other.
//!
//! `cargo bench --bench snapshots -- 10000000` for so many keys; without a number, a million. A
//! second number is how many seconds each measurement takes (10), a third how many rounds (3).
//!
//! It is a cluster of one node: its driver, and the log's and the file's threads on a real disk (in
//! the build directory). What isn't there is the network: requests are put into the driver by the
//! loop itself, and replies are counted there, both outside of the turn that is measured.
//!
//! `cargo bench --bench snapshots -- start` measures how long `raft` takes to start on a directory
//! that such a node has left, with 8 million keys and 1 GiB of log, or as many keys and MiB as are
//! told behind it.

#[path = "../../tests/lone_driver/mod.rs"]
mod lone_driver;
mod node;
mod start;
mod turns;

use std::env;
use std::path::Path;
use std::time::Duration;

use mimalloc::MiMalloc;
use node::{Figures, Node, UNDER_WAY, VALUE_BYTES};
use turns::Spread;

/// The allocator of `raft`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn milliseconds(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn show(name: &str, found: &Spread) {
    println!(
        "    {name}: median {:.2} ms, 99.9 % {:.2} ms, longest {:.2} ms",
        milliseconds(found.median),
        milliseconds(found.rare),
        milliseconds(found.longest)
    );
}

/// Prints what was found. `each` is what an entry takes without snapshots. Gives the longest time
/// that a turn took beyond that.
fn report(name: &str, found: &Figures, each: Duration) -> f64 {
    println!(
        "  {name:7} snapshots: {:.0} writes a second, {:.0} ns of the loop for each; {} snapshots \
         in {:.1} s",
        found.writes_per_second(),
        found.processor_each(),
        found.snapshots,
        found.took.as_secs_f64()
    );
    show("a turn", &turns::spread(&found.turns));
    let beyond = turns::spread_beyond(&found.turns, each);
    show(&format!("beyond {} ns for each entry", each.as_nanos()), &beyond);
    milliseconds(beyond.longest)
}

fn filled(data: &Path, keys: u64) -> Node {
    let mut node = Node::leading(&data.join("1"));
    let found = node.write(|place| place, |now| now.writes + UNDER_WAY >= keys);
    println!("{keys} keys of 16 bytes with values of {VALUE_BYTES}");
    println!("  filled at {:.0} writes a second", found.writes_per_second());
    show("a turn", &turns::spread(&found.turns));
    node
}

fn measure_turns(data: &Path, keys: u64, seconds: Duration, rounds: u64) {
    let mut node = filled(data, keys);
    let (mut longest, mut shares) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let without = node.overwrite(keys, seconds, false);
        let each = turns::time_of_entry(&without.turns);
        let beyond_without = report("without", &without, each);
        let with = node.overwrite(keys, seconds, true);
        longest.push((report("with", &with, each), beyond_without));
        shares.push(with.writes_per_second() / without.writes_per_second() * 100.0);
        let usual = turns::spread(&without.turns).median;
        show("the same computation", &turns::spread_of_machine(usual, seconds));
    }
    let (with, without): (Vec<f64>, Vec<f64>) = longest.into_iter().unzip();
    println!(
        "median: {:.0} % of the writes without snapshots; longest time beyond that of its entries \
         {:.2} ms of a turn with snapshots, {:.2} ms without",
        median(shares),
        median(with),
        median(without)
    );
    node.end();
}

fn measure_start(data: &Path, keys: u64, log_bytes: u64, rounds: u64) {
    let mut node = filled(data, keys);
    start::prepare(&mut node, data, keys, log_bytes);
    node.end();
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let found = start::measure(data);
        ratios.push(found.start.as_secs_f64() / found.read.as_secs_f64());
        println!(
            "  start: {:.0} ms ({:.0} ms of the processors) with {} MiB of log and a snapshot of {} \
             MiB, which are read in {:.0} ms",
            milliseconds(found.start),
            milliseconds(found.processor),
            found.log_bytes >> 20,
            found.snapshot_bytes >> 20,
            milliseconds(found.read)
        );
    }
    println!("median: {:.2} times the read", median(ratios));
}

fn main() {
    let words = env::args().skip(1).filter(|word| !word.starts_with("--"));
    let (names, numbers): (Vec<String>, Vec<String>) =
        words.partition(|word| word.parse::<u64>().is_err());
    let number = |place: usize, default: u64| {
        numbers.get(place).and_then(|word| word.parse().ok()).unwrap_or(default)
    };
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("there is room");
    if names.iter().any(|name| name == "start") {
        measure_start(data.path(), number(0, 8_000_000), number(1, 1024) << 20, number(2, 3));
    } else {
        let seconds = Duration::from_secs(number(1, 10));
        measure_turns(data.path(), number(0, 1_000_000), seconds, number(2, 3));
    }
}
