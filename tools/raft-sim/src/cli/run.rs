//! One seed.

use raft_sim::world::{Outcome, Scenario, run as run_world};

use super::worker::{self, cpu_milliseconds};
use super::{FINDING, FINE, ReplayArgs, RunArgs, TAG, as_arguments};

pub(super) fn run(args: &RunArgs) -> u8 {
    args.seed.warn();
    let choices = args.choices.choices();
    let scenario = Scenario::draw(args.seed.number, &choices);
    let again = again("replay", args.seed.number, &as_arguments(&choices));
    worker::tell_panics(move |text| println!("{text}\nreplay it with: {again}"));
    let outcome = run_world(&scenario, false);
    if args.json {
        println!("{}", json(&outcome));
    } else {
        println!("seed {}@{TAG}: {scenario}", args.seed.number);
        print_outcome(&outcome);
    }
    code(&outcome)
}

pub(super) fn replay(args: &ReplayArgs) -> u8 {
    args.seed.warn();
    let scenario = Scenario::draw(args.seed.number, &args.choices.choices());
    println!("seed {}@{TAG}: {scenario}", args.seed.number);
    worker::tell_panics(|text| {
        for line in raft_sim::world::lines_so_far() {
            println!("{line}");
        }
        println!("{text}");
    });
    let outcome = run_world(&scenario, true);
    let is_told = |line: &&String| args.verbose || !line.contains("  : ");
    for line in outcome.timeline.iter().filter(is_told) {
        println!("{line}");
    }
    print_outcome(&outcome);
    code(&outcome)
}

fn print_outcome(outcome: &Outcome) {
    println!(
        "trace {:016x}, {} steps in {:.1} simulated s and {:.1} s of processor time, {} entries \
         committed, {} calls answered",
        outcome.hash,
        outcome.steps,
        outcome.simulated.as_secs_f64(),
        cpu_milliseconds() as f64 / 1000.0,
        outcome.commits,
        outcome.answered
    );
    match &outcome.finding {
        Some(finding) => println!("FOUND {finding}"),
        None => println!("nothing was found"),
    }
}

fn code(outcome: &Outcome) -> u8 {
    if outcome.finding.is_some() { FINDING } else { FINE }
}

/// The command that does something with a seed once more.
pub(super) fn again(command: &str, seed: u64, choices: &[String]) -> String {
    let choices: String = choices.iter().map(|choice| format!(" {choice}")).collect();
    format!("raft-sim {command} --seed {seed}@{TAG}{choices}")
}

fn json(outcome: &Outcome) -> String {
    let finding = outcome.finding.as_ref().map(|finding| quote(&finding.to_string()));
    format!(
        "{{\"seed\":{},\"tag\":\"{TAG}\",\"trace\":\"{:016x}\",\"steps\":{},\"simulated_s\":{:.6},\
         \"commits\":{},\"answered\":{},\"finding\":{}}}",
        outcome.seed,
        outcome.hash,
        outcome.steps,
        outcome.simulated.as_secs_f64(),
        outcome.commits,
        outcome.answered,
        finding.as_deref().unwrap_or("null")
    )
}

/// A text as JSON has it.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            letter if letter < ' ' => quoted += &format!("\\u{:04x}", letter as u32),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}
