//! The command line: what `raft` was told, and what comes of it.

mod arguments;
mod banner;
mod exit;
mod filter;
mod line;
mod local;
mod logging;
mod queue;
mod supervisor;
mod terminal;

use std::env;
use std::io::{Write, stdout};
use std::process::ExitCode;

use clap::Parser;
use log::LevelFilter;
use raft_node::config::{self, Config, Loaded, Node};
use raft_node::node::{self, Start};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use arguments::Arguments;
use banner::Introduction;
use line::Speaker;
use logging::Log;

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    ExitCode::from(carry_out(&arguments))
}

fn carry_out(arguments: &Arguments) -> u8 {
    if let Some(supervisor) = arguments.supervisor
        && !ends_with(supervisor)
    {
        return exit::CLEAN;
    }
    let path = arguments.config_path();
    let loaded = match config::load(&path, &arguments.overrides(), env::vars_os()) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return exit::CONFIGURATION;
        }
    };
    // Every node of a supervisor would repeat what it has said already.
    for warning in loaded.warnings.iter().filter(|_| arguments.supervisor.is_none()) {
        eprintln!("{warning}");
    }
    let node = match arguments.node.as_deref().map(|name| find_node(&loaded.config, name)) {
        Some(Err(message)) => {
            eprintln!("{}: error: {message}; nothing was started", path.display());
            return exit::CONFIGURATION;
        }
        Some(Ok(node)) => Some(node),
        None => None,
    };
    match node {
        _ if arguments.check_config => print_effective(&loaded),
        Some(node) => run_node(arguments, &loaded.config, node),
        None => run_all(arguments, &loaded.config),
    }
}

/// Ties this process to the one that runs all nodes: when that one ends, however it does, this
/// one is told to stop. Says whether it is still there.
fn ends_with(supervisor: i32) -> bool {
    let tied = set_parent_process_death_signal(Some(Signal::TERM));
    let parent = getppid().map(|parent| parent.as_raw_pid());
    tied.is_ok() && parent == Some(supervisor)
}

fn find_node<'a>(config: &'a Config, name: &str) -> Result<&'a Node, String> {
    config.node(name).ok_or_else(|| {
        let nodes: Vec<String> =
            config.nodes.iter().map(|node| format!("{} ({})", node.id, node.label)).collect();
        format!("there is no node {name:?}; there are {}", nodes.join(", "))
    })
}

fn print_effective(loaded: &Loaded) -> u8 {
    // Whoever closes the pipe has read enough.
    let _ = stdout().write_all(loaded.effective().as_bytes());
    exit::CLEAN
}

fn run_all(arguments: &Arguments, config: &Config) -> u8 {
    with_log(arguments, config, Speaker::Supervisor, |log| supervisor::run(arguments, config, log))
}

fn run_node(arguments: &Arguments, config: &Config, node: &Node) -> u8 {
    let speaker = Speaker::Node { id: node.id, label: node.label.clone() };
    with_log(arguments, config, speaker, |log| {
        let mut start = Start {
            config: config.clone(),
            me: node.id,
            config_path: arguments.config_path(),
            overrides: arguments.overrides(),
            begin: arguments.begin(),
            no_repair: arguments.no_repair,
            terminal: terminal::is_attached(),
            banner: Box::new(|_| ()),
        };
        let (introduction, banner_log) = (Introduction::of(&start), log.clone());
        start.banner = Box::new(move |banner| introduction.show(banner, &banner_log));
        let why = node::run(start);
        log.end(&why);
        why.code()
    })
}

/// Runs `work`, whose exit code it gives, while events are logged.
fn with_log(
    arguments: &Arguments,
    config: &Config,
    speaker: Speaker,
    work: impl FnOnce(&Log) -> u8,
) -> u8 {
    let level = if config.cluster.debug { LevelFilter::Debug } else { LevelFilter::Info };
    match Log::start(arguments.log_format, arguments.log.as_ref(), level, speaker) {
        Ok(log) => {
            let code = work(&log);
            log.finish();
            code
        }
        Err(error) => {
            eprintln!("error: the log's thread can't be started: {error}; nothing was started");
            exit::UNAVAILABLE
        }
    }
}
