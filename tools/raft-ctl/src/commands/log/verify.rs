//! `log verify`: every byte is checked, and a torn end told from damage.

use raft_node::storage::{Corruption, Finding, SegmentSummary, TornTail, Verdict, Verification};
use serde::Serialize;

use super::ls::SegmentObject;
use super::{failed, note_live, open};
use crate::cli::VerifyArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{self, BAD, GOOD, Output, VERSION, WARN, styled};

#[derive(Serialize)]
struct VerifyObject<'a> {
    v: u32,
    verdict: &'static str,
    live: bool,
    first: Option<u64>,
    last: Option<u64>,
    segments: Vec<SegmentObject<'a>>,
    findings: Vec<FindingObject>,
}

#[derive(Serialize)]
struct FindingObject {
    kind: &'static str,
    file: Option<String>,
    offset: Option<u64>,
    bytes: Option<u64>,
    first: Option<u64>,
    last: Option<u64>,
    message: String,
}

pub(super) fn run(args: &VerifyArgs, out: &mut Output) -> Result<Exit, CliError> {
    let inspection = open(&args.dir)?;
    let verification = inspection.verify().map_err(|error| failed(&error))?;
    if out.is_json() {
        out.json(&object(&verification, inspection.is_live()))?;
    } else {
        text(&verification, out)?;
        note_live(&inspection, verification.entries.map(|entries| entries.1.0), out)?;
    }
    Ok(match verification.verdict {
        Verdict::Ok | Verdict::Torn => Exit::Done,
        Verdict::Corrupt => Exit::Corrupt,
    })
}

fn object(verification: &Verification, live: bool) -> VerifyObject<'_> {
    VerifyObject {
        v: VERSION,
        verdict: verdict_name(verification.verdict),
        live,
        first: verification.entries.map(|entries| entries.0.0),
        last: verification.entries.map(|entries| entries.1.0),
        segments: verification.segments.iter().map(SegmentObject::from).collect(),
        findings: verification.findings.iter().map(finding_object).collect(),
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Torn => "torn",
        Verdict::Corrupt => "corrupt",
    }
}

fn finding_object(finding: &Finding) -> FindingObject {
    let empty = FindingObject {
        kind: "note",
        file: None,
        offset: None,
        bytes: None,
        first: None,
        last: None,
        message: String::new(),
    };
    match finding {
        Finding::Torn(torn) => FindingObject {
            kind: "torn",
            file: Some(torn.segment.clone()),
            offset: Some(torn.offset),
            bytes: Some(torn.bytes),
            first: torn.entries.map(|entries| entries.0.0),
            last: torn.entries.map(|entries| entries.1.0),
            message: torn_text(torn),
        },
        Finding::Damage(damage) => FindingObject {
            kind: "corrupt",
            file: Some(damage.file.display().to_string()),
            offset: Some(damage.offset),
            first: damage.entries.map(|entries| entries.0.0),
            last: damage.entries.and_then(|entries| entries.1).map(|last| last.0),
            message: damage.what.clone(),
            ..empty
        },
        Finding::Note(note) => FindingObject { message: note.clone(), ..empty },
    }
}

fn torn_text(torn: &TornTail) -> String {
    format!(
        "{} bytes after the last whole block; this is what a crash leaves, nothing acknowledged \
         is lost",
        output::count(torn.bytes)
    )
}

fn text(verification: &Verification, out: &mut Output) -> Result<(), CliError> {
    for segment in &verification.segments {
        let damaged = verification.findings.iter().any(|finding| {
            matches!(finding, Finding::Damage(damage) if damage.file.ends_with(&segment.name))
        });
        out.line(segment_line(segment, damaged))?;
    }
    for finding in &verification.findings {
        match finding {
            Finding::Torn(torn) => {
                let place = format!("{}  offset {:#x}", torn.segment, torn.offset);
                let what = "block incomplete, nothing durable behind it";
                out.words(&format!("{} {place}  {what}", styled(WARN, "TORN")), 2)?;
            }
            Finding::Damage(damage) => {
                let place = format!("{}  offset {:#x}", damage.file.display(), damage.offset);
                out.words(&format!("{}  {place}  {}", styled(BAD, "BAD"), damage.what), 2)?;
            }
            Finding::Note(note) => out.words(&format!("note {note}"), 2)?,
        }
    }
    conclusion(verification, out)
}

fn segment_line(segment: &SegmentSummary, damaged: bool) -> String {
    let entries =
        segment.entries.map_or(String::new(), |(first, last)| format!("  {first}..{last}"));
    let verdict = if damaged { styled(BAD, "damaged") } else { styled(GOOD, "ok") };
    format!(
        "segment {:016x}  {} entries{entries}  {}  {verdict}",
        segment.ordinal,
        output::count(segment.entry_count),
        output::bytes(segment.end)
    )
}

fn conclusion(verification: &Verification, out: &mut Output) -> Result<(), CliError> {
    for finding in &verification.findings {
        match finding {
            Finding::Torn(torn) => out.words(&format!("torn tail: {}", torn_text(torn)), 2)?,
            Finding::Damage(damage) => out.words(&damage_text(damage), 2)?,
            Finding::Note(_) => {}
        }
    }
    if verification.verdict == Verdict::Ok {
        let entries = verification.entries.map_or_else(
            || "the log holds no entry".to_owned(),
            |(first, last)| format!("entries {first}..{last} are as they were written"),
        );
        out.line(format!("{}: {entries}", styled(GOOD, "ok")))?;
    }
    Ok(())
}

fn damage_text(damage: &Corruption) -> String {
    let entries = match damage.entries {
        Some((first, Some(last))) => {
            format!("entries {}..{}", output::count(first.0), output::count(last.0))
        }
        Some((first, None)) => format!("entries from {} on", output::count(first.0)),
        None => "something".to_owned(),
    };
    let advice = match damage.file.starts_with("log") {
        true => "start the node beside its peers and it repairs itself",
        false => "keep this directory as it is; nobody else knows what stands there",
    };
    format!("{}: {entries} of an acknowledged range; {advice}", styled(BAD, "damaged"))
}
