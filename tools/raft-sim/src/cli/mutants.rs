//! The planted bugs, judged one after the other.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use raft_sim::mutants::{
    Bench, Judged, Limits, Memory, Mutant, MutantError, Tools, as_json, as_text, read_all,
};

use super::output::{complain, say, written};
use super::{FINDING, FINE, MutantsArgs, USAGE};

pub(super) fn mutants(args: &MutantsArgs) -> u8 {
    match judge_all(args) {
        Ok(judged) => {
            let text = if args.json { as_json(&judged) } else { as_text(&judged) };
            let are_found = judged.iter().all(|one| one.verdict.is_found());
            written(say([text]), if are_found { FINE } else { FINDING })
        }
        Err(error) => {
            complain(&error.to_string());
            USAGE
        }
    }
}

fn judge_all(args: &MutantsArgs) -> Result<Vec<Judged>, MutantError> {
    let root = absolute(&args.tree)?;
    let mutants = chosen(&root, &args.only)?;
    let work = match &args.work {
        Some(work) => absolute(work)?,
        None => root.join("target").join("mutants"),
    };
    let bar = progress(mutants.len() as u64);
    bar.set_message("builds the tree as it is");
    let bench = Bench::prepare(&root, &work, Tools::default())?;
    let memory = Memory::open(work.join("judged.jsonl"), bench.tag()?)?;
    let limits = Limits { seeds: args.seeds, jobs: args.jobs };
    let mut judged = Vec::new();
    for mutant in mutants {
        bar.set_message(mutant.full_name());
        let recalled = if args.resume { memory.recall(&mutant, limits)? } else { None };
        let one = match recalled {
            Some(recalled) => recalled,
            None => {
                let begun = Instant::now();
                let verdict = bench.judge(&mutant, limits)?;
                let one = Judged { mutant, verdict, took: begun.elapsed() };
                memory.keep(&one)?;
                one
            }
        };
        // What comes at the end says it again.
        bar.suspend(|| eprintln!("{}", one.as_text()));
        bar.inc(1);
        judged.push(one);
    }
    bar.finish_and_clear();
    Ok(judged)
}

/// The planted bugs whose names contain one of `only`, or all.
fn chosen(root: &Path, only: &[String]) -> Result<Vec<Mutant>, MutantError> {
    let mut mutants = read_all(root)?;
    let is_wanted = |full: &str| only.iter().any(|part| full.contains(part.as_str()));
    mutants.retain(|mutant| only.is_empty() || is_wanted(&mutant.full_name()));
    if mutants.is_empty() {
        let what = "no planted bug has such a name".to_owned();
        return Err(MutantError::Program { program: "mutants".to_owned(), what });
    }
    Ok(mutants)
}

fn progress(count: u64) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{pos} of {len} judged  {elapsed}  {msg}");
    let bar = ProgressBar::with_draw_target(Some(count), target);
    bar.set_style(style.expect("the template is right"));
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

fn absolute(path: &Path) -> Result<PathBuf, MutantError> {
    std::path::absolute(path).map_err(|source| MutantError::File { path: path.to_owned(), source })
}
