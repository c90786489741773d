//! The planted bugs: that each still fits the tree, says what it is, and is judged as it should.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use raft_sim::mutants::{
    Bench, DIRECTORY, Judged, Limits, Memory, Mutant, Tools, Verdict, read_all,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn catalogue() -> BTreeSet<String> {
    let consensus = (1..=47).map(|number| format!("C{number}"));
    consensus.chain((1..=33).map(|number| format!("S{number}"))).collect()
}

/// The rows that a list names in its first column.
fn listed(name: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(DIRECTORY).join(name)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    rows.filter(|row| catalogue().contains(*row)).map(str::to_owned).collect()
}

#[test]
fn every_patch_fits_the_tree() {
    for mutant in read_all(&root()).unwrap() {
        let mut command = Command::new("git");
        command.args(["apply", "--check"]).arg(&mutant.path).current_dir(root());
        let output = command.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {complaint}", mutant.path.display());
    }
}

#[test]
fn every_patch_is_small_touches_the_product_alone_and_says_what_it_is() {
    let mutants = read_all(&root()).unwrap();
    let names: BTreeSet<_> = mutants.iter().map(|one| (&one.row, &one.name)).collect();
    assert_eq!(names.len(), mutants.len(), "each has a name of its own");
    for Mutant { row, name, breaks, loses, path } in &mutants {
        assert!(catalogue().contains(row), "{name}: there is no row {row}");
        assert!(!breaks.is_empty() && !loses.is_empty(), "{name} doesn't say what it breaks");
        let patch = fs::read_to_string(path).unwrap();
        let touched = patch.lines().filter_map(|line| line.strip_prefix("+++ b/"));
        let is_product = |file: &str| file.starts_with("src/") && !file.contains("tests");
        assert!(touched.into_iter().all(is_product), "{name} touches more than the product");
        let is_change = |line: &&str| line.starts_with(['+', '-']) && !line.starts_with("+++ ");
        assert!(patch.lines().filter(is_change).count() < 50, "{name} isn't small");
    }
}

#[test]
fn every_row_has_a_planted_bug_or_a_reason() {
    let mutants = read_all(&root()).unwrap();
    let planted: BTreeSet<String> = mutants.into_iter().map(|mutant| mutant.row).collect();
    let mut excused = listed("pending.md");
    excused.extend(listed("unfit.md"));
    for row in catalogue() {
        let count = excused.iter().filter(|one| **one == row).count();
        assert_eq!(count + usize::from(planted.contains(&row)), 1, "row {row}");
    }
}

/// A tree whose simulator is a script: it finds something from seed 3 on where the patch stands,
/// and in seed 5 always.
fn fake_tree(patch: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let mutants = root.join(DIRECTORY);
    fs::create_dir_all(&mutants).unwrap();
    fs::write(root.join("code"), "right\n").unwrap();
    let script = r#"#!/bin/sh
mode=MODE
case "$1 $2 $3" in
"run --seed 5") exit 1;;
run*) exit 0;;
esac
first=${3%..*}
if [ $mode = wrong ]; then seed=3; [ $first -gt 3 ] && seed=$first; else seed=5; fi
[ $mode = broken ] && exit 2
[ $mode = right ] && [ $first -gt 5 ] && { echo '{"findings":[]}'; exit 0; }
echo "{\"findings\":[{\"seed\":$seed,\"text\":\"a finding\"}]}"
exit 1
"#;
    fs::write(root.join("script"), script).unwrap();
    let build = "#!/bin/sh\n[ \"$(cat code)\" = unbuildable ] && { echo 'error: no' >&2; exit 1; }\n\
                 mkdir -p \"$OUT\"\nsed \"s/MODE/$(cat code)/\" script > \"$OUT/simulator\"\n\
                 chmod +x \"$OUT/simulator\"\n";
    fs::write(root.join("build"), build).unwrap();
    fs::write(mutants.join("C1-a-fault.patch"), patch).unwrap();
    for arguments in [&["init", "--quiet"][..], &["add", "--all"][..]] {
        let status = Command::new("git").args(arguments).current_dir(root).status().unwrap();
        assert!(status.success());
    }
    directory
}

