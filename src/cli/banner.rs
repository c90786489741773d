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
