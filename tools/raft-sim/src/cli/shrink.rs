//! Looking for a smaller world in which a seed still finds the same kind of thing.

use std::io;
use std::time::Duration;

use raft_sim::world::{Choices, Fault, Scenario};

use super::attempt::{Found, attempt};
use super::output::{complain, quote, say, written};
use super::run::again;
use super::{FINDING, FINE, RunArgs, TAG, USAGE, as_arguments};

/// The shortest time that is tried for its own sake.
const SHORTEST: Duration = Duration::from_millis(100);

/// How many worlds are tried at most.
const TRIES: u32 = 200;

/// A world that takes longer to run doesn't come to an end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Something of a world that can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Time(Duration),
    Nodes(usize),
    Clients(usize),
    Without(Fault),
}

/// The smallest world so far.
struct Smallest {
    choices: Choices,
    scenario: Scenario,
    found: Found,
}

pub(super) fn shrink(args: &RunArgs) -> u8 {
    args.seed.warn();
    let (seed, choices) = (args.seed.number, args.choices.choices());
    let scenario = Scenario::draw(seed, &choices);
    let result = match attempt(seed, &choices, PATIENCE) {
        Ok(None) => return finds_nothing(args, &scenario),
        Ok(Some(found)) => search(args, Smallest { choices, scenario, found }),
        Err(error) => Err(error),
    };
    match result {
        Ok(printed) => written(printed, FINDING),
        Err(error) => {
            complain(&format!("a world can't be run in a process of its own: {error}"));
            USAGE
        }
    }
}

fn finds_nothing(args: &RunArgs, scenario: &Scenario) -> u8 {
    let text = match args.json {
        true => format!("{{\"seed\":{},\"tag\":\"{TAG}\",\"finding\":null}}", scenario.seed),
        false => format!("seed {}@{TAG}: {scenario}\nnothing was found", scenario.seed),
    };
    written(say([text]), FINE)
}

/// Leaves one thing out after the other, as long as anything can be left out, and prints what is
/// left.
fn search(args: &RunArgs, mut smallest: Smallest) -> io::Result<io::Result<()>> {
    let seed = args.seed.number;
    let tell = |text: String| if args.json { Ok(()) } else { say([text]) };
    let mut printed =
        tell(format!("seed {seed}@{TAG}: {}\nFOUND {}", smallest.scenario, smallest.found.text));
    let kind: Vec<String> = smallest.found.kind().into_iter().map(str::to_owned).collect();
    let mut tries = 0;
    let mut is_smaller = true;
    while is_smaller && printed.is_ok() {
        is_smaller = false;
        for step in steps(&smallest) {
            let Some(choices) = smallest.without(step).filter(|_| tries < TRIES) else { continue };
            tries += 1;
            let found = attempt(seed, &choices, PATIENCE)?;
            let Some(found) = found.filter(|found| found.kind() == kind) else { continue };
            is_smaller = true;
            let scenario = Scenario::draw(seed, &choices);
            smallest = Smallest { choices, scenario, found };
            printed = printed.and(tell(format!("still found with {}", smallest.scenario)));
        }
    }
    let command = again("replay", seed, &as_arguments(&smallest.choices));
    let text = match args.json {
        true => smallest.json(tries, &command),
        false => format!(
            "{tries} worlds were tried; in the smallest:\nFOUND {}\nreplay it with: {command}",
            smallest.found.text
        ),
    };
    Ok(printed.and_then(|()| say([text])))
}

/// All that can be left out, what makes the others quicker to try first.
fn steps(smallest: &Smallest) -> Vec<Step> {
    let Smallest { scenario, found, .. } = smallest;
    let mut steps = Vec::new();
    // What happens until then doesn't depend on what would have happened later.
    let until = found.at.map(|at| at + Duration::from_millis(1));
    steps.extend(until.map(Step::Time));
    steps.extend([4, 2].map(|part| Step::Time(scenario.time / part)));
    steps.extend([1, 3].map(Step::Nodes));
    steps.extend([1, scenario.clients / 2, scenario.clients.saturating_sub(1)].map(Step::Clients));
    steps.extend(scenario.faults.iter().copied().map(Step::Without));
    steps.push(Step::Time(scenario.time * 3 / 4));
    steps
}