fn patch_to(word: &str) -> String {
    format!(
        "Row: C1\nBreaks: it.\nLoses: all.\n\ndiff --git a/code b/code\n--- a/code\n+++ b/code\n\
         @@ -1 +1 @@\n-right\n+{word}\n"
    )
}

fn fake_tools() -> Tools {
    Tools {
        build: vec!["sh".to_owned(), "build".to_owned()],
        target_variable: "OUT".to_owned(),
        simulator: "simulator".into(),
    }
}

fn judge(patch: &str) -> Verdict {
    let tree = fake_tree(patch);
    let work = tempfile::tempdir().unwrap();
    let bench = Bench::prepare(tree.path(), work.path(), fake_tools()).unwrap();
    let mutant = read_all(tree.path()).unwrap().remove(0);
    let limits = Limits { seeds: 20, jobs: 1 };
    let verdict = bench.judge(&mutant, limits).unwrap();
    let code = fs::read_to_string(work.path().join("tree/code")).unwrap();
    assert_eq!(code, "right\n", "the patch is taken away again");
    verdict
}

#[test]
fn a_planted_bug_is_found_by_a_seed_that_finds_nothing_without_it() {
    let finding = "a finding".to_owned();
    assert_eq!(judge(&patch_to("wrong")), Verdict::Found { seed: 3, seeds: 4, finding });
}

#[test]
fn a_seed_that_finds_something_without_the_bug_too_doesnt_count() {
    let same = patch_to("right").replace("+1 @@\n-right\n+right\n", "+1,2 @@\n right\n+\n");
    assert_eq!(judge(&same), Verdict::NotFound { seeds: 20 });
}

#[test]
fn what_doesnt_fit_or_build_isnt_found() {
    assert!(
        matches!(judge(&patch_to("unbuildable")), Verdict::NotBuilt(text) if text == "error: no")
    );
    let other = patch_to("wrong").replace("-right", "-something else");
    assert!(matches!(judge(&other), Verdict::NotApplied(text) if text.contains("code")));
}

#[test]
fn what_was_judged_is_remembered_until_sources_or_patch_or_limits_change() {
    let tree = fake_tree(&patch_to("wrong"));
    let mutant = read_all(tree.path()).unwrap().remove(0);
    let path = tree.path().join("judged.jsonl");
    let memory = |tag: &str| Memory::open(path.clone(), tag.to_owned()).unwrap();
    let limits = |seeds| Limits { seeds, jobs: 1 };
    let verdict = Verdict::Found { seed: 3, seeds: 4, finding: "a finding".to_owned() };
    let judged = Judged { mutant: mutant.clone(), verdict, took: Duration::from_secs(5) };
    assert_eq!(memory("one").recall(&mutant, limits(20)).unwrap(), None);
    memory("one").keep(&judged).unwrap();
    assert_eq!(memory("one").recall(&mutant, limits(20)).unwrap(), Some(judged));
    assert_eq!(memory("one").recall(&mutant, limits(3)).unwrap(), None, "it took more seeds");
    assert_eq!(memory("two").recall(&mutant, limits(20)).unwrap(), None, "other sources");
    fs::write(&mutant.path, patch_to("unbuildable")).unwrap();
    assert_eq!(memory("one").recall(&mutant, limits(20)).unwrap(), None, "another patch");
}

#[test]
fn a_bench_that_an_earlier_run_has_left_is_set_right() {
    let tree = fake_tree(&patch_to("wrong"));
    let work = tempfile::tempdir().unwrap();
    let prepare = || Bench::prepare(tree.path(), work.path(), fake_tools()).unwrap();
    prepare();
    let copy = work.path().join("tree");
    let before = fs::metadata(copy.join("build")).unwrap().modified().unwrap();
    fs::write(copy.join("code"), "wrong\n").unwrap();
    fs::create_dir(copy.join("directory")).unwrap();
    fs::write(copy.join("directory/file"), "").unwrap();
    prepare();
    assert_eq!(fs::read_to_string(copy.join("code")).unwrap(), "right\n");
    assert!(!copy.join("directory/file").exists());
    let after = fs::metadata(copy.join("build")).unwrap().modified().unwrap();
    assert_eq!(before, after, "what is the same is left alone");
}
