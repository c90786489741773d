//! From the file, the environment and the flags to one configuration.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::check;
use super::diagnostics::{Diagnostic, Diagnostics, printable};
use super::ini::{self, Document, Entry, Position, Section, Standing, folded};
use super::keys::{Fallback, Key};
use super::overrides::{Environment, Flags, Given, Overrides, node_flags, variable_part};
use super::report::{Origin, Origins, Report};
use super::settings::{Client, Cluster, Config, Node, Snapshot, Storage};
use super::table::{self, NodeDraft};
use super::unknown;
use super::{effective, values};
use crate::model::NodeId;

/// No configuration is longer; what is, was given by mistake.
const LARGEST_FILE: u64 = 256 << 10;

/// A configuration, and what is worth knowing about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is probably not meant, in the order of the file; it doesn't keep a node from
    /// starting.
    pub warnings: Vec<Diagnostic>,
    file: String,
    origins: Origins,
}

impl Loaded {
    /// The configuration that holds, written as a raft.ini: every key with its value, and above
    /// each that isn't a default a comment that tells where it comes from. Reading it again
    /// gives the same configuration.
    #[must_use]
    pub fn effective(&self) -> String {
        effective::write(&self.config, &self.file, &self.origins)
    }
}

/// Reads the file at `path`, and above it the environment and the flags. The environment is
/// [`std::env::vars_os`], or whatever stands for it.
///
/// # Errors
///
/// All mistakes that there are, in one go.
pub fn load<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    path: &Path,
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (K, V)>,
) -> Result<Loaded, Diagnostics> {
    let file = path.display().to_string();
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| {
        let message = format!("can't be read: {error}; -c names another file");
        Diagnostics::unreadable(&file, message, Some(error))
    })?;
    parse(&file, &bytes, overrides, environment)
}

/// Like [`load`], for a file that is already in memory. Its name is for the messages.
///
/// # Errors
///
/// All mistakes that there are, in one go.
pub fn parse<K: AsRef<OsStr>, V: AsRef<OsStr>>(
    file: &str,
    bytes: &[u8],
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (K, V)>,
) -> Result<Loaded, Diagnostics> {
    if bytes.len() as u64 > LARGEST_FILE {
        let size = values::show_size(LARGEST_FILE);
        let message = format!("is longer than {size}; no raft.ini is");
        return Err(Diagnostics::unreadable(file, message, None));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Diagnostics::unreadable(file, "is UTF-16; save it as UTF-8".to_owned(), None));
    }
    let mut document = ini::read(bytes);
    let mut report = Report::new(file, std::mem::take(&mut document.lines));
    for mistake in std::mem::take(&mut document.mistakes) {
        report.error_at(mistake.at, mistake.message);
    }
    let mut sections: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, section) in document.sections.iter().enumerate() {
        sections.entry(&section.name).or_default().push(index);
    }
    let loader = Loader {
        document: &document,
        sections: &sections,
        environment: Environment::new(environment),
        flags: Flags::new(overrides, &mut report),
        report,
        origins: Origins::new(),
        named: 0,
    };
    loader.run(overrides)
}

struct Loader<'a> {
    document: &'a Document,
    /// Where the sections of each name stand in the document.
    sections: &'a HashMap<&'a str, Vec<usize>>,
    environment: Environment,
    flags: Flags,
    report: Report<'a>,
    origins: Origins,
    /// How many nodes `[Nodes]` means to name, its mistakes included.
    named: usize,
}

/// A line of `[Nodes]`.
struct Listed {
    id: NodeId,
    label: String,
    at: Position,
}

