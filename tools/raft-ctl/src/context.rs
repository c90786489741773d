//! What the global options come to: which nodes, how long, how.

use std::path::{Path, PathBuf};
use std::time::Duration;

use raft_node::client::{Client, Endpoint, Options};
use raft_node::config::{self, Config, Diagnostics, Overrides};
use raft_node::wire;

use crate::cli::{Consistency, Global};
use crate::codes::Code;
use crate::error::CliError;
use crate::output;

/// Where the configuration is looked for when nobody names one.
const USUAL_FILES: [&str; 2] = ["raft.ini", "/etc/raft/raft.ini"];

/// How long a command tries when nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(5);

/// What the global options come to.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) global: Global,
    /// The nodes to speak to, at least one.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Whether only these may be spoken to, whatever they say of others.
    pub(crate) fixed: bool,
    /// The configuration, where one was read.
    pub(crate) config: Option<Config>,
}

impl Context {
    /// Reads the configuration where the nodes come from it.
    pub(crate) fn new(global: Global) -> Result<Context, CliError> {
        let given = endpoints(&global.endpoints)?;
        let config = match (&global.config, given.is_empty()) {
            (Some(file), _) => Some(load(file)?),
            (None, true) => Some(load(&usual_file()?)?),
            // Given endpoints need no configuration.
            (None, false) => None,
        };
        let all = match (&config, given.is_empty()) {
            (Some(config), true) => configured(config),
            (Some(config), false) => named(given, config),
            (None, _) => given,
        };
        let (endpoints, fixed) = match &global.node {
            Some(node) => (vec![select(node, &all, config.as_ref())?], true),
            None => (all, false),
        };
        if global.consistency == Some(Consistency::Lease) {
            output::note(
                "note: nodes answer lease reads as linearizable ones: the leader asks a majority",
            );
        }
        Ok(Context { global, endpoints, fixed, config })
    }

    /// How a client behaves, by these options.
    pub(crate) fn options(&self) -> Options {
        Options {
            fixed: self.fixed,
            cluster: self.config.as_ref().map(|config| config.cluster.name.clone()),
            timeout: self.timeout(),
            consistency: self.consistency(),
            ..Options::new(self.endpoints.clone())
        }
    }

    /// A client that behaves by these options.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.options())
    }

    /// How fresh reads must be.
    pub(crate) fn consistency(&self) -> wire::Consistency {
        match self.global.consistency.unwrap_or_default() {
            Consistency::Linearizable => wire::Consistency::Linearizable,
            Consistency::Lease => wire::Consistency::Lease,
            Consistency::Stale => wire::Consistency::Stale,
        }
    }

    /// How long the command tries.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout_or(USUAL_TIMEOUT)
    }

    /// How long the command tries, where it has another usual time.
    pub(crate) fn timeout_or(&self, usual: Duration) -> Duration {
        self.global.timeout.unwrap_or(usual)
    }
}

fn endpoints(texts: &[String]) -> Result<Vec<Endpoint>, CliError> {
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(texts.len());
    for text in texts {
        let endpoint = Endpoint::parse(text)
            .map_err(|error| CliError::usage(format!("--endpoints: {error}")))?;
        if endpoints.iter().all(|other| other.address != endpoint.address) {
            endpoints.push(endpoint);
        }
    }
    Ok(endpoints)
}

fn usual_file() -> Result<PathBuf, CliError> {
    USUAL_FILES.iter().map(PathBuf::from).find(|file| file.exists()).ok_or_else(|| {
        CliError::new(
            Code::Configuration,
            format!("no configuration: neither {} nor {} is there", USUAL_FILES[0], USUAL_FILES[1]),
        )
        .hint("name one with --config FILE, or the nodes with --endpoints HOST:PORT,...")
    })
}

fn load(file: &Path) -> Result<Config, CliError> {
    config::load(file, &Overrides::default(), std::env::vars_os())
        .map(|loaded| loaded.config)
        .map_err(|mistakes| refused(file, &mistakes))
}

fn refused(file: &Path, mistakes: &Diagnostics) -> CliError {
    CliError::new(Code::Configuration, format!("{} can't be used", file.display()))
        .details(mistakes.listing().lines().map(str::to_owned))
        .hint("nothing was sent; `raft --check-config` shows the whole configuration")
}

