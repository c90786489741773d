//! What tests with real processes are made of.

mod client;
mod cluster;
mod ctl;
mod image;
mod load;
mod pretender;
mod process;
pub(crate) mod raw;
mod recorder;
mod tap;

pub(crate) use client::Outcome;
pub(crate) use cluster::{Cluster, Shape};
pub(crate) use ctl::raft_ctl;
pub(crate) use image::Image;
pub(crate) use load::Load;
pub(crate) use pretender::Pretender;
pub(crate) use process::Process;
pub(crate) use recorder::Recorder;
pub(crate) use tap::{Tap, Taps, Withheld};

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for what must happen before it fails. Far more than it takes on a
/// machine that does nothing else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = condition() {
            return result;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(10)); // polls
    }
}

/// The binary under test, without what the environment of the test says about configurations.
pub(crate) fn raft() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_raft"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RAFT_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1");
    command
}