impl Loader<'_> {
    fn run(mut self, overrides: &Overrides) -> Result<Loaded, Diagnostics> {
        let mut config = Config {
            cluster: Cluster::default(),
            storage: Storage::default(),
            snapshot: Snapshot::default(),
            client: Client::default(),
            nodes: Vec::new(),
        };
        self.fill("Cluster", table::CLUSTER, &mut config.cluster);
        self.fill("Storage", table::STORAGE, &mut config.storage);
        self.fill("Snapshot", table::SNAPSHOT, &mut config.snapshot);
        self.fill("Client", table::CLIENT, &mut config.client);
        let listed = self.listed();
        self.add_node_flags(overrides, &listed);
        for entry in &listed {
            config.nodes.extend(self.node(entry));
        }
        self.unlisted_nodes(&listed);
        let labels = listed.iter().map(|node| node.label.as_str());
        let labels: Vec<&str> = labels.take(check::MOST_NODES).collect();
        unknown::sections(self.document, &labels, &mut self.report);
        unknown::flags(&self.flags, &labels, &mut self.report);
        unknown::variables(&self.environment, &labels, &mut self.report);
        check::check(&config, self.named, &self.origins, &mut self.report);
        let file = self.report.file().to_owned();
        let warnings = self.report.finish()?;
        Ok(Loaded { config, warnings, file, origins: self.origins })
    }

    /// Stores what file, environment and flags say about the keys of a section, each above the
    /// one before.
    fn fill<T: Clone>(&mut self, name: &str, keys: &[Key<T>], target: &mut T) {
        let document = self.document;
        for index in self.sections.get(name).into_iter().flatten() {
            let section = &document.sections[*index];
            match section.standing {
                Standing::Good => self.fill_from_section(section, keys, target),
                Standing::Repeated => self.fill_from_section(section, keys, &mut target.clone()),
                Standing::Broken => {}
            }
        }
        for key in keys {
            let mut given: Vec<Given> = self.environment.take(name, key.name).into_iter().collect();
            given.extend(self.flags.take(name, key.name));
            for Given { origin, value } in given {
                self.store(name, key, target, value.as_deref(), origin);
            }
        }
    }

    fn fill_from_section<T: Clone>(&mut self, section: &Section, keys: &[Key<T>], target: &mut T) {
        for entry in &section.entries {
            let known = keys.iter().find(|key| folded(key.name) == folded(&entry.key));
            match known {
                Some(key) => {
                    let origin = Origin::File(entry.value_at);
                    self.store(&section.name, key, target, entry.value.as_deref(), origin);
                }
                None => {
                    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                    let message = unknown::key(&entry.key, &section.name, &names);
                    self.report.error_at(entry.key_at, message);
                }
            }
        }
    }

    fn store<T: Clone>(
        &mut self,
        section: &str,
        key: &Key<T>,
        target: &mut T,
        value: Option<&str>,
        origin: Origin,
    ) {
        let stored = match value {
            Some(text) => key.store(target, text).map_err(|reason| {
                let shown = match text {
                    "" => format!("{} is empty", key.name),
                    _ => format!("{} = {}", key.name, printable(text)),
                };
                Some(format!("{shown}: {reason}{}", comment_hint(text, &origin)))
            }),
            // The reader of the file has said so already.
            None if matches!(origin, Origin::File(_)) => Err(None),
            None => Err(Some(format!("{}: the value isn't UTF-8", key.name))),
        };
        match stored {
            Ok(()) => {
                self.origins.insert((section.to_owned(), key.name), origin);
            }
            Err(message) => {
                self.report.mark_broken(section, key.name);
                if let Some(message) = message {
                    self.report.error(&origin, message);
                }
            }
        }
    }

    /// The lines of `[Nodes]`, ordered by number.
    fn listed(&mut self) -> Vec<Listed> {
        let mut listed: Vec<Listed> = Vec::new();
        for section in self.document.sections.iter().filter(|section| section.name == "Nodes") {
            let entries: Vec<Listed> =
                section.entries.iter().filter_map(|entry| self.listed_node(entry)).collect();
            if section.standing == Standing::Good {
                self.named = section.entries.len();
                listed.extend(entries);
            }
        }
        listed.sort_by_key(|entry| entry.id);
        let mut seen: BTreeMap<String, (String, Position)> = BTreeMap::new();
        listed.retain(|Listed { id, label, at }| {
            // What differs only in case or punctuation has the same variables.
            let (first, first_at) =
                seen.entry(variable_part(label)).or_insert((label.clone(), *at));
            if first_at == at {
                return true;
            }
            let message = if first == label {
                format!("Node{id} = {label}: line {} has this label already", first_at.line)
            } else {
                format!(
                    "Node{id} = {label}: differs only in case or punctuation from {first} on \
                     line {}",
                    first_at.line
                )
            };
            self.report.error_at(*at, message);
            false
        });
        listed
    }

    fn listed_node(&mut self, entry: &Entry) -> Option<Listed> {
        let key = printable(&entry.key);
        let digits = folded(&entry.key).strip_prefix("node").map(str::to_owned).unwrap_or_default();
        if digits.is_empty() || digits.starts_with('0') {
            let message = format!("unknown key \"{key}\" in [Nodes]; nodes are Node1, Node2, ...");
            self.report.error_at(entry.key_at, message);
            return None;
        }
        let value = entry.value.as_deref()?;
        let id = match values::parse_node_id(&digits) {
            Ok(id) => id,
            Err(reason) => {
                let message = format!("\"{key}\" in [Nodes]: the number behind Node {reason}");
                self.report.error_at(entry.key_at, message);
                return None;
            }
        };
        match values::parse_label(value) {
            Ok(label) => Some(Listed { id, label, at: entry.key_at }),
            Err(reason) => {
                let message = format!("Node{id} = {}: {reason}", printable(value));
                self.report.error_at(entry.value_at, message);
                None
            }
        }
    }

    /// The node of a line of `[Nodes]`, if nothing that it needs is missing.
    fn node(&mut self, listed: &Listed) -> Option<Node> {
        let Listed { id, label, at } = listed;
        let name = format!("Node.{label}");
        let document = self.document;
        let Some(first) = self.sections.get(name.as_str()).and_then(|found| found.first()) else {
            let message = format!("Node{id} = {label}, but there is no section [{name}]");
            self.report.error_at(*at, message);
            // What flags and environment say about it is not unknown, only without effect.
            self.fill(&name, table::NODE, &mut NodeDraft::blank(label));
            return None;
        };
        let section = &document.sections[*first];
        let mut draft = NodeDraft::blank(label);
        self.fill(&name, table::NODE, &mut draft);
        if let Some(found) = draft.id
            && found != *id
        {
            let origin = self.origin(&name, "Id");
            let message = format!("Id = {found}: must be {id}, as in Node{id} = {label}");
            self.report.error(&origin, message);
        }
        for key in table::NODE.iter().filter(|key| matches!(key.default, Fallback::Required)) {
            if key.show(&draft).is_none() && !self.report.is_broken(&name, key.name) {
                let message = format!("[{name}] has no {}", key.name);
                self.report.error_at(section.at, message);
            }
        }
        Some(Node {
            id: *id,
            label: label.clone(),
            host: draft.host?,
            port: draft.port?,
            role: draft.role,
            data_directory: draft.data_directory,
            listen: draft.listen,
        })
    }

    fn origin(&self, section: &str, key: &'static str) -> Origin {
        self.origins.get(&(section.to_owned(), key)).cloned().unwrap_or(Origin::Default)
    }

    fn add_node_flags(&mut self, overrides: &Overrides, listed: &[Listed]) {
        let Some((flag, _, value)) = node_flags(overrides).next() else { return };
        let origin = Origin::Flag(format!("{flag} {value}"));
        let Some(name) = &overrides.node else {
            self.report.error(&origin, "speaks of one node; -n names it".to_owned());
            return;
        };
        let number = values::parse_node_id(name).ok();
        match listed.iter().find(|node| Some(node.id) == number || node.label == *name) {
            Some(node) => self.flags.add_node(overrides, &node.label),
            None => {
                let message = format!("there is no node {} in [Nodes]", printable(name));
                self.report.error(&origin, message);
            }
        }
    }

    /// Sections of nodes that `[Nodes]` doesn't name: they are checked and are a mistake.
    fn unlisted_nodes(&mut self, listed: &[Listed]) {
        let document = self.document;
        let next = listed.last().map_or(1, |node| node.id.number().saturating_add(1));
        let mut unlisted: Vec<&str> = Vec::new();
        for section in &document.sections {
            let Some(label) = section.name.strip_prefix("Node.") else { continue };
            let known = listed.iter().any(|node| node.label == label);
            if known || section.standing != Standing::Good {
                continue;
            }
            let shown = printable(label);
            let message = match values::parse_label(label) {
                Ok(label) => format!(
                    "[Node.{label}] isn't listed in [Nodes]; add \"Node{next} = {label}\" there, \
                     or take the section away"
                ),
                Err(reason) => format!("[Node.{shown}]: the label \"{shown}\" {reason}"),
            };
            self.report.error_at(section.at, message);
            unlisted.push(label);
        }
        for label in unlisted {
            self.fill(&format!("Node.{label}"), table::NODE, &mut NodeDraft::blank(label));
        }
    }
}

/// Whoever writes a comment behind a value learns why it became part of it.
fn comment_hint(text: &str, origin: &Origin) -> &'static str {
    let commented = [" ;", " #", "\t;", "\t#"].iter().any(|mark| text.contains(mark));
    if commented && matches!(origin, Origin::File(_)) {
        "; a comment needs a line of its own"
    } else {
        ""
    }
}
