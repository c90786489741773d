//! `raft-ctl`: requests, inspection and benchmark.

mod bench;
mod cli;
mod codes;
mod commands;
mod context;
mod error;
mod exit;
mod explain;
mod import;
mod input;
mod output;
mod progress;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::{Cli, Format};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error).into(),
    };
    let format = cli.global.format();
    let mut out = Output::standard(format);
    let result = commands::run(cli, &mut out).and_then(|exit| out.flush().map(|()| exit));
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            // What was printed before the failure is good.
            let _ = out.flush();
            error.report(format == Format::Json);
            error.exit().into()
        }
    }
}

/// Help, the version, or a command line that is wrong.
fn refuse(error: &clap::Error) -> Exit {
    // Nothing is left to be done where this can't be printed.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => {
            if wants_json() {
                let text = error.render().to_string();
                let message = text.lines().next().unwrap_or_default();
                let message = message.strip_prefix("error: ").unwrap_or(message);
                let mut usage = CliError::usage(message);
                if let Some(tip) = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")) {
                    usage = usage.hint(tip);
                }
                // As above.
                let _ = writeln!(io::stdout(), "{}", usage.json());
            }
            Exit::Usage
        }
    }
}

/// Whether JSON was asked for, on a command line that can't be understood as a whole.
fn wants_json() -> bool {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let flag = arguments.iter().any(|argument| argument == "--json" || argument == "--output=json");
    let option = arguments
        .windows(2)
        .any(|pair| (pair[0] == "-o" || pair[0] == "--output") && pair[1] == "json");
    flag || option || std::env::var_os("RAFT_OUTPUT").is_some_and(|output| output == "json")
}
