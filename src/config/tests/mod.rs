//! What raft.ini promises, seen from outside.

mod dialect;
mod layers;
mod loading;
mod mistakes;

use super::{Config, Diagnostics, Loaded, Overrides, parse};

/// The file of the small Python project from which this one grew.
const ORIGINAL: &str = include_str!("original.ini");

/// The file that comes with the program.
const SHIPPED: &str = include_str!("../../../raft.ini");

const NO_VARIABLES: [(&str, &str); 0] = [];

fn load(text: &str) -> Result<Loaded, Diagnostics> {
    parse("raft.ini", text.as_bytes(), &Overrides::default(), NO_VARIABLES)
}

fn config(text: &str) -> Config {
    load(text).unwrap_or_else(|mistakes| panic!("{mistakes}")).config
}

/// The text of all mistakes of a file that has some.
fn mistakes(text: &str) -> String {
    match load(text) {
        Ok(_) => panic!("no mistake was found in\n{text}"),
        Err(mistakes) => mistakes.to_string(),
    }
}

/// The text of the warnings of a file without mistakes.
fn warnings(text: &str) -> String {
    let loaded = load(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let lines: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A file of three nodes, with `head` above it.
fn three_nodes(head: &str) -> String {
    let mut text = format!("{head}\n[Nodes]\nNode1 = A\nNode2 = B\nNode3 = C\n");
    for (label, port) in [("A", 1), ("B", 2), ("C", 3)] {
        text.push_str(&format!("[Node.{label}]\nHost = 127.0.0.1\nPort = 311{port}\n"));
    }
    text
}
