//! `recover`: going on without a majority that is lost for good.
//!
//! - `survivor`: what one of those that are left holds;
//! - `plan`: what is made of them together, and its hash;
//! - `quorum`: who could have decided what;
//! - `reach`: whether those that are given up are gone;
//! - `apply`: the plan carried out;
//! - `show`: the plan for people.

mod apply;
mod plan;
mod quorum;
mod reach;
mod show;
mod survivor;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::Serialize;

use self::plan::Plan;
use self::survivor::Survivor;
use crate::cli::{Global, PlanArgs, RecoverCommand, SurveyArgs};
use crate::codes::Code;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

pub(super) fn run(
    command: &RecoverCommand,
    global: &Global,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match command {
        RecoverCommand::Survey(args) => survey(args, global.dry_run, out),
        RecoverCommand::Plan(args) => plan(args, global.dry_run, out),
        RecoverCommand::Apply(args) => apply::run(args, global.dry_run, out),
    }
}

fn survey(args: &SurveyArgs, dry_run: bool, out: &mut Output) -> Result<Exit, CliError> {
    let survivor = Survivor::look_at(&args.dir)?;
    if let Some(path) = args.save.as_ref().filter(|_| !dry_run) {
        let mut bytes = serde_json::to_vec(&survivor).expect("texts and numbers have a JSON form");
        bytes.push(b'\n');
        save(path, &bytes)?;
    }
    match out.is_json() {
        true => out.json(&survivor)?,
        false => show::survivor(&survivor, out)?,
    }
    Ok(Exit::Done)
}

/// A plan and its name, as `--json` prints it.
#[derive(Serialize)]
struct PlanObject<'a> {
    hash: String,
    #[serde(flatten)]
    plan: &'a Plan,
}

fn plan(args: &PlanArgs, dry_run: bool, out: &mut Output) -> Result<Exit, CliError> {
    let survivors = args.survivors.iter().map(|path| Survivor::read(path));
    let survivors: Vec<Survivor> = survivors.collect::<Result<_, _>>()?;
    let plan = plan::make(&survivors, &args.keep)?;
    if !args.no_probe {
        reach::require_silence(plan.given_up.iter().chain(&plan.seats))?;
    }
    if let Some(path) = args.save.as_ref().filter(|_| !dry_run) {
        save(path, &plan.bytes())?;
    }
    match out.is_json() {
        true => out.json(&PlanObject { hash: plan.hash(), plan: &plan })?,
        false => show::plan(&plan, args, out)?,
    }
    Ok(Exit::Done)
}

/// Writes a new file, durably.
fn save(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written =
        OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            CliError::new(Code::FileExists, format!("{} is there already", path.display()))
                .hint("give another name, or move that file away; nothing was written")
        }
        _ => CliError::file(path, "written", &error),
    })
}
