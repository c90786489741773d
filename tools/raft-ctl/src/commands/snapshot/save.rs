//! `snapshot save`: a backup, taken while the nodes go on.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use raft_node::model::Index;
use raft_node::wire::KeptSnapshot;
use serde::Serialize;

use super::file::{Target, Unfinished};
use super::kept::{Kept, Source};
use super::object::{SnapshotObject, hash, name};
use super::pieces::Pieces;
use super::trigger;
use crate::cli::SaveArgs;
use crate::codes::Code;
use crate::commands::nodes::{Node, Nodes};
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, Blob, GOOD, Output, Seconds, VERSION, styled};
use crate::progress::Progress;

#[derive(Serialize)]
struct SaveObject<'a> {
    v: u32,
    outcome: &'static str,
    dry_run: bool,
    file: Blob<'a>,
    #[serde(flatten)]
    snapshot: SnapshotObject,
    /// Those that the bytes came from, or would come from.
    nodes: Vec<Option<u16>>,
    seconds: Option<Seconds>,
}

/// A snapshot, and who keeps it.
struct Choice {
    snapshot: KeptSnapshot,
    /// At least one.
    sources: Vec<Source>,
}

pub(super) fn run(args: &SaveArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let target = Target::new(args)?;
    if context.global.dry_run {
        return dry_run(args, context, out);
    }
    let taken = if args.trigger { Some(trigger::take(context)?) } else { None };
    let choice = choose(&Kept::ask(context)?, taken, args.index.map(Index))?;
    let begun = Instant::now();
    let given = fetch(&choice, target, context)?;
    print(args, choice.snapshot, &given, begun.elapsed(), out)?;
    Ok(Exit::Done)
}

/// The snapshot that was taken, the one of this entry, or else the newest; and those that keep it,
/// the leader first.
fn choose(
    kept: &Kept,
    taken: Option<KeptSnapshot>,
    index: Option<Index>,
) -> Result<Choice, CliError> {
    let wanted = taken.map(|taken| taken.id.last.index).or(index);
    let newest = kept.all().map(|(_, snapshot)| snapshot.id.last.index).max();
    let Some(index) = wanted.or(newest) else { return Err(none_kept(kept, None)) };
    let of_entry: Vec<(&Node, KeptSnapshot)> =
        kept.all().filter(|(_, snapshot)| snapshot.id.last.index == index).collect();
    let Some((_, first)) = of_entry.first() else { return Err(none_kept(kept, Some(index))) };
    let snapshot = taken.unwrap_or(*first);
    if of_entry.iter().any(|(_, other)| other.id != snapshot.id) {
        return Err(differ(index, &of_entry));
    }
    Ok(Choice { snapshot, sources: kept.sources(snapshot.id) })
}

fn none_kept(kept: &Kept, index: Option<Index>) -> CliError {
    let up = kept.by_node().filter(|(_, told)| told.is_ok()).count();
    let what = index.map_or_else(
        || "a snapshot".to_owned(),
        |index| format!("a snapshot of entry {}", output::count(index.0)),
    );
    let message = match up {
        1 => format!("the one node that answers doesn't keep {what}"),
        _ => format!("none of the {up} nodes that answer keeps {what}"),
    };
    let silent = kept.by_node().filter_map(|(node, told)| {
        let reason = told.err()?;
        Some(format!("{}  {reason}", node.name()))
    });
    CliError::new(Code::NoSnapshot, message).details(silent).hint(match index {
        Some(_) => "`raft-ctl snapshot ls` shows those that are kept; nothing was written",
        None => "--trigger has one taken first; nothing was written",
    })
}

fn differ(index: Index, of_entry: &[(&Node, KeptSnapshot)]) -> CliError {
    let message = format!("nodes keep different snapshots of entry {}", output::count(index.0));
    let lines = of_entry.iter().map(|(node, snapshot)| {
        let id = snapshot.id;
        format!("{}  {}  {}  hash {}", node.name(), name(id), output::bytes(id.bytes), hash(id))
    });
    CliError::new(Code::SnapshotsDiffer, message).details(lines).hint(
        "keep all data directories as they are; `raft-ctl hash` compares the nodes' states, and \
         --node N saves the snapshot of that node; nothing was written",
    )
}

