//! `completions` and `man`: what the program says of itself, made from the command line's own
//! description.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

pub(super) fn completions(args: &CompletionsArgs, out: &mut Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "raft-ctl", &mut script);
    out.raw(&script)?;
    Ok(Exit::Done)
}

pub(super) fn man(args: &ManArgs, out: &mut Output) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    command.build();
    match &args.dir {
        Some(directory) => write_pages(&command, directory)?,
        None => out.raw(&page(&command))?,
    }
    Ok(Exit::Done)
}

/// Writes the page of a command and those of the commands below it.
fn write_pages(command: &clap::Command, directory: &Path) -> Result<(), CliError> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let file = directory.join(format!("{name}.1"));
    fs::write(&file, page(command)).map_err(|error| CliError::file(&file, "written", &error))?;
    command.get_subcommands().try_for_each(|below| write_pages(below, directory))
}

fn page(command: &clap::Command) -> Vec<u8> {
    let mut page = Vec::new();
    let rendered = Man::new(command.clone()).render(&mut page);
    rendered.expect("memory can be written");
    page
}
