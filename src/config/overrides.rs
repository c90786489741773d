//! What stands above the file: flags, and below them the environment.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};

use super::ini::folded;
use super::report::{Origin, Report};

/// What the command line says about the configuration.
///
/// Flags stand above the environment, that above the file, and that above the defaults.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overrides {
    /// The values of `--set`, each `Section.Key=Value`. The last one of a key holds.
    pub set: Vec<String>,
    /// The node that is started, by number or label. The three flags below speak of it.
    pub node: Option<String>,
    /// The value of `--host`: the node's `Host`.
    pub host: Option<String>,
    /// The value of `--port`: the node's `Port`.
    pub port: Option<String>,
    /// The value of `--data`: the node's own `DataDirectory`.
    pub data: Option<String>,
}

/// The beginnings of variables that may name keys. Others that begin with `RAFT_` belong to
/// programs.
const PREFIXES: &[&str] =
    &["RAFT_CLUSTER_", "RAFT_STORAGE_", "RAFT_SNAPSHOT_", "RAFT_CLIENT_", "RAFT_NODE_"];

/// Flags of programs that look like keys: `--client-id`.
const NOT_KEYS: &[&str] = &["RAFT_CLIENT_ID"];

/// A value that stands above the file.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) origin: Origin,
    /// `None` where the text isn't UTF-8.
    pub(super) value: Option<String>,
}

/// The name of the variable for a key, as in `RAFT_NODE_A_PORT`.
pub(super) fn variable(section: &str, key: &str) -> String {
    format!("RAFT_{}_{}", variable_part(section), variable_part(key))
}

/// A name as it stands in a variable: capitals, and `_` for whatever isn't a letter or digit.
pub(super) fn variable_part(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect()
}

/// The variables that may name keys and haven't been asked for yet.
#[derive(Default)]
pub(super) struct Environment {
    variables: BTreeMap<String, OsString>,
    unused: BTreeSet<String>,
}

impl Environment {
    pub(super) fn new<K, V>(variables: impl IntoIterator<Item = (K, V)>) -> Environment
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut environment = Environment::default();
        for (name, value) in variables {
            let Some(name) = name.as_ref().to_str() else { continue };
            let ours = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
            if ours && !NOT_KEYS.contains(&name) {
                environment.variables.insert(name.to_owned(), value.as_ref().to_owned());
                environment.unused.insert(name.to_owned());
            }
        }
        environment
    }

    pub(super) fn take(&mut self, section: &str, key: &str) -> Option<Given> {
        let name = variable(section, key);
        let value = self.variables.get(&name)?;
        self.unused.remove(&name);
        let value = value.to_str().map(str::to_owned);
        Some(Given { origin: Origin::Environment(name), value })
    }

    /// The variables that no key has asked for.
    pub(super) fn unused(&self) -> impl Iterator<Item = &str> {
        self.unused.iter().map(String::as_str)
    }
}

/// One flag that gives a key.
struct Flag {
    section: String,
    key: String,
    given: Given,
    used: bool,
}

/// The flags that give keys, in the order in which they hold: a later one wins.
#[derive(Default)]
pub(super) struct Flags(Vec<Flag>);

impl Flags {
    /// Splits the values of `--set`. Names are looked at when the sections are known.
    pub(super) fn new(overrides: &Overrides, report: &mut Report<'_>) -> Flags {
        let mut flags = Flags::default();
        for text in &overrides.set {
            let origin = Origin::Flag(format!("--set {text}"));
            let parts = text.split_once('=').and_then(|(name, value)| {
                let (section, key) = name.rsplit_once('.')?;
                Some((section.trim(), key.trim(), value.trim()))
            });
            match parts {
                Some((section, key, value)) if !section.is_empty() && !key.is_empty() => {
                    flags.push(section, key, value, origin);
                }
                _ => {
                    let message =
                        "must be Section.Key=Value, such as Cluster.ElectionTimeout=500ms";
                    report.error(&origin, message.to_owned());
                }
            }
        }
        flags
    }

    /// Adds the flags that speak of the one node whose label is `label`.
    pub(super) fn add_node(&mut self, overrides: &Overrides, label: &str) {
        for (flag, key, value) in node_flags(overrides) {
            let origin = Origin::Flag(format!("{flag} {value}"));
            self.push(&format!("Node.{label}"), key, value, origin);
        }
    }

    pub(super) fn take(&mut self, section: &str, key: &str) -> Vec<Given> {
        let key = folded(key);
        let matching =
            self.0.iter_mut().filter(|flag| flag.section == section && folded(&flag.key) == key);
        matching
            .map(|flag| {
                flag.used = true;
                flag.given.clone()
            })
            .collect()
    }

    /// Section, key and origin of the flags that no key has asked for.
    pub(super) fn unused(&self) -> impl Iterator<Item = (&str, &str, &Origin)> {
        self.0
            .iter()
            .filter(|flag| !flag.used)
            .map(|flag| (flag.section.as_str(), flag.key.as_str(), &flag.given.origin))
    }

    fn push(&mut self, section: &str, key: &str, value: &str, origin: Origin) {
        let given = Given { origin, value: Some(value.to_owned()) };
        let (section, key) = (section.to_owned(), key.to_owned());
        self.0.push(Flag { section, key, given, used: false });
    }
}

/// The flags that speak of one node: the flag, its key and its value.
pub(super) fn node_flags(
    overrides: &Overrides,
) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
    [
        ("--host", "Host", &overrides.host),
        ("--port", "Port", &overrides.port),
        ("--data", "DataDirectory", &overrides.data),
    ]
    .into_iter()
    .filter_map(|(flag, key, value)| Some((flag, key, value.as_deref()?)))
}
