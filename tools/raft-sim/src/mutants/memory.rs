//! What is known of planted bugs from earlier runs over the same sources.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Judged, Limits, Mutant, MutantError, Verdict};

/// A file with one line for each planted bug that was judged.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    /// The version of the simulator that was built of the tree as it is.
    tag: String,
    known: Vec<Value>,
}

impl Memory {
    /// Reads the file, if there is one.
    pub fn open(path: PathBuf, tag: String) -> Result<Memory, MutantError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(MutantError::file(&path)(error)),
        };
        // A line that a run that was ended has left half written says nothing.
        let known = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Memory { path, tag, known })
    }

    /// What came of a planted bug, where the same sources and patch were judged within the limits
    /// already.
    pub fn recall(&self, mutant: &Mutant, limits: Limits) -> Result<Option<Judged>, MutantError> {
        let key = self.key(mutant)?;
        let fits = |line: &&Value| line["key"] == key.as_str();
        let verdicts = self.known.iter().rev().filter(fits).filter_map(|line| {
            let seeds = line["seeds"].as_u64()?;
            let verdict = match line["verdict"].as_str()? {
                "found" if seeds <= limits.seeds => {
                    let finding = line["text"].as_str()?.to_owned();
                    Verdict::Found { seed: line["seed"].as_u64()?, seeds, finding }
                }
                "not_found" if seeds >= limits.seeds => Verdict::NotFound { seeds },
                _ => return None,
            };
            let took = Duration::from_secs(line["took_s"].as_u64()?);
            Some(Judged { mutant: mutant.clone(), verdict, took })
        });
        Ok(verdicts.into_iter().next())
    }

    /// Keeps what came of one.
    pub fn keep(&self, judged: &Judged) -> Result<(), MutantError> {
        let mut line = judged.as_json();
        line["key"] = json!(self.key(&judged.mutant)?);
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.map_err(MutantError::file(&self.path))
    }

    fn key(&self, mutant: &Mutant) -> Result<String, MutantError> {
        let patch = fs::read_to_string(&mutant.path).map_err(MutantError::file(&mutant.path))?;
        Ok(format!("{} {patch}", self.tag))
    }
}
