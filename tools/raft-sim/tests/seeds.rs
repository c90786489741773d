//! Worlds that are run with every change: always the same ones, some that nobody has seen, and
//! those that have found something once.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use raft_sim::world::{Choices, Fault, Outcome, Scenario, run};

/// Seeds that found something once, each with the seconds and the faults that it takes and what it
/// was.
const REGRESSIONS: &[(u64, u64, &[Fault], &str)] = &[
    (
        3,
        4,
        &[Fault::Walls],
        "a node that took its founding entry on a call of its own never called that node again",
    ),
    (
        667,
        4,
        &Fault::ALL,
        "a vote that a crash had forgotten before it was durable, and so before it was given, \
         was taken for a first one (by the simulator)",
    ),
    (
        1832,
        10,
        &Fault::ALL,
        "a machine had a copy of one node's directory and then of another's, and a node that had \
         stood still let in the second and was taken to let in the first (by the simulator)",
    ),
    (
        3727,
        20,
        &Fault::ALL,
        "a copy from before the cluster was founded was put back, and what the node had committed \
         was held against it (by the simulator)",
    ),
    (
        2643,
        8,
        &Fault::ALL,
        "a piece of a snapshot that found no room on the disk was never stored, and the transfer \
         stood still for ever",
    ),
    (
        7195,
        9,
        &Fault::ALL,
        "a write that was to replace entries failed late and was on the disk all the same, and \
         those that it had replaced were missed (by the simulator)",
    ),
    (
        5154,
        18,
        &Fault::ALL,
        "a process was killed behind a cut link, and a node that can't be called never heard of \
         it, not even by keepalive (by the simulator)",
    ),
    (
        5981,
        16,
        &Fault::ALL,
        "a bit flipped in the last block of a log whose next segment was still to be made by a \
         disk that stood still, where rot can't be told from a torn end (by the simulator)",
    ),
    (
        4945,
        5,
        &Fault::ALL,
        "a founder that had crashed before it stored the founding entry came back when the others \
         had let that entry go, and was never given it",
    ),
    (
        1758,
        20,
        &Fault::ALL,
        "a directory that was still being made held a hard state that couldn't be read for a \
         moment, which was taken for damage",
    ),
    (8941, 18, &Fault::ALL, "the same, and without that founder the others were no majority"),
];

/// The worlds of a test are short.
fn short() -> Choices {
    Choices { time: Some(Duration::from_secs(4)), ..Choices::default() }
}

fn run_short(seed: u64) -> Outcome {
    let scenario = Scenario::draw(seed, &short());
    catch_unwind(AssertUnwindSafe(|| run(&scenario, false))).unwrap_or_else(|_| {
        panic!("replay it with: raft-sim replay --seed {seed} --time 4000ms");
    })
}

fn finds_nothing(seed: u64) {
    if let Some(finding) = run_short(seed).finding {
        panic!("{finding}\nreplay it with: raft-sim replay --seed {seed} --time 4000ms");
    }
}

#[test]
fn the_same_worlds_as_ever_find_nothing() {
    (0..24).for_each(finds_nothing);
}

#[test]
fn worlds_that_nobody_has_seen_find_nothing() {
    let fresh = RandomState::new().build_hasher().finish() >> 16;
    let begun = Instant::now();
    for seed in fresh..fresh + 16 {
        finds_nothing(seed);
        if begun.elapsed() > Duration::from_secs(20) {
            break;
        }
    }
}

#[test]
fn what_was_found_once_is_not_found_again() {
    for (seed, seconds, faults, what) in REGRESSIONS {
        let time = Some(Duration::from_secs(*seconds));
        let choices = Choices { faults: Some(faults.to_vec()), time, ..Choices::default() };
        let finding = run(&Scenario::draw(*seed, &choices), false).finding;
        assert!(finding.is_none(), "{what}: {}", finding.expect("it was seen"));
    }
}

#[test]
fn a_seed_leads_to_the_same_course_of_events_each_time() {
    for seed in 100..106 {
        let (first, second) = (run_short(seed), run_short(seed));
        assert_eq!((first.hash, first.steps), (second.hash, second.steps), "seed {seed}");
    }
}

/// Both profiles have the same directory for what tests leave behind: the one that comes second
/// compares.
#[test]
fn a_seed_leads_to_the_same_course_of_events_in_each_profile() {
    let seeds: Vec<String> =
        (400..404).map(|seed| format!("{seed} {:016x}", run_short(seed).hash)).collect();
    let found = seeds.join("\n");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(concat!("traces-", env!("RAFT_SIM_TAG")));
    match fs::read_to_string(&file) {
        Ok(known) => assert_eq!(known, found, "{} is of another run", file.display()),
        Err(_) => fs::write(&file, found).expect("the directory is there for this"),
    }
}

#[test]
fn different_seeds_lead_to_different_courses() {
    assert_ne!(run_short(200).hash, run_short(201).hash);
}

#[test]
fn clients_are_served_and_entries_committed_where_nothing_goes_wrong() {
    let choices = Choices { faults: Some(Vec::new()), ..short() };
    for seed in 300..304 {
        let outcome = run(&Scenario::draw(seed, &choices), false);
        assert!(outcome.finding.is_none(), "{:?}", outcome.finding);
        assert!(outcome.answered > 20 && outcome.commits > 10, "{outcome:?}");
    }
}
