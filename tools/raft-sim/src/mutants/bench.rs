//! Where planted bugs are judged: a copy of the tree, built once for each.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::{Mutant, MutantError};

/// What came of a planted bug.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A seed finds something with it, and nothing without it.
    Found {
        /// The seed.
        seed: u64,
        /// How many seeds it took.
        seeds: u64,
        /// What it finds.
        finding: String,
    },
    /// So many seeds don't.
    NotFound {
        /// How many.
        seeds: u64,
    },
    /// The patch doesn't fit the tree.
    NotApplied(String),
    /// The patched tree can't be built.
    NotBuilt(String),
}

impl Verdict {
    /// Whether it was found.
    #[must_use]
    pub const fn is_found(&self) -> bool {
        matches!(self, Verdict::Found { .. })
    }
}

/// The programs that build the simulator and are what was built.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tools {
    /// The command that builds in a tree, program and arguments.
    pub build: Vec<String>,
    /// Where the directory of targets is told to it.
    pub target_variable: String,
    /// The simulator that it makes, from the directory of targets.
    pub simulator: PathBuf,
}

impl Default for Tools {
    fn default() -> Tools {
        let build = ["cargo", "build", "--quiet", "--package", "raft-sim", "--profile", "sim"];
        Tools {
            build: build.map(str::to_owned).to_vec(),
            target_variable: "CARGO_TARGET_DIR".to_owned(),
            simulator: Path::new("sim").join("raft-sim"),
        }
    }
}

/// How long a planted bug is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Seeds, from 0 on.
    pub seeds: u64,
    /// Processes that work at the same time.
    pub jobs: u16,
}

/// A copy of the tree, and the simulator that was built of it as it is.
#[derive(Debug)]
pub struct Bench {
    tools: Tools,
    tree: PathBuf,
    target: PathBuf,
    unpatched: PathBuf,
}

impl Bench {
    /// Copies the tracked files of the tree at `root` into `work`, as far as they aren't there
    /// already, and builds them. All planted bugs share the targets there, so that only what a
    /// patch touches is built anew.
    pub fn prepare(root: &Path, work: &Path, tools: Tools) -> Result<Bench, MutantError> {
        let (tree, target) = (work.join("tree"), work.join("target"));
        let listed = run("git", ["ls-files", "-z"], root)?;
        if !listed.status.success() {
            return Err(failed("git ls-files", &listed));
        }
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        let names: BTreeSet<&Path> = names.split_terminator('\0').map(Path::new).collect();
        remove_others(&tree, Path::new(""), &names)?;
        for name in names {
            copy_if_changed(&root.join(name), &tree.join(name))?;
        }
        let unpatched = work.join("unpatched");
        let bench = Bench { tools, tree, target, unpatched };
        let built = bench.build()?;
        if !built.status.success() {
            return Err(failed("the build of the tree as it is", &built));
        }
        copy(&bench.target.join(&bench.tools.simulator), &bench.unpatched)?;
        Ok(bench)
    }

    /// The tag of the version that was built of the tree as it is.
    pub fn tag(&self) -> Result<String, MutantError> {
        let arguments = ["sweep", "--seeds", "0..1", "--time", "1ms", "--json"];
        let swept = run(&self.unpatched, arguments, &self.tree)?;
        let told: Value = serde_json::from_slice(&swept.stdout).unwrap_or_default();
        let tag = told["tag"].as_str().map(str::to_owned);
        tag.ok_or_else(|| failed("a sweep of the tree as it is", &swept))
    }

    /// Applies the patch, builds, sweeps, and takes the patch away again.
    pub fn judge(&self, mutant: &Mutant, limits: Limits) -> Result<Verdict, MutantError> {
        let applied = self.apply(mutant, false)?;
        if !applied.status.success() {
            return Ok(Verdict::NotApplied(first_line(&applied)));
        }
        let verdict = match self.build()? {
            built if built.status.success() => self.look(limits),
            built => Ok(Verdict::NotBuilt(first_line(&built))),
        };
        let removed = self.apply(mutant, true)?;
        if !removed.status.success() {
            return Err(failed("taking a patch away", &removed));
        }
        verdict
    }

