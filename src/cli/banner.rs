//! What a node says when it has started.

use std::fmt::Write;

use raft_node::config::{StorageClass, SyncPolicy};
use raft_node::node::{Banner, Start};

use super::arguments::LogFormat;
use super::logging::Log;

/// What is said of the node before it runs: the banner is complete with what the node finds.
pub(crate) struct Introduction {
    node: String,
    cluster: String,
    configuration: String,
    warnings: Vec<&'static str>,
}

impl Introduction {
    /// What is known before the node runs.
    pub(crate) fn of(start: &Start) -> Introduction {
        let config = &start.config;
        let label = config.node_by_id(start.me).map_or("-", |node| &node.label);
        let mut warnings = Vec::new();
        if config.cluster.storage_class == StorageClass::Memory {
            warnings.push("StorageClass = InMemoryStorage: nothing is kept over a restart");
        }
        if config.storage.sync == SyncPolicy::None {
            warnings.push("Sync = none: a power cut may lose what was acknowledged");
        }
        Introduction {
            node: format!("{} ({label})", start.me),
            cluster: config.cluster.name.clone(),
            configuration: start.config_path.display().to_string(),
            warnings,
        }
    }

    /// Shows the banner where the log goes.
    pub(crate) fn show(&self, banner: &Banner, log: &Log) {
        match log.format() {
            LogFormat::Text => log.say(&self.text(banner)),
            LogFormat::Json => self.log(banner),
        }
    }

    /// For people.
    fn text(&self, banner: &Banner) -> String {
        let mut text = format!("raft {}  node {}\n", env!("CARGO_PKG_VERSION"), self.node);
        let mut line = |name: &str, value: &str| {
            writeln!(text, "  {name:<14} {value}").expect("a string takes any text");
        };
        line("configuration", &self.configuration);
        let id = banner.cluster.map_or("not formed yet".to_owned(), |id| id.to_string());
        line("cluster", &format!("{}  {id}", self.cluster));
        let directory = banner.directory.as_ref().map(|path| path.display().to_string());
        line("data", directory.as_deref().unwrap_or("in memory"));
        line("listening on", &banner.listening.to_string());
        line("start", &format!("{} of incarnation {}", banner.boot, banner.incarnation));
        line("recovery", &format!("{} ms", banner.took.as_millis()));
        for found in &banner.recovery {
            line("", found);
        }
        for warning in &self.warnings {
            line("WARNING", warning);
        }
        text
    }

    /// For programs: an event of the log.
    fn log(&self, banner: &Banner) {
        let Introduction { cluster, configuration, .. } = self;
        let directory = banner.directory.as_ref().map(|path| path.display().to_string());
        log::info!(
            version = env!("CARGO_PKG_VERSION"),
            configuration,
            cluster,
            cluster_id = banner.cluster.map(|id| id.to_string()),
            data = directory,
            listening:% = banner.listening,
            boot = banner.boot.0,
            incarnation:% = banner.incarnation,
            recovery_seconds = banner.took.as_secs_f64(),
            recovery = banner.recovery.join("\n"),
            warnings = self.warnings.join("\n");
            "node_started"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use raft_node::config::{self, Overrides};
    use raft_node::model::{Boot, ClusterId, Incarnation, NodeId};

    use super::*;

    fn introduction(settings: &str) -> Introduction {
        let file = format!(
            "[Cluster]\nName = example\n{settings}\n[Nodes]\nNode1 = A\n[Node.A]\nHost = 10.0.0.1\n\
             Port = 3111\n"
        );
        let environment: [(&str, &str); 0] = [];
        let overrides = Overrides::default();
        let loaded = config::parse("raft.ini", file.as_bytes(), &overrides, environment);
        Introduction::of(&Start {
            config: loaded.expect("a right configuration").config,
            me: NodeId::new(1).expect("not 0"),
            config_path: PathBuf::from("raft.ini"),
            overrides,
            begin: raft_node::node::Begin::Together,
            no_repair: false,
            terminal: false,
            banner: Box::new(|_| ()),
        })
    }

    fn banner() -> Banner {
        Banner {
            cluster: Some(ClusterId(0x6f1d)),
            incarnation: Incarnation(0xbeef),
            boot: Boot(4),
            directory: Some(PathBuf::from("/var/lib/raft/1")),
            listening: "10.0.0.1:3111".parse().expect("an address"),
            recovery: vec!["8412 entries in 3 segments".to_owned(), "51 bytes cut".to_owned()],
            took: Duration::from_millis(12),
        }
    }

    #[test]
    fn the_banner_says_what_runs_from_what_and_what_recovery_found() {
        let expected = format!(
            "raft {}  node 1 (A)\n\
             \x20 configuration  raft.ini\n\
             \x20 cluster        example  00000000000000000000000000006f1d\n\
             \x20 data           /var/lib/raft/1\n\
             \x20 listening on   10.0.0.1:3111\n\
             \x20 start          4 of incarnation 0000000000000000000000000000beef\n\
             \x20 recovery       12 ms\n\
             \x20                8412 entries in 3 segments\n\
             \x20                51 bytes cut\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(introduction("").text(&banner()), expected);
    }

    #[test]
    fn what_voids_the_promise_of_durability_is_said_at_the_start() {
        let text = introduction("StorageClass = InMemoryStorage").text(&banner());
        assert!(text.contains("InMemoryStorage: nothing is kept over a restart"), "{text}");
        let text = introduction("[Storage]\nSync = none").text(&banner());
        assert!(text.contains("Sync = none: a power cut may lose"), "{text}");
        let fresh = Banner { cluster: None, directory: None, ..banner() };
        let text = introduction("").text(&fresh);
        assert!(text.contains("not formed yet") && text.contains("in memory"), "{text}");
    }
}
