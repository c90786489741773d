//! One process of a sweep: it runs its share of the seeds and tells each by a line.
//!
//! Processes keep a seed that ends one by a panic, or never comes to an end, from taking the
//! others with it.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::panic;

use raft_sim::world::{Outcome, Scenario, run};

use super::{FINE, WorkerArgs};

/// What a worker tells of a seed.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Told {
    pub(super) steps: u64,
    pub(super) simulated_us: u64,
    pub(super) commits: u64,
    pub(super) answered: u64,
    /// How many checks were given up.
    pub(super) undecided: u64,
    /// How often each marker was reached, by its number.
    pub(super) markers: Vec<(usize, u64)>,
    pub(super) finding: Option<String>,
}

/// A line of a worker.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Line {
    Begins(u64),
    Ended(u64, Told),
    /// How much processor time it has taken, in milliseconds.
    Took(u64),
}

pub(super) fn work(args: &WorkerArgs) -> u8 {
    let choices = args.choices.choices();
    let mut seed = args.first;
    while seed < args.end {
        tell(&format!("begins {seed}"));
        tell_panics(move |text| tell(&format!("ended {seed} 0 0 0 0 0 - {}", one_line(text))));
        let scenario = Scenario::draw(seed, &choices);
        tell(&ended(&run(&scenario, false)));
        tell(&format!("took {}", cpu_milliseconds()));
        seed = seed.saturating_add(args.step);
    }
    FINE
}

/// Lets a panic be told, and ends the process.
pub(super) fn tell_panics(tell: impl Fn(&str) + Send + Sync + 'static) {
    panic::set_hook(Box::new(move |panic| {
        tell(&format!("a panic: {panic}"));
        std::process::exit(i32::from(super::FINDING));
    }));
}

fn tell(line: &str) {
    let mut out = io::stdout().lock();
    // Without anybody who listens there is nothing left to do.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(i32::from(super::USAGE));
    }
}

fn ended(outcome: &Outcome) -> String {
    let mut markers = String::new();
    for (number, name) in raft_sim::world::marker_names().enumerate() {
        if let Some(count) = outcome.markers.get(name) {
            let written = write!(markers, "{number}={count},");
            debug_assert!(written.is_ok(), "texts take everything");
        }
    }
    let finding = outcome.finding.as_ref().map(ToString::to_string).unwrap_or_default();
    format!(
        "ended {} {} {} {} {} {} {} {}",
        outcome.seed,
        outcome.steps,
        outcome.simulated.as_micros(),
        outcome.commits,
        outcome.answered,
        outcome.undecided.len(),
        if markers.is_empty() { "-" } else { &markers },
        one_line(&finding)
    )
}

fn one_line(text: &str) -> String {
    text.replace('\n', "; ")
}

impl Line {
    /// Reads a line; `None` if it isn't one.
    pub(super) fn read(text: &str) -> Option<Line> {
        let (kind, rest) = text.split_once(' ')?;
        match kind {
            "begins" => rest.parse().ok().map(Line::Begins),
            "took" => rest.parse().ok().map(Line::Took),
            "ended" => {
                let mut words = rest.splitn(8, ' ');
                let mut number = || words.next()?.parse().ok();
                let seed = number()?;
                let (steps, simulated_us) = (number()?, number()?);
                let (commits, answered, undecided) = (number()?, number()?, number()?);
                let markers = words.next()?.split(',').filter_map(|pair| {
                    let (number, count) = pair.split_once('=')?;
                    Some((number.parse().ok()?, count.parse().ok()?))
                });
                let markers = markers.collect();
                let finding = words.next().filter(|text| !text.is_empty()).map(str::to_owned);
                let told =
                    Told { steps, simulated_us, commits, answered, undecided, markers, finding };
                Some(Line::Ended(seed, told))
            }
            _ => None,
        }
    }
}

/// The processor time of this process, in milliseconds.
pub(super) fn cpu_milliseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds: u64 =
        text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    nanoseconds / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_told() {
        assert_eq!(Line::read("begins 7"), Some(Line::Begins(7)));
        assert_eq!(Line::read("took 12"), Some(Line::Took(12)));
        let told = Told {
            steps: 1,
            simulated_us: 2,
            commits: 3,
            answered: 4,
            undecided: 6,
            markers: vec![(0, 5), (3, 1)],
            finding: Some("two words".to_owned()),
        };
        assert_eq!(Line::read("ended 9 1 2 3 4 6 0=5,3=1, two words"), Some(Line::Ended(9, told)));
        let nothing = Told::default();
        assert_eq!(Line::read("ended 9 0 0 0 0 0 - "), Some(Line::Ended(9, nothing)));
        assert_eq!(Line::read("something else"), None);
    }
}
