//! The consensus core in whole clusters: scenarios in text with golden results, and clusters in
//! which everything goes wrong at random.
//!
//! The scenarios are in `tests/scripts`. With `REWRITE_SCRIPTS=1` in the environment the results
//! are written anew: read the difference before keeping it.

mod facts;
mod fuzz;
mod host;
mod hostile;
mod links;
mod script;
mod show;
mod snapshots;
mod transfers;

use std::path::{Path, PathBuf};

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of scripts is there")
        .map(|entry| entry.expect("it is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    found.sort();
    found
}

#[test]
fn every_script_gives_its_golden_result() {
    let rewrite = std::env::var_os("REWRITE_SCRIPTS").is_some();
    let mut failures = Vec::new();
    let scripts = scripts();
    assert!(scripts.len() > 20, "the scripts weren't found");
    for path in scripts {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let golden = std::fs::read_to_string(&path).expect("a script is readable");
        let result = script::run(&golden);
        if result == golden {
            continue;
        }
        if rewrite {
            std::fs::write(&path, result).expect("a script can be written");
        } else {
            failures.push(format!("{name}:\n{}", first_difference(&golden, &result)));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn first_difference(golden: &str, result: &str) -> String {
    let mut lines = golden.lines().zip(result.lines()).zip(1..);
    match lines.find(|((golden, result), _)| golden != result) {
        Some(((golden, result), number)) => {
            format!("line {number}\n  golden: {golden}\n  result: {result}")
        }
        None => "one is longer than the other".to_owned(),
    }
}
