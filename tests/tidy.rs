//! Holds the shape of the source: which room may use which, how long files and functions get,
//! and what doesn't belong where.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may use. A road that isn't here isn't allowed.
const ROADS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("raft", &["model"]),
    ("wire", &["model"]),
    ("storage", &["model"]),
    ("kv", &["model"]),
    ("config", &["model"]),
    ("node", &["model", "raft", "wire", "storage", "kv", "config"]),
    ("client", &["model", "wire", "kv", "config"]),
    // The command line of `raft`: it reads the file and starts the node.
    ("cli", &["model", "config", "node"]),
    ("raft-ctl", &["model", "wire", "storage", "kv", "config", "client"]),
    ("raft-sim", &["model", "raft", "wire", "storage", "kv", "config", "client", "node"]),
];

/// The most lines of a file before its tests, and of a function.
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;

/// What the core may not reach for: clocks, randomness, input and output, threads, logging, and
/// containers whose order depends on a random seed.
const BANNED_IN_CORE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "std::sync::mpsc",
    "Instant",
    "SystemTime",
    "HashMap",
    "HashSet",
    "rand::",
    "log::",
    "println!",
];

/// The one file that may hold `unsafe`.
const UNSAFE_FILE: &str = "src/storage/mapping.rs";

struct Source {
    path: String,
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tools"] {
        collect(&root.join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() > 10, "the sources weren't found");
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            let parts: Vec<&str> = name.split('/').collect();
            let room = match parts[..] {
                ["src", room, _, ..] | ["tools", room, ..] => room.to_owned(),
                _ => "root".to_owned(),
            };
            let text = fs::read_to_string(&path).expect("a source is readable UTF-8");
            Source { path: name, room, text }
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder of the sources is readable").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What stands before the file's tests, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line))
}

fn report(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn rooms_use_only_the_rooms_they_may() {
    let mut findings = Vec::new();
    for source in sources() {
        let Some((_, allowed)) = ROADS.iter().find(|(room, _)| *room == source.room) else {
            continue;
        };
        // In a tool, `crate` is the tool itself, whose modules may have the names of rooms.
        let is_tool = source.path.starts_with("tools/");
        for (number, line) in code(&source.text) {
            for (target, _) in ROADS {
                let names = |root: &str| {
                    line.contains(&format!("{root}::{target}::"))
                        || line.contains(&format!("{root}::{{{target}"))
                };
                let used = names("raft_node") || !is_tool && names("crate");
                if used && *target != source.room && !allowed.contains(target) {
                    findings.push(format!(
                        "{}:{number}: {} may not use {target}",
                        source.path, source.room
                    ));
                }
            }
        }
    }
    report(&findings);
}

#[test]
fn every_room_has_its_roads_written_down() {
    let mut rooms: Vec<String> = sources().into_iter().map(|source| source.room).collect();
    rooms.dedup();
    let unknown: Vec<String> = rooms
        .into_iter()
        .filter(|room| room != "root" && !ROADS.iter().any(|(known, _)| known == room))
        .map(|room| format!("room {room} isn't in ROADS"))
        .collect();
    report(&unknown);
}

#[test]
fn files_have_one_subject_and_functions_fit_a_screen() {
    let mut findings = Vec::new();
    for source in sources() {
        let lines = source.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
        let count = lines.count();
        if count > FILE_LINES {
            findings.push(format!("{}: {count} lines before its tests", source.path));
        }
        let mut start: Option<(usize, usize)> = None;
        for (number, line) in code(&source.text) {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            let begins = head.starts_with("fn ") || head.contains(" fn ");
            if begins && (line.ends_with('{') || line.ends_with('(')) && start.is_none() {
                start = Some((number, indent));
            } else if let Some((first, depth)) = start
                && indent == depth
                && head.starts_with('}')
            {
                let length = number + 1 - first;
                if length > FUNCTION_LINES {
                    findings.push(format!("{}:{first}: a function of {length}", source.path));
                }
                start = None;
            }
        }
    }
    report(&findings);
}

#[test]
fn the_core_reaches_for_no_clock_chance_file_socket_or_thread() {
    let mut findings = Vec::new();
    for source in sources().into_iter().filter(|source| source.room == "raft") {
        for (number, line) in code(&source.text) {
            for banned in BANNED_IN_CORE.iter().filter(|banned| line.contains(**banned)) {
                findings.push(format!("{}:{number}: {banned} in the core", source.path));
            }
        }
    }
    report(&findings);
}

#[test]
fn unsafe_stands_in_one_file() {
    let mut findings = Vec::new();
    for source in sources().into_iter().filter(|source| source.path != UNSAFE_FILE) {
        for (number, line) in code(&source.text) {
            if ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| line.contains(word)) {
                findings.push(format!("{}:{number}: unsafe", source.path));
            }
        }
    }
    report(&findings);
}

#[test]
fn nothing_is_left_unfinished_and_sources_are_ascii() {
    let mut findings = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            for mark in ["todo!(", "unimplemented!(", "FIXME", "dbg!(", "#[ignore"] {
                if line.contains(mark) {
                    findings.push(format!("{}:{}: {mark}", source.path, number + 1));
                }
            }
            if !line.is_ascii() {
                findings.push(format!("{}:{}: not ASCII", source.path, number + 1));
            }
        }
    }
    report(&findings);
}

#[test]
fn the_test_command_of_the_readme_is_what_must_pass_before_a_change_lands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name| fs::read_to_string(root.join(name)).expect("the file is there");
    let (readme, script) = (read("README.md"), read(".ci/run"));
    let is_test = |line: &&str| line.starts_with("cargo test");
    let command = readme.lines().find(is_test).expect("the README has a test command");
    assert_eq!(script.lines().find(is_test), Some(command));
}

#[test]
fn pages_lead_only_to_pages_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).expect("docs is a folder");
    let pages = pages.map(|entry| entry.expect("docs is readable").path());
    let mut findings = Vec::new();
    for page in pages.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&page).expect("a page is readable UTF-8");
        for (_, rest) in text.match_indices("](").map(|(at, mark)| text.split_at(at + mark.len())) {
            let target = rest.split([')', '#']).next().expect("split gives something");
            let near = page.parent().expect("a page is in a folder").join(target);
            if !target.starts_with("http") && !near.exists() {
                findings.push(format!("{}: no {target}", page.display()));
            }
        }
    }
    report(&findings);
}

#[test]
fn every_event_that_operators_read_of_is_written_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/operations.md")).expect("the page is there");
    let (_, section) = page.split_once("### Events").expect("the page has the section");
    let (table, _) = section.split_once("\n## ").expect("another section follows");
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let events: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(events.len() > 20, "{events:?}");
    let shell: Vec<Source> = sources()
        .into_iter()
        .filter(|source| ["node", "cli"].contains(&source.room.as_str()))
        .collect();
    let is_written =
        |event: &str| shell.iter().any(|source| source.text.contains(&format!("\"{event}\"")));
    let findings: Vec<String> = events
        .into_iter()
        .filter(|event| !is_written(event))
        .map(|event| format!("docs/operations.md: nobody writes {event}"))
        .collect();
    report(&findings);
}

#[test]
fn nobody_sleeps_in_the_hope_that_something_has_happened() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join("tests"), &mut found);
    let mut findings = Vec::new();
    for path in found {
        let name = path.display().to_string();
        if name.ends_with("tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a test is readable UTF-8");
        for (number, line) in text.lines().enumerate() {
            if line.contains("thread::sleep") && !line.contains("// polls") {
                findings.push(format!("{name}:{}: a sleep", number + 1));
            }
        }
    }
    report(&findings);
}
