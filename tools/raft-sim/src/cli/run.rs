//! One seed.

use raft_sim::world::{Outcome, Scenario, run as run_world};

use super::output::{quote, quote_all, say, written};
use super::worker::{self, cpu_milliseconds};
use super::{FINDING, FINE, ReplayArgs, RunArgs, TAG, as_arguments};

pub(super) fn run(args: &RunArgs) -> u8 {
    args.seed.warn();
    let choices = args.choices.choices();
    let scenario = Scenario::draw(args.seed.number, &choices);
    let again = again("replay", args.seed.number, &as_arguments(&choices));
    let (seed, is_json) = (args.seed.number, args.json);
    worker::tell_panics(move |text| {
        // Who doesn't read it has the exit code.
        drop(match is_json {
            true => {
                say([format!("{{\"seed\":{seed},\"tag\":\"{TAG}\",\"finding\":{}}}", quote(text))])
            }
            false => say([format!("FOUND {text}\nreplay it with: {again}")]),
        });
    });
    let outcome = run_world(&scenario, false);
    let printed =
        if args.json { say([json(&outcome)]) } else { say([headline(&scenario), told(&outcome)]) };
    written(printed, code(&outcome))
}

pub(super) fn replay(args: &ReplayArgs) -> u8 {
    args.seed.warn();
    let scenario = Scenario::draw(args.seed.number, &args.choices.choices());
    if let Err(error) = say([headline(&scenario)]) {
        return written(Err(error), FINE);
    }
    worker::tell_panics(|text| {
        let lines = raft_sim::world::lines_so_far();
        // Who doesn't read it has the exit code.
        drop(say(lines.into_iter().chain([format!("FOUND {text}")])));
    });
    let outcome = run_world(&scenario, true);
    let is_told = |line: &&String| args.verbose || !line.contains("  : ");
    let lines = outcome.timeline.iter().filter(is_told);
    written(say(lines.chain([&told(&outcome)])), code(&outcome))
}

fn headline(scenario: &Scenario) -> String {
    format!("seed {}@{TAG}: {scenario}", scenario.seed)
}

fn told(outcome: &Outcome) -> String {
    let mut text = format!(
        "trace {:016x}, {} steps in {:.1} simulated s and {:.1} s of processor time, {} entries \
         committed, {} calls answered\n",
        outcome.hash,
        outcome.steps,
        outcome.simulated.as_secs_f64(),
        cpu_milliseconds() as f64 / 1000.0,
        outcome.commits,
        outcome.answered
    );
    for undecided in &outcome.undecided {
        text += &format!("UNDECIDED {undecided}\n");
    }
    text + &match &outcome.finding {
        Some(finding) => format!("FOUND {finding}"),
        None if outcome.undecided.is_empty() => "nothing was found".to_owned(),
        None => "nothing was found in what could be decided".to_owned(),
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
    let at = outcome.finding.as_ref().map(|finding| format!("{:.6}", finding.at.as_secs_f64()));
    format!(
        "{{\"seed\":{},\"tag\":\"{TAG}\",\"trace\":\"{:016x}\",\"steps\":{},\"simulated_s\":{:.6},\
         \"commits\":{},\"answered\":{},\"undecided\":{},\"finding\":{},\
         \"found_at_s\":{}}}",
        outcome.seed,
        outcome.hash,
        outcome.steps,
        outcome.simulated.as_secs_f64(),
        outcome.commits,
        outcome.answered,
        quote_all(&outcome.undecided),
        finding.as_deref().unwrap_or("null"),
        at.as_deref().unwrap_or("null")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use raft_sim::world::Finding;

    use super::*;

    fn outcome() -> Outcome {
        Outcome {
            seed: 7,
            hash: 1,
            finding: None,
            undecided: Vec::new(),
            steps: 2,
            simulated: Duration::from_secs(3),
            commits: 4,
            answered: 5,
            markers: Default::default(),
            timeline: Vec::new(),
        }
    }

    #[test]
    fn what_could_not_be_decided_is_told() {
        let fine = outcome();
        assert!(told(&fine).ends_with("\nnothing was found"), "{}", told(&fine));
        let given_up = Outcome { undecided: vec!["indexes, key \"k\"".to_owned()], ..outcome() };
        let text = told(&given_up);
        assert!(text.contains("UNDECIDED indexes, key \"k\"\n"), "{text}");
        assert!(text.ends_with("nothing was found in what could be decided"), "{text}");
        assert_eq!(code(&given_up), FINE);
        let json: serde_json::Value = serde_json::from_str(&json(&given_up)).unwrap();
        assert_eq!(json["undecided"][0], "indexes, key \"k\"");
    }

    #[test]
    fn a_finding_is_told_and_is_in_the_exit_code() {
        let finding = Finding { at: Duration::from_secs(2), text: "two leaders".to_owned() };
        let found = Outcome { finding: Some(finding), ..outcome() };
        assert!(told(&found).ends_with("FOUND at 2.000000 s: two leaders"), "{}", told(&found));
        assert_eq!(code(&found), FINDING);
        let json: serde_json::Value = serde_json::from_str(&json(&found)).unwrap();
        assert_eq!(json["finding"], "at 2.000000 s: two leaders");
    }
}
