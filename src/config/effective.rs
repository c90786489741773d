//! Writes the configuration that holds as a raft.ini.

use std::fmt::Write;

use super::diagnostics::printable;
use super::keys::Key;
use super::report::{Origin, Origins};
use super::settings::Config;
use super::table::{self, NodeDraft};

/// The whole file. `source` is the name of the file that was read.
pub(super) fn write(config: &Config, source: &str, origins: &Origins) -> String {
    let mut writer = Writer { text: String::new(), source, origins };
    writer.section("Cluster", table::CLUSTER, &config.cluster);
    writer.section("Storage", table::STORAGE, &config.storage);
    writer.section("Snapshot", table::SNAPSHOT, &config.snapshot);
    writer.section("Client", table::CLIENT, &config.client);
    writer.header("Nodes");
    for node in &config.nodes {
        writer.line(&format!("Node{}", node.id), &node.label);
    }
    for node in &config.nodes {
        writer.section(&format!("Node.{}", node.label), table::NODE, &NodeDraft::of(node));
    }
    writer.text
}

struct Writer<'a> {
    text: String,
    source: &'a str,
    origins: &'a Origins,
}

impl Writer<'_> {
    fn section<T: Clone>(&mut self, name: &str, keys: &[Key<T>], values: &T) {
        self.header(name);
        for key in keys {
            let Some(value) = key.show(values) else { continue };
            if let Some(origin) = self.origins.get(&(name.to_owned(), key.name)) {
                let origin = self.describe(origin);
                self.push(&format!("; {origin}"));
            }
            self.line(key.name, &value);
        }
    }

    fn header(&mut self, name: &str) {
        if !self.text.is_empty() {
            self.push("");
        }
        self.push(&format!("[{name}]"));
    }

    fn line(&mut self, key: &str, value: &str) {
        self.push(&format!("{key} = {}", value.replace('%', "%%")));
    }

    fn describe(&self, origin: &Origin) -> String {
        match origin {
            Origin::Default => "default".to_owned(),
            Origin::File(at) => format!("{}:{}", printable(self.source), at.line),
            Origin::Environment(name) => format!("environment {name}"),
            Origin::Flag(text) => printable(text),
        }
    }

    fn push(&mut self, line: &str) {
        writeln!(self.text, "{line}").expect("a string takes any text");
    }
}
