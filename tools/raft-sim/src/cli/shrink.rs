//! Looking for a smaller world in which a seed still finds something.

use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use raft_sim::world::{Choices, Scenario};

use super::run::again;
use super::{FINDING, FINE, RunArgs, USAGE, as_arguments};

/// The shortest time that is tried.
const SHORTEST: Duration = Duration::from_millis(500);

pub(super) fn shrink(args: &RunArgs) -> u8 {
    args.seed.warn();
    let seed = args.seed.number;
    let mut best = args.choices.choices();
    match finds(seed, &best) {
        Ok(true) => {}
        Ok(false) => {
            println!("seed {seed} finds nothing");
            return FINE;
        }
        Err(error) => {
            eprintln!("raft-sim: a process can't be started: {error}");
            return USAGE;
        }
    }
    loop {
        let smaller = smaller(&Scenario::draw(seed, &best), &best);
        let Some(next) = smaller.into_iter().find(|next| finds(seed, next).unwrap_or(false)) else {
            break;
        };
        println!("still found with {}", Scenario::draw(seed, &next));
        best = next;
    }
    println!("{}", again("replay", seed, &as_arguments(&best)));
    FINDING
}

/// Worlds that are a step smaller, the smallest first.
fn smaller(scenario: &Scenario, choices: &Choices) -> Vec<Choices> {
    let mut worlds = Vec::new();
    for fault in &scenario.faults {
        let rest = scenario.faults.iter().copied().filter(|other| other != fault).collect();
        worlds.push(Choices { faults: Some(rest), ..choices.clone() });
    }
    if scenario.nodes > 3 {
        worlds.push(Choices { nodes: Some(3), ..choices.clone() });
    }
    if scenario.clients > 1 {
        for clients in [1, scenario.clients / 2, scenario.clients - 1] {
            worlds.push(Choices { clients: Some(clients.max(1)), ..choices.clone() });
        }
    }
    for part in [4, 2] {
        let time = scenario.time / part;
        if time >= SHORTEST {
            worlds.push(Choices { time: Some(time), ..choices.clone() });
        }
    }
    let time = scenario.time * 3 / 4;
    if time >= SHORTEST {
        worlds.push(Choices { time: Some(time), ..choices.clone() });
    }
    worlds
}

/// Whether the seed finds something. Each is run in a process of its own, as it may end it.
fn finds(seed: u64, choices: &Choices) -> std::io::Result<bool> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["run", "--seed", &seed.to_string()]).args(as_arguments(choices));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status()?;
    Ok(!status.success())
}
