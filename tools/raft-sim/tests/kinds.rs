//! Kinds of faults, each in worlds of its own: it comes about, and what it is to lead to does.

use std::collections::BTreeMap;
use std::time::Duration;

use raft_sim::world::{Choices, Fault, Scenario, run};

/// Runs short worlds that have this fault, and no others but `beside`, until each of these
/// markers was reached.
fn reaches(fault: Fault, beside: &[Fault], expected: &[&str]) {
    let faults = beside.iter().copied().chain([fault]).collect();
    let time = Some(Duration::from_secs(8));
    let choices = Choices { faults: Some(faults), time, ..Choices::default() };
    let mut reached: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..200 {
        let scenario = Scenario::draw(seed, &choices);
        if !scenario.has(fault) {
            continue;
        }
        let outcome = run(&scenario, false);
        assert!(outcome.finding.is_none(), "seed {seed} with {fault}: {:?}", outcome.finding);
        for (name, count) in outcome.markers {
            *reached.entry(name).or_default() += count;
        }
        if expected.iter().all(|name| reached.contains_key(name)) {
            return;
        }
    }
    panic!("{fault}: not all of {expected:?} were reached: {reached:?}");
}

#[test]
fn an_older_copy_of_a_directory_is_told_and_stops() {
    let expected = [
        "has an older copy put back",
        "refuses a node that has lost state",
        "stops as a copy that was told",
    ];
    reaches(Fault::Backups, &[], &expected);
}

#[test]
fn a_copy_that_runs_beside_the_original_is_told_and_stops() {
    let expected =
        ["has a copy that runs as well", "refuses a clone", "stops as a copy that was told"];
    reaches(Fault::Clones, &[Fault::Crashes], &expected);
}

#[test]
fn a_write_astray_is_refused_at_the_next_start_or_by_the_others() {
    let expected =
        ["Misdirected", "refuses to start on a rotten disk", "begins without its last write"];
    reaches(Fault::Misdirects, &[Fault::Crashes], &expected);
}

#[test]
fn a_node_does_not_start_without_a_file_of_its_log() {
    reaches(Fault::LostFiles, &[], &["has lost a file", "refuses to start without a file"]);
}
