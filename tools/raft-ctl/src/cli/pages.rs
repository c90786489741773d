//! The commands that tell about this program itself.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `completions`
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_enum, hide_possible_values = true)]
    pub(crate) shell: Shell,
}

/// `man`
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write raft-ctl.1 and a page for each command into this directory
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}