    fn apply(&self, mutant: &Mutant, reverse: bool) -> Result<Output, MutantError> {
        let mut command = Command::new("git");
        command.arg("apply").args(reverse.then_some("--reverse")).arg(&mutant.path);
        // The copy may lie inside of a working tree, which isn't meant.
        command.env("GIT_CEILING_DIRECTORIES", self.tree.parent().unwrap_or(&self.tree));
        output(command.current_dir(&self.tree))
    }

    fn build(&self) -> Result<Output, MutantError> {
        let (program, arguments) =
            self.tools.build.split_first().expect("the tools name a program that builds");
        let mut command = Command::new(program);
        command.args(arguments).env(&self.tools.target_variable, &self.target);
        output(command.current_dir(&self.tree))
    }

    /// Sweeps until a seed finds something that it doesn't find in the tree as it is.
    fn look(&self, limits: Limits) -> Result<Verdict, MutantError> {
        let patched = self.target.join(&self.tools.simulator);
        let mut first = 0;
        while first < limits.seeds {
            let range = format!("{first}..{}", limits.seeds);
            let jobs = limits.jobs.to_string();
            let arguments = ["sweep", "--seeds", &range, "--jobs", &jobs, "--json"];
            let swept = run(&patched, arguments, &self.tree)?;
            let Some((seed, finding)) = finding_of(&swept)? else { break };
            let number = seed.to_string();
            let unpatched = run(&self.unpatched, ["run", "--seed", &number], &self.tree)?;
            if unpatched.status.success() {
                return Ok(Verdict::Found { seed, seeds: seed + 1, finding });
            }
            first = seed + 1;
        }
        Ok(Verdict::NotFound { seeds: limits.seeds })
    }
}

/// The lowest seed that a sweep has found something in.
fn finding_of(swept: &Output) -> Result<Option<(u64, String)>, MutantError> {
    if swept.status.success() {
        return Ok(None);
    }
    let unreadable = || failed("a sweep", swept);
    let told: Value = serde_json::from_slice(&swept.stdout).map_err(|_| unreadable())?;
    let findings = told["findings"].as_array().ok_or_else(unreadable)?;
    let read =
        |finding: &Value| Some((finding["seed"].as_u64()?, finding["text"].as_str()?.to_owned()));
    findings.iter().filter_map(read).min().map(Some).ok_or_else(unreadable)
}

/// Removes what an earlier run has left in a copy of a tree and the tree doesn't have.
fn remove_others(
    tree: &Path,
    directory: &Path,
    names: &BTreeSet<&Path>,
) -> Result<(), MutantError> {
    let place = tree.join(directory);
    if !place.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(&place).map_err(MutantError::file(&place))? {
        let entry = entry.map_err(MutantError::file(&place))?;
        let (name, path) = (directory.join(entry.file_name()), entry.path());
        let kind = entry.file_type().map_err(MutantError::file(&path))?;
        if kind.is_dir() {
            remove_others(tree, &name, names)?;
        } else if !names.contains(name.as_path()) {
            fs::remove_file(&path).map_err(MutantError::file(&path))?;
        }
    }
    Ok(())
}

/// Leaves a file alone that is the same already: what is built of it needn't be built again.
fn copy_if_changed(from: &Path, to: &Path) -> Result<(), MutantError> {
    let wanted = fs::read(from).map_err(MutantError::file(from))?;
    match fs::read(to).is_ok_and(|found| found == wanted) {
        true => Ok(()),
        false => copy(from, to),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), MutantError> {
    let directory = to.parent().unwrap_or(to);
    fs::create_dir_all(directory).map_err(MutantError::file(directory))?;
    fs::copy(from, to).map_err(MutantError::file(from))?;
    Ok(())
}

fn run<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
    directory: &Path,
) -> Result<Output, MutantError> {
    output(Command::new(program).args(arguments).current_dir(directory))
}

fn output(command: &mut Command) -> Result<Output, MutantError> {
    command.stdin(Stdio::null()).output().map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        MutantError::Program { program, what: error.to_string() }
    })
}

fn failed(program: &str, output: &Output) -> MutantError {
    let what = format!("{}: {}", output.status, first_line(output));
    MutantError::Program { program: program.to_owned(), what }
}

/// The first thing that a program complains of.
fn first_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let is_error = |line: &&str| line.starts_with("error");
    let line = text.lines().find(is_error).or_else(|| text.lines().next());
    line.unwrap_or_default().to_owned()
}
