//! The course of events as one number, and as lines for people.

use super::journal;
use super::network::Transit;

/// What has happened so far.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    is_verbose: bool,
}

impl Trace {
    pub(crate) fn new(is_verbose: bool) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, is_verbose }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn add(&mut self, number: u64) {
        let mixed = (self.hash ^ number).wrapping_mul(0x9fb2_1c65_1e98_df25);
        self.hash = mixed ^ (mixed >> 32);
    }

    pub(crate) fn transit(&mut self, now: u64, transit: &Transit) {
        self.add(now);
        if let Transit::Piece { connection, direction, bytes, .. } = transit {
            self.add(*connection as u64 * 2 + *direction as u64);
            self.add(bytes.len() as u64);
            let ends = bytes.iter().take(8).chain(bytes.iter().rev().take(8));
            self.add(ends.fold(0, |sum: u64, byte| sum.rotate_left(8) ^ u64::from(*byte)));
        }
    }

    /// A line of the timeline.
    pub(crate) fn note(&mut self, now: u64, machine: Option<usize>, text: impl FnOnce() -> String) {
        if !self.is_verbose {
            return;
        }
        let who = machine.map_or_else(|| "world ".to_owned(), |one| format!("node {}", one + 1));
        journal::add_to_timeline(format!("{:>12.6}  {who}  {}", now as f64 / 1e9, text()));
    }

    /// Takes over what a node has written since the last time.
    pub(crate) fn take_journal(&mut self, now: u64, machine: usize) {
        if self.is_verbose {
            for line in journal::take_lines() {
                self.note(now, Some(machine), || format!(": {line}"));
            }
        }
    }
}
