//! What came of the planted bugs, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Mutant, Verdict};

/// How wide a line may be, in characters.
const WIDTH: usize = 80;

/// How wide the names are, in characters, as long as they aren't longer.
const NAMES: usize = 52;

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

impl Judged {
    /// Two lines: its name, the seeds it took and the time; and what found it.
    #[must_use]
    pub fn as_text(&self) -> String {
        let (seeds, what) = match &self.verdict {
            Verdict::Found { seed, seeds, finding } => {
                (seeds.to_string(), format!("seed {seed}, {finding}"))
            }
            Verdict::NotFound { seeds } => (format!("> {seeds}"), "NOT FOUND".to_owned()),
            Verdict::NotApplied(text) => ("-".to_owned(), format!("DOESN'T APPLY: {text}")),
            Verdict::NotBuilt(text) => ("-".to_owned(), format!("DOESN'T BUILD: {text}")),
        };
        let (name, took) = (self.mutant.full_name(), self.took.as_secs());
        format!("{name:NAMES$} {seeds:>7} seeds {took:>5} s\n    {}", cut(&what, WIDTH - 4))
    }

    /// One JSON value.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let (verdict, seed, seeds, text) = match &self.verdict {
            Verdict::Found { seed, seeds, finding } => {
                ("found", Some(*seed), Some(*seeds), Some(finding))
            }
            Verdict::NotFound { seeds } => ("not_found", None, Some(*seeds), None),
            Verdict::NotApplied(text) => ("not_applied", None, None, Some(text)),
            Verdict::NotBuilt(text) => ("not_built", None, None, Some(text)),
        };
        json!({
            "row": self.mutant.row,
            "name": self.mutant.name,
            "breaks": self.mutant.breaks,
            "verdict": verdict,
            "seed": seed,
            "seeds": seeds,
            "text": text,
            "took_s": self.took.as_secs(),
        })
    }
}

/// The first `width` characters.
fn cut(text: &str, width: usize) -> String {
    let line = text.replace('\n', "; ");
    match line.chars().count() > width {
        true => line.chars().take(width - 3).chain("...".chars()).collect(),
        false => line,
    }
}

/// All of them, and the rate.
#[must_use]
pub fn as_text(judged: &[Judged]) -> String {
    let text: String = judged.iter().map(|one| one.as_text() + "\n").collect();
    let found = judged.iter().filter(|one| one.verdict.is_found()).count();
    text + &format!("{found} of {} found", judged.len())
}

/// One JSON object.
#[must_use]
pub fn as_json(judged: &[Judged]) -> String {
    let mutants: Vec<Value> = judged.iter().map(Judged::as_json).collect();
    let found = judged.iter().filter(|one| one.verdict.is_found()).count();
    json!({ "mutants": mutants, "found": found, "of": judged.len() }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(verdict: Verdict) -> Judged {
        let mutant = Mutant {
            row: "C1".to_owned(),
            name: "a-fault".to_owned(),
            breaks: "it".to_owned(),
            loses: "all".to_owned(),
            path: "C1-a-fault.patch".into(),
        };
        Judged { mutant, verdict, took: Duration::from_secs(61) }
    }

    #[test]
    fn the_table_fits_a_terminal_whatever_was_found() {
        let finding = "something that takes many words to say".repeat(9);
        let found = judged(Verdict::Found { seed: 3, seeds: 4, finding });
        let text = as_text(&[found, judged(Verdict::NotFound { seeds: 5000 })]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("      4 seeds    61 s\n    seed 3, something"), "{text}");
        assert!(text.contains(" > 5000 seeds    61 s\n    NOT FOUND\n1 of 2 found"), "{text}");
    }
}
