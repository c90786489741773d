//! The command line of `raft`.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Parser, ValueEnum};
use raft_node::config::{Address, Overrides};
use raft_node::node::Begin;

use super::exit;
use super::filter::Filter;

/// Where the configuration is looked for when `-c` doesn't name it; the first one that exists.
const CONFIG_PATHS: [&str; 2] = ["raft.ini", "/etc/raft/raft.ini"];

/// Runs a node of a replicated key-value store that loses nothing it has acknowledged.
#[derive(Parser, Clone, Debug)]
#[command(name = "raft", version, max_term_width = 80, after_help = after_help())]
#[command(group = ArgGroup::new("what").args(["node", "all", "check_config"]).required(true).multiple(true))]
pub(crate) struct Arguments {
    /// The configuration; without it ./raft.ini, else /etc/raft/raft.ini
    #[arg(short, long, value_name = "FILE", env = "RAFT_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Run this node of the file: its number or its label
    #[arg(short, long, value_name = "NODE")]
    pub(crate) node: Option<String>,

    /// Run every node of the file whose host is this machine, each in a process of its own;
    /// Ctrl-C stops all
    #[arg(long, conflicts_with_all = ["node", "data", "host", "port", "check_config"])]
    pub(crate) all: bool,

    /// Print the configuration that holds, and start nothing
    #[arg(long)]
    pub(crate) check_config: bool,

    /// The directory of the node's files
    #[arg(long, value_name = "DIR", requires = "node")]
    pub(crate) data: Option<String>,

    /// Where others reach the node, instead of the file's Host
    #[arg(long, value_name = "HOST", requires = "node")]
    pub(crate) host: Option<String>,

    /// Where others reach the node, instead of the file's Port
    #[arg(long, value_name = "PORT", requires = "node")]
    pub(crate) port: Option<String>,

    /// A value that stands above the file, as in Cluster.ElectionTimeout=2s; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// What is logged: a level (off, error, warn, info, debug, trace), or levels of rooms as in
    /// info,wire=debug
    #[arg(long, value_name = "SPEC", env = "RAFT_LOG")]
    pub(crate) log: Option<Filter>,

    /// How it is logged: a line of text or one JSON object for each event
    #[arg(long, value_name = "FORMAT", env = "RAFT_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Form a new cluster as soon as a quorum of the file's nodes is there and empty, without
    /// waiting for the others
    #[arg(long)]
    pub(crate) form: bool,

    /// Wait, with an empty directory, until a cluster takes the node in (raft-ctl members add), and
    /// never form one; the cluster is found through the nodes of the file and through this address
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, requires = "node", conflicts_with_all = ["form", "restore"])]
    pub(crate) join: Option<Option<Address>>,

    /// Form a new cluster that begins with the state in FILE, which raft-ctl snapshot save has
    /// written: the same on every node of the file, each with an empty directory
    #[arg(long, value_name = "FILE", conflicts_with = "form")]
    pub(crate) restore: Option<PathBuf>,

    /// Refuse to start over a damaged log (65), even if the other nodes hold what is lost
    #[arg(long)]
    pub(crate) no_repair: bool,

    /// The process that runs all nodes and whose end is the end of this one
    #[arg(long, value_name = "PID", hide = true, requires = "node")]
    pub(crate) supervisor: Option<i32>,
}

/// How events are logged.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogFormat {
    /// A line of text.
    Text,
    /// One JSON object on a line.
    Json,
}

fn after_help() -> String {
    format!("{ENVIRONMENT}\n\n{}", exit::listing())
}

const ENVIRONMENT: &str = "\
Any key of the file can also be given in the environment: RAFT_CLUSTER_ELECTIONTIMEOUT=2s. A flag
holds before the environment, that before the file, and that before the default.";

impl Arguments {
    /// The configuration that is read.
    pub(crate) fn config_path(&self) -> PathBuf {
        let [first, ..] = CONFIG_PATHS;
        let found = || CONFIG_PATHS.into_iter().find(|path| Path::new(path).exists());
        self.config.clone().unwrap_or_else(|| PathBuf::from(found().unwrap_or(first)))
    }

    /// How a node begins whose directory is empty.
    pub(crate) fn begin(&self) -> Begin {
        match &self.join {
            Some(contact) => Begin::Join(contact.clone()),
            None if self.form => Begin::Quorum,
            None => Begin::Together,
        }
    }

    /// What the command line says about the configuration.
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            set: self.set.clone(),
            node: self.node.clone(),
            host: self.host.clone(),
            port: self.port.clone(),
            data: self.data.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_that_speak_of_one_node_need_one() {
        for flags in [
            &["raft", "--all", "--port", "4000"][..],
            &["raft", "--all", "-n", "1"],
            &["raft", "--check-config", "--data", "elsewhere"],
            &["raft", "-c", "raft.ini"],
            &["raft", "-n", "1", "--log", "loud"],
            &["raft", "-n", "1", "--restore", "raft.snap", "--form"],
        ] {
            let refused = Arguments::try_parse_from(flags).expect_err("a wrong command line");
            assert_eq!(refused.exit_code(), 2, "{flags:?}");
        }
    }

    #[test]
    fn a_node_joins_with_or_without_an_address_that_leads_to_the_cluster() {
        let begin = |flags: &[&str]| {
            let flags = ["raft", "-n", "4"].iter().chain(flags);
            Arguments::try_parse_from(flags).map(|arguments| arguments.begin())
        };
        assert_eq!(begin(&[]).unwrap(), Begin::Together);
        assert_eq!(begin(&["--form"]).unwrap(), Begin::Quorum);
        assert_eq!(begin(&["--join"]).unwrap(), Begin::Join(None));
        let address = "10.0.0.1:3111".parse().unwrap();
        assert_eq!(begin(&["--join", "10.0.0.1:3111"]).unwrap(), Begin::Join(Some(address)));
        assert!(begin(&["--join", "10.0.0.1"]).is_err(), "the port is missing");
        assert!(begin(&["--join", "--form"]).is_err(), "one or the other");
    }

    #[test]
    fn what_the_command_line_says_about_the_node_goes_to_the_configuration() {
        let flags = ["raft", "-n", "B", "--port", "4000", "--set", "Storage.Sync=none"];
        let arguments = Arguments::try_parse_from(flags).expect("a right command line");
        let overrides = arguments.overrides();
        assert_eq!(overrides.node.as_deref(), Some("B"));
        assert_eq!(overrides.port.as_deref(), Some("4000"));
        assert_eq!(overrides.set, ["Storage.Sync=none"]);
    }
}
