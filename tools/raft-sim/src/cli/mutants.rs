//! The planted bugs, judged one after the other.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use raft_sim::mutants::{Bench, Judged, Limits, MutantError, Tools, as_json, as_text, read_all};

use super::output::{complain, say, written};
use super::{FINDING, FINE, MutantsArgs, USAGE};

pub(super) fn mutants(args: &MutantsArgs) -> u8 {
    match judge(args) {
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

fn judge(args: &MutantsArgs) -> Result<Vec<Judged>, MutantError> {
    let root = absolute(&args.tree)?;
    let mut mutants = read_all(&root)?;
    if !args.only.is_empty() {
        let is_wanted = |full: &str| args.only.iter().any(|part| full.contains(part.as_str()));
        mutants.retain(|mutant| is_wanted(&format!("{}-{}", mutant.row, mutant.name)));
    }
    if mutants.is_empty() {
        let what = "no planted bug has such a name".to_owned();
        return Err(MutantError::Program { program: "mutants".to_owned(), what });
    }
    let work = match &args.work {
        Some(work) => absolute(work)?,
        None => root.join("target").join("mutants"),
    };
    let bench = Bench::prepare(&root, &work, Tools::default())?;
    let limits = Limits { seeds: args.seeds, jobs: args.jobs };
    let mut judged = Vec::new();
    for mutant in mutants {
        let begun = Instant::now();
        let verdict = bench.judge(&mutant, limits)?;
        judged.push(Judged { mutant, verdict, took: begun.elapsed() });
        let text = as_text(&judged[judged.len() - 1..]);
        // The table at the end says it again.
        let _ = writeln!(io::stderr(), "{}", text.lines().nth(1).unwrap_or_default());
    }
    Ok(judged)
}

fn absolute(path: &Path) -> Result<PathBuf, MutantError> {
    std::path::absolute(path).map_err(|source| MutantError::File { path: path.to_owned(), source })
}
