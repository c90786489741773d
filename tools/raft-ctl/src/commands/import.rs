//! `import`: many keys from JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use raft_node::client::{Failure, Options};
use serde::Serialize;

use crate::cli::ImportArgs;
use crate::codes::Code;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain;
use crate::import::{self, Imported, Stopped, Why};
use crate::output::{self, GOOD, Output, Seconds, VERSION, styled};
use crate::progress::Progress;

/// How long it may stand still, where nobody says.
const USUAL_TIMEOUT: Duration = Duration::from_secs(30);

/// How many of the wrong lines are shown.
const SHOWN_WRONG: usize = 20;

/// How much of the input is read at a time.
const READ_BYTES: usize = 256 << 10;

#[derive(Serialize)]
struct ImportObject {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    lines: u64,
    imported: u64,
    value_bytes: u64,
    seconds: Seconds,
    lines_per_second: f64,
}

pub(crate) fn run(
    args: &ImportArgs,
    context: &Context,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let (input, size) = open(&args.file)?;
    let mut progress = match size {
        Some(size) => Progress::bytes(size),
        None => Progress::counting("imported", true),
    };
    let known = size.is_some();
    let begun = Instant::now();
    let result = if context.global.dry_run {
        Ok(import::check(input, |bytes| progress.set(if known { bytes } else { 0 })))
    } else {
        let options = Options { timeout: context.timeout_or(USUAL_TIMEOUT), ..context.options() };
        import::import(input, &options, args.clients, |bytes, done| {
            progress.set(if known { bytes } else { done });
            if known {
                progress.say(format!("{} done", output::count(done)));
            }
        })
    };
    progress.clear();
    let imported = result.map_err(|failure| explain::failed(&failure, context))?;
    if let Some(stopped) = &imported.stopped {
        return Err(ended_early(stopped, &imported, args, context));
    }
    if !imported.wrong.is_empty() {
        return Err(some_wrong(&imported, context.global.dry_run));
    }
    print(&imported, begun.elapsed(), context.global.dry_run, out)?;
    Ok(Exit::Done)
}

/// The input and, where it is a file, its size.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), CliError> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())), None));
    }
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata.is_file().then_some(metadata.len())))
    };
    let (file, size) = open().map_err(|error| CliError::file(path, "read", &error))?;
    Ok((Box::new(BufReader::with_capacity(READ_BYTES, file)), size))
}

fn print(
    imported: &Imported,
    took: Duration,
    dry_run: bool,
    out: &mut Output,
) -> Result<(), CliError> {
    let per_second = imported.lines as f64 / took.as_secs_f64().max(1e-9);
    if out.is_json() {
        return out.json(&ImportObject {
            v: VERSION,
            outcome: "ok",
            dry_run,
            lines: imported.lines,
            imported: imported.done,
            value_bytes: imported.value_bytes,
            seconds: Seconds(took),
            lines_per_second: (per_second * 10.0).round() / 10.0,
        });
    }
    let bytes = output::bytes(imported.value_bytes);
    if dry_run {
        let lines = output::count(imported.lines);
        return out
            .line(format!("{} {lines} lines, {bytes} of values", styled(GOOD, "would import")));
    }
    out.line(format!(
        "{} {} lines, {bytes} of values, in {} ({}/s)",
        styled(GOOD, "imported"),
        output::count(imported.done),
        output::duration(took),
        output::count(per_second as u64)
    ))
}

fn shown_wrong(imported: &Imported) -> Vec<String> {
    let mut lines: Vec<String> = imported
        .wrong
        .iter()
        .take(SHOWN_WRONG)
        .map(|wrong| format!("line {}: {}", wrong.number, wrong.reason))
        .collect();
    let more = imported.wrong.len().saturating_sub(SHOWN_WRONG);
    if more > 0 {
        lines.push(format!("and {} more", output::count(more as u64)));
    }
    lines
}

fn some_wrong(imported: &Imported, dry_run: bool) -> CliError {
    let (wrong, lines) = (imported.wrong.len() as u64, imported.lines);
    let others = match dry_run {
        true => "nothing was sent".to_owned(),
        false => format!("the other {} are done", output::count(imported.done)),
    };
    let message = format!(
        "{} of {} lines can't be imported; {others}",
        output::count(wrong),
        output::count(lines)
    );
    CliError::new(Code::BadInput, message)
        .details(shown_wrong(imported))
        .hint("put them right and run it again: what is done stays as it is")
}

fn ended_early(
    stopped: &Stopped,
    imported: &Imported,
    args: &ImportArgs,
    context: &Context,
) -> CliError {
    let done = output::count(imported.done);
    let first = stopped.first_undone;
    let made = match &stopped.why {
        Why::Input(error) => CliError::file(&args.file, "read", error),
        Why::Wrong => CliError::new(Code::BadInput, "too many lines are wrong: it was given up"),
        Why::Cluster(failure) => {
            let code = match (failure, stopped.unsure) {
                (Failure::Unknown(_), 1..) => Code::Unknown,
                _ => explain::failed(failure, context).code(),
            };
            CliError::new(code, format!("the import stopped: {failure}"))
        }
    };
    let mut made =
        made.detail(format!("{done} lines are done, all before line {first} among them"));
    if stopped.unsure > 0 {
        let unsure = output::count(stopped.unsure);
        made = made.detail(format!("{unsure} lines were under way and may be done"));
    }
    let again = match args.file.to_str() {
        Some("-") => format!("run it again from the start, or from line {first} on"),
        _ => {
            let file = output::shell_quoted(args.file.as_os_str().as_bytes());
            format!(
                "run it again from the start, or from there: tail -n +{first} {file} | raft-ctl \
                 import -"
            )
        }
    };
    made.details(shown_wrong(imported)).hint(again)
}
