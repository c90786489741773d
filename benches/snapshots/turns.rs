//! How long turns of the loop take, and how long the machine holds up whatever runs on it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// What an entry costs is told by turns with at least so many.
const MANY: u64 = 64;

/// One turn of the loop.
#[derive(Clone, Copy, Default)]
pub(crate) struct Turn {
    /// Time of the thread's processor.
    pub(crate) took: Duration,
    pub(crate) applied: u64,
}

/// The median, what one of a thousand exceeds, and the longest.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spread {
    pub(crate) median: Duration,
    pub(crate) rare: Duration,
    pub(crate) longest: Duration,
}

impl Spread {
    pub(crate) fn of(mut times: Vec<Duration>) -> Spread {
        times.sort();
        let at = |place: usize| times.get(place).copied().unwrap_or_default();
        let last = times.len().saturating_sub(1);
        Spread { median: at(last / 2), rare: at(last - last / 1000), longest: at(last) }
    }
}

/// The time of the processor that these turns took.
pub(crate) fn spread(turns: &[Turn]) -> Spread {
    Spread::of(turns.iter().map(|turn| turn.took).collect())
}

/// What one entry takes of a turn, the median.
pub(crate) fn time_of_entry(turns: &[Turn]) -> Duration {
    let many = turns.iter().filter(|turn| turn.applied >= MANY);
    Spread::of(many.map(|turn| turn.took / turn.applied as u32).collect()).median
}

/// By how much these turns took longer than `each` for each of their entries.
pub(crate) fn spread_beyond(turns: &[Turn], each: Duration) -> Spread {
    let beyond = |turn: &Turn| turn.took.saturating_sub(each * turn.applied as u32);
    Spread::of(turns.iter().map(beyond).collect())
}

/// What this thread has used of the processor: other programs don't lengthen it.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Does the same computation, of about this length, again and again for so long. What makes one of
/// them longer than the others isn't this program's.
pub(crate) fn spread_of_machine(length: Duration, wanted: Duration) -> Spread {
    let compute = |steps: u64| {
        let begun = processor_time();
        black_box((0..steps).fold(1, |number: u64, step| mixed(number ^ step)));
        processor_time() - begun
    };
    let trials = (0..9).map(|_| compute(100_000)).collect();
    let step = Spread::of(trials).median.as_secs_f64() / 1e5;
    let steps = (length.as_secs_f64() / step) as u64;
    let begun = Instant::now();
    let mut times = Vec::new();
    while begun.elapsed() < wanted {
        times.push(compute(steps));
    }
    Spread::of(times)
}

/// A permutation of the numbers of 64 bits.
pub(crate) fn mixed(mut number: u64) -> u64 {
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        number = (number ^ (number >> 30)).wrapping_mul(factor);
    }
    number ^ (number >> 31)
}
