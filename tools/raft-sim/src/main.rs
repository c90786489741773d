//! `raft-sim`: runs simulated clusters from the command line.

use raft_sim::world::{Choices, Scenario, run};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1);
    let verbose = arguments.next().is_some();
    let scenario = Scenario::draw(seed, &Choices::default());
    println!("{scenario}");
    let outcome = run(&scenario, verbose);
    for line in &outcome.timeline {
        println!("{line}");
    }
    println!(
        "{:x} {:?} steps {} {:?} commits {} answered {}",
        outcome.hash,
        outcome.finding,
        outcome.steps,
        outcome.simulated,
        outcome.commits,
        outcome.answered
    );
}
