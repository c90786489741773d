//! The patches and what stands at their heads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the patches are, from the root of the tree.
pub const DIRECTORY: &str = "tools/raft-sim/mutants";

/// A planted bug.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// The row of the catalogue of failures that it is an example of, as C1 or S13.
    pub row: String,
    /// What it is called, behind the row in the file's name.
    pub name: String,
    /// What it breaks.
    pub breaks: String,
    /// What a user would lose by it.
    pub loses: String,
    /// The patch.
    pub path: PathBuf,
}

/// Why planted bugs can't be read or judged.
#[derive(Debug, thiserror::Error)]
pub enum MutantError {
    /// A file or directory can't be used.
    #[error("{path}: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A patch doesn't say what it has to.
    #[error("{path}: {what}")]
    Head {
        /// The patch.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A program that is needed can't be run, or fails where it must not.
    #[error("{program}: {what}")]
    Program {
        /// Which one.
        program: String,
        /// What came of it.
        what: String,
    },
}

impl MutantError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> MutantError {
        let path = path.to_owned();
        move |source| MutantError::File { path, source }
    }
}

/// The planted bugs of a tree, in the order of their rows.
pub fn read_all(root: &Path) -> Result<Vec<Mutant>, MutantError> {
    let directory = root.join(DIRECTORY);
    let mut mutants = Vec::new();
    for entry in fs::read_dir(&directory).map_err(MutantError::file(&directory))? {
        let path = entry.map_err(MutantError::file(&directory))?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            mutants.push(Mutant::read(path)?);
        }
    }
    mutants.sort_by_key(|mutant| (place(&mutant.row), mutant.name.clone()));
    Ok(mutants)
}

impl Mutant {
    /// Row and name, as in the file's name.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}-{}", self.row, self.name)
    }

    fn read(path: PathBuf) -> Result<Mutant, MutantError> {
        let text = fs::read_to_string(&path).map_err(MutantError::file(&path))?;
        let wrong = |what: String| MutantError::Head { path: path.clone(), what };
        let mut lines = text.lines();
        let mut field = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            let value = line.and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned);
            value.ok_or_else(|| wrong(format!("its head has no line \"{name}: ...\" in its place")))
        };
        let (row, breaks, loses) = (field("Row")?, field("Breaks")?, field("Loses")?);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let Some(name) = stem.strip_prefix(row.as_str()).and_then(|rest| rest.strip_prefix('-'))
        else {
            return Err(wrong(format!("its head says row {row}, and its name another")));
        };
        Ok(Mutant { name: name.to_owned(), row, breaks, loses, path })
    }
}

/// Rows in the order of their numbers.
fn place(row: &str) -> (char, u32) {
    let number = row.get(1..).and_then(|digits| digits.parse().ok());
    (row.chars().next().unwrap_or_default(), number.unwrap_or(u32::MAX))
}