/// Reads, writes and verifies it; those that the bytes came from.
fn fetch(choice: &Choice, target: Target, context: &Context) -> Result<Vec<Source>, CliError> {
    let id = choice.snapshot.id;
    let mut file = Unfinished::create(target)?;
    let mut pieces = Pieces::new(context, id, choice.sources.clone());
    let mut progress = Progress::bytes(id.bytes);
    let copied = copy(&mut pieces, &mut file, &mut progress);
    progress.clear();
    copied?;
    let given = pieces.given().to_vec();
    let mut progress = Progress::waiting("verifying what is on the disk");
    let verified = file.verify(id, &names(&given));
    progress.clear();
    verified?;
    file.publish()?;
    Ok(given)
}

fn copy(
    pieces: &mut Pieces<'_>,
    file: &mut Unfinished,
    progress: &mut Progress,
) -> Result<(), CliError> {
    while let Some(bytes) = pieces.next()? {
        file.write(&bytes)?;
        progress.set(pieces.offset());
        progress.say(format!("from {}", pieces.source().name()));
    }
    Ok(())
}

fn print(
    args: &SaveArgs,
    snapshot: KeptSnapshot,
    given: &[Source],
    took: Duration,
    out: &mut Output,
) -> Result<(), CliError> {
    if out.is_json() {
        return out.json(&SaveObject {
            v: VERSION,
            outcome: "ok",
            dry_run: false,
            file: named(&args.file),
            snapshot: SnapshotObject::new(snapshot.id, snapshot.log_time),
            nodes: numbers(given),
            seconds: Some(Seconds(took)),
        });
    }
    let per_second = snapshot.id.bytes as f64 / took.as_secs_f64().max(1e-9);
    let text = format!(
        "{} {} from {}  {}  in {} ({}/s)",
        styled(GOOD, "saved"),
        name(snapshot.id),
        names(given),
        output::bytes(snapshot.id.bytes),
        output::duration(took),
        output::bytes(per_second as u64)
    );
    out.words(&text, 2)?;
    out.line(format!("hash {}, verified", hash(snapshot.id)))
}

/// What would be saved. With `--trigger` that isn't known yet.
fn dry_run(args: &SaveArgs, context: &Context, out: &mut Output) -> Result<Exit, CliError> {
    let choice = if args.trigger {
        Nodes::led(context)?;
        None
    } else {
        Some(choose(&Kept::ask(context)?, None, args.index.map(Index))?)
    };
    let snapshot = choice.as_ref().map(|choice| choice.snapshot);
    let first = choice.as_ref().and_then(|choice| choice.sources.first());
    if out.is_json() {
        out.json(&SaveObject {
            v: VERSION,
            outcome: "ok",
            dry_run: true,
            file: named(&args.file),
            snapshot: snapshot
                .map(|kept| SnapshotObject::new(kept.id, kept.log_time))
                .unwrap_or_default(),
            nodes: first.map(|source| numbers(std::slice::from_ref(source))).unwrap_or_default(),
            seconds: None,
        })?;
        return Ok(Exit::Done);
    }
    let what = match (snapshot, first) {
        (Some(kept), Some(source)) => {
            let size = output::bytes(kept.id.bytes);
            format!("{} from {}  {size}", name(kept.id), source.name())
        }
        _ => "a snapshot that is taken first".to_owned(),
    };
    out.words(&format!("{} {what}", styled(GOOD, "would save")), 2)?;
    Ok(Exit::Done)
}

/// `node 1 and node 3`
fn names(sources: &[Source]) -> String {
    let names: Vec<String> = sources.iter().map(Source::name).collect();
    names.join(" and ")
}

fn named(file: &Path) -> Blob<'_> {
    Blob(file.as_os_str().as_bytes())
}

fn numbers(sources: &[Source]) -> Vec<Option<u16>> {
    sources.iter().map(|source| source.id.map(|id| id.number())).collect()
}
