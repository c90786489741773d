//! What came of the planted bugs, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::{Mutant, Verdict};

/// A planted bug and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Which.
    pub mutant: Mutant,
    /// What.
    pub verdict: Verdict,
    /// How long building and sweeping took.
    pub took: Duration,
}

/// A table, a line for each, and the rate.
#[must_use]
pub fn as_text(judged: &[Judged]) -> String {
    let name = |one: &Judged| format!("{}-{}", one.mutant.row, one.mutant.name);
    let width = judged.iter().map(|one| name(one).len()).max().unwrap_or_default().max(6);
    let mut text = format!("{:width$}  {:>10}  {:>7}  by\n", "mutant", "seeds", "took");
    for one in judged {
        let (seeds, by) = told(&one.verdict);
        let written =
            writeln!(text, "{:width$}  {seeds:>10}  {:>5} s  {by}", name(one), one.took.as_secs());
        debug_assert!(written.is_ok(), "texts take everything");
    }
    let found = judged.iter().filter(|one| one.verdict.is_found()).count();
    text + &format!("{found} of {} found", judged.len())
}

fn told(verdict: &Verdict) -> (String, String) {
    match verdict {
        Verdict::Found { seed, seeds, finding } => {
            (seeds.to_string(), format!("seed {seed}: {finding}"))
        }
        Verdict::NotFound { seeds } => (format!("> {seeds}"), "NOT FOUND".to_owned()),
        Verdict::NotApplied(text) => ("-".to_owned(), format!("DOESN'T APPLY: {text}")),
        Verdict::NotBuilt(text) => ("-".to_owned(), format!("DOESN'T BUILD: {text}")),
    }
}

/// One JSON object.
#[must_use]
pub fn as_json(judged: &[Judged]) -> String {
    let mutants = judged.iter().map(|one| {
        let (verdict, seed, seeds, text) = match &one.verdict {
            Verdict::Found { seed, seeds, finding } => {
                ("found", Some(*seed), Some(*seeds), Some(finding))
            }
            Verdict::NotFound { seeds } => ("not_found", None, Some(*seeds), None),
            Verdict::NotApplied(text) => ("not_applied", None, None, Some(text)),
            Verdict::NotBuilt(text) => ("not_built", None, None, Some(text)),
        };
        json!({
            "row": one.mutant.row,
            "name": one.mutant.name,
            "verdict": verdict,
            "seed": seed,
            "seeds": seeds,
            "text": text,
            "took_s": one.took.as_secs(),
        })
    });
    let mutants: Vec<_> = mutants.collect();
    let found = judged.iter().filter(|one| one.verdict.is_found()).count();
    json!({ "mutants": mutants, "found": found, "of": judged.len() }).to_string()
}