impl Smallest {
    /// The choices of a world without something, if that leaves a smaller one.
    fn without(&self, step: Step) -> Option<Choices> {
        let Smallest { scenario, choices, found } = self;
        let choices = choices.clone();
        match step {
            Step::Time(time) => {
                // A command line tells whole milliseconds.
                let time = Duration::from_millis(u64::try_from(time.as_millis()).ok()?);
                let is_up_to_finding = found.at.is_some_and(|at| at <= time);
                let is_worth_it = time >= SHORTEST || is_up_to_finding && !time.is_zero();
                (time < scenario.time && is_worth_it).then_some(())?;
                Some(Choices { time: Some(time), ..choices })
            }
            Step::Nodes(nodes) => {
                (nodes < scenario.nodes).then_some(Choices { nodes: Some(nodes), ..choices })
            }
            Step::Clients(clients) => (clients < scenario.clients)
                .then_some(Choices { clients: Some(clients), ..choices }),
            Step::Without(fault) => {
                let rest = scenario.faults.iter().copied().filter(|other| *other != fault);
                let is_there = scenario.has(fault);
                is_there.then(|| Choices { faults: Some(rest.collect()), ..choices })
            }
        }
    }

    fn json(&self, tries: u32, command: &str) -> String {
        let Smallest { scenario, found, .. } = self;
        let faults: Vec<String> = scenario.faults.iter().map(|fault| quote(fault.name())).collect();
        format!(
            "{{\"seed\":{},\"tag\":\"{TAG}\",\"finding\":{},\"tries\":{tries},\"nodes\":{},\
             \"clients\":{},\"time_ms\":{},\"faults\":[{}],\"command\":{}}}",
            scenario.seed,
            quote(&found.text),
            scenario.nodes,
            scenario.clients,
            scenario.time.as_millis(),
            faults.join(","),
            quote(command)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smallest(at: Option<Duration>) -> Smallest {
        let choices = Choices { nodes: Some(5), clients: Some(4), ..Choices::default() };
        let scenario = Scenario::draw(17, &choices);
        assert!(!scenario.faults.is_empty());
        Smallest { choices, scenario, found: Found { text: "it".to_owned(), at } }
    }

    #[test]
    fn each_step_leaves_a_smaller_world() {
        let smallest = smallest(Some(Duration::from_millis(40)));
        let mut count = 0;
        for choices in steps(&smallest).into_iter().filter_map(|step| smallest.without(step)) {
            let Scenario { nodes, clients, time, faults, .. } = Scenario::draw(17, &choices);
            let is_smaller = nodes < smallest.scenario.nodes
                || clients < smallest.scenario.clients
                || time < smallest.scenario.time
                || faults.len() < smallest.scenario.faults.len();
            assert!(is_smaller, "{choices:?}");
            count += 1;
        }
        assert!(count > smallest.scenario.faults.len() + 5, "{count}");
    }

    #[test]
    fn the_time_goes_down_to_the_finding_at_once() {
        let smallest = smallest(Some(Duration::from_micros(40_300)));
        let first = steps(&smallest)[0];
        let choices = smallest.without(first).unwrap();
        assert_eq!(choices.time, Some(Duration::from_millis(41)));
    }

    #[test]
    fn what_is_not_there_can_not_be_left_out() {
        let none = Choices { faults: Some(Vec::new()), ..Choices::default() };
        let scenario = Scenario::draw(17, &none);
        let found = Found { text: "it".to_owned(), at: None };
        let smallest = Smallest { choices: none, scenario, found };
        assert_eq!(smallest.without(Step::Without(Fault::Cuts)), None);
        assert_eq!(smallest.without(Step::Nodes(smallest.scenario.nodes)), None);
        assert_eq!(smallest.without(Step::Time(Duration::from_millis(1))), None);
    }
}
