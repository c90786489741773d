//! Names that aren't known: what was probably meant, or else what there is.

use super::diagnostics::printable;
use super::ini::{Document, Standing, folded};
use super::keys::Key;
use super::overrides::{Environment, Flags, variable};
use super::report::{Origin, Report};
use super::suggest::nearest;
use super::table;

/// The sections beside `[Nodes]` and `[Node.X]`.
const SECTIONS: &[&str] = &["Cluster", "Storage", "Snapshot", "Client"];

/// Reports the sections of the file that mean nothing. Those of nodes aren't looked at.
pub(super) fn sections(document: &Document, labels: &[&str], report: &mut Report<'_>) {
    for section in &document.sections {
        let name = section.name.as_str();
        let known = SECTIONS.contains(&name) || name == "Nodes" || name.starts_with("Node.");
        if !known && section.standing == Standing::Good {
            report.error_at(section.at, unknown_section(name, labels));
        }
    }
}

/// Reports the flags that no key has asked for.
pub(super) fn flags(flags: &Flags, labels: &[&str], report: &mut Report<'_>) {
    for (section, name, origin) in flags.unused() {
        let message = match keys_of(section, labels) {
            _ if section == "Nodes" => "nodes are listed in the file only".to_owned(),
            Some(names) => key(name, section, &names),
            None => unknown_section(section, labels),
        };
        report.error(origin, message);
    }
}

/// Warns of the variables that no key has asked for. It is no error: service managers and
/// containers set variables of their own making, such as `RAFT_NODE_SERVICE_HOST`.
pub(super) fn variables(environment: &Environment, labels: &[&str], report: &mut Report<'_>) {
    let mut known = Vec::new();
    let nodes = labels.iter().map(|label| format!("Node.{label}"));
    for section in SECTIONS.iter().map(|section| (*section).to_owned()).chain(nodes) {
        let keys = keys_of(&section, labels).unwrap_or_default();
        known.extend(keys.into_iter().map(|key| variable(&section, key)));
    }
    for name in environment.unused() {
        let hint = nearest(name, known.iter().map(String::as_str))
            .map(|known| format!("; did you mean {known}?"))
            .unwrap_or_default();
        let message = format!("names no key and has no effect{hint}");
        report.warning(&Origin::Environment(name.to_owned()), message);
    }
}

/// The message about a key that `section`, whose keys are `names`, doesn't have.
pub(super) fn key(key: &str, section: &str, names: &[&'static str]) -> String {
    let holds_it = |section: &&&str| {
        let keys = keys_of(section, &[]).unwrap_or_default();
        keys.iter().any(|name| folded(name) == folded(key))
    };
    let elsewhere = SECTIONS.iter().find(holds_it);
    let hint = match (elsewhere, nearest(key, names.iter().copied())) {
        (Some(section), _) => format!("; it belongs in [{section}]"),
        (None, Some(name)) => format!("; did you mean \"{name}\"?"),
        (None, None) => format!("; known are {}", names.join(", ")),
    };
    format!("unknown key \"{}\" in [{}]{hint}", printable(key), printable(section))
}

fn unknown_section(name: &str, labels: &[&str]) -> String {
    let nodes: Vec<String> = labels.iter().map(|label| format!("Node.{label}")).collect();
    let known = SECTIONS.iter().copied().chain(["Nodes"]).chain(nodes.iter().map(String::as_str));
    let hint = match nearest(name, known) {
        Some(known) => format!("; did you mean [{known}]?"),
        None => format!("; known are [{}], [Nodes] and [Node.X]", SECTIONS.join("], [")),
    };
    format!("unknown section [{}]{hint}", printable(name))
}

/// The names of the keys of a section, if there is such a section.
fn keys_of(section: &str, labels: &[&str]) -> Option<Vec<&'static str>> {
    fn names<T>(keys: &[Key<T>]) -> Vec<&'static str> {
        keys.iter().map(|key| key.name).collect()
    }
    match section {
        "Cluster" => Some(names(table::CLUSTER)),
        "Storage" => Some(names(table::STORAGE)),
        "Snapshot" => Some(names(table::SNAPSHOT)),
        "Client" => Some(names(table::CLIENT)),
        _ => {
            let label = section.strip_prefix("Node.")?;
            labels.contains(&label).then(|| names(table::NODE))
        }
    }
}