fn configured(config: &Config) -> Vec<Endpoint> {
    let endpoint = |node: &config::Node| Endpoint {
        node: Some(node.id),
        label: Some(node.label.clone()),
        address: node.address(),
    };
    config.nodes.iter().map(endpoint).collect()
}

/// The given endpoints, with the numbers and labels that the configuration has for them.
fn named(given: Vec<Endpoint>, config: &Config) -> Vec<Endpoint> {
    let known = configured(config);
    given
        .into_iter()
        .map(|endpoint| {
            known
                .iter()
                .find(|known| known.address == endpoint.address)
                .cloned()
                .unwrap_or(endpoint)
        })
        .collect()
}

fn select(name: &str, all: &[Endpoint], config: Option<&Config>) -> Result<Endpoint, CliError> {
    if let Some(config) = config {
        let node = config.node(name).ok_or_else(|| {
            let nodes: Vec<String> =
                config.nodes.iter().map(|node| format!("{} ({})", node.id, node.label)).collect();
            CliError::usage(format!("--node {name}: there is no such node"))
                .hint(format!("the configuration has {}", nodes.join(", ")))
        })?;
        if let Some(endpoint) = all.iter().find(|endpoint| endpoint.node == Some(node.id)) {
            return Ok(endpoint.clone());
        }
    }
    match all {
        // The number or label of a single endpoint is asked of the node itself.
        [single] => Ok(single.clone()),
        _ => Err(CliError::usage(format!(
            "--node {name}: no endpoint of --endpoints is known as it"
        ))
        .hint("give --config FILE too, or the one endpoint that is meant")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        global: Global,
    }

    fn context(arguments: &[&str]) -> Result<Context, CliError> {
        let arguments = ["raft-ctl"].iter().chain(arguments);
        Context::new(Only::try_parse_from(arguments).unwrap().global)
    }

    fn file() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[Nodes]\nNode1 = A\nNode2 = B\n[Node.A]\nHost = 10.0.0.1\nPort = 1\n\
                    [Node.B]\nHost = 10.0.0.2\nPort = 2\n";
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_nodes_come_from_the_configuration() {
        let file = file();
        let path = file.path().to_str().unwrap();
        let all = context(&["-c", path]).unwrap();
        assert_eq!(all.endpoints.len(), 2);
        assert_eq!(all.endpoints[1].to_string(), "node 2 10.0.0.2:2");
        assert!(!all.fixed);
        for name in ["2", "B"] {
            let one = context(&["-c", path, "-n", name]).unwrap();
            assert_eq!(one.endpoints.len(), 1);
            assert_eq!(one.endpoints[0].label.as_deref(), Some("B"));
            assert!(one.fixed);
        }
        let error = context(&["-c", path, "-n", "C"]).err().unwrap();
        assert_eq!(error.code(), Code::Usage);
        assert!(error.json().contains("1 (A), 2 (B)"), "{}", error.json());
    }

    #[test]
    fn given_endpoints_need_no_configuration_and_take_their_numbers_from_one() {
        let alone = context(&["-e", "10.0.0.2:2,10.0.0.9:9", "-e", "10.0.0.2:2"]).unwrap();
        assert_eq!(alone.endpoints.len(), 2);
        assert!(alone.endpoints.iter().all(|endpoint| endpoint.node.is_none()));
        let file = file();
        let with = context(&["-c", file.path().to_str().unwrap(), "-e", "10.0.0.2:2"]).unwrap();
        assert_eq!(with.endpoints[0].node.unwrap().number(), 2);
        let error = context(&["-e", "nowhere"]).err().unwrap();
        assert!(error.json().contains("no port"), "{}", error.json());
    }

    #[test]
    fn a_wrong_configuration_shows_its_mistakes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[Nodes]\nNode1 = A\n[Node.A]\nPort = 99999\n").unwrap();
        let error = context(&["-c", file.path().to_str().unwrap()]).err().unwrap();
        assert_eq!(error.code(), Code::Configuration);
        assert!(error.json().contains("99999"), "{}", error.json());
    }
}
